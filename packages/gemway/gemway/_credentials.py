"""Keys that a callable of the user returns. Failures are returned, not raised: their frames would hold the key."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from inspect import isawaitable
from typing import Any

from gemway._checks import checked_key, without_scheme
from gemway._exceptions import ConfigurationError
from gemway._redaction import Secret


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
        self._locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()
        self._fresh: Secret | Exception | None = None
        self._fresh_at = 0.0

    async def ask(self, refused_at: float | None) -> Secret | Exception | None:
        """Return the key; *refused_at* is when the request was sent that was answered by a 401."""
        if refused_at is None:
            return await self._call_source()
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            # As in `SyncKey`: the first of many refused calls fetches a new key, the others take it.
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


def _close_unawaited(awaitable: object) -> None:
    if hasattr(awaitable, "close"):
        awaitable.close()  # a coroutine that nobody will await
