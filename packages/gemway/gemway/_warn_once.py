"""Warnings that point at the line of the user's code, whatever stands between it and us."""

from __future__ import annotations

import sys
import warnings
from typing import Final

# Modules that are not the user's: ours, the frameworks that call us, and what runs calls for them.
_NOT_THE_USERS: Final = frozenset(
    {
        "gemway",
        "langchain_gemway",
        "llama_index",
        "llama_index_instrumentation",
        "workflows",
        "langchain",
        "langchain_core",
        "langchain_classic",
        "langgraph",
        "langsmith",
        "pydantic",
        "tenacity",
        "anyio",
        "uvloop",
        "nest_asyncio",
        "asyncio",
        "concurrent",
        "threading",
        "contextlib",
        "contextvars",
        "functools",
        "runpy",
    }
)
_warned: set[object] = set()


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with *message*, at the innermost line that belongs to none of the frameworks."""
    warnings.warn(message, category, stacklevel=_level_of_user() + 1)


def warn_once(key: object, message: str) -> None:
    """Warn with *message*, unless there was a warning under *key* before."""
    if key not in _warned:
        _warned.add(key)
        warn(message)


def _level_of_user() -> int:
    """Return the stacklevel, seen from the caller's caller, of the user's frame; of the outermost if there is none.

    In a thread that a framework started there is none, and the warning points at the thread's first line.
    """
    frame, level = sys._getframe(2), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_THE_USERS:
        frame, level = frame.f_back, level + 1
    return level
