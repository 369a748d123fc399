"""Find values in a text that can fill fields: `key: value` pairs, quoted strings, numbers, capitalised names. Pure."""

from __future__ import annotations

import re
from typing import Any

from gemway_emulator._language import names, topic, words

_NUMBER = re.compile(r"(?<![\w.])(?<!\w-)-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"\"([^\"\n]+)\"|(?<!\w)'([^'\n]+)'(?!\w)|`([^`\n]+)`|«([^»\n]+)»|“([^”\n]+)”")
_URL = re.compile(r"https?://[^\s\"'<>)]+")
_SHORT = 120  # characters
_HEX = "[0-9a-fA-F]"
# Values of these formats are recognised by their looks, wherever they stand; the second is taken where there is none.
FORMATS: dict[str, tuple[re.Pattern[str] | None, str]] = {
    "date-time": (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"), "2026-01-15T09:30:00Z"),
    "date": (re.compile(r"\d{4}-\d\d-\d\d"), "2026-01-15"),
    "time": (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"), "09:30:00Z"),
    "email": (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "person@example.com"),
    "uri": (_URL, "https://example.com/"),
    "url": (_URL, "https://example.com/"),
    "uuid": (re.compile(rf"\b{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}\b"), "3f2b8c4e-9d1a-4b7c-8e6f-0a1b2c3d4e5f"),
    **{f"uuid{version}": (None, f"3f2b8c4e-9d1a-{version}b7c-8e6f-0a1b2c3d4e5f") for version in range(1, 9)},
    "ipv4": (None, "192.0.2.1"),
    "ipv6": (None, "2001:db8::1"),
    "hostname": (None, "example.com"),
    "duration": (None, "PT1H"),
    "byte": (None, "ZXhhbXBsZQ=="),
}


class Values:
    """The values in *text*; each is given away once, so that two fields get two values."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._whole = " ".join(text.split()) or "text"
        match: list[str] = [next(filter(None, groups)) for groups in _QUOTED.findall(text)]
        self._strings: list[str] = [
            value for value in dict.fromkeys([*match, *names(_QUOTED.sub(" ", text))]) if len(value) > 1
        ]
        self._numbers = _NUMBER.findall(re.sub(r"\d{4}-\d\d-\d\d|https?://\S+", " ", text))
        self.quoted = match

    def pair(self, key: str) -> str | None:
        """The value that `key: value` or `key=value` gives to *key*, quotes removed."""
        spelled = "|".join(map(re.escape, {key, key.replace("_", " ")}))
        # After a colon the value goes on to the end of the clause, after `=` it is one word.
        clause, word = r"[^,;\n}\"']+?(?=[.!?](?:\s|$)|[,;\n}]|$)", r"[^\s,;\"')}]+"
        value = rf"(?::\s*|\s+:\s+)(\"[^\"\n]*\"|'[^'\n]*'|{clause})|\s*=\s*(\"[^\"\n]*\"|'[^'\n]*'|{word})"
        match = re.search(rf"(?i:\b(?:{spelled}))\b[\"']?(?:{value})", self._text) if key else None
        return next(filter(None, match.groups())).strip("\"' ").rstrip(".;!?") if match else None

    def string(self, key: str) -> str:
        """The value of *key*, else the next quoted string, else the next name, else the text itself, shortened."""
        paired = self.pair(key)
        if paired is not None:
            return paired
        if self._strings:
            return self._strings.pop(0)
        return self._whole if len(self._whole) < _SHORT else topic(self._text)

    def number(self, key: str, *, integer: bool, low: float, high: float) -> float | int | None:
        """The number given to *key*, else the next one from *low* to *high*; None without one."""
        paired = self.pair(key)
        if paired is not None and (beginning := _NUMBER.match(paired)):
            candidates = [beginning.group()]
        else:
            candidates = list(self._numbers)
        for text in candidates:
            value = float(text)
            if low <= value <= high and (not integer or value == int(value)):
                self._numbers = _without(text, self._numbers)
                return int(value) if "." not in text or integer else value
        return None

    def of_format(self, form: str, key: str) -> str:
        """A value with the *form* of a date, an address ..., else a plain one."""
        pattern, default = FORMATS[form]
        candidates = [self.pair(key) or "", *(pattern.findall(self._text) if pattern else [])]
        match = next((value for value in candidates if pattern and pattern.fullmatch(value)), default)
        return match.rstrip(".,;") if pattern is _URL else match

    def mentioned(self, options: list[Any]) -> list[Any]:
        """The options that the text contains as words."""
        spoken = words(self._text)
        return [option for option in options if words(str(option)) and _contains_words(spoken, words(str(option)))]

    def listing(self, key: str) -> list[str]:
        """The items of `key: a, b and c`, else all quoted strings where there are several."""
        match = re.search(rf"(?i)\b{re.escape(key)}\b[\"']?\s*[:=]\s*([^.\n;?!]+)", self._text) if key else None
        if match:
            pieces = re.split(r",\s*(?:and\s+)?|\s+and\s+", match.group(1).strip("[] "))
            return [piece.strip(" \"'") for piece in pieces if piece.strip(" \"'")]
        return self.quoted if len(self.quoted) > 1 else []


def _without(text: str, numbers: list[str]) -> list[str]:
    place = numbers.index(text) if text in numbers else len(numbers)
    return numbers[:place] + numbers[place + 1 :]


def _contains_words(spoken: list[str], option: list[str]) -> bool:
    return any(spoken[start : start + len(option)] == option for start in range(len(spoken)))
