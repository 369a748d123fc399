"""Requests for pictures, byte for byte, and conversations of edits with their signatures."""

from __future__ import annotations

import base64
import json

import pytest
from gemway import AsyncClient, Client, Image, UnsupportedContentError, types
from gemway.adapters import arrange
from gemway_emulator import reply

MODEL = "gemini-3.1-flash-image-preview"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

# The two requests of the gateway's documentation, as they are printed there.
MAKE = (
    b'{"contents":[{"role":"user","parts":[{"text":"a neon fox, cinematic"}]}],'
    b'"generationConfig":{"responseModalities":["IMAGE"],"imageConfig":{"aspectRatio":"16:9","imageSize":"2K"}}}'
)
EDIT = (
    b'{"contents":[{"role":"user","parts":[{"text":"make it blue"},'
    b'{"inline_data":{"mime_type":"image/png","data":"' + base64.b64encode(PNG) + b'"}}]}],'
    b'"generationConfig":{"responseModalities":["IMAGE"],"imageConfig":{"aspectRatio":"16:9","imageSize":"2K"}}}'
)


def test_the_documented_request_for_a_picture(client, emulator):
    """Byte for byte, to the documented path, with Bearer and no other key."""
    client.generate_image("a neon fox, cinematic", aspect_ratio="16:9", image_size="2K")

    entry = emulator.requests[-1]
    assert entry.body == MAKE
    assert (entry.method, entry.path) == ("POST", f"/v1beta/models/{MODEL}:generateContent")
    assert entry.headers["authorization"] == f"Bearer {emulator.api_key}"
    assert "x-goog-api-key" not in entry.headers


def test_the_documented_request_for_an_edit(emulator):
    """Byte for byte in the documentation's spelling, which is one option away."""
    with Client(base_url=emulator.base_url, api_key=emulator.api_key, inline_data_casing="snake") as client:
        client.generate_image("make it blue", images=[PNG], aspect_ratio="16:9", image_size="2K")

    assert emulator.requests[-1].body == EDIT


async def test_the_async_client_sends_the_same(emulator):
    """Both requests, from the twin."""
    options = {"base_url": emulator.base_url, "api_key": emulator.api_key, "inline_data_casing": "snake"}
    async with AsyncClient(**options) as client:
        await client.generate_image("a neon fox, cinematic", aspect_ratio="16:9", image_size="2K")
        await client.generate_image("make it blue", images=[PNG], aspect_ratio="16:9", image_size="2K")

    assert [entry.body for entry in emulator.requests] == [MAKE, EDIT]


@pytest.mark.parametrize("casing", ["camel", "snake"])
@pytest.mark.parametrize("prompt", ["make it blue", '\0picture\0 "quoted" \\ \n'], ids=["plain", "awkward"])
def test_large_pictures_are_written_like_small_ones(emulator, casing, prompt):
    """The body of a request with megabytes in it is the JSON of any other, whatever else stands in it."""
    pictures = [PNG + bytes(range(256)) * 5000, PNG, PNG + b"\0" * 1_500_000]
    options = {"base_url": emulator.base_url, "api_key": emulator.api_key, "inline_data_casing": casing}
    with Client(**options) as client:
        client.generate_image(prompt, images=pictures)

    body = emulator.requests[-1].body
    kind, name = ("inlineData", "mimeType") if casing == "camel" else ("inline_data", "mime_type")
    blobs = [{kind: {name: "image/png", "data": base64.b64encode(data).decode()}} for data in pictures]
    assert json.loads(body) == {
        "contents": [{"role": "user", "parts": [{"text": prompt}, *blobs]}],
        "generationConfig": {"responseModalities": ["IMAGE"]},
    }
    assert body == json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()


def test_a_conversation_of_three_edits(client, emulator):
    """Every picture and text goes back as the model's own, with the signature that came with it, byte for byte."""
    first = client.generate_image("a neon fox", with_text=True)
    second = client.generate_image("make it blue", history=["a neon fox", first], with_text=True)
    third = client.generate_image(
        "add a moon", history=["a neon fox", first, "make it blue", second], with_text=True, aspect_ratio="1:1"
    )

    contents = emulator.requests[-1].json["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user"]
    assert [content["parts"][0]["text"] for content in contents[::2]] == ["a neon fox", "make it blue", "add a moon"]
    for content, response in zip(contents[1::2], (first, second), strict=True):
        assert content["parts"] == [part.to_dict() for part in response.parts]
        assert [bool(part.get("thoughtSignature")) for part in content["parts"]] == [True, True]
    assert third.images[0].data != second.images[0].data
    print("\nsignatures on the wire:")
    for content in contents[1::2]:
        print(*(f"  {next(iter(part))}: {part['thoughtSignature']}" for part in content["parts"]), sep="\n")


def test_contents_and_folded_streams_are_history_too(client, emulator):
    """Turns may be contents in either spelling, typed or plain, and answers that were streamed."""
    first = client.generate_image("a neon fox")
    history = [
        types.Content(role="user", parts=[types.Part(text="a neon fox")]),
        {
            "role": "model",
            "parts": [
                {"inline_data": part.inline_data.to_dict(), "thought_signature": part.thought_signature}
                for part in first.parts
            ],
        },
    ]

    client.generate_image("make it blue", history=history)

    parts = emulator.requests[-1].json["contents"][1]["parts"]
    assert parts == [part.to_dict() for part in first.parts]


def test_a_picture_without_signature_goes_to_the_user(client, emulator):
    """Image models of Gemini 3 refuse it as the model's own (vercel/ai#12911)."""
    emulator.enqueue(reply.image(PNG, signature=False))
    first = client.generate_image("a neon fox")

    client.generate_image("make it blue", history=["a neon fox", first])

    contents = emulator.requests[-1].json["contents"]
    assert [content["role"] for content in contents] == ["user"]
    assert [next(iter(part)) for part in contents[0]["parts"]] == ["text", "inlineData", "text"]


def test_arranged_contents_continue_a_conversation(client, emulator):
    """The long way: contents through `arrange`, for programs that keep their own history."""
    first = client.generate_image("a neon fox")
    contents = [
        {"role": "user", "parts": [{"text": "a neon fox"}]},
        first.candidates[0].content.to_dict(),
        {"role": "user", "parts": [{"text": "make it blue"}]},
    ]

    response = client.generate_content(MODEL, {"contents": arrange(contents, model=MODEL)})

    assert response.images
    assert emulator.requests[-1].json["contents"][1] == first.candidates[0].content.to_dict()


def test_what_is_no_turn_is_refused(client):
    """With the list of what can be one."""
    with pytest.raises(UnsupportedContentError, match="prompts as text, the responses"):
        client.generate_image("make it blue", history=[Image(PNG)])


@pytest.mark.leaves_replies
def test_a_picture_is_not_asked_for_twice_after_a_timeout(client, emulator):
    """The work may be done and billed: no retry after a read timeout, as for 504 and 524."""
    emulator.enqueue(reply.image(PNG, delay=1.0), reply.image(PNG))

    with pytest.raises(TimeoutError):
        client.generate_image("a neon fox", timeout=0.2)

    assert len(emulator.requests) == 1
