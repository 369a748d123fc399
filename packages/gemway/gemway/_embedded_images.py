"""Find images that a gateway embedded in the text of an answer, and turn them into parts. Pure.

Gateways that convert from another provider's format answer `![image](data:image/png;base64,...)` where Gemini
sends an inlineData part (new-api undoes it in its newer versions, `normalizeGeminiMarkdownImages`).
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from gemway._media import split_data_url
from gemway._sniff import decode_base64, sniff_mime_type
from gemway.types import Blob, Candidate, Content, GenerateContentResponse, Part

_MOST_PICTURES: Final = 256
_URL: Final = r"data:image/[\w.+-]+;base64,[A-Za-z0-9+/=_%-]{64,}"
# An image of markdown, with or without a title; or a text that is nothing but a data: URL. Linear: the words in
# brackets end where another image begins, and no two repeats meet on the same characters.
_PICTURE: Final = re.compile(rf'!\[(?:[^\]!]|!(?!\[))*\]\(\s*({_URL})\s*(?:"[^"]*"\s*)?\)|\A\s*({_URL})\s*\Z')


def extract_embedded_images(response: GenerateContentResponse) -> GenerateContentResponse:
    """Return *response* with embedded images as parts of their own; the same object if there are none."""
    candidates = response.candidates or []
    extracted = [_extract_from_candidate(candidate) for candidate in candidates]
    if all(new is old for new, old in zip(extracted, candidates, strict=True)):
        return response
    return response.model_copy(update={"candidates": extracted})


def _extract_from_candidate(candidate: Candidate) -> Candidate:
    content = candidate.content
    if content is None or not content.parts:
        return candidate
    parts = [piece for part in content.parts for piece in _split_embedded_images(part)]
    if len(parts) == len(content.parts) and all(new is old for new, old in zip(parts, content.parts, strict=True)):
        return candidate
    return candidate.model_copy(update={"content": content.model_copy(update={"parts": parts})})


def _split_embedded_images(part: Part, *, is_whole: bool = True) -> list[Part]:
    """Return *part*, or its texts and images in order. The signature stays on the last of them.

    White space between images is dropped, unless more text may follow (*is_whole* is False).
    """
    if not part.text or "data:image" not in part.text:
        return [part]
    pieces: list[Part] = []
    end = 0
    # A limit, since every match becomes objects; an answer with more images is an attack.
    for match in islice(_PICTURE.finditer(part.text), _MOST_PICTURES):
        if (blob := _image_of_data_url(match[1] or match[2])) is not None:
            pieces += [*_text_part(part.text[end : match.start()], is_whole), Part(inline_data=blob)]
            end = match.end()
    if not pieces:
        return [part]
    pieces += _text_part(part.text[end:], is_whole)
    modifiers = {name: getattr(part, name) for name in part.model_fields_set - {"text", "thought_signature"}}
    pieces = [piece.model_copy(update=modifiers) for piece in pieces]
    if part.thought_signature:
        pieces[-1] = pieces[-1].model_copy(update={"thought_signature": part.thought_signature})
    return pieces


IMAGE_STARTS: Final = (b"![", b'!"')
"""An event in which an embedded image may start contains its first two characters, or a text that ends between them."""

# The end of a text that may be the start of an embedded image, and one that certainly is.
_MAYBE: Final = re.compile(r"!\[[^\]\n]{0,200}(\](\(\s{0,9}(d(a(t(a(:[\w/.+;-]{0,99})?)?)?)?)?)?)?\Z")
_SURELY: Final = re.compile(r"!\[[^\]\n]{0,200}\]\(\s{0,9}data:image/[\w.+-]+;base64,[^)]*\Z")


class EmbeddedImageBuffer:
    """Buffers the tail of streamed text while it could still be the start of an embedded image.

    Only the first candidate is searched. At most *most* characters are buffered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: list[str] = []
        self._size = 0
        self._is_picture = False

    @property
    def holds_text(self) -> bool:
        """Whether text is buffered, so that the next message must go through `push`, whatever it holds."""
        return bool(self._held)

    def push(self, message: GenerateContentResponse) -> GenerateContentResponse:
        """Return *message* with the text that was buffered before it, and without the text that is buffered now."""
        candidate = message.candidates[0] if message.candidates else Candidate()
        if candidate.index:  # not the first one
            return message
        content = candidate.content or Content(role="model")
        parts = [whole for part in content.parts or () for whole in self._take_part_apart(part)]
        # Nothing can follow, so the text was no image after all.
        if candidate.finish_reason:
            parts += self._release_buffered_text()
        if parts == (content.parts or []):
            return message
        remaining = candidate.model_copy(update={"content": content.model_copy(update={"parts": parts})})
        return message.model_copy(update={"candidates": [remaining, *(message.candidates or ())[1:]]})

    def _take_part_apart(self, part: Part) -> list[Part]:
        # Thoughts, calls and signed texts end the text before them, so the buffer must go out first to keep the order.
        if part.text is None or part.model_fields_set != {"text"}:
            return [*self._release_buffered_text(), part]
        # Joined only when something may be decided: a picture of 10 MB arrives in thousands of pieces.
        self._held.append(part.text)
        self._size += len(part.text)
        if self._is_picture and ")" not in part.text and self._size <= self._most:
            return []  # the middle of an image: searching the buffer again would take quadratic time
        text = "".join(self._held)
        self._held, self._size = [], 0
        at = text.rfind("![")
        self._is_picture = at >= 0 and _SURELY.match(text, at) is not None
        if not self._is_picture and (at < 0 or _MAYBE.match(text, at) is None):
            at = len(text) - 1 if text.endswith("!") else -1
        if at >= 0 and len(text) <= self._most:
            self._held, self._size = [text[at:]], len(text) - at
            text = text[:at]
        return _split_embedded_images(Part(text=text), is_whole=False) if text else []

    def _release_buffered_text(self) -> list[Part]:
        text, self._held, self._size, self._is_picture = "".join(self._held), [], 0, False
        return [Part(text=text)] if text else []


def _image_of_data_url(url: str) -> Blob | None:
    """Return the image of a data: URL, or None if its bytes are no image, as in an example about Markdown."""
    declared_type, encoded = split_data_url(url)
    try:
        sniffed_type = sniff_mime_type(decode_base64(encoded[:64]))
    except ValueError:
        sniffed_type = None
    return Blob(mime_type=sniffed_type or declared_type, data=encoded) if sniffed_type else None


def _text_part(text: str, is_whole: bool) -> list[Part]:
    return [Part(text=text)] if text.strip() or (text and not is_whole) else []
