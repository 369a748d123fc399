"""What goes wrong in a way that the user can set right."""

from __future__ import annotations


class RagError(Exception):
    """A mistake or a mishap; its text is one line that says the next step."""


class UnreadableError(RagError):
    """One document cannot be read; the others can."""


def one_line(error: BaseException) -> str:
    """Return what *error* says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
