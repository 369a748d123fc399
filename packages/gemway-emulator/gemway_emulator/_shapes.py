"""Check a request against the field table and bring it to one shape: camelCase names, no nulls, numbers as numbers. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gemway_emulator._errors import GoogleError, bad_request
from gemway_emulator._fields import ENUMS, MESSAGES
from gemway_emulator._signatures import decoded

_PACKAGE = "type.googleapis.com/google.ai.generativelanguage.v1beta"
_INVALID = object()  # a value that was refused; it is left out of the result
_SNAKE_THAT_TYPED_GATEWAYS_KNOW = {"inline_data", "mime_type"}


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*; raise Google's 400 for anything else."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise GoogleError(400, f"Invalid JSON payload received. {_reason(error)}") from None
    if not isinstance(value, dict):
        raise bad_request([("", 'Invalid JSON payload received. Unknown name "": Root element must be a message.')])
    return value


def normalise(
    value: dict[str, Any],
    message: str,
    *,
    check: bool = True,
    drop_snake: bool = False,
    arrays_required: bool = False,
) -> dict[str, Any]:
    """Return *value*, a message of type *message*, in one shape.

    Raises one 400 that names every unknown field and wrong type; without *check* those are left out instead.
    *drop_snake* leaves out snake_case spellings silently and *arrays_required* refuses one object in place of a list, as
    typed gateways do.
    """
    reading = _Reading(drop_snake, arrays_required)
    result = reading.message(value, message, "")
    if check and reading.violations:
        raise bad_request(reading.violations)
    return result if isinstance(result, dict) else {}


@dataclass
class _Reading:
    """One walk over a request; collects (field, description) violations."""

    drop_snake: bool
    arrays_required: bool
    violations: list[tuple[str, str]] = field(default_factory=list)

    def message(self, value: Any, name: str, path: str) -> Any:
        """Read one message; fields are checked one by one."""
        if not isinstance(value, dict):
            return self._wrong(path, f"{_PACKAGE}.{name}", value)
        fields, result = _FIELDS[name], {}
        for spelled, item in value.items():
            camel = _camel(spelled)
            here = f"{path}.{_snake(camel)}" if path else _snake(camel)
            if self.drop_snake and "_" in spelled and spelled not in _SNAKE_THAT_TYPED_GATEWAYS_KNOW:
                continue
            if camel not in fields:
                self._unknown(spelled, path)
            elif camel in result:
                self.violations.append((path, f"Invalid value at '{path}' (oneof), '{_snake(camel)}' is already set."))
            elif item is not None and (read := self._field(item, fields[camel], here)) is not _INVALID:
                result[camel] = read
        return result

    def _field(self, value: Any, kind: str, path: str) -> Any:
        if kind.endswith("[]"):
            if isinstance(value, dict) and kind[:-2] in MESSAGES and not self.arrays_required:
                value = [value]  # Google reads one object as a list of one
            if not isinstance(value, list):
                return self._wrong(path, _type_name(kind[:-2]), value)
            items = [
                self._one(item, kind[:-2], f"{path}[{index}]") for index, item in enumerate(value) if item is not None
            ]
            return [item for item in items if item is not _INVALID]
        if kind.endswith("{}"):
            if not isinstance(value, dict):
                return self._wrong(path, "TYPE_MAP", value)
            return {key: self._one(item, kind[:-2], f"{path}[{key}]") for key, item in value.items()}
        return self._one(value, kind, path)

    def _one(self, value: Any, kind: str, path: str) -> Any:
        if kind in MESSAGES:
            return self.message(value, kind, path)
        if kind in ENUMS:
            return self._enum(value, kind, path)
        if kind == "bytes" and isinstance(value, str) and decoded("".join(value.split())) is None:
            text = f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {_shown(value)}"
            self.violations.append((path, text))
            return _INVALID
        read = _SCALARS[kind](value)
        return self._wrong(path, _type_name(kind), value) if read is _INVALID else read

    def _enum(self, value: Any, kind: str, path: str) -> Any:
        names = ENUMS[kind].split()
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
        if isinstance(value, str) and value.upper() in names:
            return value.upper()
        return self._wrong(path, f"{_PACKAGE}.{kind}", value)

    def _unknown(self, name: str, path: str) -> None:
        place = f" at '{path}'" if path else ""
        text = f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'
        self.violations.append((path, text))

    def _wrong(self, path: str, kind: str, value: Any) -> Any:
        self.violations.append((path, f"Invalid value at '{path}' ({kind}), {_shown(value)}"))
        return _INVALID


def _fields_of(text: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in text.split())


_FIELDS = {name: _fields_of(text) for name, text in MESSAGES.items()}


def _integer(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        return _INVALID
    return int(value)


def _number(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else _INVALID


def _only(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) else _INVALID


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": _only(str),
    "signature": _only(str),
    "bytes": _only(str),
    "boolean": _only(bool),
    "integer": _integer,
    "number": _number,
    "object": _only(dict),
    "any": lambda value: value,
}

_TYPE_NAMES = {
    "string": "TYPE_STRING",
    "signature": "TYPE_BYTES",
    "bytes": "TYPE_BYTES",
    "boolean": "TYPE_BOOL",
    "integer": "TYPE_INT32",
    "number": "TYPE_FLOAT",
    "object": "type.googleapis.com/google.protobuf.Struct",
}


def _type_name(kind: str) -> str:
    return _TYPE_NAMES.get(kind, f"{_PACKAGE}.{kind}")


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found.group(1).upper(), name)


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + '..."'


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}: line {error.lineno} column {error.colno}."
    return "The body is not UTF-8 text."
