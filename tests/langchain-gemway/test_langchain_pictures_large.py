"""A 4K picture, 25 MB of base64, through ChatGemway: what it costs in memory beside LangChain's own copy of it."""

from __future__ import annotations

import os

import pytest
from gemway_emulator import reply
from memory_probe import BASE64_BYTES, ON_LINUX, peak

PROGRAM = """
from langchain_core.messages import HumanMessage
from langchain_gemway import ChatGemway

(way,) = arguments
model = ChatGemway(model="gemini-2.5-flash-image", base_url=base_url, api_key=key)
model.invoke("warm up")
data = b64encode(picture()).decode() if way == "sent" else ""
block = {"type": "image", "base64": data, "mime_type": "image/png"}
asked = HumanMessage([{"type": "text", "text": "large"}, *([block] if data else [])])
measure(lambda: list(model.stream([asked])) if way == "streamed" else model.invoke([asked]))
"""


@ON_LINUX
@pytest.mark.parametrize("way", ["sent", "received", "streamed"])
def test_memory(emulator, tmp_path, way):
    """At most 2.5 times the base64 on top of what the caller has: LangChain's trace of a picture that is sent is one."""
    data = b"\x89PNG\r\n\x1a\n" + os.urandom(BASE64_BYTES * 3 // 4 - 8)
    emulator.enqueue(reply.text("warm"), reply.text("seen") if way == "sent" else reply.image(data))

    grown = peak(PROGRAM, emulator, way, folder=tmp_path)

    print(f"\n{way}: {grown:.2f} times the base64")
    assert grown <= 2.5
