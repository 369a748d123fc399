"""Find pictures that a gateway wrote into the text of an answer, and make them parts. Pure.

Gateways that convert from another provider's format answer `![image](data:image/png;base64,...)` where Gemini
sends an inlineData part (new-api undoes it in its newer versions, `normalizeGeminiMarkdownImages`).
"""

from __future__ import annotations

import re
from typing import Final

from gemway._media import split_data_url
from gemway._sniff import decode_base64, sniff_mime_type
from gemway.types import Blob, Candidate, GenerateContentResponse, Part

MARK: Final = b"data:image"
"""What the bytes of an answer contain if there may be a hidden picture in it."""

_URL: Final = r"data:image/[\w.+-]+;base64,[A-Za-z0-9+/=_%-]{64,}"
# An image of markdown, with or without a title; or a text that is nothing but a data: URL.
_PICTURE: Final = re.compile(rf'!\[[^\]]*\]\(\s*({_URL})\s*(?:"[^"]*")?\s*\)|\A\s*({_URL})\s*\Z')


def with_pictures_revealed(response: GenerateContentResponse) -> GenerateContentResponse:
    """Return *response* with the pictures in its texts as parts of their own; the same object if there are none."""
    candidates = response.candidates or []
    revealed = [_revealed_candidate(candidate) for candidate in candidates]
    if all(new is old for new, old in zip(revealed, candidates, strict=True)):
        return response
    return response.model_copy(update={"candidates": revealed})


def _revealed_candidate(candidate: Candidate) -> Candidate:
    content = candidate.content
    if content is None or not content.parts:
        return candidate
    parts = [piece for part in content.parts for piece in _pieces(part)]
    if len(parts) == len(content.parts) and all(new is old for new, old in zip(parts, content.parts, strict=True)):
        return candidate
    return candidate.model_copy(update={"content": content.model_copy(update={"parts": parts})})


def _pieces(part: Part) -> list[Part]:
    """Return *part*, or the texts and pictures that it holds, in order; its signature stays on the last of them."""
    if not part.text or "data:image" not in part.text:
        return [part]
    pieces: list[Part] = []
    end = 0
    for match in _PICTURE.finditer(part.text):
        if (blob := _blob(match[1] or match[2])) is not None:
            pieces += [*_text(part.text[end : match.start()]), Part(inline_data=blob)]
            end = match.end()
    if not pieces:
        return [part]
    pieces += _text(part.text[end:])
    modifiers = {name: getattr(part, name) for name in part.model_fields_set - {"text", "thought_signature"}}
    pieces = [piece.model_copy(update=modifiers) for piece in pieces]
    if part.thought_signature:
        pieces[-1] = pieces[-1].model_copy(update={"thought_signature": part.thought_signature})
    return pieces


def _blob(url: str) -> Blob | None:
    """Return the picture of a data: URL, or None if its bytes are no picture: an example in a text about markdown."""
    told, encoded = split_data_url(url)
    try:
        found = sniff_mime_type(decode_base64(encoded[:64]))
    except ValueError:
        found = None
    return Blob(mime_type=found or told, data=encoded) if found else None


def _text(text: str) -> list[Part]:
    return [Part(text=text)] if text.strip() else []
