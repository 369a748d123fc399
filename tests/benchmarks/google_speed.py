"""Compare the processor time of google-genai through a gateway with google-genai alone.

    python tests/benchmarks/google_speed.py              15 rounds
    python tests/benchmarks/google_speed.py --rounds 5   fewer

Needs google-genai (`nox -s google` has environments with both generations). Both clients live in one process and take
turns; the server is another process and gives both the same canned answers. Shown are milliseconds of processor time
for each call: the least of all rounds, and the median of the quotients of each round.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import google.genai
from gemway.google import google_options
from google.genai import Client, types

MODEL, IMAGE_MODEL = "gemini-2.5-flash", "gemini-2.5-flash-image"
PICTURE = b"\x89PNG\r\n\x1a\n" + random.Random(7).randbytes(1_000_000)  # noqa: S311 - no secret
EVENTS = 200


def message(part: dict[str, Any], *, finish: str | None = "STOP") -> bytes:
    """Return one answer as Google writes it."""
    candidate = {
        "content": {"role": "model", "parts": [part]},
        "index": 0,
        **({"finishReason": finish} if finish else {}),
    }
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}
    return json.dumps({"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL}).encode()


TEXT = message({"text": "Oslo is the capital of Norway."})
IMAGE = message({"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PICTURE).decode()}})
STREAM = [
    b"data: " + message({"text": "word "}, finish="STOP" if place == EVENTS - 1 else None) + b"\r\n\r\n"
    for place in range(EVENTS)
]
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nVary: Origin\r\nVary: X-Origin\r\nServer: scaffolding on HTTPServer2\r\n"
    b"X-XSS-Protection: 0\r\nX-Frame-Options: SAMEORIGIN\r\nX-Content-Type-Options: nosniff\r\n"
    b"Server-Timing: gfet4t7; dur=700\r\n"
)


async def serve() -> None:
    """Answer every request for a text, a picture or a stream, and print the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                await reader.readexactly(int(length[1]) if length else 0)
                if b":streamGenerateContent" in head:
                    writer.write(HEAD % b"text/event-stream" + b"Transfer-Encoding: chunked\r\n\r\n")
                    for event in STREAM:
                        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                    writer.write(b"0\r\n\r\n")
                else:
                    body = IMAGE if IMAGE_MODEL.encode() in head else TEXT
                    writer.write(
                        HEAD % b"application/json; charset=UTF-8" + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                    )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**26)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def workloads(client: Any) -> dict[str, tuple[Callable[[], object], int]]:
    """Return what to measure, each with the number of calls of one turn."""
    config = types.GenerateContentConfig(temperature=0.5, max_output_tokens=100, system_instruction="Be brief.")
    picture = types.Part.from_bytes(data=PICTURE, mime_type="image/png")

    # Not the bound methods alone: a client that nobody holds is closed.
    def ask(**request: Any) -> object:
        return client.models.generate_content(**request)

    def stream(**request: Any) -> object:
        return client.models.generate_content_stream(**request)

    return {
        "text": (lambda: ask(model=MODEL, contents="Hello"), 30),
        "text with a config": (lambda: ask(model=MODEL, contents="Hello", config=config), 30),
        f"stream of {EVENTS} events": (lambda: list(stream(model=MODEL, contents="Hello")), 3),
        "picture out, 1 MB": (lambda: ask(model=IMAGE_MODEL, contents="Hello"), 6),
        "picture in, 1 MB": (lambda: ask(model=MODEL, contents=[picture, "Hello"]), 6),
    }


def spent(call: Callable[[], object], count: int) -> float:
    """Return the milliseconds of processor time of one call."""
    began = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - began) / count * 1e3


def take_turns(
    alone: Callable[[], object], ours: Callable[[], object], count: int, rounds: int
) -> list[tuple[float, float]]:
    """Return the processor time of both in each round; who begins changes from round to round."""
    spent(alone, 2)
    spent(ours, 2)
    turns = []
    for place in range(rounds):
        if place % 2:
            later = spent(ours, count)
            turns.append((spent(alone, count), later))
        else:
            turns.append((spent(alone, count), spent(ours, count)))
    return turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        alone = workloads(Client(api_key="sk-local", http_options={"base_url": address}))
        through = workloads(Client(**google_options(base_url=address, api_key="sk-local")))
        print(f"google-genai {google.genai.__version__}, Python {sys.version.split()[0]}")
        for name, (call, count) in alone.items():
            turns = take_turns(call, through[name][0], count, options.rounds)
            without, ours = (min(column) for column in zip(*turns, strict=True))
            ratio = statistics.median(ours / without for without, ours in turns)
            print(
                f"{name:22} alone {without:7.2f} ms   through a gateway {ours:7.2f} ms ({ours / without:4.2f} x)"
                f"   median of the turns {ratio:4.2f} x"
            )
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
