"""Turn Gemini answers into LlamaIndex chat responses, whole or chunk by chunk. No network."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias, cast
from uuid import uuid4

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    ContentBlock,
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
from llama_index.llms.gemway._record import THOUGHT_SIGNATURE, Entry, JsonObject, Record, with_record
from llama_index.llms.gemway._tools import WireTools, read_legacy_calls
from pydantic_core import from_json

from gemway import EmptyResponseError
from gemway.adapters import (
    BLOCKED_FINISH_REASONS,
    FINISH_PROBLEMS,
    Accumulator,
    ModelTemplate,
    TextChunk,
    find_answered_call,
    inline_part,
    raise_if_blocked,
    warn,
)
from gemway.types import (
    Blob,
    FunctionCall,
    FunctionResponse,
    GenerateContentResponse,
    LogprobsResultCandidate,
    Part,
)

_logger = logging.getLogger(__name__)

MediaBlock: TypeAlias = ImageBlock | AudioBlock | VideoBlock | DocumentBlock


@dataclass(frozen=True)
class AnswerContext:
    """The parts of a request that are needed to read its answer.

    Attributes:
        tools: the tools that were offered, for the names and argument types of calls.
        parallel_tool_calls: False keeps the first call only; Gemini itself has no such switch.
        max_tokens: the limit that was sent, for the warning about answers that ran into it.
    """

    tools: WireTools | None = None
    parallel_tool_calls: bool = True
    max_tokens: int | None = None


# Whole answers


def to_chat_response(response: GenerateContentResponse, context: AnswerContext) -> ChatResponse:
    """Return the chat response for a whole answer.

    Raises:
        ContentBlockedError: the prompt or the answer was blocked.
        EmptyResponseError: the answer is empty, and its finish reason does not explain why.
    """
    parts = response.parts
    text = parts[0].text if len(parts) == 1 and parts[0].model_fields_set == _ONLY_TEXT else None
    if text and response.finish_reason == "STOP":
        # Nearly every answer is a single text that ended with STOP. It needs no record of its parts, and there is
        # nothing to warn about, so it becomes a message at once.
        message = ChatMessage(role=MessageRole.ASSISTANT, content=text)
    else:
        builder = MessageBuilder(context)
        builder.add_parts(parts)
        builder.check_end(response)
        message = builder.to_message()
    usage = response.usage_metadata
    return _to_chat_response(message, response, usage.to_dict() if usage else None)


def _to_chat_response(
    message: ChatMessage,
    response: GenerateContentResponse,
    counts: JsonObject | None,
    delta: str | None = None,
    thoughts: str | None = None,
) -> ChatResponse:
    """Return *message* together with the other contents of *response*: the raw answer, usage and the text that is new.

    `raw` is the answer as plain JSON in the wire's spelling. LlamaIndex's token counters look for OpenAI's names in
    `raw["usage"]` and in `additional_kwargs`, so usage is in both.
    """
    raw = response.to_dict()
    additional: JsonObject = {}
    # Two dicts of usage, so that a handler that changes one of them does not change the other.
    if counts:
        raw["usage"] = additional = _openai_usage(counts)
        additional = additional.copy()
    if thoughts:
        additional["thinking_delta"] = thoughts
    facts = (
        ("finish_reason", response.finish_reason),
        ("model_version", response.model_version),
        ("response_id", response.response_id),
        ("request_id", response.request_id),
    )
    additional.update({name: value for name, value in facts if value is not None})
    if response.exchange:
        additional.update(response.exchange.to_metadata())
    has_logprobs = response.candidates and response.candidates[0].logprobs_result
    logprobs = _to_logprobs(response) if has_logprobs else None
    return ChatResponse(message=message, raw=raw, delta=delta, logprobs=logprobs, additional_kwargs=additional)


def _openai_usage(counts: JsonObject) -> dict[str, int]:
    """Return the wire's usage under OpenAI's names: thoughts are part of the completion, cached tokens of the prompt."""
    prompt = counts.get("promptTokenCount") or 0
    completion = counts.get("candidatesTokenCount") or 0
    total = counts.get("totalTokenCount")
    thoughts = counts.get("thoughtsTokenCount")
    tools = counts.get("toolUsePromptTokenCount")
    cached = counts.get("cachedContentTokenCount")
    if thoughts:
        completion += thoughts
    # Google's totalTokenCount includes thoughts and the prompts of server-side tools; some gateways leave it out.
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion + (tools or 0) if total is None else total,
    }
    if thoughts:
        usage["thoughts_tokens"] = thoughts
    if cached:
        usage["cached_tokens"] = cached
    if tools:
        usage["tool_use_tokens"] = tools
    return usage


def _to_logprobs(response: GenerateContentResponse) -> list[list[LogProb]] | None:
    """Return for each position the chosen token and, if they were asked for, its alternatives."""
    result = response.candidates[0].logprobs_result if response.candidates else None
    tokens = getattr(result, "chosen_candidates", None)
    if not tokens:
        return None
    alternatives = [position.candidates or [] for position in getattr(result, "top_candidates", None) or ()]
    # Without `top_logprobs`, and behind the last position that has alternatives, there are only the chosen tokens.
    alternatives += [[]] * (len(tokens) - len(alternatives))
    return [
        [_to_logprob(token), *(_to_logprob(other) for other in others if other.token != token.token)]
        for token, others in zip(tokens, alternatives, strict=False)
    ]


def _to_logprob(candidate: LogprobsResultCandidate) -> LogProb:
    token = candidate.token or ""
    return LogProb(token=token, logprob=candidate.log_probability or 0.0, bytes=list(token.encode()))


# Streams


class ChatResponseStream:
    """Turns the chunks of an answer into chat responses. Each has the whole message so far, and its own objects.

    The last response describes the whole answer, all others only their chunk. Which one is the last is known when the
    stream ends: gateways send STOP in every chunk, or content after it. So the whole is described at the first STOP,
    and once more at the end if content followed; doing it for each chunk would take quadratic time.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._builder = MessageBuilder(context)
        self._accumulator = Accumulator()
        self._counts: JsonObject = {}  # the usage so far, in the wire's spelling
        self._has_ended = False
        self._is_summed_up = False  # whether the last response described the whole answer
        # Text chunks that follow each other reach the accumulator as one: it takes 2 us for each to find the text that
        # it continues, and only the whole answer needs that.
        self._waiting_texts: list[str] = []
        self._waiting_wire: JsonObject = {}

    def add_text(self, chunk: TextChunk) -> ChatResponse:
        """Return the response for a chunk that only adds text. Nearly all chunks do, so this runs once per token."""
        raw, counts = chunk.wire, self._counts
        self._waiting_texts.append(chunk.text)
        self._waiting_wire.update(raw)
        self._is_summed_up = False
        if "usageMetadata" in raw:
            counts.update(raw["usageMetadata"])
        additional: JsonObject = {}
        if counts:
            raw["usage"] = additional = _openai_usage(counts)
            additional = additional.copy()
        if "modelVersion" in raw:
            additional["model_version"] = raw["modelVersion"]
        if "responseId" in raw:
            additional["response_id"] = raw["responseId"]
        self._builder.add_text(chunk.text, {})
        message = self._builder.to_message()
        return _CHAT_RESPONSE.copy(message=message, raw=raw, delta=chunk.text, additional_kwargs=additional)

    def add(self, chunk: GenerateContentResponse) -> ChatResponse | None:
        """Return the response for any other chunk, None as long as there is no content."""
        self._fold_waiting_texts()
        blocks = self._builder.blocks
        block_count = len(blocks)
        delta, thoughts = self._builder.add_parts(self._accumulator.add(chunk))
        usage = self._accumulator.usage
        self._counts = usage.to_dict() if usage else {}
        is_late = self._has_ended
        self._has_ended = is_late or chunk.finish_reason is not None
        if not blocks:
            return None
        self._is_summed_up = self._has_ended and not is_late
        if is_late and not (delta or thoughts or len(blocks) > block_count):
            return None  # usage after the end, for example: `finish` reports it
        described = self._accumulator.response() if self._is_summed_up else chunk
        return _to_chat_response(self._builder.to_message(), described, self._counts, delta, thoughts)

    def finish(self) -> ChatResponse | None:
        """Return the response that the end of the stream brings, if any. Raises the errors of `to_chat_response`."""
        self._fold_waiting_texts()
        blocks = self._builder.blocks
        block_count = len(blocks)
        delta, thoughts = self._builder.add_parts(self._accumulator.finish())  # the end may complete a call
        whole = self._accumulator.response()
        self._builder.check_end(whole)
        if self._is_summed_up and not (delta or thoughts or len(blocks) > block_count):
            return None
        return _to_chat_response(self._builder.to_message(), whole, self._counts, delta, thoughts)

    def _fold_waiting_texts(self) -> None:
        """Hand the text chunks that came since the last other chunk to the accumulator, as a single one."""
        # Their metadata as well: a later value wins, so the merged chunk has the same effect as all of them in turn.
        if self._waiting_texts:
            wire = {**self._waiting_wire, "usageMetadata": self._counts} if self._counts else self._waiting_wire
            self._accumulator.add_text(TextChunk("".join(self._waiting_texts), wire))
            self._waiting_texts, self._waiting_wire = [], {}


# LlamaIndex's constructors would validate objects that were built here a moment ago, and both are made for every chunk.
# A copy of a template takes a third of the time.
_CHAT_MESSAGE: Final = ModelTemplate(ChatMessage(role=MessageRole.ASSISTANT, additional_kwargs={}, blocks=[]))
_CHAT_RESPONSE: Final = ModelTemplate(
    ChatResponse(message=ChatMessage(), raw=None, delta="", logprobs=None, additional_kwargs={})
)


# Completions and tool calls


def to_completion_response(response: ChatResponse) -> CompletionResponse:
    """Return the completion for a chat response; pictures are in `additional_kwargs["images"]`."""
    additional = dict(response.additional_kwargs)
    if images := [block for block in response.message.blocks if isinstance(block, ImageBlock)]:
        additional["images"] = images
    # Without validation, which would copy the raw answer and each picture in it.
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
    """Yield the completions for chat responses. If the consumer leaves early, their source is closed."""
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
    # Histories that other classes wrote have no blocks for calls, and neither do old chat stores.
    if not calls:
        calls = [(*call,) for call in read_legacy_calls(message.additional_kwargs.get("tool_calls"))]
    return [
        ToolSelection(tool_id=call_id or name, tool_name=name, tool_kwargs=_to_tool_kwargs(arguments))
        for call_id, name, arguments in calls
    ]


def _to_tool_kwargs(arguments: object) -> JsonObject:
    """Return call arguments as a dict. JSON text may still be incomplete, in the middle of a stream."""
    if isinstance(arguments, str):
        try:
            arguments = from_json(arguments, allow_partial="trailing-strings")
        except ValueError:
            return {}
    return arguments if isinstance(arguments, dict) else {}


# From parts to blocks


class MessageBuilder:
    """Builds a ChatMessage from Gemini's parts, together with the record of everything that its blocks cannot hold.

    Attributes:
        blocks: the blocks so far. They are replaced, never changed, because earlier messages of a stream hold them too;
            the same is true of the record's entries.
    """

    def __init__(self, context: AnswerContext) -> None:
        self.blocks: list[ContentBlock] = []
        self._context = context
        self._entries: list[Entry] = []
        self._needs_record = False
        self._ends_in_plain_text = False  # whether more text only makes the last entry longer
        self._block_counts: dict[str, int] = {}
        self._text_index: int | None = None  # of the open TextBlock; only media close it, so that content reads on
        self._text = ""  # of that block
        self._thought_index: int | None = None
        self._calls: list[tuple[str, FunctionCall]] = []  # with the ids of their blocks

    def add_parts(self, parts: Iterable[Part]) -> tuple[str, str]:
        """Add *parts*; return the visible text and the thoughts in them."""
        delta = thoughts = ""
        for part in parts:
            text = part.text or ""
            if part.model_fields_set == _ONLY_TEXT:
                self.add_text(text, {})
                delta += text
            elif part.text is not None or part.model_fields_set <= _ONLY_SIGNATURE:
                # Relays of Claude sign a thought with a part of its own, which has no text (CLIProxyAPI).
                rest = _members_besides(part, "text", "thought")
                if part.thought:
                    self._add_thought(text, rest)
                    thoughts += text
                else:
                    self.add_text(text, rest)
                    delta += text
            elif part.function_call is not None:
                self._add_call(part, part.function_call)
            elif part.inline_data is not None and not part.thought and (block := _to_media_block(part.inline_data)):
                self._text_index = self._thought_index = None
                self._append_block(block, {}, _members_besides(part, "inlineData", "thought"))
            else:
                self._add_unshown_part(part)
        return delta, thoughts

    def add_text(self, text: str, rest: JsonObject) -> None:
        """Add visible text. Its part has the members *rest* in addition, such as a signature."""
        if not text and not rest:
            return
        self._thought_index = None
        if self._text_index is None:
            self._text_index, self._text = len(self.blocks), text
            self._append_block(TextBlock(text=text), {"length": len(text)}, rest)
            return
        self._text += text
        self.blocks[self._text_index] = TextBlock(text=self._text)
        # A text that goes on behind another block is joined to its beginning; only the record knows the order.
        if self._text_index < len(self.blocks) - 1:
            self._needs_record = True
        if rest or not self._ends_in_plain_text:
            self._append_entry({"kind": "text", "index": self._block_counts["text"] - 1, "length": len(text)}, rest)
        else:
            last = self._entries[-1]
            self._entries[-1] = {**last, "length": last["length"] + len(text)}

    def check_end(self, response: GenerateContentResponse) -> None:
        """Check that *response* may end with these blocks, and make sure that the message has at least one.

        Raises:
            ContentBlockedError, EmptyResponseError: nothing is shown, and that is an error.
        """
        if self._needs_record and not self._block_counts.get("image"):
            self._show_last_draft_picture()
        if any(not isinstance(block, ThinkingBlock) and getattr(block, "text", " ") for block in self.blocks):
            if advice := FINISH_PROBLEMS.get(str(response.finish_reason)):
                # There is content, yet something went wrong, such as a call of a tool that does not exist.
                warn(f"the answer ended with {response.finish_reason}: {advice}")
            return
        _raise_or_warn_if_empty(response, self._context.max_tokens, {entry["kind"] for entry in self._entries})
        if not self.blocks:
            self.blocks.append(TextBlock(text=""))

    def to_message(self) -> ChatMessage:
        """Return the message so far, as a new object."""
        blocks = with_record(self.blocks, Record(self._entries)) if self._needs_record else [*self.blocks]
        additional: JsonObject = {}
        if self._calls:
            calls = (block for block in self.blocks if isinstance(block, ToolCallBlock))
            additional["tool_calls"] = [_to_openai_call(call) for call in calls]
        # Not by the constructor: its validation would decode and encode every picture.
        return _CHAT_MESSAGE.copy(additional_kwargs=additional, blocks=blocks)

    def _add_thought(self, text: str, rest: JsonObject) -> None:
        signature = rest.pop("thoughtSignature", None)
        information = {THOUGHT_SIGNATURE: signature} if signature else {}
        # Thoughts are streamed in pieces, which are one thought until a signature ends it.
        if self._thought_index is not None and not rest:
            before = cast(ThinkingBlock, self.blocks[self._thought_index])
            self.blocks[self._thought_index] = ThinkingBlock(
                content=(before.content or "") + text, additional_information=information
            )
        elif text or signature or rest:
            self._thought_index = len(self.blocks)
            self._append_block(ThinkingBlock(content=text, additional_information=information), {}, rest)
        if signature:
            self._thought_index = None

    def _add_call(self, part: Part, call: FunctionCall) -> None:
        context = self._context
        if self._calls and not context.parallel_tool_calls:
            _logger.debug("a second tool call, of %r, is left out: parallel tool calls are not allowed", call.name)
            return
        self._thought_index = None
        call_id = call.id
        # LlamaIndex pairs calls and results by their ids. An id may be missing (Gemini 2.5 sends none) or come twice.
        if not call_id or any(call_id == taken for taken, _ in self._calls):
            call_id = f"call_{uuid4().hex}"
        name, arguments = call.name or "", call.args if isinstance(call.args, (dict, str)) else {}
        # The tool gets the name that it has here, and arguments of the types that it declares.
        if context.tools is not None and isinstance(arguments, dict):
            name, arguments = context.tools.restored(name, arguments)
        self.blocks.append(ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=arguments))
        self._calls.append((call_id, call))
        entry: Entry = {"kind": "tool_call", "id": call_id}
        if call.id:
            entry["server_id"] = call.id
            self._needs_record = True
        self._append_entry(entry, _members_besides(part, "functionCall"))

    def _add_unshown_part(self, part: Part) -> None:
        """Keep a part that no block can hold, in the record alone.

        A function response in the model's own turn means that the server answered its call, so the call is not ours.
        """
        if part.function_response is not None:
            self._drop_answered_call(part.function_response)
        if wire := part.to_dict():
            self._thought_index = None
            self._needs_record = True
            self._append_entry({"kind": "part", "part": wire}, {})

    def _drop_answered_call(self, response: FunctionResponse) -> None:
        """Turn a call that the server answered itself from a block into a part of the record."""
        # Such calls reach us like calls of the user's tools, and an agent would look for a tool that it does not have.
        position = find_answered_call(response.name, response.id, [(call.name, call.id) for _, call in self._calls])
        if position is None:
            return
        call_id, call = self._calls.pop(position)
        at = next(at for at, block in enumerate(self.blocks) if getattr(block, "tool_call_id", None) == call_id)
        del self.blocks[at]
        if self._text_index is not None and self._text_index > at:
            self._text_index -= 1
        self._thought_index = None
        place = next(place for place, entry in enumerate(self._entries) if entry.get("id") == call_id)
        wire = {"functionCall": call.to_dict(), **self._entries[place].get("rest", {})}
        self._entries[place] = {"kind": "part", "part": wire}

    def _show_last_draft_picture(self) -> None:
        """Show the last picture that is marked as a thought: some answers mark all of theirs that way."""
        for place in range(len(self._entries) - 1, -1, -1):
            wire = self._entries[place].get("part") or {}
            block = _to_media_block(Blob.model_validate(wire["inlineData"])) if "inlineData" in wire else None
            if isinstance(block, ImageBlock):
                self.blocks.append(block)
                rest = {name: value for name, value in wire.items() if name != "inlineData"}
                self._entries[place] = {"kind": "image", "index": 0, "rest": rest}
                return

    def _append_block(self, block: TextBlock | ThinkingBlock | MediaBlock, entry: Entry, rest: JsonObject) -> None:
        """Add *block*, and to the record its *entry*, which gets the block's kind and its number among that kind."""
        kind = block.block_type
        index = self._block_counts.get(kind, 0)
        self._block_counts[kind] = index + 1
        self.blocks.append(block)
        self._append_entry({"kind": kind, "index": index, **entry}, rest)

    def _append_entry(self, entry: Entry, rest: JsonObject) -> None:
        if rest:
            entry["rest"] = rest
            self._needs_record = True
        self._ends_in_plain_text = "length" in entry and not rest
        self._entries.append(entry)


_ONLY_TEXT: Final = {"text"}
_ONLY_SIGNATURE: Final = {"thought", "thought_signature"}


def _members_besides(part: Part, *payload: str) -> JsonObject:
    """Return the members of *part* other than its payload: signature, metadata, members that Google adds later."""
    return {name: value for name, value in part.to_dict().items() if value is not None and name not in payload}


def _to_media_block(blob: Blob) -> MediaBlock | None:
    """Return the block for media, or None if their type or their base64 text cannot be read.

    LlamaIndex's validators would decode and encode every picture, so the blocks are made without them. Then the text
    must be standard base64 already: LlamaIndex encodes whatever it does not recognize as base64 once more.
    """
    try:
        inline = inline_part(blob.data or "", blob.mime_type)["inlineData"]
    except ValueError:
        return None
    mime_type, encoded = inline["mimeType"], inline["data"].encode("ascii", "replace")
    essence = mime_type.partition(";")[0]
    kind, _, subtype = essence.partition("/")
    if kind == "image":
        return ImageBlock.model_construct(image=encoded, image_mimetype=essence)
    if kind == "audio":
        # Only the parameters tell the sample rate of raw audio, as in audio/L16;codec=pcm;rate=24000.
        return AudioBlock.model_construct(audio=encoded, format=subtype if essence == mime_type else mime_type)
    if kind == "video":
        return VideoBlock.model_construct(video=encoded, video_mimetype=mime_type)
    return DocumentBlock.model_construct(data=encoded, document_mimetype=mime_type, title="output_document")


def _to_openai_call(block: ToolCallBlock) -> JsonObject:
    """Return a call as OpenAI writes it, which is where LlamaIndex looks for calls besides the blocks."""
    arguments = block.tool_kwargs
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": block.tool_call_id, "type": "function", "function": {"name": block.tool_name, "arguments": text}}


# Answers without content


def _raise_or_warn_if_empty(response: GenerateContentResponse, max_tokens: int | None, hidden_kinds: set[str]) -> None:
    """Raise or warn about an answer without visible content, depending on its finish reason.

    After MAX_TOKENS the hidden parts are kept, with a warning. STOP is how an agent ends its turn after a tool call, so
    there is only a warning, and not even that if the server ran tools of its own. Every other reason is an error.

    Args:
        hidden_kinds: the kinds of the parts that are not shown: thoughts, and calls and results of the server's tools.
    """
    reason = response.finish_reason
    if response.block_reason or reason in BLOCKED_FINISH_REASONS:
        raise_if_blocked(response)
    if reason == "MAX_TOKENS":
        usage = response.usage_metadata
        thoughts = (usage.thoughts_token_count if usage else None) or 0
        warn(
            f"the answer was cut off before its first visible word: {thoughts} tokens went into thoughts, and"
            f" max_tokens is {max_tokens or 'at its default'}; raise max_tokens or lower the thinking budget"
        )
    elif reason == "STOP":
        if not hidden_kinds:
            warn("the model ended its turn without saying anything")
    elif hidden_kinds <= {"thinking"}:
        raise _empty_response_error(response, reason)


def _empty_response_error(response: GenerateContentResponse, reason: str | None) -> EmptyResponseError:
    candidate = response.candidates[0] if response.candidates else None
    problem = f"the answer is empty (finish reason {reason})" if candidate else "the answer holds no candidates"
    explanations = (candidate.finish_message if candidate else None, FINISH_PROBLEMS.get(str(reason)))
    details = "".join(f": {text}" for text in explanations if text)
    return EmptyResponseError(f"{problem}{details}", finish_reason=reason, response=response)
