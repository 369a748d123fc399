"""What sync and async cannot share: sending, reading, sleeping, asking for keys.

`SyncTransport` and `AsyncTransport` have the same verbs. Failures are returned, not raised, wherever the key
is in reach, so that no frame of a traceback ever holds it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache
from inspect import isawaitable
from random import Random
from typing import Any

import httpx

from gemway._exceptions import APIConnectionError, APITimeoutError, ConfigurationError, GemwayError
from gemway._pools import AsyncLease, SyncLease, Wiring, retry_budget
from gemway._protocol import Call, redactor
from gemway._retry import Attempts
from gemway._settings import Secret, Settings, Timeouts, checked_headers, checked_key
from gemway._setup import Setup
from gemway._version import __version__

_PHASES = {"ConnectTimeout": "connect", "ReadTimeout": "read", "WriteTimeout": "write", "PoolTimeout": "pool"}
_NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}
_FATAL = {"LocalProtocolError", "UnsupportedProtocol", "InvalidURL"}


class SyncTransport:
    """Sends requests and reads responses, blocking."""

    now = staticmethod(time.monotonic)
    wall_clock = staticmethod(time.time)
    sleep = staticmethod(time.sleep)
    random = Random()  # noqa: S311 - jitter is no secret

    def __init__(self, setup: Setup) -> None:
        self._settings = setup.settings
        self._lease = SyncLease(Wiring(**setup.wiring()))
        self._key = _SyncKey(setup.key)
        self._auth = setup.auth
        self._client = setup.client
        self._head = _Head(setup.settings)
        self.key_can_change = not (setup.key is None or isinstance(setup.key, Secret))
        self.budget = retry_budget(setup.settings.base_url) if setup.has_budget else None

    def send(self, attempts: Attempts) -> SyncExchange:
        """Send the current attempt. The exchange that comes back is open; whoever asked closes it."""
        timeouts = attempts.begin(self.now())
        sent = self._try(attempts, timeouts)
        if isinstance(sent, Exception):
            raise sent
        return sent

    def close(self) -> None:
        """Give this object's connections back; a later call takes new ones."""
        self._lease.close()

    def _try(self, attempts: Attempts, timeouts: Timeouts) -> SyncExchange | Exception:
        call = attempts.call
        url = self._settings.base_url + call.path
        key = self._key.ask(attempts.refused_at)
        if isinstance(key, Exception):
            return key
        redact = redactor(self._head.secrets(key))
        try:
            lines = self._head.lines(call, attempts.headers, key)
            wait = None if attempts.expires is None else max(0.0, attempts.expires - self.now())
            response, give_back = self._round_trip(call, url, lines, timeouts, wait)
        except transport_errors() as failure:
            return to_connection_error(failure, url, redact)
        except GemwayError as failure:
            return failure.with_traceback(None)
        raw = response.stream if self._client is None else response.iter_raw()
        return SyncExchange(response, raw, give_back, url, redact)

    def _round_trip(self, call: Call, url: str, lines: Any, timeouts: Timeouts, wait: float | None) -> Any:
        if self._auth is None:
            return self._once(call.method, url, lines, call.body, timeouts, wait)
        flow = self._auth.sync_auth_flow(httpx.Request(call.method, url, headers=lines, content=call.body))
        try:
            asked = next(flow)
            while True:
                opened = self._once(asked.method, str(asked.url), asked.headers.raw, asked.content, timeouts, wait)
                response, give_back = opened
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
        self, method: str, url: str, lines: Any, body: bytes | None, timeouts: Timeouts, wait: float | None
    ) -> Any:
        extensions = _extensions(timeouts)
        if self._client is None:
            stream = httpx.ByteStream(body or b"")
            request = httpx.Request(method, _url(url), headers=lines, stream=stream, extensions=extensions)
            return self._lease.pool().open(request, wait)
        request = self._client.build_request(method, url, headers=_texts(lines), content=body)
        if self._settings.timeout is not None:
            request.extensions = {**request.extensions, **extensions}
        return self._client.send(request, stream=True, auth=None, follow_redirects=False), _nothing


class SyncExchange:
    """One open response: iterate over its raw bytes, then close it."""

    def __init__(
        self, response: Any, raw: Any, give_back: Callable[[], Any], url: str, redact: Callable[[str], str]
    ) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.url = url
        self.redact = redact
        self._response = response
        self._give_back = give_back
        self._data = self._read(raw)

    def __iter__(self) -> Iterator[bytes]:
        return self._data

    def _read(self, raw: Any) -> Iterator[bytes]:
        try:
            yield from raw
        except transport_errors() as error:
            failure = error
        else:
            return
        raise to_connection_error(failure, self.url, self.redact)

    def close(self) -> None:
        """Close the response; its connection is used again only if the body was read to its end."""
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
    wall_clock = staticmethod(time.time)
    sleep = staticmethod(asyncio.sleep)
    random = Random()  # noqa: S311 - jitter is no secret

    def __init__(self, setup: Setup) -> None:
        self._settings = setup.settings
        self._lease = AsyncLease(Wiring(**setup.wiring()))
        self._key = _AsyncKey(setup.key)
        self._auth = setup.auth
        self._client = setup.client
        self._head = _Head(setup.settings)
        self.key_can_change = not (setup.key is None or isinstance(setup.key, Secret))
        self.budget = retry_budget(setup.settings.base_url) if setup.has_budget else None

    async def send(self, attempts: Attempts) -> AsyncExchange:
        """Send the current attempt. The exchange that comes back is open; whoever asked closes it."""
        timeouts = attempts.begin(self.now())
        sent = await self._try(attempts, timeouts)
        if isinstance(sent, Exception):
            raise sent
        return sent

    async def aclose(self) -> None:
        """Give this object's connections back; a later call takes new ones."""
        await self._lease.aclose()

    async def _try(self, attempts: Attempts, timeouts: Timeouts) -> AsyncExchange | Exception:
        call = attempts.call
        url = self._settings.base_url + call.path
        key = await self._key.ask(attempts.refused_at)
        if isinstance(key, Exception):
            return key
        redact = redactor(self._head.secrets(key))
        try:
            lines = self._head.lines(call, attempts.headers, key)
            wait = None if attempts.expires is None else max(0.0, attempts.expires - self.now())
            response, give_back = await self._round_trip(call, url, lines, timeouts, wait)
        except transport_errors() as failure:
            return to_connection_error(failure, url, redact)
        except GemwayError as failure:
            return failure.with_traceback(None)
        raw = response.stream if self._client is None else response.aiter_raw()
        return AsyncExchange(response, raw, give_back, url, redact)

    async def _round_trip(self, call: Call, url: str, lines: Any, timeouts: Timeouts, wait: float | None) -> Any:
        if self._auth is None:
            return await self._once(call.method, url, lines, call.body, timeouts, wait)
        flow = self._auth.async_auth_flow(httpx.Request(call.method, url, headers=lines, content=call.body))
        try:
            asked = await flow.__anext__()
            while True:
                opened = await self._once(
                    asked.method, str(asked.url), asked.headers.raw, asked.content, timeouts, wait
                )
                response, give_back = opened
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
        self, method: str, url: str, lines: Any, body: bytes | None, timeouts: Timeouts, wait: float | None
    ) -> Any:
        extensions = _extensions(timeouts)
        if self._client is None:
            stream = httpx.ByteStream(body or b"")
            request = httpx.Request(method, _url(url), headers=lines, stream=stream, extensions=extensions)
            return await (await self._lease.pool()).open(request, wait)
        request = self._client.build_request(method, url, headers=_texts(lines), content=body)
        if self._settings.timeout is not None:
            request.extensions = {**request.extensions, **extensions}
        return await self._client.send(request, stream=True, auth=None, follow_redirects=False), _anothing


class AsyncExchange:
    """One open response: iterate over its raw bytes, then close it."""

    def __init__(
        self, response: Any, raw: Any, give_back: Callable[[], Any], url: str, redact: Callable[[str], str]
    ) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.url = url
        self.redact = redact
        self._response = response
        self._give_back = give_back
        self._data = self._read(raw)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._data

    async def _read(self, raw: Any) -> AsyncIterator[bytes]:
        try:
            async for data in raw:
                yield data
        except transport_errors() as error:
            failure = error
        else:
            return
        raise to_connection_error(failure, self.url, self.redact)

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


class _SyncKey:
    """Where the key comes from; a callable is asked for each request, and once for all after a 401."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._fresh: Secret | Exception | None = None
        self._fresh_at = 0.0

    def ask(self, refused_at: float | None) -> Secret | Exception | None:
        """Return the key; *refused_at* is when the request was sent that was answered by a 401."""
        if self._source is None or isinstance(self._source, Secret):
            return self._source
        if refused_at is None:
            return self._call()
        with self._lock:
            if self._fresh_at <= refused_at:
                self._fresh, self._fresh_at = self._call(), time.monotonic()
            return self._fresh

    def _call(self) -> Secret | Exception:
        try:
            found = self._source()
            if isawaitable(found):
                _discard(found)
                raise ConfigurationError("api_key is an async callable: use AsyncClient or the async methods")
            return checked_key(found)
        except ConfigurationError as failure:
            return failure.with_traceback(None)


class _AsyncKey:
    """Where the key comes from; a callable is asked for each request, and once for all after a 401."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self._locks: weakref.WeakKeyDictionary[Any, asyncio.Lock] = weakref.WeakKeyDictionary()
        self._fresh: Secret | Exception | None = None
        self._fresh_at = 0.0

    async def ask(self, refused_at: float | None) -> Secret | Exception | None:
        """Return the key; *refused_at* is when the request was sent that was answered by a 401."""
        if self._source is None or isinstance(self._source, Secret):
            return self._source
        if refused_at is None:
            return await self._call()
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._fresh_at <= refused_at:
                self._fresh, self._fresh_at = await self._call(), time.monotonic()
            return self._fresh

    async def _call(self) -> Secret | Exception:
        try:
            found = self._source()
            return checked_key(await found if isawaitable(found) else found)
        except ConfigurationError as failure:
            return failure.with_traceback(None)


class _Head:
    """The header lines of a client's requests."""

    def __init__(self, settings: Settings) -> None:
        self._auth_header = settings.auth_header.lower()
        self._scheme = f"{settings.auth_scheme} " if settings.auth_scheme else ""
        self._user = {name.lower(): secret for name, secret in settings.headers.items()}
        self._common = {
            "host": settings.base_url.split("//", 1)[1].split("/", 1)[0],
            "user-agent": f"gemway/{__version__}",
            "content-type": "application/json",
        }

    def lines(self, call: Call, extra: Any, key: Secret | None) -> list[tuple[bytes, bytes]]:
        """Return the raw header lines of one request."""
        fields = dict(self._common)
        if call.streaming:
            # A proxy that buffers to compress would hold the whole stream back (nginx, gzip_types).
            fields["accept"], fields["accept-encoding"] = "text/event-stream", "identity"
        else:
            fields["accept"], fields["accept-encoding"] = "application/json", "gzip, deflate"
        if call.body is not None:
            fields["content-length"] = str(len(call.body))
        user = {**self._user, **{name.lower(): value for name, value in checked_headers(extra).items()}}
        user.pop(self._auth_header, None)  # extra headers never replace the credential
        fields.update((name, secret.reveal()) for name, secret in user.items())
        if key is not None:
            fields[self._auth_header] = self._scheme + key.reveal()
        return [(name.encode("ascii"), value.encode("ascii")) for name, value in fields.items()]

    def secrets(self, key: Secret | None) -> list[str]:
        """Return every text that must not be repeated to the user."""
        return [secret.reveal() for secret in (*self._user.values(), *([key] if key else ()))]


def transport_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of the HTTP libraries that are loaded: an injected client may be an httpx2 one."""
    modules = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    return _errors_of(*modules)


@lru_cache(maxsize=4)
def _errors_of(*modules: Any) -> tuple[type[Exception], ...]:
    return (*(module.TransportError for module in modules), *(module.InvalidURL for module in modules), OSError)


def to_connection_error(failure: BaseException, url: str, redact: Callable[[str], str]) -> APIConnectionError:
    """Return our error for one of the HTTP library; its cause is a copy without request and frames."""
    names = {kind.__name__ for kind in type(failure).__mro__}
    text = redact(str(failure)) or type(failure).__name__
    phase = next((_PHASES[name] for name in _PHASES if name in names), None)
    error: APIConnectionError
    if phase is not None:
        error = APITimeoutError(f"no answer from {url} in time ({phase}: {text})")
        error.phase = phase
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        error = APIConnectionError(f"{url} is not trusted: {text}. Set SSL_CERT_FILE or pass verify=")
        error.is_retryable = False
    else:
        error = APIConnectionError(f"no answer from {url}: {text}")
    error.sent = not names & _NOT_SENT
    if names & _FATAL:
        error.is_retryable = False
    error.__cause__ = _copy(failure, text)
    return error


def _copy(failure: BaseException, text: str) -> BaseException:
    try:
        return type(failure)(text)
    except TypeError:
        return OSError(text)


@lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


def _extensions(timeouts: Timeouts) -> dict[str, Any]:
    connect, read, write = timeouts
    return {"timeout": {"connect": connect, "read": read, "write": write, "pool": None}}


def _texts(lines: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("ascii"), value.decode("ascii")) for name, value in lines]


def _discard(awaitable: Any) -> None:
    if hasattr(awaitable, "close"):
        awaitable.close()  # a coroutine that nobody will await


def _nothing() -> None:
    """Give nothing back: the connection belongs to an injected client."""


async def _anothing() -> None:
    """Give nothing back: the connection belongs to an injected client."""
