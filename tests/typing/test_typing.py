"""Constructors written for other classes pass the type checkers with ours, and what they must refuse is refused."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import source_tree as source
from gemway._option_reader import COMPOSED
from gemway._options import ALIASES

SWAPS = source.ROOT / "tests" / "typing" / "swap_constructors.py"
REFUSED = SWAPS.with_name("unknown_options.py")


@pytest.fixture(scope="module")
def mypy() -> str:
    """What `mypy --strict` says about both files."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed; nox -s types installs it")
    return checked(sys.executable, "-m", "mypy", "--strict", "--no-error-summary")


@pytest.fixture(scope="module")
def pyright() -> str:
    """What pyright says about both files."""
    found = shutil.which("pyright", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip("pyright is not installed; nox -s types installs it")
    try:
        subprocess.run([found, "--version"], capture_output=True, check=True, timeout=60)
    except (subprocess.SubprocessError, OSError):
        pytest.skip("pyright is installed, but cannot load its program (it needs Node.js and its npm package)")
    return checked(found, "--pythonpath", sys.executable)


def checked(*command: str) -> str:
    """Return the report of a type checker that is run from the root, with the project's configuration."""
    files = [source.shown(SWAPS), source.shown(REFUSED)]
    done = subprocess.run([*command, *files], cwd=source.ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 1, done.stdout + done.stderr  # 1: errors were found, in the second file
    return done.stdout


def errors(report: str, path: Path) -> list[str]:
    return [line.strip() for line in report.splitlines() if f"{path.name}:" in line and " error:" in line]


def lines(found: list[str]) -> list[int]:
    return sorted({int(match.group(1)) for text in found if (match := re.search(r"\.py:(\d+)", text))})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_swapped_constructors_are_typed(checker, request):
    """Every spelling of the other classes is a known argument of the right type."""
    assert errors(request.getfixturevalue(checker).replace(" - error", ": error"), SWAPS) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_mistakes_are_type_errors(checker, request):
    """An unknown option and a value of the wrong type are errors, each in its line."""
    calls = [node.lineno for node in ast.parse(REFUSED.read_text(encoding="utf-8")).body if isinstance(node, ast.Expr)]
    found = errors(request.getfixturevalue(checker).replace(" - error", ": error"), REFUSED)

    assert lines(found) == calls[1:]
    assert sum("temprature" in text for text in found) == 2


def used(constructor: str) -> set[str]:
    """Return the options that the calls of *constructor* name."""
    calls = [node for node in ast.walk(source.tree(SWAPS)) if isinstance(node, ast.Call)]
    ours = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id == constructor]
    return {keyword.arg for node in ours for keyword in node.keywords if keyword.arg}


@pytest.mark.parametrize("constructor", ["ChatGemway", "Gemway"])
def test_every_alias_is_checked(constructor):
    """No name of another provider's class is forgotten in the file that the checkers read."""
    assert sorted(ALIASES.keys() - used(constructor)) == []
    assert sorted(COMPOSED.keys() - used(constructor)) == []


def test_what_is_typed_is_accepted(gateway_environment):
    """The calls that pass the type checkers make models; nothing is sent."""
    namespace = runpy.run_path(str(SWAPS), run_name="swaps")
    functions = [node.name for node in source.tree(SWAPS).body if isinstance(node, ast.FunctionDef)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [model for name in functions for model in namespace[name]()]

    assert len(functions) == 5
    assert len(made) > 20
    assert gateway_environment.requests == []
