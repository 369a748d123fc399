"""Pictures in and out."""

from __future__ import annotations

import base64

import pytest
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ThinkingBlock
from llama_index.llms.gemway import Gemway

MODEL = "gemini-3.1-flash-image-preview"
ASK = [ChatMessage(content="a neon fox")]
PNG = b"\x89PNG\r\n\x1a\nthe rest of a picture"


@pytest.mark.parametrize(
    "options",
    [
        {"response_modalities": ["IMAGE"], "image_config": {"aspect_ratio": "16:9", "image_size": "2K"}},
        {"modalities": ["image"], "aspect_ratio": "16:9", "image_size": "2k"},
        {
            "generation_config": {
                "responseModalities": ["IMAGE"],
                "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
            }
        },
    ],
    ids=["names", "aliases", "google"],
)
@pytest.mark.parametrize("at", ["construction", "call"])
def test_pictures_are_asked_for(emulator: Emulator, gemway, options: dict, at: str) -> None:
    """Modalities and image options reach the wire, from the constructor or a call."""
    if at == "construction":
        gemway(MODEL, **options).chat(ASK)
    else:
        gemway(MODEL).chat(ASK, **options)

    assert emulator.requests[-1].json["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
    }


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_pictures_come_out(emulator: Emulator, gemway, streamed: bool) -> None:
    """Bytes and type arrive unchanged, and text and pictures keep their order."""
    emulator.enqueue(reply.image(PNG, text="Here:"))
    llm = gemway(MODEL)

    message = (list(llm.stream_chat(ASK))[-1] if streamed else llm.chat(ASK)).message

    assert [type(block) for block in message.blocks] == [TextBlock, ImageBlock, ThinkingBlock]
    assert not message.blocks[2].content  # holds the signatures
    assert message.blocks[1].image_mimetype == "image/png"
    assert message.blocks[1].resolve_image().read() == PNG
    assert base64.b64decode(message.blocks[1].image) == PNG


def test_a_real_picture_has_the_size(emulator: Emulator, gemway) -> None:
    """What the emulator draws can be opened."""
    from gemway._sniff import picture_size

    message = gemway(MODEL, aspect_ratio="16:9").chat(ASK).message

    picture = next(block for block in message.blocks if isinstance(block, ImageBlock))
    width, height = picture_size(picture.resolve_image().read())
    assert width / height == pytest.approx(16 / 9, rel=0.05)


def test_a_made_picture_can_be_changed(emulator: Emulator, gemway) -> None:
    """The model's own picture goes back in its own turn, with its signature, also after a journey through JSON."""
    llm = gemway(MODEL)
    message = llm.chat(ASK).message
    for journey in (message, ChatMessage.model_validate_json(message.model_dump_json())):
        answer = llm.chat([*ASK, journey, ChatMessage(content="make it blue")])

        contents = emulator.requests[-1].json["contents"]
        pictures = [part for part in contents[1]["parts"] if "inlineData" in part]
        assert contents[1]["role"] == "model"
        assert all(part["thoughtSignature"] for part in pictures)
        assert len(pictures) == 1
        assert any(isinstance(block, ImageBlock) for block in answer.message.blocks)


def test_a_foreign_picture_goes_to_the_user(emulator: Emulator, gemway) -> None:
    """An unsigned picture in the model's turn is refused by image models; it is shown by the user instead."""
    foreign = ChatMessage(role="assistant", blocks=[ImageBlock(image=PNG, image_mimetype="image/png")])
    emulator.enqueue(reply.image(PNG))

    gemway(MODEL).chat([*ASK, foreign, ChatMessage(content="make it blue")])

    contents = emulator.requests[-1].json["contents"]
    assert [content["role"] for content in contents] == ["user"]
    assert "inlineData" in str(contents)


def test_pictures_of_the_web_go_by_reference_or_inline(emulator: Emulator, gemway) -> None:
    """Without a fetcher the gateway loads an address; with one the picture is in the request."""

    class Fetcher:
        def fetch(self, urls):
            return dict.fromkeys(urls, ("image/png", PNG))

    block = ImageBlock(url="https://example.com/a.png")
    emulator.enqueue(reply.text("ok"), reply.text("ok"))

    gemway().chat([ChatMessage(blocks=[block])])
    assert "fileData" in emulator.requests[-1].json["contents"][0]["parts"][0]

    gemway(media_fetcher=Fetcher()).chat([ChatMessage(blocks=[block])])
    assert emulator.requests[-1].json["contents"][0]["parts"][0]["inlineData"]["mimeType"] == "image/png"


def test_snake_cased_inline_data(emulator: Emulator, gemway) -> None:
    """One switch for gateways that read only `inline_data`."""
    emulator.enqueue(reply.text("ok"))

    llm: Gemway = gemway(inline_data_casing="snake")
    llm.chat([ChatMessage(blocks=[ImageBlock(image=PNG, image_mimetype="image/png")])])

    assert list(emulator.requests[-1].json["contents"][0]["parts"][0]) == ["inline_data"]
