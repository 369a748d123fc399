"""Write a text that matches a regular expression: classes, groups, alternatives and counts. Pure."""

from __future__ import annotations

import re
from string import ascii_lowercase, digits

_CLASSES = {"d": digits, "w": ascii_lowercase, "s": " ", "D": "x", "W": "-", "S": "x", "t": "\t", "n": "\n"}
_ANCHORS = frozenset("bBAZ")  # behind a backslash
_COUNT = re.compile(r"(?:([*?])|\+|\{(\d+)(?:,\d*)?\})[?+]?")


def matching(pattern: str) -> str | None:
    """The shortest plain text *pattern* describes, or None if it uses more than this module knows (look-arounds, backreferences)."""
    try:
        text = _Writer(pattern).alternatives()
        return text if re.search(pattern, text) else None
    except (IndexError, ValueError, TypeError, re.error):
        return None


class _Writer:
    """A walk over a pattern that writes the first alternative with the fewest repetitions."""

    def __init__(self, pattern: str) -> None:
        self._rest = pattern

    def alternatives(self) -> str:
        """Write the first alternative, pass over the others."""
        first = self._write_sequence()
        while self._skip_sign("|"):
            self._write_sequence()
        return first

    def _write_sequence(self) -> str:
        text = ""
        while self._rest and self._rest[0] not in "|)":
            choices, low = self._write_item(), 1
            if count := _COUNT.match(self._rest):
                self._rest = self._rest[count.end() :]
                low = 0 if count[1] else int(count[2] or 1)
            # A run of different characters reads better than one repeated, and is as valid.
            text += "".join(choices[index % len(choices)] for index in range(low)) if choices else ""
        return text

    def _write_item(self) -> list[str]:
        """The possible texts of the next item; none for an anchor."""
        sign = self._next_sign()
        if sign == "(":
            return [self._write_group()]
        if sign == "[":
            return self._write_set()
        return list(self._write_escape() if sign == "\\" else {".": ascii_lowercase, "^": "", "$": ""}.get(sign, sign))

    def _write_group(self) -> str:
        if self._rest.startswith("?"):
            plain = re.match(r"\?(?::|P<\w+>)", self._rest)
            if plain is None:
                raise ValueError("look-around")
            self._rest = self._rest[plain.end() :]
        text = self.alternatives()
        self._next_sign()
        return text

    def _write_escape(self) -> str:
        sign = self._next_sign()
        return "" if sign in _ANCHORS else _CLASSES.get(sign, sign)

    def _write_set(self) -> list[str]:
        is_negated, members = self._skip_sign("^"), ""
        while not self._skip_sign("]") or not members:
            sign = self._next_sign()
            member = self._write_escape() if sign == "\\" else sign
            if self._rest[:1] == "-" and self._rest[1:2] != "]":
                self._next_sign()
                member = "".join(map(chr, range(ord(member), ord(self._next_sign()) + 1)))
            members += member
        return [sign for sign in ascii_lowercase + digits if sign not in members] if is_negated else list(members)

    def _skip_sign(self, sign: str) -> bool:
        """Whether *sign* comes next; it is passed over then."""
        taken = self._rest.startswith(sign)
        self._rest = self._rest[taken:]
        return taken

    def _next_sign(self) -> str:
        sign, self._rest = self._rest[0], self._rest[1:]
        return sign
