"""Count the results of a batch: rows, tokens, pictures, money, and how long the rest will take. Knows no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

REFUSED: Final = "ContentBlockedError"
"""The error of rows whose prompt or answer was blocked; all others failed."""


@dataclass
class Usage:
    """Tokens. `output_tokens` includes `thought_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    thought_tokens: int = 0
    total_tokens: int = 0

    def add(self, usage: Mapping[str, Any]) -> None:
        """Add the usage of one row."""
        self.input_tokens += usage.get("input_tokens") or 0
        self.output_tokens += usage.get("output_tokens") or 0
        self.thought_tokens += usage.get("thought_tokens") or 0
        self.total_tokens += usage.get("total_tokens") or 0


@dataclass
class BatchReport:
    """How far a batch has come. Rows that an earlier run answered are counted too.

    Attributes:
        total: rows of the input, or None while that is unknown.
        done, refused, failed: rows with an answer, rows that were blocked, rows with another error.
        errors: how many rows ended with which type of error.
        usage: tokens of all rows.
        images: pictures that were generated.
        calls: requests of this run, repeated ones included.
        seconds: how long this run has taken.
        in_flight: calls that wait for their answer.
        earlier: rows that were in the output when this run began and were not asked again.
        to_ask: rows of the input that this run asks for, or None while that is unknown.
        prices: money per million input and output tokens.
    """

    total: int | None = None
    done: int = 0
    refused: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    images: int = 0
    calls: int = 0
    seconds: float = 0.0
    in_flight: int = 0
    earlier: int = 0
    to_ask: int | None = None
    prices: tuple[float, float] | None = None

    @property
    def rows(self) -> int:
        """Rows that have ended, one way or the other."""
        return self.done + self.refused + self.failed

    @property
    def rate(self) -> float:
        """Rows per second."""
        return max(0, self.rows - self.earlier) / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate, or None if that is unknown."""
        if self.to_ask is None or not self.rate:
            return None
        return max(0, self.to_ask - self.rows + self.earlier) / self.rate

    @property
    def cost(self) -> float | None:
        """The price of the tokens, or None without prices."""
        if self.prices is None:
            return None
        return (self.usage.input_tokens * self.prices[0] + self.usage.output_tokens * self.prices[1]) / 1_000_000

    def count(self, line: Mapping[str, Any], replaced: str | None = None) -> None:
        """Count a row of the output; *replaced* is the outcome of the same row that it takes the place of."""
        if replaced is not None:
            self._count_outcome(replaced, -1)
            self.earlier -= 1
        self._count_outcome(outcome_of(line), 1)
        if usage := line.get("usage"):
            self.usage.add(usage)
        self.images += len(line.get("images") or ())

    def _count_outcome(self, outcome: str, number: int) -> None:
        if not outcome:
            self.done += number
            return
        self.errors[outcome] += number
        self.errors += Counter()  # leaves out what has fallen to zero
        if outcome == REFUSED:
            self.refused += number
        else:
            self.failed += number

    def __str__(self) -> str:
        """All figures, one line for each kind."""
        of = f" of {self.total:,}" if self.total is not None else ""
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.errors.most_common())
        lines = [
            f"rows      {self.rows:,}{of}: {self.done:,} done, {self.refused:,} refused, {self.failed:,} failed",
            f"tokens    {self.usage.input_tokens:,} in, {self.usage.output_tokens:,} out"
            f" ({self.usage.thought_tokens:,} for thoughts)",
        ]
        lines += [f"errors    {kinds}"] if kinds else []
        lines += [f"pictures  {self.images:,}"] if self.images else []
        lines += [f"cost      {self.cost:,.2f}"] if self.cost is not None else []
        if self.seconds:
            left = "" if not self.seconds_left else f", {duration(self.seconds_left)} left"
            calls = f", {self.calls:,} calls" if self.calls else ""
            lines.append(f"time      {duration(self.seconds)}{calls}, {self.rate:,.1f} rows a second{left}")
        return "\n".join(lines)


def outcome_of(line: Mapping[str, Any]) -> str:
    """Return the type of the error of a row of the output, or `""` if it was answered."""
    return str(line["error"].get("type")) if line.get("error") else ""


def duration(seconds: float) -> str:
    """Return *seconds* in words: `"12 s"`, `"3 min 20 s"`, `"2 h 5 min"`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
