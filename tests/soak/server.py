"""The gateway of the soak test: answers after 50 ms, and resets, fails or falls silent now and then."""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from fault_server import RESET, STALL, FaultServer, answer, failure, play


def main() -> None:
    """Serve until standard input ends; the first line printed is the address."""
    dice = random.Random(7)
    good = answer("a fine answer", pause=0.05)
    bad = {0.02: play(RESET), 0.04: failure(503), 0.06: play(STALL)}

    async def action(connection, request):
        server.requests.clear()
        server.closed_at.clear()
        roll = dice.random()
        chosen = next((fault for limit, fault in bad.items() if roll < limit), good)
        await chosen(connection, request)

    with FaultServer() as server:
        server.script(default=action)
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
