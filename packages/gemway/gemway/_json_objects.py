"""JSON objects with camelCase names, out of dicts, Google's objects and dataclasses. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from operator import is_
from typing import Any, Final

from gemway._exceptions import ConfigurationError

JsonObject = dict[str, Any]


def members(value: Any, name: str) -> JsonObject:
    """Return what a dict, a pydantic object or a dataclass holds and is not None, by camelCase names, one level deep.

    Raises:
        ConfigurationError: something else; the message calls it *name*.
    """
    if isinstance(value, Mapping):
        fields: Iterable[tuple[str, Any]] = value.items()
    elif isinstance(declared := getattr(type(value), "model_fields", None), Mapping):
        extra = getattr(value, "model_extra", None) or {}
        fields = [*((field, getattr(value, field)) for field in declared), *extra.items()]
    elif hasattr(value, "__dataclass_fields__"):
        fields = vars(value).items()
    else:
        raise ConfigurationError(f"{name} must be a dict or one of Google's objects, not {type(value).__name__}")
    return {camel(field): member for field, member in fields if member is not None}


def camelised(value: Any) -> Any:
    """Return *value* as plain JSON data with camelCase names, all the way down."""
    if isinstance(value, Enum):
        return wire_word(value)
    if isinstance(value, list | tuple):
        return [camelised(item) for item in value]
    if isinstance(value, Mapping) or hasattr(type(value), "model_fields") or hasattr(value, "__dataclass_fields__"):
        return camelised_members(value, "value")
    return value


def camelised_members(value: Any, name: str) -> JsonObject:
    """Return the `members` of *value* as plain JSON data."""
    return {field: camelised(member) for field, member in members(value, name).items()}


def wire_word(value: Any) -> Any:
    """Return the wire's word for a member of an enumeration: its value if that is text, else its name."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name
    return value


def snake(name: str) -> str:
    """Return a camelCase name in snake_case."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """Return a snake_case name in camelCase."""
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda letter: letter[1].upper(), name)


def merge_deep(body: Mapping[str, Any], extra: Mapping[str, Any]) -> JsonObject:
    """Return *body* with *extra* merged in: objects member by member, everything else replaced by *extra*'s value."""
    merged = dict(body)
    for key, value in extra.items():
        old = merged.get(key)
        merged[key] = merge_deep(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


# What stores make of JSON


def from_store(value: Any) -> Any:
    """Return a value that a message carried as it was before a store changed it.

    Some stores keep nested values as JSON text, and some bring numbers back as `Decimal`. Text that is not JSON comes
    back as it is: callers check the type.
    """
    if value is None:
        return None
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    return without_decimals(value)


def without_decimals(value: Any) -> Any:
    """Return JSON data with decimals as numbers: databases such as DynamoDB bring numbers back as `Decimal`.

    What holds none is returned as it is, not as a copy.
    """
    if isinstance(value, dict):
        plain = value
        for key, item in value.items():
            if type(item) not in _SCALARS and (number := without_decimals(item)) is not item:
                plain = {**value} if plain is value else plain
                plain[key] = number
        return plain
    if isinstance(value, list | tuple):
        items = [item if type(item) in _SCALARS else without_decimals(item) for item in value]
        return value if all(map(is_, items, value)) else items
    if isinstance(value, Decimal):
        is_whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if is_whole and value.adjusted() < _MOST_DIGITS else float(value)
    return value


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_MOST_DIGITS: Final = 30  # int() of a decimal such as 1e999999 would fill the memory
