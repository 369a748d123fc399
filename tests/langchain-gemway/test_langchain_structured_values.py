"""Structured answers that are no objects: lists, words and numbers (ai.google.dev, Structured output)."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

import pytest
from gemway_emulator import Emulator, reply
from langchain_core.exceptions import OutputParserException
from langchain_gemway import ChatGemway
from pydantic import BaseModel, RootModel

Make = Callable[..., ChatGemway]


class Recipe(BaseModel):
    """A recipe."""

    name: str


class Recipes(RootModel[list[Recipe]]):
    """Recipes."""


class Side(Enum):
    LEFT = "left"
    RIGHT = "right"


SHAPES: dict[str, tuple[Any, Any, Any]] = {
    "a RootModel of a list": (Recipes, [{"name": "a"}, {"name": "b"}], Recipes([Recipe(name="a"), Recipe(name="b")])),
    "a list type": (list[Recipe], [{"name": "a"}], [Recipe(name="a")]),
    "an enumeration": (Side, "left", Side.LEFT),
    "literals": (Literal["yes", "no"], "no", "no"),
    "an array": ({"title": "Numbers", "type": "array", "items": {"type": "integer"}}, [1, 2], [1, 2]),
    "an array without a title": ({"type": "array", "items": {"type": "string"}}, ["a"], ["a"]),
    "an enum": ({"title": "Side", "type": "string", "enum": ["left", "right"]}, "left", "left"),
    "one of two": ({"title": "Age", "anyOf": [{"type": "integer"}, {"type": "null"}]}, 7, 7),
}
all_shapes = pytest.mark.parametrize(("schema", "said", "expected"), SHAPES.values(), ids=SHAPES.keys())


@all_shapes
@pytest.mark.parametrize("method", ["json_schema", "json_mode", "function_calling"])
@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "include_raw"])
@pytest.mark.filterwarnings("error::UserWarning")
async def test_values_are_answers(
    chat: Make, emulator: Emulator, schema: Any, said: Any, expected: Any, method: Any, way: str
) -> None:
    """The whole value, of the schema's type."""
    model = chat()
    chain = model.with_structured_output(schema, method=method, include_raw=way == "include_raw")
    calls = method == "function_calling"
    name = "Recipes" if schema is Recipes else schema.get("title", "answer") if isinstance(schema, dict) else None
    offered = name or ("Side" if schema is Side else "answer")
    emulator.enqueue(reply.tool_call(offered, {"value": said}) if calls else reply.text(json.dumps(said)))

    if way == "ainvoke":
        result = await chain.ainvoke("go")
        await model.aclose()
    else:
        result = [*chain.stream("go")][-1] if way == "stream" else chain.invoke("go")

    assert (result["parsed"] if way == "include_raw" else result) == expected


@all_shapes
def test_the_schema_reaches_the_gateway(chat: Make, emulator: Emulator, schema: Any, said: Any, expected: Any) -> None:
    """As it is for answers in JSON, as the one argument of a call."""
    emulator.enqueue(reply.text(json.dumps(said)))
    chat().with_structured_output(schema).invoke("go")
    sent = emulator.requests[-1].json["generationConfig"]["responseJsonSchema"]

    assert sent.get("type", "") != "object"
    assert not {"items", "enum", "anyOf"}.isdisjoint(sent)


@pytest.mark.parametrize(
    ("schema", "said"),
    [(Recipe, [{"name": "a"}]), (Recipes, {"name": "a"}), (Side, "up"), ({"title": "A", "properties": {}}, "word")],
    ids=["a list for an object", "an object for a list", "a word that is none of them", "a word for an object"],
)
def test_what_does_not_fit_is_an_error(chat: Make, emulator: Emulator, schema: Any, said: Any) -> None:
    """Never a value of another kind."""
    emulator.enqueue(reply.text(json.dumps(said)))

    with pytest.raises(OutputParserException):
        chat().with_structured_output(schema).invoke("go")


@pytest.mark.parametrize("said", ['"le', "[1, 2", "12"], ids=["half a word", "half a list", "half a number"])
def test_half_a_value_is_no_answer(chat: Make, emulator: Emulator, said: str) -> None:
    """An answer that was cut off is an error, even if what there is looks whole."""
    emulator.enqueue(reply.text(said, finish_reason="MAX_TOKENS"))

    with pytest.raises(OutputParserException, match="cut off"):
        chat().with_structured_output({"anyOf": [{"type": "array"}, {"type": "integer"}, {"enum": ["le"]}]}).invoke(
            "go"
        )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (Side, Side.LEFT),
        (RootModel[Side], RootModel[Side](Side.LEFT)),
        (Literal["left", "right"], "left"),
        ({"title": "Side", "type": "string", "enum": ["left", "right"]}, "left"),
    ],
    ids=["an enumeration", "a RootModel", "literals", "an enum"],
)
@pytest.mark.parametrize("text", ["left", " left\n"])
def test_a_word_of_an_enumeration_needs_no_quotes(
    chat: Make, emulator: Emulator, schema: Any, expected: Any, text: str
) -> None:
    """Google's `text/x.enum` answers so."""
    emulator.enqueue(reply.text(text))

    result = chat().with_structured_output(schema).invoke("go")

    assert result == expected


def test_any_other_bare_word_is_an_error(chat: Make, emulator: Emulator) -> None:
    """Text that is no JSON, and no word of the enumeration."""
    emulator.enqueue(reply.text("up"))

    with pytest.raises(OutputParserException, match="not valid JSON"):
        chat().with_structured_output(Side).invoke("go")
