"""One limit for many callers: a client asks its limiter before each request.

    client = Client(limiter=RedisLimiter("redis://localhost", per_second=20))

A limiter is anything with `acquire(cost)`. It blocks until a request may start; for asyncio it is called in a thread, unless it
is a coroutine function or the object also has `aacquire(cost)`.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import threading
import time
from typing import Any, Final, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from gemway._exceptions import ConfigurationError, GemwayError


class LimiterError(GemwayError):
    """The limiter cannot decide whether a request may start: its Redis is lost."""


@runtime_checkable
class Limiter(Protocol):
    """Something that decides when a request may start."""

    def acquire(self, cost: float = 1.0) -> object:
        """Return when a request of this *cost* may start, and count it. May be a coroutine function."""


def sync_acquire(limiter: Limiter) -> None:
    """Wait until *limiter* lets a request start."""
    waiting = limiter.acquire(1.0)
    if inspect.iscoroutine(waiting):
        waiting.close()
        raise ConfigurationError(
            "limiter= has a coroutine function acquire(); use an asyncio client, or one that blocks"
        )


async def async_acquire(limiter: Limiter) -> None:
    """Wait until *limiter* lets a request start, without blocking the event loop."""
    acquire = getattr(limiter, "aacquire", limiter.acquire)
    if inspect.iscoroutinefunction(acquire):
        await acquire(1.0)
    else:
        await asyncio.to_thread(acquire, 1.0)


class FrameworkLimiter:
    """A rate limiter of LangChain or LlamaIndex as a limiter of gemway. Both count calls, so the cost is rounded."""

    def __init__(self, limiter: Any) -> None:
        wait = getattr(limiter, "aacquire", None) or getattr(limiter, "async_acquire", None)
        if wait is None:
            raise ConfigurationError(f"{type(limiter).__name__} is no rate limiter of LangChain or LlamaIndex")
        self._limiter, self._wait = limiter, wait

    def acquire(self, cost: float = 1.0) -> None:
        """Return when a request may start."""
        for _ in range(max(1, round(cost))):
            self._limiter.acquire()

    async def aacquire(self, cost: float = 1.0) -> None:
        """Return when a request may start."""
        for _ in range(max(1, round(cost))):
            await self._wait()


class RedisLimiter:
    """A limit that processes and machines share through Redis (the extra `gemway[redis]`).

    Permits are taken in blocks, and a process that must wait sleeps until the next ones are free, so that waiting costs Redis a
    few commands a second. Connects at the first request, and can be pickled.

    Args:
        url: such as `redis://:password@host:6379/0`; never shown.
        per_second: how many requests a second all callers together may send.
        name: callers with the same name share the limit.
        fallback_per_second: requests a second that this process may send while Redis is lost; None makes that a `LimiterError`.
    """

    def __init__(
        self, url: str, *, per_second: int, name: str = "gemway", fallback_per_second: float | None = None
    ) -> None:
        if per_second < 1:
            raise ConfigurationError(f"per_second must be 1 or more, not {per_second!r}")
        self._url = url
        self._per_second = per_second
        self._name = name
        self._fallback = fallback_per_second
        self._block = max(1, per_second // _BLOCKS_PER_SECOND)
        self._start_unconnected()

    def _start_unconnected(self) -> None:
        self._window: Any = None
        self._permits, self._expire, self._next_local = 0.0, 0.0, 0.0
        self._lock = threading.Lock()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def acquire(self, cost: float = 1.0) -> None:
        """Return when a request of this *cost* may start."""
        while seconds := self._take_permits(cost):
            time.sleep(seconds)

    async def aacquire(self, cost: float = 1.0) -> None:
        """Return when a request of this *cost* may start."""
        # One task of a loop asks Redis; the others wait for their turn.
        turn = self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with turn:
            while seconds := await asyncio.to_thread(self._take_permits, cost):  # noqa: ASYNC110 - Redis rings no bell
                await asyncio.sleep(seconds)

    def _take_permits(self, cost: float) -> float:
        """Take permits and return 0, or the seconds after which to try again."""
        with self._lock:
            if self._permits >= cost and time.monotonic() < self._expire:
                self._permits -= cost
                return 0.0
            try:
                return self._take_block(cost)
            except ConfigurationError:
                raise
            except Exception as error:  # noqa: BLE001 - redis, its pool and the network each raise their own
                if self._fallback is None:
                    raise LimiterError(f"the limiter's Redis is lost ({type(error).__name__})") from None
                return self._take_locally(cost, self._fallback)

    def _take_block(self, cost: float) -> float:
        limits, window = self._connect()
        item = limits.RateLimitItemPerSecond(self._per_second)
        count = max(self._block, round(cost))
        if window.hit(item, self._name, cost=count):
            self._permits, self._expire = count - cost, time.monotonic() + 1.0
            return 0.0
        free_at = window.get_window_stats(item, self._name).reset_time
        # A little later than that, so that callers do not all come at the same moment.
        jitter = random.uniform(0.0, 0.2 * self._block / self._per_second)  # noqa: S311 - no secret
        return float(min(1.0, max(0.0, free_at - time.time())) + jitter + 0.001)

    def _take_locally(self, cost: float, per_second: float) -> float:
        now = time.monotonic()
        if now < self._next_local:
            return self._next_local - now
        self._next_local = max(now, self._next_local) + cost / per_second
        return 0.0

    def _connect(self) -> tuple[Any, Any]:
        try:
            import limits  # type: ignore[import-not-found,import-untyped,unused-ignore]  # an extra
            import redis  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401 - an extra; limits needs, so that a missing one is named here
        except ImportError:
            raise ConfigurationError("RedisLimiter needs limits and redis: pip install 'gemway[redis]'") from None
        if self._window is None:
            storage = limits.storage.storage_from_string(self._url, socket_timeout=2, socket_connect_timeout=2)
            self._window = limits.strategies.MovingWindowRateLimiter(storage)
        return limits, self._window

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self._url, "name": self._name, "per_second": self._per_second, "fallback": self._fallback}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._url, self._name = state["url"], state["name"]
        self._per_second, self._fallback = state["per_second"], state["fallback"]
        self._block = max(1, self._per_second // _BLOCKS_PER_SECOND)
        self._start_unconnected()

    def __repr__(self) -> str:
        return f"<RedisLimiter {self._name!r}, {self._per_second} a second>"


_BLOCKS_PER_SECOND: Final = 4
