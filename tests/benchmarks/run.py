"""Measure gemway beside the floors and the peers.

    python tests/benchmarks/run.py                        everything, some minutes
    python tests/benchmarks/run.py --only text,stream     measures whose name contains one of these
    python tests/benchmarks/run.py --curves               cost against concurrency, history, chunks, picture size
    python tests/benchmarks/run.py --quick                seconds; shows that everything runs, measures nothing

The figure is the CPU time of the client's process, user and system. Every contender has a process of its own, and the
rounds are interleaved: each round asks all of them once, in changing order. Ratios are taken within a round; the table
shows their median and spread. `compared` is, unless the row says otherwise, the contender's figure divided by the
cost of its framework with no network plus that of raw httpx for the same exchange.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import curves
import report
from contenders import CONTENDERS
from measures import JOBS, Job, quick
from processes import CORES, PINNED, Contestant, Field

_PACKAGES = (
    *("gemway", "langchain-gemway", "llama-index-llms-gemway", "httpx", "httpcore", "pydantic", "langchain-core"),
    *("llama-index-core", "langchain-google-genai", "llama-index-llms-google-genai", "google-genai", "httpx-aiohttp"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options().parse_args(arguments)
    begin = time.time()
    names = [name for name in CONTENDERS if _is_wanted(name, options)]
    with Field(names) as field:
        for name, reason in field.absent.items():
            print(f"without {name}: {reason}")
        made = (
            curves.draw(field, options.only.split(","), quick=options.quick)
            if options.curves
            else _measure(field, options)
        )
    about = {**machine(), "absent": field.absent, "seconds": round(time.time() - begin, 1)}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"about": about, **made}, indent=1) + "\n", encoding="utf-8")
    print(f"{about['seconds']} s; all figures are in {options.json}")
    return 1 if made["errors"] else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="parts of names of measures or curves, with commas between them")
    parser.add_argument(
        "--contenders", default="", help="names, with commas between them; floors take part in any case"
    )
    parser.add_argument("--no-peers", action="store_true", help="without the peers")
    parser.add_argument("--rounds", type=int, help="rounds of every measure, instead of 1 to 5")
    parser.add_argument("--curves", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("out/benchmarks.json"), help="where the figures go")
    return parser


def _is_wanted(name: str, options: argparse.Namespace) -> bool:
    contender = CONTENDERS[name]
    if contender.is_peer and (options.no_peers or options.quick or options.curves):
        return False
    if options.contenders and name in options.contenders.split(","):
        return True
    if options.curves:
        return not options.contenders and (name == "gemway" or contender.options is not None)
    return not options.contenders or name in {"httpx", *report.FLOORS.values()}


def _measure(field: Field, options: argparse.Namespace) -> dict[str, Any]:
    lines: list[tuple[str, ...]] = []
    figures, errors = [], {}
    for job in _jobs(options):
        answers, failed = _rounds(field, job, options.rounds or job.rounds)
        lines += report.lines(job, answers)
        title = job.rows[0].title
        figures.append({"measure": title, "how": job.how, "exercise": job.exercise, **job.sizes, "answers": answers})
        errors.update({f"{title}, {name}": error for name, error in failed.items()})
        print(f"measured: {title}", file=sys.stderr, flush=True)
    report.show("CPU time of the client", report.HEAD, lines)
    for where, error in errors.items():
        print(f"FAILED: {where}: {error}")
    return {"figures": figures, "table": [report.HEAD, *lines], "errors": errors}


def _jobs(options: argparse.Namespace) -> Iterator[Job]:
    wanted = options.only.split(",")
    for job in JOBS:
        names = " ".join([job.exercise, *(row.title for row in job.rows)])
        if any(want in names for want in wanted):
            yield quick(job) if options.quick else job


def _rounds(field: Field, job: Job, rounds: int) -> tuple[report.Answers, dict[str, str]]:
    """Let everybody do *job* once to warm up, where that makes a difference, and then *rounds* times."""
    takers = [each for each in field.contestants.values() if each.takes_part(job.how, job.exercise)]
    answers: report.Answers = {each.name: [] for each in takers}
    failed: dict[str, str] = {}
    warm_up = 0 if job.how in ("memory", "wide") or rounds == 1 else 1
    for number in range(-warm_up, 1 if job.how == "memory" else rounds):
        for contestant in _rotated(takers, number):
            if contestant.name in failed:
                continue
            answer = contestant.do(job.how, job.exercise, job.times, job.sizes)
            if "error" in answer:
                failed[contestant.name] = answer["error"]
            elif number >= 0:
                answers[contestant.name].append(answer)
    return answers, failed


def _rotated(takers: list[Contestant], number: int) -> list[Contestant]:
    first = number % len(takers) if takers else 0
    return takers[first:] + takers[:first]


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
        "cores": len(CORES),
        "pinned": bool(PINNED),
        "versions": versions,
    }


if __name__ == "__main__":
    sys.exit(main())
