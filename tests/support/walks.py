"""What a reader crosses who follows one message through the code: functions, lines and files of ours."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

# Python 3.12 runs comprehensions inside the function that holds them; before, each was a function of its own.
_INLINE = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})


class Walk(NamedTuple):
    """Distinct functions, lines and files that one action crosses."""

    functions: int
    lines: int
    files: int

    def exceeds(self, ceiling: Walk) -> bool:
        return any(mine > most for mine, most in zip(self, ceiling, strict=True))


def walk(folders: tuple[str, ...], action: Callable[[], Any], *, warm_up: int = 2) -> Walk:
    """Return what *action* crosses of the code below *folders*, in this thread, once it has run *warm_up* times."""
    for _ in range(warm_up):
        action()
    functions: set[Any] = set()
    lines: set[tuple[str, int]] = set()

    def trace(frame: Any, event: str, _: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(folders):
            return None
        if event == "call" and code.co_name not in _INLINE:
            functions.add(code)
        elif event == "line":
            lines.add((code.co_filename, frame.f_lineno))
        return trace

    gc.collect()
    gc.disable()  # finalizers of earlier tests' objects are no part of the walk
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
        gc.enable()
    return Walk(len(functions), len(lines), len({file for file, _ in lines}))
