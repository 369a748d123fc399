"""Where the key comes from, and the header lines that carry it. Failures are returned: their frames would hold it."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Mapping
from inspect import isawaitable
from typing import Any

from gemway._checks import checked_key, without_scheme
from gemway._config import Settings
from gemway._exceptions import ConfigurationError
from gemway._protocol import Call
from gemway._redaction import Redactor, Secret
from gemway._version import __version__


class SyncKey:
    """The user's callable that returns the key. It is called for each request, and after a 401 once for all that wait."""

    def __init__(self, source: Any, scheme: str) -> None:
        self._source = source
        self._scheme = scheme
        self._lock = threading.Lock()
        self._fresh: Secret | Exception | None = None
        self._fresh_at = 0.0

    def ask(self, refused_at: float | None) -> Secret | Exception | None:
        """Return the key; *refused_at* is when the request was sent that was answered by a 401."""
        if refused_at is None:
            return self._call_source()
        with self._lock:
            # Many calls are refused at the same moment; the first one fetches a new key, the others take it.
            if self._fresh_at <= refused_at:
                self._fresh, self._fresh_at = self._call_source(), time.monotonic()
            return self._fresh

    def _call_source(self) -> Secret | Exception:
        try:
            answer = self._source()
            if isawaitable(answer):
                _close_unawaited(answer)
                raise ConfigurationError("api_key is an async callable: use AsyncClient or the async methods")
            key: Secret = without_scheme(checked_key(answer), self._scheme)
            return key
        except ConfigurationError as failure:
            return failure.with_traceback(None)


class AsyncKey:
    """The user's callable that returns the key. It is called for each request, and after a 401 once for all that wait."""

    def __init__(self, source: Any, scheme: str) -> None:
        self._source = source
        self._scheme = scheme
        self._locks: weakref.WeakKeyDictionary[Any, asyncio.Lock] = weakref.WeakKeyDictionary()
        self._fresh: Secret | Exception | None = None
        self._fresh_at = 0.0

    async def ask(self, refused_at: float | None) -> Secret | Exception | None:
        """Return the key; *refused_at* is when the request was sent that was answered by a 401."""
        if refused_at is None:
            return await self._call_source()
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._fresh_at <= refused_at:
                self._fresh, self._fresh_at = await self._call_source(), time.monotonic()
            return self._fresh

    async def _call_source(self) -> Secret | Exception:
        try:
            answer = self._source()
            key: Secret = without_scheme(checked_key(await answer if isawaitable(answer) else answer), self._scheme)
            return key
        except ConfigurationError as failure:
            return failure.with_traceback(None)


class HeaderLines(list[tuple[bytes, bytes]]):
    """Raw header lines, the key among them, that are never shown."""

    def __repr__(self) -> str:
        return f"<{len(self)} header lines>"


class RequestHeaders:
    """The header lines of a client's requests.

    Names go out in their usual case. HTTP ignores the case, but not every proxy does: proxy.py adds a second
    Content-Length if the first one is in lower case, and gateways refuse such a request.
    """

    def __init__(self, settings: Settings) -> None:
        self._auth_header = settings.auth_header
        self._scheme = f"{settings.auth_scheme} " if settings.auth_scheme else ""
        self._user = settings.headers
        self._common = {
            "Host": settings.base_url.split("//", 1)[1].split("/", 1)[0],
            "User-Agent": f"gemway/{__version__}",
            "Content-Type": "application/json",
        }

    def lines(self, call: Call, extra: Any, key: Secret | None) -> HeaderLines:
        """Return the raw header lines of one request."""
        fields = {**self._common, **{name.title(): value for name, value in call.headers.items()}}
        if call.streaming:
            # A proxy that buffers to compress would hold the whole stream back (nginx, gzip_types).
            fields["Accept"], fields["Accept-Encoding"] = "text/event-stream", "identity"
        else:
            fields["Accept"], fields["Accept-Encoding"] = "application/json", "gzip, deflate"
        if call.body is not None:
            fields["Content-Length"] = str(len(call.body))
        if self._user or extra:
            fields = self._with_user_headers(fields, extra)
        if key is not None:
            fields[self._auth_header] = self._scheme + key.reveal()
        return HeaderLines((name.encode("ascii"), value.encode("ascii")) for name, value in fields.items())

    def _with_user_headers(self, fields: dict[str, str], extra: Any) -> dict[str, str]:
        """Return *fields* and the user's headers, those of the call last; one of a name, in whatever case."""
        # Header names are case-insensitive, so a user's `user-agent` must replace ours and not travel next to it.
        merged = {name.lower(): (name, value) for name, value in fields.items()}
        for headers in (self._user, extra or {}):
            merged.update((name.lower(), (name, secret.reveal())) for name, secret in headers.items())
        merged.pop(self._auth_header.lower(), None)  # extra headers never replace the credential
        return dict(merged.values())

    def redactor(self, key: Secret | None, extra: Mapping[str, Secret] | None) -> Redactor:
        """Return the filter for everything that must not be repeated to the user."""
        return Redactor([*self._user.values(), *(extra or {}).values(), *([key] if key else ())])


def _close_unawaited(awaitable: Any) -> None:
    if hasattr(awaitable, "close"):
        awaitable.close()  # a coroutine that nobody will await
