"""How many functions of ours run for chat, a chunk, a message: a bound on cost that no busy machine can blur.

A ceiling lies about a tenth above what was counted when it was set. Whoever has to raise one runs
`tests/benchmarks` first, and explains in the change what it was good for.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import gemway
import llama_index.llms.gemway
import pytest
from call_counts import calls_per_chunk, count_calls
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.gemway import Gemway
from pydantic import BaseModel, create_model

OURS = tuple(str(Path(module.__file__ or "").parent) for module in (gemway, llama_index.llms.gemway))
calls = partial(count_calls, OURS)
per_chunk = partial(calls_per_chunk, OURS)
QUESTION = [ChatMessage(content="Hello")]


class Search(BaseModel):
    """Search the collection."""

    query: str
    limit: int = 10


@pytest.fixture
def model(emulator):
    with Gemway(model="gemini-2.5-flash", base_url=emulator.base_url, api_key=emulator.api_key) as model:
        yield model


def conversation(rounds: int) -> list[ChatMessage]:
    """Return four messages for each round, and a question."""
    messages = [
        message
        for number in range(rounds)
        for message in (
            ChatMessage(role="user", content=f"question {number}"),
            ChatMessage(
                role="assistant",
                blocks=[
                    ToolCallBlock(tool_call_id=f"call-{number}", tool_name="Search", tool_kwargs={"query": "boats"})
                ],
            ),
            ChatMessage(
                role="tool", content="a boat", additional_kwargs={"tool_call_id": f"call-{number}", "name": "Search"}
            ),
            ChatMessage(role="assistant", content=f"answer {number}"),
        )
    ]
    return [*messages, ChatMessage(content="And now?")]


def tool(number: int) -> FunctionTool:
    """Return a tool with a schema of its own."""
    schema = create_model(f"Search{number}", __base__=Search)
    return FunctionTool.from_defaults(fn=lambda **given: "", name=f"search_{number}", description="?", fn_schema=schema)


def test_chat(model):
    """One answer costs the core's calls, and about as many again for both conversions."""
    model.chat(QUESTION)

    assert calls(lambda: model.chat(QUESTION)) <= 176


def test_achat(model):
    """Without blocking it costs hardly more: each time that a coroutine goes on counts, too."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(model.achat(QUESTION))

    counted = calls(lambda: loop.run_until_complete(model.achat(QUESTION)))
    loop.run_until_complete(model.aclose())
    loop.close()

    assert counted <= 232


def test_tools_are_converted_once(model):
    """Each further tool costs a look into a table, not a conversion."""
    twenty = [tool(number) for number in range(20)]
    model.chat_with_tools(twenty, "Hello")

    many = calls(lambda: model.chat_with_tools(twenty, "Hello"))
    few = calls(lambda: model.chat_with_tools(twenty[:2], "Hello"))

    assert (many - few) / 18 <= 3


def test_structured_predict(model):
    """A schema is converted once, not at each call."""
    prompt = PromptTemplate("Find boats")
    model.structured_predict(Search, prompt)

    assert calls(lambda: model.structured_predict(Search, prompt)) <= 200


def test_each_chunk(model, emulator):
    """Each chunk of a stream costs a handful, however many came before it."""
    assert per_chunk(emulator, lambda: list(model.stream_chat(QUESTION))) <= 31


def test_each_message(model):
    """A long history costs a few calls for each of its messages."""
    short, long = conversation(1), conversation(51)
    model.chat(short)

    assert (calls(lambda: model.chat(long)) - calls(lambda: model.chat(short))) / 200 <= 16
