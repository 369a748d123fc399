"""Tools of every form, and structured output that never lies."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any, Literal, Optional, TypedDict

import gemway
import pytest
from gemway_emulator import Emulator, reply
from langchain.agents import create_agent
from langchain_core.exceptions import OutputParserException
from langchain_core.tools import tool
from langchain_gemway import ChatGemway
from langchain_gemway._errors import ModelRefusalError
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1

Make = Callable[..., ChatGemway]


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


class Node(BaseModel):
    """A tree."""

    label: str
    children: list[Node] = []


class Everything(BaseModel):
    """Arguments of every kind."""

    maybe: Optional[int] = None  # noqa: UP045 - people write it so
    either: int | str
    level: Literal[1, 2, 3]
    counts: dict[str, int]
    tags: set[str]
    tree: Node
    small: int = Field(ge=1, le=9)
    code: str = Field(pattern="^[a-z]+$", max_length=5)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def weather(city: str, unit: Literal["C", "F"] = "C") -> str:
    """Tell the weather.

    Args:
        city: where
    """
    return f"{city}: sunny, 20 {unit}"


class Search(TypedDict):
    """Search for something."""

    query: str


class Old(BaseModelV1):
    """An old model."""

    name: str


SCHEMA = {"title": "person", "description": "Somebody.", "type": "object", "properties": {"name": {"type": "string"}}}
OPENAI = {"type": "function", "function": {"name": "person", "description": "Somebody.", "parameters": SCHEMA}}
RESPONSES = {"type": "function", "name": "person", "description": "Somebody.", "parameters": SCHEMA}
ANTHROPIC = {
    "name": "person",
    "description": "Somebody.",
    "input_schema": SCHEMA,
    "cache_control": {"type": "ephemeral"},
}
BEDROCK = {"toolSpec": {"name": "person", "description": "Somebody.", "inputSchema": {"json": SCHEMA}}}
GOOGLE = {"function_declarations": [{"name": "person", "description": "Somebody.", "parameters": SCHEMA}]}


def wire(model: Any) -> list[dict[str, Any]]:
    """The tools that a bound model would send."""
    tools: list[dict[str, Any]] = model.kwargs["tools"].wire
    return tools


def declaration(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = wire(model)[0]["functionDeclarations"][0]
    return found


def test_schemas_keep_their_meaning(chat: Make, emulator: Emulator) -> None:
    """Optional, unions, integer literals, dicts, sets, recursion and limits bind, and are on the wire."""
    bound = chat().bind_tools([Everything])
    properties = declaration(bound)["parametersJsonSchema"]["properties"]

    text = json.dumps(properties)
    assert '"null"' in text
    assert properties["level"]["enum"] == [1, 2, 3]
    assert (properties["small"]["minimum"], properties["small"]["maximum"]) == (1, 9)
    assert "^[a-z]+$" in text
    assert properties["counts"]["additionalProperties"] == {"type": "integer"}
    assert "$ref" in text
    emulator.enqueue(reply.text("ok"))
    bound.invoke("Hello")


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (add, "add"),
        (weather, "weather"),
        (Person, "Person"),
        (Old, "Old"),
        (Search, "Search"),
        (SCHEMA, "person"),
        (OPENAI, "person"),
        (RESPONSES, "person"),
        (ANTHROPIC, "person"),
        (BEDROCK, "person"),
        (GOOGLE, "person"),
        (gemway.types.FunctionDeclaration(name="person", description="Somebody."), "person"),
        (gemway.types.Tool.model_validate(GOOGLE), "person"),
    ],
    ids=lambda value: str(getattr(value, "__name__", value))[:30],
)
def test_tools_of_every_form(chat: Make, emulator: Emulator, form: Any, name: str) -> None:
    """LangChain, pydantic, TypedDict, OpenAI, Anthropic, Bedrock and Google tools are declarations."""
    bound = chat().bind_tools([form])

    declared = declaration(bound)
    assert declared["name"] == name
    assert declared["description"]
    emulator.enqueue(reply.tool_call(name, {"name": "Ada"}))
    assert bound.invoke("Hello").tool_calls[0]["name"] == name


def test_tools_are_converted_once(chat: Make) -> None:
    """Agents bind the same tools for every call: the declaration is the same object."""
    first, second = chat().bind_tools([add, Person]), chat().bind_tools([add, Person])

    for one, other in zip(wire(first)[0]["functionDeclarations"], wire(second)[0]["functionDeclarations"], strict=True):
        assert one is other


def test_illegal_names_are_mapped_back(chat: Make, emulator: Emulator) -> None:
    """A name that Gemini refuses is changed on the wire only."""
    odd = {"name": "my tool!", "description": "x", "parameters": SCHEMA}
    bound = chat().bind_tools([odd], tool_choice="my tool!")
    sent = declaration(bound)["name"]
    emulator.enqueue(reply.tool_call(sent, {}))

    message = bound.invoke("Hello")

    assert sent != "my tool!"
    assert message.tool_calls[0]["name"] == "my tool!"
    assert emulator.requests[0].json["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [sent]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("any", {"mode": "ANY"}),
        ("required", {"mode": "ANY"}),
        (True, {"mode": "ANY"}),
        ("add", {"mode": "ANY", "allowedFunctionNames": ["add"]}),
        (["add", "weather"], {"mode": "ANY", "allowedFunctionNames": ["add", "weather"]}),
        ({"type": "function", "function": {"name": "add"}}, {"mode": "ANY", "allowedFunctionNames": ["add"]}),
        ({"type": "function", "name": "add"}, {"mode": "ANY", "allowedFunctionNames": ["add"]}),
        ({"type": "tool", "name": "add"}, {"mode": "ANY", "allowedFunctionNames": ["add"]}),
        ({"type": "any"}, {"mode": "ANY"}),
        ({"mode": "ANY"}, {"mode": "ANY"}),
        ({"function_calling_config": {"mode": "ANY"}}, {"mode": "ANY"}),
    ],
    ids=str,
)
def test_tool_choice_of_every_provider(chat: Make, emulator: Emulator, choice: Any, expected: Any) -> None:
    """OpenAI's, Anthropic's and Google's forms map to Gemini's modes."""
    chat().bind_tools([add, weather], tool_choice=choice).invoke("Add 1 and 2 in Paris")

    assert emulator.requests[0].json["toolConfig"]["functionCallingConfig"] == expected


def test_wrong_names_raise_when_bound(chat: Make) -> None:
    """A tool_choice that names no tool is an error at once."""
    with pytest.raises(ValueError, match="unknown tool 'subtract'"):
        chat().bind_tools([add], tool_choice="subtract")


def test_strict_means_validated(chat: Make, emulator: Emulator) -> None:
    """strict=True makes calls follow their schemas."""
    chat().bind_tools([add], strict=True).invoke("Hello")

    assert emulator.requests[0].json["toolConfig"]["functionCallingConfig"]["mode"] == "VALIDATED"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"googleSearch": {}}, {"googleSearch": {}}),
        ({"google_search": {}}, {"googleSearch": {}}),
        ({"file_search": {"file_search_store_names": ["a"]}}, {"fileSearch": {"fileSearchStoreNames": ["a"]}}),
        ({"codeExecution": {}}, {"codeExecution": {}}),
        ({"somethingNew": {"x": 1}}, {"somethingNew": {"x": 1}}),
        ({"type": "web_search"}, {"googleSearch": {}}),
        ({"type": "web_search_20250305", "name": "web_search", "max_uses": 3}, {"googleSearch": {}}),
        ({"type": "code_interpreter", "container": {"type": "auto"}}, {"codeExecution": {}}),
    ],
    ids=str,
)
def test_built_in_tools_are_googles(chat: Make, given: Any, expected: Any) -> None:
    """Google's in either spelling pass through, other providers' are Google's counterpart."""
    assert wire(chat().bind_tools([given])) == [expected]


def test_built_in_tools_without_counterpart_are_refused(chat: Make) -> None:
    """A computer-use tool of OpenAI is an error that names what there is."""
    with pytest.raises(gemway.ConfigurationError, match="computer_use_preview"):
        chat().bind_tools([{"type": "computer_use_preview"}])


@pytest.mark.parametrize(
    "form", [SCHEMA, OPENAI, RESPONSES, ANTHROPIC, BEDROCK, GOOGLE], ids=lambda value: next(iter(value))
)
def test_binding_changes_nothing_of_the_caller(chat: Make, form: dict[str, Any]) -> None:
    """Tool dicts are left as they were."""
    before = copy.deepcopy(form)

    chat().bind_tools([form]).invoke("Hello")

    assert form == before


METHODS: list[Any] = ["json_schema", "json_mode", "function_calling"]


@pytest.mark.parametrize("method", METHODS)
def test_truncated_answers_raise(chat: Make, emulator: Emulator, method: Any) -> None:
    """MAX_TOKENS is an error, invoked, streamed and with include_raw; never half an object."""
    cut = reply.text('{"name": "Ada", "age": 3', finish_reason="MAX_TOKENS")
    emulator.enqueue(cut, cut, cut)
    structured = chat().with_structured_output(Person, method=method)

    with pytest.raises(OutputParserException, match="cut off"):
        structured.invoke("Ada, 36")
    with pytest.raises(OutputParserException, match="cut off"):
        [*structured.stream("Ada, 36")]
    raw = chat().with_structured_output(Person, method=method, include_raw=True).invoke("Ada, 36")
    assert raw["parsed"] is None
    assert isinstance(raw["parsing_error"], OutputParserException)


@pytest.mark.parametrize(
    "blocked",
    [
        reply.blocked("SAFETY", prompt=True),
        reply.blocked("SAFETY", prompt=False, message="not nice"),
        reply.blocked("IMAGE_SAFETY", prompt=False),
    ],
    ids=["prompt", "answer", "image"],
)
@pytest.mark.parametrize("method", METHODS)
def test_refusals_raise(chat: Make, emulator: Emulator, method: Any, blocked: Any) -> None:
    """A blocked prompt or answer raises ModelRefusalError, which OutputParserException catches too."""
    emulator.enqueue(copy.deepcopy(blocked), copy.deepcopy(blocked))

    with pytest.raises(ModelRefusalError):
        chat().with_structured_output(Person, method=method).invoke("Ada")
    with pytest.raises(OutputParserException):
        [*chat().with_structured_output(Person, method=method).stream("Ada")]


def test_refusals_are_blocks(chat: Make, emulator: Emulator) -> None:
    """content_blocks has one refusal block with reason and text."""
    emulator.enqueue(reply.blocked("SAFETY", prompt=False, message="not nice"))

    message = chat().invoke("Hello")

    (block,) = message.content_blocks
    assert block == {"type": "refusal", "refusal": "not nice", "extras": {"reason": "SAFETY"}}
    assert message.text == ""


def test_a_text_where_a_call_is_due_raises(chat: Make, emulator: Emulator) -> None:
    """With allow_none it is None; otherwise the error holds the text."""
    emulator.enqueue(reply.text("I would rather talk."), reply.text("I would rather talk."))
    model = chat()

    with pytest.raises(OutputParserException, match="I would rather talk"):
        model.with_structured_output(Person, method="function_calling").invoke("Ada")
    assert model.with_structured_output(Person, method="function_calling", allow_none=True).invoke("Ada") is None


def test_answers_that_do_not_fit_raise(chat: Make, emulator: Emulator) -> None:
    """JSON that breaks the schema, and text that is no JSON."""
    emulator.enqueue(reply.text('{"name": "Ada"}'), reply.text("Ada is 36."))
    structured = chat().with_structured_output(Person)

    with pytest.raises(OutputParserException, match="does not fit"):
        structured.invoke("Ada")
    with pytest.raises(OutputParserException, match="not valid JSON"):
        structured.invoke("Ada")


def test_objects_grow_in_a_stream(chat: Make, emulator: Emulator) -> None:
    """A class yields valid objects only, a dict schema growing dicts."""
    pieces = ['{"name": "A', 'da", "age"', ": 36}"]
    emulator.enqueue(reply.text("".join(pieces), chunks=pieces), reply.text("".join(pieces), chunks=pieces))

    objects = [*chat().with_structured_output(Person).stream("Ada")]
    dicts = [*chat().with_structured_output(Person.model_json_schema()).stream("Ada")]

    assert objects == [Person(name="Ada", age=36)]
    assert dicts[0] == {"name": "A"}
    assert dicts[-1] == {"name": "Ada", "age": 36}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Person, Person.model_json_schema()], ids=["class", "dict"])
async def test_every_method_returns_what_was_asked(chat: Make, emulator: Emulator, method: Any, schema: Any) -> None:
    """invoke, ainvoke, stream and astream end with the same result."""
    answer = {"name": "Ada", "age": 36}
    for _ in range(4):
        calls = method == "function_calling"
        emulator.enqueue(reply.tool_call("Person", answer) if calls else reply.text(json.dumps(answer)))
    model = chat()
    structured = model.with_structured_output(schema, method=method)

    results = [
        structured.invoke("Ada"),
        await structured.ainvoke("Ada"),
        [*structured.stream("Ada")][-1],
        [one async for one in structured.astream("Ada")][-1],
    ]

    assert results == [Person(**answer) if schema is Person else answer] * 4
    await model.aclose()


def test_agents_use_the_models_own_schema(chat: Make, emulator: Emulator) -> None:
    """create_agent chooses ProviderStrategy for Gemini 3: a response schema and no forced call."""
    emulator.enqueue(reply.text('{"name": "Ada", "age": 36}'))

    state = create_agent(chat("gemini-3-pro-preview"), tools=[add], response_format=Person).invoke(
        {"messages": [("user", "Ada is 36")]}
    )

    body = emulator.requests[0].json
    assert state["structured_response"] == Person(name="Ada", age=36)
    assert body["generationConfig"]["responseJsonSchema"]["required"] == ["name", "age"]
    assert body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode") != "ANY"


def test_agents_force_a_call_for_older_models(chat: Make, emulator: Emulator) -> None:
    """ToolStrategy works too: Gemini 2.5 takes no schema beside tools."""
    emulator.enqueue(reply.tool_call("Person", {"name": "Ada", "age": 36}))

    state = create_agent(chat("gemini-2.5-pro"), tools=[add], response_format=Person).invoke(
        {"messages": [("user", "Ada is 36")]}
    )

    assert state["structured_response"] == Person(name="Ada", age=36)


class Numbers(BaseModel):
    """Numbers of both kinds."""

    whole: int
    real: float
    many: list[int]


def test_numbers_keep_their_kind(chat: Make, emulator: Emulator) -> None:
    """3.0 stays a float for a number and is 3 for an integer; 1e22 stays a float."""
    call = (
        '{"functionCall": {"name": "Numbers", "args": {"whole": 3.0, "real": 3.0, "many": [1.0, 2.0], "other": 1e22}}}'
    )
    body = '{"candidates": [{"content": {"parts": [' + call + ']}, "finishReason": "STOP"}]}'
    emulator.enqueue(reply.raw(200, body), reply.raw(200, body))
    bound = chat().bind_tools([Numbers])

    invoked = bound.invoke("go").tool_calls[0]["args"]
    first, *others = bound.stream("go")
    streamed = (first + others).tool_calls[0]["args"]

    for found in (invoked, streamed):
        assert [type(found[name]) for name in ("whole", "real", "other")] == [int, float, float]
        assert [type(number) for number in found["many"]] == [int, int]
