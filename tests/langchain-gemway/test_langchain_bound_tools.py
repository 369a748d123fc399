"""Tools bound twice, changed after they were bound, and those of the constructor."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from gemway import ConfigurationError
from gemway_emulator import Emulator, reply
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumpd, load
from langchain_core.tools import BaseTool, StructuredTool, tool
from langchain_gemway import ChatGemway
from pydantic import BaseModel, Field, create_model

Make = Callable[..., ChatGemway]


def look_up(q: str) -> str:
    """Look up in the wiki."""
    return q


class LookUp(BaseModel):
    """Look up in the wiki."""

    q: str


def declared(emulator: Emulator) -> list[dict[str, Any]]:
    tools = emulator.requests[-1].json.get("tools", [])
    return [one for item in tools for one in item.get("functionDeclarations", ())]


TWICE = {
    "a function": [look_up, look_up],
    "a class": [LookUp, LookUp],
    "a tool": [tool(look_up), tool(look_up)],
    "a dict and a function": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
        {"name": "f", "description": "d", "input_schema": {"type": "object"}},
    ],
}


@pytest.mark.parametrize("tools", TWICE.values(), ids=TWICE.keys())
@pytest.mark.parametrize("given", ["bind_tools", "constructor", "call"])
def test_a_tool_given_twice_is_declared_once(chat: Make, emulator: Emulator, tools: list[Any], given: str) -> None:
    """Google answers a second declaration of a name with 400."""
    if given == "bind_tools":
        chat().bind_tools(tools).invoke("hello")
    elif given == "constructor":
        chat(tools=tools).invoke("hello")
    else:
        chat().invoke("hello", tools=tools)

    assert len(declared(emulator)) == 1


def test_a_tool_of_the_server_given_twice_is_sent_once(chat: Make, emulator: Emulator) -> None:
    """As with functions."""
    chat(tools=[{"googleSearch": {}}, {"google_search": {}}]).invoke("hello")

    assert emulator.requests[-1].json["tools"] == [{"googleSearch": {}}]


def test_middleware_may_add_a_tool_that_is_there(chat: Make, emulator: Emulator) -> None:
    """Which is how most of the doubles come about."""
    search = tool(look_up)

    class Adds(AgentMiddleware[Any, Any]):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return handler(request.override(tools=[*request.tools, search]))

    create_agent(chat(), [search], middleware=[Adds()]).invoke({"messages": [("user", "hello")]})

    assert [one["name"] for one in declared(emulator)] == ["look_up"]


def test_two_tools_of_one_name_are_refused(chat: Make, emulator: Emulator) -> None:
    """The error names them, and nothing is sent."""

    @tool("look_up")
    def another(q: str) -> str:
        """Look up elsewhere."""
        return q

    with pytest.raises(ConfigurationError, match="look_up"):
        chat().bind_tools([look_up, another])
    assert not emulator.requests


def a_function() -> Any:
    def find(q: str) -> str:
        """Old words."""
        return q

    return find


def a_class() -> Any:
    return create_model("find", __doc__="Old words.", q=(str, Field(description="old")))


def an_mcp_tool() -> Any:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    return StructuredTool(name="find", description="Old words.", args_schema=schema, func=lambda **_: "")


def redocument(tool: Any) -> None:
    tool.__doc__ = "New words."
    if isinstance(tool, type):
        tool.model_rebuild(force=True)  # type: ignore[attr-defined]


def patch_schema(tool: BaseTool) -> None:
    tool.args_schema["properties"]["a"]["description"] = "New words."  # type: ignore[index]


def rename(tool: BaseTool) -> None:
    tool.description = "New words."


CHANGES = {
    "a function's docstring": (a_function, redocument),
    "a class's docstring": (a_class, redocument),
    "a tool's description": (an_mcp_tool, rename),
    "a schema, in place": (an_mcp_tool, patch_schema),
    "a tool's function": (lambda: tool(a_function()), rename),
}


@pytest.mark.parametrize(("make_tool", "change"), CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_tool_is_described_anew(chat: Make, emulator: Emulator, make_tool: Any, change: Any) -> None:
    """Conversions are kept as long as a tool stays the same, and no longer."""
    changing = make_tool()
    chat().bind_tools([changing]).invoke("hello")
    change(changing)

    chat().bind_tools([changing]).invoke("hello")

    assert "New words." in str(declared(emulator))


def test_a_class_that_nobody_uses_is_forgotten(chat: Make) -> None:
    """Programs that make a class for each question do not grow."""
    passing = create_model("Passing", q=(str, ...))
    chat().bind_tools([passing])
    remembered = weakref.ref(passing)

    del passing
    gc.collect()

    assert remembered() is None


def test_bound_tools_can_be_added_to(chat: Make, emulator: Emulator) -> None:
    """The list in the binding is LangChain's, and middleware appends to it."""
    bound: Any = chat().bind_tools([look_up])
    extra = {"type": "function", "function": {"name": "extra", "description": "e", "parameters": {"type": "object"}}}
    bound.kwargs["tools"].append(extra)

    bound.invoke("hello")
    added = [one["name"] for one in declared(emulator)]
    bound.kwargs["tools"].pop(0)
    bound.invoke("hello")

    assert added == ["look_up", "extra"]
    assert [one["name"] for one in declared(emulator)] == ["extra"]


def test_the_dialect_of_a_call_reaches_bound_tools(chat: Make, emulator: Emulator) -> None:
    """A gateway that knows no JSON Schema gets none, whenever that turns out."""
    chat().bind_tools([look_up]).invoke("hello", schema_dialect="openapi")

    assert "parameters" in declared(emulator)[0]


def test_bound_tools_can_be_pickled(chat: Make, emulator: Emulator) -> None:
    """Also those of local functions: what travels is their description."""
    bound: Any = chat().bind_tools([a_function(), {"googleSearch": {}}])
    sent = pickle.loads(pickle.dumps(bound.kwargs["tools"]))

    chat().invoke("hello", tools=sent)

    assert declared(emulator)[0]["name"] == "find"
    assert {"googleSearch": {}} in emulator.requests[-1].json["tools"]


# Tools of the constructor


class Warehouse(BaseTool):
    """A tool with things of its own that no tracer and no cache may see, and that are no JSON."""

    name: str = "count"
    description: str = "Count what is in stock."
    connection: Any = None
    password: str = "swordfish"

    def _run(self, article: str) -> str:
        return article


TOOLS = {
    "a tool of the server": [{"googleSearch": {}}],
    "a function": [look_up],
    "a class": [LookUp],
    "a tool with a connection": [Warehouse(connection=object())],
}


@pytest.mark.parametrize("tools", TOOLS.values(), ids=TOOLS.keys())
@pytest.mark.parametrize("way", ["sync", "async"])
async def test_the_cache_tells_models_with_tools_apart(
    chat: Make, emulator: Emulator, tools: list[Any], way: str
) -> None:
    """A model that searches does not get the answer of one that does not."""
    cache = InMemoryCache()
    models = [chat(cache=cache), chat(cache=cache, tools=tools), chat(cache=cache, tools=tools)]
    emulator.enqueue(reply.text("from memory"), reply.text("looked up"))

    answers = [model.invoke("Who won?") if way == "sync" else await model.ainvoke("Who won?") for model in models]
    for model in models:
        await model.aclose()

    assert [answer.text for answer in answers] == ["from memory", "looked up", "looked up"]


def test_a_cache_key_holds_tools_as_the_model_sees_them(chat: Make) -> None:
    """The same in every process, and without the attributes of the tool."""
    first, second = (chat(tools=[Warehouse(connection=object())]) for _ in range(2))

    key = first._get_llm_string()

    assert key == second._get_llm_string()
    assert "count" in key
    assert "swordfish" not in key


@pytest.mark.parametrize("tools", TOOLS.values(), ids=TOOLS.keys())
def test_a_dumped_model_keeps_its_tools(chat: Make, emulator: Emulator, tools: list[Any]) -> None:
    """As descriptions: functions themselves cannot be dumped."""
    model = chat(tools=tools)
    model.invoke("hello")
    expected = emulator.requests[-1].json["tools"]

    copy = load(
        dumpd(model),
        allowed_objects=[ChatGemway],
        valid_namespaces=["langchain_gemway"],
        secrets_map={"GEMWAY_API_KEY": emulator.api_key},
    )
    copy.invoke("hello")
    copy.close()

    assert emulator.requests[-1].json["tools"] == expected
