"""The functions of a request: arguments come back with their declared types, declarations are sent once."""

from __future__ import annotations

import gc
import weakref
from typing import Annotated, Any, Literal

import pytest
from gemway import Client, ConfigurationError
from gemway.adapters import restore_arguments, sanitize_tool_name, split_result_media, stamp_class
from gemway_emulator import Emulator, reply
from pydantic import BaseModel, Field, create_model


class Node(BaseModel):
    value: int
    children: list[Node] = []


class Circle(BaseModel):
    kind: Literal["circle"]
    size: int


class Square(BaseModel):
    kind: Literal["square"]
    size: float


class Everything(BaseModel):
    count: int = 0
    share: float = 0
    either: int | float = 0
    note: str = ""
    free: Any = None
    ids: list[int] = []
    maybe: list[int] | None = None
    mixed: str | list[int] = ""
    counts: dict[str, int] = {}
    nested: dict[str, dict[str, list[int]]] = {}
    pair: tuple[int, float, str] = (0, 0, "")
    tree: Node | None = None
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None


SCHEMA = Everything.model_json_schema()


@pytest.mark.parametrize(
    ("received", "restored"),
    [
        ({"count": 2.0}, {"count": 2}),
        ({"count": 2.5}, {"count": 2.5}),
        ({"share": 2.0}, {"share": 2.0}),
        ({"either": 2.0}, {"either": 2.0}),
        ({"free": 2.0}, {"free": 2.0}),
        ({"count": True}, {"count": True}),
        ({"ids": [1.0, 2]}, {"ids": [1, 2]}),
        ({"counts": {"a": 1.0}}, {"counts": {"a": 1}}),
        ({"nested": {"a": {"b": [1.0]}}}, {"nested": {"a": {"b": [1]}}}),
        ({"pair": [1.0, 2.0, "x"]}, {"pair": [1, 2.0, "x"]}),
        ({"tree": {"value": 1.0, "children": [{"value": 2.0}]}}, {"tree": {"value": 1, "children": [{"value": 2}]}}),
        ({"shape": {"kind": "circle", "size": 1.0}}, {"shape": {"kind": "circle", "size": 1}}),
        ({"shape": {"kind": "square", "size": 1.0}}, {"shape": {"kind": "square", "size": 1.0}}),
        ({"ids": "[1.0, 2]"}, {"ids": [1, 2]}),
        ({"maybe": " [1]"}, {"maybe": [1]}),
        ({"tree": '{"value": 1.0}'}, {"tree": {"value": 1}}),
        ({"counts": '{"a": "1"}'}, {"counts": {"a": "1"}}),
        ({"note": "[1]"}, {"note": "[1]"}),
        ({"mixed": "[1]"}, {"mixed": "[1]"}),
        ({"free": "[1]"}, {"free": "[1]"}),
        ({"ids": "1, 2"}, {"ids": "1, 2"}),
        ({"ids": "[1, 2"}, {"ids": "[1, 2"}),
        ({"ids": '{"a": 1}'}, {"ids": '{"a": 1}'}),
        ({"ids": "[NaN]"}, {"ids": "[NaN]"}),
        ({"unknown": "[1]"}, {"unknown": "[1]"}),
    ],
    ids=[
        *("whole float", "fraction", "number", "integer or number", "anything", "boolean", "list", "map", "nested map"),
        *("tuple", "recursion", "discriminated, integer", "discriminated, number", "text of a list"),
        *("text of an optional list", "text of an object", "text in a text", "text wanted", "text or list"),
        *("text for anything", "text that is no JSON", "cut JSON", "JSON of another type", "NaN", "undeclared"),
    ],
)
def test_arguments_get_the_types_that_the_schema_declares(received, restored):
    """Integers that came as 1.0 and values that came as JSON text are undone where the schema leaves no doubt."""
    result = restore_arguments(received, SCHEMA)

    assert repr(result) == repr(restored)


@pytest.mark.parametrize(
    ("schema", "received", "restored"),
    [
        ({"properties": {"a": {"type": "ARRAY"}}}, {"a": "[1]"}, {"a": [1]}),
        ({"properties": {"a": {"items": {"type": "integer"}}}}, {"a": "[1.0]"}, {"a": [1]}),
        ({"properties": {"a": {"type": ["array", "null"]}}}, {"a": "[1]"}, {"a": [1]}),
        ({"properties": {"a": {"items": [{"type": "integer"}, {}]}}}, {"a": [1.0, 1.0]}, {"a": [1, 1.0]}),
        ({"properties": {"a": {"allOf": [{"type": "integer"}, {"minimum": 1}]}}}, {"a": 1.0}, {"a": 1}),
        ({"properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"const": 3}}}, {"a": 3.0}, {"a": 3}),
        ({"patternProperties": {"^n": {"type": "integer"}}}, {"n1": 1.0, "x": 1.0}, {"n1": 1, "x": 1.0}),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, {"a": 1.0}, {"a": 1.0}),
        ({"properties": 5}, {"a": 1.0}, {"a": 1.0}),
    ],
    ids=["Google's capitals", "no type", "two types", "draft 7", "allOf", "const", "patterns", "itself", "nonsense"],
)
def test_schemas_of_other_authors(schema, received, restored):
    """Whatever wrote the schema of a tool: MCP servers, Google's classes, older drafts."""
    assert repr(restore_arguments(received, schema)) == repr(restored)


def test_a_name_that_is_no_text():
    """It is refused by name rather than with an AttributeError."""
    with pytest.raises(ConfigurationError, match="name of a tool must be text, not int"):
        sanitize_tool_name(5)


# Declarations


def function(name: str, description: str = "") -> dict[str, Any]:
    return {"name": name, "description": description, "parametersJsonSchema": {"type": "object"}}


def ask(*tools: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "tools": list(tools)}


def test_a_function_that_is_declared_twice_is_sent_once(emulator: Emulator):
    """Google answers 400 "Duplicate function declaration found" to the second (hotovo/huf#341)."""
    emulator.enqueue(reply.text("ok"))
    request = ask(
        {"functionDeclarations": [f := function("f"), function("g"), f]},
        {"functionDeclarations": [function("f")]},
        {"googleSearch": {}},
    )

    with Client(base_url=emulator.base_url, api_key=emulator.api_key) as client:
        client.generate_content("gemini-3-pro-preview", request)

    sent = emulator.requests[-1].json["tools"]
    assert [[one["name"] for one in tool.get("functionDeclarations", ())] for tool in sent] == [["f", "g"], []]


def test_two_functions_of_one_name_are_refused_before_anything_is_sent(emulator: Emulator):
    """The message shows both descriptions, so that one sees which tools met."""
    request = ask({"functionDeclarations": [function("f", "Search the web."), function("f", "Search the files.")]})

    with (
        Client(base_url=emulator.base_url, api_key=emulator.api_key) as client,
        pytest.raises(ConfigurationError, match=r"'f'.*'Search the web\.'.*'Search the files\.'"),
    ):
        client.generate_content("gemini-2.5-flash", request)

    assert emulator.requests == []


# Media in results


@pytest.mark.parametrize("kind", ["inlineData", "fileData"])
@pytest.mark.parametrize(
    ("mime_type", "is_inside"),
    [
        *((one, True) for one in ("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain")),
        *((one, True) for one in ("text/plain; charset=utf-8", "IMAGE/PNG", None)),
        *((one, False) for one in ("image/gif", "audio/mpeg", "video/mp4", "text/csv", "application/json")),
    ],
)
def test_which_media_go_inside_a_function_response(mime_type, is_inside, kind):
    """Gemini 3 takes five types there (ai.google.dev, Function calling); older models take none."""
    part = {kind: {"mimeType": mime_type, "data": "AAAA"}}

    assert split_result_media([part], model="gemini-3-pro-preview") == (([part], []) if is_inside else ([], [part]))
    assert split_result_media([part], model="gemini-2.5-flash") == ([], [part])


def test_media_of_a_result_can_be_sent_to_one_place():
    """A gateway may know better than the documentation; modifiers have no place inside."""
    part = {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}, "mediaResolution": {"level": "X"}}

    assert split_result_media([part], model="gemini-2.5-flash", where="parts") == (
        [{"inlineData": part["inlineData"]}],
        [],
    )
    assert split_result_media([part], model="gemini-3-pro-preview", where="beside") == ([], [part])


def test_every_rebuild_of_a_class_changes_its_stamp():
    """Also if the old schema is freed before the new one is made, so that the new one could take its place."""
    cls = create_model("Rebuilt", size=(int, ...))
    kinds = (int, str, float, bool)
    stamps = [stamp_class(cls)]

    for number in range(200):
        cls.model_fields["size"].annotation = kinds[number % 4]
        cls.model_rebuild(force=True)
        stamps.append(stamp_class(cls))

    assert all(before != after for before, after in zip(stamps, stamps[1:], strict=False))
    assert stamp_class(cls) == stamps[-1]


def test_a_stamp_does_not_keep_its_class():
    """Programs make classes as they go, and each is collected as before."""
    cls = create_model("Passing", size=(int, ...))
    stamp = stamp_class(cls)
    alive = weakref.ref(cls)

    del cls
    gc.collect()

    assert alive() is None
    assert stamp
