"""Schemas keep their meaning in the words that Gemini reads."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import json
import time
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from gemway import SchemaError, function_declaration, response_schema, to_schema
from gemway.adapters import sanitize_tool_name
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

WORDS = {
    *("type", "enum", "anyOf", "properties", "required", "additionalProperties", "items", "prefixItems"),
    *("minItems", "maxItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum"),
    *("minProperties", "maxProperties", "description", "propertyOrdering", "$ref", "$defs"),
}
OPENAPI_WORDS = (WORDS | {"nullable"}) - {"$ref", "$defs", "additionalProperties", "prefixItems"}


def nodes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schema and every schema inside it."""
    found = [schema]
    for place in (*schema.get("$defs", {}).values(), *schema.get("properties", {}).values()):
        found += nodes(place)
    for place in (*schema.get("anyOf", ()), *schema.get("prefixItems", ())):
        found += nodes(place)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            found += nodes(schema[keyword])
    return found


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Address(BaseModel):
    """Where somebody lives."""

    street: str = Field(min_length=1, max_length=80, pattern="^[A-Z]")
    zip: int = Field(gt=999, lt=100_000)


class Node(BaseModel):
    value: int
    children: list[Node] = []
    parent: Node | None = None


class Everything(BaseModel):
    title: str = Field("none", description="A property that is called title", examples=["x"])
    colour: Colour
    size: Size
    address: Address = Field(description="The home")
    second: Address | None = None
    word: Literal["a", 1, None]
    yes: Literal[True]
    counts: dict[str, int]
    keyed: dict[Annotated[str, Field(pattern="^k")], float]
    pair: tuple[int, str]
    tags: set[str]
    either: int | str
    share: float = Field(gt=0, le=1, multiple_of=0.5)
    when: datetime.datetime
    day: datetime.date
    id: uuid.UUID
    price: Decimal
    anything: Any
    bare: list
    tree: Node


EVERYTHING = {
    **{"colour": "red", "size": 2, "address": {"street": "Main", "zip": 1000}, "word": 1, "yes": True},
    **{"counts": {"a": 1}, "keyed": {"k1": 0.5}, "pair": [1, "x"], "tags": ["t"], "either": "x", "share": 0.5},
    **{"when": "2026-11-22T10:00:00Z", "day": "2026-11-22", "id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"},
    **{"price": "1.50", "anything": [None], "bare": [1, "x"], "tree": {"value": 1, "children": [{"value": 2}]}},
}


# -- the json_schema dialect


def test_a_pydantic_model_uses_only_words_that_gemini_reads():
    converted = to_schema(Everything.model_json_schema())

    for node in nodes(converted):
        assert node.keys() <= WORDS
        assert len(node) == 1 or "$ref" not in node
        assert "enum" not in node or node["type"] in {"string", "integer", "number"}


def test_a_pydantic_model_keeps_its_instances():
    converted = to_schema(Everything.model_json_schema())

    jsonschema.validate(EVERYTHING, converted)
    Everything.model_validate(EVERYTHING)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *[("colour", "green"), ("size", 3), ("word", "b"), ("counts", {"a": "x"}), ("keyed", [])],
        *[("pair", ["x", 1]), ("pair", [1]), ("tags", "t"), ("either", 1.5), ("share", 2), ("share", -1)],
        *[("address", {"street": "Main", "zip": 999}), ("address", {"street": "", "zip": 1000}), ("address", None)],
        *[("address", {"street": "Main", "zip": 100_000}), ("tree", {"value": "x"}), ("tree", {"children": []})],
        *[("tree", {"value": 1, "children": [{"value": "x"}]}), ("second", {"zip": 1000})],
    ],
)
def test_constraints_still_refuse(field, wrong):
    converted = to_schema(Everything.model_json_schema())

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**EVERYTHING, field: wrong}, converted)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"const": "a"}, {"type": "string", "enum": ["a"]}, id="const"),
        pytest.param({"const": None}, {"type": "null"}, id="const null"),
        pytest.param({"const": True}, {"type": "boolean", "description": "Always true."}, id="const true"),
        pytest.param({"enum": [True, False]}, {"type": "boolean"}, id="both booleans"),
        pytest.param({"enum": [1, 2]}, {"type": "integer", "enum": [1, 2]}, id="integers"),
        pytest.param({"enum": [1, 2.5], "type": "number"}, {"type": "number", "enum": [1, 2.5]}, id="numbers"),
        pytest.param(
            {"type": ["string", "null"], "enum": ["a", None]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
            id="nullable choice",
        ),
        pytest.param({"enum": [Colour.RED], "type": "string"}, {"type": "string", "enum": ["red"]}, id="Enum member"),
        pytest.param(
            {"enum": [[1], {"a": 1}]},
            {
                "anyOf": [
                    {"type": "array", "items": {}, "description": "Always [1]."},
                    {"type": "object", "description": 'Always {"a":1}.'},
                ]
            },
            id="lists and objects",
        ),
        pytest.param({"type": "string", "nullable": True}, {"type": ["string", "null"]}, id="nullable"),
        pytest.param({"type": ["string", "null"]}, {"type": ["string", "null"]}, id="type or null"),
        pytest.param(
            {"type": ["string", "integer"], "minLength": 1, "minimum": 2, "description": "d"},
            {
                "description": "d",
                "anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 2}],
            },
            id="several types",
        ),
        pytest.param(
            {"oneOf": [{"type": "string"}, {"type": "integer"}], "discriminator": {"propertyName": "x"}},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            id="oneOf",
        ),
        pytest.param(
            {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 9},
            {"type": "integer", "minimum": 2, "maximum": 8},
            id="exclusive bounds of integers",
        ),
        pytest.param(
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "number", "minimum": 0, "description": "Greater than 0."},
            id="exclusive bounds of numbers",
        ),
        pytest.param(
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"type": "integer", "minimum": 2},
            id="exclusive bounds of draft 4",
        ),
        pytest.param(
            {"type": "integer", "multipleOf": 5},
            {"type": "integer", "description": "A multiple of 5."},
            id="multipleOf",
        ),
        pytest.param(
            {"type": "string", "format": "uuid", "description": "The id"},
            {"type": "string", "description": "The id. Format: uuid."},
            id="unknown format",
        ),
        pytest.param({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}, id="format"),
        pytest.param(
            {"type": "string", "pattern": "^(?!x)"},
            {"type": "string", "description": "Matches the regular expression ^(?!x)"},
            id="look-around",
        ),
        pytest.param({"type": "array"}, {"type": "array", "items": {}}, id="list of anything"),
        pytest.param(
            {"type": "array", "items": [{"type": "string"}], "additionalItems": False},
            {"type": "array", "prefixItems": [{"type": "string"}], "maxItems": 1},
            id="tuple of draft 7",
        ),
        pytest.param(
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            {"type": "array", "items": {"type": "string"}, "description": "Items are unique."},
            id="set",
        ),
        pytest.param(
            {"type": "object", "patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False},
            {"type": "object", "additionalProperties": {"type": "string"}, "description": "Keys match ^a."},
            id="patternProperties",
        ),
        pytest.param(
            {"type": "object", "required": ["a"]},
            {"type": "object", "required": ["a"], "properties": {"a": {}}},
            id="required without properties",
        ),
        pytest.param(
            {"type": "integer", "default": 3}, {"type": "integer", "description": "Default: 3."}, id="default"
        ),
        pytest.param({"type": "string", "default": None}, {"type": "string"}, id="default null"),
        pytest.param(
            {"$schema": "s", "$id": "i", "title": "T", "examples": [1], "x-mine": 1, "readOnly": True}, {}, id="dropped"
        ),
        pytest.param({"not": {"type": "null"}}, {"description": 'Does not match {"type":"null"}.'}, id="not"),
        pytest.param(
            {"type": "OBJECT", "any_of": [{"type": "STRING"}]},
            {"type": "object", "anyOf": [{"type": "string"}]},
            id="Google's Schema",
        ),
        pytest.param(
            {"type": "object", "properties": {"title": {"type": "string"}, "default": {"const": 1}}},
            {
                "type": "object",
                "properties": {"title": {"type": "string"}, "default": {"type": "integer", "enum": [1]}},
            },
            id="properties named like keywords",
        ),
        pytest.param({"properties": {"a": True, "b": False}}, {"properties": {"a": {}, "b": {}}}, id="boolean schemas"),
    ],
)
def test_words(schema, expected):
    assert to_schema(schema) == expected


def test_all_of_becomes_one_schema():
    """Inheritance, the usual reason for allOf, ends as one object with the properties of all."""
    schema = {
        "$defs": {
            "Base": {"type": "object", "properties": {"id": {"type": "integer", "minimum": 1}}, "required": ["id"]},
        },
        "allOf": [
            {"$ref": "#/$defs/Base"},
            {"properties": {"id": {"maximum": 9}, "name": {"type": "string"}}, "required": ["name"]},
        ],
        "description": "A thing",
    }

    assert to_schema(schema) == {
        "type": "object",
        "properties": {"id": {"type": "integer", "minimum": 1, "maximum": 9}, "name": {"type": "string"}},
        "required": ["id", "name"],
        "description": "A thing",
    }


def test_a_lone_all_of_stays_a_reference():
    schema = {
        "$defs": {"A": {"type": "string"}},
        "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}},
    }

    assert to_schema(schema)["properties"]["a"] == {"anyOf": [{"$ref": "#/$defs/A"}], "description": "d"}


@pytest.mark.parametrize(
    ("pointer", "name"),
    [("#/definitions/A", "A"), ("#/$defs/B~1C%20D", "B_C_D"), ("#/properties/x", "x"), ("#anchored", "anchored")],
)
def test_references_of_every_form(pointer, name):
    schema = {
        "definitions": {"A": {"type": "string"}},
        "$defs": {"B/C D": {"type": "string"}, "E": {"$anchor": "anchored", "type": "string"}},
        "properties": {"x": {"type": "string"}, "y": {"$ref": pointer}},
    }

    converted = to_schema(schema)

    assert converted["properties"]["y"] == {"$ref": f"#/$defs/{name}"}
    assert converted["$defs"] == {name: {"type": "string"}}


def test_definitions_of_an_embedded_model_are_found():
    """People paste model_json_schema() into a property; its references then miss the root."""
    schema = {"type": "object", "properties": {"order": Everything.model_json_schema()}}

    converted = to_schema(schema)

    jsonschema.validate({"order": EVERYTHING}, converted)
    assert "Address" in converted["$defs"]


@pytest.mark.parametrize("pointer", ["#/$defs/Missing", "https://example.com/schema.json", "other.json#/x"])
def test_a_reference_to_nowhere_allows_anything(pointer):
    converted = to_schema({"properties": {"a": {"$ref": pointer}}})

    jsonschema.validate({"a": [1]}, converted)


def test_a_recursive_model_is_an_object_at_the_root():
    """Pydantic gives `{"$ref": ...}` for a recursive model; the parameters of a function must be an object."""
    converted = to_schema(Node.model_json_schema())

    assert converted["type"] == "object"
    assert converted["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    jsonschema.validate({"value": 1, "children": [{"value": 2, "parent": {"value": 3}}]}, converted)


def test_required_loops_are_opened():
    """Google refuses "a ref loop of required fields"; nullable ones and lists are fine."""
    schema = {
        "$defs": {
            "Expression": {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/Sum"}]},
            "Sum": {
                "type": "object",
                "properties": {
                    "left": {"$ref": "#/$defs/Expression"},
                    "rest": {"type": "array", "items": {"$ref": "#/$defs/Sum"}},
                },
                "required": ["left", "rest"],
            },
        },
        "$ref": "#/$defs/Sum",
    }

    total = to_schema(schema)["$defs"]["Sum"]

    assert total["required"] == ["rest"]
    assert total["properties"]["left"] == {"anyOf": [{"$ref": "#/$defs/Expression"}], "description": "Always given."}


def test_schemas_that_contain_themselves_by_all_of_end():
    schema = {"allOf": [{"$ref": "#"}, {"properties": {"a": {"allOf": [{"$ref": "#"}, {"maxProperties": 1}]}}}]}

    jsonschema.validate({"a": {"a": {}}}, to_schema(schema))


def test_the_schema_of_the_caller_is_not_changed():
    schema = Everything.model_json_schema()
    before = copy.deepcopy(schema)

    function_declaration("f", "d", schema)
    response_schema(schema)
    with pytest.raises(SchemaError):
        response_schema(schema, dialect="openapi")

    assert schema == before


def test_conversion_takes_linear_time():
    """Definitions that refer to one another many times are read once each."""

    def seconds(count: int) -> float:
        definitions = {
            f"D{i}": {"properties": {f"p{j}": {"$ref": f"#/$defs/D{(i + j) % count}"} for j in range(8)}}
            for i in range(count)
        }
        start = time.process_time()
        to_schema({"$ref": "#/$defs/D0", "$defs": definitions})
        return time.process_time() - start

    small, large = min(seconds(50) for _ in range(3)), min(seconds(400) for _ in range(3))

    assert large < small * 8 * 4


# -- any schema at all

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 4) | st.sampled_from([0.5, 1.0, "", "a", "ab"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)
TYPES = st.sampled_from(["string", "integer", "number", "object", "array", "boolean", "null"])


def _keywords(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    several = st.lists(inner, min_size=1, max_size=2)
    few = st.integers(0, 2)
    return {
        **{
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "const": JSON_VALUES,
            "default": JSON_VALUES,
        },
        **{"enum": st.lists(JSON_VALUES, min_size=1, max_size=3), "title": st.just("T"), "description": st.just("d")},
        **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), several),
        **dict.fromkeys(("items", "additionalProperties", "not", "if", "then", "contains", "propertyNames"), inner),
        **{"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2)},
        **{"patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=1)},
        **{"required": st.lists(st.sampled_from("abc"), max_size=2, unique=True)},
        **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"), few),
        **dict.fromkeys(
            ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), st.sampled_from([-1, 0, 0.5, 2])
        ),
        **{"multipleOf": st.just(2), "uniqueItems": st.booleans(), "pattern": st.sampled_from(["a", "^(?=a)"])},
        **{
            "$ref": st.sampled_from(["#/$defs/A", "#/$defs/B", "#/$defs/gone"]),
            "format": st.sampled_from(["uuid", "date"]),
        },
    }


def _schema_with(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    keywords = _keywords(inner)

    def build(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({name: keywords[name] for name in names})

    return st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=3, unique=True).flatmap(build)


SIMPLE = st.sampled_from([True, False, {}, {"type": "string"}, {"type": "object"}, {"$ref": "#/$defs/A"}])
SCHEMAS = _schema_with(SIMPLE | _schema_with(SIMPLE | _schema_with(SIMPLE)))
DOCUMENTS = st.builds(lambda root, a, b: {**root, "$defs": {"A": a, "B": b}}, SCHEMAS, SCHEMAS, SCHEMAS)
ANY_SCHEMA = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@ANY_SCHEMA
@given(DOCUMENTS, st.lists(JSON_VALUES, min_size=3, max_size=6))
def test_any_schema_keeps_its_valid_instances(schema, instances):
    converted = to_schema(schema)

    json.dumps(converted)
    assert all(node.keys() <= WORDS for node in nodes(converted))
    for instance in instances:
        if _is_valid(instance, schema):
            assert _is_valid(instance, converted) is not False


@ANY_SCHEMA
@given(DOCUMENTS)
def test_any_schema_without_recursion_has_an_openapi_form(schema):
    try:
        converted = to_schema(schema, "openapi")
    except SchemaError:
        return

    for node in nodes(converted):
        assert node.keys() <= OPENAPI_WORDS
        assert ("type" in node) != ("anyOf" in node)
        assert all(isinstance(value, str) for value in node.get("enum", ()))
        assert set(node.get("required", ())) <= set(node.get("properties", ()))
        assert node.get("type") != "array" or "items" in node


def _is_valid(instance: Any, schema: dict[str, Any]) -> bool | None:
    """Return None where the validator itself cannot tell: references to nowhere, or round and round."""
    try:
        return jsonschema.Draft202012Validator(schema).is_valid(instance)
    except BaseException as error:  # a RecursionError surfaces from the resolver as a panic
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


# -- the openapi dialect


class Plain(BaseModel):
    colour: Colour
    size: Size
    address: Address | None = Field(None, description="The home")
    word: Literal["a", 1, None]
    counts: dict[str, int]
    pair: tuple[int, str]
    either: int | str
    bare: list
    day: datetime.date


def test_openapi_words():
    converted = to_schema(Plain.model_json_schema(), "openapi")

    assert all(node.keys() <= OPENAPI_WORDS for node in nodes(converted))
    properties = converted["properties"]
    assert properties["colour"] == {"type": "string", "enum": ["red", "blue"]}
    assert properties["size"] == {"type": "integer", "minimum": 1, "maximum": 2, "description": "One of: 1, 2."}
    assert properties["address"]["nullable"] is True
    assert properties["address"]["description"] == "The home. Where somebody lives."
    assert properties["address"]["properties"]["zip"] == {"type": "integer", "minimum": 1000, "maximum": 99_999}
    assert properties["word"]["nullable"] is True
    assert [branch["type"] for branch in properties["word"]["anyOf"]] == ["string", "integer"]
    assert properties["counts"] == {
        "type": "object",
        "description": 'Any key is allowed; the values are {"type":"integer"}.',
    }
    assert properties["pair"]["items"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert (properties["pair"]["minItems"], properties["pair"]["maxItems"]) == (2, 2)
    assert properties["either"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert properties["bare"]["items"]["anyOf"]
    assert properties["day"] == {"type": "string", "description": "Format: date."}


def test_openapi_refuses_recursion_by_name():
    with pytest.raises(SchemaError, match=r"'Node' contains itself.*json_schema dialect") as caught:
        to_schema(Node.model_json_schema(), "openapi")

    assert isinstance(caught.value, ValueError)


def test_openapi_keeps_the_properties_beside_alternatives():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }

    converted = to_schema(schema, "openapi")

    assert set(converted["properties"]) == {"a", "b"}
    assert "anyOf" not in converted
    assert "Also matches one of" in converted["description"]


# -- functions and answers


def test_a_function_declaration_holds_everything():
    declaration = function_declaration("look.up", "Line one.\n\nLine two.", Address.model_json_schema())

    assert declaration["name"] == "look.up"
    assert declaration["description"] == "Line one.\n\nLine two."
    assert declaration["parametersJsonSchema"]["required"] == ["street", "zip"]


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object", "properties": {}}])
def test_a_function_without_arguments(parameters):
    openapi = function_declaration("f", "", parameters, dialect="openapi")
    json_schema = function_declaration("f", "", parameters)

    assert openapi == {"name": "f"}
    assert json_schema.get("parametersJsonSchema", {"type": "object"})["type"] == "object"


def test_parameters_are_an_object_even_if_the_schema_does_not_say_so():
    declaration = function_declaration("f", "d", {"properties": {"a": {"type": "string"}}})

    assert declaration["parametersJsonSchema"]["type"] == "object"


@pytest.mark.parametrize(("dialect", "field"), [("json_schema", "responseJsonSchema"), ("openapi", "responseSchema")])
def test_response_schema(dialect, field):
    entries = response_schema(Address.model_json_schema(), dialect=dialect)

    assert entries["responseMimeType"] == "application/json"
    assert entries[field]["propertyOrdering"] == ["street", "zip"]


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


def test_a_dataclass_schema_converts():
    converted = to_schema(TypeAdapter(Point).json_schema())

    assert converted["properties"]["x"] == {"type": "integer"}


@pytest.mark.parametrize("name", ["f", "_f", "a.b-c:d", "x" * 64])
def test_legal_names_stay(name):
    assert sanitize_tool_name(name) == name


@pytest.mark.parametrize("name", ["", "1st", "a b", "größe", "x" * 65, "a/b", "\N{HOT BEVERAGE}", "\ud800"])
def test_other_names_become_legal(name):
    legal = sanitize_tool_name(name)

    assert 0 < len(legal) <= 64
    assert legal.isascii()
    assert sanitize_tool_name(legal) == legal


def test_two_tools_never_meet_in_one_name():
    names = ["a b", "a_b", "a/b", "a  b", "x" * 65, "x" * 66]

    assert len({sanitize_tool_name(name) for name in names}) == len(names)


# Whole tools


class Tree(BaseModel):
    """A tree."""

    children: list[Tree] = []


@pytest.mark.parametrize("dialect", ["json_schema"])
def test_the_description_of_a_recursive_model_describes_the_tool(dialect):
    """Pydantic puts it behind a `$ref` at the top."""
    declaration = function_declaration("Tree", "", Tree.model_json_schema(), dialect=dialect)

    assert declaration["description"] == "A tree."
    assert "description" not in declaration["parametersJsonSchema"]


def test_a_description_of_the_callers_wins():
    """The schema's own stays with the arguments."""
    declaration = function_declaration("Tree", "Draw a tree.", Tree.model_json_schema())

    assert declaration["description"] == "Draw a tree."
    assert declaration["parametersJsonSchema"]["description"] == "A tree."


def _endless() -> dict:
    schema: dict = {"type": "object"}
    schema["properties"] = {"a": schema}
    return schema


def _nested(levels: int) -> dict:
    schema: dict = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize("convert", [to_schema, lambda schema: function_declaration("f", "", schema), response_schema])
@pytest.mark.parametrize("make", [_endless, lambda: _nested(5000), lambda: 5, lambda: [1]])
def test_what_is_no_schema_is_a_named_error(convert, make):
    """Neither a RecursionError nor an AttributeError leaves the library."""
    with pytest.raises(SchemaError):
        convert(make())
