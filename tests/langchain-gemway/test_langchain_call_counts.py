"""How many functions of ours run for invoke, a chunk, a message: a bound on cost that no busy machine can blur.

A ceiling lies about a tenth above what was counted when it was set. Whoever has to raise one runs
`tests/benchmarks` first, and says in the change what was bought with it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import gemway
import langchain_gemway
import pytest
from call_counts import calls_per_chunk, count_calls
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_gemway import ChatGemway
from pydantic import BaseModel, create_model

OURS = tuple(str(Path(module.__file__ or "").parent) for module in (gemway, langchain_gemway))
calls = partial(count_calls, OURS)
per_chunk = partial(calls_per_chunk, OURS)


class Search(BaseModel):
    """Search the collection."""

    query: str
    limit: int = 10


@pytest.fixture
def model(emulator):
    with ChatGemway(model="gemini-2.5-flash", base_url=emulator.base_url, api_key=emulator.api_key) as model:
        yield model


def conversation(rounds: int) -> list[Any]:
    """Return four messages for each round, and a question."""
    call = {"name": "Search", "args": {"query": "boats"}, "type": "tool_call"}
    messages = [
        message
        for number in range(rounds)
        for message in (
            HumanMessage(f"question {number}"),
            AIMessage("", tool_calls=[{**call, "id": f"call-{number}"}]),
            ToolMessage("a boat", tool_call_id=f"call-{number}", name="Search"),
            AIMessage(f"answer {number}"),
        )
    ]
    return [*messages, HumanMessage("And now?")]


def test_invoke(model):
    """One answer costs the core's calls, and about as many again for both conversions."""
    model.invoke("Hello")

    assert calls(lambda: model.invoke("Hello")) <= 78


def test_ainvoke(model):
    """Without blocking it costs hardly more: each time that a coroutine goes on counts, too."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(model.ainvoke("Hello"))

    counted = calls(lambda: loop.run_until_complete(model.ainvoke("Hello")))
    loop.run_until_complete(model.aclose())
    loop.close()

    assert counted <= 110


def test_tools_are_converted_once(model):
    """Twenty bound tools cost no more than two: the conversion is done when they are bound."""
    classes = [create_model(f"Search{number}", __base__=Search) for number in range(20)]
    two, twenty = model.bind_tools(classes[:2]), model.bind_tools(classes)
    two.invoke("Hello")
    twenty.invoke("Hello")

    # The fewest of three, and two to spare: a piece of the answer that arrives late is read with a call more.
    few, many = (min(calls(lambda: bound.invoke("Hello")) for _ in range(3)) for bound in (two, twenty))  # noqa: B023
    assert many <= few + 2


def test_structured_output(model):
    """A schema is converted once, not at each call."""
    chain = model.with_structured_output(Search)
    chain.invoke("Find boats")

    assert calls(lambda: chain.invoke("Find boats")) <= 107


def test_each_chunk(model, emulator):
    """Each chunk of a stream costs a handful, however many came before it."""
    assert per_chunk(emulator, lambda: list(model.stream("Hello"))) <= 20


def test_each_message(model):
    """A long history costs a few calls for each of its messages."""
    short, long = conversation(1), conversation(51)
    model.invoke(short)

    assert (calls(lambda: model.invoke(long)) - calls(lambda: model.invoke(short))) / 200 <= 5
