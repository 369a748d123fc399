"""Give every schema one type: `enum` holds strings or numbers only, and `type` one word beside "null". Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gemway._json_objects import JsonObject
from gemway._schema.notes import NOTES, one_of


def types_of(node: Mapping[str, Any]) -> list[str]:
    """Return the types that *node* names, as a list."""
    declared = node.get("type", [])
    return [declared] if isinstance(declared, str) else list(declared)


_OF_TYPE: Final = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties", "propertyOrdering"},
}
_OF_TYPE["integer"] = _OF_TYPE["number"]


def split_by_type(node: JsonObject) -> JsonObject:
    """Return *node* with several types, or values of several types, as alternatives of one type each."""
    types = types_of(node)
    if "enum" in node:
        branches = _enum_branches(node["enum"], types)
        rest = {keyword: value for keyword, value in node.items() if keyword not in {"enum", "type"}}
        if len(branches) == 1:
            return {**rest, **branches[0], NOTES: (*rest[NOTES], *branches[0].get(NOTES, ()))}
        return {**rest, "anyOf": branches} if branches else rest
    if len(types) - ("null" in types) < 2 or "anyOf" in node or "$ref" in node:
        return node
    typed = set[str]().union({"type"}, *(_OF_TYPE.get(word, ()) for word in types))
    rest = {keyword: value for keyword, value in node.items() if keyword not in typed}
    return {**rest, "anyOf": [_of_type(node, word) for word in types]}


def _of_type(node: JsonObject, word: str) -> JsonObject:
    owned = _OF_TYPE.get(word, set())
    return {"type": word, **{keyword: value for keyword, value in node.items() if keyword in owned}}


def _enum_branches(values: list[Any], types: list[str]) -> list[JsonObject]:
    """Return one schema per type of the values; values that the declared types rule out are left out."""
    by_type: dict[str, list[Any]] = {}
    for value in values:
        word = _type_of(value, types)
        if word and value not in by_type.setdefault(word, []):
            by_type[word].append(value)
    return [_enum_branch(word, allowed) for word, allowed in by_type.items()]


def _type_of(value: Any, types: list[str]) -> str | None:
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


_PYTHON_TYPES: Final[dict[str, Any]] = {
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "object": Mapping,
    "array": list,
}


def _enum_branch(word: str, values: list[Any]) -> JsonObject:
    if word in {"string", "integer", "number"}:
        return {"type": word, "enum": values}
    if word == "null" or (word == "boolean" and len(values) == 2):
        return {"type": word}
    return {"type": word, NOTES: (one_of(values),)}
