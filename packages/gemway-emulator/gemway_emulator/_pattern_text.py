"""Write a text that matches a regular expression: classes, groups, alternatives and counts. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLASSES = {
    "d": "0123456789",
    "w": "abcdefghijklmnopqrstuvwxyz",
    "s": " ",
    "D": "x",
    "W": "-",
    "S": "x",
    "t": "\t",
    "n": "\n",
}
_LITERAL_CLASSES = frozenset("dwsDWStn")
_ANY = "abcdefghijklmnopqrstuvwxyz"


def matching(pattern: str) -> str | None:
    """The shortest plain text *pattern* describes, or None if it uses more than this module knows (look-arounds, backreferences)."""
    try:
        text = _Writer(pattern).alternatives()
        return text if re.search(pattern, text) else None
    except (IndexError, ValueError, re.error):
        return None


@dataclass
class _Writer:
    """A walk over *pattern* that writes the first alternative with the fewest repetitions."""

    pattern: str
    at: int = 0

    def alternatives(self) -> str:
        """Write the first alternative, pass over the others."""
        first = self._sequence()
        while self._peek() == "|":
            self.at += 1
            self._sequence()
        return first

    def _sequence(self) -> str:
        text = ""
        while self._peek() not in ("", "|", ")"):
            choices = self._one()
            low = self._count()
            # A run of different characters reads better than one repeated, and is as valid.
            text += "".join(choices[index % len(choices)] for index in range(low)) if choices else ""
        return text

    def _one(self) -> list[str]:
        """The possible texts of the next item; empty for an anchor."""
        sign = self._next()
        if sign in "^$":
            return []
        if sign == ".":
            return list(_ANY)
        if sign == "[":
            return self._set()
        if sign == "(":
            return [self._group()]
        return self._escape() if sign == "\\" else [sign]

    def _group(self) -> str:
        if self.pattern.startswith("?:", self.at):
            self.at += 2
        elif self.pattern.startswith("?P<", self.at):
            self.at = self.pattern.index(">", self.at) + 1
        elif self._peek() == "?":
            raise ValueError("look-around")
        text = self.alternatives()
        self._next()
        return text

    def _escape(self) -> list[str]:
        sign = self._next()
        if sign in "bBAZ":
            return []
        return list(_CLASSES[sign]) if sign in _LITERAL_CLASSES else [sign]

    def _set(self) -> list[str]:
        negated = self._peek() == "^"
        self.at += negated
        found: list[str] = []
        while self._peek() != "]" or not found:
            sign = self._next()
            members = self._escape() if sign == "\\" else [sign]
            if self._peek() == "-" and self.pattern[self.at + 1] != "]":
                self.at += 1
                members = [chr(code) for code in range(ord(members[0]), ord(self._next()) + 1)]
            found += members
        self._next()
        return [sign for sign in _ANY + "0123456789" if sign not in found] if negated else found

    def _count(self) -> int:
        """The fewest repetitions the quantifier here asks for; 1 without one."""
        found = re.compile(r"(?:([*?])|(\+)|\{(\d+)(?:,\d*)?\})[?+]?").match(self.pattern, self.at)
        if not found:
            return 1
        self.at = found.end()
        return 0 if found.group(1) else int(found.group(3) or 1)

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _next(self) -> str:
        sign = self.pattern[self.at]
        self.at += 1
        return sign
