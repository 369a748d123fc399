"""The logger `gemway`: one line for each request and for each repetition. Pure, and without anything secret.

Queries, headers, bodies and the texts of errors are left out: they may hold a key, a prompt, or line breaks of a stranger.
"""

from __future__ import annotations

import logging
from typing import Final

from gemway._exceptions import APIError
from gemway._protocol import Call

LOGGER: Final = logging.getLogger("gemway")
LOGGER.addHandler(logging.NullHandler())  # a library stays silent until the user configures logging


def log_request(call: Call, outcome: int | str, seconds: float, request_id: str | None = None) -> None:
    """Log one request: its *outcome* is the status of the answer, or the kind of the failure."""
    LOGGER.debug(
        "%s model=%s %s in %.0f ms%s",
        _method_and_path(call),
        call.model or "-",
        outcome,
        seconds * 1000,
        f" request_id={request_id}" if request_id else "",
    )


def log_repetition(call: Call, attempt: int, error: APIError, delay: float, change: str | None) -> None:
    """Log that *call* is sent again: with a *change* that the failure asks for, or unchanged after *delay* seconds."""
    status = "" if error.status_code is None else f" {error.status_code}"
    next_step = f"{change}, sending again at once" if change else f"retry in {delay:.2f} s"
    LOGGER.info("%s attempt %d: %s%s; %s", _method_and_path(call), attempt, type(error).__name__, status, next_step)


def _method_and_path(call: Call) -> str:
    return f"{call.method} {call.path.split('?', 1)[0]}"
