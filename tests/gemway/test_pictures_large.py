"""A 4K picture, 25 MB of base64, in and out: what it costs in memory, in time, and of an event loop's patience.

Memory is that of a fresh process: the highest resident size during the call, above the size before it.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import time

import pytest
from gemway import AsyncClient, Client, ResponseValidationError
from gemway._config import Settings
from gemway._protocol import generate_content
from gemway._response import ResponseParser, StreamParser
from gemway_emulator import Emulator, reply
from memory_probe import BASE64_BYTES, ON_LINUX, peak

MODEL = "gemini-3.1-flash-image-preview"

MEASURED = """
from pathlib import Path
from gemway import Client

(way,) = arguments
client = Client(base_url=base_url, api_key=key)
client.generate_image("warm up", image_size="512")
if way == "file":
    Path("picture.png").write_bytes(picture())
given = {"bytes": picture, "file": lambda: Path("picture.png")}.get(way, lambda: None)()

def call():
    if way == "stream":
        return list(client.stream_generate_content("gemini-2.5-flash-image", {"contents": [{"parts": [{"text": "large"}]}]}))
    if way in ("answer", "read"):
        response = client.generate_image("large", aspect_ratio="1:1")
        return response.images[0].data if way == "read" else response
    return client.generate_image("change it", images=[given], image_size="512")

measure(call)
"""


def large_png() -> bytes:
    """Return what begins like a PNG of 4096x4096 pixels and is as long as a full one."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 4096, 4096)
    return head + os.urandom(BASE64_BYTES * 3 // 4 - len(head))


@ON_LINUX
@pytest.mark.parametrize(
    ("way", "limit"),
    [("bytes", 2.5), ("file", 2.5), ("answer", 3.0), ("read", 3.0), ("stream", 3.0)],
    ids=["out, from bytes", "out, from a file", "in", "in, and decoded", "in, streamed"],
)
def test_memory(emulator, tmp_path, way, limit):
    """Out at most 2.5 times the base64, in at most 3 times, what the caller keeps included."""
    comes_in = way in ("answer", "read", "stream")
    emulator.enqueue(reply.image(width=64, height=64), reply.image(large_png() if comes_in else None))

    grown = peak(MEASURED, emulator, way, folder=tmp_path)

    print(f"\n{way}: {grown:.2f} times the base64")
    assert grown <= limit


class _Exchange:
    status, url, arrived, headers = 200, "http://gateway.example", 0.0, {}  # noqa: RUF012

    def redact(self, text: str) -> str:
        return text


def cpu_seconds(megabytes: int, *, stream: bool) -> float:
    """Return the CPU time to take an answer of that size apart, as it comes in 64 kB pieces."""
    text = "QUJD" * (megabytes * 2**18)
    part = {"inlineData": {"mimeType": "image/png", "data": text}}
    body = json.dumps({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}).encode()
    body = b"data: " + body + b"\r\n\r\n" if stream else body
    settings = Settings(base_url="http://gateway.example", max_response_bytes=2**28)
    call = generate_content(MODEL, {"contents": [{"parts": [{"text": "large"}]}]}, settings, stream=stream)
    kind = StreamParser if stream else ResponseParser
    parser = kind(call, _Exchange(), settings, silence=60.0, expires=None)
    began = time.thread_time()
    for at in range(0, len(body), 2**16):
        parser.feed(body[at : at + 2**16], 0.0)
    parser.finish()
    return time.thread_time() - began


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_parsing_takes_linear_time(stream):
    """Three times the picture takes about three times as long. (Below 32 MB, malloc is faster: it reuses pages.)"""
    small, large = (min(cpu_seconds(size, stream=stream) for _ in range(3)) for size in (36, 108))

    print(f"\n36 MB: {small * 1000:.0f} ms, 108 MB: {large * 1000:.0f} ms")
    assert large < 5 * small


@pytest.mark.parametrize("way", ["in", "in, streamed", "out"])
async def test_an_event_loop_goes_on(way):
    """Between two turns of the loop lies less than a quarter of a second of work.

    The least of three: on a busy machine the same work takes more of a processor, too.
    """
    longest = min([await longest_turn_during(way) for _ in range(3)])

    print(f"\n{way}: at most {longest * 1000:.0f} ms at a time")
    assert longest < 0.25


async def longest_turn_during(way: str) -> float:
    """Return how long a loop's longest turn takes, in CPU seconds, while a large picture goes through."""
    with Emulator() as emulator:
        emulator.enqueue(reply.image(width=64, height=64), reply.image(large_png() if way != "out" else None))
        async with AsyncClient(base_url=emulator.base_url, api_key=emulator.api_key) as client:
            await client.generate_image("warm up")
            picture = large_png()
            watch = asyncio.create_task(longest_turn())
            await asyncio.sleep(0.01)
            if way == "in, streamed":
                request = {"contents": [{"parts": [{"text": "large"}]}]}
                async for _ in client.stream_generate_content(MODEL, request):
                    pass
            else:
                await client.generate_image("large", images=[picture] if way == "out" else ())
            watch.cancel()
            return await watch


async def longest_turn() -> float:
    """Return the most CPU seconds of this thread that one turn of the loop took, until cancelled."""
    longest, last = 0.0, time.thread_time()
    try:
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now
    except asyncio.CancelledError:
        return longest


def test_a_picture_beyond_the_limit_is_refused_early(emulator):
    """`max_response_bytes` bounds what is kept; the error names it."""
    emulator.enqueue(reply.image(large_png()))
    client = Client(base_url=emulator.base_url, api_key=emulator.api_key, max_response_bytes=2**20)

    with client, pytest.raises(ResponseValidationError, match="max_response_bytes"):
        client.generate_image("large")
