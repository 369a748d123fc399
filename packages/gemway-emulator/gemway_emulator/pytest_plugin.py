"""The pytest fixture `gemway_emulator`: one server per session, empty for every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gemway_emulator import Emulator


@pytest.fixture(scope="session")
def gemway_emulator_session() -> Iterator[Emulator]:
    """The server behind `gemway_emulator`, started on first use."""
    from gemway_emulator import Emulator  # here, so that test runs without the fixture do not pay for the import

    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def gemway_emulator(gemway_emulator_session: Emulator) -> Iterator[Emulator]:
    """A local gateway with an empty journal, an empty queue and no misbehaviour."""
    gemway_emulator_session.reset()
    yield gemway_emulator_session
    gemway_emulator_session.reset()
