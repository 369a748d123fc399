"""What to send for a request: status, headers, and the bytes one piece after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass


@dataclass
class Outcome:
    """*delay* seconds pass before the first of *frames*, *frame_delay* between them; *cut* ends badly."""

    status: int
    headers: dict[str, str]
    frames: Iterable[bytes] | AsyncIterator[bytes]
    delay: float = 0.0
    frame_delay: float = 0.0
    cut: bool = False
    streamed: bool = False
