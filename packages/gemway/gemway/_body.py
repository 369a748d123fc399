"""The bytes of a request. Pure.

Pictures are most of a large request. They stay the strings that the caller has: pieces of them are encoded while they
are sent, so that a request costs no copy of its pictures.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from operator import is_
from typing import Any, Final, Protocol

from pydantic_core import PydanticSerializationError, to_json

from gemway._exceptions import ConfigurationError
from gemway._json import JsonMapping, JsonObject, without_decimals

PIECE: Final = 2**18
"""How many bytes of a large body are handed over at a time."""

_LARGE_TEXT: Final = 2**20
# Stands for a picture while the rest is encoded. No other text but this one is encoded like this.
_PLACE: Final = "\0picture\0"
_HOLE: Final = to_json(_PLACE)


class BodyPiece(Protocol):
    """One piece of a large body: bytes, a text, or an object that makes them when it is sliced."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> bytes | str: ...


class LargeBody:
    """A JSON body with large texts in it: iterate over its bytes as often as you like; `len` is their number.

    Args:
        pieces: JSON as bytes, and ASCII texts that JSON needs no escapes for.
    """

    def __init__(self, pieces: Sequence[BodyPiece]) -> None:
        self._pieces = pieces
        self._length = sum(map(len, pieces))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        for whole in self._pieces:
            for at in range(0, len(whole), PIECE):
                piece = whole[at : at + PIECE]
                yield piece if isinstance(piece, bytes) else piece.encode("ascii")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def __bytes__(self) -> bytes:
        return b"".join(self)


def encode(wire: JsonMapping) -> bytes | LargeBody:
    """Return the JSON of *wire*, in the form that ProtoJSON gives values that plain JSON has no word for.

    Infinity and NaN are sent as the texts "Infinity" and "NaN" (protobuf.dev/programming-guides/json), half
    surrogates as the replacement character U+FFFD: UTF-8 has neither, and one broken emoji in a stored history must
    not make every later request of the conversation fail.

    Raises:
        ConfigurationError: *wire* holds something that JSON cannot express.
    """
    # One scan decides whether the request is plain: rebuilding every message to learn that nothing changes would make
    # long histories slow. Only large media, and arguments or results that are no objects, need more than JSON.
    try:
        for content in wire.get("contents", ()):  # a count of tokens wraps its request, and has none
            for part in (content.get("parts") if isinstance(content, Mapping) else None) or ():
                if not _REWRITTEN.isdisjoint(part) and _sendable_part(part, []) is not part:
                    return _encode_rewritten(wire)
        try:
            return to_json(wire, inf_nan_mode="strings")
        except PydanticSerializationError:
            # Only now: looking for half surrogates in every text would read megabytes of base64.
            return to_json(_without_half_surrogates(wire), inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError) as error:
        message = f"the request holds something that is not JSON: {error}"
    except RecursionError:
        message = "the request is nested too deeply, or contains itself"
    except (AttributeError, KeyError, TypeError) as error:
        message = f"the request does not have the form of a GenerateContentRequest: {error}"
    raise ConfigurationError(message)


def _encode_rewritten(wire: JsonMapping) -> bytes | LargeBody:
    """Encode *wire* with arguments and results as objects, and with each large inline data as a piece of its own."""
    large: list[str] = []
    contents = [_sendable_content(content, large) for content in wire["contents"]]
    encoded = _encode_plain({**wire, "contents": contents})
    if not large:
        return encoded
    head, *others = encoded.split(_HOLE)
    return _with_large_texts(head, large, others) if len(others) == len(large) else _encode_plain(wire)


def _encode_plain(value: object) -> bytes:
    try:
        return to_json(value, inf_nan_mode="strings")
    except PydanticSerializationError:
        return to_json(_without_half_surrogates(value), inf_nan_mode="strings")


def _sendable_content(content: Any, large: list[str]) -> Any:
    parts: list[Any] = (content.get("parts") if isinstance(content, Mapping) else None) or []
    for part in parts:
        if not _REWRITTEN.isdisjoint(part):
            sendable = [_sendable_part(part, large) for part in parts]
            return content if all(map(is_, sendable, parts)) else {**content, "parts": sendable}
    return content


def _sendable_part(part: Any, large: list[str]) -> object:
    for name in _REWRITTEN:
        payload = part.get(name)
        if payload is None:
            continue
        if not isinstance(payload, Mapping):
            return part
        if name in _INLINE:
            data = payload.get("data")
            if isinstance(data, str) and len(data) >= _LARGE_TEXT:
                large.append(data)
                return {**part, name: {**payload, "data": _PLACE}}
            return part
        field, key = _OBJECTS[name]
        # Typed gateways parse args and response into a map; Google answers 400 to anything that is no object.
        value = payload.get(field)
        plain = without_decimals(value)
        if value is not None and not isinstance(plain, dict):
            plain = _as_json_object(plain, key)
        return part if plain is value else {**part, name: {**payload, field: plain}}
    return part


_INLINE: Final = ("inlineData", "inline_data")
# The fields that must hold an object, and the name under which anything else goes into one.
_OBJECTS: Final = {"functionCall": ("args", "input"), "functionResponse": ("response", "output")}
_REWRITTEN: Final = frozenset({*_INLINE, *_OBJECTS})


def _as_json_object(value: object, key: str) -> JsonObject:
    """Return arguments or a result that a store kept as JSON text, or as anything else, as an object."""
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return {key: value}
        return parsed if isinstance(parsed, dict) else {key: value}
    return {key: value}


def _without_half_surrogates(value: object) -> object:
    """Return a copy of *value* whose texts are UTF-8: pairs of surrogates joined, halves replaced."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return value
    if isinstance(value, Mapping):
        return {_without_half_surrogates(key): _without_half_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_half_surrogates(item) for item in value]
    return value


def _with_large_texts(head: bytes, large: list[str], others: list[bytes]) -> LargeBody:
    pieces: list[BodyPiece] = [head]
    for text, behind in zip(large, others, strict=True):
        pieces += [b'"', text if _needs_no_escapes(text) else _encode_plain(text)[1:-1], b'"' + behind]
    return LargeBody(pieces)


def _needs_no_escapes(text: str) -> bool:
    """Whether JSON needs no escapes for *text*: base64, for example, is ASCII without quotes or backslashes."""
    if not text.isascii():
        return False
    steps = range(0, len(text), _LARGE_TEXT)
    return all(len(to_json(text[at : at + _LARGE_TEXT])) == len(text[at : at + _LARGE_TEXT]) + 2 for at in steps)
