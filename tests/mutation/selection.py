"""Which tests meet a mutant: those that run its lines. Learnt by running every test of the core once."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mutants import Mutant

CORE = Path("packages/gemway/gemway")
MODULES = [
    "_accumulate",
    "_response",
    "_client",
    "_credentials",
    "_error_bodies",
    "_headers",
    "_network_errors",
    "_pools",
    "_protocol",
    "_retry",
    "_checks",
    "_config",
    "_sockets",
    "_sse",
    "_transport",
]
# Replays and the command line are slow and say little about these modules.
TESTS = [
    "test_faults_*.py",
    "test_stream_properties.py",
    "test_bad_input.py",
    "test_options.py",
    "test_protocol_fields.py",
    "test_cancellation.py",
    "test_continuation.py",
    "test_call_counts.py",
    "test_pictures_billed_once.py",
    "test_pictures_large.py",
]
PYTEST = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:langsmith_plugin", "--timeout", "30"]


class Test(NamedTuple):
    seconds: float
    name: str


Covering = dict[tuple[str, int], set[Test]]


def learn(tree: Path, folder: Path, workers: int) -> None:
    """Run the tests of the core once, writing down which lines each of them runs."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [str(path.relative_to(tree)) for name in TESTS for path in sorted((tree / "tests/gemway").glob(name))]
    command = [sys.executable, "-m", "pytest", *PYTEST, "-n", str(workers), "-p", "covering", *files]
    environment = {**os.environ, "MUTATION_COVERING": str(folder), "PYTHONPATH": os.pathsep.join(paths_of(tree))}
    # Lines are traced here, so a test that counts microseconds cannot pass.
    chosen = ("-k", "not langchain and not llama and not cost_microseconds")
    subprocess.run([*command, *chosen], cwd=tree, env=environment, check=True)


def read_covering(folder: Path) -> Covering:
    """Return the tests of each line."""
    covering: Covering = {}
    for path in folder.glob("*.json"):
        for name, (seconds, lines) in json.loads(path.read_text(encoding="utf-8")).items():
            for file, numbers in lines.items():
                for number in numbers:
                    covering.setdefault((file.removesuffix(".py"), number), set()).add(Test(seconds, name))
    return covering


def tests_of(mutant: Mutant, tree: Path, covering: Covering) -> list[Test]:
    """Return the tests that run the line of a mutant, or what uses its names; the quickest first."""
    lines = {(mutant.module, line) for line in range(mutant.line, mutant.last + 1)}
    found = {test for line in lines for test in covering.get(line, ())}
    if not mutant.scope or not found:  # run at import: who uses the name?
        lines |= {(module, line) for module in MODULES for line in users(tree / CORE / f"{module}.py", mutant)}
        found = {test for line in lines for test in covering.get(line, ())}
    return sorted(found)


def users(path: Path, mutant: Mutant) -> set[int]:
    """Return the lines of a module that name what the mutant's statement assigns, or is part of."""
    names = {*mutant.names, *mutant.scope.split(".")[-1:]} - {""}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if {getattr(node, "id", None), getattr(node, "attr", None)} & names]
    return {node.lineno for node in nodes}  # type: ignore[attr-defined]  # names and attributes have lines


def within(seconds: float, tests: Iterable[Test]) -> list[str]:
    """Return the quickest of *tests* that take so long together."""
    chosen: list[str] = []
    for test in sorted(tests):
        seconds -= test.seconds
        if seconds < 0:
            break
        chosen.append(test.name)
    return chosen


def paths_of(tree: Path) -> list[str]:
    return [str(tree / part) for part in ("packages/gemway", "packages/gemway-emulator", "tests/mutation")]
