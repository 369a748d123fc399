"""What all tests share: a clean environment, the emulator and a client of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
from gemway import Client
from gemway._pools import forget_retry_budgets
from gemway_emulator import Emulator

# Nothing of the machine's set-up may reach a test, nor a test's traffic the machine's services.
_FOREIGN = ("GEMWAY_", "LANGSMITH_", "LANGCHAIN_", "GOOGLE_API", "GEMINI_API", "OPENAI_")
for name in list(os.environ):
    if name.startswith(_FOREIGN) or name.lower() in {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}:
        del os.environ[name]


@pytest.fixture(autouse=True)
def fresh_retry_budgets() -> None:
    """A process keeps one budget per address, and systems hand out the ports of ended servers again."""
    forget_retry_budgets()


@pytest.fixture(autouse=True)
def quiet_logger() -> Iterator[None]:
    """The page about logging switches DEBUG lines on for its process; they cost calls and time that others count."""
    logger = logging.getLogger("gemway")
    before = logger.level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(before)


@pytest.fixture
def emulator(request: pytest.FixtureRequest, gemway_emulator: Emulator) -> Iterator[Emulator]:
    """A local gateway without history that compares thought signatures as text.

    A test fails if it leaves scripted replies, unless it is marked `leaves_replies`: some tests of retries script more
    failures than the client may ask for.
    """
    gemway_emulator.strict_signatures = True
    yield gemway_emulator
    if request.node.get_closest_marker("leaves_replies"):
        gemway_emulator.reset()


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    """A blocking client of the emulator."""
    with Client(base_url=emulator.base_url, api_key=emulator.api_key) as client:
        yield client


@pytest.fixture
def gateway_environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, named by GEMWAY_BASE_URL and GEMWAY_API_KEY as a user would."""
    monkeypatch.setenv("GEMWAY_BASE_URL", emulator.base_url)
    monkeypatch.setenv("GEMWAY_API_KEY", emulator.api_key)
    return emulator


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the numbers that tests recorded as `replaced lines` (tests/examples/test_swap.py), also with xdist."""
    passed = terminalreporter.getreports("passed")
    lines = sorted(str(text) for report in passed for name, text in report.user_properties if name == "replaced lines")
    if lines:
        terminalreporter.section("replaced lines")
        for line in lines:
            terminalreporter.write_line(line)
