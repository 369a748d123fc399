"""Turn LangChain messages into Gemini contents. Pure: no network, no files, no clock.

Each message becomes at most one content; the core's `arrange` then puts them in the order Gemini accepts. Parts that
belong to a call carry the framework's id as `call_id`, for pairing only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from gemway import (
    UnsupportedContentError,
    arrange,
    capabilities,
    from_store,
    sanitize_tool_name,
    split_result_media,
)
from langchain_core.messages import AIMessage, BaseMessage

from langchain_gemway._layout import (
    CALL_SIGNATURES,
    PARTS,
    REASONING,
    SERVER_IDS,
    is_google,
    layout_from_store,
)
from langchain_gemway._parts import Block, Part, Source, described, signature_of, to_parts

Content = dict[str, Any]
LateSystem = Literal["merge", "inline", "error"]

_USER: Final = Source()
_GEMINI: Final = Source(google=True, model=True)
_FOREIGN: Final = Source(model=True, foreign=True)
_UNKNOWN: Final = Source(model=True)
_MODEL_ROLES: Final = frozenset({"assistant", "ai", "model"})
_SYSTEM_ROLES: Final = frozenset({"system", "developer"})
_CALL_BLOCKS: Final = frozenset({"tool_call", "tool_use", "function_call", "tool_call_chunk"})
_RESULT_BLOCKS: Final = frozenset({"tool_result", "function_call_output"})


def to_request(
    messages: Sequence[BaseMessage], *, model: str, late_system: LateSystem = "merge"
) -> tuple[list[Content], list[Part]]:
    """Return contents, as Gemini accepts them, and the parts of the system instruction.

    System messages count as system instruction wherever they stand, unless *late_system* says that those after
    the first other message stay in their place as the user's words, or are an error. A conversation of system
    messages alone is put as the user's.

    Raises:
        UnsupportedContentError: for a message that cannot be sent, and for a conversation without anything to say.
    """
    contents, system = to_contents(messages, model=model, late_system=late_system)
    accepts = capabilities(model)
    if system and (not contents or not accepts.system_instruction):
        contents = [{"role": "user", "parts": system}, *contents]
        system = []
    try:
        arranged = arrange(contents, model=model)
    except _UNREADABLE as error:  # wire parts of an unexpected shape, which users may hand over as they are
        raise UnsupportedContentError(f"cannot send this conversation ({type(error).__name__}: {error})") from error
    if not arranged:
        raise UnsupportedContentError("the conversation is empty: give at least one message with content")
    return arranged, system


def to_contents(
    messages: Sequence[BaseMessage], *, model: str, late_system: LateSystem = "merge"
) -> tuple[list[Content], list[Part]]:
    """Return one content for each message, in no special order, and the parts of the system instruction."""
    contents: list[Content] = []
    system: list[Part] = []
    kind = ""
    try:
        for message in messages:
            kind = message.type
            if _is_system(message):
                _add_system(message, contents, system, late_system)
            else:
                contents.append(_to_content(message, model))
    except UnsupportedContentError:
        raise
    except _UNREADABLE as error:
        raise UnsupportedContentError(
            f"cannot send this {kind} message: its content has an unexpected shape ({type(error).__name__}: {error})"
        ) from error
    return contents, system


def _is_system(message: BaseMessage) -> bool:
    return message.type == "system" or (message.type == "chat" and getattr(message, "role", "") in _SYSTEM_ROLES)


def _add_system(message: BaseMessage, contents: list[Content], system: list[Part], late_system: LateSystem) -> None:
    parts = [part for part in to_parts(message.content, _USER) if part.get("text") != ""]
    if contents and late_system == "error":
        raise UnsupportedContentError('a system message after others (late_system="error"); put it first')
    if contents and late_system == "inline":
        contents.append({"role": "user", "parts": parts})
        return
    for part in parts:
        # Instructions are text; a picture shown in one is the user's to show.
        (system if "text" in part else _opening(contents)).append(part)


def _opening(contents: list[Content]) -> list[Part]:
    contents.append({"role": "user", "parts": []})
    parts: list[Part] = contents[-1]["parts"]
    return parts


def _to_content(message: BaseMessage, model: str) -> Content:
    try:
        convert = _CONVERTERS[message.type]
    except KeyError:
        raise UnsupportedContentError(
            f"cannot send a message of type {message.type!r}; known: {', '.join(sorted(_CONVERTERS))}, system"
        ) from None
    return convert(message, model)


# What the user said


def _human(message: BaseMessage, model: str) -> Content:
    content = message.content
    if isinstance(content, str):
        return {"role": "user", "parts": [{"text": content}]}
    return {"role": "user", "parts": _user_parts(content, model)}


def _user_parts(content: Iterable[Any], model: str) -> list[Part]:
    parts: list[Part] = []
    for block in content:
        if isinstance(block, Mapping) and (block.get("type") in _RESULT_BLOCKS or "toolResult" in block):
            parts += _tool_result(block, model)
        else:
            parts += to_parts(block, _USER)
    return parts


def _chat(message: BaseMessage, model: str) -> Content:
    role = getattr(message, "role", "user").lower()
    if role in _MODEL_ROLES:
        return {"role": "model", "parts": [*to_parts(message.content, _UNKNOWN)]}
    return _human(message, model)


# What tools said


def _tool(message: BaseMessage, model: str) -> Content:
    failed = getattr(message, "status", "success") == "error"
    parts = _result_parts(
        message.content, message.name, getattr(message, "tool_call_id", None), model=model, failed=failed
    )
    return {"role": "user", "parts": parts}


def _function(message: BaseMessage, model: str) -> Content:
    return {"role": "user", "parts": _result_parts(message.content, message.name, None, model=model, failed=False)}


def _tool_result(block: Block, model: str) -> list[Part]:
    """Read the tool results that Anthropic, OpenAI and Bedrock put into user messages."""
    inner = block.get("toolResult", block)
    call_id = inner.get("tool_use_id") or inner.get("call_id") or inner.get("toolUseId")
    content = inner.get("content", inner.get("output", ""))
    failed = bool(inner.get("is_error")) or inner.get("status") == "error"
    return _result_parts(content, inner.get("name"), call_id, model=model, failed=failed)


def _result_parts(content: Any, name: str | None, call_id: str | None, *, model: str, failed: bool) -> list[Part]:
    """Return the functionResponse of a result, with the media that go beside it behind it."""
    texts, media = _split(content)
    said: Any = "\n".join(texts)
    response: dict[str, Any] = {"response": {"error": said} if failed else _to_object(said)}
    if name:
        response["name"] = sanitize_tool_name(name)
    inside, beside = split_result_media(media, model=model)
    if inside:
        response["parts"] = inside
    parts: list[Part] = [{"functionResponse": response}, *beside]
    return [{**part, "call_id": call_id} for part in parts] if call_id else parts


def _split(content: Any) -> tuple[list[str], list[Part]]:
    if isinstance(content, str):
        return [content], []
    texts: list[str] = []
    media: list[Part] = []
    for block in content if isinstance(content, list | tuple) else [content]:
        for part in _parts_of_result(block):
            if "text" in part:
                texts.append(part["text"])
            else:
                media.append(part)
    return texts, media


def _parts_of_result(block: Any) -> list[Part]:
    """Return the parts for one block of a tool's result: as JSON text where Gemini has no part for it.

    An error here would come again with every later turn: the result is in the conversation for good.
    """
    if isinstance(block, Mapping) and (block.get("type") == "json" or "json" in block):
        return [{"text": described(block.get("json", block))}]
    try:
        parts = [part for part in to_parts(block, _USER) if part]
        is_data = isinstance(block, Mapping) and "type" not in block and "cachePoint" not in block
        return parts or ([{"text": described(block)}] if is_data and block else [])
    except _UNREADABLE:
        return [{"text": described(block)}]


# UnsupportedContentError is a ValueError; the others are what blocks of an unexpected shape cause.
_UNREADABLE: Final = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


def _to_object(text: str) -> dict[str, Any]:
    """Return a result as the object that Gemini wants: a JSON object as itself, all else as the exact string."""
    if text.startswith("{") and text.rstrip().endswith("}"):
        try:
            found = _EXACT_JSON.decode(text)
        except (ValueError, RecursionError):
            return {"output": text}
        if isinstance(found, dict):
            return found
    return {"output": text}


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _exact(digits: str) -> float:
    """Return the number, or refuse if a float would not say the same."""
    number = float(digits)
    if Decimal(repr(number)) != Decimal(digits):
        raise ValueError(f"{digits} does not fit into a float")
    return number


_EXACT_JSON: Final = json.JSONDecoder(parse_constant=_refuse, parse_float=_exact)


# What the model said


def _ai(message: BaseMessage, model: str) -> Content:
    content = message.content
    calls = getattr(message, "tool_calls", None) or []
    if isinstance(content, str) and not calls and not message.additional_kwargs:
        return {"role": "model", "parts": [{"text": content}] if content else _invalid(message)}
    return {"role": "model", "parts": _Said(message, calls).parts()}


def _invalid(message: BaseMessage) -> list[Part]:
    """Return the calls that nobody could read, as text: a functionCall must hold an object.

    A result for one of them is told as text too, by `arrange`: it has no call to follow.
    """
    invalid = getattr(message, "invalid_tool_calls", None) or []
    return [{"text": f"[invalid call of {call.get('name') or 'a tool'}: {call.get('args') or ''}]"} for call in invalid]


class _Said:
    """One AI message, read part by part in the order in which the model said them."""

    def __init__(self, message: BaseMessage, calls: Sequence[Mapping[str, Any]]) -> None:
        self._message = message
        extra = message.additional_kwargs
        self._google = is_google(message.response_metadata, extra)
        foreign = "model_provider" in message.response_metadata
        self._source = _GEMINI if self._google else _FOREIGN if foreign else _UNKNOWN
        self._signatures: Mapping[str, Any] = {}
        self._server_ids: frozenset[str] = frozenset()
        self._layout: Sequence[Mapping[str, Any]] = ()
        if extra:  # most messages of a long history carry no notes
            signatures = from_store(extra.get(CALL_SIGNATURES))
            self._signatures = signatures if self._google and isinstance(signatures, dict) else {}
            server_ids = from_store(extra.get(SERVER_IDS))
            self._server_ids = frozenset(map(str, server_ids if isinstance(server_ids, list) else ()))
            self._layout = layout_from_store(extra.get(PARTS))
        self._calls = list(calls) or _legacy_calls(extra)
        self._legacy = _legacy_signatures(message.content)

    def parts(self) -> list[Part]:
        content = self._message.content
        parts = self._of_text(content) if isinstance(content, str) else self._of_blocks(content)
        if getattr(self._message, "invalid_tool_calls", None):
            parts += _invalid(self._message)
        return [*parts, *map(self._call, self._calls)]

    def _of_text(self, text: str) -> list[Part]:
        thoughts = self._message.additional_kwargs.get(REASONING) or ""
        parts: list[Part] = []
        rest = {"text": text, "thought": thoughts if isinstance(thoughts, str) else ""}
        layout = self._layout
        if layout and sum(entry.get("text", 0) for entry in layout) != len(text):
            # Somebody edited the text: it goes as a whole, without signatures, which are of the old one.
            parts, rest["text"] = [{"text": text}] if text else [], ""
            layout = [entry for entry in layout if "text" not in entry]
        for entry in layout:
            if "call" in entry or "block" in entry:
                parts += self._take(entry["call"]) if "call" in entry else to_parts(entry["block"], self._source)
                continue
            kind = "text" if "text" in entry else "thought"
            said, rest[kind] = rest[kind][: entry[kind]], rest[kind][entry[kind] :]
            part: Part = {"text": said} if kind == "text" else {"text": said, "thought": True}
            parts.append({**part, "thoughtSignature": entry["signature"]} if "signature" in entry else part)
        return [*parts, {"text": rest["text"]}] if rest["text"] else parts

    def _of_blocks(self, blocks: Sequence[Any]) -> list[Part]:
        places: dict[int, list[str]] = {}
        for entry in self._layout:
            if "at" in entry:
                places.setdefault(entry["at"], []).append(entry["call"])
        parts: list[Part] = []
        for at, block in enumerate(blocks):
            for call_id in places.get(at, ()):
                parts += self._take(call_id)
            parts += self._of_block(block)
        return parts

    def _of_block(self, block: Any) -> Iterable[Part]:
        if not isinstance(block, Mapping):
            return to_parts(block, self._source)
        if block.get("type") in _CALL_BLOCKS or "toolUse" in block:
            return self._of_call_block(block.get("toolUse", block))
        return to_parts(block, self._source)

    def _of_call_block(self, block: Block) -> list[Part]:
        """Return the call that a block stands for: the message's own, or the block's if the message names none."""
        identifier = block.get("call_id") or block.get("id") or block.get("toolUseId")
        if any(call.get("id") == identifier for call in self._calls):
            return self._take(identifier, signature_of(block, self._source))
        if self._message_has_calls():
            return []
        args = block.get("args", block.get("input", block.get("arguments")))
        call = {"id": identifier, "name": block.get("name") or "", "args": _arguments(args)}
        return [self._call(call, signature_of(block, self._source))]

    def _message_has_calls(self) -> bool:
        return bool(isinstance(self._message, AIMessage) and self._message.tool_calls)

    def _take(self, call_id: str | None, signature: str | None = None) -> list[Part]:
        for call in self._calls:
            if call.get("id") == call_id:
                self._calls.remove(call)
                return [self._call(call, signature)]
        return []

    def _call(self, call: Mapping[str, Any], signature: str | None = None) -> Part:
        call_id = call.get("id")
        payload = {"name": sanitize_tool_name(str(call["name"])), "args": call["args"]}
        if call_id in self._server_ids:
            payload = {"id": call_id, **payload}
        part: Part = {"functionCall": payload}
        if call_id:
            part["call_id"] = call_id
        known = self._signatures.get(call_id or "")
        signature = signature or (known if isinstance(known, str) else None)
        signature = signature or (self._legacy.pop(0) if self._legacy else None)
        return {**part, "thoughtSignature": signature} if signature else part


def _legacy_calls(extra: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the one call of OpenAI's first function calling, where nothing newer is there."""
    call = extra.get("function_call")
    if not isinstance(call, Mapping) or not call.get("name"):
        return []
    return [{"id": None, "name": call["name"], "args": _arguments(call.get("arguments"))}]


def _legacy_signatures(content: Any) -> list[str | None]:
    """Return the signatures that early checkpoints of ChatGoogleGenerativeAI keep in blocks of their own."""
    if isinstance(content, str):
        return []
    found: dict[int, str] = {}
    for block in content:
        if isinstance(block, Mapping) and block.get("type") == "function_call_signature" and block.get("signature"):
            found[block.get("index", len(found))] = block["signature"]
    return [found.get(at) for at in range(max(found) + 1)] if found else []


def _arguments(args: Any) -> Any:
    if not isinstance(args, str):
        return args or {}
    try:
        return json.loads(args) if args else {}
    except ValueError:
        return {"input": args}


_Convert = Callable[[BaseMessage, str], Content]

_CONVERTERS: Final[dict[str, _Convert]] = {
    "human": _human,
    "HumanMessageChunk": _human,
    "ai": _ai,
    "AIMessageChunk": _ai,
    "chat": _chat,
    "ChatMessageChunk": _chat,
    "tool": _tool,
    "ToolMessageChunk": _tool,
    "function": _function,
    "FunctionMessageChunk": _function,
}
