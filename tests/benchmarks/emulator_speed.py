"""How many small requests a second the emulator answers on one core, and whether 50 streams run without a stall.

    python tests/benchmarks/emulator_speed.py

The emulator runs in a process of its own. Requests per second of its processor time count, since the wall clock also
measures this program, and whatever else the machine does.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time

HEAD = "POST /v1beta/models/gemini-2.5-flash:{} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-local\r\ncontent-length: {}\r\n\r\n"
TEXT = "Oslo is the capital of Norway. What is the capital of Norway?"
BODY = json.dumps({"contents": [{"role": "user", "parts": [{"text": TEXT}]}]}).encode()


async def main() -> None:
    """Print both measurements."""
    server = subprocess.Popen(
        [sys.executable, "-m", "gemway_emulator", "--port", "0", "--chunk-delay", "0.1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        await call(port, 100)
        spent, started, number = processor_time(server.pid), time.perf_counter(), 8 * 500
        await asyncio.gather(*(call(port, 500) for _ in range(8)))
        spent, passed = processor_time(server.pid) - spent, time.perf_counter() - started
        print(
            f"{number} requests: {number / spent:,.0f} per second of one core, {number / passed:,.0f} per second in all"
        )
        gaps = [gap for stream in await asyncio.gather(*(read_stream(port) for _ in range(50))) for gap in stream]
        print(f"50 streams, 100 ms between events: the longest gap was {max(gaps) * 1000:.0f} ms")
    finally:
        server.terminate()
        server.wait()


async def call(port: int, times: int) -> None:
    """Send a small request again and again on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = HEAD.format("generateContent", len(BODY)).encode() + BODY
    for _ in range(times):
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 200 " in head
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
    writer.close()


async def read_stream(port: int) -> list[float]:
    """Seconds between the events of one stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD.format("streamGenerateContent?alt=sse", len(BODY)).encode() + BODY)
    times = []
    while (line := await reader.readline()) != b"0\r\n":
        if line.startswith(b"data: "):
            times.append(time.perf_counter())
    writer.close()
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process, from Linux."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    asyncio.run(main())
