"""Errors that the user can set right."""

from __future__ import annotations


class RagError(Exception):
    """A mistake or a mishap; its message is one line that names the next step."""


class UnreadableError(RagError):
    """One document cannot be read; the others can."""


def one_line(error: BaseException) -> str:
    """Return the message of *error* in one line."""
    return " ".join(str(error).split()) or type(error).__name__
