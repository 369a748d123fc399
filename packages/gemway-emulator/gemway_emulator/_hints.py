"""Find in a prompt the value that belongs to a named field: numbers, quoted strings, places, addresses, dates. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from gemway_emulator._language import content_words, names, topic, words

_NUMBER = re.compile(r"(?<![\w.])(?<!\w-)-?\d+(?:\.\d+)?")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"https?://[^\s\"'<>)]+")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\b\d\d?:\d\d(?::\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?\b")
_HEX = "[0-9a-f]"
_UUIDS = {
    f"uuid{version}": re.compile(
        rf"(?i)\b{_HEX}{{8}}-{_HEX}{{4}}-{version or _HEX}{_HEX}{{3}}-{_HEX}{{4}}-{_HEX}{{12}}\b"
    )
    for version in ("", *range(1, 9))
}
_DURATION = re.compile(r"\bP(?=T?\d)[\dYMWDTHS.]*[YMWDHS]\b")
_IPV4 = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_PHONE = re.compile(r"\+?\d[\d ()-]{6,}\d")
_QUOTED = re.compile(r"\"([^\"\n]+)\"|(?<!\w)'([^'\n]+)'(?!\w)|`([^`\n]+)`|«([^»\n]+)»")
_NAME = r"[A-Z][\w'-]*(?:[ -][A-Z][\w'-]*)*"
_PLACE = re.compile(rf"\b(?:in|at|near|for|to|from|of|around)\s+({_NAME})")
_STRAIGHT = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_CODE = re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{3,}\b")
_VALUE = r"(\"[^\"]+\"|'[^']+'|[^\s,;\"'()]+(?:[ -](?=[A-Z])[A-Z][\w'-]*)*)"

_PLACE_WORDS = {
    "city",
    "location",
    "place",
    "country",
    "town",
    "destination",
    "origin",
    "region",
    "where",
    "address",
    "state",
}
_NAME_WORDS = {
    "name",
    "person",
    "author",
    "user",
    "customer",
    "actor",
    "director",
    "employee",
    "character",
    "who",
    "owner",
}
_TEXT_WORDS = {
    "query",
    "question",
    "prompt",
    "text",
    "message",
    "input",
    "topic",
    "subject",
    "task",
    "request",
    "content",
    "q",
}
_FORMATS = {
    "email": _EMAIL,
    "uri": _URL,
    "url": _URL,
    "date-time": _DATE_TIME,
    "date": _DATE,
    "time": _TIME,
    "duration": _DURATION,
    "ipv4": _IPV4,
    **_UUIDS,
}
_WORD_FORMATS = (("email", "email"), ("url", "uri"), ("link", "uri"), ("uuid", "uuid"), ("date", "date"))


@dataclass
class Hints:
    """The values in *text*; each is given away once per instance, so that two fields get two values."""

    text: str
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.text = self.text.translate(_STRAIGHT)

    def number(self, key: str, *, integer: bool, low: float, high: float) -> float | int | None:
        """A number said beside *key*, else the next one that fits [low, high]."""
        beside = self._beside(key, r"(-?\d+(?:\.\d+)?)")
        spans = [(m.group(), str(m.start())) for m in _NUMBER.finditer(self._without_dates())]
        free = [(text, mark) for text, mark in spans if mark not in self.used]
        if beside is not None:
            free = [(text, mark) for text, mark in spans if text == beside] or [(beside, "")]
        for text, mark in free:
            value = float(text)
            if low <= value <= high and (not integer or value == int(value)):
                self.used.add(mark)
                return int(value) if integer or "." not in text else value
        return None

    def string(self, key: str, form: str = "") -> str | None:
        """The text that belongs to *key* (or has the *form* of a date, an address ...), or None."""
        form = form or next((found for word, found in _WORD_FORMATS if word in words(key)), "")
        if form in _FORMATS:
            return self._next(_FORMATS[form])
        if (said := self._beside(key, _VALUE)) is not None:
            return said
        return self._by_meaning(set(words(key)))

    def quoted(self) -> str | None:
        """The next quoted string."""
        return self._next(_QUOTED)

    def choice(self, options: list[Any]) -> Any:
        """The option whose words occur in the text, or None."""
        said = set(content_words(self.text)) | set(words(self.text))
        for option in options:
            if isinstance(option, str) and words(option) and set(words(option)) <= said:
                return option
        stems = {option: set(content_words(option)) for option in options if isinstance(option, str)}
        return next((option for option, found in stems.items() if found and found <= said), None)

    def listing(self, key: str) -> list[str]:
        """The items of `key: a, b and c` or of a quoted or named enumeration."""
        for name in (re.escape(key), *map(re.escape, words(key))):
            found = re.search(
                rf"\b{name}s?\b\s*(?:are|is|=|:|of|like|such as)\s*([^.\n;?!]+)", self.text, re.IGNORECASE
            )
            if found:
                return _items(found.group(1))
        quoted = [next(filter(None, groups)) for groups in _QUOTED.findall(self.text)]
        if len(quoted) > 1:
            return quoted
        run = re.search(r"((?:\b[\w-]+,\s+)+(?:and\s+)?[\w-]+(?:\s+and\s+[\w-]+)?)", self.text)
        return _items(run.group(1)) if run else []

    def places(self) -> list[str]:
        """Capitalised names after in, at, to ...: `Paris and London` are two, `San Francisco, CA` is one."""
        found: list[str] = []
        for match in _PLACE.finditer(self.text):
            rest = _enumeration(self.text[match.end() :])
            if " and " in rest:
                found += [match.group(1), *re.findall(rf"(?:,\s*(?:and\s+)?|\s+and\s+)({_NAME})", rest)]
            else:
                found.append(match.group(1) + rest)
        return [place.removesuffix("'s") for place in dict.fromkeys(found)]

    def names(self) -> list[str]:
        """Capitalised names anywhere."""
        return names(self.text)

    def topic(self) -> str:
        """What the text is about."""
        return topic(self.text)

    def code(self) -> str | None:
        """The next word that mixes letters and digits (an order number)."""
        return self._next(_CODE)

    def _by_meaning(self, key: set[str]) -> str | None:
        if key & _PLACE_WORDS:
            return self._first(self.places()) or self._first(self.names())
        if "phone" in key:
            return self._next(_PHONE)
        if key & {"id", "number", "code", "sku", "order"} and (found := self.code()):
            return found
        if found := self.quoted():
            return found
        if key & _NAME_WORDS:
            return self._first(self.names())
        if key & _TEXT_WORDS:
            return _asked(self.text)
        return None

    def _beside(self, key: str, value: str) -> str | None:
        """What follows `key:`, `key is`, `key=`, `key of`, or a number before or after the bare key."""
        for name in dict.fromkeys((key, key.replace("_", " "))):
            pattern = rf"\b{re.escape(name)}\b[\"']?\s*(?:is|=|:|to be|of)\s*{value}"
            if found := re.search(pattern, self.text, re.IGNORECASE):
                return found.group(1).strip("\"'").rstrip(".,;!?")
        if "\\d" in value and len(key) > 1:
            near = rf"\b{re.escape(key.replace('_', ' '))}\s+\(?{value}|{_unit(key)}"
            if found := re.search(near, self.text, re.IGNORECASE):
                return next(filter(None, found.groups()), None)
        return None

    def _next(self, pattern: re.Pattern[str]) -> str | None:
        for match in pattern.finditer(self.text):
            value = next((group for group in match.groups() if group), None) or match.group()
            if value not in self.used:
                self.used.add(value)
                return value.rstrip(".,;") if pattern is _URL else value
        return None

    def _first(self, found: list[str]) -> str | None:
        fresh = [value for value in found if value not in self.used]
        if fresh:
            self.used.add(fresh[0])
        return fresh[0] if fresh else None

    def _without_dates(self) -> str:
        return re.sub(r"\d{4}-\d\d-\d\d|https?://\S+", lambda found: " " * len(found.group()), self.text)


def _unit(key: str) -> str:
    """A number before the word, or before what people say for it: `30 years old` is an age."""
    said = {"age": r"(?:years?|yrs?)(?: |-)old"}.get(key.lower(), re.escape(words(key)[0]) if words(key) else "x")
    return rf"(-?\d+(?:\.\d+)?)(?: |-)?{said}s?\b"


def _enumeration(rest: str) -> str:
    found = re.match(rf"(?:(?:,\s*(?:and\s+)?|\s+and\s+){_NAME})+", rest)
    return found.group() if found else ""


def _items(text: str) -> list[str]:
    pieces = re.split(r",\s*(?:and\s+)?|\s+and\s+", text.strip())
    return [piece.strip(" \"'.") for piece in pieces if piece.strip(" \"'.")]


def _asked(text: str) -> str:
    """The text without the instruction which tool to use."""
    kept = re.sub(
        r"(?i)\s*\b(?:please\s+)?(?:use|call|using)\s+(?:the\s+)?[\w`'\"]+(?:\s+(?:tool|function))?[^.?!]*[.?!]?",
        "",
        text,
    )
    return " ".join((kept if len(kept) > 3 else text).split())
