"""The whole product in a minute: `python -m examples.demo`, or `nox -s demo`.

Runs against the gateway of GEMWAY_BASE_URL and GEMWAY_API_KEY if both are set, else against an emulator on this machine.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from examples.demo import agent, chain, pictures, rag
from examples.demo.report import Report
from examples.demo.screen import Screen
from examples.gateway import IMAGE_MODEL, MODEL, configure

PARTS = (chain, agent, rag, pictures)


def main() -> None:
    """Run the four parts, and name the files of their pictures and the page about them."""
    folder = _make_parser().parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    own = bool(os.environ.get("GEMWAY_BASE_URL") and os.environ.get("GEMWAY_API_KEY"))
    address = configure(chunk_delay=0.02)
    screen, report = Screen(), Report(folder, address=address, models=(MODEL, IMAGE_MODEL), is_emulated=not own)
    screen.title(address, "your gateway" if own else "an emulator, started for this demo", (MODEL, IMAGE_MODEL))
    begin = time.monotonic()
    for number, part in enumerate(PARTS, 1):
        screen.part(number, len(PARTS), part.TITLE)
        part.run(screen, report)
    screen.end(report, report.write(), time.monotonic() - begin)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for pictures and page (default: out)")
    return parser


if __name__ == "__main__":
    main()
