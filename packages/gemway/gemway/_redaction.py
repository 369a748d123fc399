"""Keep secrets out of sight: objects that mask themselves, and a filter for texts that repeat a secret. Pure."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final

MASK: Final = "**********"
_SHORTEST_SECRET: Final = 4
# A text that was cut may end with the beginning of a secret. Shorter beginnings reveal too little to matter.
_SHORTEST_BEGINNING: Final = 8


class Secret:
    """A text that is sent but never shown. Equal and hashable by its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the wire only."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return MASK


class SecretMapping(MutableMapping[str, Any]):
    """A mapping whose values are sent but never shown: not in a repr, and not in JSON, because it is no dict.

    It equals a dict with the same items.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> object:
        return self._items[name]

    def __setitem__(self, name: str, value: object) -> None:
        self._items[name] = value

    def __delitem__(self, name: str) -> None:
        del self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return MASK


class MaskedUrl(str):
    """An address whose user name, password and query are not shown by its repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(without_credentials(self))


class Unreadable:
    """A value of a wrong type where a secret belongs: only its type may be shown."""

    __slots__ = ("_value", "kind")

    def __init__(self, value: object) -> None:
        self._value = value
        self.kind = type(value).__name__

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def without_credentials(url: str) -> str:
    """Return *url* without its query and with its user name and password masked."""
    address = url.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0]
    scheme, separator, rest = address.rpartition("//") if "//" in address else ("", "", address)
    credentials, at, host = rest.rpartition("@")
    return f"{scheme}{separator}{MASK}@{host}" if at else f"{scheme}{separator}{host or credentials}"


def fingerprint(value: object) -> str:
    """Return a short digest that distinguishes secret values without showing them."""
    return hashlib.sha256(_revealed_text(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _revealed_text(value: object) -> str:
    if hasattr(value, "get_secret_value"):
        return repr(value.get_secret_value())
    if isinstance(value, Secret):
        return repr(value.reveal())
    if isinstance(value, Mapping):
        return repr(sorted((str(name), _revealed_text(member)) for name, member in value.items()))
    return str.__repr__(value) if isinstance(value, str) else repr(value)


class Redactor:
    """Takes secrets out of texts, however a server spelt them. Never shows them itself.

    A server repeats a key as it got it, or escaped as its answer's format demands, or escaped again by a server that
    wrapped that answer: `/` is also `\\/`, `%2f`, `%252F`, `\\u002f`, `\\x2f`, `&#47;`, `&#x2F;` and `&sol;`. So the text is
    decoded first, with the position of each character, and secrets are searched for in the decoded text, ignoring
    case. All of it takes time in proportion to the length of the text.
    """

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._secrets = tuple(secrets)

    def __call__(self, text: str) -> str:
        """Return *text* without the secrets, nor the beginning of one where the text was cut."""
        words = _words_to_mask(self._secrets)
        if not words or not text:
            return text
        # The mask goes into the original text, so that everything around the secret stays as the server wrote it.
        plain, starts = _decode_escapes(text)
        return _with_masks(text, _find_secrets(plain, starts, words, len(text)))


@lru_cache(maxsize=64)
def _words_to_mask(secrets: tuple[Secret, ...]) -> tuple[str, ...]:
    """Return the words to look for, as `_decode_escapes` spells them, longest first."""
    texts = [text for secret in secrets if isinstance(text := _text_of_secret(secret), str)]
    # "Bearer abc" as the value of a header is as secret as "abc".
    words = {word for text in texts for word in (text, text.rsplit(" ", 1)[-1]) if len(word) >= _SHORTEST_SECRET}
    return tuple(sorted({_decode_escapes(word)[0] for word in words}, key=len, reverse=True))


def _text_of_secret(secret: object) -> object:
    if isinstance(secret, Secret):
        return secret.reveal()
    return secret.get_secret_value() if hasattr(secret, "get_secret_value") else secret


# One escaped character, escaped any number of times over; and a run of backslashes, which counts as one.
_ESCAPES: Final = re.compile(
    r"\\+(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[/\"'])?"
    r"|%(?:25)*[0-9a-fA-F]{2}"
    r"|&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{1,31});?"
)
_UNFINISHED_ESCAPE: Final = re.compile(r"(?:\\+[ux]?[0-9a-f]{0,3}|%(?:25)*[0-9a-f]?|&(?:amp;)*#?[0-9a-z]{0,31})\Z")
_MIXED_ESCAPES: Final = 4
_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _decode_escapes(text: str) -> tuple[str, list[int] | range]:
    """Return *text* decoded and in lower case, and for each of its characters where that began in *text*."""
    plain: str = text
    starts: list[int] | range = range(len(text))
    # Different kinds of escapes may be nested (%5Cu002f), one round for each kind.
    for _ in range(_MIXED_ESCAPES):
        if not _ESCAPES.search(plain):
            break
        decoded, sources = _decode_escapes_once(plain)
        starts = [starts[source] for source in sources]
        if decoded == plain:
            break
        plain = decoded
    return plain.translate(_LOWER), starts


def _decode_escapes_once(text: str) -> tuple[str, list[int]]:
    pieces: list[str] = []
    sources: list[int] = []
    end = 0
    for escape in _ESCAPES.finditer(text):
        pieces += text[end : escape.start()], (letters := _decode_escape(escape[0]))
        sources += range(end, escape.start())
        sources += [escape.start()] * len(letters)
        end = escape.end()
    pieces.append(text[end:])
    sources += range(end, len(text))
    return "".join(pieces), sources


def _decode_escape(escape: str) -> str:
    """Return the character that *escape* encodes, or the text itself if it only looks like an escape."""
    if escape[0] == "\\":
        rest = escape.lstrip("\\")
        return chr(int(rest[1:], 16)) if len(rest) > 1 else rest or "\\"
    if escape[0] == "%":
        return chr(int(escape[-2:], 16))
    return html.unescape(re.sub(r"\A&(?:amp;)+", "&", escape))


def _find_secrets(plain: str, starts: list[int] | range, words: tuple[str, ...], end: int) -> list[tuple[int, int]]:
    """Return where in the text, which is *end* characters long, the *words* stand."""
    spans = []
    for word in words:
        at = plain.find(word)
        while at >= 0:
            after = at + len(word)
            spans.append((starts[at], starts[after] if after < len(starts) else end))
            at = plain.find(word, after)
    cut = plain
    if unfinished := _UNFINISHED_ESCAPE.search(plain, max(0, len(plain) - 64)):
        cut = plain[: unfinished.start()]
    for word in words:
        for length in range(min(len(word), len(cut)), _SHORTEST_BEGINNING - 1, -1):
            if cut.endswith(word[:length]):
                return sorted([*spans, (starts[len(cut) - length], end)])
    return sorted(spans)


def _with_masks(text: str, spans: list[tuple[int, int]]) -> str:
    pieces: list[str] = []
    end = 0
    for start, after in spans:
        if start >= end:
            pieces += text[end:start], MASK
        end = max(end, after)
    return "".join([*pieces, text[end:]])
