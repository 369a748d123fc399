"""Ten minutes of mixed calls against a faulty gateway: memory, sockets, threads and tasks must stay flat.

    python tests/soak/run.py [--seconds 600] [--rate 60]

Prints a sample every few seconds and the slopes after warm-up; exits with 1 if one of them is not flat.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gemway import APIError, AsyncClient

ASK = {"contents": [{"role": "user", "parts": [{"text": "soak"}]}]}
MODEL = "gemini-2.5-flash"
LIMITS = {"memory": 1.0, "sockets and files": 2.0, "threads": 0.1, "tasks": 5.0}
"""The steepest slopes that count as flat, per minute: MB, descriptors, threads, tasks."""


class Sample(NamedTuple):
    seconds: float
    memory: float
    descriptors: int
    threads: int
    tasks: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:6.0f} s  {self.memory:7.1f} MB  {self.descriptors:4} descriptors"
            f"  {self.threads:3} threads  {self.tasks:4} tasks"
        )


def main() -> int:
    """Run the soak and return the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--rate", type=float, default=60, help="calls per second")
    given = options.parse_args()
    outcomes: Counter[str] = Counter()
    with gateway() as base_url:
        samples = asyncio.run(soak(base_url, given.seconds, given.rate, outcomes))
    print(f"outcomes: {dict(outcomes)}")
    return 0 if report(samples, outcomes) else 1


@contextmanager
def gateway():
    """Run the faulty gateway in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("server.py"))]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait(10)
        server.stdout.close()


async def soak(base_url: str, seconds: float, rate: float, outcomes: Counter[str]) -> list[Sample]:
    """Start calls at a steady rate; return what was measured meanwhile."""
    dice = random.Random(11)
    samples: list[Sample] = []
    running: set[asyncio.Task[None]] = set()
    begin = time.monotonic()
    step, due, number = max(1.0, seconds / 60), 0.0, 0
    async with AsyncClient(base_url=base_url, api_key="soak", timeout=0.5, max_retries=3, retry_budget=None) as client:
        while (now := time.monotonic() - begin) < seconds:
            if now >= due:
                due += step
                samples.append(sample(now))
                print(samples[-1], flush=True)
            task = asyncio.create_task(one(client, dice.random(), dice.random(), outcomes))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        await asyncio.gather(*running, return_exceptions=True)
    return samples


async def one(client: AsyncClient, kind: float, fate: float, outcomes: Counter[str]) -> None:
    """One call: 70 % unary, 30 % streams, 2 % of them cancelled on the way."""
    call = unary(client) if kind < 0.7 else stream(client)
    try:
        outcomes[await (asyncio.wait_for(call, 0.03) if fate < 0.02 else call)] += 1
    except APIError as error:
        outcomes[type(error).__name__] += 1
    except (asyncio.TimeoutError, TimeoutError):
        outcomes["cancelled"] += 1


async def unary(client: AsyncClient) -> str:
    """Ask once."""
    return "unary" if (await client.generate_content(MODEL, ASK)).text else "empty"


async def stream(client: AsyncClient) -> str:
    """Read a stream to its end."""
    async with client.stream_generate_content(MODEL, ASK) as chunks:
        return "stream" if [chunk.text async for chunk in chunks] else "empty"


def sample(now: float) -> Sample:
    """Measure this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return Sample(now, memory, len(os.listdir("/proc/self/fd")), threading.active_count(), len(asyncio.all_tasks()))


def report(samples: list[Sample], outcomes: Counter[str]) -> bool:
    """Print the slopes after the first fifth; return whether all are flat and every call was accounted for."""
    steady = samples[len(samples) // 5 :]
    flat = True
    for position, (name, limit) in enumerate(LIMITS.items(), start=1):
        per_minute = slope([(one.seconds / 60, one[position]) for one in steady])
        flat &= per_minute <= limit
        print(
            f"{name:18} {steady[0][position]:8.1f} -> {steady[-1][position]:8.1f}  {per_minute:+.3f} per minute (<= {limit})"
        )
    unexplained = set(outcomes) - {
        "unary",
        "stream",
        "cancelled",
        "APITimeoutError",
        "InternalServerError",
        "APIConnectionError",
    }
    print(f"unexplained outcomes: {sorted(unexplained) or 'none'}")
    return flat and not unexplained


def slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points) or 1.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


if __name__ == "__main__":
    sys.exit(main())
