"""Warn about a thing once in this process, at the line of the user's code."""

from __future__ import annotations

import sys
import warnings
from typing import Final

_OURS: Final = ("gemway.", "langchain_gemway.", "llama_index.llms.gemway.", "llama_index.tools.gemway.")
_warned: set[object] = set()


def warn_once(key: object, message: str) -> None:
    """Warn with *message*, unless there was a warning under *key* before."""
    if key not in _warned:
        _warned.add(key)
        warnings.warn(message, UserWarning, stacklevel=_frames_of_ours())


def _frames_of_ours() -> int:
    """Return the stacklevel of the first caller outside our packages, to whom the warning speaks."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame, level = frame.f_back, level + 1
    return level
