"""Turn LangChain messages into Gemini contents. Pure: no network, no files, no clock.

Each message becomes at most one content; the core's `arrange` then puts them in the order that Gemini accepts. Parts
that belong to a call carry the framework's id as `call_id`, for pairing only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from gemway import UnsupportedContentError, capabilities
from gemway.adapters import arrange, from_store, sanitize_tool_name, split_result_media
from langchain_core.messages import AIMessage, BaseMessage

from langchain_gemway._blocks import (
    CALL_SIGNATURES,
    PARTS,
    REASONING,
    SERVER_IDS,
    came_from_google,
    layout_from_store,
)
from langchain_gemway._content import (
    GEMINI,
    OTHER_PROVIDER,
    UNKNOWN_MODEL,
    USER,
    Block,
    Json,
    Part,
    describe_as_json,
    signature_of,
    to_parts,
)

Content = dict[str, Any]
LateSystem = Literal["merge", "inline", "error"]


def to_contents(
    messages: Sequence[BaseMessage], *, model: str, late_system: LateSystem = "merge", arranged: bool = True
) -> tuple[list[Content], list[Part]]:
    """Return contents in the order that Gemini accepts, and the parts of the system instruction.

    System messages count as system instruction wherever they stand. With *late_system*, those after the
    first other message can stay in their place as the user's words, or be an error. A conversation of system
    messages alone is sent as the user's.

    With *arranged* False you get one content for each message as it is, even for an empty conversation.

    Raises:
        UnsupportedContentError: for a message that cannot be sent, and for a conversation without content.
    """
    contents: list[Content] = []
    system: list[Part] = []
    kind = ""
    try:
        for message in messages:
            kind, content = message.type, message.content
            if kind == "human" and isinstance(content, str):
                contents.append({"role": "user", "parts": [{"text": content}]})
            elif kind == "system" or (kind == "chat" and getattr(message, "role", "") in {"system", "developer"}):
                _add_system_message(message, contents, system, late_system)
            elif convert := _CONVERTERS.get(kind):
                contents.append(convert(message, model))
            else:
                supported = ", ".join(sorted(_CONVERTERS))
                raise UnsupportedContentError(f"cannot send a message of type {kind!r}; known: {supported}, system")
        if not arranged:
            return contents, system
        kind = ""
        # Google refuses a request without contents, and some models take no system instruction.
        if system and (not contents or not capabilities(model).system_instruction):
            contents, system = [{"role": "user", "parts": system}, *contents], []
        contents = arrange(contents, model=model)
    except UnsupportedContentError:
        raise
    except _UNREADABLE as error:
        # Users may pass parts of the wire as they are, and some faults in them show only when all is put in order.
        subject = f"{kind} message" if kind else "conversation"
        raise UnsupportedContentError(
            f"cannot send this {subject}: its content has an unexpected shape ({type(error).__name__}: {error})"
        ) from error
    if not contents:
        raise UnsupportedContentError("the conversation is empty; pass at least one message with content")
    return contents, system


# Blocks of an unexpected shape cause these. UnsupportedContentError is a ValueError.
_UNREADABLE: Final = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


def _add_system_message(
    message: BaseMessage, contents: list[Content], system: list[Part], late_system: LateSystem
) -> None:
    parts = [part for part in to_parts(message.content, USER) if part.get("text") != ""]
    if contents and late_system == "error":
        raise UnsupportedContentError('a system message follows other messages (late_system="error"); put it first')
    if contents and late_system == "inline":
        contents.append({"role": "user", "parts": parts})
        return
    # The system instruction is text (ai.google.dev, GenerateContentRequest). A picture in it is shown by the user.
    system += [part for part in parts if "text" in part]
    contents += [{"role": "user", "parts": [part]} for part in parts if "text" not in part]


# The user's messages


def _user_content(message: BaseMessage, model: str) -> Content:
    content = message.content
    if isinstance(content, str):
        return {"role": "user", "parts": [{"text": content}]}
    parts: list[Part] = []
    for block in content:
        if isinstance(block, Mapping) and (block.get("type") in _RESULT_BLOCKS or "toolResult" in block):
            parts += _parts_of_result_block(block, model)
        else:
            parts += to_parts(block, USER)
    return {"role": "user", "parts": parts}


# Anthropic and OpenAI put tool results into the user's messages.
_RESULT_BLOCKS: Final = frozenset({"tool_result", "function_call_output"})


def _chat_content(message: BaseMessage, model: str) -> Content:
    role = getattr(message, "role", "user").lower()
    if role in {"assistant", "ai", "model"}:
        return {"role": "model", "parts": to_parts(message.content, UNKNOWN_MODEL)}
    return _user_content(message, model)


# Results of tools


def _tool_content(message: BaseMessage, model: str) -> Content:
    # A FunctionMessage, from the time before tools had ids, has neither of the two attributes.
    failed = getattr(message, "status", "success") == "error"
    call_id = getattr(message, "tool_call_id", None)
    return {"role": "user", "parts": _result_parts(message.content, message.name, call_id, model, failed=failed)}


def _parts_of_result_block(block: Block, model: str) -> list[Part]:
    """Read a tool result that Anthropic, OpenAI or Bedrock put into a user message."""
    result = block.get("toolResult", block)
    call_id = result.get("tool_use_id") or result.get("call_id") or result.get("toolUseId")
    content = result.get("content", result.get("output", ""))
    # Anthropic marks a failure with `is_error`, Bedrock with a status; OpenAI has no mark.
    failed = bool(result.get("is_error")) or result.get("status") == "error"
    return _result_parts(content, result.get("name"), call_id, model, failed=failed)


def _result_parts(content: Json, name: str | None, call_id: str | None, model: str, *, failed: bool) -> list[Part]:
    """Return the functionResponse of a result, followed by the media that cannot be inside it."""
    text, media = (content, []) if isinstance(content, str) else _split_result(content)
    # Gemini wants an object. By its convention `error` marks a failure and `output` a plain result
    # (ai.google.dev, FunctionResponse.response).
    response: Content = {"response": {"error": text} if failed else _as_response_object(text)}
    if name:
        response["name"] = sanitize_tool_name(name)
    pairing = {"call_id": call_id} if call_id else {}
    parts: list[Part] = [{"functionResponse": response, **pairing}]
    if media:
        inside, following = split_result_media(media, model=model)
        if inside:
            response["parts"] = inside
        parts += [{**part, **pairing} for part in following]
    return parts


def _split_result(content: Json) -> tuple[str, list[Part]]:
    """Return the text of a result and its media."""
    texts: list[str] = []
    media: list[Part] = []
    for block in content if isinstance(content, list | tuple) else [content]:
        for part in _parts_in_result(block):
            if isinstance(text := part.get("text"), str):
                texts.append(text)
            else:
                media.append(part)
    return "\n".join(texts), media


def _parts_in_result(block: Json) -> list[Part]:
    """Return the parts for one block of a tool's result, as JSON text if Gemini has no part for it.

    An error here would come again with every later turn, since the result is in the conversation for good.
    """
    if isinstance(block, Mapping) and (block.get("type") == "json" or "json" in block):
        return [{"text": describe_as_json(block.get("json", block))}]
    try:
        parts = [part for part in to_parts(block, USER) if part]
    except _UNREADABLE:
        return [{"text": describe_as_json(block)}]
    is_data = isinstance(block, Mapping) and "type" not in block and "cachePoint" not in block
    return parts or ([{"text": describe_as_json(block)}] if is_data and block else [])


def _as_response_object(text: str) -> dict[str, Json]:
    """Return a result as the object that Gemini wants: a JSON object as itself, all else as the exact string."""
    if text.startswith("{") and text.rstrip().endswith("}"):
        try:
            value = _EXACT_JSON.decode(text)
        except (ValueError, RecursionError):
            return {"output": text}
        if isinstance(value, dict):
            return value
    return {"output": text}


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _exact_float(digits: str) -> float:
    """Return the number, or refuse if a float would change it: prices and ids must arrive as the tool wrote them."""
    number = float(digits)
    if Decimal(repr(number)) != Decimal(digits):
        raise ValueError(f"{digits} does not fit into a float")
    return number


_EXACT_JSON: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_exact_float)


# The model's messages


def _model_content(message: BaseMessage, model: str) -> Content:
    content, calls = message.content, getattr(message, "tool_calls", None) or []
    if message.additional_kwargs or not isinstance(content, str):
        return {"role": "model", "parts": _AssistantMessageReader(message, calls).to_parts()}
    # Without notes there are no signatures to put back, and the order is text first, then calls. Most messages of a
    # long history are of this kind.
    parts: list[Part] = [{"text": content}] if content else []
    if getattr(message, "invalid_tool_calls", None):
        parts += _invalid_calls_as_text(message)
    return {"role": "model", "parts": [*parts, *map(_to_call_part, calls)] if calls else parts}


def _to_call_part(call: Block, *, from_server: bool = False, signature: str | None = None) -> Part:
    """Return a call as a part. An id that was made up here means nothing to the server; only `call_id` keeps it."""
    call_id = call.get("id")
    payload = {"name": sanitize_tool_name(str(call["name"])), "args": call["args"]}
    part: Part = {"functionCall": {"id": call_id, **payload} if from_server else payload}
    if call_id:
        part["call_id"] = call_id
    if signature:
        part["thoughtSignature"] = signature
    return part


def _invalid_calls_as_text(message: BaseMessage) -> list[Part]:
    """Return the calls that could not be parsed, as text: a functionCall must hold an object.

    `arrange` turns a result for one of them into text as well, since there is no call for it to follow.
    """
    invalid = getattr(message, "invalid_tool_calls", None) or []
    return [{"text": f"[invalid call of {call.get('name') or 'a tool'}: {call.get('args') or ''}]"} for call in invalid]


class _AssistantMessageReader:
    """Reads one AI message part by part, in the order in which the model produced them.

    For messages with notes in their `additional_kwargs` (`_blocks` lists them), and for content that is a list.
    """

    def __init__(self, message: BaseMessage, calls: Sequence[Block]) -> None:
        self._message = message
        extra = message.additional_kwargs
        is_google = came_from_google(message.response_metadata, extra)
        is_foreign = "model_provider" in message.response_metadata
        self._source = GEMINI if is_google else OTHER_PROVIDER if is_foreign else UNKNOWN_MODEL
        self._signatures: Block = {}
        self._server_ids: frozenset[str] = frozenset()
        self._layout: Sequence[Block] = ()
        if extra:  # messages of other integrations carry no notes
            signatures = from_store(extra.get(CALL_SIGNATURES))
            self._signatures = signatures if is_google and isinstance(signatures, dict) else {}
            server_ids = from_store(extra.get(SERVER_IDS))
            self._server_ids = frozenset(map(str, server_ids if isinstance(server_ids, list) else ()))
            self._layout = layout_from_store(extra.get(PARTS))
        self._calls = list(calls) or _first_generation_calls(extra)
        self._orphan_signatures: list[str | None] = []  # of calls, in call order
        if not isinstance(message.content, str):
            self._orphan_signatures = _signatures_of_old_checkpoints(message.content)

    def to_parts(self) -> list[Part]:
        content = self._message.content
        if not isinstance(content, str):
            parts = self._parts_of_blocks(content)
        elif self._layout:
            parts = self._parts_by_layout(content)
        else:
            parts = [{"text": content}] if content else []
        if getattr(self._message, "invalid_tool_calls", None):
            parts += _invalid_calls_as_text(self._message)
        return [*parts, *map(self._to_signed_call_part, self._calls)]

    def _parts_by_layout(self, text: str) -> list[Part]:
        """Return the parts of a string content, in the order of the message's notes."""
        thoughts = self._message.additional_kwargs.get(REASONING) or ""
        rest = {"text": text, "thought": thoughts if isinstance(thoughts, str) else ""}
        parts: list[Part] = []
        layout = self._layout
        if sum(entry.get("text", 0) for entry in layout) != len(text):
            # Somebody edited the text. It goes as a whole and without signatures, which belong to the old text.
            parts, rest["text"] = [{"text": text}] if text else [], ""
            layout = [entry for entry in layout if "text" not in entry]
        for entry in layout:
            if "call" in entry:
                parts += self._take_call(entry["call"])
            elif "block" in entry:
                parts += to_parts(entry["block"], self._source)
            else:
                kind = "text" if "text" in entry else "thought"
                piece, rest[kind] = rest[kind][: entry[kind]], rest[kind][entry[kind] :]
                part: Part = {"text": piece} if kind == "text" else {"text": piece, "thought": True}
                parts.append({**part, "thoughtSignature": entry["signature"]} if "signature" in entry else part)
        return [*parts, {"text": rest["text"]}] if rest["text"] else parts

    def _parts_of_blocks(self, blocks: Sequence[Json]) -> list[Part]:
        # v0 content has no place for calls, so the notes hold before which block each one stood.
        calls_before: dict[int, list[str]] = {}
        for entry in self._layout:
            if "at" in entry:
                calls_before.setdefault(entry["at"], []).append(entry["call"])
        parts: list[Part] = []
        for position, block in enumerate(blocks):
            for call_id in calls_before.get(position, ()):
                parts += self._take_call(call_id)
            if isinstance(block, Mapping) and (block.get("type") in _CALL_BLOCKS or "toolUse" in block):
                parts += self._parts_of_call_block(block.get("toolUse", block))
            else:
                parts += to_parts(block, self._source)
        return parts

    def _parts_of_call_block(self, block: Block) -> list[Part]:
        """Return the call that a block stands for: the message's own, or the block's if the message has none."""
        call_id = block.get("call_id") or block.get("id") or block.get("toolUseId")
        signature = signature_of(block, self._source)
        # The message's calls are the ones that count: middleware edits those, and leaves the blocks as they are.
        if any(call.get("id") == call_id for call in self._calls):
            return self._take_call(call_id, signature)
        if isinstance(self._message, AIMessage) and self._message.tool_calls:
            return []  # a middleware removed this call from the message
        args = block.get("args", block.get("input", block.get("arguments")))
        call = {"id": call_id, "name": block.get("name") or "", "args": _parse_arguments(args)}
        return [self._to_signed_call_part(call, signature)]

    def _take_call(self, call_id: str | None, signature: str | None = None) -> list[Part]:
        """Return the message's call with this id, which is then no longer left for the end."""
        for call in self._calls:
            if call.get("id") == call_id:
                self._calls.remove(call)
                return [self._to_signed_call_part(call, signature)]
        return []

    def _to_signed_call_part(self, call: Block, signature: str | None = None) -> Part:
        call_id = call.get("id")
        noted = self._signatures.get(call_id or "")
        signature = signature or (noted if isinstance(noted, str) else None)
        signature = signature or (self._orphan_signatures.pop(0) if self._orphan_signatures else None)
        return _to_call_part(call, from_server=call_id in self._server_ids, signature=signature)


# Types of blocks that stand for a call, in LangChain's, Anthropic's and OpenAI's words.
_CALL_BLOCKS: Final = frozenset({"tool_call", "tool_use", "function_call", "tool_call_chunk"})


def _first_generation_calls(extra: Block) -> list[Block]:
    """Return the one call of OpenAI's first function calling, if the message has nothing newer."""
    # `functions` of 2023, before OpenAI had tools; old histories and some gateways still hold it.
    call = extra.get("function_call")
    if not isinstance(call, Mapping) or not call.get("name"):
        return []
    return [{"id": None, "name": call["name"], "args": _parse_arguments(call.get("arguments"))}]


def _signatures_of_old_checkpoints(blocks: Sequence[Json]) -> list[str | None]:
    """Return the signatures that early checkpoints of ChatGoogleGenerativeAI keep in blocks of their own."""
    by_call: dict[int, str] = {}
    for block in blocks:
        if isinstance(block, Mapping) and block.get("type") == "function_call_signature" and block.get("signature"):
            by_call[block.get("index", len(by_call))] = block["signature"]
    return [by_call.get(position) for position in range(max(by_call) + 1)] if by_call else []


def _parse_arguments(args: Json) -> Json:
    """Return a call's arguments, which OpenAI sends as JSON text."""
    if not isinstance(args, str):
        return args or {}
    try:
        return json.loads(args) if args else {}
    except ValueError:
        return {"input": args}


_CONVERTERS: Final[dict[str, Callable[[BaseMessage, str], Content]]] = {
    "human": _user_content,
    "HumanMessageChunk": _user_content,
    "ai": _model_content,
    "AIMessageChunk": _model_content,
    "chat": _chat_content,
    "ChatMessageChunk": _chat_content,
    "tool": _tool_content,
    "ToolMessageChunk": _tool_content,
    "function": _tool_content,
    "FunctionMessageChunk": _tool_content,
}
