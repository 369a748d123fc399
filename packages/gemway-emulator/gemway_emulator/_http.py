"""A small HTTP/1.1 server in a thread of its own, on asyncio's streams. Knows nothing of Gemini.

A short answer leaves in one write: a second one costs as much as everything else, and makes some clients wait 40 ms.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from http.client import responses
from typing import Any, TypeAlias

from gemway_emulator._journal import Headers

_START_LIMIT = 10.0  # seconds
_LONGEST_HEAD = 64 * 1024
JSON_TYPE = "application/json; charset=UTF-8"
Frames: TypeAlias = Iterable[bytes] | AsyncGenerator[bytes, None]


@dataclass
class Message:
    """One request; *target* is the path with the query as it came, *peer* the client's address."""

    method: str
    target: str
    headers: Headers
    body: bytes
    peer: str
    is_modern: bool
    keeps_alive: bool


@dataclass
class Outcome:
    """One answer: *delay* seconds pass before the first of *frames*, *frame_delay* between them; *cut* ends it badly.

    *watch* is called with each frame that is sent, and with None at the end.
    """

    status: int
    headers: dict[str, str]
    frames: Frames
    delay: float = 0.0
    frame_delay: float = 0.0
    cut: bool = False
    streamed: bool = False
    watch: Callable[[bytes | None], None] = lambda frame: None


def json_outcome(value: Any, status: int = 200, delay: float = 0.0) -> Outcome:
    """An answer in JSON."""
    content = json.dumps(value, ensure_ascii=False).encode()
    return Outcome(status, {"content-type": JSON_TYPE}, [content], delay)


class Server:
    """Serves *listener* with the answers of *answer*; at the end *close* is awaited."""

    def __init__(
        self,
        listener: socket.socket,
        answer: Callable[[Message], Awaitable[Outcome]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._listener, self._answer, self._close = listener, answer, close
        # As a daemon: a program or notebook that forgets to stop the emulator ends all the same.
        self._thread = threading.Thread(target=self._run_event_loop, name="gemway-emulator", daemon=True)
        self._ready = threading.Event()
        self._connections: set[asyncio.Task[None] | None] = set()

    def start(self) -> None:
        """Return when requests are answered."""
        self._thread.start()
        if not self._ready.wait(_START_LIMIT):
            raise RuntimeError("the emulator did not start")

    def stop(self) -> None:
        """End the server and every answer under way."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_START_LIMIT)

    def _run_event_loop(self) -> None:
        # A program that ends without stopping the emulator stops it while the interpreter shuts down. `asyncio.run` would
        # start a thread then to wait for its executor, which Python 3.12 and later refuse with an error.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve_until_stopped())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    async def _serve_until_stopped(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve_connection, sock=self._listener, limit=_LONGEST_HEAD)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        # Some answers are in the middle of a scripted delay of minutes, and a stop should take none.
        tasks = [task for task in self._connections if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        self._connections.add(task := asyncio.current_task())
        try:
            while (message := await _read_request(reader, writer)) is not None:
                if not await _write_answer(writer, message, await self._answer(message)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        except asyncio.CancelledError:
            writer.transport.abort()  # the server ends; what a slow client has not read yet is not waited for
        except (ValueError, asyncio.LimitOverrunError):
            writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        finally:
            self._connections.discard(task)
            writer.close()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message | None:
    """The next request, or None when the client has ended the connection; ValueError if it is no HTTP."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").strip("\r\n").split("\r\n")
    method, target, version = first.split(" ")
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    headers = Headers(pairs, encoding="latin-1")
    # curl asks before it sends more than 1 MB, and waits a second for the answer.
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length") or 0))
    connection, is_modern = headers.get("connection", "").lower(), version == "HTTP/1.1"
    keeps_alive = "close" not in connection if is_modern else "keep-alive" in connection
    peer = writer.get_extra_info("peername")
    return Message(method, target, headers, body, str(peer[0]) if peer else "", is_modern, keeps_alive)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return bytes(body)


async def _write_answer(writer: asyncio.StreamWriter, message: Message, outcome: Outcome) -> bool:
    """Send *outcome*; whether the connection can be used again."""
    if outcome.delay > 0:
        await asyncio.sleep(outcome.delay)
    # With its length known, an answer needs no chunks. A cut one must not have it right, so it is sent in chunks
    # without the last one: that is how clients notice.
    frames, headers = outcome.frames, {name.lower(): value for name, value in outcome.headers.items()}
    if not isinstance(frames, AsyncGenerator) and not outcome.streamed and not outcome.cut:
        frames = [b"".join(frames)]
        headers.setdefault("content-length", str(len(frames[0])))
    chunked = "content-length" not in headers and message.is_modern
    keeps_alive = message.keeps_alive and not outcome.cut and (chunked or "content-length" in headers)
    headers |= {"transfer-encoding": "chunked"} if chunked else {}
    headers |= {} if keeps_alive else {"connection": "close"}
    lines = [f"HTTP/1.1 {outcome.status} {responses.get(outcome.status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    pending = bytearray("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
    try:
        async with aclosing(_pace_frames(frames, outcome.frame_delay)) as pieces:
            async for frame in pieces:
                outcome.watch(frame)
                if message.method != "HEAD":
                    pending += b"%x\r\n%b\r\n" % (len(frame), frame) if chunked and frame else frame
                if outcome.frame_delay or isinstance(frames, AsyncGenerator):
                    writer.write(pending)
                    await writer.drain()
                    pending = bytearray()
    finally:
        outcome.watch(None)
    writer.write(pending + (b"0\r\n\r\n" if chunked and not outcome.cut and message.method != "HEAD" else b""))
    await writer.drain()
    return keeps_alive


async def _pace_frames(frames: Frames, pause: float) -> AsyncGenerator[bytes, None]:
    """The frames one after the other; an upstream's as they come."""
    if isinstance(frames, AsyncGenerator):
        async with aclosing(frames):
            async for frame in frames:
                yield frame
        return
    for index, frame in enumerate(frames):
        if index and pause:
            await asyncio.sleep(pause)
        yield frame
