"""The benchmark runs. What it measures depends on the machine, so no figure is looked at here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent / "run.py"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc"),
    pytest.mark.timeout(300),  # 20 s on a quiet machine; much of it is importing the frameworks
]


def run(*arguments: str) -> str:
    """Run the benchmark as its users do, and return what it prints."""
    command = [sys.executable, str(RUN), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_measure_runs_for_floors_and_ours(tmp_path):
    """All exercises give the right answers, in both frameworks and without one."""
    path = tmp_path / "figures.json"

    shown = run("--quick", "--json", str(path))

    written = json.loads(path.read_text(encoding="utf-8"))
    assert "FAILED" not in shown
    assert written["errors"] == {}
    assert {"httpx", "gemway", "langchain-gemway", "llama-index-llms-gemway"}.isdisjoint(written["about"]["absent"])
    assert all(answers for job in written["figures"] for answers in job["answers"].values())


def test_the_curves_are_drawn(tmp_path):
    """Each curve has a point for each size, and an exponent."""
    path = tmp_path / "curves.json"

    run("--curves", "--quick", "--contenders", "gemway", "--json", str(path))

    curves = json.loads(path.read_text(encoding="utf-8"))["curves"]
    assert {curve["curve"] for curve in curves} == {
        "calls at a time",
        "messages",
        "chunks",
        "picture out",
        "picture in",
    }
    assert all(len(curve["points"]) == 3 for curve in curves)
