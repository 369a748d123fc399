"""JSON objects: camelCase names, deep merges, values that message stores changed, answers that are nearly valid. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from operator import is_
from typing import Any, Final, TypeAlias

from pydantic import ValidationError
from pydantic_core import from_json

from gemway._exceptions import ConfigurationError
from gemway.types import GenerateContentResponse

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object of our own, to be changed. `Any` stands for JSON that passes through untouched."""

JsonMapping: TypeAlias = Mapping[str, Any]
"""A JSON object of somebody else, to be read only."""


def members(value: object, name: str) -> JsonObject:
    """Return the members of a dict, a pydantic object or a dataclass that are not None, by camelCase names, one level deep.

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


def camelised(value: object) -> object:
    """Return *value* as plain JSON data with camelCase names, all the way down."""
    if isinstance(value, Enum):
        return wire_word(value)
    if isinstance(value, list | tuple):
        return [camelised(item) for item in value]
    if isinstance(value, Mapping) or hasattr(type(value), "model_fields") or hasattr(value, "__dataclass_fields__"):
        return camelised_members(value, "value")
    return value


def camelised_members(value: object, name: str) -> JsonObject:
    """Return the `members` of *value* as plain JSON data."""
    return {field: camelised(member) for field, member in members(value, name).items()}


def wire_word(value: object) -> object:
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


# Message stores change JSON


def from_store(value: object) -> object:
    """Return a value of a message as it was before a message store changed it.

    Some stores keep nested values as JSON text, and some return numbers as `Decimal`. Text that is not JSON is returned
    unchanged, so callers must check the type.
    """
    if value is None:
        return None
    # Only texts that look like JSON: parsing every text of a history would be slow, and `"12"` must stay text.
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    return without_decimals(value)


def without_decimals(value: object) -> object:
    """Return JSON data with decimals as numbers: databases such as DynamoDB return numbers as `Decimal`.

    Data without decimals is returned itself, not as a copy.
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
        # DynamoDB has one kind of number, so integers must become int again, or tools get 3.0 for 3.
        is_whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if is_whole and value.adjusted() < _MOST_DIGITS else float(value)
    return value


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_MOST_DIGITS: Final = 30  # int() of a decimal such as 1e999999 would fill the memory


# Answers that are nearly valid. Repaired only after validation failed, so that valid answers pay nothing.


_ROUNDS: Final = 4
_MOST_PROBLEMS: Final = 100
# An escaped pair, half of a pair, or any other escape: halves are found where escapes really begin.
_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.S
)
_BYTES_OF_HALF: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT: Final = rb"\ufffd"


def repair_response(data: bytes, error: ValidationError) -> GenerateContentResponse | None:
    """Return the message that *data* was meant to be, or None. *error* is the reason why it is not valid.

    - Half a surrogate (a lone `\\ud83d`) becomes U+FFFD: it would spoil every store.
    - One object in place of a list is a list of one (hajimi sends `candidates` so).
    - Counts as text or with fractions are numbers; anything else is left out.
    """
    if error.errors(include_input=False, include_url=False, include_context=False)[0]["type"] == "json_invalid":
        data = without_half_surrogates(data)
    try:
        payload = from_json(data)
    except ValueError:
        return None
    for _ in range(_ROUNDS):
        try:
            return GenerateContentResponse.model_validate(payload)
        except ValidationError as problems:
            errors = problems.errors(include_url=False, include_context=False)[:_MOST_PROBLEMS]
        if not all(_repair_value(payload, problem) for problem in errors):
            return None
    return None


def without_half_surrogates(data: bytes) -> bytes:
    """Return JSON with half surrogates, escaped or as bytes, replaced by U+FFFD. Other invalid bytes stay an error."""
    escapes = _ESCAPE.sub(lambda escape: _REPLACEMENT if escape[1] else escape[0], data)
    return _BYTES_OF_HALF.sub(lambda _: _REPLACEMENT, escapes)


def _repair_value(payload: object, problem: Mapping[str, Any]) -> bool:
    """Change the one value that *problem* is about. Return whether that could be done."""
    *path, last = problem["loc"] or (None,)
    holder = _value_at_path(payload, path)
    if not isinstance(holder, (dict, list)) or last is None:
        return False
    try:
        value = holder[last]
    except (LookupError, TypeError):
        return False
    kind = problem["type"]
    if kind == "list_type" and isinstance(value, dict):
        holder[last] = [value]
    elif kind.startswith(("int_", "float_")) and isinstance(holder, dict):
        holder[last] = _number_from_text(value)
    else:
        return False
    return True


def _value_at_path(payload: Any, path: Sequence[Any]) -> Any:
    try:
        for step in path:
            payload = payload[step]
    except (LookupError, TypeError):
        return None
    return payload


def _number_from_text(value: object) -> int | float | None:
    """Return the whole number that *value* is meant to be, or None."""
    try:
        number = float(str(value)[:40].replace(",", ""))
        return int(number)
    except (ValueError, OverflowError):
        return None
