"""What the tests of the LlamaIndex model share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import llama_index_puppet
import pytest
from gemway_emulator import Emulator
from llama_index.core.memory import Memory
from llama_index.llms.gemway import Gemway

FLASH = "gemini-2.5-flash"
PRO = "gemini-3-pro-preview"
PICTURES = "gemini-3.1-flash-image-preview"


@pytest.fixture
def gemway(emulator: Emulator) -> Iterator[Callable[..., Gemway]]:
    """Return what makes models of the emulator; they are closed at the end. Core's own prompts get answers in their forms."""
    emulator.respond = llama_index_puppet.respond
    made: list[Gemway] = []

    def make(model: str = FLASH, **options: Any) -> Gemway:
        made.append(Gemway(model, **{"api_key": emulator.api_key, "base_url": emulator.base_url, **options}))
        return made[-1]

    yield make
    for llm in made:
        llm.close()


@pytest.fixture
def llm(gemway: Callable[..., Gemway]) -> Gemway:
    """A model of the emulator, Gemini 2.5 Flash."""
    return gemway()


@pytest.fixture
async def memory() -> AsyncIterator[Memory]:
    """An agent's memory, whose database is closed at the end."""
    memory = Memory.from_defaults()
    yield memory
    engine = memory.sql_store._async_engine
    if engine is not None:
        await engine.dispose()
