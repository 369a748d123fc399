"""Batches under stress: faults of every kind, a limited gateway, kills. Prints figures; exits with 1 if one is out of bounds.

python tests/soak/batch.py [faults] [limit] [kills] [--rows 20000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from contextlib import contextmanager
from pathlib import Path

from gemway import AsyncClient
from gemway.batch import arun
from gemway_emulator import Emulator, reply

MODEL, KEY = "gemini-2.5-flash", "sk-soak"
FAULTS = {"429": 0.05, "reset": 0.02, "500": 0.01, "stall": 0.005}


def faulty(dice: random.Random):
    """Answers that fail at random whatever the load; each prompt counts how often it was answered."""

    async def answer(request):
        fate = dice.random()
        for name, share in FAULTS.items():
            fate -= share
            if fate < 0:
                if name == "stall":
                    await asyncio.sleep(20)
                return reply.raw(200, b"{", cut=True) if name == "reset" else reply.error(500 if name != "429" else 429)
        return reply.text(request.prompt)

    return answer


def limited(rate: float):
    """A gateway that allows *rate* calls in each sliding second, and half as many after 90 seconds."""
    allowed: deque[float] = deque()
    begin = time.monotonic()

    async def answer(request):
        now = time.monotonic()
        while allowed and allowed[0] <= now - 1:
            allowed.popleft()
        if len(allowed) >= (rate if now - begin < 90 else rate / 2):
            return reply.error(429)
        allowed.append(now)
        await asyncio.sleep(0.2)
        return reply.text("ok")

    return answer


async def plain(request):
    return reply.text(request.prompt)


async def slow(request):
    await asyncio.sleep(0.05)
    return reply.text(request.prompt)


SERVERS = {
    "faults": lambda: faulty(random.Random(1)),
    "plain": lambda: plain,
    "slow": lambda: slow,
    "limit": lambda: limited(40),
}


def serve(name: str) -> None:
    """Serve until the input ends; then print how often each prompt was asked, and by which status each call ended."""
    with Emulator(respond=SERVERS[name](), api_key=KEY) as emulator:
        print(emulator.base_url, flush=True)
        sys.stdin.read()
        entries = list(emulator.requests)
    begin = entries[0].time if entries else 0.0
    print(
        json.dumps(
            [(entry.json["contents"][0]["parts"][0]["text"], entry.status, entry.time - begin) for entry in entries]
        )
    )


@contextmanager
def gateway(name: str):
    """A gateway in a process of its own; yields its address and a list that holds its journal afterwards."""
    command = [sys.executable, __file__, "serve", name]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    journal: list[tuple[str, int, float]] = []
    try:
        yield server.stdout.readline().strip(), journal
    finally:
        journal += json.loads(server.communicate()[0] or "[]")


def memory() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def bare(base_url: str, rows: int, in_flight: int) -> float:
    """Return the calls per second of a loop that keeps nothing."""
    numbers = iter(range(rows))

    async def worker(client: AsyncClient) -> None:
        for number in numbers:
            await client.generate_content(MODEL, {"contents": [{"role": "user", "parts": [{"text": f"row {number}"}]}]})

    begin = time.monotonic()
    async with AsyncClient(base_url=base_url, api_key=KEY) as client:
        await asyncio.gather(*(worker(client) for _ in range(in_flight)))
    return rows / (time.monotonic() - begin)


def faults(rows: int) -> bool:
    """Faults of every kind: each row answered once, memory flat, hardly slower than a bare loop without faults."""
    samples: list[tuple[int, float]] = []
    with gateway("plain") as (base_url, _):
        floor = asyncio.run(bare(base_url, rows // 4, 64))
    with tempfile.TemporaryDirectory() as folder, gateway("faults") as (base_url, _):
        out = Path(folder) / "out.jsonl"
        report = asyncio.run(
            arun(
                (f"row {number}" for number in range(rows)),
                out,
                model=MODEL,
                base_url=base_url,
                api_key=KEY,
                concurrency=64,
                timeout=3,
                on_progress=lambda report: samples.append((report.rows, memory())),
            )
        )
        answers = Counter(json.loads(line)["answer"] for line in out.read_text().splitlines())
    early = next(used for done, used in samples if done >= 2000)
    print(
        f"{report}\nbare loop {floor:,.0f} calls a second without faults; memory {early:.1f} MB after 2,000 rows, {samples[-1][1]:.1f} MB at the end"
    )
    once = answers == Counter(f"row {number}" for number in range(rows))
    return once and report.rate > 0.85 * floor and samples[-1][1] - early < 10


def limit(rows: int) -> bool:
    """A gateway with 40 calls a second, 20 after 90 seconds."""
    with tempfile.TemporaryDirectory() as folder, gateway("limit") as (base_url, journal):
        work = arun(
            (f"row {number}" for number in range(4600)),
            Path(folder) / "out.jsonl",
            model=MODEL,
            base_url=base_url,
            api_key=KEY,
        )
        asyncio.run(work)
    figures = []
    for begin, end in ((0, 30), (30, 60), (60, 90), (90, 100), (100, 130)):
        statuses = [status for _, status, when in journal if begin <= when < end]
        figures.append((statuses.count(200) / (end - begin), statuses.count(429) / max(1, len(statuses))))
        print(f"second {begin:3} to {end:3}: {figures[-1][0]:5.1f} answers a second, {figures[-1][1]:.1%} refused")
    return 36 <= figures[2][0] <= 40.5 and figures[2][1] < 0.03 and 17 <= figures[4][0] <= 20.5


def kills(rows: int) -> bool:
    """Ten SIGKILLs at random moments."""
    rows, dice, count = 6000, random.Random(3), 0
    program = (
        "import sys; from gemway.batch import run\n"
        f"run((f'row {{n}}' for n in range({rows})), sys.argv[1], model='{MODEL}', base_url=sys.argv[2], api_key='{KEY}', concurrency=32)"
    )
    with tempfile.TemporaryDirectory() as folder, gateway("slow") as (base_url, journal):
        out = Path(folder) / "out.jsonl"
        while True:
            batch = subprocess.Popen([sys.executable, "-c", program, str(out), base_url])
            try:
                batch.wait(1.5 + 2 * dice.random() if count < 10 else None)
                break
            except subprocess.TimeoutExpired:
                batch.send_signal(signal.SIGKILL)
                batch.wait()
                count += 1
                whole = out.read_bytes().rpartition(b"\n")[0] if out.exists() else b""
                [json.loads(line) for line in whole.splitlines()]
        lines = Counter(json.loads(line)["answer"] for line in out.read_text().splitlines())
    asked = Counter(prompt for prompt, _, _ in journal)
    print(
        f"{count} kills, {lines.total():,} lines for {rows:,} rows, {asked.total() - rows} calls repeated, {max(asked.values())} times at most"
    )
    return lines == Counter(f"row {n}" for n in range(rows)) and asked.total() - rows <= 32 * count


def main() -> int:
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
        return 0
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", default=["faults", "limit", "kills"])
    options.add_argument("--rows", type=int, default=20_000)
    arguments = options.parse_args()
    parts = {"faults": faults, "limit": limit, "kills": kills}
    results = {name: parts[name](arguments.rows) for name in arguments.parts}
    print(results)
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
