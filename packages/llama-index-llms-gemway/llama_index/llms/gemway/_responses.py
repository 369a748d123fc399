"""Turn Gemini answers into LlamaIndex chat responses, whole or chunk by chunk. No network."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any, Final

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    ImageBlock,
    LogProb,
    ToolCallBlock,
)
from llama_index.core.llms.llm import ToolSelection
from llama_index.llms.gemway._drafts import Draft, Expected
from llama_index.llms.gemway._tools import read_legacy_calls
from pydantic_core import from_json

from gemway import Accumulator, TextChunk
from gemway.types import GenerateContentResponse, UsageMetadata

_logger = logging.getLogger(__name__)


def to_chat_response(response: GenerateContentResponse, expected: Expected) -> ChatResponse:
    """Return the chat response for a whole answer.

    Raises:
        ContentBlockedError: the prompt or the answer was blocked.
        EmptyResponseError: there is nothing in the answer, for no good reason.
    """
    draft = Draft(expected)
    for part in response.parts:
        draft.add(part)
    draft.close(response)
    return _chat_response(draft, response, _raw(response, response.usage_metadata))


class ChatStream:
    """Makes chat responses of the chunks of an answer; each has the whole message so far and its own objects.

    The last response describes the whole answer, all others only their chunk. Which one is the last is known when the
    stream ends: gateways send STOP in every chunk, or content after it. So the whole is described at the first STOP,
    and once more at the end if content followed; doing it for each chunk would take quadratic time.
    """

    def __init__(self, expected: Expected) -> None:
        self._accumulator = Accumulator()
        self._draft = Draft(expected)
        self._ended = False
        self._is_due = True  # whether a response that describes the whole answer is still to come
        self._usage: dict[str, Any] | None = None  # as wire JSON, while text chunks come

    def add(self, chunk: GenerateContentResponse | TextChunk) -> list[ChatResponse]:
        """Take the next chunk; return what to yield: nothing as long as there is no content."""
        if isinstance(chunk, TextChunk):
            return [self._add_text(chunk)]
        self._usage = None
        blocks = len(self._draft.blocks)
        delta, thoughts = self._draft.add_all(self._accumulator.add(chunk))
        is_first_end = chunk.finish_reason is not None and not self._ended
        self._ended = self._ended or is_first_end
        if not self._draft.blocks:
            return []
        is_late = self._ended and not is_first_end
        self._is_due = is_late
        if is_late and not (delta or thoughts or len(self._draft.blocks) > blocks):
            return []  # usage behind the end, say: `finish` tells of it
        described = self._accumulator.response() if is_first_end else chunk
        return [_chat_response(self._draft, described, _raw(described, self._accumulator.usage), delta, thoughts)]

    def _add_text(self, chunk: TextChunk) -> ChatResponse:
        if self._usage is None:
            usage = self._accumulator.usage
            self._usage = usage.to_dict() if usage else {}
        self._accumulator.add_text(chunk)
        self._draft.add_text(chunk.text)
        self._is_due = self._ended
        raw = chunk.wire
        self._usage.update(raw.get("usageMetadata", _NOTHING))
        if self._usage:
            raw["usage"] = _usage(*map(self._usage.get, _COUNTS))
        additional = {**raw.get("usage", _NOTHING)}
        if "modelVersion" in raw:
            additional["model_version"] = raw["modelVersion"]
        if "responseId" in raw:
            additional["response_id"] = raw["responseId"]
        return ChatResponse(message=self._draft.message(), raw=raw, delta=chunk.text, additional_kwargs=additional)

    def finish(self) -> list[ChatResponse]:
        """Return what the end of the stream brings; raises as `to_chat_response`."""
        blocks = len(self._draft.blocks)  # counted first: the end may complete a call, which has no text
        delta, thoughts = self._draft.add_all(self._accumulator.finish())
        whole = self._accumulator.response()
        self._draft.close(whole)
        if not (self._is_due or delta or thoughts or len(self._draft.blocks) > blocks):
            return []
        return [_chat_response(self._draft, whole, _raw(whole, self._accumulator.usage), delta, thoughts)]


def to_completion_response(response: ChatResponse) -> CompletionResponse:
    """Return the completion for a chat response; pictures are in `additional_kwargs["images"]`."""
    additional = dict(response.additional_kwargs)
    if images := [block for block in response.message.blocks if isinstance(block, ImageBlock)]:
        additional["images"] = images
    return CompletionResponse.model_construct(
        text=response.message.content or "",
        additional_kwargs=additional,
        raw=response.raw,
        logprobs=response.logprobs,
        delta=response.delta,
    )


def to_completions(responses: Iterable[ChatResponse]) -> CompletionResponseGen:
    """Yield the completions for chat responses."""
    for response in responses:
        yield to_completion_response(response)


async def to_acompletions(responses: AsyncGenerator[ChatResponse, None]) -> CompletionResponseAsyncGen:
    """Yield the completions for chat responses, and close their source when left early."""
    async with aclosing(responses):
        async for response in responses:
            yield to_completion_response(response)


def to_tool_selections(message: ChatMessage) -> list[ToolSelection]:
    """Return the calls in a message: its blocks, else the `tool_calls` list that other classes leave."""
    calls = [
        (block.tool_call_id, block.tool_name, block.tool_kwargs)
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    if not calls:
        calls = [(*call,) for call in read_legacy_calls(message.additional_kwargs.get("tool_calls"))]
    return [
        ToolSelection(tool_id=call_id or name, tool_name=name, tool_kwargs=_to_kwargs(arguments))
        for call_id, name, arguments in calls
    ]


def _to_kwargs(arguments: Any) -> dict[str, Any]:
    """Return call arguments as a dict; those that are text may still be incomplete."""
    if isinstance(arguments, str):
        try:
            arguments = from_json(arguments, allow_partial="trailing-strings")
        except ValueError:
            return {}
    return arguments if isinstance(arguments, dict) else {}


def _chat_response(
    draft: Draft,
    response: GenerateContentResponse,
    raw: dict[str, Any],
    delta: str | None = None,
    thoughts: str | None = None,
) -> ChatResponse:
    additional: dict[str, Any] = dict(raw.get("usage") or {})
    if thoughts:
        additional["thinking_delta"] = thoughts
    named = (
        ("finish_reason", response.finish_reason),
        ("model_version", response.model_version),
        ("response_id", response.response_id),
        ("request_id", response.request_id),
    )
    additional.update({name: value for name, value in named if value is not None})
    if response.exchange and response.exchange.attempts > 1:
        additional.update(attempts=response.exchange.attempts, waited=response.exchange.waited)
    return ChatResponse(
        message=draft.message(), raw=raw, delta=delta, logprobs=_logprobs(response), additional_kwargs=additional
    )


def _raw(response: GenerateContentResponse, usage: UsageMetadata | None) -> dict[str, Any]:
    """Return the answer as plain JSON in the wire's spelling, with `usage` where LlamaIndex counts tokens."""
    raw = response.to_dict()
    if usage is not None:
        raw["usage"] = _usage(
            usage.prompt_token_count,
            usage.candidates_token_count,
            usage.thoughts_token_count,
            usage.tool_use_prompt_token_count,
            usage.cached_content_token_count,
            usage.total_token_count,
        )
    return raw


_NOTHING: Final[dict[str, Any]] = {}
# What `_usage` takes, as the wire names it.
_COUNTS: Final = (
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
)


def _usage(
    prompt: int | None,
    candidates: int | None,
    thoughts: int | None,
    tools: int | None,
    cached: int | None,
    total: int | None,
) -> dict[str, int]:
    """Return usage under OpenAI's names: thoughts are part of the completion, cached tokens part of the prompt."""
    completion = (candidates or 0) + (thoughts or 0)
    counts = {
        "prompt_tokens": prompt or 0,
        "completion_tokens": completion,
        "total_tokens": (prompt or 0) + completion + (tools or 0) if total is None else total,
    }
    if thoughts:
        counts["thoughts_tokens"] = thoughts
    if cached:
        counts["cached_tokens"] = cached
    if tools:
        counts["tool_use_tokens"] = tools
    return counts


def _logprobs(response: GenerateContentResponse) -> list[list[LogProb]] | None:
    """Return for each position the chosen token and, if they were asked for, its alternatives."""
    result = response.candidates[0].logprobs_result if response.candidates else None
    chosen = getattr(result, "chosen_candidates", None)
    if not chosen:
        return None
    alternatives = [one.candidates or [] for one in getattr(result, "top_candidates", None) or ()]
    alternatives += [[]] * (len(chosen) - len(alternatives))
    return [
        [_logprob(token), *(_logprob(other) for other in others if other.token != token.token)]
        for token, others in zip(chosen, alternatives, strict=False)
    ]


def _logprob(candidate: Any) -> LogProb:
    token = candidate.token or ""
    return LogProb(token=token, logprob=candidate.log_probability or 0.0, bytes=list(token.encode()))
