"""A model turn before it is put into Google's envelope, scripted or composed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Part = dict[str, Any]


class _Automatic:
    """Stands where the served model decides: signed or not, with an id or without."""

    def __repr__(self) -> str:
        return "AUTOMATIC"


AUTOMATIC: Final = _Automatic()


@dataclass
class Turn:
    """The parts of one answer and how it ends; times in seconds, tokens counted unless *usage* is given."""

    parts: list[Part] = field(default_factory=list)
    finish_reason: str | None = "STOP"
    finish_message: str | None = None
    prompt_feedback: dict[str, Any] | None = None
    usage: Mapping[str, Any] | None = None
    hidden_thoughts: int = 0
    chunks: int | list[str] | None = None
    delay: float = 0.0
    chunk_delay: float | None = None
    model_version: str | None = None
    candidate_fields: dict[str, Any] = field(default_factory=dict)
    response_fields: dict[str, Any] = field(default_factory=dict)
    alternatives: list[Turn] = field(default_factory=list)

    def __and__(self, other: Turn) -> Turn:
        """One turn with the parts of both, in order: how parallel calls are scripted."""
        return Turn(
            [*self.parts, *other.parts],
            finish_reason=other.finish_reason,
            finish_message=other.finish_message,
            usage=other.usage or self.usage,
            delay=max(self.delay, other.delay),
            model_version=other.model_version or self.model_version,
        )

    @property
    def text(self) -> str:
        """The visible text."""
        return "".join(part.get("text", "") for part in self.parts if not part.get("thought"))


def text_part(text: str, signature: object = None) -> Part:
    """A text part, signed if there is a *signature*."""
    return _add_signature({"text": text}, signature)


def thought_part(text: str) -> Part:
    """A part of the thought summary."""
    return {"text": text, "thought": True}


def medium_part(data: str, mime_type: str, signature: object = AUTOMATIC) -> Part:
    """A picture or a sound; *data* is standard base64."""
    return _add_signature({"inlineData": {"mimeType": mime_type, "data": data}}, signature)


def call_part(name: str, args: dict[str, Any], *, call_id: object = AUTOMATIC, signature: object = AUTOMATIC) -> Part:
    """A function call; id and signature are left to the served model unless given."""
    call: Part = {"name": name, "args": args}
    if call_id:
        call = {"id": call_id, **call}
    return _add_signature({"functionCall": call}, signature)


def _add_signature(part: Part, signature: object) -> Part:
    if signature:
        part["thoughtSignature"] = signature
    return part
