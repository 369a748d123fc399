"""Warnings that point at the user's own line, whichever framework stands between it and us."""

from __future__ import annotations

import sys
import warnings
from typing import Final

# Python counts frames, and how many there are depends on the framework, its version and the way it was called. With a
# fixed number, warnings pointed at our files, at langchain-core's or at `sys:1`, so that nobody could see which of
# their calls was meant and the filter "once per line" hid the second one. So frames are skipped by their module: ours,
# those of the frameworks that call us, and those that run calls for them.
_SKIPPED: Final = frozenset(
    {
        *("gemway", "langchain_gemway", "llama_index"),
        *("llama_index_instrumentation", "workflows", "tenacity", "nest_asyncio", "deprecated", "wrapt"),
        *("langchain", "langchain_core", "langchain_classic", "langgraph", "langsmith", "pydantic_ai"),
        *("pydantic", "anyio", "uvloop", "asyncio", "concurrent", "threading"),
        *("contextlib", "contextvars", "copy", "copyreg", "functools", "inspect", "multiprocessing", "pickle", "runpy"),
    }
)
_warned: set[object] = set()


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line that belongs neither to gemway nor to a framework.

    In a thread that a framework started there is no such line; the warning then points at the outermost frame.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _SKIPPED:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)


def warn_once(key: object, message: str) -> None:
    """Warn as `warn` does, unless there was a warning under *key* before."""
    if key not in _warned:
        _warned.add(key)
        warn(message)
