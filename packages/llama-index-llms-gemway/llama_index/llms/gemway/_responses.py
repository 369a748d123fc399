"""Turn Gemini answers into LlamaIndex chat responses, whole or chunk by chunk. No network."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    DocumentBlock,
    ImageBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.llms.llm import ToolSelection
from llama_index.llms.gemway._record import RECORD, THOUGHT_SIGNATURE, Record
from pydantic_core import from_json

from gemway import BLOCKED, Accumulator, EmptyResponseError, refuse_blocked
from gemway.types import Blob, FunctionCall, GenerateContentResponse, Part, UsageMetadata

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Expected:
    """What the reader of an answer has to know of the question.

    Attributes:
        tool_names: the names of the tools by the names that went over the wire, where these differ.
        parallel_tool_calls: False keeps the first call only; Gemini itself has no such switch.
        max_tokens: the limit that was sent, for the warning about answers that ran into it.
    """

    tool_names: Mapping[str, str] = field(default_factory=dict)
    parallel_tool_calls: bool = True
    max_tokens: int | None = None


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
    """Makes chat responses of the chunks of an answer; each has the whole message so far and its own objects."""

    def __init__(self, expected: Expected) -> None:
        self._accumulator = Accumulator()
        self._draft = Draft(expected)
        self._ended = False
        self._is_due = True

    def add(self, chunk: GenerateContentResponse) -> list[ChatResponse]:
        """Take the next chunk; return what to yield: nothing as long as there is no content."""
        parts = self._accumulator.add(chunk)
        delta, thoughts = self._draft.add_all(parts)
        self._ended = self._ended or chunk.finish_reason is not None
        if not self._draft.blocks:
            return []
        self._is_due = False
        whole = self._accumulator.response() if self._ended else chunk
        return [_chat_response(self._draft, whole, _raw(whole, self._accumulator.usage), delta, thoughts)]

    def finish(self) -> list[ChatResponse]:
        """Return what the end of the stream brings; raises as `to_chat_response`."""
        delta, thoughts = self._draft.add_all(self._accumulator.finish())
        whole = self._accumulator.response()
        blocks = len(self._draft.blocks)
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
        calls = [_of_openai(call) for call in message.additional_kwargs.get("tool_calls") or ()]
    return [
        ToolSelection(tool_id=call_id or name, tool_name=name, tool_kwargs=_to_kwargs(arguments))
        for call_id, name, arguments in calls
    ]


def _of_openai(call: Any) -> tuple[str | None, str, Any]:
    if isinstance(call, Mapping):
        function = call.get("function") or {"name": call.get("tool_name"), "arguments": call.get("tool_kwargs")}
        return call.get("id") or call.get("tool_call_id"), str(function["name"]), function["arguments"]
    return call.id, call.function.name, call.function.arguments


def _to_kwargs(arguments: Any) -> dict[str, Any]:
    """Return call arguments as a dict; those that are text may still be incomplete."""
    if isinstance(arguments, str):
        try:
            arguments = from_json(arguments, allow_partial="trailing-strings")
        except ValueError:
            return {}
    return arguments if isinstance(arguments, dict) else {}


# The message


class Draft:
    """A message in the making: parts go in, blocks and the record of what blocks cannot hold come out."""

    def __init__(self, expected: Expected) -> None:
        self.blocks: list[Any] = []
        self._expected = expected
        self._entries: list[dict[str, Any]] = []
        self._counts: dict[str, int] = {}
        self._text: int | None = None  # where the open TextBlock is; only media close it, so that content reads on
        self._thought: int | None = None
        self._is_plain = True
        self._calls: list[tuple[dict[str, Any], FunctionCall]] = []

    def add_all(self, parts: list[Part]) -> tuple[str, str]:
        """Take *parts*; return the visible text and the thoughts that they bring."""
        delta = thoughts = ""
        for part in parts:
            self.add(part)
            if part.text and part.thought:
                thoughts += part.text
            elif part.text:
                delta += part.text
        return delta, thoughts

    def add(self, part: Part) -> None:
        """Take one part."""
        if part.model_fields_set == _ONLY_TEXT:
            self._add_text(part.text or "", {})
        elif part.text is not None:
            rest = _rest(part, "text", "thought")
            (self._add_thought if part.thought else self._add_text)(part.text, rest)
        elif part.function_call is not None:
            self._add_call(part, part.function_call)
        elif part.inline_data is not None and not part.thought:
            self._add_media(part, part.inline_data)
        else:
            self._add_other(part)

    def close(self, response: GenerateContentResponse) -> None:
        """Check that *response* may end with what there is, and let no message be without a block."""
        if not _has_content(self.blocks):
            _judge_empty(response, self._expected, {entry["kind"] for entry in self._entries})
            if not self.blocks:
                self._append(TextBlock(text=""))

    def message(self) -> ChatMessage:
        """Return the message so far, as a new object."""
        message = ChatMessage(role=MessageRole.ASSISTANT)
        message.blocks = list(self.blocks)  # by assignment: validation would decode and encode every picture
        if self._calls:
            message.additional_kwargs["tool_calls"] = [
                _openai_call(block) for block in self.blocks if isinstance(block, ToolCallBlock)
            ]
        if not self._is_plain:
            message.additional_kwargs[RECORD] = Record(dict(entry) for entry in self._entries)
        return message

    def _add_text(self, text: str, rest: dict[str, Any]) -> None:
        if not text and not rest:
            return
        self._thought = None
        if self._text is None:
            self._text = len(self.blocks)
            self._append(TextBlock(text=text))
        else:
            self.blocks[self._text] = TextBlock(text=self.blocks[self._text].text + text)
            self._is_plain = self._is_plain and self._text == len(self.blocks) - 1
        last = self._entries[-1] if self._entries else {}
        index = self._counts["text"] - 1
        if not rest and last.get("kind") == "text" and last["index"] == index and "rest" not in last:
            last["length"] += len(text)
        else:
            self._note({"kind": "text", "index": index, "length": len(text)}, rest)

    def _add_thought(self, text: str, rest: dict[str, Any]) -> None:
        signature = rest.pop("thoughtSignature", None)
        information = {THOUGHT_SIGNATURE: signature} if signature else {}
        if self._thought is not None and not rest:
            before = self.blocks[self._thought]
            self.blocks[self._thought] = ThinkingBlock(
                content=before.content + text, additional_information=information
            )
        elif text or signature or rest:
            self._thought = len(self.blocks)
            self._append(ThinkingBlock(content=text, additional_information=information))
            self._note({"kind": "thinking", "index": self._counts["thinking"] - 1}, rest)
        if signature:
            self._thought = None

    def _add_call(self, part: Part, call: FunctionCall) -> None:
        if self._calls and not self._expected.parallel_tool_calls:
            _logger.debug("a second tool call, of %r, is left out: parallel tool calls are not allowed", call.name)
            return
        self._thought = None
        taken = {entry["id"] for entry, _ in self._calls}
        entry: dict[str, Any] = {"kind": "tool_call", "id": call.id}
        if call.id:
            entry["server_id"] = call.id
            self._is_plain = False
        if not call.id or call.id in taken:
            entry["id"] = f"call_{uuid4().hex}"
        name = call.name or ""
        arguments = call.args if isinstance(call.args, (dict, str)) else {}
        self._append(
            ToolCallBlock(
                tool_call_id=entry["id"], tool_name=self._expected.tool_names.get(name, name), tool_kwargs=arguments
            )
        )
        self._calls.append((entry, call))
        self._note(entry, _rest(part, "functionCall"))

    def _add_media(self, part: Part, blob: Blob) -> None:
        block = _media_block((blob.mime_type or "").partition(";")[0], (blob.data or "").encode("ascii", "replace"))
        self._text = self._thought = None
        self._append(block)
        self._note(
            {"kind": block.block_type, "index": self._counts[block.block_type] - 1},
            _rest(part, "inlineData", "thought"),
        )

    def _add_other(self, part: Part) -> None:
        """Keep a part that no block can hold; a result in the model's own turn means that its call is not ours."""
        if part.function_response is not None:
            self._give_back(part.function_response.id, part.function_response.name)
        wire = part.to_dict()
        if wire:
            self._thought = None
            self._is_plain = False
            self._entries.append({"kind": "part", "part": wire})

    def _give_back(self, call_id: str | None, name: str | None) -> None:
        """Take a call that the server answered itself out of the calls."""
        for at, (entry, call) in enumerate(self._calls):
            if call.name == name and (call_id is None or call.id is None or call.id == call_id):
                place = next(place for place, block in enumerate(self.blocks) if _is_call(block, entry["id"]))
                self._remove_block(place)
                wire = {"functionCall": call.to_dict(), **entry.pop("rest", {})}
                entry.clear()
                entry.update(kind="part", part=wire)
                del self._calls[at]
                return

    def _remove_block(self, place: int) -> None:
        del self.blocks[place]
        self._text = None if self._text is None else self._text - (self._text > place)
        self._thought = None

    def _append(self, block: Any) -> None:
        self.blocks.append(block)
        self._counts[block.block_type] = self._counts.get(block.block_type, 0) + 1

    def _note(self, entry: dict[str, Any], rest: dict[str, Any]) -> None:
        if rest:
            entry["rest"] = rest
            self._is_plain = False
        self._entries.append(entry)


_ONLY_TEXT: Final = {"text"}


def _rest(part: Part, *payload: str) -> dict[str, Any]:
    """Return what *part* has beside its payload: signature, metadata, fields of tomorrow."""
    wire = part.to_dict()
    return {name: value for name, value in wire.items() if value is not None and name not in payload}


def _is_call(block: Any, call_id: str) -> bool:
    return isinstance(block, ToolCallBlock) and block.tool_call_id == call_id


def _media_block(mime_type: str, encoded: bytes) -> Any:
    """Return the block for base64 bytes, past the validators, which would decode and encode them."""
    kind, _, extension = mime_type.partition("/")
    if kind == "image":
        return ImageBlock.model_construct(image=encoded, image_mimetype=mime_type)
    if kind == "audio":
        return AudioBlock.model_construct(audio=encoded, format=extension)
    if kind == "video":
        return VideoBlock.model_construct(video=encoded, video_mimetype=mime_type)
    return DocumentBlock.model_construct(data=encoded, document_mimetype=mime_type or None, title="output_document")


def _openai_call(block: ToolCallBlock) -> dict[str, Any]:
    """Return a call as OpenAI writes it: where LlamaIndex looks for calls beside the blocks."""
    arguments = block.tool_kwargs
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": block.tool_call_id, "type": "function", "function": {"name": block.tool_name, "arguments": text}}


# Answers without content


def _has_content(blocks: list[Any]) -> bool:
    return any(not isinstance(block, ThinkingBlock) and getattr(block, "text", " ") for block in blocks)


def _judge_empty(response: GenerateContentResponse, expected: Expected, kinds: set[str]) -> None:
    """Raise or warn about an answer that shows nothing, as its finish reason asks for.

    *kinds* are those of the parts that are not shown: thoughts, or what the server did by itself.
    """
    reason = response.finish_reason
    if response.block_reason or reason in BLOCKED:
        refuse_blocked(response)
    if reason == "MAX_TOKENS":
        usage = response.usage_metadata
        thoughts = (usage.thoughts_token_count if usage else None) or 0
        warnings.warn(
            f"the answer was cut off before its first visible word: {thoughts} tokens went into thoughts, and"
            f" max_tokens is {expected.max_tokens or 'at its default'}; raise max_tokens or lower the thinking budget",
            stacklevel=_user_frame(),
        )
    elif reason == "STOP":
        if not kinds:
            warnings.warn("the model ended its turn without saying anything", stacklevel=_user_frame())
    elif kinds <= {"thinking"}:
        raise _empty(response, reason)


def _empty(response: GenerateContentResponse, reason: str | None) -> EmptyResponseError:
    candidate = response.candidates[0] if response.candidates else None
    words = candidate.finish_message if candidate else None
    what = f"the answer is empty (finish reason {reason})" if candidate else "the answer holds no candidates"
    return EmptyResponseError(f"{what}{f': {words}' if words else ''}", finish_reason=reason, response=response)


def _user_frame() -> int:
    """Return the stacklevel of the first caller outside of LlamaIndex, to whom a warning speaks."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("llama_index"):
        frame, level = frame.f_back, level + 1
    return level


# The response around the message


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
        raw["usage"] = _usage(usage)
    return raw


def _usage(usage: UsageMetadata) -> dict[str, int]:
    """Return usage under OpenAI's names: thoughts are part of the completion, cached tokens part of the prompt."""
    prompt = usage.prompt_token_count or 0
    thoughts = usage.thoughts_token_count or 0
    completion = (usage.candidates_token_count or 0) + thoughts
    tools = usage.tool_use_prompt_token_count or 0
    total = usage.total_token_count
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion + tools if total is None else total,
    }
    extras = {"thoughts_tokens": thoughts, "cached_tokens": usage.cached_content_token_count, "tool_use_tokens": tools}
    counts.update({name: count for name, count in extras.items() if count})
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
