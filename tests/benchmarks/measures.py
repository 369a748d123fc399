"""What is measured, and what counts as good: the table of targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Row:
    """One line of the table, made of one figure of a job's answer.

    Attributes:
        figure: its name in the answer.
        unit: what it is shown in, and how many of them one second, byte or call is.
        against: `floors`: divided by framework floor + httpx of the same round; `httpx`: divided by httpx alone;
            `above httpx`: the difference; `itself`: the figure.
        targets: by family: the most that is good, or the least where `more` is set.
    """

    title: str
    figure: str = "cpu"
    unit: tuple[str, float] = ("ms", 1e3)
    against: Literal["floors", "httpx", "above httpx", "itself"] = "floors"
    targets: dict[str, float] = field(default_factory=dict)
    more: bool = False


@dataclass(frozen=True)
class Job:
    """One thing that every contender does in every round."""

    how: Literal["repeat", "drain", "wide", "memory", "cold"]
    exercise: str
    times: int
    rows: tuple[Row, ...]
    sizes: dict[str, Any] = field(default_factory=dict)
    rounds: int = 5


def _both(target: float) -> dict[str, float]:
    return {"langchain": target, "llama-index": target}


def _calls(exercise: str, title: str, times: int, target: float) -> Job:
    return Job("repeat", exercise, times, (Row(title, targets=_both(target)),))


def _stream(exercise: str, title: str, scenario: str, target: float) -> Job:
    per_chunk = ("us/chunk", 1e6 / int(scenario.partition("-")[2]))
    row = Row(title, unit=per_chunk, targets=_both(target))
    return Job("drain", exercise, 1, (row,), {"scenario": scenario})


def _peak(exercise: str, title: str, megabytes: float, most: float) -> Job:
    of_base64 = ("x base64", 1 / (megabytes * 1e6))
    row = Row(title, "bytes", of_base64, "itself", _both(most * megabytes * 1e6))
    return Job("memory", exercise, 1, (row,), {"megabytes": megabytes}, rounds=1)


_ABOVE = "above httpx"

JOBS = (
    _peak("picture_out", "4 MB picture out, peak with the user's decoding", 4, 2.5),
    _peak("picture_in", "4 MB picture in, peak with the user's encoding", 4, 3),
    _peak("picture_received", "25 MB picture out, peak", 25, 2.5),
    _peak("picture_in", "25 MB picture in, peak with the user's encoding", 25, 3),
    _calls("text", "text call", 60, 1.15),
    _calls("a_text", "text call, async", 60, 1.15),
    _calls("tools", "20 tools", 20, 1.2),
    _calls("history", "201 messages, 20 tools", 5, 1.3),
    _calls("structured", "structured output", 30, 1.15),
    _stream("stream", "stream of 1,000", "chunks-1000", 1.15),
    _stream("a_stream", "stream of 1,000, async", "chunks-1000", 1.15),
    _stream("stream", "paced stream of 200", "paced-200", 1.2),
    _stream("a_stream", "paced stream of 200, async", "paced-200", 1.2),
    Job(
        "drain",
        "stream",
        20,
        (Row("time to first chunk", "first", ("ms wall", 1e3), _ABOVE, _both(0.5e-3)),),
        {"scenario": "paced-2"},
    ),
    Job(
        "repeat",
        "picture_out",
        5,
        (Row("4 MB picture out", against="httpx", targets={"langchain": 0.7, "llama-index": 1.5}),),
    ),
    Job(
        "repeat",
        "picture_in",
        5,
        (Row("4 MB picture in", against="httpx", targets={"langchain": 0.9, "llama-index": 2}),),
    ),
    Job(
        "wide",
        "a_text",
        500,
        (
            Row("100 at a time, new pool", targets=_both(0.6)),
            Row("100 at a time, warm pool", "warm", targets=_both(0.6)),
            Row("warm / new", "growth", ("x", 1), "itself", _both(1.15)),
        ),
        {"width": 100},
        rounds=3,
    ),
    Job(
        "wide",
        "a_text",
        1000,
        (
            Row("1,000 at a time, 250 ms", against="itself", targets=_both(1.6e-3)),
            Row("1,000 at a time, 250 ms", "rate", ("calls/s", 1), "itself", _both(550), more=True),
        ),
        {"width": 1000, "scenario": "slow", "passes": 1, "seconds": 15},
        rounds=2,
    ),
    Job(
        "cold",
        "",
        1,
        (
            Row("import + first object", against="itself", targets={"langchain": 80e-3, "llama-index": 150e-3}),
            Row("100 objects", "hundred", against="itself", targets=_both(50e-3)),
            Row("modules imported", "modules", ("", 1), "itself"),
        ),
        rounds=3,
    ),
)


def quick(job: Job) -> Job:
    """Return *job* with so little work that it only shows that it runs."""
    sizes = {**job.sizes, "width": 20} if "width" in job.sizes else job.sizes
    return Job(job.how, job.exercise, 20 if job.how == "wide" else 1, job.rows, sizes, rounds=1)
