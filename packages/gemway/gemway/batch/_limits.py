"""One limit for many callers: the protocol, the frameworks' own rate limiters, and one shared through Redis."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Protocol, TypeAlias, runtime_checkable


@runtime_checkable
class Limiter(Protocol):
    """Something that says when a call may start."""

    def acquire(self, cost: float = 1.0) -> object:
        """Return when a call of this *cost* may start, and count it."""


@runtime_checkable
class AsyncLimiter(Protocol):
    """The same for asyncio."""

    async def acquire(self, cost: float = 1.0) -> object:
        """Return when a call of this *cost* may start, and count it."""


AnyLimiter: TypeAlias = Limiter | AsyncLimiter


async def acquire(limiter: AnyLimiter, cost: float = 1.0) -> None:
    """Wait for either kind of limiter; one that blocks waits in a thread."""
    if inspect.iscoroutinefunction(limiter.acquire):
        await limiter.acquire(cost)
    else:
        waiting = await asyncio.to_thread(limiter.acquire, cost)
        if inspect.isawaitable(waiting):
            await waiting


class FrameworkLimiter:
    """A rate limiter of LangChain or LlamaIndex, for gemway.

    LangChain's `BaseRateLimiter` has `aacquire`, LlamaIndex's has `async_acquire`; both count calls, so the cost is rounded up
    to whole ones.
    """

    def __init__(self, limiter: Any) -> None:
        wait = getattr(limiter, "aacquire", None) or getattr(limiter, "async_acquire", None)
        if wait is None:
            raise TypeError(f"{type(limiter).__name__} is no rate limiter of LangChain or LlamaIndex")
        self._wait = wait

    async def acquire(self, cost: float = 1.0) -> None:
        """Return when a call may start."""
        for _ in range(max(1, round(cost))):
            await self._wait()
