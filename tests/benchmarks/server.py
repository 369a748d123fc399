"""A gateway that answers at once, from bytes made beforehand, so that the clients are what is measured.

The first segment of the path chooses the answer: `text`, `slow` (after 250 ms), `tool`, `person`,
`picture-<megabytes>`, `chunks-<n>` (events in one burst) and `paced-<n>` (events one millisecond apart).
Prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import sys
from functools import cache
from typing import Any

import workload

SLOW_SECONDS = 0.25
PACE_SECONDS = 0.001
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = f"\r\nauthorization: bearer {workload.KEY}\r\n".encode()
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_STREAM_END = b"0\r\n\r\n"


class Gateway(asyncio.Protocol):
    """One connection. Requests do not overlap on it, as those of HTTP clients do not."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._head, 0, end)
            self._missing = (int(length[1]) if length else 0) - (len(self._head) - end - 4)
        if self._missing <= 0:
            head, self._head = self._head, b""
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        if _KEY not in head.lower():
            self._write(unary({"error": {"code": 401, "message": "no key"}}, "401 Unauthorized"))
            return
        kind, _, size = head.split(b"/", 2)[1].decode().partition("-")
        if kind == "slow":
            self._loop.call_later(SLOW_SECONDS, self._write, answer("text", ""))
        elif kind == "paced":
            self._write(_STREAM_HEAD)
            self._pace(events(int(size)), 0)
        else:
            self._write(answer(kind, size))

    def _pace(self, lines: list[bytes], position: int) -> None:
        if position == len(lines):
            self._write(_STREAM_END)
        else:
            self._write(lines[position])
            self._loop.call_later(PACE_SECONDS, self._pace, lines, position + 1)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


@cache
def answer(kind: str, size: str) -> bytes:
    """Return a whole response, head and body."""
    if kind == "chunks":
        return _STREAM_HEAD + b"".join(events(int(size))) + _STREAM_END
    if kind == "tool":
        part: dict[str, Any] = {"functionCall": {"name": workload.CALL_NAME, "args": workload.CALL_ARGUMENTS}}
    elif kind == "person":
        part = {"text": json.dumps(workload.PERSON)}
    elif kind == "picture":
        data = base64.b64encode(workload.picture(float(size))).decode()
        part = {"inlineData": {"mimeType": "image/png", "data": data}}
    else:
        part = {"text": workload.TEXT}
    return unary(message(part, tokens=50))


@cache
def events(count: int) -> list[bytes]:
    """Return the events of a stream as HTTP chunks. Usage grows and is on every one, as Gemini sends it."""
    messages = (
        message({"text": workload.WORD.format(number)}, tokens=number + 1, last=number == count - 1)
        for number in range(count)
    )
    lines = (b"data: " + json.dumps(each, separators=(",", ":")).encode() + b"\r\n\r\n" for each in messages)
    return [b"%x\r\n%s\r\n" % (len(line), line) for line in lines]


def message(part: dict[str, Any], *, tokens: int, last: bool = True) -> dict[str, Any]:
    """Return one answer in Gemini's JSON."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
    return {
        "candidates": [{**candidate, "finishReason": "STOP"} if last else candidate],
        "usageMetadata": {
            "promptTokenCount": 12,
            "candidatesTokenCount": tokens,
            "totalTokenCount": 12 + tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
        },
        "modelVersion": workload.MODEL,
        "responseId": "b3nchM4rkAnswer00000000",
    }


def unary(body: dict[str, Any], status: str = "200 OK") -> bytes:
    """Return a response with a JSON body."""
    data = json.dumps(body, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Gateway(loop), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int, help="the processor core to stay on")
    if (core := parser.parse_args().core) is not None:
        os.sched_setaffinity(0, {core})
    asyncio.run(serve())
