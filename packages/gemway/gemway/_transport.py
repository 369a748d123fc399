"""What sync and async cannot share: sending, reading, sleeping, asking for keys.

`SyncTransport` and `AsyncTransport` have the same verbs. Failures are returned, not raised, wherever the key
is in reach, so that no frame of a traceback ever holds it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from inspect import iscoroutinefunction
from random import Random
from typing import Any

import httpx

from gemway._answer import Redactor
from gemway._body import PIECE, LargeBody
from gemway._credentials import AsyncKey, Head, SyncKey
from gemway._exceptions import ConfigurationError
from gemway._network_errors import to_connection_error, to_failure, transport_errors
from gemway._pools import AsyncLease, SyncLease, Wiring, limit, retry_budget
from gemway._retry import Attempts
from gemway._settings import Secret, Timeouts
from gemway._setup import Setup


class SyncTransport:
    """Sends requests and reads responses, blocking."""

    now = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
    random = Random()  # noqa: S311 - jitter is no secret

    def __init__(self, setup: Setup) -> None:
        self._settings = setup.settings
        self._lease = SyncLease(Wiring(**setup.wiring()))
        self._key = SyncKey(setup.key)
        self._auth = setup.auth
        self._client = _of_kind(setup.client, asynchronous=False)
        self._head = Head(setup.settings)
        self.key_can_change = not (setup.key is None or isinstance(setup.key, Secret))
        self.budget = retry_budget(setup.settings.base_url) if setup.has_budget else None

    def send(self, attempts: Attempts) -> SyncExchange:
        """Send the current attempt. The exchange that comes back is open; whoever asked closes it."""
        timeouts = attempts.begin(self.now())
        sent = self._try(attempts, timeouts)
        if isinstance(sent, BaseException):
            limit.expires = None
            raise sent
        return sent

    def close(self) -> None:
        """Give this object's connections back; a later call takes new ones."""
        self._lease.close()

    def _try(self, attempts: Attempts, timeouts: Timeouts) -> SyncExchange | BaseException:
        call = attempts.call
        url = self._settings.base_url + call.path
        key = self._key.ask(attempts.refused_at)
        if isinstance(key, Exception):
            return key
        redact = Redactor(self._head.secrets(key, attempts.headers))
        limit.expires = attempts.expires
        try:
            lines = self._head.lines(call, attempts.headers, key)
            response, give_back = self._round_trip(attempts, url, lines, timeouts)
        except BaseException as failure:  # noqa: BLE001 - `send` raises it, without the frames that hold the key
            return to_failure(failure, url, redact)
        raw = (
            _read_body(response)
            if _is_read(response)
            else response.stream
            if self._client is None
            else response.iter_raw()
        )
        return SyncExchange(response, raw, give_back, url, redact)

    def _round_trip(self, attempts: Attempts, url: str, lines: Any, timeouts: Timeouts) -> Any:
        call = attempts.call
        if self._auth is None:
            return self._once(attempts, call.method, url, lines, call.body, timeouts)
        flow = self._auth.sync_auth_flow(httpx.Request(call.method, url, headers=lines, content=_whole(call.body)))
        try:
            asked = next(flow)
            while True:
                opened = self._once(attempts, asked.method, str(asked.url), asked.headers.raw, asked.content, timeouts)
                response, give_back = opened
                response.request = asked  # some flows look at it
                try:
                    if self._auth.requires_response_body:
                        response.read()
                    asked = flow.send(response)
                except StopIteration:
                    return opened
                response.close()
                give_back()
        finally:
            flow.close()

    def _once(
        self, attempts: Attempts, method: str, url: str, lines: Any, body: bytes | LargeBody | None, timeouts: Timeouts
    ) -> Any:
        if self._client is None:
            extensions = _extensions(timeouts)
            wait = None if attempts.expires is None else max(0.0, attempts.expires - self.now())
            stream = _stream(body or b"")
            request = httpx.Request(method, _url(url), headers=lines, stream=stream, extensions=extensions)
            return self._lease.pool().open(request, wait)
        request = self._client.build_request(method, url, headers=_texts(lines), content=_whole(body))
        request.extensions = _client_extensions(request.extensions, attempts, timeouts, self.now())
        return self._client.send(request, stream=True, follow_redirects=False), _nothing


class SyncExchange:
    """One open response: iterate over its raw bytes, then close it."""

    def __init__(
        self, response: Any, raw: Any, give_back: Callable[[], Any], url: str, redact: Callable[[str], str]
    ) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.arrived = time.time()
        self.url = url
        self.redact = redact
        self._response = response
        self._give_back = give_back
        self._data = self._read(raw)

    def begun(self) -> None:
        """Note that the answer has begun: the deadline bounds it no more."""
        limit.expires = None

    def __iter__(self) -> Iterator[bytes]:
        return self._data

    def _read(self, raw: Any) -> Iterator[bytes]:
        try:
            yield from raw
        except transport_errors() as error:
            failure = to_connection_error(error, self.url, self.redact)
        else:
            return
        raise failure

    def close(self) -> None:
        """Close the response; its connection is used again only if the body was read to its end."""
        limit.expires = None
        try:
            self._response.close()
        except transport_errors():
            pass  # the connection broke while it was being given up
        finally:
            give_back, self._give_back = self._give_back, _nothing
            give_back()

    def __repr__(self) -> str:
        return f"<SyncExchange {self.status} {self.url}>"


class AsyncTransport:
    """Sends requests and reads responses in the running event loop."""

    now = staticmethod(time.monotonic)
    sleep = staticmethod(asyncio.sleep)
    random = Random()  # noqa: S311 - jitter is no secret

    def __init__(self, setup: Setup) -> None:
        self._settings = setup.settings
        self._lease = AsyncLease(Wiring(**setup.wiring()))
        self._key = AsyncKey(setup.key)
        self._auth = setup.auth
        self._client = _of_kind(setup.client, asynchronous=True)
        self._head = Head(setup.settings)
        self.key_can_change = not (setup.key is None or isinstance(setup.key, Secret))
        self.budget = retry_budget(setup.settings.base_url) if setup.has_budget else None

    async def send(self, attempts: Attempts) -> AsyncExchange:
        """Send the current attempt. The exchange that comes back is open; whoever asked closes it."""
        timeouts = attempts.begin(self.now())
        sent = await self._try(attempts, timeouts)
        if isinstance(sent, BaseException):
            raise sent
        return sent

    async def aclose(self) -> None:
        """Give this object's connections back; a later call takes new ones."""
        await self._lease.aclose()

    async def _try(self, attempts: Attempts, timeouts: Timeouts) -> AsyncExchange | BaseException:
        call = attempts.call
        url = self._settings.base_url + call.path
        key = await self._key.ask(attempts.refused_at)
        if isinstance(key, Exception):
            return key
        redact = Redactor(self._head.secrets(key, attempts.headers))
        try:
            lines = self._head.lines(call, attempts.headers, key)
            with _until(attempts.expires):
                response, give_back = await self._round_trip(attempts, url, lines, timeouts)
        except BaseException as failure:  # noqa: BLE001 - `send` raises it, without the frames that hold the key
            return to_failure(failure, url, redact)
        raw = (
            _aread_body(response)
            if _is_read(response)
            else response.stream
            if self._client is None
            else response.aiter_raw()
        )
        return AsyncExchange(response, raw, give_back, url, redact, attempts.expires)

    async def _round_trip(self, attempts: Attempts, url: str, lines: Any, timeouts: Timeouts) -> Any:
        call = attempts.call
        if self._auth is None:
            return await self._once(attempts, call.method, url, lines, call.body, timeouts)
        flow = self._auth.async_auth_flow(httpx.Request(call.method, url, headers=lines, content=_whole(call.body)))
        try:
            asked = await flow.__anext__()
            while True:
                opened = await self._once(
                    attempts, asked.method, str(asked.url), asked.headers.raw, asked.content, timeouts
                )
                response, give_back = opened
                response.request = asked  # some flows look at it
                try:
                    if self._auth.requires_response_body:
                        await response.aread()
                    asked = await flow.asend(response)
                except StopAsyncIteration:
                    return opened
                await response.aclose()
                await give_back()
        finally:
            await flow.aclose()

    async def _once(
        self, attempts: Attempts, method: str, url: str, lines: Any, body: bytes | LargeBody | None, timeouts: Timeouts
    ) -> Any:
        if self._client is None:
            extensions = _extensions(timeouts)
            wait = None if attempts.expires is None else max(0.0, attempts.expires - self.now())
            stream = _stream(body or b"")
            request = httpx.Request(method, _url(url), headers=lines, stream=stream, extensions=extensions)
            return await (await self._lease.pool()).open(request, wait)
        request = self._client.build_request(method, url, headers=_texts(lines), content=_whole(body))
        request.extensions = _client_extensions(request.extensions, attempts, timeouts, self.now())
        return await self._client.send(request, stream=True, follow_redirects=False), _anothing


class AsyncExchange:
    """One open response: iterate over its raw bytes, then close it."""

    def __init__(
        self,
        response: Any,
        raw: Any,
        give_back: Callable[[], Any],
        url: str,
        redact: Callable[[str], str],
        expires: float | None,
    ) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.arrived = time.time()
        self.url = url
        self.redact = redact
        self._response = response
        self._give_back = give_back
        self._expires = expires
        self._data = self._read(raw if expires is None else self._in_time(raw))

    def begun(self) -> None:
        """Note that the answer has begun: the deadline bounds it no more."""
        self._expires = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._data

    async def _read(self, raw: Any) -> AsyncIterator[bytes]:
        try:
            async for data in raw:
                yield data
        except transport_errors() as error:
            failure = to_connection_error(error, self.url, self.redact)
        else:
            return
        raise failure

    async def _in_time(self, raw: Any) -> AsyncIterator[bytes]:
        """Yield the bytes of *raw*, each within the deadline as long as there is one."""
        steps = raw.__aiter__()
        while True:
            try:
                with _until(self._expires):
                    data = await anext(steps)
            except StopAsyncIteration:
                return
            yield data

    async def aclose(self) -> None:
        """Close the response; its connection is used again only if the body was read to its end."""
        try:
            await self._response.aclose()
        except transport_errors():
            pass  # the connection broke while it was being given up
        finally:
            give_back, self._give_back = self._give_back, _anothing
            await give_back()

    def __repr__(self) -> str:
        return f"<AsyncExchange {self.status} {self.url}>"


@lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


def _extensions(timeouts: Timeouts) -> dict[str, Any]:
    connect, read, write = timeouts
    return {"timeout": {"connect": connect, "read": read, "write": write, "pool": None}}


def _client_extensions(theirs: Any, attempts: Attempts, timeouts: Timeouts, now: float) -> dict[str, Any]:
    """Return the extensions for an injected client: its own timeouts, unless the user gave us some or a deadline."""
    if attempts.has_timeouts:
        return {**theirs, **_extensions(timeouts)}
    if attempts.expires is None:
        return dict(theirs)
    left = max(0.001, attempts.expires - now)
    phases = theirs.get("timeout", {})
    bounded = {name: min(left, phases.get(name) or left) for name in ("connect", "read", "write", "pool")}
    return {**theirs, "timeout": bounded}


@contextmanager
def _until(expires: float | None) -> Iterator[None]:
    """Raise `TimeoutError` where the block is not done by the deadline, if there is one."""
    if expires is None:
        yield
        return
    import anyio  # only calls with a deadline need it

    with anyio.fail_after(max(0.0, expires - time.monotonic())):
        yield


def _is_read(response: Any) -> bool:
    """Whether the body was read already: by an auth flow that looks into it, or a transport of the user's own."""
    if not response.is_stream_consumed:
        return False
    response.headers.pop("content-encoding", None)  # the HTTP library has undone it
    return True


def _read_body(response: Any) -> Iterator[bytes]:
    yield response.content


async def _aread_body(response: Any) -> AsyncIterator[bytes]:
    yield response.content


def _of_kind(client: Any, *, asynchronous: bool) -> Any:
    """Return an injected client. Raises `ConfigurationError` if it is of the other kind."""
    if client is not None and iscoroutinefunction(client.send) is not asynchronous:
        wanted = "an AsyncClient" if asynchronous else "a Client"
        raise ConfigurationError(f"http_client= must be {wanted} of httpx or httpx2, not {type(client).__name__}")
    return client


def _texts(lines: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("ascii"), value.decode("ascii")) for name, value in lines]


def _nothing() -> None:
    """Give nothing back: the connection belongs to an injected client."""


async def _anothing() -> None:
    """Give nothing back: the connection belongs to an injected client."""


if hasattr(os, "register_at_fork"):
    # Forked workers must not wait in step.
    os.register_at_fork(after_in_child=SyncTransport.random.seed)
    os.register_at_fork(after_in_child=AsyncTransport.random.seed)


def _stream(body: bytes | LargeBody) -> httpx.ByteStream:
    if isinstance(body, bytes):
        if len(body) <= PIECE:
            return httpx.ByteStream(body)
        body = LargeBody([body])
    return _Pieces(body)


class _Pieces(httpx.ByteStream):
    """A large body in pieces: after each send, httpcore copies what is left of the piece that it was given."""

    def __init__(self, body: LargeBody) -> None:
        super().__init__(b"")
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._body:
            yield piece


def _whole(body: bytes | LargeBody | None) -> bytes | None:
    return bytes(body) if isinstance(body, LargeBody) else body
