"""Spell a schema as JSON Schema 2020-12, whatever draft, author or Google's own Schema class wrote it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from gemway._json_objects import JsonObject, snake
from gemway._schema.json_types import types_of
from gemway._schema.notes import NOTES, compact, take_notes

_SNAKE_CASE: Final[dict[str, str]] = {
    snake(word): word
    for word in (
        *("anyOf", "oneOf", "allOf", "prefixItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength"),
        *("minProperties", "maxProperties", "additionalProperties", "propertyOrdering", "multipleOf"),
        *("exclusiveMinimum", "exclusiveMaximum"),
    )
}
_SHAPES: Final[dict[str, Any]] = {
    "$ref": str,
    "description": str,
    "enum": list | tuple | set | frozenset,
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems", "required", "propertyOrdering"), list | tuple),
    **dict.fromkeys(("properties", "patternProperties"), Mapping),
    **dict.fromkeys(("items", "additionalProperties"), bool | list | Mapping),
}


def upgraded(schema: Any) -> JsonObject:
    """Return a copy of *schema* that uses one spelling for each thing. True, False and nonsense allow anything."""
    node: JsonObject = {NOTES: ()}
    if not isinstance(schema, Mapping):
        return node
    for written, value in schema.items():
        keyword = _SNAKE_CASE.get(str(written), str(written))
        if isinstance(value, _SHAPES.get(keyword, object)) and (value is not None or keyword == "const"):
            node[keyword] = value
    for upgrade in _UPGRADES:
        upgrade(node)
    return node


def _upgrade_type(node: JsonObject) -> None:
    declared = _plain(node.pop("type", None))
    words = [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else []
    types = list(dict.fromkeys(str(_plain(word)).lower() for word in words))
    types = [word for word in types if word != "type_unspecified"]
    if "number" in types and "integer" in types:
        types.remove("integer")
    if types:
        node["type"] = types[0] if len(types) == 1 else types


def _upgrade_const(node: JsonObject) -> None:
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if "enum" in node:
        node["enum"] = [_plain(value) for value in node["enum"]]


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
    """Say OpenAPI's `nullable: true` as a type."""
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
    """Say draft 7's `items: [...]` as `prefixItems`, and a closed tuple as a length."""
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
    """Say draft 4's boolean `exclusiveMinimum` as a number."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and inclusive in node:
            node[exclusive] = node.pop(inclusive)


def _upgrade_pattern_properties(node: JsonObject) -> None:
    """Say "keys of this form have such values" as additionalProperties, the form of the keys in words."""
    patterns = node.pop("patternProperties", None)
    if not patterns or not isinstance(patterns, Mapping):
        return
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


def _plain(value: Any) -> Any:
    """Return JSON for a value that an author wrote as a Python enumeration, tuple or set."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple | set | frozenset) else value
