"""Agents as people write them: memory, middleware, other providers' histories, and odd tools."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, Optional

import gemway
import pytest
from gemway_emulator import Emulator, reply
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware, SummarizationMiddleware
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_gemway import ChatGemway
from langgraph.checkpoint.memory import MemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import BaseModel, Field

Make = Callable[..., ChatGemway]


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@tool
def now() -> str:
    """Tell the time."""
    return "12:00"


THREAD: Any = {"configurable": {"thread_id": "t"}}


def test_an_agent_with_memory_keeps_its_signatures(chat: Make, emulator: Emulator) -> None:
    """Gemini 3 refuses unsigned calls: over tools, checkpoints and turns every signature comes back."""
    saver = MemorySaver(serde=JsonPlusSerializer())
    agent = create_agent(chat("gemini-3-pro-preview"), tools=[multiply, now], checkpointer=saver)

    agent.invoke({"messages": [("user", "Multiply 6 and 7")]}, THREAD)
    state = agent.invoke({"messages": [("user", "And multiply 3 and 5")]}, THREAD)

    results = [message.content for message in state["messages"] if isinstance(message, ToolMessage)]
    assert results == ["42", "15"]
    assert [request.status for request in emulator.requests] == [200] * len(emulator.requests)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph hands callbacks on in task contexts, new in 3.11")
async def test_an_agent_streams_tokens_and_calls(chat: Make, emulator: Emulator) -> None:
    """stream_mode="messages" yields chunks of the model while it speaks."""
    emulator.enqueue(reply.tool_call("multiply", {"a": 6, "b": 7}), reply.text("It is forty-two.", chunks=4))
    agent = create_agent(chat(), tools=[multiply])

    chunks = [
        message
        async for message, _ in agent.astream({"messages": [("user", "6 x 7?")]}, stream_mode="messages")
        if isinstance(message, AIMessageChunk)
    ]

    assert any(chunk.tool_call_chunks for chunk in chunks)
    assert "".join(str(chunk.content) for chunk in chunks) == "It is forty-two."
    assert len([chunk for chunk in chunks if chunk.content]) > 1


def test_retry_middleware_leaves_hopeless_calls_alone(chat: Make, emulator: Emulator) -> None:
    """A refused request is sent once, a busy gateway is asked again."""
    emulator.enqueue(reply.error(503), reply.text("Hi."), reply.error(400))
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0.01, on_failure="error")
    agent = create_agent(chat(max_retries=0), tools=[], middleware=[retry])

    assert agent.invoke({"messages": [("user", "Hello")]})["messages"][-1].text == "Hi."
    with pytest.raises(gemway.BadRequestError):
        agent.invoke({"messages": [("user", "Hello")]})
    assert len(emulator.requests) == 3


def test_fallback_middleware(chat: Make, emulator: Emulator) -> None:
    """Another model answers where the first fails."""
    emulator.enqueue(reply.error(500), reply.text("Hi."))
    agent = create_agent(chat(max_retries=0), tools=[], middleware=[ModelFallbackMiddleware(chat("gemini-2.5-pro"))])

    assert agent.invoke({"messages": [("user", "Hello")]})["messages"][-1].text == "Hi."
    assert "gemini-2.5-pro" in emulator.requests[1].path


def test_summarisation_middleware_knows_the_window(chat: Make, emulator: Emulator) -> None:
    """Fractions of the window need the profile, and tokens are counted without a tokenizer."""
    summary = SummarizationMiddleware(model=chat(), trigger=("fraction", 0.00001), keep=("messages", 1))
    agent = create_agent(chat(), tools=[], middleware=[summary])
    history = [HumanMessage("word " * 50), AIMessage("yes"), HumanMessage("Go on")]

    assert agent.invoke({"messages": history})["messages"][-1].text
    assert len(emulator.requests) == 2


def test_a_conversation_of_another_provider_goes_on(chat: Make, emulator: Emulator) -> None:
    """With its calls, and back again: what we answer is plain LangChain."""
    history = [
        HumanMessage("Multiply 6 and 7"),
        AIMessage(
            [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "toolu_1", "name": "multiply", "input": {}},
            ],
            tool_calls=[{"name": "multiply", "args": {"a": 6, "b": 7}, "id": "toolu_1"}],
            response_metadata={"model_provider": "anthropic"},
        ),
        ToolMessage("42", tool_call_id="toolu_1"),
    ]

    message = chat("gemini-3-pro-preview").bind_tools([multiply]).invoke(history)

    assert message.text
    assert emulator.requests[0].status == 200
    assert "toolu_1" not in str(emulator.requests[0].json)


class Booking(BaseModel):
    """Book something."""

    kind: Literal["table", "room"]
    when: Optional[datetime] = Field(None, description="when")  # noqa: UP045 - people write it so
    guests: int = Field(2, ge=1, le=12)
    names: list[str] = Field(default_factory=list, min_length=0, max_length=5)
    note: str = Field(None)  # type: ignore[assignment]  # people write it so
    from_: str = Field("", alias="from")


def test_schemas_as_people_write_them(chat: Make, emulator: Emulator) -> None:
    """Literals, optional dates, limits, wrong defaults and aliases that are Python's words."""
    answer = '{"kind": "table", "when": "2026-11-22T20:00:00", "guests": 3, "from": "me"}'
    emulator.enqueue(reply.text(answer), reply.tool_call("Booking", {"kind": "room", "from": "us"}))
    model = chat()

    assert model.with_structured_output(Booking).invoke("Book a table").from_ == "me"
    assert model.with_structured_output(Booking, method="function_calling").invoke("Book a room").from_ == "us"


def test_tools_without_arguments(chat: Make, emulator: Emulator) -> None:
    """The call has no arguments, and the tool runs."""
    emulator.enqueue(reply.raw(200, '{"candidates": [{"content": {"parts": [{"functionCall": {"name": "now"}}]}}]}'))

    (call,) = chat().bind_tools([now]).invoke("What time is it?").tool_calls

    assert call["args"] == {}
    assert now.invoke(call).content == "12:00"


def test_a_chain_streams_text(chat: Make, emulator: Emulator) -> None:
    """Prompt, model and parser; every chunk is a string."""
    emulator.enqueue(reply.text("One two three four.", chunks=3))
    chain = (
        ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
        | chat()
        | StrOutputParser()
    )

    assert "".join(chain.stream({"question": "Count"})) == "One two three four."


def test_the_openai_dialect_of_dicts(chat: Make, emulator: Emulator) -> None:
    """Messages as role dicts, with tool results that name no tool."""
    call = {"id": "c1", "type": "function", "function": {"name": "multiply", "arguments": '{"a": 6, "b": 7}'}}
    history = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "6 x 7?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]

    chat().invoke(history)

    body = emulator.requests[0].json
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"][2]["parts"] == [{"functionResponse": {"name": "multiply", "response": {"output": "42"}}}]


def test_the_openapi_dialect(chat: Make, emulator: Emulator) -> None:
    """schema_dialect="openapi" says schemas in the words of older gateways, for tools and answers."""
    model = chat(schema_dialect="openapi")
    emulator.enqueue(reply.text("ok"), reply.text('{"kind": "table"}'))

    model.bind_tools([multiply]).invoke("Hello")
    model.with_structured_output(Booking).invoke("Book")

    tools, answer = (request.json for request in emulator.requests)
    assert "parameters" in tools["tools"][0]["functionDeclarations"][0]
    assert "responseSchema" in answer["generationConfig"]
