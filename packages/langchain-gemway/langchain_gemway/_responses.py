"""Turn answers of the gateway, whole or streamed, into LangChain's messages. Pure.

The content is a string as long as the visible answer is only text, and a list of blocks if there are pictures, other
media, or thoughts that were asked for. With `output_version="v1"` it is always a list of standard blocks. One message,
and one stream, keeps to one shape, which depends on the request or else on the first chunk.

Nearly every answer is one plain text. It takes the short way in `to_chat_result` and `ChunkReader.read`; everything else
becomes blocks first (`_blocks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, cast

from gemway import EmptyResponseError, capabilities
from gemway.adapters import BLOCKED_FINISH_REASONS, FINISH_PROBLEMS, Accumulator, ModelTemplate, TextChunk, warn
from gemway.types import Candidate, GenerateContentResponse, Part, UsageMetadata, finish_reason_name
from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall
from langchain_core.messages.ai import UsageMetadata as LangChainUsage
from langchain_core.messages.tool import ToolCallChunk, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

from langchain_gemway._blocks import (
    CALLS,
    MEDIA,
    ONLY_V1,
    PARTS,
    PROVIDER,
    REASONING,
    Block,
    BlockReader,
    Entry,
    Shape,
    additional_kwargs_for,
    join_pieces,
    layout_entries,
    list_layout,
    merge_entries,
    new_call_id,
    note_call,
    string_layout,
    to_call_chunk,
    to_v0,
)
from langchain_gemway._tools import BoundTools

Metadata = dict[str, Any]
Content = Any  # a string or a list of blocks; LangChain's own type does not take lists of our dicts


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """The facts about a request that are needed to read its answer.

    Most of them are looked up in the request only when something asks: a plain text needs none.

    Attributes:
        model: the model that was asked.
        body: the request.
        v1: whether content is to be standard blocks.
        tools: the tools that were offered, for the names and types of calls.
    """

    model: str
    body: Mapping[str, Any] = field(default_factory=dict)
    v1: bool = False
    tools: BoundTools | None = None

    @property
    def thoughts(self) -> bool:
        """Whether thoughts were asked for."""
        config = self.body.get("generationConfig") or {}
        return bool((config.get("thinkingConfig") or {}).get("includeThoughts"))

    @property
    def lists(self) -> bool:
        """Whether the answer may hold more than text, so that a stream begins with a list."""
        config = self.body.get("generationConfig") or {}
        media = set(config.get("responseModalities") or capabilities(self.model).outputs) - {"TEXT", "text"}
        runs_code = any("codeExecution" in tool for tool in self.body.get("tools") or ())
        shows_tools = (self.body.get("toolConfig") or {}).get("includeServerSideToolInvocations")
        return bool(media or runs_code or shows_tools or (config and self.thoughts))

    @property
    def searches(self) -> bool:
        """Whether the answer may cite sources that the server looked up."""
        # Some gateways search for models of such a name without a tool (`gemini-2.5-flash-search`).
        offered = self.body.get("tools") or ()
        return "search" in self.model or any(not _SEARCH_TOOLS.isdisjoint(tool) for tool in offered)

    @property
    def max_tokens(self) -> int | None:
        """The limit that was set, for warnings."""
        limit: int | None = (self.body.get("generationConfig") or {}).get("maxOutputTokens")
        return limit


_SEARCH_TOOLS: Final = frozenset(
    {"googleSearch", "googleSearchRetrieval", "googleMaps", "enterpriseWebSearch", "fileSearch", "urlContext"}
)


# Whole answers


def to_chat_result(response: GenerateContentResponse, context: AnswerContext) -> ChatResult:
    """Return the messages of a whole answer, one for each candidate; the first one carries the usage.

    Raises:
        EmptyResponseError: there are no candidates, and the prompt was not blocked.
    """
    candidates: list[Candidate | None] = [*(response.candidates or ())] or [None]
    if candidates == [None] and response.prompt_feedback is None:
        raise EmptyResponseError("the gateway's answer has no candidates", response=response)
    generations = []
    for candidate in candidates:
        parts = (candidate.content.parts or []) if candidate and candidate.content else []
        text = parts[0].text if len(parts) == 1 and parts[0].model_fields_set == ONLY_TEXT else None
        if candidate and text and not context.v1 and candidate.finish_reason == "STOP" and not response.prompt_feedback:
            # Empty collections are passed on purpose: langchain-core's validators take longer to make their own.
            message = AIMessage(
                content=text,
                additional_kwargs={},
                response_metadata=to_metadata(response, candidate, model=context.model, text=text),
                tool_calls=[],
                invalid_tool_calls=[],
            )
        else:
            message = _to_message(response, candidate, parts, context)
        info = {"finish_reason": message.response_metadata.get("finish_reason")}
        generations.append(ChatGeneration(message=message, generation_info=info))
    # A request is billed once, however many candidates it has, so only the first message carries the usage.
    llm_output: Metadata = {"model_name": response.model_version or context.model}
    if usage := to_usage(response.usage_metadata):
        cast("AIMessage", generations[0].message).usage_metadata = usage
        llm_output["token_usage"] = usage
    return ChatResult(generations=generations, llm_output=llm_output)


def _to_message(
    response: GenerateContentResponse, candidate: Candidate | None, parts: list[Part], context: AnswerContext
) -> AIMessage:
    """Return the message of an answer with more in it than text, or that ended in a way that must be shown."""
    reader = BlockReader(context.tools)
    blocks = join_pieces([*reader.read(_with_whole_calls(parts)), *reader.finish()])
    for block in blocks:
        del block["index"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    metadata = to_metadata(response, candidate, model=context.model, text=text)
    blocks += read_ending(metadata, response.usage_metadata, context, is_empty=not blocks)
    shape = shape_of(blocks, metadata, context)
    extra = additional_kwargs_for(blocks, shape, reader.server_ids)
    calls = [
        tool_call(name=one["name"], args=one["args"], id=one["id"]) for one in blocks if one["type"] == "tool_call"
    ]
    if calls:
        note_tool_calls(metadata)
    if shape == "v1":
        metadata["output_version"] = "v1"
        add_citations(blocks, metadata)
    if shape == "text" and REASONING in extra:
        # LangChain then shows the thoughts of additional_kwargs; its Gemini translator would not look there.
        del metadata["model_provider"]
    return AIMessage(
        content=content_of(blocks, shape),
        additional_kwargs=extra,
        response_metadata=metadata,
        tool_calls=calls,
        invalid_tool_calls=[_to_invalid_call(block) for block in blocks if block["type"] == "invalid_tool_call"],
    )


ONLY_TEXT: Final = {"text"}


def _with_whole_calls(parts: list[Part]) -> list[Part]:
    """Return parts with calls whose arguments came in pieces made whole: some gateways only gather a stream."""
    if not any(part.function_call is not None and part.function_call.partial_args for part in parts):
        return parts
    accumulator = Accumulator()
    candidate = Candidate.model_validate({"content": {"parts": parts}})
    return [*accumulator.add(GenerateContentResponse.model_construct(candidates=[candidate])), *accumulator.finish()]


def shape_of(blocks: Iterable[Block], metadata: Metadata, context: AnswerContext) -> Shape:
    """Return the shape of a whole content with these blocks."""
    if context.v1:
        return "v1"
    kinds = [block["type"] for block in blocks]
    only_text = CALLS | ({"text"} if context.thoughts else {"text", "reasoning"})
    if only_text.issuperset(kinds):
        return "text"
    if not ONLY_V1.isdisjoint(kinds) or ("grounding_metadata" in metadata and kinds.count("text") > 1):
        return "v1"
    return "v0"


def content_of(blocks: list[Block], shape: Shape) -> Content:
    """Return the content of a message in this shape. Calls have fields of their own, except in v1."""
    if shape == "text":
        return "".join(block["text"] for block in blocks if block["type"] == "text")
    if shape == "v1":
        return blocks
    return [to_v0(block) for block in blocks if block["type"] not in CALLS]


def _to_invalid_call(block: Block) -> InvalidToolCall:
    return cast("InvalidToolCall", {name: block[name] for name in ("type", "name", "args", "id", "error")})


# Streamed answers


class ChunkReader:
    """Turns the chunks of an answer into message chunks. The last one carries usage and response metadata."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        # LangChain adds the chunks of a stream up, and a string plus a list is a list with a bare string in it. So the
        # shape is settled by the request, or else by the first chunk, and then holds for all.
        self._shape: Shape | None = "v1" if context.v1 else "v0" if context.lists else None
        self._only_text_so_far = self._shape is None
        self._call_count = 0
        self._accumulator = Accumulator()
        self._texts: list[str] = []
        self._entries: list[Entry] = []  # of a string content
        self._listed: list[Block] = []  # of a list content, without the data of media

    @cached_property
    def _block_reader(self) -> BlockReader:
        return BlockReader(self._context.tools)  # most streams are text alone, and need none

    def read(self, chunk: GenerateContentResponse | TextChunk) -> AIMessageChunk | None:
        """Return the message chunk for *chunk*, or None if it adds nothing yet."""
        if isinstance(chunk, TextChunk):
            self._accumulator.add_text(chunk)
            if self._only_text_so_far:  # nearly every chunk
                self._texts.append(chunk.text)
                return _TEXT_MESSAGES.copy(content=chunk.text)
            return self._to_chunk(self._block_reader.read([Part(text=chunk.text)]))
        parts = self._accumulator.add(chunk)
        if not parts:
            return None
        if self._only_text_so_far and len(parts) == 1 and parts[0].model_fields_set == ONLY_TEXT:
            if not (text := parts[0].text):
                return None
            self._texts.append(text)
            return _TEXT_MESSAGES.copy(content=text)
        self._only_text_so_far = False
        return self._to_chunk(self._block_reader.read(parts))

    def end(self) -> Iterator[AIMessageChunk]:
        """Yield the content that was held back until the end, and the last chunk.

        Raises:
            EmptyResponseError: no candidate ever came, and the prompt was not blocked.
        """
        rest = self._accumulator.finish()
        if rest or not self._only_text_so_far:
            chunk = self._to_chunk([*self._block_reader.read(rest), *self._block_reader.finish()])
            if chunk is not None:
                yield chunk
        response = self._accumulator.response()
        candidate = response.candidates[0] if response.candidates else None
        if candidate is None and response.prompt_feedback is None:
            raise EmptyResponseError("the gateway's stream has no candidates", response=response)
        metadata = to_metadata(response, candidate, model=self._context.model, text="".join(self._texts))
        usage = to_usage(response.usage_metadata)
        ends_plainly = metadata.get("finish_reason") == "STOP" and not response.prompt_feedback
        if self._shape is None and self._texts and ends_plainly:
            yield AIMessageChunk(content="", response_metadata=metadata, usage_metadata=usage, chunk_position="last")
            return
        is_empty = not (self._texts or self._entries or self._listed)
        ending = read_ending(metadata, response.usage_metadata, self._context, is_empty=is_empty)
        yield self._last_chunk_with(ending, metadata, usage)

    def _last_chunk_with(self, ending: list[Block], metadata: Metadata, usage: LangChainUsage | None) -> AIMessageChunk:
        shape = self._shape or "text"
        # Content that began as a string cannot take a block such as a refusal. The reason is in `finish_reason`.
        if shape == "text" and self._texts:
            ending = [block for block in ending if block["type"] in CALLS]
        # A list can take it, but v0 has no shape for a refusal.
        if any(block["type"] == "refusal" for block in ending):
            shape = "v1"
        if self._call_count:
            note_tool_calls(metadata)
        content: Content = "" if shape == "text" else []
        if shape == "v1":
            content = [*(self._block_reader.append(block) for block in ending), *self._citations(metadata)]
            metadata["output_version"] = "v1"
        if shape == "text" and any("thought" in entry for entry in self._entries):
            del metadata["model_provider"]  # as in `_to_message`
        return AIMessageChunk(
            content=content,
            additional_kwargs=self._layout_notes(),
            response_metadata=metadata,
            usage_metadata=usage,
            invalid_tool_calls=[_to_invalid_call(block) for block in ending if block["type"] == "invalid_tool_call"],
            chunk_position="last",
        )

    def _layout_notes(self) -> dict[str, Any]:
        """Return the notes for additional_kwargs that need the whole answer."""
        parts: list[Entry] = []
        if self._shape in ("text", None):
            parts = string_layout(merge_entries(self._entries))
        elif self._shape == "v0":
            parts = list_layout(self._listed)
        return {PARTS: parts} if parts else {}

    def _citations(self, metadata: Metadata) -> list[Block]:
        """Return empty pieces of the text blocks that carry their citations."""
        texts: dict[int, Block] = {}
        for block in self._listed:
            if block["type"] == "text":
                whole = texts.setdefault(block["index"], {"type": "text", "text": "", "index": block["index"]})
                whole["text"] += block["text"]
        add_citations([*texts.values()], metadata)
        return [{**block, "text": ""} for block in texts.values() if "annotations" in block]

    def _to_chunk(self, blocks: list[Block]) -> AIMessageChunk | None:
        if not blocks:
            return None
        blocks = join_pieces(blocks)
        if self._shape is None:
            self._settle_shape(blocks)
        extra: dict[str, Any] = {}
        calls = []
        for block in blocks:
            if block["type"] == "tool_call":
                note_call(block, extra, self._block_reader.server_ids)
                calls.append(self._to_call_chunk(block))
        if self._shape == "text" and (thoughts := "".join(b["reasoning"] for b in blocks if b["type"] == "reasoning")):
            extra[REASONING] = thoughts
        content, metadata = self._shaped_content(blocks)
        return AIMessageChunk(
            content=content, additional_kwargs=extra, tool_call_chunks=calls, response_metadata=metadata
        )

    def _settle_shape(self, blocks: list[Block]) -> None:
        """Settle on a string if text has come already, or if only text comes now; else on a list."""
        self._shape = "text" if self._texts or shape_of(blocks, {}, self._context) == "text" else "v0"
        if self._texts:
            self._entries = [{"text": len("".join(self._texts))}]

    def _to_call_chunk(self, block: Block) -> ToolCallChunk:
        self._call_count += 1
        # In v1 content the call is a block with an index of its own, and LangChain merges both by that index.
        index = block["index"] if self._shape == "v1" else self._call_count - 1
        return tool_call_chunk(name=block["name"], args=to_call_chunk(block)["args"], id=block["id"], index=index)

    def _shaped_content(self, blocks: list[Block]) -> tuple[Content, Metadata]:
        """Return content and response metadata for *blocks*, in the stream's shape."""
        self._texts += [block["text"] for block in blocks if block["type"] == "text"]
        if self._shape == "text":
            self._entries += layout_entries(blocks)
            if MEDIA.isdisjoint(block["type"] for block in blocks):
                return content_of(blocks, "text"), {}
            # Nobody could tell that pictures would come; to keep the string one would have to hide them.
            return [to_v0(b) for b in blocks if b["type"] in {"text", *MEDIA}], {"model_provider": PROVIDER}
        self._listed += [{**block, "base64": ""} if "base64" in block else block for block in blocks]
        if self._shape == "v1":
            chunk_blocks = [to_call_chunk(block) if block["type"] == "tool_call" else block for block in blocks]
            return chunk_blocks, {"output_version": "v1", "model_provider": PROVIDER}
        listed = [block for block in blocks if block["type"] not in CALLS]
        if not ONLY_V1.isdisjoint(block["type"] for block in listed):
            return listed, {"output_version": "v1", "model_provider": PROVIDER}
        return [to_v0(block) for block in listed], {"model_provider": PROVIDER}


_TEXT_MESSAGES: Final = ModelTemplate(AIMessageChunk(content=""))
_GENERATIONS: Final = ModelTemplate(ChatGenerationChunk(message=AIMessageChunk(content="")))


def to_generation_chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    """Return `ChatGenerationChunk(message=message)`."""
    if isinstance(message.content, str):
        return _GENERATIONS.copy(message=message, text=message.content)
    return ChatGenerationChunk(message=message)


# How answers end


def read_ending(
    metadata: Metadata, usage: UsageMetadata | None, context: AnswerContext, *, is_empty: bool
) -> list[Block]:
    """Return the block that the end of an answer adds to it, and warn if it explains nothing."""
    finish = metadata.get("finish_reason")
    feedback = metadata.get("prompt_feedback") or {}
    block_reason = feedback.get("block_reason")
    # LangChain has a block for refusals, so a blocked answer is a message, and the text before the block stays readable.
    if block_reason or finish in BLOCKED_FINISH_REASONS:
        words = metadata.get("finish_message") or feedback.get("block_reason_message")
        subject, reason = ("prompt", block_reason) if block_reason else ("answer", finish)
        words = words or f"The {subject} was blocked: {reason}."
        return [{"type": "refusal", "refusal": words, "extras": {"reason": reason}}]
    # The model tried to call and failed. As an invalid call an agent can tell it so, and it tries again.
    if finish == "MALFORMED_FUNCTION_CALL":
        call = metadata.get("finish_message") or finish
        if call.lstrip().startswith("{"):  # LangChain would take it for the arguments of a call
            call = f"{finish}: {call}"
        return [{"type": "invalid_tool_call", "name": None, "args": call, "id": new_call_id(), "error": finish}]
    if is_empty or finish not in {None, "STOP", "MAX_TOKENS", "CONTINUATION"}:
        _warn_about_ending(finish, metadata.get("finish_message"), usage, context, is_empty=is_empty)
    return []


def _warn_about_ending(
    finish: str | None, words: str | None, usage: UsageMetadata | None, context: AnswerContext, *, is_empty: bool
) -> None:
    """Warn about an answer with nothing in it, or one that ended early: agents take either for the last word."""
    if advice := FINISH_PROBLEMS.get(str(finish)):
        warning = f"{context.model} ended with {finish}: {advice}"
    elif is_empty and finish == "MAX_TOKENS":
        thoughts = (usage.thoughts_token_count if usage else None) or 0
        limit = f"max_tokens={context.max_tokens}" if context.max_tokens else "max_tokens"
        warning = (
            f"{context.model} reached its limit before the first word: thinking took {thoughts} tokens, and {limit}"
            " counts them too; raise it"
        )
    elif is_empty:
        warning = f"{context.model} answered with nothing (finish reason {finish})"
    else:
        warning = f"{context.model} ended its answer early (finish reason {finish})"
    warn(f"{warning}: {words}" if words else warning)


# Usage and response metadata


def to_usage(usage: UsageMetadata | None) -> LangChainUsage | None:
    """Return the usage in LangChain's terms: output includes thoughts, input includes tool results of the server."""
    if usage is None:
        return None
    # Google counts both apart from prompt and candidates (ai.google.dev, UsageMetadata), and bills thoughts as output.
    prompt = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    answer = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    # The server's own total wins, even where it is not the sum of the other counts.
    total = usage.total_token_count
    counted: dict[str, Any] = {
        "input_tokens": prompt,
        "output_tokens": answer,
        "total_tokens": prompt + answer if total is None else total,
    }
    input_counts = {"cache_read": usage.cached_content_token_count, "tool_use": usage.tool_use_prompt_token_count}
    output_counts = {"reasoning": usage.thoughts_token_count}
    for name, counts, modalities in (
        ("input_token_details", input_counts, usage.prompt_tokens_details),
        ("output_token_details", output_counts, usage.candidates_tokens_details),
    ):
        details = {kind: count for kind, count in counts.items() if count}
        for one in modalities or ():
            modality = str(one.modality).lower()
            # Text is the rest, so that the details never exceed the total.
            if one.token_count and modality not in {"text", "none", "modality_unspecified"}:
                details[modality] = details.get(modality, 0) + one.token_count
        if details:
            counted[name] = details
    return cast("LangChainUsage", counted)


def to_metadata(response: GenerateContentResponse, candidate: Candidate | None, *, model: str, text: str) -> Metadata:
    """Return the response metadata of one candidate, as plain JSON. *text* is its visible text, for offsets."""
    metadata: Metadata = {"model_name": response.model_version or model, "model_provider": PROVIDER}
    if candidate is not None:
        if finish := finish_reason_name(candidate.finish_reason):
            metadata.update(finish_reason=finish, **_FINISH_FIELDS.get(finish, {}))
        if not candidate.model_fields_set <= _PLAIN_CANDIDATE:
            metadata.update(_candidate_metadata(candidate, text))
    if response.response_id:
        metadata["id"] = response.response_id
    if record := response.exchange:
        if record.request_id:
            metadata["request_id"] = record.request_id
        metadata.update(record.to_metadata())
    if response.prompt_feedback:
        metadata["prompt_feedback"] = _to_json(response.prompt_feedback)
        if response.block_reason:
            metadata["prompt_feedback"]["block_reason"] = response.block_reason
            metadata["normalized_finish_reason"] = "refusal"
    if response.model_status:
        metadata["model_status"] = _to_json(response.model_status)
    return metadata


# langchain-core 1.8.4 asks integrations for `normalized_finish_reason` and, where it matters, `finish_state` next to the
# raw `finish_reason` (its `_finish_reason.py`). It knows "stop", "tool_call" and "refusal"; "length" is the word of its
# stream protocol. For a reason that has no word there, only the raw one is set.
_FINISH_FIELDS: Final[Mapping[str, Metadata]] = {
    "STOP": {"normalized_finish_reason": "stop"},
    "MAX_TOKENS": {"normalized_finish_reason": "length", "finish_state": "incomplete"},
    "CONTINUATION": {"finish_state": "incomplete"},
    **{reason: {"normalized_finish_reason": "refusal"} for reason in BLOCKED_FINISH_REASONS},
}


def note_tool_calls(metadata: Metadata) -> None:
    """Note that the answer stopped for its calls; Gemini's own reason is STOP for those, too."""
    if metadata.get("normalized_finish_reason") == "stop":
        metadata["normalized_finish_reason"] = "tool_call"


_PLAIN_CANDIDATE: Final = frozenset({"content", "finish_reason", "index"})
_CANDIDATE_FIELDS: Final = (
    "finish_message",
    "safety_ratings",
    "citation_metadata",
    "grounding_metadata",
    "url_context_metadata",
    "avg_logprobs",
    "continuation_token",
)


def _candidate_metadata(candidate: Candidate, text: str) -> Metadata:
    values = {name: getattr(candidate, name) for name in _CANDIDATE_FIELDS}
    # LangChain's own name for it is "logprobs".
    values["logprobs"] = candidate.logprobs_result
    values.update(candidate.model_extra or {})
    # Fields that Google added after this release come through too: nothing that a candidate holds is dropped.
    metadata = {name: _to_json(value) for name, value in values.items() if value is not None}
    if "grounding_metadata" in metadata and not text.isascii():
        metadata["grounding_metadata"] = _count_in_characters(metadata["grounding_metadata"], text)
    return metadata


def _to_json(value: Any) -> Any:
    """Return wire types as JSON data in snake_case, without nulls."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=False, exclude_none=True)
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    return value


# Citations


def _count_in_characters(grounding: Any, text: str) -> Any:
    """Return grounding metadata with offsets in characters: Google counts bytes of the UTF-8 text."""
    if not isinstance(grounding, dict):
        return grounding
    encoded = text.encode("utf-8", "surrogatepass")
    supports = []
    for support in grounding.get("grounding_supports") or ():
        segment = dict(support.get("segment") or {})
        for name in _OFFSETS:
            if isinstance(segment.get(name), int):
                segment[name] = len(encoded[: segment[name]].decode("utf-8", "ignore"))
        supports.append({**support, "segment": segment})
    return {**grounding, **({"grounding_supports": supports} if supports else {})}


_OFFSETS: Final = ("start_index", "end_index")


def add_citations(blocks: list[Block], metadata: Metadata) -> None:
    """Put citations on the text blocks that they refer to, with offsets into that block."""
    texts = [block for block in blocks if block["type"] == "text"]
    for citation in _to_citations(metadata.get("grounding_metadata")):
        start = 0
        for block in texts:
            end = start + len(block["text"])
            # An offset behind the end, as after a cut answer, belongs to the last block.
            if citation["start_index"] < end or block is texts[-1]:
                moved: Metadata = {name: citation[name] - start for name in _OFFSETS if name in citation}
                block.setdefault("annotations", []).append({**citation, **moved})
                break
            start = end


def _to_citations(grounding: Any) -> list[dict[str, Any]]:
    """Return the citations of grounding metadata whose offsets are in characters, as LangChain's annotations."""
    if not isinstance(grounding, dict):
        return []
    chunks = grounding.get("grounding_chunks") or []
    return [
        _to_citation(support.get("segment") or {}, chunks[index])
        for support in grounding.get("grounding_supports") or ()
        for index in support.get("grounding_chunk_indices") or ()
        if index < len(chunks)
    ]


def _to_citation(segment: Mapping[str, Any], chunk: Mapping[str, Any]) -> dict[str, Any]:
    source: Mapping[str, Any] = next((value for value in chunk.values() if isinstance(value, Mapping)), {})
    citation = {
        "url": source.get("uri") or source.get("source_uri"),
        "title": source.get("title"),
        "start_index": segment.get("start_index", 0),
        "end_index": segment.get("end_index"),
        "cited_text": segment.get("text"),
    }
    return {"type": "citation", **{name: value for name, value in citation.items() if value is not None}}
