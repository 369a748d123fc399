"""Bring any JSON Schema, whatever its draft or author, into one form that is easy to read. Pure.

Four steps, each used by `reading.py`: one spelling for each keyword, one type for each schema, one schema instead of
`allOf`, and sentences for keywords that Gemini's schemas lack. While a schema is being read, its sentences
stand under `NOTES`; `description_of` puts them behind the description.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from gemway._json import JsonMapping, JsonObject, snake

# Sentences for the description


NOTES: Final = "$notes"


def take_notes(node: JsonObject, *notes: str) -> None:
    """Keep sentences for the description of *node*."""
    node[NOTES] = (*node[NOTES], *notes)


def description_of(node: JsonObject) -> str:
    """Return the description with all notes as sentences after it."""
    return sentences(node.get("description", ""), *node[NOTES])


def compact(value: object) -> str:
    """Return *value* as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def sentences(description: str, *notes: str) -> str:
    """Return *description* as a sentence, the notes after it."""
    text = description.rstrip()
    if text and notes and text[-1] not in ".!?:;)\n":
        text += "."
    return " ".join([text, *notes] if text else notes) if notes else description


def join_descriptions(description: str, more: str) -> str:
    """Return two descriptions as one, without repeating equal text."""
    return sentences(description, more) if more and more != description else description


def one_of(values: list[object]) -> str:
    """Return the sentence for a choice of values."""
    return f"{'Always' if len(values) == 1 else 'One of:'} {', '.join(compact(value) for value in values)}."


def describe_keyword(text: str) -> Callable[[Any], tuple[str, ...]]:
    """Return a function that makes the sentence for a keyword from its value: *text*, then the value as JSON."""
    return lambda value: (f"{text} {compact(value)}.",)


KEYWORD_SENTENCES: Final[dict[str, Callable[[Any], tuple[str, ...]]]] = {
    "uniqueItems": lambda unique: ("Items are unique.",) if unique is True else (),
    "unevaluatedProperties": lambda allowed: ("No other properties.",) if allowed is False else (),
    "unevaluatedItems": lambda allowed: ("No other items.",) if allowed is False else (),
    "multipleOf": describe_keyword("A multiple of"),
    "default": lambda value: (f"Default: {compact(value)}.",) if value not in ({}, []) else (),
    "not": describe_keyword("Does not match"),
    "if": describe_keyword("If it matches"),
    "then": describe_keyword("then it matches"),
    "else": describe_keyword("otherwise it matches"),
    "contains": describe_keyword("Contains items that match"),
    "minContains": describe_keyword("At least so many of them:"),
    "maxContains": describe_keyword("At most so many of them:"),
    "propertyNames": describe_keyword("Keys match"),
    "dependentRequired": describe_keyword("Keys that require others:"),
    "dependentSchemas": describe_keyword("Keys that require more:"),
    "dependencies": describe_keyword("Keys that require others:"),
    "contentEncoding": describe_keyword("Encoded as"),
    "contentMediaType": describe_keyword("Holds"),
    "contentSchema": describe_keyword("Holds what matches"),
}


# One spelling: JSON Schema 2020-12


_SNAKE_CASE: Final[dict[str, str]] = {
    snake(word): word
    for word in (
        *("anyOf", "oneOf", "allOf", "prefixItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength"),
        *("minProperties", "maxProperties", "additionalProperties", "propertyOrdering", "multipleOf"),
        *("exclusiveMinimum", "exclusiveMaximum"),
    )
}
_SHAPES: Final[JsonObject] = {
    "$ref": str,
    "description": str,
    "enum": list | tuple | set | frozenset,
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems", "required", "propertyOrdering"), list | tuple),
    **dict.fromkeys(("properties", "patternProperties"), Mapping),
    **dict.fromkeys(("items", "additionalProperties"), bool | list | Mapping),
}


def normalised(schema: object) -> JsonObject:
    """Return a copy of *schema* that uses one spelling for each thing. True, False and nonsense allow anything."""
    node: JsonObject = {NOTES: ()}
    if not isinstance(schema, Mapping):
        return node
    for written, value in schema.items():
        keyword = _SNAKE_CASE.get(str(written), str(written))
        # Nonsense such as `"required": true` (draft 3) is dropped rather than sent: one bad keyword fails the whole
        # request.
        if isinstance(value, _SHAPES.get(keyword, object)) and (value is not None or keyword == "const"):
            node[keyword] = value
    for upgrade in _UPGRADES:
        upgrade(node)
    return node


def _upgrade_type(node: JsonObject) -> None:
    declared = _plain_json(node.pop("type", None))
    words = [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else []
    types = list(dict.fromkeys(str(_plain_json(word)).lower() for word in words))
    # The zero value of Google's own enum means "not given".
    types = [word for word in types if word != "type_unspecified"]
    # Every integer is a number, and Gemini takes one type only.
    if "number" in types and "integer" in types:
        types.remove("integer")
    if types:
        node["type"] = types[0] if len(types) == 1 else types


def _upgrade_const(node: JsonObject) -> None:
    # Gemini has no `const`; an `enum` with one value means the same.
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if "enum" in node:
        node["enum"] = [_plain_json(value) for value in node["enum"]]


def _upgrade_one_of(node: JsonObject) -> None:
    if "oneOf" in node:
        branches = node.pop("oneOf")
        if "anyOf" in node:
            node["allOf"] = [*node.get("allOf", ()), {"anyOf": branches}]
        else:
            node["anyOf"] = branches
    if "anyOf" in node:
        node["anyOf"] = [branch for branch in node["anyOf"] if branch is not False]
        if not node["anyOf"]:
            del node["anyOf"]


def _upgrade_nullable(node: JsonObject) -> None:
    """Write OpenAPI's `nullable: true` as a type."""
    if node.pop("nullable", None) is not True:
        return
    if "enum" in node and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    if "type" in node:
        node["type"] = list(dict.fromkeys([*types_of(node), "null"]))
    if "anyOf" in node:
        node["anyOf"] = [*node["anyOf"], {"type": "null"}]
    elif "$ref" in node:
        node["anyOf"] = [{"$ref": node.pop("$ref")}, {"type": "null"}]


def _upgrade_tuple(node: JsonObject) -> None:
    """Write draft 7's `items: [...]` as `prefixItems`, and a closed tuple as a length."""
    if isinstance(node.get("items"), list):
        node["prefixItems"] = node.pop("items")
        if "additionalItems" in node:
            node["items"] = node["additionalItems"]
    if not node.get("prefixItems"):
        node.pop("prefixItems", None)
    if node.get("items") is False:
        del node["items"]
        node["maxItems"] = min(len(node.get("prefixItems", ())), node.get("maxItems", math.inf))


def _upgrade_exclusive(node: JsonObject) -> None:
    """Write draft 4's boolean `exclusiveMinimum` as a number."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and inclusive in node:
            node[exclusive] = node.pop(inclusive)


def _upgrade_pattern_properties(node: JsonObject) -> None:
    """Write patternProperties as additionalProperties, and describe the patterns of the keys in words."""
    patterns = node.pop("patternProperties", None)
    if not patterns or not isinstance(patterns, Mapping):
        return
    # Other keys may have any value, so the patterns restrict nothing that a schema could express.
    others = node.get("additionalProperties")
    if others is None or others is True:
        take_notes(node, *(f"Keys that match {key} have values {compact(value)}." for key, value in patterns.items()))
        return
    if others is False:
        take_notes(node, f"Keys match {' or '.join(patterns)}.")
    allowed = [*patterns.values(), *([others] if isinstance(others, Mapping) else [])]
    node["additionalProperties"] = allowed[0] if len(allowed) == 1 else {"anyOf": allowed}


def _upgrade_required(node: JsonObject) -> None:
    """Give every required property an entry: a required name that is not in `properties` is refused."""
    names = [name for name in dict.fromkeys(node.pop("required", ())) if isinstance(name, str)]
    if not names:
        return
    others = node.get("additionalProperties")
    anything = others if isinstance(others, Mapping) else {}
    node["properties"] = {**node.get("properties", {})}
    # Order matters: models write properties in the order of the schema.
    for name in names:
        node["properties"].setdefault(name, anything)
    node["required"] = names


_UPGRADES: Final = (
    _upgrade_type,
    _upgrade_const,
    _upgrade_one_of,
    _upgrade_nullable,
    _upgrade_tuple,
    _upgrade_exclusive,
    _upgrade_pattern_properties,
    _upgrade_required,
)


def _plain_json(value: object) -> object:
    """Return JSON for a value that an author wrote as a Python enumeration, tuple or set."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple | set | frozenset) else value


# One type: `enum` holds strings or numbers only, and `type` one word next to "null"


def types_of(node: JsonMapping) -> list[str]:
    """Return the types that *node* names, as a list."""
    declared = node.get("type", [])
    return [declared] if isinstance(declared, str) else list(declared)


_KEYWORDS_OF_TYPE: Final = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties", "propertyOrdering"},
}
_KEYWORDS_OF_TYPE["integer"] = _KEYWORDS_OF_TYPE["number"]


def split_by_type(node: JsonObject) -> JsonObject:
    """Return *node* with several types, or values of several types, as alternatives of one type each."""
    types = types_of(node)
    if "enum" in node:
        branches = _enum_branches(node["enum"], types)
        rest = {keyword: value for keyword, value in node.items() if keyword not in {"enum", "type"}}
        if len(branches) == 1:
            return {**rest, **branches[0], NOTES: (*rest[NOTES], *branches[0].get(NOTES, ()))}
        return {**rest, "anyOf": branches} if branches else rest
    # One type and "null" are one type that may be null, which Gemini can express.
    if len(types) - ("null" in types) < 2 or "anyOf" in node or "$ref" in node:
        return node
    typed = set[str]().union({"type"}, *(_KEYWORDS_OF_TYPE.get(word, ()) for word in types))
    rest = {keyword: value for keyword, value in node.items() if keyword not in typed}
    return {**rest, "anyOf": [_branch_of_type(node, word) for word in types]}


def _branch_of_type(node: JsonObject, word: str) -> JsonObject:
    owned = _KEYWORDS_OF_TYPE.get(word, set())
    return {"type": word, **{keyword: value for keyword, value in node.items() if keyword in owned}}


def _enum_branches(values: list[object], types: list[str]) -> list[JsonObject]:
    """Return one schema per type of the values; values that the declared types rule out are left out."""
    by_type: dict[str, list[object]] = {}
    for value in values:
        word = _json_type_of(value, types)
        if word and value not in by_type.setdefault(word, []):
            by_type[word].append(value)
    return [_branch_of_values(word, allowed) for word, allowed in by_type.items()]


def _json_type_of(value: object, types: list[str]) -> str | None:
    for word, kinds in _PYTHON_TYPES.items():
        if isinstance(value, kinds) and not (isinstance(value, bool) and word != "boolean"):
            if word == "integer" and "number" in types:
                return "number"
            return word if not types or word in types else None
    if isinstance(value, float):
        if "integer" in types and value.is_integer():
            return "integer"
        return "number" if not types or "number" in types else None
    return None


_PYTHON_TYPES: Final[JsonObject] = {
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "object": Mapping,
    "array": list,
}


def _branch_of_values(word: str, values: list[object]) -> JsonObject:
    if word in {"string", "integer", "number"}:
        return {"type": word, "enum": values}
    if word == "null" or (word == "boolean" and len(values) == 2):
        return {"type": word}
    return {"type": word, NOTES: (one_of(values),)}


# One schema instead of two, loosened where one schema cannot express both


INLINED: Final = "$inlined"  # the references that were replaced by their targets, while a schema is being read


def intersection(one: JsonObject, other: JsonObject) -> JsonObject:
    """Return a schema for the values that fit both schemas. Gemini has no keyword for `allOf`."""
    merged = dict(one)
    for keyword, value in other.items():
        if keyword not in merged:
            merged[keyword] = value
        elif merged[keyword] == value:
            continue
        elif combine := _COMBINE.get(keyword):
            merged[keyword] = combine(merged[keyword], value)
        elif describe := KEYWORD_SENTENCES.get(keyword) or _SECOND_SENTENCES.get(keyword):
            take_notes(merged, *describe(value))
    return merged


_SECOND_SENTENCES: Final[dict[str, Callable[[Any], tuple[str, ...]]]] = {
    "anyOf": describe_keyword("Also matches one of"),
    "pattern": describe_keyword("Also matches the regular expression"),
    "format": describe_keyword("Format:"),
}


def _union_of_lists(one: Iterable[object], other: Iterable[object]) -> list[object]:
    return list(dict.fromkeys([*one, *other]))


def _common_values(one: list[object], other: list[object]) -> list[object]:
    return [value for value in one if value in other] or one


def _common_types(one: str | list[str], other: str | list[str]) -> str | list[str]:
    ours, theirs = types_of({"type": one}), types_of({"type": other})
    # If nothing is common the first schema wins: a schema that allows nothing would be refused.
    common = [word for word in ours if word in theirs or (word == "integer" and "number" in theirs)]
    if "integer" in theirs and "number" in ours and "integer" not in common:
        common.append("integer")
    return common[0] if len(common) == 1 else common or one


def _intersect_children(one: object, other: object) -> object:
    """Return the conjunction of two schemas that are not read yet."""
    if one is True or other is False:
        return other
    return one if other is True or one is False else {"allOf": [one, other]}


def _intersect_properties(one: JsonMapping, other: JsonMapping) -> JsonObject:
    shared = {
        name: _intersect_children(one[name], other[name]) for name in one if name in other and one[name] != other[name]
    }
    return {**other, **one, **shared}


def _intersect_items(one: Sequence[object], other: Sequence[object]) -> list[object]:
    shared = [_intersect_children(mine, theirs) for mine, theirs in zip(one, other, strict=False)]
    return [*shared, *one[len(shared) :], *other[len(shared) :]]


_COMBINE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    NOTES: lambda one, other: tuple(_union_of_lists(one, other)),
    INLINED: lambda one, other: one | other,
    "description": lambda one, other: f"{one}\n{other}",
    "type": _common_types,
    "enum": _common_values,
    "required": _union_of_lists,
    "propertyOrdering": _union_of_lists,
    "properties": _intersect_properties,
    "prefixItems": _intersect_items,
    **dict.fromkeys(("items", "additionalProperties"), _intersect_children),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


def refuses_nothing(node: JsonObject) -> bool:
    """Whether *node* refuses no value."""
    return node.keys() <= _ANNOTATIONS


_ANNOTATIONS: Final = {
    *(NOTES, INLINED, "description", "title", "default", "examples", "$schema", "$defs", "definitions"),
}
