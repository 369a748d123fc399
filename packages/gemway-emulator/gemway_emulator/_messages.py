"""Check requests against the table in fields.txt and bring them to one shape: camelCase names, no nulls, whole numbers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from gemway_emulator._errors import GoogleError, bad_request
from gemway_emulator._signatures import decode_base64

_PACKAGE = "type.googleapis.com/google.ai.generativelanguage.v1beta"
_INVALID = object()  # a value that was refused; it is left out of the result
_SNAKE_THAT_TYPED_GATEWAYS_KNOW = {"inline_data", "mime_type"}
_SCALARS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "string": (str, "TYPE_STRING"),
    "signature": (str, "TYPE_BYTES"),
    "bytes": (str, "TYPE_BYTES"),
    "boolean": (bool, "TYPE_BOOL"),
    "integer": (int, "TYPE_INT32"),
    "number": ((int, float), "TYPE_FLOAT"),
    "object": (dict, "type.googleapis.com/google.protobuf.Struct"),
    "any": (object, ""),
}


def _read_table() -> tuple[dict[str, dict[str, str]], dict[str, list[str]]]:
    """(fields and their types by message, values by enum)."""
    messages: dict[str, dict[str, str]] = {}
    enums: dict[str, list[str]] = {}
    text = resources.files("gemway_emulator").joinpath("fields.txt").read_text(encoding="utf-8")
    for block in re.split(r"\n(?=message|enum)", text)[1:]:
        kind, name, *words = block.split()
        if kind == "message":
            messages[name] = dict(word.split(":") for word in words)
        else:
            enums[name] = words
    return messages, enums


_MESSAGES, _ENUMS = _read_table()


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*; raise Google's 400 for anything else."""
    try:
        value = json.loads(body)
    except json.JSONDecodeError as error:
        reason = f"{error.msg}: line {error.lineno} column {error.colno}."
        raise GoogleError(400, f"Invalid JSON payload received. {reason}") from None
    except ValueError:
        raise GoogleError(400, "Invalid JSON payload received. The body is not UTF-8 text.") from None
    if not isinstance(value, dict):
        raise bad_request([("", 'Invalid JSON payload received. Unknown name "": Root element must be a message.')])
    return value


def normalise(
    value: dict[str, Any], message: str, *, check: bool = True, drop_snake: bool = False, arrays_required: bool = False
) -> dict[str, Any]:
    """Return *value*, a message of type *message*, in one shape.

    Raises one 400 that names every unknown field and wrong type; without *check* those are left out instead.
    *drop_snake* leaves out snake_case spellings silently and *arrays_required* refuses one object in place of a list, as
    typed gateways do.
    """
    reader = _MessageReader(drop_snake, arrays_required)
    result: dict[str, Any] = reader.read_message(value, message, "")
    if check and reader.violations:
        raise bad_request(reader.violations)
    return result


# The API reads JSON as Protocol Buffers do (protobuf.dev/programming-guides/json): both spellings of a name, null
# for absent, enums by name or number, integers as text. The names of one program are few, so both are cached.
@lru_cache(maxsize=4096)
def to_snake(name: str) -> str:
    """The snake_case spelling of *name*, which Google's errors use."""
    return re.sub(r"([A-Z])", r"_\1", name).lower()


@lru_cache(maxsize=4096)
def _to_camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


@dataclass
class _MessageReader:
    """One walk over a request; collects (field, description) violations."""

    drop_snake: bool
    arrays_required: bool
    violations: list[tuple[str, str]] = field(default_factory=list)

    def read_message(self, value: Any, name: str, path: str) -> Any:
        """Read one message; fields are checked one by one."""
        if not isinstance(value, dict):
            return self._add_violation(path, f"{_PACKAGE}.{name}", value)
        fields, result = _MESSAGES[name], {}
        for spelled, item in value.items():
            camel = _to_camel(spelled)
            here = f"{path}.{to_snake(camel)}" if path else to_snake(camel)
            if self.drop_snake and "_" in spelled and spelled not in _SNAKE_THAT_TYPED_GATEWAYS_KNOW:
                continue
            if camel not in fields:
                place = f" at '{path}'" if path else ""
                text = f'Invalid JSON payload received. Unknown name "{spelled}"{place}: Cannot find field.'
                self.violations.append((path, text))
            elif camel in result:
                self.violations.append(
                    (path, f"Invalid value at '{path}' (oneof), '{to_snake(camel)}' is already set.")
                )
            elif item is None and fields[camel] != "any":
                continue
            elif (read := self._read_field(item, fields[camel], here)) is not _INVALID:
                result[camel] = read
        return result

    def _read_field(self, value: Any, kind: str, path: str) -> Any:
        """Read a value, a list of them (`kind[]`) or a map (`kind{}`)."""
        bare = kind.rstrip("[]{}")
        if kind.endswith("{}"):
            if not isinstance(value, dict):
                return self._add_violation(path, "TYPE_MAP", value)
            return {key: self._read_value(item, bare, f"{path}[{key}]") for key, item in value.items()}
        if not kind.endswith("[]"):
            return self._read_value(value, kind, path)
        if isinstance(value, dict) and bare in _MESSAGES and not self.arrays_required:
            value = [value]  # Google reads one object as a list of one
        if not isinstance(value, list):
            return self._add_violation(path, _SCALARS[bare][1] if bare in _SCALARS else f"{_PACKAGE}.{bare}", value)
        present = [(index, item) for index, item in enumerate(value) if item is not None or bare == "any"]
        items = [self._read_value(item, bare, f"{path}[{index}]") for index, item in present]
        return [item for item in items if item is not _INVALID]

    def _read_value(self, value: Any, kind: str, path: str) -> Any:
        if kind == "JsonSchema" and isinstance(value, bool):
            return value  # the schemas that admit everything, and nothing
        if kind in _MESSAGES:
            return self.read_message(value, kind, path)
        if kind in _ENUMS:
            names, is_number = _ENUMS[kind], isinstance(value, int) and not isinstance(value, bool)
            name = names[value] if is_number and 0 <= value < len(names) else str(value).upper()
            return name if name in names else self._add_violation(path, f"{_PACKAGE}.{kind}", value)
        if kind == "bytes" and isinstance(value, str) and decode_base64("".join(value.split())) is None:
            text = f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {_shorten_value(value)}"
            self.violations.append((path, text))
            return _INVALID
        if kind == "integer" and _is_whole_number(value):
            value = int(value)
        types, name = _SCALARS[kind]
        # In Python true is a number; in JSON it is none.
        fits = isinstance(value, types) and (not isinstance(value, bool) or kind in ("boolean", "any"))
        return value if fits else self._add_violation(path, name, value)

    def _add_violation(self, path: str, kind: str, value: Any) -> Any:
        self.violations.append((path, f"Invalid value at '{path}' ({kind}), {_shorten_value(value)}"))
        return _INVALID


def _is_whole_number(value: Any) -> bool:
    """Google takes an integer as text, which is how it sends large ones, and as a float without a fraction."""
    return value.is_integer() if isinstance(value, float) else bool(re.fullmatch(r"-?\d+", str(value)))


def _shorten_value(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + '..."'
