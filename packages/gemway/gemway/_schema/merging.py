"""Say two schemas as one, loosened where one schema cannot say it: Gemini has no word for `allOf`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from gemway._json_objects import JsonObject
from gemway._schema.json_types import types_of
from gemway._schema.notes import NOTES, SAID_IN_WORDS, said, take_notes

INLINED: Final = "$inlined"  # the references that were replaced by what they stand for, while a schema is being read


def both(one: JsonObject, other: JsonObject) -> JsonObject:
    """Return a schema for the values that fit both."""
    merged = dict(one)
    for keyword, value in other.items():
        if keyword not in merged:
            merged[keyword] = value
        elif merged[keyword] == value:
            continue
        elif combine := _COMBINE.get(keyword):
            merged[keyword] = combine(merged[keyword], value)
        elif say := SAID_IN_WORDS.get(keyword) or _ALSO.get(keyword):
            take_notes(merged, *say(value))
    return merged


_ALSO: Final[dict[str, Callable[[Any], tuple[str, ...]]]] = {
    "anyOf": said("Also matches one of"),
    "pattern": said("Also matches the regular expression"),
    "format": said("Format:"),
}


def _united(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys([*one, *other]))


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    return [value for value in one if value in other] or one


def _common_types(one: str | list[str], other: str | list[str]) -> str | list[str]:
    ours, theirs = types_of({"type": one}), types_of({"type": other})
    common = [word for word in ours if word in theirs or (word == "integer" and "number" in theirs)]
    if "integer" in theirs and "number" in ours and "integer" not in common:
        common.append("integer")
    return common[0] if len(common) == 1 else common or one


def _both_children(one: Any, other: Any) -> Any:
    """Return the conjunction of two schemas that are not read yet."""
    if one is True or other is False:
        return other
    return one if other is True or one is False else {"allOf": [one, other]}


def _both_properties(one: Mapping[str, Any], other: Mapping[str, Any]) -> JsonObject:
    shared = {
        name: _both_children(one[name], other[name]) for name in one if name in other and one[name] != other[name]
    }
    return {**other, **one, **shared}


def _both_items(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    shared = [_both_children(mine, theirs) for mine, theirs in zip(one, other, strict=False)]
    return [*shared, *one[len(shared) :], *other[len(shared) :]]


_COMBINE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    NOTES: lambda one, other: tuple(_united(one, other)),
    INLINED: lambda one, other: one | other,
    "description": lambda one, other: f"{one}\n{other}",
    "type": _common_types,
    "enum": _common,
    "required": _united,
    "propertyOrdering": _united,
    "properties": _both_properties,
    "prefixItems": _both_items,
    **dict.fromkeys(("items", "additionalProperties"), _both_children),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


def only_annotations(node: JsonObject) -> bool:
    """Whether *node* refuses no value."""
    return node.keys() <= _ANNOTATIONS


_ANNOTATIONS: Final = {
    *(NOTES, INLINED, "description", "title", "default", "examples", "$schema", "$defs", "definitions"),
}
