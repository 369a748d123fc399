"""A pytest plugin that notes which test runs which line of the core: `{test: [seconds, {module: [line, ...]}]}`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PACKAGE = os.sep + os.path.join("gemway", "gemway") + os.sep
_lines: dict[str, set[int]] = {}
_tests: dict[str, tuple[float, dict[str, list[int]]]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Trace one test, its fixtures included."""
    _lines.clear()
    begun = time.monotonic()
    threading.settrace(_enter)
    sys.settrace(_enter)
    try:
        return (yield)
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]  # None ends it, as for sys.settrace
        seconds = round(time.monotonic() - begun, 3)
        _tests[item.nodeid] = (seconds, {module: sorted(lines) for module, lines in list(_lines.items())})


def pytest_sessionfinish() -> None:
    """Write what was noted; each worker of xdist has a file of its own."""
    if _tests:
        path = Path(os.environ["MUTATION_COVERING"], f"{os.getpid()}.json")
        path.write_text(json.dumps(_tests), encoding="utf-8")


def _enter(frame: Any, event: str, argument: object) -> Any:
    path = frame.f_code.co_filename
    if _PACKAGE not in path:
        return None
    lines = _lines.setdefault(os.path.basename(path), set())
    lines.add(frame.f_lineno)

    def step(frame: Any, event: str, argument: object) -> Any:
        lines.add(frame.f_lineno)
        return step

    return step
