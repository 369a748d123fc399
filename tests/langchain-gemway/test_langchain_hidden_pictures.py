"""A picture that a gateway wrote into the text of a stream, as markdown cut over many chunks."""

from __future__ import annotations

import io
from base64 import b64decode, b64encode

import pytest
from gemway_emulator import reply
from langchain_gemway import ChatGemway
from PIL import Image


def drawn() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 36), "orange").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_it_is_a_picture_of_the_message(gateway_environment, version):
    """The text is what is left, in both shapes of content, blocking and not."""
    png = drawn()
    text = f"Here: ![a fox](data:image/png;base64,{b64encode(png).decode()}) Done!"
    streamed = reply.text(text, chunks=30)
    gateway_environment.enqueue(streamed, streamed)
    model = ChatGemway(model="gemini-2.5-flash-image", output_version=version)

    for chunks in (list(model.stream("a fox")), [chunk async for chunk in model.astream("a fox")]):
        whole = sum(chunks[1:], chunks[0])
        (picture,) = (block for block in whole.content_blocks if block["type"] == "image")
        assert b64decode(picture["base64"]) == png
        assert whole.text.split() == ["Here:", "Done!"]
