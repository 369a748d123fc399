"""Answers of the gateway as LangChain's messages and chunks. Pure.

The shape of the content: a string as long as the visible answer is only text; a list of blocks where there are
pictures, other media, or thoughts that were asked for; with `output_version="v1"` always standard blocks.
One message, and one stream, keeps to one shape.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from gemway import BLOCKED, Accumulator, EmptyResponseError, capabilities
from gemway.types import Candidate, GenerateContentResponse, Part, UsageMetadata
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_gemway._blocks import ONLY_V1, Block, BlockReader, joined, new_call_id, to_call_chunk, to_v0
from langchain_gemway._layout import CALL_SIGNATURES, PARTS, PROVIDER, REASONING, SERVER_IDS
from langchain_gemway._metadata import citations, to_metadata, to_usage
from langchain_gemway._tools import BoundTools

Shape = Literal["text", "v0", "v1"]

_CALLS: Final = frozenset({"tool_call", "invalid_tool_call"})
_MEDIA: Final = frozenset({"image", "audio", "video", "file"})
_TEXT: Final = {"text"}
_PLAIN_CANDIDATE: Final = frozenset({"content", "index"})


@dataclass(frozen=True, slots=True)
class Reading:
    """How an answer is to be read.

    Attributes:
        model: the model that was asked.
        v1: whether content is to be standard blocks.
        thoughts: whether thoughts were asked for.
        lists: whether the answer may hold more than text, so that a stream begins with a list.
        tools: the tools that were offered, for the names and types of calls.
        max_tokens: the limit that was set, for warnings.
    """

    model: str
    v1: bool = False
    thoughts: bool = False
    lists: bool = False
    tools: BoundTools | None = None
    max_tokens: int | None = None


def to_reading(body: Mapping[str, Any], *, model: str, v1: bool, tools: BoundTools | None) -> Reading:
    """Return how to read the answer to the request *body*."""
    config = body.get("generationConfig") or {}
    thoughts = bool((config.get("thinkingConfig") or {}).get("includeThoughts"))
    modalities = config.get("responseModalities")
    media = set(modalities or capabilities(model).outputs) - {"TEXT", "text"}
    runs_code = any("codeExecution" in tool for tool in body.get("tools") or ())
    shows_tools = bool((body.get("toolConfig") or {}).get("includeServerSideToolInvocations"))
    return Reading(
        model,
        v1=v1,
        thoughts=thoughts,
        lists=bool(media) or thoughts or runs_code or shows_tools,
        tools=tools,
        max_tokens=config.get("maxOutputTokens"),
    )


def to_chat_result(response: GenerateContentResponse, reading: Reading) -> ChatResult:
    """Return the messages of a whole answer, one per candidate; the first one carries the usage.

    Raises:
        EmptyResponseError: there are no candidates, and nothing says that the prompt was blocked.
    """
    candidates: list[Candidate | None] = list(response.candidates or []) or [None]
    if candidates == [None] and response.prompt_feedback is None:
        raise EmptyResponseError("the gateway answered without candidates", response=response)
    usage = to_usage(response.usage_metadata)
    generations = []
    for position, candidate in enumerate(candidates):
        message = _message(response, candidate, reading)
        if position == 0:
            message.usage_metadata = usage
        info = {"finish_reason": message.response_metadata.get("finish_reason")}
        generations.append(ChatGeneration(message=message, generation_info=info))
    llm_output: dict[str, Any] = {"model_name": response.model_version or reading.model}
    if usage:
        llm_output["token_usage"] = usage
    return ChatResult(generations=generations, llm_output=llm_output)


def _message(response: GenerateContentResponse, candidate: Candidate | None, reading: Reading) -> AIMessage:
    parts = (candidate.content.parts or []) if candidate and candidate.content else []
    blocks = _read(parts, reading)
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    metadata = to_metadata(response, candidate, model=reading.model, text=text)
    ending = _ending(metadata, response.usage_metadata, reading, is_empty=not blocks)
    blocks += ending
    shape = _shape(blocks, metadata, reading)
    extra = _kept(blocks, shape)
    if shape == "v1":
        metadata["output_version"] = "v1"
        _annotate(blocks, metadata)
    if shape == "text" and REASONING in extra:
        del metadata["model_provider"]  # LangChain then finds the thoughts; its Gemini translator would not look
    return AIMessage(
        content=_content(blocks, shape),  # type: ignore[arg-type]
        additional_kwargs=extra,
        response_metadata=metadata,
        tool_calls=[_bare(block) for block in blocks if block["type"] == "tool_call"],
        invalid_tool_calls=[_invalid(block) for block in blocks if block["type"] == "invalid_tool_call"],
    )


def _read(parts: list[Part], reading: Reading) -> list[Block]:
    if len(parts) == 1 and parts[0].model_fields_set == _TEXT:
        return [{"type": "text", "text": parts[0].text}] if parts[0].text else []
    whole = [part for part in parts if part.function_call is None or not part.function_call.partial_args]
    reader = BlockReader(reading.tools)
    return joined([*reader.read(whole if len(whole) == len(parts) else _assembled(parts)), *reader.flush()])


def _assembled(parts: list[Part]) -> list[Part]:
    """Return parts with calls whose arguments came in pieces made whole."""
    accumulator = Accumulator()
    candidate = Candidate.model_validate({"content": {"parts": parts}})
    return [*accumulator.add(GenerateContentResponse.model_construct(candidates=[candidate])), *accumulator.finish()]


def _shape(blocks: Iterable[Block], metadata: Mapping[str, Any], reading: Reading) -> Shape:
    if reading.v1:
        return "v1"
    kinds = [block["type"] for block in blocks]
    only_text = _CALLS | ({"text"} if reading.thoughts else {"text", "reasoning"})
    if only_text.issuperset(kinds):
        return "text"
    if not ONLY_V1.isdisjoint(kinds) or ("grounding_metadata" in metadata and kinds.count("text") > 1):
        return "v1"
    return "v0"


def _content(blocks: list[Block], shape: Shape) -> str | list[Block]:
    if shape == "text":
        return "".join(block["text"] for block in blocks if block["type"] == "text")
    if shape == "v1":
        return blocks
    return [to_v0(block) for block in blocks if block["type"] not in _CALLS]


def _bare(call: Block) -> dict[str, Any]:
    return {"name": call["name"], "args": call["args"], "id": call["id"], "type": "tool_call"}


def _invalid(call: Block) -> Any:
    return {name: call[name] for name in ("type", "name", "args", "id", "error")}


# What the content has no room for


def _kept(blocks: list[Block], shape: Shape) -> dict[str, Any]:
    """Return the additional_kwargs of a message."""
    extra: dict[str, Any] = {}
    calls = [block for block in blocks if block["type"] == "tool_call"]
    for call in calls:
        _keep_call(call, extra)
    if shape == "text":
        if thoughts := "".join(block["reasoning"] for block in blocks if block["type"] == "reasoning"):
            extra[REASONING] = thoughts
        if parts := _text_layout(_entries(blocks)):
            extra[PARTS] = parts
    elif shape == "v0" and (parts := _list_layout(blocks)):
        extra[PARTS] = parts
    return extra


def _keep_call(call: Block, extra: dict[str, Any]) -> None:
    if signature := call.get("extras", {}).get("signature"):
        extra.setdefault(CALL_SIGNATURES, {})[call["id"]] = signature
    if not call["id"].startswith("call_") or len(call["id"]) != len("call_") + 32:
        extra.setdefault(SERVER_IDS, []).append(call["id"])


def _entries(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Return what each block says of the order of the parts."""
    entries: list[dict[str, Any]] = []
    for block in blocks:
        if block["type"] == "tool_call":
            entries.append({"call": block["id"]})
        elif block["type"] in _FIELDS:
            kind, field = _FIELDS[block["type"]]
            entries += _text_entries(kind, len(block[field]), block.get("extras", {}))
        elif block["type"] not in _MEDIA and block["type"] not in _CALLS:
            entries.append({"block": {name: value for name, value in block.items() if name != "index"}})
    return entries


_FIELDS: Final = {"text": ("text", "text"), "reasoning": ("thought", "reasoning")}


def _text_entries(kind: str, length: int, extras: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "signature" not in extras:
        return [{kind: length}]
    signed = extras.get("signed", length)
    before = [{kind: length - signed}] if length > signed else []
    return [*before, {kind: signed, "signature": extras["signature"]}]


def _text_layout(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the order of the parts where it is not plainly: text, then calls, none of the text signed."""
    entries = [entry for entry in entries if entry.get("block", {}).get("type") != "refusal"]
    if not any("signature" in entry and "thought" in entry for entry in entries):
        entries = [entry for entry in entries if "thought" not in entry]
    is_signed = any("signature" in entry or "block" in entry for entry in entries)
    kinds = ["call" in entry for entry in entries]
    return entries if is_signed or kinds != sorted(kinds) else []


def _list_layout(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Return where calls stand among the blocks, if any block follows one."""
    places: list[dict[str, Any]] = []
    count = 0
    for block in blocks:
        if block["type"] == "tool_call":
            places.append({"call": block["id"], "at": count})
        elif block["type"] not in _CALLS:
            count += 1
    return places if any(place["at"] < count for place in places) else []


def _annotate(blocks: list[Block], metadata: Mapping[str, Any]) -> None:
    """Put citations on the text blocks that they speak of, with offsets into that block."""
    texts = [block for block in blocks if block["type"] == "text"]
    for citation in citations(metadata.get("grounding_metadata")):
        start = 0
        for block in texts:
            end = start + len(block["text"])
            if citation["start_index"] < end or block is texts[-1]:
                block.setdefault("annotations", []).append(_moved(citation, start))
                break
            start = end


def _moved(citation: Mapping[str, Any], start: int) -> dict[str, Any]:
    """Return a citation with its offsets counted from *start*."""
    offsets = {name: citation[name] - start for name in ("start_index", "end_index") if name in citation}
    return {**citation, **offsets}


# How answers end


def _ending(
    metadata: Mapping[str, Any], usage: UsageMetadata | None, reading: Reading, *, is_empty: bool
) -> list[Block]:
    """Return what the end of an answer adds to it, and warn where it says nothing."""
    finish = metadata.get("finish_reason")
    feedback = metadata.get("prompt_feedback") or {}
    reason = feedback.get("block_reason") or finish
    if feedback.get("block_reason") or finish in BLOCKED:
        words = metadata.get("finish_message") or feedback.get("block_reason_message")
        what = "prompt" if feedback.get("block_reason") else "answer"
        extras = {"reason": reason}
        return [{"type": "refusal", "refusal": words or f"The {what} was blocked: {reason}.", "extras": extras}]
    if finish == "MALFORMED_FUNCTION_CALL":
        said = metadata.get("finish_message") or finish
        if said.lstrip().startswith("{"):  # LangChain would take it for the arguments of a call
            said = f"{finish}: {said}"
        return [{"type": "invalid_tool_call", "name": None, "args": said, "id": new_call_id(), "error": finish}]
    if is_empty:
        _warn_about_nothing(finish, usage, reading)
    return []


def _warn_about_nothing(finish: str | None, usage: UsageMetadata | None, reading: Reading) -> None:
    if finish == "MAX_TOKENS":
        thoughts = (usage.thoughts_token_count if usage else None) or 0
        limit = f"max_tokens={reading.max_tokens}" if reading.max_tokens else "max_tokens"
        said = f"thinking took {thoughts} tokens, and {limit} counts them too; raise it"
        warnings.warn(f"{reading.model} reached its limit before the first word: {said}", stacklevel=2)
    elif finish == "STOP":
        warnings.warn(f"{reading.model} answered with nothing (finish reason STOP)", stacklevel=2)


# Streams


class ChunkReader:
    """Turns the chunks of an answer into message chunks. The last one carries usage and response metadata."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._blocks = BlockReader(reading.tools)
        self._shape: Shape | None = "v1" if reading.v1 else "v0" if reading.lists else None
        self._only_text_so_far = self._shape is None
        self._calls = 0
        self._accumulator: Accumulator | None = None
        self._texts: list[str] = []
        self._entries: list[dict[str, Any]] = []
        self._listed: list[Block] = []
        self._folded = _Folded()

    def read(self, chunk: GenerateContentResponse) -> AIMessageChunk | None:
        """Return what *chunk* adds to the message, if anything."""
        self._folded.add(chunk)
        parts = self._parts(chunk)
        if not parts:
            return None
        if self._only_text_so_far and len(parts) == 1 and parts[0].model_fields_set == _TEXT:
            return self._plain(parts[0].text or "")
        self._only_text_so_far = False
        return self._chunk(self._blocks.read(parts))

    def _plain(self, text: str) -> AIMessageChunk | None:
        """Return a piece of text that nothing else came before: the path of nearly every chunk."""
        if not text:
            return None
        self._texts.append(text)
        return AIMessageChunk(content=text)

    def end(self) -> Iterator[AIMessageChunk]:
        """Yield what was held back until the end, and the last chunk.

        Raises:
            EmptyResponseError: no candidate ever came, and nothing says that the prompt was blocked.
        """
        rest = self._rest()
        if rest is not None:
            yield rest
        yield self._last()

    def _rest(self) -> AIMessageChunk | None:
        left = self._accumulator.finish() if self._accumulator else []
        return self._chunk([*self._blocks.read(left), *self._blocks.flush()])

    def _last(self) -> AIMessageChunk:
        response, candidate = self._folded.response()
        if candidate is None and response.prompt_feedback is None:
            raise EmptyResponseError("the gateway's stream held no candidates", response=response)
        reading = self._reading
        metadata = to_metadata(response, candidate, model=reading.model, text="".join(self._texts))
        if self._folded.request_id:
            metadata["request_id"] = self._folded.request_id
        is_empty = not (self._texts or self._entries or self._listed)
        ending = _ending(metadata, response.usage_metadata, reading, is_empty=is_empty)
        return self._ended(ending, metadata, response.usage_metadata)

    def _ended(self, ending: list[Block], metadata: dict[str, Any], usage: UsageMetadata | None) -> AIMessageChunk:
        shape = self._shape
        if shape in ("text", None) and self._texts:
            ending = [block for block in ending if block["type"] in _CALLS]  # a string stays a string
        if any(block["type"] == "refusal" for block in ending):
            shape = "v1"
        extra = self._layout()
        content: str | list[Block] = "" if shape in ("text", None) else []
        if shape == "v1":
            content = [*(self._blocks.new(block) for block in ending), *self._annotations(metadata)]
            metadata["output_version"] = "v1"
        if shape == "text" and any("thought" in entry for entry in self._entries):
            del metadata["model_provider"]  # as in `_message`
        return AIMessageChunk(
            content=content,  # type: ignore[arg-type]
            additional_kwargs=extra,
            response_metadata=metadata,
            usage_metadata=to_usage(usage),
            invalid_tool_calls=[_invalid(block) for block in ending if block["type"] == "invalid_tool_call"],
            chunk_position="last",
        )

    def _layout(self) -> dict[str, Any]:
        if self._shape in ("text", None):
            parts = _text_layout(_merged(self._entries))
        elif self._shape == "v0":
            parts = _list_layout(self._listed)
        else:
            parts = []
        return {PARTS: parts} if parts else {}

    def _annotations(self, metadata: Mapping[str, Any]) -> list[Block]:
        """Return empty pieces of the text blocks that carry their citations."""
        texts: dict[int, Block] = {}
        for block in self._listed:
            if block["type"] == "text":
                whole = texts.setdefault(block["index"], {"type": "text", "text": "", "index": block["index"]})
                whole["text"] += block["text"]
        _annotate(list(texts.values()), metadata)
        return [{**block, "text": ""} for block in texts.values() if "annotations" in block]

    def _parts(self, chunk: GenerateContentResponse) -> list[Part]:
        """Return the parts that are whole; calls whose arguments come in pieces are put together first."""
        candidates = chunk.candidates
        if not candidates:
            return []
        first = candidates[0]
        if first.index:  # another candidate's chunk
            return []
        parts = (first.content.parts or []) if first.content else []
        in_pieces = any(part.function_call is not None and _in_pieces(part) for part in parts)
        if self._accumulator is None and in_pieces:
            self._accumulator = Accumulator()
        return parts if self._accumulator is None else self._accumulator.add(chunk)

    def _chunk(self, blocks: list[Block]) -> AIMessageChunk | None:
        if not blocks:
            return None
        if self._shape is None:
            self._begin(blocks)
        extra: dict[str, Any] = {}
        chunks = []
        for block in blocks:
            if block["type"] == "tool_call":
                _keep_call(block, extra)
                chunks.append(self._call_chunk(block))
        if self._shape == "text" and (thoughts := "".join(b["reasoning"] for b in blocks if b["type"] == "reasoning")):
            extra[REASONING] = thoughts
        content, metadata = self._said(blocks)
        return AIMessageChunk(
            content=content,  # type: ignore[arg-type]
            additional_kwargs=extra,
            tool_call_chunks=chunks,
            response_metadata=metadata,
        )

    def _begin(self, blocks: list[Block]) -> None:
        """Settle the shape: a string if text has come already, or if only text comes now."""
        self._shape = "text" if self._texts or _shape(blocks, {}, self._reading) == "text" else "v0"
        if self._texts:
            self._entries = [{"text": len("".join(self._texts))}]

    def _call_chunk(self, block: Block) -> Any:
        self._calls += 1
        whole = to_call_chunk(block)
        index = block["index"] if self._shape == "v1" else self._calls - 1
        return tool_call_chunk(name=block["name"], args=whole["args"], id=block["id"], index=index)

    def _said(self, blocks: list[Block]) -> tuple[str | list[Block], dict[str, Any]]:
        """Return content and response metadata for *blocks*, in the stream's shape."""
        self._texts += [block["text"] for block in blocks if block["type"] == "text"]
        if self._shape == "text":
            self._entries += _entries(blocks)
            if _MEDIA.isdisjoint(block["type"] for block in blocks):
                return _content(blocks, "text"), {}
            # Nobody could tell that pictures would come; to keep the string one would have to hide them.
            return [to_v0(b) for b in blocks if b["type"] in {"text", *_MEDIA}], {"model_provider": PROVIDER}
        self._listed += [{**block, "base64": ""} if "base64" in block else block for block in blocks]
        if self._shape == "v1":
            shown = [to_call_chunk(block) if block["type"] == "tool_call" else block for block in blocks]
            return shown, {"output_version": "v1", "model_provider": PROVIDER}
        listed = [block for block in blocks if block["type"] not in _CALLS]
        if not ONLY_V1.isdisjoint(block["type"] for block in listed):
            return listed, {"output_version": "v1", "model_provider": PROVIDER}
        return [to_v0(block) for block in listed], {"model_provider": PROVIDER}


def _in_pieces(part: Part) -> bool:
    call = part.function_call
    return bool(call and (call.will_continue or call.partial_args or not call.name))


def _merged(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return layout entries with the pieces of one text counted together."""
    merged: list[dict[str, Any]] = []
    for entry in entries:
        before = merged[-1] if merged else {}
        kind = next(iter(entry))
        continues = kind in {"text", "thought"} and kind in before and "signature" not in before
        if continues and not (entry[kind] and "signature" in entry):
            merged[-1] = {**before, **entry, kind: before[kind] + entry[kind]}
        else:
            merged.append(entry)
    return merged


class _Folded:
    """What the chunks say beside their parts: the last value of each field, cumulative usage."""

    def __init__(self) -> None:
        self.request_id: str | None = None
        self._usage: dict[str, Any] = {}
        self._candidate: dict[str, Any] | None = None
        self._extra: dict[str, Any] = {}
        self._top: dict[str, Any] = {}

    def add(self, chunk: GenerateContentResponse) -> None:
        if chunk.usage_metadata is not None:
            self._add_usage(chunk.usage_metadata)
        if chunk.model_version:
            self._top["model_version"] = chunk.model_version
        if chunk.response_id:
            self._top["response_id"] = chunk.response_id
        if chunk.prompt_feedback is not None:
            self._top["prompt_feedback"] = chunk.prompt_feedback
        if chunk.model_status is not None:
            self._top["model_status"] = chunk.model_status
        if chunk.exchange is not None:
            self.request_id = chunk.exchange.request_id
        if chunk.candidates and not chunk.candidates[0].index:
            self._add_candidate(chunk.candidates[0])

    def _add_usage(self, usage: UsageMetadata) -> None:
        counts = {name: value for name, value in usage.__dict__.items() if value is not None}
        if counts.get("cached_content_token_count") == 0:
            del counts["cached_content_token_count"]  # gateways drop it to 0 late
        self._usage.update(counts)

    def _add_candidate(self, candidate: Candidate) -> None:
        if self._candidate is None:
            self._candidate = {}
        if not candidate.model_fields_set <= _PLAIN_CANDIDATE:
            said = {name: value for name, value in candidate.__dict__.items() if value is not None and value != ""}
            said.pop("content", None)
            self._candidate.update(said)
            self._extra.update(candidate.__pydantic_extra__ or {})

    def response(self) -> tuple[GenerateContentResponse, Candidate | None]:
        top = dict(self._top)
        if self._usage:
            top["usage_metadata"] = UsageMetadata.model_construct(**self._usage)
        response = GenerateContentResponse.model_construct(**top)
        if self._candidate is None:
            return response, None
        return response, Candidate.model_construct(**self._candidate, **self._extra)
