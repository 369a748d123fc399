"""What Gemini's schemas have no word for, as sentences for the description. Pure.

While a schema is being read, its sentences stand under `NOTES`; `described` puts them behind the description.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from gemway._json_objects import JsonObject

NOTES: Final = "$notes"


def take_notes(node: JsonObject, *notes: str) -> None:
    """Keep sentences for the description of *node*."""
    node[NOTES] = (*node[NOTES], *notes)


def described(node: JsonObject) -> str:
    """Return the description with all notes as sentences after it."""
    return sentences(node.get("description", ""), *node[NOTES])


def compact(value: Any) -> str:
    """Return *value* as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def sentences(description: str, *notes: str) -> str:
    """Return *description* as a sentence, the notes after it."""
    text = description.rstrip()
    if text and notes and text[-1] not in ".!?:;)\n":
        text += "."
    return " ".join([text, *notes] if text else notes) if notes else description


def joined(description: str, more: str) -> str:
    """Return two descriptions as one; what both say is said once."""
    return sentences(description, more) if more and more != description else description


def one_of(values: list[Any]) -> str:
    """Return the sentence for a choice of values."""
    return f"{'Always' if len(values) == 1 else 'One of:'} {', '.join(compact(value) for value in values)}."


def said(text: str) -> Callable[[Any], tuple[str, ...]]:
    """Return what makes the sentences for a keyword out of its value: *text*, and the value as JSON."""
    return lambda value: (f"{text} {compact(value)}.",)


SAID_IN_WORDS: Final[dict[str, Callable[[Any], tuple[str, ...]]]] = {
    "uniqueItems": lambda unique: ("Items are unique.",) if unique is True else (),
    "unevaluatedProperties": lambda allowed: ("No other properties.",) if allowed is False else (),
    "unevaluatedItems": lambda allowed: ("No other items.",) if allowed is False else (),
    "multipleOf": said("A multiple of"),
    "default": lambda value: (f"Default: {compact(value)}.",) if value not in ({}, []) else (),
    "not": said("Does not match"),
    "if": said("If it matches"),
    "then": said("then it matches"),
    "else": said("otherwise it matches"),
    "contains": said("Contains items that match"),
    "minContains": said("At least so many of them:"),
    "maxContains": said("At most so many of them:"),
    "propertyNames": said("Keys match"),
    "dependentRequired": said("Keys that require others:"),
    "dependentSchemas": said("Keys that require more:"),
    "dependencies": said("Keys that require others:"),
    "contentEncoding": said("Encoded as"),
    "contentMediaType": said("Holds"),
    "contentSchema": said("Holds what matches"),
}
