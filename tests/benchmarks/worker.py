"""One contender in one process. Reads jobs as lines of JSON from standard input and answers each with a line.

    {"how": "repeat", "exercise": "text", "times": 60, "sizes": {}}

`how` is the name of a function below. Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import inspect
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TextIO

import workload
from contenders import CONTENDERS, exercises

Ask = Callable[[], Any]


def repeat(worker: Worker, exercise: str, times: int, sizes: dict[str, Any]) -> dict[str, float]:
    """Ask *times* times, one after the other: CPU seconds per call."""
    ask = worker.ask(exercise, sizes)

    async def in_turn() -> None:
        for _ in range(times):
            await ask()

    begin = time.process_time()
    if inspect.iscoroutinefunction(ask):
        worker.loop.run_until_complete(in_turn())
    else:
        for _ in range(times):
            ask()
    return {"cpu": (time.process_time() - begin) / times}


def drain(worker: Worker, exercise: str, times: int, sizes: dict[str, Any]) -> dict[str, float]:
    """Read *times* streams to their ends: CPU seconds per stream, seconds to the first chunk (median)."""
    ask = worker.ask(exercise, sizes)
    waited = []
    begin = time.process_time()
    for _ in range(times):
        asked = time.perf_counter()
        arrivals = worker.loop.run_until_complete(_aread(ask)) if inspect.isasyncgenfunction(ask) else _read(ask)
        waited.append(arrivals - asked)
    cpu = (time.process_time() - begin) / times
    return {"cpu": cpu, "first": sorted(waited)[times // 2]}


def wide(worker: Worker, exercise: str, times: int, sizes: dict[str, Any]) -> dict[str, float]:
    """Ask *times* times with `width` calls at a time, in a new event loop, and then again over its connections.

    CPU seconds per call of the first pass and of the second (`warm`), calls per second of the first. A pass that
    takes longer than `seconds` is cut off: its figures are then lower bounds, and the process is of no more use.
    """
    sizes = dict(sizes)
    width, seconds, passes = sizes.pop("width"), sizes.pop("seconds", 30.0), sizes.pop("passes", 2)
    loop = asyncio.new_event_loop()
    ask = getattr(worker.contender, exercise)(**sizes)
    first = loop.run_until_complete(_lanes(ask, times, width, seconds))
    if first["missing"]:
        return {**first, "cut_off": 1}
    warm = loop.run_until_complete(_lanes(ask, times, width, seconds)) if passes > 1 else first
    return {**first, "warm": warm["cpu"], "growth": warm["cpu"] / first["cpu"], "cut_off": warm["missing"]}


_MMAP_THRESHOLD = -3


def memory(worker: Worker, exercise: str, times: int, sizes: dict[str, Any]) -> dict[str, float]:
    """Ask once: how far the process grew at its largest, in bytes. Linux only."""
    worker.ask("text", {})
    ask = getattr(worker.contender, exercise)(**sizes)
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, 2**20)  # what large objects need must not depend on what was freed before
    libc.malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # the high-water mark begins anew
    before = _memory("VmRSS")
    ask()
    return {"bytes": _memory("VmHWM") - before}


HOW: dict[str, Callable[..., dict[str, float]]] = {"repeat": repeat, "drain": drain, "wide": wide, "memory": memory}


class Worker:
    """Keeps the exercises of one contender, each checked for the right answer before it is measured."""

    def __init__(self, name: str, address: str) -> None:
        self.contender = exercises(CONTENDERS[name], address)
        self.loop = asyncio.new_event_loop()
        self._asks: dict[str, Ask] = {}

    def ask(self, exercise: str, sizes: dict[str, Any]) -> Ask:
        key = f"{exercise} {sizes}"
        if key not in self._asks:
            ask = getattr(self.contender, exercise)(**sizes)
            workload.check(exercise, self._once(ask))
            self._asks[key] = ask
        return self._asks[key]

    def _once(self, ask: Ask) -> Any:
        if inspect.isasyncgenfunction(ask):
            return self.loop.run_until_complete(_collect(ask))
        if inspect.iscoroutinefunction(ask):
            return self.loop.run_until_complete(ask())
        answer = ask()
        return list(answer) if inspect.isgenerator(answer) else answer


async def _collect(ask: Ask) -> list[Any]:
    return [piece async for piece in ask()]


def _read(ask: Ask) -> float:
    arrived = 0.0
    for _ in ask():
        arrived = arrived or time.perf_counter()
    return arrived


async def _aread(ask: Ask) -> float:
    arrived = 0.0
    async for _ in ask():
        arrived = arrived or time.perf_counter()
    return arrived


async def _lanes(ask: Callable[[], Awaitable[Any]], times: int, width: int, seconds: float) -> dict[str, float]:
    turns = iter(range(times))
    done = 0

    async def lane() -> None:
        nonlocal done
        for _ in turns:
            await ask()
            done += 1

    began, begin = time.perf_counter(), time.process_time()
    lanes = [asyncio.ensure_future(lane()) for _ in range(width)]
    finished, late = await asyncio.wait(lanes, timeout=seconds)
    cpu, took = time.process_time() - begin, time.perf_counter() - began
    failed = [error for each in finished if (error := each.exception())]
    if failed:
        raise failed[0]
    return {"cpu": cpu / times, "rate": done / took, "missing": len(late)}


def _memory(field: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def main(name: str, address: str, core: int | None, out: TextIO) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        worker = Worker(name, address)
    except ImportError as error:
        print(json.dumps({"missing": f"{error.name or error} cannot be imported"}), file=out, flush=True)
        return
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer: dict[str, Any] = HOW[job.pop("how")](worker, **job)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), file=out, flush=True)
        if answer.get("cut_off"):
            os._exit(0)  # to cancel a thousand calls could take a pool minutes
    os._exit(0)  # nobody times the way out


if __name__ == "__main__":
    out, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print is no answer
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None, out)
