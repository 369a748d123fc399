"""The bytes of a request. Pure.

Pictures are most of a large request. They stay the strings that the caller has: pieces of them are encoded while they
are sent, so that a request costs no copy of its pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from gemway._exceptions import ConfigurationError

PIECE: Final = 2**18
"""How many bytes of a large body are handed over at a time."""

_LARGE_TEXT: Final = 2**20
# Stands for a picture while the rest is encoded. No other text but this one is encoded like this.
_PLACE: Final = "\0picture\0"
_HOLE: Final = to_json(_PLACE)


class LargeBody:
    """A JSON body with large texts in it: iterate over its bytes as often as you like; `len` is their number.

    Args:
        pieces: JSON as bytes, and ASCII texts that JSON needs no escapes for.
    """

    def __init__(self, pieces: Sequence[bytes | str]) -> None:
        self._pieces = pieces
        self._length = sum(map(len, pieces))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        for whole in self._pieces:
            for at in range(0, len(whole), PIECE):
                piece = whole[at : at + PIECE]
                yield piece if isinstance(piece, bytes) else piece.encode("ascii")

    def __bytes__(self) -> bytes:
        return b"".join(self)


def encode(wire: Mapping[str, Any]) -> bytes | LargeBody:
    """Return the JSON of *wire*. Raises `ConfigurationError` for what JSON cannot say."""
    large: list[str] = []
    try:
        slim = _without_large_media(wire, large)
        if not large:
            return to_json(wire)
        head, *others = to_json(slim).split(_HOLE)
        return _filled(head, large, others) if len(others) == len(large) else to_json(wire)
    except (PydanticSerializationError, ValueError) as error:
        message = f"the request holds something that is not JSON: {error}"
    raise ConfigurationError(message)


def _without_large_media(wire: Mapping[str, Any], large: list[str]) -> dict[str, Any]:
    """Return *wire* with a mark in place of each large inline data, which goes to *large*."""
    if "contents" not in wire:  # a count of tokens wraps its request
        return dict(wire)
    return {**wire, "contents": [_slim_content(content, large) for content in wire["contents"]]}


def _slim_content(content: Any, large: list[str]) -> Any:
    parts = content.get("parts") if isinstance(content, Mapping) else None
    if not parts:
        return content
    for part in parts:
        if "inlineData" in part or "inline_data" in part:
            return {**content, "parts": [_slim_part(part, large) for part in parts]}
    return content


def _slim_part(part: Mapping[str, Any], large: list[str]) -> Mapping[str, Any]:
    key = "inlineData" if "inlineData" in part else "inline_data"
    blob = part.get(key)
    if not isinstance(blob, Mapping) or not isinstance(blob.get("data"), str) or len(blob["data"]) < _LARGE_TEXT:
        return part
    large.append(blob["data"])
    return {**part, key: {**blob, "data": _PLACE}}


def _filled(head: bytes, large: list[str], others: list[bytes]) -> LargeBody:
    pieces: list[bytes | str] = [head]
    for text, behind in zip(large, others, strict=True):
        pieces += [b'"', text if _is_plain(text) else to_json(text)[1:-1], b'"' + behind]
    return LargeBody(pieces)


def _is_plain(text: str) -> bool:
    """Tell whether *text* is the same in JSON: ASCII without anything to escape, as base64 is."""
    if not text.isascii():
        return False
    steps = range(0, len(text), _LARGE_TEXT)
    return all(len(to_json(text[at : at + _LARGE_TEXT])) == len(text[at : at + _LARGE_TEXT]) + 2 for at in steps)
