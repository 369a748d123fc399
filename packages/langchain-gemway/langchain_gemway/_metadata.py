"""What LangChain keeps about an answer: usage and response metadata, as plain JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from gemway.types import Candidate, GenerateContentResponse, ModalityTokenCount, UsageMetadata
from gemway.types import finish_reason_name as reason_name
from langchain_core.messages.ai import UsageMetadata as LangChainUsage
from pydantic import BaseModel

from langchain_gemway._layout import PROVIDER

if TYPE_CHECKING:
    from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails

_CANDIDATE_FIELDS: Final = (
    "finish_message",
    "safety_ratings",
    "citation_metadata",
    "grounding_metadata",
    "url_context_metadata",
    "avg_logprobs",
    "continuation_token",
)


def to_usage(usage: UsageMetadata | None) -> LangChainUsage | None:
    """Return the usage in LangChain's terms: output includes thoughts, input includes what tools put in."""
    if usage is None:
        return None
    prompt = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    answer = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    total = usage.total_token_count
    counted = LangChainUsage(
        input_tokens=prompt, output_tokens=answer, total_tokens=prompt + answer if total is None else total
    )
    read = {"cache_read": usage.cached_content_token_count, "tool_use": usage.tool_use_prompt_token_count}
    if details := _counts(read, usage.prompt_tokens_details):
        counted["input_token_details"] = cast("InputTokenDetails", details)
    if details := _counts({"reasoning": usage.thoughts_token_count}, usage.candidates_tokens_details):
        counted["output_token_details"] = cast("OutputTokenDetails", details)
    return counted


def _counts(named: Mapping[str, int | None], modalities: Iterable[ModalityTokenCount] | None) -> dict[str, int]:
    """Return the counts that are not zero. Text is what remains, so that details never exceed the total."""
    counts = {name: count for name, count in named.items() if count}
    for detail in modalities or ():
        modality = str(detail.modality).lower()
        if detail.token_count and modality not in {"text", "none", "modality_unspecified"}:
            counts[modality] = counts.get(modality, 0) + detail.token_count
    return counts


def to_metadata(
    response: GenerateContentResponse, candidate: Candidate | None, *, model: str, text: str
) -> dict[str, Any]:
    """Return the response metadata of one candidate. *text* is its visible text, for offsets."""
    metadata: dict[str, Any] = {
        "model_name": response.model_version or model,
        "model_provider": PROVIDER,
        "finish_reason": reason_name(candidate.finish_reason) if candidate else None,
    }
    if response.response_id:
        metadata["id"] = response.response_id
    if response.request_id:
        metadata["request_id"] = response.request_id
    if response.exchange and response.exchange.attempts > 1:
        metadata.update(attempts=response.exchange.attempts, waited=response.exchange.waited)
    if response.prompt_feedback:
        metadata["prompt_feedback"] = plain(response.prompt_feedback)
        if response.block_reason:
            metadata["prompt_feedback"]["block_reason"] = response.block_reason
    if response.model_status:
        metadata["model_status"] = plain(response.model_status)
    if candidate:
        metadata.update(_of_candidate(candidate, text))
    return {name: value for name, value in metadata.items() if value is not None}


def _of_candidate(candidate: Candidate, text: str) -> dict[str, Any]:
    found = {name: plain(value) for name in _CANDIDATE_FIELDS if (value := getattr(candidate, name)) is not None}
    if candidate.logprobs_result is not None:
        found["logprobs"] = plain(candidate.logprobs_result)
    if "grounding_metadata" in found and not text.isascii():
        found["grounding_metadata"] = _in_characters(found["grounding_metadata"], text)
    if candidate.__pydantic_extra__:
        found.update({name: plain(value) for name, value in candidate.__pydantic_extra__.items()})
    return found


def plain(value: Any) -> Any:
    """Return wire types as JSON data in snake_case, without nulls."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=False, exclude_none=True)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _in_characters(grounding: Any, text: str) -> Any:
    """Return grounding metadata with offsets in characters: Google counts bytes of the UTF-8 text."""
    if not isinstance(grounding, dict):
        return grounding
    encoded = text.encode("utf-8", "surrogatepass")
    supports = [_support_in_characters(support, encoded) for support in grounding.get("grounding_supports") or ()]
    return {**grounding, **({"grounding_supports": supports} if supports else {})}


def _support_in_characters(support: dict[str, Any], encoded: bytes) -> dict[str, Any]:
    segment = dict(support.get("segment") or {})
    for name in ("start_index", "end_index"):
        if isinstance(segment.get(name), int):
            segment[name] = len(encoded[: segment[name]].decode("utf-8", "ignore"))
    return {**support, "segment": segment}


def citations(grounding: Any) -> list[dict[str, Any]]:
    """Return the citations of grounding metadata whose offsets are in characters, as LangChain's annotations."""
    if not isinstance(grounding, dict):
        return []
    chunks = grounding.get("grounding_chunks") or []
    return [
        _citation(support.get("segment") or {}, chunks[index])
        for support in grounding.get("grounding_supports") or ()
        for index in support.get("grounding_chunk_indices") or ()
        if index < len(chunks)
    ]


def _citation(segment: Mapping[str, Any], chunk: Mapping[str, Any]) -> dict[str, Any]:
    source = next((value for value in chunk.values() if isinstance(value, Mapping)), {})
    citation = {
        "url": source.get("uri") or source.get("source_uri"),
        "title": source.get("title"),
        "start_index": segment.get("start_index", 0),
        "end_index": segment.get("end_index"),
        "cited_text": segment.get("text"),
    }
    return {"type": "citation", **{name: value for name, value in citation.items() if value is not None}}
