"""What a debugger or an error tracker would show of an error: the local variables of all frames of ours."""

from __future__ import annotations

import traceback

_OURS = ("gemway", "langchain_gemway", "llama_index.llms.gemway", "llama_index.tools.gemway")


def locals_of_ours(error: BaseException | None) -> str:
    """Return every local variable of every frame of our packages that *error* and its causes lead to, as text."""
    seen, shown, queue = set(), [], [error]
    while queue:
        error = queue.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        queue += [error.__cause__, error.__context__]
        for frame, _ in traceback.walk_tb(error.__traceback__):
            name = frame.f_globals.get("__name__", "")
            if any(name == ours or name.startswith(f"{ours}.") for ours in _OURS):
                shown += [f"{name}:{frame.f_code.co_name}:{local}={value!r}" for local, value in frame.f_locals.items()]
    return "\n".join(shown)
