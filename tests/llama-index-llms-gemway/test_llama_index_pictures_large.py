"""A 4K picture, 25 MB of base64, through Gemway: what it costs in memory."""

from __future__ import annotations

import os

import pytest
from gemway_emulator import reply
from memory_probe import BASE64_BYTES, ON_LINUX, peak

PROGRAM = """
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.gemway import Gemway

(way,) = arguments
model = Gemway(model="gemini-2.5-flash-image", base_url=base_url, api_key=key)
model.complete("warm up")
blocks = [ImageBlock(image=picture(), image_mimetype="image/png")] if way == "sent" else []
asked = ChatMessage(role="user", blocks=[TextBlock(text="large"), *blocks])
measure(lambda: list(model.stream_chat([asked])) if way == "streamed" else model.chat([asked]))
"""


@ON_LINUX
@pytest.mark.parametrize("way", ["sent", "received", "streamed"])
def test_memory(emulator, tmp_path, way):
    """At most 2.5 times the base64, in addition to the caller's own copy."""
    data = b"\x89PNG\r\n\x1a\n" + os.urandom(BASE64_BYTES * 3 // 4 - 8)
    emulator.enqueue(reply.text("warm"), reply.text("seen") if way == "sent" else reply.image(data))

    grown = peak(PROGRAM, emulator, way, folder=tmp_path)

    print(f"\n{way}: {grown:.2f} times the base64")
    assert grown <= 2.5
