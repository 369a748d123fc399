"""How cost grows with size: concurrency, history, chunks, pictures. Linear is an exponent of 1; more is a bug."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass, replace
from typing import Any

import report
from processes import Contestant, Field

ROUNDS = 3
_LONG = 100_000
"""From this size on a point is measured once."""


@dataclass(frozen=True)
class Curve:
    """One quantity that grows.

    Attributes:
        size: its name; `{}` in *sizes* is its value.
        work: how many requests, messages, chunks or megabytes are done in all, at least: small sizes are repeated.
    """

    title: str
    size: str
    how: str
    exercise: str
    values: tuple[float, ...]
    sizes: dict[str, Any]
    work: float

    def job(self, value: float) -> tuple[str, str, int, dict[str, Any]]:
        """Return what a contestant is to do for one value."""
        sizes = {name: self._put(setting, value) for name, setting in self.sizes.items()}
        times = max(1, round(self.work / value))
        return self.how, self.exercise, round(times * value) if self.how == "wide" else times, sizes

    @staticmethod
    def _put(setting: Any, value: float) -> Any:
        if setting == "{}":
            return value
        return setting.format(value) if isinstance(setting, str) else setting

    def total(self, answer: dict[str, Any], value: float) -> float:
        """Return the CPU seconds of one call, one stream, or one wave of *value* calls at a time."""
        cpu: float = answer["warm" if self.how == "wide" else "cpu"]
        return cpu * value if self.how == "wide" else cpu


CURVES = (
    Curve("calls at a time", "calls", "wide", "a_text", (1, 10, 30, 100, 300, 1000), {"width": "{}"}, 100),
    Curve("messages", "messages", "repeat", "history", (1, 21, 101, 501, 2001), {"messages": "{}", "tools": False}, 1000),
    Curve("chunks", "chunks", "drain", "stream", (10, 100, 1000, 10_000, 100_000), {"scenario": "chunks-{}"}, 1000),
    Curve("picture out", "MB", "repeat", "picture_out", (0.1, 0.4, 1, 4, 10, 40), {"megabytes": "{}"}, 8),
    Curve("picture in", "MB", "repeat", "picture_in", (0.1, 0.4, 1, 4, 10, 40), {"megabytes": "{}"}, 8),
)  # fmt: skip


def draw(field: Field, wanted: list[str], *, quick: bool = False) -> dict[str, Any]:
    """Measure the curves whose titles contain one of *wanted* for everybody, print CPU per unit of size, and return all figures."""
    drawn, errors = [], {}
    for curve in map(_short, CURVES) if quick else CURVES:
        if not any(want in curve.title for want in wanted):
            continue
        rows = []
        for contestant in field.contestants.values():
            points: list[tuple[float, float]] = []
            for value in curve.values:
                rounds = 1 if quick or value >= _LONG else ROUNDS
                found = [_point(curve, contestant, value) for _ in range(rounds)]
                if any(isinstance(each, str) for each in found):
                    errors[f"{curve.title}, {contestant.name}, {value:g}"] = str(found[0])
                    break
                points.append((value, statistics.median(found)))
            drawn.append({"curve": curve.title, "contender": contestant.name, "points": points})
            rows.append((contestant.name, *_shown(curve, points)))
        head = ("contender", *(f"{value:,g}" for value in curve.values), "exponent", "of the upper half")
        report.show(f"{curve.title}: CPU us for each {curve.size}", head, rows)
        print(f"drawn: {curve.title}", file=sys.stderr, flush=True)
    for where, error in errors.items():
        print(f"FAILED: {where}: {error}")
    return {"curves": drawn, "errors": errors}


def _point(curve: Curve, contestant: Contestant, value: float) -> Any:
    answer = contestant.do(*curve.job(value))
    if answer.get("missing"):
        return "cut off after 30 s"
    return answer["error"] if "error" in answer else curve.total(answer, value)


def _shown(curve: Curve, points: list[tuple[float, float]]) -> list[str]:
    shown = [report.number(cpu / value * 1e6) for value, cpu in points]
    shown += [""] * (len(curve.values) - len(points))
    # A call has a cost of its own, which hides growth where sizes are small: the upper half shows it.
    upper = points[len(points) // 2 :]
    return [*shown, *(f"{report.exponent(some):.2f}" if len(some) > 1 else "" for some in (points, upper))]


def _short(curve: Curve) -> Curve:
    return replace(curve, values=curve.values[:3], work=1)
