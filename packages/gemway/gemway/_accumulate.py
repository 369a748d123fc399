"""Fold the chunks of a stream into one response. Pure.

Text is joined, signed parts stay parts of their own, streamed call arguments become whole calls, usage is
cumulative: the last value of each field wins and a missing field keeps its earlier value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from gemway._embedded_images import extract_embedded_images
from gemway._exceptions import ResponseValidationError
from gemway._json import JsonObject
from gemway._warnings import warn
from gemway.types import (
    CallRecord,
    Candidate,
    Content,
    FunctionCall,
    GenerateContentResponse,
    Part,
    UsageMetadata,
    WireType,
)

Model = TypeVar("Model", bound=BaseModel)
_set_attribute: Final = object.__setattr__
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[['\"]([^'\"]+)['\"]\]")
# Limits for one answer. Google sends at most 8 candidates; lists of arguments arrive in order, so that an index
# far behind the end of its list is an error or an attack.
_MOST_CANDIDATES = 64
_MOST_PARTS = 2048
_MOST_STEPS = 64
_LONGEST_PATH = 4096
_WIDEST_GAP = 64
_MOST_ARGUMENTS = 16384


def fold(chunks: Iterable[GenerateContentResponse]) -> GenerateContentResponse:
    """Return the one response that *chunks* amount to."""
    accumulator = Accumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.response()


@dataclass(slots=True, eq=False)
class TextChunk:
    """A chunk that adds text to the first candidate and nothing else to it.

    Attributes:
        text: the text, never empty.
        wire: the whole chunk as plain JSON in the wire's spelling; the reader's own to keep.
    """

    text: str
    wire: JsonObject

    def __repr__(self) -> str:
        return f"<TextChunk of {len(self.text)} characters>"


class ModelTemplate(Generic[Model]):
    """Makes objects like *original*, a pydantic model, with other values and with empty collections of their own.

    Frameworks wrap each chunk of a stream in one or two objects. Their constructors validate values that the adapter has just
    built, which takes 5 us for each chunk; two copies take 1.8 (two cores of a Xeon, CPython 3.11, langchain-core
    1.7.2). `model_copy` takes twice as long as this, and shares the collections.
    """

    def __init__(self, original: Model) -> None:
        self._class = type(original)
        self._fields = dict(original.__dict__)
        self._fields_set = original.model_fields_set
        self._keeps_unknown = original.model_extra is not None
        self._dicts = [name for name, value in self._fields.items() if value == {}]
        self._lists = [name for name, value in self._fields.items() if value == []]

    def copy(self, **values: object) -> Model:
        """Return a copy with *values*, which must be of the right types, in the place of the original's."""
        fields = self._fields.copy()
        # Two loops with literals: one loop that calls the type of each collection takes 3.2 us for a message of
        # LangChain's instead of 1.9.
        for name in self._dicts:
            fields[name] = {}
        for name in self._lists:
            fields[name] = []
        fields.update(values)
        made = self._class.__new__(self._class)
        # What pydantic's own model_construct does, without a look at each field. The four attributes are documented.
        _set_attribute(made, "__dict__", fields)
        _set_attribute(made, "__pydantic_fields_set__", self._fields_set.copy())
        _set_attribute(made, "__pydantic_extra__", {} if self._keeps_unknown else None)
        _set_attribute(made, "__pydantic_private__", None)
        return made


class Accumulator:
    """Folds chunk by chunk, in linear time. The response is built only when you call `response`."""

    def __init__(self) -> None:
        self._top: JsonObject = {}
        self._usage: JsonObject = {}
        self._candidates: dict[int, _CandidateFold] = {}
        self._call_record: CallRecord | None = None
        self._pending_metadata: JsonObject = {}  # metadata of text chunks, as wire JSON that is not validated yet
        self._pending_usage: JsonObject = {}

    def add(self, chunk: GenerateContentResponse) -> list[Part]:
        """Take the next chunk; return the parts of the first candidate that it completes.

        Parts of streamed calls are held back until the call is whole; all others pass as they are.
        """
        if self._pending_metadata:
            self._apply_pending()
        # `attempts` and `request_id` belong to the whole answer, and only the first chunk has them.
        if self._call_record is None:
            self._call_record = chunk.__dict__.get("exchange")
        _copy_set_fields(self._top, chunk, without=_FOLDED)
        if chunk.usage_metadata is not None:
            self._accumulate_usage(chunk.usage_metadata)
        complete: list[Part] = []
        for position, candidate in enumerate(chunk.candidates or ()):
            # Gateways that convert from other providers leave the index out; then the place in the list counts.
            index = candidate.index if candidate.index is not None else position
            if index not in self._candidates:
                if len(self._candidates) >= _MOST_CANDIDATES:
                    raise ResponseValidationError(f"the stream holds more than {_MOST_CANDIDATES} candidates")
                self._candidates[index] = _CandidateFold(index if candidate.index is not None else None)
            parts = self._candidates[index].add(candidate)
            if index == 0:
                complete = parts
        return complete

    def add_text(self, chunk: TextChunk) -> None:
        """Take the next chunk, one that only adds text."""
        wire = chunk.wire
        first = self._candidates.get(0)
        if first is None:
            first = self._candidates[0] = _CandidateFold(wire["candidates"][0].get("index"))
        first.add_text(chunk.text, wire["candidates"][0]["content"])
        self._pending_metadata.update(wire)
        self._pending_usage.update(wire.get("usageMetadata", _NOTHING))

    def finish(self) -> list[Part]:
        """Return the parts that were still open when the stream ended."""
        first = self._candidates.get(0)
        return first.finish() if first else []

    @property
    def usage(self) -> UsageMetadata | None:
        """The usage so far, or None."""
        if self._pending_metadata:
            self._apply_pending()
        return UsageMetadata.model_construct(**self._usage) if self._usage else None

    def response(self) -> GenerateContentResponse:
        """Return the response folded so far."""
        if self._pending_metadata:
            self._apply_pending()
        fields = dict(sorted(self._top.items()))
        candidates = [self._candidates[index].candidate() for index in sorted(self._candidates)]
        if candidates:
            fields["candidates"] = candidates
        if self._usage:
            fields["usage_metadata"] = self.usage
        folded = GenerateContentResponse.model_construct(**fields)
        # A picture that was hidden in text may have come in pieces, which no chunk shows by itself.
        texts = (part.text for one in candidates for part in (one.content and one.content.parts) or () if part.text)
        keeps_text = self._call_record is not None and self._call_record.keeps_text
        if not keeps_text and any("data:image" in text for text in texts):
            folded = extract_embedded_images(folded)
        return folded.with_call_record(self._call_record)

    def _apply_pending(self) -> None:
        """Validate and apply the metadata of text chunks. Raises `ResponseValidationError` if it is not valid."""
        wire = {**self._pending_metadata, "candidates": None, "usageMetadata": self._pending_usage or None}
        self._pending_metadata, self._pending_usage = {}, {}
        try:
            metadata = GenerateContentResponse.model_validate(wire)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise ResponseValidationError(f"the stream held no valid chunk ({where}: {problem['msg']})") from None
        _copy_set_fields(self._top, metadata, without=_FOLDED)
        if metadata.usage_metadata is not None:
            self._accumulate_usage(metadata.usage_metadata)

    def _accumulate_usage(self, usage: UsageMetadata) -> None:
        cached = self._usage.get("cached_content_token_count")
        _copy_set_fields(self._usage, usage)
        if cached and not self._usage["cached_content_token_count"]:
            self._usage["cached_content_token_count"] = cached  # gateways drop it to 0 late (pydantic-ai issue 5205)


_NOTHING: JsonObject = {}
_FOLDED = frozenset({"candidates", "usage_metadata"})
_CONTENT = frozenset({"content"})
_PARTS = frozenset({"parts"})
_PLAIN_CANDIDATE = frozenset({"content", "index"})


def _copy_set_fields(target: JsonObject, message: WireType, without: frozenset[str] = frozenset()) -> None:
    """Write the fields of *message* that were sent and are not null, unknown ones included."""
    values, unknown = message.__dict__, message.model_extra or {}
    for name in message.model_fields_set:
        if name not in without:
            value = values[name] if name in values else unknown.get(name)
            if value is not None:
                target[name] = value


class _CandidateFold:
    """One candidate, folded. Text is kept in pieces until somebody asks for it."""

    def __init__(self, index: int | None) -> None:
        self._fields: JsonObject = {} if index is None else {"index": index}
        self._content: JsonObject = {}
        self._has_content = False
        self._parts: list[Part] = []
        self._texts: list[str] = []
        self._text_part: Part | None = None
        self._call: _CallFold | None = None

    def add(self, candidate: Candidate) -> list[Part]:
        if not candidate.model_fields_set <= _PLAIN_CANDIDATE:  # the first and the last chunk
            reason = self._fields.get("finish_reason")
            _copy_set_fields(self._fields, candidate, without=_CONTENT)
            # Converters may send `"finishReason": ""` in a chunk with usage that follows the last one. It takes
            # nothing back.
            if reason and not self._fields["finish_reason"]:
                self._fields["finish_reason"] = reason
        content = candidate.content
        if content is None:
            return []
        self._has_content = True
        # The role is the same in every chunk, so the fields are looked at only if something is new.
        if content.role != self._content.get("role") or content.model_extra:
            _copy_set_fields(self._content, content, without=_PARTS)
        complete: list[Part] = []
        for part in content.parts or ():
            if part.function_call is None and self._call is None:
                complete.append(part)
            else:
                complete += self._complete_parts(part)
        if len(self._parts) + len(complete) > _MOST_PARTS:
            raise ResponseValidationError(f"the answer holds more than {_MOST_PARTS} parts")
        for part in complete:
            self._append_part(part)
        return complete

    def add_text(self, text: str, content: JsonObject) -> None:
        """Take text that came alone, in *content* as wire JSON."""
        self._has_content = True
        if self._call is not None:
            for part in self._complete_call():
                self._append_part(part)
        if "role" in content:
            self._content["role"] = content["role"]
        # Pieces are kept in a list: adding strings chunk by chunk would take quadratic time.
        if self._text_part is None or self._text_part.thought:
            if self._texts:
                self._complete_text()
            self._text_part = Part(text=text)
        self._texts.append(text)

    def finish(self) -> list[Part]:
        """Take an open call as whole as it will get: the stream ended."""
        if self._call is None:
            return []
        complete = self._complete_call()
        for part in complete:
            self._append_part(part)
        return complete

    def candidate(self) -> Candidate:
        """Return the candidate folded so far."""
        self._complete_text()
        fields = dict(sorted(self._fields.items()))
        if self._has_content:
            parts = [*self._parts, *([self._call.part()] if self._call else [])]
            fields["content"] = Content.model_construct(**dict(sorted(self._content.items())), parts=parts)
        return Candidate.model_construct(**fields)

    def _complete_parts(self, part: Part) -> list[Part]:
        call = part.function_call
        if call is None:
            # Empty parts between the fragments of one call do not end it.
            if self._call is not None and (self._call.may_go_on or not _is_empty_part(part)):
                return [*self._complete_call(), part]
            return [part]
        if self._call is not None and not call.name:
            self._call.add(part, call)
            return self._complete_call() if not (call.will_continue or self._call.may_go_on) else []
        whole = self._complete_call()
        # A call without arguments may be the head of one whose fragments follow (new-api sends the name first).
        if call.will_continue or call.partial_args or (call.name and not call.args):
            self._call = _CallFold(part, call)
            return whole
        return [*whole, part]

    def _complete_call(self) -> list[Part]:
        if self._call is None:
            return []
        part, self._call = self._call.part(), None
        return [part]

    def _append_part(self, part: Part) -> None:
        """Keep a part; text joins the text before it, unless that is signed or they differ in kind."""
        before = self._text_part
        joins = before is not None and bool(before.thought) == bool(part.thought)
        if part.text is not None and part.model_fields_set <= _TEXT_FIELDS and not part.thought_signature:
            if not joins:
                if before is not None:
                    self._complete_text()
                self._text_part = part
            self._texts.append(part.text)
        elif joins and part.text == "" and part.model_fields_set <= _TEXT_FIELDS:
            self._complete_text(part.thought_signature)  # the signed, empty end of the text before it
        else:
            self._complete_text()
            self._parts.append(part)

    def _complete_text(self, signature: str | None = None) -> None:
        """Make the pieces of text one part."""
        if self._text_part is not None:
            update: JsonObject = {"text": "".join(self._texts)}
            if signature:
                update["thought_signature"] = signature
            self._parts.append(self._text_part.model_copy(update=update))
        self._text_part, self._texts = None, []


_TEXT_FIELDS = frozenset({"text", "thought", "thought_signature"})


def _is_empty_part(part: Part) -> bool:
    """Whether a part is empty, so that a call may continue after it."""
    return not part.text and part.model_fields_set <= {"text", "thought"}


class _CallFold:
    """One function call whose arguments arrive in pieces: Google's `partialArgs`, or fragments of JSON text.

    new-api's converter makes a call of its own of each fragment, `{"name": "", "args": {"arguments": "{\\"city"}}`.
    """

    def __init__(self, part: Part, call: FunctionCall) -> None:
        self._part = part
        self._call = call
        self._args: JsonObject = dict(call.args) if isinstance(call.args, dict) else {}
        self._fragments: list[str] = []
        self._written = 0
        self._unreadable: str | None = None
        self._signature = part.thought_signature
        self.may_go_on = not (call.will_continue or call.partial_args)
        self._write_arguments(call)

    def add(self, part: Part, call: FunctionCall) -> None:
        self._signature = self._signature or part.thought_signature
        fragment = _argument_fragment(call.args)
        if fragment is not None and self.may_go_on:
            self._fragments.append(fragment)
        elif isinstance(call.args, dict):
            self._args.update(call.args)
        self._write_arguments(call)

    def part(self) -> Part:
        fields = _fields_without(self._call, "partial_args", "will_continue", "args")
        args: Any = self._args
        if self._unreadable is not None:
            args = self._unreadable  # text, which no adapter takes for valid arguments
        elif self._fragments:
            # Text that is not JSON stays text, which makes the call invalid.
            args = FunctionCall.model_validate({"args": "".join(self._fragments)}).args
        elif self.may_go_on:
            args = self._args if isinstance(self._call.args, dict) or self._args else self._call.args
        # No `args` at all stays so: `{}` would be an invention of ours when the turn is sent back.
        if args is not None:
            fields["args"] = args
        call = FunctionCall.model_construct(**fields)
        others = _fields_without(self._part, "function_call", "thought_signature")
        if self._signature:
            others["thought_signature"] = self._signature
        return Part.model_construct(function_call=call, **others)

    def _write_arguments(self, call: FunctionCall) -> None:
        for piece in call.partial_args or []:
            self._written += 1
            path = piece.json_path or ""
            if self._unreadable is not None:
                return
            if self._written > _MOST_ARGUMENTS or not _put_at_path(self._args, path, _typed_value(piece)):
                self._unreadable = f"arguments that cannot be put together at {path[:80]!r}"
                self._args = {}
                warn(f"a call of {str(self._call.name)[:80]!r} has {self._unreadable}; it is handed on as invalid")


def _argument_fragment(args: object) -> str | None:
    """Return the piece of JSON text that stands in place of arguments, if it does."""
    if isinstance(args, str):
        return args
    if isinstance(args, dict) and len(args) == 1 and isinstance(args.get("arguments"), str):
        return str(args["arguments"])
    return None


def _typed_value(piece: object) -> object:
    for name in ("string_value", "number_value", "bool_value"):
        value = getattr(piece, name)
        if value is not None:
            is_number = name == "number_value" and isinstance(value, (int, float))
            return int(value) if is_number and float(value).is_integer() else value
    return None


def _put_at_path(target: Any, path: str, value: Any) -> bool:
    """Write *value* at a path, making objects and lists on the way; strings grow piece by piece.

    Return whether that could be done: not at an index far behind the end of its list, nor below very many levels.
    """
    if len(path) > _LONGEST_PATH:
        return False
    steps: list[Any] = [name or quoted or int(index[:9]) for name, index, quoted in _STEP.findall(path)]
    if len(steps) > _MOST_STEPS:
        return False
    for step, following in zip(steps, [*steps[1:], None], strict=False):
        # `$.a[0]` after `$.a.b`: the pieces contradict each other, and writing one would destroy the other.
        if isinstance(target, list) is not isinstance(step, int):
            return False
        if isinstance(target, list):
            if step > len(target) + _WIDEST_GAP:
                return False
            target.extend([None] * (step + 1 - len(target)))
        old = target.get(step) if isinstance(target, dict) else target[step]
        if following is None:
            target[step] = old + value if isinstance(old, str) and isinstance(value, str) else value
        elif not isinstance(old, (dict, list)):
            target[step] = [] if isinstance(following, int) else {}
        target = target[step]
    return True


def _fields_without(message: WireType, *without: str) -> JsonObject:
    """Return the fields of *message* that were sent and are not null."""
    fields: JsonObject = {}
    _copy_set_fields(fields, message, frozenset(without))
    return fields
