"""From figures to the table: ratios within one round, their medians and spreads, and the exponents of curves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contenders import CONTENDERS
from measures import Job, Row

FLOORS = {"langchain": "langchain", "llama-index": "llama-index"}
Answers = dict[str, list[dict[str, Any]]]
"""What each contender answered, round by round."""


@dataclass(frozen=True)
class Cell:
    """One contender's place in one row: medians over the rounds, and the extremes of what is compared."""

    value: float
    compared: float | None
    low: float = 0.0
    high: float = 0.0
    target: float | None = None
    met: bool | None = None
    bounded: bool = False


def cells(row: Row, answers: Answers) -> dict[str, Cell]:
    """Return the row of the table: contender -> cell."""
    return {name: _cell(row, name, answers) for name in answers if answers[name] and row.figure in answers[name][0]}


def _cell(row: Row, name: str, answers: Answers) -> Cell:
    family = CONTENDERS[name].family
    mine = [answer[row.figure] for answer in answers[name] if row.figure in answer]
    bounded = any(answer.get("cut_off") for answer in answers[name])
    compared = sorted(_compared(row, family, mine, answers))
    target = None if name == FLOORS.get(family) else row.targets.get(family)
    if not compared:
        return Cell(statistics.median(mine), None, bounded=bounded)
    middle = statistics.median(compared)
    met = None if target is None else (middle >= target if row.more else middle <= target)
    return Cell(statistics.median(mine), middle, compared[0], compared[-1], target, met, bounded)


def _compared(row: Row, family: str, mine: Sequence[float], answers: Answers) -> list[float]:
    """Compare round by round, since a busy minute slows everybody in it."""
    if row.against == "itself":
        return list(mine)
    bars = [_figures(row, "httpx", answers)]
    if row.against == "floors" and family in FLOORS:
        bars.append(_figures(row, FLOORS[family], answers))
    if not all(bars):
        return []
    bar = [sum(each) for each in zip(*bars, strict=False)]
    if row.against == "above httpx":
        return [own - other for own, other in zip(mine, bar, strict=False)]
    return [own / other for own, other in zip(mine, bar, strict=False)]


def _figures(row: Row, name: str, answers: Answers) -> list[float]:
    return [answer[row.figure] for answer in answers.get(name, ()) if row.figure in answer]


HEAD = ("measure", "unit", "contender", "median", "compared", "spread", "target", "")


def lines(job: Job, answers: Answers) -> list[tuple[str, ...]]:
    """Return the lines of the table for one job."""
    found: list[tuple[str, ...]] = []
    for row in job.rows:
        title, unit = row.title, row.unit[0]
        for name, cell in cells(row, answers).items():
            found.append((title, unit, name, *_shown(row, cell)))
            title = unit = ""
    return found


def _shown(row: Row, cell: Cell) -> tuple[str, ...]:
    scale = row.unit[1]
    factor = scale if row.against in ("itself", "above httpx") else 1.0
    sign = "x" if row.against in ("floors", "httpx") else ""
    value = (">" if cell.bounded else "") + number(cell.value * scale)
    if cell.compared is None:
        return value, "", "", "", ""
    compared = "" if row.against == "itself" else sign + number(cell.compared * factor)
    spread = "" if cell.low == cell.high else f"{number(cell.low * factor)} to {number(cell.high * factor)}"
    if cell.target is None:
        return value, compared, spread, "", ""
    target = (">= " if row.more else "<= ") + sign + number(cell.target * factor)
    return value, compared, spread, target, "met" if cell.met else "ABOVE" if not row.more else "BELOW"


def number(value: float) -> str:
    """Return *value* with three digits that mean something."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 3)}f}"


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, with rich where it is installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _show_plain(title, head, rows)
        return
    table = Table(title=title, title_justify="left")
    for name in head:
        table.add_column(name, justify="left" if name in ("measure", "unit", "contender", "") else "right")
    for row in rows:
        if row[0]:
            table.add_section()
        table.add_row(*row)
    Console(width=130).print(table)


def _show_plain(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(title)
    for row in (head, *rows):
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return b of the best fit of y = a * x**b to (x, y) pairs: 1 is linear, less is better."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    return statistics.linear_regression([x for x, _ in logs], [y for _, y in logs]).slope
