"""A gateway that misbehaves on command: a raw asyncio TCP or TLS server in a thread of its own.

What it sends is scripted byte by byte, one action per request; what it receives is kept as it came.

    with FaultServer() as server:
        server.script(play(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\n{", RESET), answer("ok"))
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

LONG = 30.0
"""Seconds after which the server itself gives up, so that no test hangs."""


@dataclass(frozen=True)
class Step:
    """Something that is no bytes and no pause."""

    name: str


RESET = Step("reset")
"""Drop the connection with a TCP reset."""
CLOSE = Step("close")
"""Close the connection in good order."""
HALF_CLOSE = Step("half-close")
"""Send no more, and wait until the client leaves."""
STALL = Step("stall")
"""Say nothing until the client leaves."""


@dataclass
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    raw: bytes
    connection: int
    time: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def streams(self) -> bool:
        return ":streamGenerateContent" in self.path


class Connection:
    """One connection of a client, as an action sees it."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer
        self.over = False

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reset(self) -> None:
        """Close so that the client sees ECONNRESET."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        self.over = True

    async def close(self) -> None:
        self.writer.close()
        self.over = True

    async def gone(self) -> None:
        """Wait until the client has left."""
        try:
            while await asyncio.wait_for(self.reader.read(65536), LONG):
                pass
        except (OSError, asyncio.TimeoutError):
            pass
        self.over = True


Action = Callable[[Connection, Received], Awaitable[None]]


def play(*steps: bytes | float | Step) -> Action:
    """Return an action: send bytes, pause for seconds, or take a step; the connection stays open after the last."""

    async def action(connection: Connection, _: Received) -> None:
        for step in steps:
            await _take(connection, step)

    return action


async def _take(connection: Connection, step: bytes | float | Step) -> None:
    if isinstance(step, bytes):
        await connection.send(step)
    elif isinstance(step, Step):
        if step is RESET:
            await asyncio.sleep(0.02)  # what was sent before the reset is to arrive
            await connection.reset()
        elif step is CLOSE:
            await connection.close()
        else:
            if step is HALF_CLOSE and connection.writer.can_write_eof():
                connection.writer.write_eof()
            await connection.gone()
    else:
        await asyncio.sleep(step)


def drip(data: bytes, every: float, *, at_once: int = 1) -> list[bytes | float]:
    """Return steps that send *data* in pieces of *at_once* bytes, *every* so many seconds."""
    steps: list[bytes | float] = []
    for begin in range(0, len(data), at_once):
        steps += [data[begin : begin + at_once], every]
    return steps


def head(status: int = 200, length: int | str | None = None, **headers: str) -> bytes:
    """Return a response head; *length* is a Content-Length, `"chunked"` or None for none.

    Names are written with `_` for `-`, and `__` for `_`.
    """
    named = {name.replace("__", "\0").replace("_", "-").replace("\0", "_"): value for name, value in headers.items()}
    fields = {"content-type": "application/json", **named}
    if length == "chunked":
        fields["transfer-encoding"] = "chunked"
    elif length is not None:
        fields["content-length"] = str(length)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode("latin-1")


def full(content: bytes | Any, status: int = 200, **headers: str) -> bytes:
    """Return a whole response; anything but bytes is sent as JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return head(status, len(data), **headers) + data


def piece(data: bytes) -> bytes:
    """Return *data* as one chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


LAST = b"0\r\n\r\n"
EVENTS = head(200, "chunked", content_type="text/event-stream")


def message(text: str = "ok", finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """Return one message of a Gemini answer."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **more}


def event(content: Any, end: bytes = b"\n\n") -> bytes:
    """Return one server-sent event."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return b"data: " + data + end


def reply(content: bytes | Any, status: int = 200, **headers: str) -> Action:
    """Return an action that sends a whole response."""
    return play(full(content, status, **headers))


def failure(status: int, message: str = "it failed", code: Any = None, **headers: str) -> Action:
    """Return an action that sends an error as gateways do."""
    return reply({"error": {"code": code or status, "message": message}}, status, **headers)


def events(*contents: Any, end: bytes = b"\n\n") -> Action:
    """Return an action that sends a stream of events, in one go."""
    return play(EVENTS + b"".join(piece(event(content, end)) for content in contents) + LAST)


def answer(text: str = "ok", pause: float = 0.0) -> Action:
    """Return an action that answers well: JSON to a unary call, two events to a stream call."""
    half = len(text) // 2

    async def action(connection: Connection, request: Received) -> None:
        await asyncio.sleep(pause)
        if request.streams:
            first, second = message(text[:half], finish=None), message(text[half:])
            await connection.send(EVENTS + piece(event(first)) + piece(event(second)) + LAST)
        else:
            await connection.send(full(message(text)))

    return action


def both(unary: bytes, stream: bytes, *then: bytes | float | Step) -> Action:
    """Return an action that plays *unary* or *stream*, whichever was asked for, and *then*."""

    async def action(connection: Connection, request: Received) -> None:
        await play(stream if request.streams else unary, *then)(connection, request)

    return action


@contextmanager
def full_listener() -> Iterator[int]:
    """Listen on a port whose queue is full, so that no connection is ever made; yield the port."""
    listener, *waiting = [socket.socket() for _ in range(4)]
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
    try:
        yield port
    finally:
        for one in (listener, *waiting):
            one.close()


class FaultServer:
    """Listens on 127.0.0.1. Without a script every request is answered well.

    Attributes:
        requests: what came, in order.
        connections: how many were accepted.
        open: how many are open now.
        closed_at: when connections were closed by the client or by us, in order.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, backlog: int = 2048) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.open = 0
        self.closed_at: list[float] = []
        self.default: Action = answer()
        self._script: deque[Action] = deque()
        self._greetings: deque[Action] = deque()
        self._tls = tls
        self._backlog = backlog
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def script(self, *actions: Action, default: Action | None = None) -> None:
        """Set what the next requests get, one action each; *default* is for all that follow."""
        self._script.extend(actions)
        if default is not None:
            self.default = default

    def greet(self, *actions: Action) -> None:
        """Set what happens to the next connections before a request is read."""
        self._greetings.extend(actions)

    @property
    def gaps(self) -> list[float]:
        """Seconds between the requests."""
        times = [request.time for request in self.requests]
        return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]

    def idle(self, seconds: float = 5.0, *, most: int = 0) -> bool:
        """Whether at most *most* connections are open, waiting up to *seconds* for it."""
        limit = time.monotonic() + seconds
        while self.open > most and time.monotonic() < limit:
            time.sleep(0.01)
        return self.open <= most

    def awaits(self, requests: int, seconds: float = 5.0) -> bool:
        """Whether *requests* came, waiting up to *seconds* for them."""
        limit = time.monotonic() + seconds
        while len(self.requests) < requests and time.monotonic() < limit:
            time.sleep(0.005)
        return len(self.requests) >= requests

    def drop_idle(self) -> None:
        """Close all connections from this side, as a restarted gateway does."""
        for writer in list(self._writers):
            self._loop.call_soon_threadsafe(writer.close)
        assert self.idle()

    def __enter__(self) -> FaultServer:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop.set_exception_handler(lambda *_: None)  # a reset on purpose is no news
        server = await asyncio.start_server(
            self._connected, "127.0.0.1", 0, ssl=self._tls, backlog=self._backlog, limit=2**26
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await asyncio.sleep(0.01)  # asyncio loses a connection that it is accepting while its server is closed
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()  # closing would wait for data that nobody reads
        await asyncio.sleep(0.001)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.add(writer)
        connection = Connection(self.connections, reader, writer)
        try:
            await self._converse(connection)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self.open -= 1
            self.closed_at.append(time.monotonic())

    async def _converse(self, connection: Connection) -> None:
        if self._greetings:
            nothing = Received("", "", {}, b"", b"", connection.number)
            await self._greetings.popleft()(connection, nothing)
        while not connection.over and (request := await self._read(connection)):
            self.requests.append(request)
            action = self._script.popleft() if self._script else self.default
            await action(connection, request)

    async def _read(self, connection: Connection) -> Received | None:
        try:
            top = await connection.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = top.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = dict(_parsed(lines))
        if method == "CONNECT":
            return Received(method, path, headers, b"", top, connection.number)
        body = await connection.reader.readexactly(int(headers.get("content-length", 0)))
        return Received(method, path, headers, body, top + body, connection.number)


def _parsed(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        if ": " in line:
            name, value = line.split(": ", 1)
            yield name.lower(), value
