"""Read answers that are nearly valid, as gateways write them. Pure.

Only looked at after validation failed, so that it costs valid answers nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from gemway.types import GenerateContentResponse

_ROUNDS: Final = 4
_MOST_PROBLEMS: Final = 100
# An escaped pair, half of a pair, or any other escape: halves are found where escapes really begin.
_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.S
)
_BYTES_OF_HALF: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT: Final = rb"\ufffd"


def repaired(data: bytes, error: ValidationError) -> GenerateContentResponse | None:
    """Return the message that *data* was meant to be, or None. *error* is why it is not valid.

    - Half a surrogate (a lone `\\ud83d`) becomes U+FFFD: it would spoil every store.
    - One object in place of a list is a list of one (hajimi sends `candidates` so).
    - Counts as text or with fractions are numbers; what is no number is left out.
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
            found = problems.errors(include_url=False, include_context=False)[:_MOST_PROBLEMS]
        if not all(_mend(payload, problem) for problem in found):
            return None
    return None


def without_half_surrogates(data: bytes) -> bytes:
    """Return JSON with half surrogates, escaped or as bytes, replaced by U+FFFD. Other invalid bytes stay an error."""
    escapes = _ESCAPE.sub(lambda escape: _REPLACEMENT if escape[1] else escape[0], data)
    return _BYTES_OF_HALF.sub(lambda _: _REPLACEMENT, escapes)


def _mend(payload: Any, problem: Mapping[str, Any]) -> bool:
    """Change the one value that *problem* is about. Return whether that could be done."""
    *path, last = problem["loc"] or (None,)
    holder = _at(payload, path)
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
        holder[last] = _number(value)
    else:
        return False
    return True


def _at(payload: Any, path: Sequence[Any]) -> Any:
    try:
        for step in path:
            payload = payload[step]
    except (LookupError, TypeError):
        return None
    return payload


def _number(value: Any) -> int | float | None:
    """Return the whole number that *value* is meant to be, or None."""
    try:
        number = float(str(value)[:40].replace(",", ""))
        return int(number)
    except (ValueError, OverflowError):
        return None
