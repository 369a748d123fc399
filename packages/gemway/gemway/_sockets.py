"""Sockets: each connection owns one, bounds its steps by the deadline of the call, and can close it at any moment.

httpcore takes its network as an argument (`network_backend=`). The two here know more than its own:

- They hold the socket from before it is connected, so closing never waits and never depends on where a call was
  interrupted. httpcore's own (through anyio) lose a socket that is cancelled between connecting and sending.
- Each step ends at the deadline of the call. The timeouts of httpcore are those of one step, so a server that sends a
  byte now and then could stretch a call for ever.
"""

from __future__ import annotations

import asyncio
import re
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import httpcore

# Long silence is normal while a picture is made. Without a sign of life, NATs and load balancers forget a silent
# connection after 60 s (some after 350 s), and the answer never arrives.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))
        if hasattr(socket, name)
    ),
]
# RFC 8305, section 5: the recommended delay before the next address is tried as well.
_NEXT_ADDRESS_AFTER = 0.25
# How much may wait unread before the socket is paused, and how much TLS takes from it at a time.
_READ_AHEAD = 2**20
_TLS_READ = 2**16
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_IS_CHUNKED = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r?$", re.I | re.M)
_CHUNK_HEADER = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_CUT_HEADER = re.compile(rb"[0-9A-Fa-f]{1,8}\r?")


class _CallDeadline:
    """The deadline of the current call: a moment of the monotonic clock, or None."""

    expires: float | None = None

    def left(self, timeout: float | None) -> float | None:
        """Return *timeout*, or the time until the deadline if that is shorter."""
        if self.expires is None:
            return timeout
        left = max(0.001, self.expires - time.monotonic())  # 0 would mean: do not block
        return left if timeout is None else min(timeout, left)


class ChunkJoiner:
    """Takes the bytes of a response read by read, and returns them with the chunks of each read joined into one.

    A gateway writes each event of a stream as one chunk (RFC 9112, section 7.1). h11 takes 15 us to read a chunk,
    httpcore hands each on through three generators, and all of that is paid for every few words of an answer. When the
    reader is slower than the model, one read holds many chunks; written as one, they cost as much as one.

    The result is an equal answer, which h11 reads as ever: anything but whole, regular chunks goes on unchanged.

    Attributes:
        expects_head: whether the next bytes begin with the head of an answer. Set it when a request is sent.
    """

    def __init__(self) -> None:
        self.expects_head = False
        self._joins = False
        self._left = 0  # bytes of a chunk whose beginning was handed on, with the line break behind it
        self._held = b""  # a chunk header that a read cut in two

    def join(self, data: bytes) -> bytes:
        """Return the bytes of one read, or an equal answer in fewer chunks; empty only if *data* is."""
        if self.expects_head:
            self.expects_head, self._joins, self._held = False, False, b""
            end = _END_OF_HEAD.search(data)
            if end is None or not _IS_CHUNKED.search(data, 0, end.end()):
                return data
            self._joins, self._left = True, end.end()
        if not self._joins or not data:
            return data
        if self._held:
            data, self._held = self._held + data, b""
        if self._left >= len(data):
            self._left -= len(data)
            return data
        return self._join_whole_chunks(data, self._left)

    def _join_whole_chunks(self, data: bytes, begin: int) -> bytes:
        """Return *data* with the whole chunks from *begin* on as one; note how far the last, cut one has come."""
        at, size, pieces = begin, 0, []
        while header := _CHUNK_HEADER.match(data, at):
            start = header.end()
            size = int(header[1], 16)
            end = start + size
            if not size or data[end : end + 2] != b"\r\n":
                break
            pieces.append(data[start:end])
            at = end + 2
        if header is not None:
            self._left = at_end = header.end() + size + 2 - len(data)
            # The last chunk, or one whose end is no line break: from here on h11 reads for itself.
            self._joins = size > 0 and at_end > 0
        else:
            self._left = 0
            self._joins = at == len(data) or (at > 0 and _CUT_HEADER.fullmatch(data, at) is not None)
            if self._joins:
                data, self._held = data[:at], data[at:]
        if len(pieces) < 2:
            return data
        joined = b"".join(pieces)
        return b"%b%x\r\n%b\r\n%b" % (data[:begin], len(joined), joined, data[at:])


class SyncNetwork(httpcore.NetworkBackend, _CallDeadline):
    """The blocking network of one connection."""

    def __init__(self, *, tcp_keepalive: bool = True) -> None:
        self._options = _KEEPALIVE if tcp_keepalive else []
        self._stream: httpcore.NetworkStream | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a TCP connection was made."""
        return self._stream is not None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        raw = httpcore.SyncBackend().connect_tcp(host, port, self.left(timeout), local_address, self._options)
        self._stream = raw
        return _SyncStream(self, raw)

    def close(self) -> None:
        """Close the socket, wherever the call is."""
        if self._stream is not None:
            self._stream.close()

    def start_tls(
        self, raw: httpcore.NetworkStream, context: ssl.SSLContext, name: str | None, timeout: float | None
    ) -> httpcore.NetworkStream:
        """Return *raw* with TLS on it; the socket changes hands."""
        self._stream = raw.start_tls(context, name, self.left(timeout))
        return _SyncStream(self, self._stream)


class _SyncStream(httpcore.NetworkStream):
    def __init__(self, network: SyncNetwork, raw: httpcore.NetworkStream) -> None:
        self._network = network
        self._raw = raw
        self._joiner = ChunkJoiner()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        has_deadline = self._network.expires is not None
        return self._joiner.join(self._raw.read(max_bytes, self._network.left(timeout) if has_deadline else timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._joiner.expects_head = True
        has_deadline = self._network.expires is not None
        self._raw.write(buffer, self._network.left(timeout) if has_deadline else timeout)

    def close(self) -> None:
        self._raw.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return self._network.start_tls(self._raw, ssl_context, server_hostname, timeout)

    def get_extra_info(self, info: str) -> object:
        return self._raw.get_extra_info(info)


class AsyncNetwork(httpcore.AsyncNetworkBackend, _CallDeadline):
    """The network of one connection in an event loop, asyncio's or uvloop's."""

    def __init__(self, *, tcp_keepalive: bool = True) -> None:
        self._options = _KEEPALIVE if tcp_keepalive else []
        self._stream: _AsyncioStream | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a TCP connection was made."""
        return self._stream is not None and self._stream.is_connected

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = self._stream = _AsyncioStream(self)
        # Connected by hand, so that there is a socket to close at whatever step the call is cancelled.
        sock = await _connect_to_any_address(host, port, self.left(timeout), self._options)
        try:
            await asyncio.get_running_loop().create_connection(lambda: stream, sock=sock)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return stream

    def close(self) -> None:
        """Close the socket, wherever the call is. Nothing to wait for."""
        if self._stream is not None:
            self._stream.abort()


class _AsyncioStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """Bytes from and to one transport. A step waits for a future, and a timer ends the wait: nothing is cancelled."""

    def __init__(self, network: AsyncNetwork) -> None:
        self._network = network
        self._transport: Any = None
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._is_over = False
        self._is_closed = False
        self._may_write = True
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._joiner: ChunkJoiner | None = ChunkJoiner()  # None under TLS, where this stream carries no HTTP

    # Called by the event loop

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._is_closed:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        # Back-pressure: a consumer that is slower than the server must not fill the memory.
        if self._size > _READ_AHEAD:
            self._transport.pause_reading()
        self._wake_waiting_call()

    def eof_received(self) -> bool:
        self._is_over = True
        self._wake_waiting_call()
        return False  # the loop closes the socket: nothing more can come

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = self._is_closed = True
        self._error = exc
        self._wake_waiting_call()

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._wake_waiting_call()

    # Called by httpcore

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error))
            if self._is_over:
                return b""
            await self._wait_for_change(timeout, httpcore.ReadTimeout)
        chunk = self._chunks.popleft()
        if len(chunk) > max_bytes:
            self._chunks.appendleft(chunk[max_bytes:])
            chunk = chunk[:max_bytes]
        if self._size > _READ_AHEAD >= self._size - len(chunk) and not self._is_over:
            self._transport.resume_reading()
        self._size -= len(chunk)
        return chunk if self._joiner is None else self._joiner.join(chunk)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._joiner is not None:
            self._joiner.expects_head = True
        if self._is_closed or self._transport.is_closing():
            raise httpcore.WriteError(str(self._error or "the server has closed the connection"))
        # asyncio buffers without a limit; waiting here keeps large pictures from being in memory twice.
        self._transport.write(buffer)
        while not self._may_write and not self._is_closed:
            await self._wait_for_change(timeout, httpcore.WriteTimeout)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        self._joiner = None
        return await _TLSStream(self, ssl_context, server_hostname).shake_hands(timeout)

    async def aclose(self) -> None:
        self.abort()

    def get_extra_info(self, info: str) -> object:
        if info == "is_readable":  # httpcore's question whether an idle connection is still good
            return bool(self._chunks) or self._is_over or _is_socket_readable(self._transport.get_extra_info("socket"))
        return self._transport.get_extra_info({"server_addr": "peername", "client_addr": "sockname"}.get(info, info))

    # Called by the network

    @property
    def is_connected(self) -> bool:
        """Whether a TCP connection was made."""
        return self._transport is not None

    def abort(self) -> None:
        """Close at once. A transport that is still being made is closed when it is there."""
        self._is_over = self._is_closed = True
        if self._transport is not None:
            self._transport.abort()

    async def _wait_for_change(self, timeout: float | None, kind: type[Exception]) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        left = self._network.left(timeout)
        timer = None if left is None else loop.call_later(left, _end_wait_with_error, waiter, kind, left)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake_waiting_call(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _TLSStream(httpcore.AsyncNetworkStream):
    """TLS on a stream. On any stream: an https proxy needs TLS within TLS, which asyncio of Python 3.10 lacks."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, context: ssl.SSLContext, name: str | None) -> None:
        self._inner = inner
        self._joiner: ChunkJoiner | None = ChunkJoiner()  # as in the stream below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def shake_hands(self, timeout: float | None) -> _TLSStream:
        """Agree on a key within *timeout*, and return the stream."""
        ends = None if timeout is None else time.monotonic() + timeout
        try:
            while not await self._do_tls_step(self._ssl.do_handshake, timeout=_seconds_until(ends)):
                pass
        except (httpcore.ReadTimeout, httpcore.WriteTimeout) as error:
            raise httpcore.ConnectTimeout(str(error)) from None
        except (OSError, httpcore.ReadError, httpcore.WriteError) as error:
            raise httpcore.ConnectError(str(error)) from error
        return self

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = bytearray()
        try:
            while not await self._do_tls_step(lambda: data.extend(self._ssl.read(max_bytes)), timeout=timeout):
                pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""  # many servers close without saying goodbye; HTTP knows whether a body is complete
        except ssl.SSLError as error:
            raise httpcore.ReadError(str(error)) from error
        return bytes(data) if self._joiner is None else self._joiner.join(bytes(data))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._joiner is not None:
            self._joiner.expects_head = True
        try:
            while not await self._do_tls_step(lambda: self._ssl.write(buffer), timeout=timeout):
                pass
        except ssl.SSLError as error:
            raise httpcore.WriteError(str(error)) from error

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        self._joiner = None
        return await _TLSStream(self, ssl_context, server_hostname).shake_hands(timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> object:
        return self._ssl if info == "ssl_object" else self._inner.get_extra_info(info)

    async def _do_tls_step(self, action: Callable[[], object], *, timeout: float | None) -> bool:
        """Do *action*; False if it needs more from the other side, which has come by then."""
        is_done = True
        try:
            action()
        except ssl.SSLWantReadError:
            is_done = False
        finally:
            ready = self._outgoing.read()  # an alert, if the action failed
            if ready:
                await self._inner.write(ready, timeout)
        if not is_done:
            data = await self._inner.read(_TLS_READ, timeout)
            self._incoming.write(data) if data else self._incoming.write_eof()
        return is_done


async def _connect_to_any_address(
    host: str, port: int, timeout: float | None, options: Sequence[tuple[int, int, int]]
) -> socket.socket:
    """Return a connected socket: addresses are tried in turn, the next one when the last is slow (RFC 8305)."""
    loop = asyncio.get_running_loop()
    ends = None if timeout is None else time.monotonic() + timeout
    addresses = deque(await _resolve_host(host, port, timeout))
    attempts: dict[asyncio.Task[None], socket.socket] = {}
    problem: BaseException | None = None
    try:
        while addresses or attempts:
            if addresses:
                family, kind, protocol, _, address = addresses.popleft()
                try:
                    sock = _new_socket(family, kind, protocol, options)
                except OSError as error:  # IPv6 is switched off, for example
                    problem = error
                    continue
                # Several attempts at the same time: a broken IPv6 route must not cost the whole timeout ("happy
                # eyeballs").
                attempts[loop.create_task(loop.sock_connect(sock, address))] = sock
            left = _seconds_until(ends)
            patience = (
                left if not addresses else min(_NEXT_ADDRESS_AFTER, _NEXT_ADDRESS_AFTER if left is None else left)
            )
            done, _ = await asyncio.wait(attempts, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                sock = attempts.pop(task)
                problem = task.exception()
                if problem is None:
                    return sock
                sock.close()
            if ends is not None and not done and time.monotonic() >= ends:
                raise httpcore.ConnectTimeout(f"no connection to {host}:{port} in {timeout:.3g} s")
        raise httpcore.ConnectError(str(problem))
    finally:
        for task, sock in attempts.items():
            # A socket that the loop still watches is closed when the loop has let go of it.
            task.cancel()
            task.add_done_callback(partial(_close_unused, sock))


async def _resolve_host(host: str, port: int, timeout: float | None) -> list[Any]:
    """Return the addresses of *host*; an address needs no look-up and no thread."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    try:
        await asyncio.wait({task}, timeout=timeout)
        if not task.done():
            raise httpcore.ConnectTimeout(f"the name {host} was not resolved in {timeout:.3g} s")
        return list(task.result())
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    finally:
        task.cancel()


def _new_socket(family: int, kind: int, protocol: int, options: Sequence[tuple[int, int, int]]) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    for option in (*options, (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)):
        sock.setsockopt(*option)
    return sock


def _close_unused(sock: socket.socket, task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # nobody else will ask for it, which asyncio would complain about
    sock.close()


def _seconds_until(ends: float | None) -> float | None:
    """Return the seconds until *ends*, at least a moment."""
    return None if ends is None else max(0.001, ends - time.monotonic())


def _end_wait_with_error(waiter: asyncio.Future[None], kind: type[Exception], seconds: float) -> None:
    if not waiter.done():
        waiter.set_exception(kind(f"nothing happened for {seconds:.3g} s"))


def _is_socket_readable(sock: socket.socket) -> bool:
    """Whether something waits to be read, or the other side has closed."""
    if sock is None or sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
