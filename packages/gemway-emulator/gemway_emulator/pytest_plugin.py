"""The pytest fixture `gemway_emulator`: one server per session, empty for every test; and tapes for tests that name one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gemway_emulator import Emulator


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--gemway-record` writes the tapes anew."""
    parser.addoption(
        "--gemway-record",
        action="store_true",
        help="record the tapes of gemway_tape tests from the gateway of GEMWAY_BASE_URL and GEMWAY_API_KEY",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "gemway_tape(name): answer from tapes/NAME.jsonl next to the test")


@pytest.fixture(scope="session")
def gemway_emulator_session() -> Iterator[Emulator]:
    """The server behind `gemway_emulator`, started on first use."""
    from gemway_emulator import Emulator  # here, so that test runs without the fixture do not pay for the import

    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def gemway_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """A local gateway with an empty journal, an empty queue and no misbehaviour.

    With `@pytest.mark.gemway_tape("name")` it answers from that tape. A test that leaves scripted replies fails.
    """
    if marker := request.node.get_closest_marker("gemway_tape"):
        with _open_tape(request, str(marker.args[0])) as emulator:
            yield emulator
        return
    # One server for all tests: a start costs a thread and a port, a reset nothing.
    emulator = request.getfixturevalue("gemway_emulator_session")
    emulator.reset()
    yield emulator
    # Replies that nobody asked for: the test's program made fewer requests than the test believes.
    left_over = emulator.pending
    emulator.reset()
    if left_over:
        pytest.fail(
            f"{left_over} scripted {'reply was' if left_over == 1 else 'replies were'} left over", pytrace=False
        )


@pytest.fixture(autouse=True)
def _gemway_tape(request: pytest.FixtureRequest) -> None:
    """A marked test finds the tape's gateway in GEMWAY_BASE_URL and GEMWAY_API_KEY, as its application would."""
    if request.node.get_closest_marker("gemway_tape"):
        emulator = request.getfixturevalue("gemway_emulator")
        monkeypatch = request.getfixturevalue("monkeypatch")
        monkeypatch.setenv("GEMWAY_BASE_URL", emulator.base_url)
        monkeypatch.setenv("GEMWAY_API_KEY", emulator.api_key)


def _open_tape(request: pytest.FixtureRequest, name: str) -> Emulator:
    from gemway_emulator import Emulator, record

    path = Path(request.path).parent / "tapes" / f"{name.removesuffix('.jsonl')}.jsonl"
    if request.config.getoption("--gemway-record"):
        upstream = os.environ.get("GEMWAY_BASE_URL")
        if not upstream or not os.environ.get("GEMWAY_API_KEY"):
            pytest.fail("--gemway-record needs GEMWAY_BASE_URL and GEMWAY_API_KEY", pytrace=False)
        return record(path, upstream=upstream)
    if not path.exists():
        pytest.fail(f"there is no tape {path}; record it with pytest --gemway-record", pytrace=False)
    return Emulator.replay(path)
