"""How many tokens a request has, estimated without a server and without a tokenizer. Pure.

Gemini's tokens are about four letters of a word, one ideograph, or one sign (ai.google.dev, Understand and count
tokens); pictures and documents cost a fixed number each. Good to some 20 % for prose.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gemway import capabilities
from pydantic_core import to_json

_PIECE: Final = re.compile(
    r"[A-Za-z]{1,5}|\d{1,3}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_A-Za-z]{1,3}|[^\w\s]|_|\n+"
)
_MEDIUM: Final = {"image": 258, "application": 258, "audio": 32 * 60, "video": 263 * 60}
_NEWER_PICTURE: Final = 1120
_PER_CONTENT: Final = 3


def token_ids(text: str) -> list[int]:
    """Return a number for each estimated token; equal pieces get equal numbers."""
    return [zlib.crc32(piece.encode("utf-8", "surrogatepass")) for piece in _PIECE.findall(text)]


def estimate(body: Mapping[str, Any], *, model: str) -> int:
    """Return about how many tokens the prompt of a wire request has: contents, system instruction and tools."""
    total = sum(len(_PIECE.findall(text)) for text in _texts(body))
    contents = body.get("contents") or ()
    for content in contents:
        total += _PER_CONTENT + sum(_media_tokens(part, model) for part in content["parts"])
    return total


def _texts(body: Mapping[str, Any]) -> Iterator[str]:
    for content in [*(body.get("contents") or ()), body.get("systemInstruction") or {}]:
        for part in content.get("parts") or ():
            if "text" in part:
                yield part["text"]
            elif call := part.get("functionCall") or part.get("functionResponse"):
                yield to_json({name: value for name, value in call.items() if name != "parts"}).decode()
    if tools := body.get("tools"):
        yield to_json(tools).decode()


def _media_tokens(part: Mapping[str, Any], model: str) -> int:
    inner = (part.get("functionResponse") or {}).get("parts") or ()
    blob = part.get("inlineData") or part.get("fileData")
    own = 0
    if blob is not None:
        kind = (blob.get("mimeType") or "image/").partition("/")[0]
        newer = kind == "image" and capabilities(model).generation >= 3
        own = _NEWER_PICTURE if newer else _MEDIUM.get(kind, 258)
    return own + sum(_media_tokens(one, model) for one in inner)
