"""Media of answers, as gateways really write them: whole in their blocks, and sent back as they came."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.types import ChatMessage, ImageBlock
from llama_index.llms.gemway import Gemway

ASK = [ChatMessage(content="a fox")]
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) + b"\xff\xfb\xff\xfe\xfa"  # its base64 has + and /, and padding
STANDARD = base64.b64encode(PICTURE).decode()
LINES = "\n".join(STANDARD[at : at + 76] for at in range(0, len(STANDARD), 76))

SPELLINGS: dict[str, dict[str, Any]] = {
    "no type": {"data": STANDARD},
    "an empty type": {"data": STANDARD, "mimeType": ""},
    "no particular type": {"data": STANDARD, "mimeType": "application/octet-stream"},
    "any image": {"data": STANDARD, "mimeType": "image/*"},
    "upper case": {"data": STANDARD, "mimeType": "IMAGE/PNG"},
    "an ending": {"data": STANDARD, "mimeType": "png"},
    "url-safe, unpadded": {
        "data": STANDARD.translate(str.maketrans("+/", "-_")).rstrip("="),
        "mimeType": "image/png",
    },
    "a data: URL": {"data": f"data:image/png;base64,{STANDARD}", "mimeType": "image/png"},
    "a data: URL without a type": {"data": f"data:image/png;base64,{STANDARD}"},
    "lines": {"data": LINES, "mimeType": "image/png"},
}


def _answer(*parts: dict[str, Any]):
    return reply.stream(
        [{"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}]}]
    )


async def _message(llm: Gemway, method: str) -> ChatMessage:
    if method == "chat":
        return llm.chat(ASK).message
    if method == "achat":
        return (await llm.achat(ASK)).message
    if method == "stream_chat":
        return list(llm.stream_chat(ASK))[-1].message
    return [response async for response in await llm.astream_chat(ASK)][-1].message


METHODS = ["chat", "achat", "stream_chat", "astream_chat"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("blob", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_a_picture_is_a_picture_however_it_is_spelled(
    emulator: Emulator, gemway, method: str, blob: dict[str, Any]
) -> None:
    """The block holds the picture, fresh and after a store wrote it as JSON, and it goes back in standard base64."""
    emulator.enqueue(_answer({"text": "Here:"}, {"inlineData": blob}))
    llm = gemway("gemini-2.5-flash-image")

    message = await _message(llm, method)
    stored = ChatMessage.model_validate_json(message.model_dump_json())
    llm.chat([*ASK, stored, ChatMessage(content="again")])

    for block in (message.blocks[1], stored.blocks[1]):
        assert isinstance(block, ImageBlock)
        assert block.image_mimetype == "image/png"
        assert block.resolve_image().read() == PICTURE
    sent = emulator.requests[-1].json["contents"][1]["parts"][1]
    assert sent == {"inlineData": {"mimeType": "image/png", "data": STANDARD}}


@pytest.mark.parametrize("blob", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_completion_holds_the_picture(emulator: Emulator, gemway, blob: dict[str, Any]) -> None:
    """`complete` shows pictures in `additional_kwargs["images"]`."""
    emulator.enqueue(_answer({"inlineData": blob}))

    (block,) = gemway("gemini-2.5-flash-image").complete("a fox").additional_kwargs["images"]

    assert block.resolve_image().read() == PICTURE


def test_unreadable_media_are_kept_and_sent_back(emulator: Emulator, gemway) -> None:
    """Base64 that cannot be read makes no block, no error and no second encoding."""
    part = {"inlineData": {"mimeType": "image/png", "data": "not base64!"}}
    emulator.enqueue(_answer({"text": "Here:"}, part))
    llm = gemway()

    message = llm.chat(ASK).message

    assert message.content == "Here:"
    assert not [block for block in message.blocks if isinstance(block, ImageBlock)]
    assert "not base64!" in message.model_dump_json()


@pytest.mark.parametrize(
    "mime_type", ["audio/L16;codec=pcm;rate=24000", "audio/L16; rate=16000", "audio/pcm;rate=24000"]
)
@pytest.mark.parametrize("method", METHODS)
async def test_speech_keeps_its_sample_rate(emulator: Emulator, gemway, method: str, mime_type: str) -> None:
    """Raw audio declares its rate in its type alone (ai.google.dev, Speech generation): the block has it."""
    blob = {"mimeType": mime_type, "data": base64.b64encode(bytes(range(256))).decode()}
    emulator.enqueue(_answer({"inlineData": blob}))
    llm = gemway()

    message = await _message(llm, method)
    stored = ChatMessage.model_validate_json(message.model_dump_json())
    llm.chat([*ASK, stored, ChatMessage(content="again")])

    assert message.blocks[0].format == mime_type
    assert emulator.requests[-1].json["contents"][1]["parts"] == [{"inlineData": blob}]


FINAL = {"mimeType": "image/png", "data": STANDARD}
DRAFT = {"mimeType": "image/png", "data": base64.b64encode(b"\x89PNG\r\n\x1a\na draft").decode()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "parts",
    [
        [{"inlineData": DRAFT, "thought": True}, {"inlineData": FINAL, "thoughtSignature": "QQ=="}],
        [{"text": "plan", "thought": True}, {"inlineData": FINAL, "thought": True, "thoughtSignature": "QQ=="}],
        [{"inlineData": DRAFT, "thought": True}, {"text": "Here:"}, {"inlineData": FINAL, "thought": True}],
    ],
    ids=["a draft and the picture", "only marked as a thought", "both marked as thoughts"],
)
async def test_the_last_picture_is_the_picture(
    emulator: Emulator, gemway, method: str, parts: list[dict[str, Any]]
) -> None:
    """Drafts are no pictures of the answer, but an answer that marks all as thoughts has one (Lixpi#135)."""
    emulator.enqueue(_answer(*parts))
    llm = gemway("gemini-3-pro-image-preview")

    message = await _message(llm, method)
    before = len(emulator.requests)
    llm.chat([*ASK, message, ChatMessage(content="again")])

    pictures = [block for block in message.blocks if isinstance(block, ImageBlock)]
    assert [picture.resolve_image().read() for picture in pictures] == [PICTURE]
    assert json.dumps(FINAL["data"]) in json.dumps(emulator.requests[before].json["contents"])
