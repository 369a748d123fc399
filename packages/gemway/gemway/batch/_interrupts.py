"""Run a batch in an event loop of its own, which Ctrl-C ends gently. The one place of the library that starts a loop."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from gemway import ConfigurationError

T = TypeVar("T")


class StopRequest:
    """Ctrl-C: lets a batch end the calls in flight."""

    def __init__(self) -> None:
        self.is_made = False
        self._stop: Callable[[], None] | None = None

    def bind(self, stop: Callable[[], None]) -> None:
        """Call *stop* when the request is made, or now if it was."""
        self._stop = stop
        if self.is_made:
            stop()

    def make(self, task: asyncio.Task[Any]) -> None:
        """Stop the batch; at the second time, at once."""
        if self.is_made:
            task.cancel()
        self.is_made = True
        if self._stop is not None:
            self._stop()


def run_to_end(work: Callable[[StopRequest], Coroutine[Any, Any, T]]) -> T:
    """Run *work* in an event loop of its own. Raises `KeyboardInterrupt` after Ctrl-C, when the calls in flight have ended."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise ConfigurationError("an event loop is running here (a notebook?); write: await gemway.batch.arun(...)")
    request = StopRequest()

    async def run_interruptibly() -> T:
        task = asyncio.current_task()
        # Only the main thread gets signals, and on Windows no loop can take them.
        if task is None or threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
            return await work(request)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, request.make, task)
        try:
            return await work(request)
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    try:
        result = asyncio.run(run_interruptibly())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    if request.is_made:
        raise KeyboardInterrupt
    return result


def run_in_own_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run *work* in an event loop of its own, in a thread of its own if one is running here (notebooks, async workers)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1, "gemway-batch") as executor:
        return executor.submit(lambda: asyncio.run(work())).result()
