"""How many functions of ours an action calls: a bound on cost that no busy machine can blur."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any


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
