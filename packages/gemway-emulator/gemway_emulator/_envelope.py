"""A model turn, scripted or composed; Google's response envelope around it, whole or in chunks; and written streams. Pure."""

from __future__ import annotations

import base64
import json
import operator
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any, Literal, TypeAlias

from gemway_emulator import _usage
from gemway_emulator._models import Model

Part = dict[str, Any]
Chunk = dict[str, Any]
Signature: TypeAlias = str | Literal[False] | None
"""A signature, or the id of a call, to send as it is; None leaves it to the served model; False sends none."""

# Google sends a long text in few large events. These are smaller, so that short answers of tests are streams too.
_TOKENS_PER_EVENT = 6
_MOST_EVENTS = 12
_IN_TOTAL = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")


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
        return replace(
            other,
            parts=[*self.parts, *other.parts],
            usage=other.usage or self.usage,
            delay=max(self.delay, other.delay),
            model_version=other.model_version or self.model_version,
        )

    @property
    def text(self) -> str:
        """The visible text."""
        return "".join(part.get("text", "") for part in self.parts if not part.get("thought"))


def text_part(text: str, signature: Signature = False) -> Part:
    """A text part, unsigned unless a *signature* is given."""
    return _add_signature({"text": text}, signature)


def thought_part(text: str) -> Part:
    """A part of the thought summary."""
    return {"text": text, "thought": True}


def medium_part(data: bytes, mime_type: str, signature: Signature = None) -> Part:
    """A picture or a sound."""
    blob = {"mimeType": mime_type, "data": base64.b64encode(data).decode("ascii")}
    return _add_signature({"inlineData": blob}, signature)


def call_part(name: str, args: Mapping[str, Any], *, call_id: Signature = None, signature: Signature = None) -> Part:
    """A function call; id and signature are left to the served model unless given."""
    call = {"name": name, "args": dict(args)}
    return _add_signature({"functionCall": call if call_id is False else {"id": call_id, **call}}, signature)


def _add_signature(part: Part, signature: Signature) -> Part:
    return part if signature is False else part | {"thoughtSignature": signature}


@dataclass(frozen=True)
class Envelope:
    """The fields that every chunk of one answer repeats, and the numbers that its usage is counted from."""

    model: Model
    response_id: str
    prompt: dict[str, int]
    image_size: str = "1K"
    cached: int = 0

    def make_response(self, turn: Turn) -> Chunk:
        """The answer to generateContent."""
        chunk = self.make_chunk(turn, turn.parts, self.count_tokens(turn.parts), ended=True)
        for index, other in enumerate(turn.alternatives, start=1):
            chunk["candidates"].append(_make_candidate(other, other.parts, index, ended=True))
        return chunk

    def make_chunks(self, turn: Turn) -> list[Chunk]:
        """The answer to streamGenerateContent: text in several events, finishReason on the last."""
        groups = _group_parts(turn) or [[]]
        # Each piece is counted once: an answer of thousands of chunks must not take seconds.
        counts = accumulate(map(self.count_tokens, groups), operator.add)
        events = [
            self.make_chunk(turn, parts, tokens, ended=number == len(groups))
            for number, (parts, tokens) in enumerate(zip(groups, counts, strict=True), start=1)
        ]
        for index, other in enumerate(turn.alternatives, start=1):
            events.insert(-1, {**events[0], "candidates": [_make_candidate(other, other.parts, index, ended=True)]})
        return events

    def count_tokens(self, parts: list[Part]) -> Counter[str]:
        """Tokens of *parts* of the answer per modality, and of its thoughts."""
        return _usage.answer_tokens(parts, self.model, self.image_size)

    def make_chunk(self, turn: Turn, parts: list[Part], tokens: Counter[str], *, ended: bool) -> Chunk:
        """One chunk of *turn* with *parts*; *tokens* are those of all chunks so far."""
        chunk: Chunk = {}
        if turn.prompt_feedback is not None:
            chunk["promptFeedback"] = turn.prompt_feedback
        else:
            chunk["candidates"] = [_make_candidate(turn, parts, 0, ended=ended)]
        chunk["usageMetadata"] = self._to_usage(turn, tokens, ended=ended)
        chunk["modelVersion"] = turn.model_version or self.model.name
        chunk["responseId"] = self.response_id
        return chunk | (turn.response_fields if ended else {})

    def _to_usage(self, turn: Turn, tokens: Counter[str], *, ended: bool) -> dict[str, Any]:
        # Every chunk of Google's streams has usage, counted up to that chunk; only the last is the bill.
        others = [part for other in turn.alternatives for part in other.parts] if ended else []
        answer = tokens + self.count_tokens(others)
        thoughts = answer.pop(_usage.THOUGHTS, 0) + turn.hidden_thoughts
        counted: dict[str, Any] = {"promptTokenCount": sum(self.prompt.values())}
        if self.cached:
            counted["cachedContentTokenCount"] = self.cached
        if turn.prompt_feedback is None:
            counted["candidatesTokenCount"] = sum(answer.values())
        if thoughts:
            counted["thoughtsTokenCount"] = thoughts
        # Scripted numbers are those of the whole answer: a chunk before the end may not report more than was sent.
        scripted = dict(turn.usage or {})
        if not ended and "candidatesTokenCount" in scripted:
            scripted["candidatesTokenCount"] = min(counted["candidatesTokenCount"], scripted["candidatesTokenCount"])
            scripted.pop("totalTokenCount", None)
        usage = counted | scripted
        usage.setdefault("totalTokenCount", sum(usage.get(name) or 0 for name in _IN_TOTAL))
        if not scripted:
            usage["promptTokensDetails"] = _usage.details(self.prompt)
            usage |= {"candidatesTokensDetails": _usage.details(answer)} if any(answer.values()) else {}
        return usage


def write_frames(chunks: Sequence[Chunk], names: frozenset[str]) -> Iterator[bytes]:
    """Yield the bytes of each chunk: `data: {json}` and a blank line, as real clients insist on, if *names* is empty.

    *names* are misbehaviours of the framing (see `MISBEHAVIOURS`).
    """
    if "json_array_stream" in names:
        for index, chunk in enumerate(chunks):
            yield ("[" if index == 0 else ",\r\n").encode() + json.dumps(chunk, ensure_ascii=False).encode()
        yield b"]" if chunks else b"[]"
        return
    newline = "\n" if "lf_newlines" in names else "\r" if "cr_newlines" in names else "\r\n"
    prefix = "data:" if "no_space_after_data" in names else "data: "
    before = f": PING{newline * 2}" if "ping_comments" in names else ""
    before += f"event: message{newline}" if "event_lines" in names else ""
    indent, mark = 1 if "multi_line_data" in names else None, "\ufeff" if "byte_order_mark" in names else ""
    texts = [json.dumps(chunk, ensure_ascii=False, indent=indent) for chunk in chunks]
    texts += ["[DONE]"] if "done_marker" in names else []
    for index, text in enumerate(texts):
        frame = (mark if index == 0 else "") + (before if index < len(chunks) else "")
        frame += newline.join(prefix + line for line in text.split("\n"))
        is_bare = "no_final_newline" in names and index == len(texts) - 1
        yield (frame if is_bare else frame + newline * 2).encode()


def fold_chunks(chunks: list[Chunk]) -> Chunk:
    """Join the chunks of a scripted stream into the one JSON of the unary route."""
    whole: Chunk = {}
    candidates: dict[int, Chunk] = {}
    for chunk in chunks:
        whole |= {name: value for name, value in chunk.items() if name != "candidates"}
        for candidate in candidates_of(chunk):
            _merge_candidate(candidates.setdefault(candidate.get("index", 0), {}), candidate)
    if candidates:
        whole["candidates"] = [candidates[index] for index in sorted(candidates)]
    return whole


def candidates_of(chunk: Chunk) -> list[Chunk]:
    """The candidates of one chunk."""
    return chunk.get("candidates") or []


def parts_of(chunk: Chunk) -> list[Part]:
    """The parts of all candidates."""
    return [part for candidate in candidates_of(chunk) for part in (candidate.get("content") or {}).get("parts") or []]


def _merge_candidate(joined: Chunk, candidate: Chunk) -> None:
    content = candidate.get("content") or {}
    parts = list((joined.get("content") or {}).get("parts", []))
    for part in content.get("parts") or []:
        if parts and _continues_text(parts[-1], part):
            parts[-1] = {**parts[-1], **part, "text": parts[-1]["text"] + part["text"]}
        else:
            parts.append(part)
    joined |= {name: value for name, value in candidate.items() if name != "content" and value is not None}
    if "content" in candidate:
        joined["content"] = {**content, "parts": parts}


def _continues_text(first: Part, second: Part) -> bool:
    both_text = isinstance(first.get("text"), str) and isinstance(second.get("text"), str)
    return both_text and "thoughtSignature" not in first and bool(first.get("thought")) == bool(second.get("thought"))


def _make_candidate(turn: Turn, parts: list[Part], index: int, *, ended: bool) -> Chunk:
    candidate: Chunk = {}
    # As recorded: an answer that is empty by choice has a content with a role and no parts, a malformed call
    # has no content at all. Clients that read `content.parts` without a look fail at either.
    if parts or turn.finish_reason == "STOP":
        candidate["content"] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    if ended:
        ending = {"finishReason": turn.finish_reason, "finishMessage": turn.finish_message}
        candidate |= {name: value for name, value in ending.items() if value is not None} | turn.candidate_fields
    candidate["index"] = index
    return candidate


def _group_parts(turn: Turn) -> list[list[Part]]:
    """Split the parts into those of each event; parallel calls stay together."""
    groups: list[list[Part]] = []
    for part in turn.parts:
        if "functionCall" in part and groups and "functionCall" in groups[-1][0]:
            groups[-1].append(part)
        elif "text" in part and not part.get("thought"):
            texts = turn.chunks if isinstance(turn.chunks, list) else _split_text(part["text"], turn.chunks)
            ending = {"thoughtSignature": part["thoughtSignature"]} if "thoughtSignature" in part else {}
            rest = {name: value for name, value in part.items() if name != "thoughtSignature"}
            groups += [[rest | {"text": text}] for text in texts]
            groups[-1] = [groups[-1][0] | ending]  # Google signs the last event of a text
        else:
            groups.append([part])
    return groups


def _split_text(text: str, number: int | None) -> list[str]:
    """*text* in *number* pieces, by default one for every few tokens; a single long token is split too."""
    units = _usage.tokens(text)
    if len(units) < 2 or "".join(units) != text:
        units = list(text) or [text]
    if number is None:
        number = min(_MOST_EVENTS, max(2, len(units) // _TOKENS_PER_EVENT))
    number = max(1, min(number, len(units)))
    bounds = [len(units) * index // number for index in range(number + 1)]
    return ["".join(units[start:end]) for start, end in pairwise(bounds)]
