"""How far a reader walks who follows one warm message: distinct functions, lines and files of ours that it crosses.

The ceilings are what was measured when they were set and a twentieth more, since Python versions differ. They only ever
fall: whoever makes a path shorter lowers them, and nobody raises them without saying in the change which
reader gained by it. Comprehensions do not count as functions.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemway
import langchain_gemway
import llama_index.llms.gemway
import pytest
from gemway import Client
from gemway_emulator import Emulator, reply
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_gemway import ChatGemway
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.gemway import Gemway
from pydantic import BaseModel
from walks import Walk, walk

OURS = tuple(str(Path(module.__file__ or "").parent) for module in (gemway, langchain_gemway, llama_index.llms.gemway))
MODEL = "gemini-2.5-flash"
PICTURE = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489") + bytes(20)


CORE_TEXT = Walk(functions=34, lines=247, files=10)
CORE_STREAM = Walk(functions=46, lines=343, files=11)
LANGCHAIN_TEXT = Walk(functions=52, lines=405, files=16)
LANGCHAIN_PICTURE = Walk(functions=59, lines=462, files=19)
LANGCHAIN_STREAM = Walk(functions=91, lines=674, files=18)
LANGCHAIN_AGENT = Walk(functions=116, lines=776, files=23)
LANGCHAIN_STRUCTURED = Walk(functions=69, lines=507, files=18)
LLAMA_INDEX_TEXT = Walk(functions=57, lines=358, files=15)
LLAMA_INDEX_PICTURE = Walk(functions=67, lines=408, files=17)
LLAMA_INDEX_STREAM = Walk(functions=107, lines=712, files=17)
LLAMA_INDEX_AGENT = Walk(functions=124, lines=748, files=23)
LLAMA_INDEX_STRUCTURED = Walk(functions=80, lines=481, files=18)


class City(BaseModel):
    """A city."""

    name: str
    people: int


def weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


def _answers(emulator: Emulator, answer: Callable[[], Any], ask: Callable[[], Any]) -> Callable[[], Any]:
    """Return what asks once, with *answer* in line."""

    def action() -> None:
        emulator.enqueue(answer())
        ask()

    return action


@pytest.fixture
def options(emulator: Emulator) -> dict[str, Any]:
    return {"base_url": emulator.base_url, "api_key": emulator.api_key, "max_retries": 0}


@pytest.fixture
def chat(options):
    with ChatGemway(model=MODEL, **options) as model:
        yield model


@pytest.fixture
def llm(options):
    with Gemway(MODEL, **options) as model:
        yield model


def _text() -> Any:
    return reply.text("Hello to you, and many greetings.")


def _five_chunks() -> Any:
    return reply.text("one two three four five", chunks=5)


def _call() -> Any:
    return reply.tool_call("weather", {"city": "Oslo"})


def _city() -> Any:
    return reply.text('{"name": "Oslo", "people": 700000}')


def test_core_text(emulator: Emulator, options):
    """`Client.generate_content` with a plain text."""
    request = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    with Client(**options) as client:
        action = _answers(emulator, _text, lambda: client.generate_content(MODEL, request))
        _assert_within(walk(OURS, action), CORE_TEXT)


def test_core_stream(emulator: Emulator, options):
    """`Client.stream_generate_content` with five chunks."""
    request = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    with Client(**options) as client:
        action = _answers(emulator, _five_chunks, lambda: list(client.stream_generate_content(MODEL, request)))
        _assert_within(walk(OURS, action), CORE_STREAM)


def test_langchain_text(emulator: Emulator, chat):
    """`ChatGemway.invoke` with a plain text."""
    _assert_within(walk(OURS, _answers(emulator, _text, lambda: chat.invoke("Hello"))), LANGCHAIN_TEXT)


def test_langchain_picture(emulator: Emulator, chat):
    """`ChatGemway.invoke` with a text and a picture."""
    block = {"type": "image", "base64": base64.b64encode(PICTURE).decode(), "mime_type": "image/png"}
    messages = [HumanMessage([{"type": "text", "text": "What is this?"}, block])]

    _assert_within(walk(OURS, _answers(emulator, _text, lambda: chat.invoke(messages))), LANGCHAIN_PICTURE)


def test_langchain_stream(emulator: Emulator, chat):
    """`ChatGemway.stream` with five chunks."""
    action = _answers(emulator, _five_chunks, lambda: list(chat.stream("Hello")))

    _assert_within(walk(OURS, action), LANGCHAIN_STREAM)


def test_langchain_agent_turn(emulator: Emulator, chat):
    """A call of a tool, its result, and the answer."""
    bound = chat.bind_tools([tool(weather)])

    def turn() -> None:
        emulator.enqueue(_call(), _text())
        question = HumanMessage("How is the weather in Oslo?")
        asked = bound.invoke([question])
        bound.invoke([question, asked, tool(weather).invoke(asked.tool_calls[0])])

    _assert_within(walk(OURS, turn), LANGCHAIN_AGENT)


def test_langchain_structured(emulator: Emulator, chat):
    """`with_structured_output` with a pydantic class."""
    structured = chat.with_structured_output(City)

    _assert_within(walk(OURS, _answers(emulator, _city, lambda: structured.invoke("Oslo"))), LANGCHAIN_STRUCTURED)


def test_llama_index_text(emulator: Emulator, llm):
    """`Gemway.chat` with a plain text."""
    messages = [ChatMessage(content="Hello")]

    _assert_within(walk(OURS, _answers(emulator, _text, lambda: llm.chat(messages))), LLAMA_INDEX_TEXT)


def test_llama_index_picture(emulator: Emulator, llm):
    """`Gemway.chat` with a text and a picture."""
    messages = [ChatMessage(blocks=[TextBlock(text="What is this?"), ImageBlock(image=PICTURE)])]

    _assert_within(walk(OURS, _answers(emulator, _text, lambda: llm.chat(messages))), LLAMA_INDEX_PICTURE)


def test_llama_index_stream(emulator: Emulator, llm):
    """`Gemway.stream_chat` with five chunks."""
    messages = [ChatMessage(content="Hello")]
    action = _answers(emulator, _five_chunks, lambda: list(llm.stream_chat(messages)))

    _assert_within(walk(OURS, action), LLAMA_INDEX_STREAM)


def test_llama_index_agent_turn(emulator: Emulator, llm):
    """A call of a tool, its result, and the answer."""
    tools = [FunctionTool.from_defaults(fn=weather)]

    def turn() -> None:
        emulator.enqueue(_call(), _text())
        question = ChatMessage(content="How is the weather in Oslo?")
        asked = llm.chat_with_tools(tools, chat_history=[question])
        [call] = llm.get_tool_calls_from_response(asked)
        result = ChatMessage(role="tool", content="sunny", additional_kwargs={"tool_call_id": call.tool_id})
        llm.chat_with_tools(tools, chat_history=[question, asked.message, result])

    _assert_within(walk(OURS, turn), LLAMA_INDEX_AGENT)


def test_llama_index_structured(emulator: Emulator, llm):
    """`structured_predict` with a pydantic class."""
    prompt = PromptTemplate("Oslo")

    _assert_within(
        walk(OURS, _answers(emulator, _city, lambda: llm.structured_predict(City, prompt))), LLAMA_INDEX_STRUCTURED
    )


def _assert_within(crossed: Walk, ceiling: Walk) -> None:
    assert not crossed.exceeds(ceiling), f"crossed {crossed}, allowed {ceiling}"
