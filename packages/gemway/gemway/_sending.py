"""The parts that both transports share: clocks, concurrency, and the use of other people's clients and auth flows."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from inspect import iscoroutinefunction
from random import Random
from typing import Any, Final

from gemway._body import LargeBody
from gemway._checks import Timeouts
from gemway._exceptions import ConfigurationError
from gemway._json import JsonObject

now = time.monotonic
sync_sleep = time.sleep
async_sleep = asyncio.sleep

RANDOM: Final = Random()  # noqa: S311 - jitter is no secret
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=RANDOM.seed)  # forked workers must not wait in step


@contextmanager
def async_until(expires: float | None) -> Iterator[None]:
    """Raise `TimeoutError` where the block is not done by the deadline, if there is one.

    For injected clients and auth flows only: our own connections know the deadline.
    """
    if expires is None:
        yield
        return
    import anyio  # httpx brings it along

    with anyio.fail_after(max(0.0, expires - time.monotonic())):
        yield


@contextmanager
def sync_until(_: float | None) -> Iterator[None]:
    """Nothing can interrupt a blocking call of someone else's client; its timeouts bound it (`bounded_extensions`)."""
    yield


def sync_together(send: Callable[[Any], None], items: Sequence[Any], limit: int) -> None:
    """Call *send* for each of *items*, at most *limit* at the same time, in threads that end with this call."""
    # Threads only where they help: a single batch stays in the caller's thread, with its debugger and context.
    if len(items) == 1 or limit == 1:
        for item in items:
            send(item)
        return
    with ThreadPoolExecutor(min(limit, len(items)), thread_name_prefix="gemway") as threads:
        # Context variables carry tracing spans of frameworks, which threads would lose.
        sent = [threads.submit(copy_context().run, send, item) for item in items]
        for one in sent:
            one.result()


async def async_together(send: Callable[[Any], Awaitable[None]], items: Sequence[Any], limit: int) -> None:
    """Call *send* for each of *items*, at most *limit* at the same time. If one fails, the others are cancelled."""
    if len(items) == 1:
        await send(items[0])
        return
    remaining = iter(items)

    async def send_in_turn() -> None:
        for item in remaining:
            await send(item)

    senders = [asyncio.ensure_future(send_in_turn()) for _ in range(min(limit, len(items)))]
    try:
        await asyncio.gather(*senders)
    finally:
        for sender in senders:
            sender.cancel()


def as_bytes(body: bytes | LargeBody | None) -> bytes | None:
    """Return *body* in one piece, for clients and auth flows of others."""
    return bytes(body) if isinstance(body, LargeBody) else body


def bounded_extensions(theirs: Any, timeouts: Timeouts | None, expires: float | None) -> JsonObject:
    """Return the extensions for an injected client: its own timeouts, unless the user gave us some or a deadline."""
    if timeouts is not None:
        connect, read, write = timeouts
        return {**theirs, "timeout": {"connect": connect, "read": read, "write": write, "pool": read}}
    # Their timeouts are the user's choice; only a deadline of ours may shorten them.
    if expires is None:
        return dict(theirs)
    left = max(0.001, expires - now())
    phases = theirs.get("timeout", {})
    bounded = {name: min(left, phases.get(name) or left) for name in ("connect", "read", "write", "pool")}
    return {**theirs, "timeout": bounded}


def checked_client(client: Any, *, kind: str) -> Any:
    """Return an injected client. Raises `ConfigurationError` if it is of the other kind."""
    # Judged by its methods, not by its class: httpx and httpx2 clients work, and mocks of either.
    if client is not None and iscoroutinefunction(client.send) is not (kind == "async"):
        expected = "an AsyncClient" if kind == "async" else "a Client"
        raise ConfigurationError(f"http_client= must be {expected} of httpx or httpx2, not {type(client).__name__}")
    return client


def decoded_lines(lines: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return header lines as text, as httpx clients take them."""
    return [(name.decode("ascii"), value.decode("ascii")) for name, value in lines]


def is_read(response: Any) -> bool:
    """Whether the body was read already: by an auth flow that looks into it, or a transport of the user's own."""
    if not response.is_stream_consumed:
        return False
    response.headers.pop("content-encoding", None)  # the HTTP library has undone it
    return True
