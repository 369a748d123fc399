"""How many functions of ours an action calls: a bound on cost that no busy machine can blur."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

from gemway_emulator import Emulator, reply


def count_calls(folders: str | tuple[str, ...], action: Callable[[], Any]) -> int:
    """Return how many functions of the code below *folders* run; a generator counts each time it goes on."""
    count = 0

    def profile(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(folders)

    gc.collect()
    gc.disable()  # finalizers of earlier tests' objects are not what is counted
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def calls_per_chunk(folders: str | tuple[str, ...], emulator: Emulator, read: Callable[[], Any]) -> float:
    """Return how many calls each further chunk of a stream costs."""
    counted = {}
    for size in (10, 10, 210):  # the first one warms up
        emulator.enqueue(_chunks(size))
        counted[size] = count_calls(folders, read)
    return (counted[210] - counted[10]) / 200


def _chunks(count: int) -> Any:
    """Return a streamed answer of *count* events."""
    message = {"content": {"role": "model", "parts": [{"text": "word "}]}, "index": 0}
    events = [{"candidates": [message]} for _ in range(count - 1)]
    return reply.stream([*events, {"candidates": [{**message, "finishReason": "STOP"}]}])
