"""What the tests of the core share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fault_server import FaultServer


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A raw server that answers well until it is told otherwise."""
    with FaultServer() as server:
        yield server
