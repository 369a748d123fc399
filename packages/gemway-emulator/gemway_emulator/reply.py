"""Scripted replies, for `Emulator.enqueue`. Each is consumed by one generateContent or streamGenerateContent call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from gemway_emulator._envelope import Signature, Turn, call_part, medium_part, text_part, thought_part
from gemway_emulator._errors import GoogleError
from gemway_emulator._http import JSON_TYPE, Outcome
from gemway_emulator._media import draw

__all__ = [
    "Reply",
    "StreamReply",
    "Turn",
    "blocked",
    "error",
    "image",
    "raw",
    "stream",
    "text",
    "thoughts",
    "tool_call",
    "tool_calls",
]


@dataclass
class StreamReply:
    """Chunks served exactly as given."""

    chunks: list[dict[str, Any]]
    names: frozenset[str]  # misbehaviours of the framing
    content_type: str
    delay: float = 0.0
    cut: bool = False


Reply: TypeAlias = Turn | GoogleError | StreamReply | Outcome


def check_reply(value: object) -> Reply:
    """Return *value* if it can be served; raise TypeError naming the kinds otherwise."""
    if isinstance(value, (Turn, GoogleError, StreamReply, Outcome)):
        return value
    raise TypeError(f"cannot serve {value!r}; give reply.text(...), reply.error(...) and their kin")


def text(  # noqa: PLR0913 - keyword-only options of one reply
    text: str,
    *,
    thoughts: str | None = None,
    signature: str | None = None,
    finish_reason: str | None = "STOP",
    finish_message: str | None = None,
    usage: Mapping[str, Any] | None = None,
    chunks: int | Sequence[str] | None = None,
    delay: float = 0.0,
    chunk_delay: float | None = None,
    model_version: str | None = None,
    candidate: Mapping[str, Any] | None = None,
    response: Mapping[str, Any] | None = None,
) -> Turn:
    """Answer with *text*.

    *thoughts* becomes a thought part before it; *signature* goes on the text part (unsigned without one).
    *usage* is the `usageMetadata` to send, merged over the counted one. *chunks* splits the text of a stream: a number
    of events, or the pieces themselves. *delay* (seconds) passes before the answer begins, *chunk_delay* between events.
    *candidate* and *response* are merged into the candidate and the response (`groundingMetadata`, `modelStatus`, ...).
    """
    parts = [thought_part(thoughts)] if thoughts is not None else []
    return Turn(
        [*parts, text_part(text, signature or False)],
        finish_reason=finish_reason,
        finish_message=finish_message,
        usage=usage,
        chunks=chunks if chunks is None or isinstance(chunks, int) else list(chunks),
        delay=delay,
        chunk_delay=chunk_delay,
        model_version=model_version,
        candidate_fields=dict(candidate or {}),
        response_fields=dict(response or {}),
    )


def thoughts(thought: str, text: str, *, signature: str | None = None, delay: float = 0.0) -> Turn:
    """Answer with a thought summary and then *text*."""
    return Turn([thought_part(thought), text_part(text, signature or False)], delay=delay)


def image(  # noqa: PLR0913 - keyword-only options of one reply
    data: bytes | None = None,
    *,
    mime_type: str = "image/png",
    text: str | None = None,
    signature: Signature = None,
    width: int = 256,
    height: int = 256,
    finish_reason: str | None = "STOP",
    usage: Mapping[str, Any] | None = None,
    delay: float = 0.0,
) -> Turn:
    """Answer with a picture: *data*, or a generated PNG of *width* x *height* pixels; *text* precedes it."""
    content = draw("scripted picture", (width, height)) if data is None else data
    parts = [medium_part(content, mime_type, signature)]
    if text is not None:
        parts.insert(0, text_part(text, False if signature is False else None))
    return Turn(parts, finish_reason=finish_reason, usage=usage, delay=delay)


def tool_call(
    name: str,
    args: Mapping[str, Any] | None = None,
    *,
    id: Signature = None,
    signature: Signature = None,
    thoughts: str | None = None,
    finish_reason: str | None = "STOP",
    usage: Mapping[str, Any] | None = None,
    delay: float = 0.0,
) -> Turn:
    """Answer with a function call; join several with `&`.

    *id* and *signature* are sent as given; None does as the served model would (Gemini 3 and later: an id for every call, a
    signature on the first), False leaves them out.
    """
    parts = [thought_part(thoughts)] if thoughts is not None else []
    call = call_part(name, args or {}, call_id=id, signature=signature)
    return Turn([*parts, call], finish_reason=finish_reason, usage=usage, delay=delay)


def tool_calls(calls: Sequence[tuple[str, Mapping[str, Any]] | Turn], *, delay: float = 0.0) -> Turn:
    """Answer with several parallel calls, each a (name, args) pair or a `tool_call(...)`."""
    joined = Turn(delay=delay)
    for call in calls:
        joined = joined & (call if isinstance(call, Turn) else tool_call(call[0], call[1]))
    return joined


def blocked(
    reason: str = "SAFETY",
    *,
    prompt: bool = True,
    message: str | None = None,
    ratings: Sequence[Mapping[str, Any]] | None = None,
    delay: float = 0.0,
) -> Turn:
    """Answer as a filter does: no candidates and `promptFeedback` (*prompt*), or a candidate with *reason* and no content."""
    default = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
    safety = [dict(rating) for rating in ratings] if ratings is not None else [default]
    if not prompt:
        fields = {"safetyRatings": safety}
        return Turn(finish_reason=reason, finish_message=message, candidate_fields=fields, delay=delay)
    feedback: dict[str, Any] = {"blockReason": reason, "safetyRatings": safety}
    if message is not None:
        feedback["blockReasonMessage"] = message
    return Turn(prompt_feedback=feedback, delay=delay)


def error(  # noqa: PLR0913 - keyword-only options of one reply
    status: int,
    *,
    message: str | None = None,
    code: int | str | None = None,
    status_text: str | None = None,
    retry_after: float | str | None = None,
    details: Sequence[Mapping[str, Any]] | None = None,
    body: bytes | str | Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    delay: float = 0.0,
) -> GoogleError:
    """Answer with an HTTP error in Google's JSON.

    *status* is the HTTP status. *code* as a string (`"insufficient_user_quota"`) makes the body OpenAI-shaped, as gateways
    send it; *status_text* is Google's (`"RESOURCE_EXHAUSTED"`). *retry_after* (seconds or an HTTP date) becomes the Retry-After
    header. *body* replaces the whole body: bytes or text as they are, a mapping as JSON.
    """
    sent = dict(headers or {})
    if retry_after is not None:
        sent.setdefault("retry-after", f"{retry_after:g}" if isinstance(retry_after, (int, float)) else retry_after)
    failure = GoogleError(status, message, status=status_text, details=details or (), headers=sent, delay=delay)
    if body is None and isinstance(code, str):
        body = {"error": {"message": failure.message, "type": "new_api_error", "param": "", "code": code}}
    elif body is None and code is not None:
        body = {"error": failure.body()["error"] | {"code": code}}
    if body is not None:
        text = body if isinstance(body, (bytes, str)) else json.dumps(body)
        failure.replaced = text if isinstance(text, bytes) else text.encode()
    return failure


def stream(  # noqa: PLR0913 - keyword-only options of one reply
    chunks: Sequence[Mapping[str, Any]],
    *,
    delay: float = 0.0,
    newline: Literal["\n", "\r\n", "\r"] = "\r\n",
    done: bool = False,
    comments: bool = False,
    space: bool = True,
    event_lines: bool = False,
    multi_line: bool = False,
    bom: bool = False,
    final_newline: bool = True,
    content_type: str = "text/event-stream",
    cut: bool = False,
) -> StreamReply:
    """Answer with exactly these *chunks* as server-sent events; the unary route gets them folded into one JSON.

    *delay* (seconds) passes before every event. The other options deviate in framing: `data: [DONE]` at the end, `: PING`
    comments, no space after `data:`, `event:` lines, one event over several data lines, a byte order mark, no blank line after
    the last event. *cut* closes the socket without ending the body.
    """
    names = {
        "lf_newlines": newline == "\n",
        "cr_newlines": newline == "\r",
        "done_marker": done,
        "ping_comments": comments,
        "no_space_after_data": not space,
        "event_lines": event_lines,
        "multi_line_data": multi_line,
        "byte_order_mark": bom,
        "no_final_newline": not final_newline,
    }
    deviations = frozenset(name for name, is_on in names.items() if is_on)
    return StreamReply([dict(chunk) for chunk in chunks], deviations, content_type, delay, cut)


def raw(
    status: int = 200,
    body: bytes | str = b"",
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str | None = None,
    delay: float = 0.0,
    cut: bool = False,
) -> Outcome:
    """Answer with these bytes. *cut* closes the socket after them, short of the announced end."""
    sent = {"content-type": JSON_TYPE, **(headers or {})} | ({"content-type": content_type} if content_type else {})
    return Outcome(status, sent, [body.encode() if isinstance(body, str) else body], delay, cut=cut)
