"""Fold the chunks of a stream into one response. Pure.

Text is joined, signed parts stay parts of their own, streamed call arguments become whole calls, usage is
cumulative: the last value of each field wins and a missing field keeps its earlier value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gemway._hidden_pictures import with_pictures_revealed
from gemway.types import Candidate, Content, Exchange, FunctionCall, GenerateContentResponse, Part, UsageMetadata

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[['\"]([^'\"]+)['\"]\]")


def fold(chunks: Iterable[GenerateContentResponse]) -> GenerateContentResponse:
    """Return the one response that *chunks* amount to."""
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


class Accumulator:
    """Folds chunk by chunk.

    Attributes:
        usage: the usage so far, or None.
    """

    def __init__(self) -> None:
        self.usage: UsageMetadata | None = None
        self._top: dict[str, Any] = {}
        self._candidates: dict[int, _CandidateFold] = {}
        self._exchange: Exchange | None = None

    def add(self, chunk: GenerateContentResponse) -> list[Part]:
        """Take the next chunk; return the parts of the first candidate that it completes.

        Parts of streamed calls are held back until the call is whole; all others pass as they are.
        """
        self._exchange = self._exchange or chunk.exchange
        self._top.update(_present(chunk, without=("candidates", "usage_metadata", "exchange")))
        if chunk.usage_metadata is not None:
            self.usage = merged_usage(self.usage, chunk.usage_metadata)
        complete: list[Part] = []
        for position, candidate in enumerate(chunk.candidates or []):
            index = candidate.index if candidate.index is not None else position
            folded = self._candidates.setdefault(index, _CandidateFold())
            parts = folded.add(candidate)
            if index == 0:
                complete = parts
        return complete

    def finish(self) -> list[Part]:
        """Return the parts that were still open when the stream ended."""
        first = self._candidates.get(0)
        return first.finish() if first else []

    def response(self) -> GenerateContentResponse:
        """Return the response folded so far."""
        candidates = [self._candidates[index].candidate() for index in sorted(self._candidates)]
        fields = dict(self._top)
        if candidates:
            fields["candidates"] = candidates
        if self.usage is not None:
            fields["usage_metadata"] = self.usage
        # A picture that was hidden in text may have come in pieces.
        return with_pictures_revealed(GenerateContentResponse.model_construct(**fields)).came_by(self._exchange)


def merged_usage(before: UsageMetadata | None, after: UsageMetadata) -> UsageMetadata:
    """Return the usage after a chunk: its values win, what it leaves out (or zero caches) stays."""
    if before is None:
        return after
    fields = _present(after)
    if not fields.get("cached_content_token_count", 1):
        fields.pop("cached_content_token_count")  # gateways drop it to 0 late (pydantic-ai issue 5205)
    return before.model_copy(update=fields)


class _CandidateFold:
    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._role: str | None = None
        self._content_extra: dict[str, Any] = {}
        self._parts: list[Part] = []
        self._call: _CallFold | None = None
        self._has_content = False

    def add(self, candidate: Candidate) -> list[Part]:
        for name, value in _present(candidate, without=("content",)).items():
            if value != "":  # an empty finishReason takes nothing back
                self._fields[name] = value
        if candidate.content is None:
            return []
        self._has_content = True
        self._role = candidate.content.role or self._role
        self._content_extra.update(_present(candidate.content, without=("parts", "role")))
        complete = [whole for part in candidate.content.parts or [] for whole in self._take(part)]
        for part in complete:
            self._append(part)
        return complete

    def finish(self) -> list[Part]:
        """Take an open call as whole as it will get: the stream ended."""
        complete = self._close_call()
        for part in complete:
            self._append(part)
        return complete

    def candidate(self) -> Candidate:
        parts = [*self._parts, *([self._call.part()] if self._call else [])]
        fields = dict(self._fields)
        if self._has_content:
            content: dict[str, Any] = {**self._content_extra, "parts": parts}
            if self._role is not None:
                content["role"] = self._role
            fields["content"] = Content.model_construct(**content)
        return Candidate.model_construct(**fields)

    def _take(self, part: Part) -> list[Part]:
        call = part.function_call
        if call is None:
            return [part]
        if self._call is not None and not call.name:
            self._call.add(part, call)
            return self._close_call() if not call.will_continue else []
        whole = self._close_call()
        if call.will_continue or call.partial_args:
            self._call = _CallFold(part, call)
            return whole
        return [*whole, part]

    def _close_call(self) -> list[Part]:
        if self._call is None:
            return []
        part, self._call = self._call.part(), None
        return [part]

    def _append(self, part: Part) -> None:
        """Join text with the text before it, unless one of them is signed or they differ in kind."""
        last = self._parts[-1] if self._parts else None
        if (
            last is not None
            and _is_plain_text(last)
            and _is_plain_text(part)
            and bool(last.thought) == bool(part.thought)
        ):
            self._parts[-1] = last.model_copy(update={"text": (last.text or "") + (part.text or "")})
        elif last is not None and _is_plain_text(last) and _is_signed_rest(part, last):
            self._parts[-1] = last.model_copy(
                update={"text": (last.text or "") + (part.text or ""), "thought_signature": part.thought_signature}
            )
        else:
            self._parts.append(part)


class _CallFold:
    """One function call whose arguments arrive in pieces."""

    def __init__(self, part: Part, call: FunctionCall) -> None:
        self._part = part
        self._call = call
        self._args: dict[str, Any] = dict(call.args) if isinstance(call.args, dict) else {}
        self._signature = part.thought_signature
        self._write(call)

    def add(self, part: Part, call: FunctionCall) -> None:
        self._signature = self._signature or part.thought_signature
        if isinstance(call.args, dict):
            self._args.update(call.args)
        self._write(call)

    def part(self) -> Part:
        fields = _present(self._call, without=("partial_args", "will_continue", "args"))
        call = FunctionCall.model_construct(**fields, args=self._args)
        others = _present(self._part, without=("function_call", "thought_signature"))
        if self._signature:
            others["thought_signature"] = self._signature
        return Part.model_construct(function_call=call, **others)

    def _write(self, call: FunctionCall) -> None:
        for piece in call.partial_args or []:
            steps = [name or quoted or int(index) for name, index, quoted in _STEP.findall(piece.json_path or "")]
            if steps:
                _put(self._args, steps, _value(piece))


def _value(piece: Any) -> Any:
    for name in ("string_value", "number_value", "bool_value"):
        value = getattr(piece, name)
        if value is not None:
            return int(value) if name == "number_value" and float(value).is_integer() else value
    return None


def _put(target: Any, steps: list[Any], value: Any) -> None:
    """Write *value* at a path, making objects and lists on the way; strings grow piece by piece."""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(target, list):
            target.extend([None] * (int(step) + 1 - len(target)))
        if following is None:
            old = target.get(step) if isinstance(target, dict) else target[step]
            target[step] = old + value if isinstance(old, str) and isinstance(value, str) else value
            return
        found = target.get(step) if isinstance(target, dict) else target[step]
        if not isinstance(found, (dict, list)):
            found = [] if isinstance(following, int) else {}
            target[step] = found
        target = found


def _is_plain_text(part: Part) -> bool:
    return part.text is not None and not part.thought_signature and part.model_fields_set <= {"text", "thought"}


def _is_signed_rest(part: Part, last: Part) -> bool:
    """Whether *part* is the signed, empty end of the text before it."""
    return (
        part.text == ""
        and bool(part.thought_signature)
        and part.model_fields_set <= {"text", "thought", "thought_signature"}
        and bool(part.thought) == bool(last.thought)
    )


def _present(message: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields that were sent and are not null, unknown ones included."""
    fields = {**message.__dict__, **(message.__pydantic_extra__ or {})}
    return {name: value for name, value in fields.items() if value is not None and name not in without}
