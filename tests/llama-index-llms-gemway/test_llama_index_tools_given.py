"""Tools as they are given: twice, changed between calls, together with cached content; and calls in odd histories."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from gemway import ConfigurationError
from gemway_emulator import Emulator, reply
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

ASK = [ChatMessage(content="What is 1 + 2?")]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def _declarations(emulator: Emulator) -> list[dict[str, Any]]:
    tools = emulator.requests[-1].json["tools"]
    return [declaration for tool in tools for declaration in tool.get("functionDeclarations", ())]


@pytest.mark.parametrize(
    "twice",
    [
        lambda tool: [tool, tool],
        lambda tool: [tool, FunctionTool.from_defaults(add)],
        lambda tool: [tool, add],
        lambda tool: [{"googleSearch": {}}, tool, {"googleSearch": {}}, tool],
    ],
    ids=["the same object", "made twice", "as tool and function", "with server tools"],
)
def test_a_tool_given_twice_is_declared_once(emulator: Emulator, gemway, twice) -> None:
    """Google refuses a second declaration of a name ("Duplicate function declaration found")."""
    gemway("gemini-3-pro-preview").chat(ASK, tools=twice(FunctionTool.from_defaults(add)))

    assert [declaration["name"] for declaration in _declarations(emulator)] == ["add"]
    assert sum("googleSearch" in tool for tool in emulator.requests[-1].json["tools"]) <= 1


async def test_an_agents_tool_may_be_the_models_too(emulator: Emulator, gemway) -> None:
    """A tool of the constructor that the agent also has is one tool."""
    tool = FunctionTool.from_defaults(add)
    llm = gemway(tools=[tool])
    emulator.enqueue(reply.text("3"))
    memory = ChatMemoryBuffer.from_defaults(token_limit=1000)

    await FunctionAgent(llm=llm, tools=[tool]).run("1 + 2?", memory=memory)

    assert [declaration["name"] for declaration in _declarations(emulator)] == ["add"]


def test_a_single_tool_of_the_constructor_joins_the_others(emulator: Emulator, gemway) -> None:
    """`tools=` of the model may be one tool instead of a list."""
    llm = gemway("gemini-3-pro-preview", tools={"googleSearch": {}})

    llm.chat_with_tools([FunctionTool.from_defaults(add)], "1 + 2?")

    assert {"googleSearch": {}} in emulator.requests[-1].json["tools"]
    assert [declaration["name"] for declaration in _declarations(emulator)] == ["add"]


def test_two_tools_of_one_name_are_an_error(gemway) -> None:
    """Which of the two the model would call, nobody could say."""
    other = FunctionTool.from_defaults(lambda a: a, name="add", description="Something else.")

    with pytest.raises(ConfigurationError, match="two different tools are named 'add'"):
        gemway().chat(ASK, tools=[FunctionTool.from_defaults(add), other])


class Sum(BaseModel):
    a: int = Field(description="The first number.")


def test_changed_tools_are_declared_as_they_are_now(emulator: Emulator, gemway) -> None:
    """Name, description, arguments and list are read at each call."""
    llm, tools = gemway(), [FunctionTool.from_defaults(add, fn_schema=Sum)]
    llm.chat(ASK, tools=tools)

    tools[0].metadata.description = "Sum up."
    Sum.model_fields["a"].description = "One number."
    Sum.model_rebuild(force=True)
    llm.chat(ASK, tools=tools)
    (changed,) = _declarations(emulator)
    tools.append(FunctionTool.from_defaults(add, name="plus"))
    llm.chat(ASK, tools=tools)

    assert changed["description"] == "Sum up."
    assert changed["parametersJsonSchema"]["properties"]["a"]["description"] == "One number."
    assert [declaration["name"] for declaration in _declarations(emulator)] == ["add", "plus"]


@pytest.mark.filterwarnings("ignore:with cached_content")
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_cached_content_brings_its_own_instruction_and_tools(emulator: Emulator, gemway, streamed: bool) -> None:
    """A request with cachedContent must not repeat what is in the cache (ai.google.dev, Caching)."""
    llm = gemway(cached_content="cachedContents/abc", system_prompt="Be brief.")
    messages = [ChatMessage(role="system", content="Be brief."), *ASK]
    options = {"tools": [FunctionTool.from_defaults(add)], "tool_choice": "required"}
    emulator.enqueue(reply.text("3"))

    if streamed:
        list(llm.stream_chat(messages, **options))
    else:
        llm.chat(messages, **options)

    body = emulator.requests[-1].json
    assert body["cachedContent"] == "cachedContents/abc"
    assert not {"systemInstruction", "tools", "toolConfig"} & body.keys()


CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}


@pytest.mark.parametrize(
    ("tool_calls", "count"),
    [
        ([CALL], 1),
        (json.dumps([CALL]), 1),
        ([json.dumps(CALL)], 1),
        ([{**CALL, "function": json.dumps(CALL["function"])}], 1),
        ([SimpleNamespace(id="c1", function=SimpleNamespace(name="add", arguments='{"a": 1, "b": 2}'))], 1),
        ([{"tool_call_id": "c1", "tool_name": "add", "tool_kwargs": {"a": 1, "b": 2}}], 1),
        ("a word", 0),
        ({"name": "add"}, 0),
        ([None, 7, {}, {"function": {}}, {"id": "c1"}], 0),
    ],
    ids=["OpenAI's", "text", "texts", "function as text", "objects", "block", "words", "no list", "no calls"],
)
def test_call_lists_of_any_store_are_read(emulator: Emulator, gemway, tool_calls: Any, count: int) -> None:
    """Calls in `additional_kwargs` are sent and selected if they can be read, and raise nothing if not."""
    llm = gemway()
    message = ChatMessage(role="assistant", content="Well.", additional_kwargs={"tool_calls": tool_calls})
    result = ChatMessage(role="tool", content="3", additional_kwargs={"tool_call_id": "c1"})

    selected = llm.get_tool_calls_from_response(ChatResponse(message=message), error_on_no_tool_call=False)
    llm.chat([*ASK, message, *[result][:count], *ASK])

    assert [(call.tool_name, call.tool_kwargs) for call in selected] == [("add", {"a": 1, "b": 2})] * count
    sent = [part for content in emulator.requests[-1].json["contents"] for part in content["parts"]]
    assert [part["functionCall"]["args"] for part in sent if "functionCall" in part] == [{"a": 1, "b": 2}] * count
