"""Break the core in small ways, one at a time, and see whether a test notices.

    python tests/mutation/run.py [--per-module 18] [--seed 1] [--modules _retry _sse] [--list]

Works in copies of the tree. First every test is run once, to learn which lines it runs; a mutant then meets only the
tests of its lines: one of each test function, and all of them if it survives those. Prints a table and the survivors.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import current_process, get_context
from pathlib import Path

from mutants import Mutant, mutants_of
from selection import CORE, MODULES, PYTEST, Covering, learn, paths_of, read_covering, tests_of, within

ROOT = Path(__file__).resolve().parents[2]
FIRST, THEN = 10.0, 20.0
"""How many seconds of tests a mutant meets: one of each test function, then all."""

_covering: Covering = {}


def main() -> None:
    """Run the mutants and print what survived."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--per-module", type=int, default=18)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--modules", nargs="+", default=MODULES, choices=MODULES)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--covering", type=Path, help="a folder to keep the lines of the tests in, or with them")
    options.add_argument("--list", action="store_true", help="print the mutants and end")
    given = options.parse_args()
    chosen = [one for module in given.modules for one in sample(module, given.per_module, given.seed)]
    random.Random(given.seed).shuffle(chosen)  # so that a run which is cut short has seen something of each
    if given.list:
        print(*chosen, sep="\n")
        return
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        folder = given.covering or Path(scratch, "covering")
        if not list(folder.glob("*.json")):
            learn(copy_of_tree(Path(scratch, "unchanged")), folder, given.workers)
        _covering.update(read_covering(folder))
        preload()
        with ProcessPoolExecutor(given.workers, mp_context=get_context("fork")) as workers:
            controls = [one._replace(after=one.before) for one in chosen[:: len(chosen) // 4 or 1]]
            results = list(workers.map(try_one, [*controls, *chosen], [scratch] * (len(controls) + len(chosen))))
    if "killed" in results[: len(controls)]:
        raise SystemExit("tests fail without a fault: nothing can be learnt")
    report(chosen, results[len(controls) :])


def sample(module: str, count: int, seed: int) -> list[Mutant]:
    """Return some mutants of a module, always the same for a seed."""
    every = mutants_of(module, (ROOT / CORE / f"{module}.py").read_text(encoding="utf-8"))
    chosen = random.Random(f"{module} {seed}").sample(every, min(count, len(every)))
    return sorted(chosen, key=lambda one: one.begin)


def copy_of_tree(target: Path) -> Path:
    """Copy what the tests of the core need, unless it is there."""
    if not target.exists():
        for part in ("packages/gemway", "packages/gemway-emulator", "tests"):
            shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", target)
    return target


def preload() -> None:
    """Import what every run of pytest imports, so that a fork of this process need not; never the core itself."""
    import httpx
    import hypothesis
    import pytest

    assert "gemway" not in sys.modules, [httpx, hypothesis, pytest]


def try_one(mutant: Mutant, scratch: str) -> str:
    """Return "killed", "survived" or "untested", in a copy of the tree that belongs to this process."""
    tree = copy_of_tree(Path(scratch, current_process().name))
    path = tree / CORE / f"{mutant.module}.py"
    source = (ROOT / CORE / f"{mutant.module}.py").read_text(encoding="utf-8")
    tests = tests_of(mutant, ROOT, _covering)
    path.write_text(mutant.applied(source), encoding="utf-8")
    os.utime(path, (mutant.begin + 1, mutant.begin + 1))  # so that no byte code is taken for it
    try:
        quick = within(FIRST, {test.name.split("[")[0]: test for test in reversed(tests)}.values())
        rest = within(THEN, (test for test in tests if test.name not in quick))
        result = "untested" if not tests else "survived" if passes(tree, quick) and passes(tree, rest) else "killed"
    finally:
        path.write_text(source, encoding="utf-8")
    print(f"{result}: {mutant}{noticed_by(tree) if result == 'killed' else ''}", flush=True)
    return result


def passes(tree: Path, tests: list[str]) -> bool:
    """Whether *tests* pass in *tree*, in a fork of this process and in time."""
    if not tests:
        return True
    child = os.fork()
    if not child:
        os._exit(run_pytest(tree, tests))
    ends = time.monotonic() + 150
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def noticed_by(tree: Path) -> str:
    """Return the test that failed last, to be shown."""
    lines = (tree / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((f" by {line.split()[1]}" for line in lines if line.startswith(("FAILED ", "ERROR "))), "")


def run_pytest(tree: Path, tests: list[str]) -> int:
    """In a fork: run *tests* with the mutated core."""
    import pytest

    os.setsid()
    os.chdir(tree)
    log = os.open(tree / "log.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    sys.path[:0] = paths_of(tree)
    os.environ["PYTHONPATH"] = os.pathsep.join(paths_of(tree))
    try:
        code = pytest.main([*PYTEST, "-p", "no:xdist", *tests])
        import gemway

        assert (gemway.__file__ or "").startswith(str(tree)), gemway.__file__
        return int(code)
    except BaseException:
        return 1


def report(mutants: list[Mutant], results: list[str]) -> None:
    """Print a row for each module, then what nobody noticed."""
    counts = Counter((mutant.module, result) for mutant, result in zip(mutants, results, strict=True))
    print(f"\n{'module':<18} {'mutants':>8} {'killed':>8} {'survived':>9}")
    for module in dict.fromkeys(mutant.module for mutant in mutants):
        killed = counts[module, "killed"]
        survived = counts[module, "survived"] + counts[module, "untested"]
        print(f"{module:<18} {killed + survived:>8} {killed:>8} {survived:>9}")
    for mutant, result in zip(mutants, results, strict=True):
        if result != "killed":
            print(f"{result}: {mutant}")


if __name__ == "__main__":
    main()
