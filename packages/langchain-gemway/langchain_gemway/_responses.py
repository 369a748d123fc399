"""Answers of the gateway as LangChain's messages. Pure.

The shape of the content: a string as long as the visible answer is only text; a list of blocks where there are
pictures, other media, or thoughts that were asked for; with `output_version="v1"` always standard blocks.
One message, and one stream, keeps to one shape.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from gemway import BLOCKED, FINISH_PROBLEMS, Accumulator, EmptyResponseError, capabilities
from gemway.types import Candidate, GenerateContentResponse, Part, UsageMetadata
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_gemway._blocks import ONLY_V1, Block, BlockReader, joined, new_call_id, to_v0
from langchain_gemway._layout import CALLS, REASONING, kept
from langchain_gemway._metadata import citations, to_metadata, to_usage
from langchain_gemway._tools import BoundTools

Shape = Literal["text", "v0", "v1"]
Content: TypeAlias = Any
"""A string or a list of blocks; LangChain's own type for it does not take lists of dicts with string keys."""

_SEARCHES: Final = frozenset(
    {"googleSearch", "googleSearchRetrieval", "googleMaps", "enterpriseWebSearch", "fileSearch", "urlContext"}
)
ONLY_TEXT: Final = {"text"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How an answer is to be read.

    Attributes:
        model: the model that was asked.
        v1: whether content is to be standard blocks.
        thoughts: whether thoughts were asked for.
        lists: whether the answer may hold more than text, so that a stream begins with a list.
        searches: whether the answer may cite what the server looked up.
        tools: the tools that were offered, for the names and types of calls.
        max_tokens: the limit that was set, for warnings.
    """

    model: str
    v1: bool = False
    thoughts: bool = False
    lists: bool = False
    searches: bool = False
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
        # Some gateways search for models of such a name without a tool (`gemini-2.5-flash-search`).
        searches="search" in model or any(not _SEARCHES.isdisjoint(tool) for tool in body.get("tools") or ()),
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
    if len(parts) == 1 and parts[0].model_fields_set == ONLY_TEXT and not reading.v1:
        text = parts[0].text
        metadata = to_metadata(response, candidate, model=reading.model, text=text or "")
        if text and metadata.get("finish_reason") == "STOP" and "prompt_feedback" not in metadata:
            # Nearly every answer. Blocks and layout, which the rest needs, would come to the same.
            return AIMessage(
                content=text, additional_kwargs={}, response_metadata=metadata, tool_calls=[], invalid_tool_calls=[]
            )
    blocks = _read(parts, reading)
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    metadata = to_metadata(response, candidate, model=reading.model, text=text)
    ending = ending_of(metadata, response.usage_metadata, reading, is_empty=not blocks)
    blocks += ending
    shape = shape_of(blocks, metadata, reading)
    extra = kept(blocks, shape)
    if shape == "v1":
        metadata["output_version"] = "v1"
        annotate(blocks, metadata)
    if shape == "text" and REASONING in extra:
        del metadata["model_provider"]  # LangChain then finds the thoughts; its Gemini translator would not look
    return AIMessage(
        content=content_of(blocks, shape),
        additional_kwargs=extra,
        response_metadata=metadata,
        tool_calls=[_bare(block) for block in blocks if block["type"] == "tool_call"],
        invalid_tool_calls=[invalid_call(block) for block in blocks if block["type"] == "invalid_tool_call"],
    )


def _read(parts: list[Part], reading: Reading) -> list[Block]:
    if len(parts) == 1 and parts[0].model_fields_set == ONLY_TEXT:
        return [{"type": "text", "text": parts[0].text}] if parts[0].text else []
    whole = [part for part in parts if part.function_call is None or not part.function_call.partial_args]
    reader = BlockReader(reading.tools)
    blocks = joined([*reader.read(whole if len(whole) == len(parts) else _assembled(parts)), *reader.end()])
    for block in blocks:
        del block["index"]
    return blocks


def _assembled(parts: list[Part]) -> list[Part]:
    """Return parts with calls whose arguments came in pieces made whole."""
    accumulator = Accumulator()
    candidate = Candidate.model_validate({"content": {"parts": parts}})
    return [*accumulator.add(GenerateContentResponse.model_construct(candidates=[candidate])), *accumulator.finish()]


def shape_of(blocks: Iterable[Block], metadata: Mapping[str, Any], reading: Reading) -> Shape:
    if reading.v1:
        return "v1"
    kinds = [block["type"] for block in blocks]
    only_text = CALLS | ({"text"} if reading.thoughts else {"text", "reasoning"})
    if only_text.issuperset(kinds):
        return "text"
    if not ONLY_V1.isdisjoint(kinds) or ("grounding_metadata" in metadata and kinds.count("text") > 1):
        return "v1"
    return "v0"


def content_of(blocks: list[Block], shape: Shape) -> Content:
    if shape == "text":
        return "".join(block["text"] for block in blocks if block["type"] == "text")
    if shape == "v1":
        return blocks
    return [to_v0(block) for block in blocks if block["type"] not in CALLS]


def _bare(call: Block) -> dict[str, Any]:
    return {"name": call["name"], "args": call["args"], "id": call["id"], "type": "tool_call"}


def invalid_call(call: Block) -> Any:
    return {name: call[name] for name in ("type", "name", "args", "id", "error")}


def annotate(blocks: list[Block], metadata: Mapping[str, Any]) -> None:
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


def ending_of(
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
    if finish not in _USUAL or is_empty:
        _warn_about_ending(finish, metadata.get("finish_message"), usage, reading, is_empty=is_empty)
    return []


_USUAL: Final = frozenset({None, "STOP", "MAX_TOKENS", "CONTINUATION"})


def _warn_about_ending(
    finish: str | None, words: str | None, usage: UsageMetadata | None, reading: Reading, *, is_empty: bool
) -> None:
    """Warn about an answer with nothing in it, or one that ended early: agents take either for the last word."""
    if advice := FINISH_PROBLEMS.get(str(finish)):
        warning = f"{reading.model} ended with {finish}: {advice}"
    elif is_empty and finish == "MAX_TOKENS":
        thoughts = (usage.thoughts_token_count if usage else None) or 0
        limit = f"max_tokens={reading.max_tokens}" if reading.max_tokens else "max_tokens"
        warning = (
            f"{reading.model} reached its limit before the first word: thinking took {thoughts} tokens, and {limit}"
            " counts them too; raise it"
        )
    elif is_empty:
        warning = f"{reading.model} answered with nothing (finish reason {finish})"
    else:
        warning = f"{reading.model} ended its answer early (finish reason {finish})"
    warnings.warn(f"{warning}: {words}" if words else warning, stacklevel=2)
