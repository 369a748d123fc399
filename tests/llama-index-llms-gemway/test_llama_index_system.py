"""The whole system: what calls and objects cost, windows of engines, streams that are lazy."""

from __future__ import annotations

import statistics
import time

import httpx
import pytest
from gemway_emulator import Emulator, reply
from llama_index.core import Document, MockEmbedding, SummaryIndex, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.llms.gemway import Gemway

TEXT = "The Eiffel Tower stands in Paris. The Eiffel Tower was built in 1889. Its height is 330 metres."


def _median_ms(call, times: int) -> float:
    """Return the milliseconds of CPU that a call takes in this thread: what else the machine does is not in them."""
    call()
    taken = []
    for _ in range(times):
        started = time.thread_time()
        call()
        taken.append((time.thread_time() - started) * 1000)
    return statistics.median(taken)


def test_a_chat_costs_little_more_than_http(emulator: Emulator, llm: Gemway) -> None:
    """Some milliseconds at most on top of httpx, even on a busy machine; the benchmark has the figures."""
    messages = [ChatMessage(content="Hello")]
    body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    url = f"{emulator.base_url}/v1beta/models/gemini-2.5-flash:generateContent"
    with httpx.Client(headers={"Authorization": f"Bearer {emulator.api_key}"}) as client:
        floor = _median_ms(lambda: client.post(url, json=body).json(), 40)

    ours = _median_ms(lambda: llm.chat(messages), 40)

    assert ours - floor < 5


def _long_history() -> list[ChatMessage]:
    call = ToolCallBlock(tool_call_id="c", tool_name="add", tool_kwargs={"a": 1})
    turn = [
        ChatMessage(content="question"),
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage(role="tool", content="2", additional_kwargs={"tool_call_id": "c", "name": "add"}),
        ChatMessage(role="assistant", content="answer"),
    ]
    return [*(turn * 50), ChatMessage(content="and now?")]


def test_a_long_history_is_cheap(llm: Gemway) -> None:
    """Two hundred messages are converted in a few milliseconds."""
    history = _long_history()

    assert _median_ms(lambda: llm._prepare_request(history, {}), 10) < 10


def test_construction_is_cheap() -> None:
    """A model is made in less than five milliseconds."""
    assert _median_ms(lambda: Gemway("m", api_key="k", base_url="https://gateway.example"), 20) < 5


def test_metadata(gemway) -> None:
    """Unknown models have a window; no limit means -1; a limit of the whole window leaves room for the prompt."""
    assert gemway("a-model-of-next-year").metadata.context_window >= 100_000
    assert gemway("gemini-2.5-flash").metadata.context_window == 1_048_576
    assert gemway().metadata.num_output == -1
    assert gemway(max_tokens=500).metadata.num_output == 500
    assert gemway(context_window=2048, max_tokens=2048).metadata.num_output == -1
    assert gemway().metadata.is_chat_model


@pytest.mark.parametrize("max_tokens", [None, 2048])
def test_engines_work_in_a_small_window(emulator: Emulator, gemway, max_tokens: int | None) -> None:
    """Query and chat engines fit their prompts into 2,048 tokens."""
    llm = gemway(context_window=2048, max_tokens=max_tokens)
    index = VectorStoreIndex.from_documents([Document(text=TEXT)] * 2, embed_model=MockEmbedding(embed_dim=4))

    assert "1889" in str(index.as_query_engine(llm=llm).query("When was the Eiffel Tower built?"))
    memory = ChatMemoryBuffer.from_defaults(llm=llm)
    engine = index.as_chat_engine(chat_mode="condense_plus_context", llm=llm, memory=memory)
    assert "1889" in str(engine.chat("When was the Eiffel Tower built?"))
    summary = SummaryIndex.from_documents([Document(text=TEXT)])
    assert "1889" in str(summary.as_query_engine(llm=llm).query("When was the Eiffel Tower built?"))


def test_streams_are_lazy_and_checked_early(emulator: Emulator, llm: Gemway) -> None:
    """A stream is built at the call and sent at its first item."""
    emulator.enqueue(reply.text("x"))

    stream = llm.stream_chat([ChatMessage(content="Hello")])
    assert len(emulator.requests) == 0

    next(stream)
    stream.close()
    assert len(emulator.requests) == 1
