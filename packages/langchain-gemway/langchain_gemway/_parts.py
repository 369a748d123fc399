"""Content blocks of every provider as parts of the wire. Pure: fetches nothing.

LangChain's v0 and v1 blocks, OpenAI's, Anthropic's, Bedrock's, Google's own and those of ChatGoogleGenerativeAI are
told apart by `type`, or by their keys where there is none. Signatures are sent back only to where they came from.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from gemway import UnsupportedContentError, decode_base64, inline_part, sniff_mime_type, to_part

Block = Mapping[str, Any]
Part = dict[str, Any]

_log = logging.getLogger("langchain_gemway")
_MODIFIERS: Final = {
    "media_resolution": "mediaResolution",
    "mediaResolution": "mediaResolution",
    "video_metadata": "videoMetadata",
    "videoMetadata": "videoMetadata",
    "media_processing": "mediaProcessing",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Whose content is read.

    Attributes:
        google: whether it came from Gemini, so that its signatures mean something there.
        model: whether the model said it.
        foreign: whether it is known that another provider's model said it.
    """

    google: bool = False
    model: bool = False
    foreign: bool = False


def to_parts(content: Any, source: Source) -> Iterator[Part]:
    """Yield the parts for message content, in order."""
    for block in (content,) if isinstance(content, str | Mapping) else content or ():
        yield from _to_parts(block, source)


def _to_parts(block: Any, source: Source) -> Iterable[Part]:
    if isinstance(block, str):
        return [{"text": block}]
    if not isinstance(block, Mapping):
        raise UnsupportedContentError(f"cannot send content of type {type(block).__name__}; use a string or a block")
    kind = block.get("type")
    convert = _CONVERTERS.get(kind) if isinstance(kind, str) else _by_keys(block)
    if convert is None:
        if source.foreign or (source.model and kind in _FOREIGN):  # what another provider did by itself
            _log.debug("not sent: a %r block of another provider", kind)
            return []
        raise UnsupportedContentError(f"cannot send a {kind!r} block; known: {', '.join(sorted(_CONVERTERS))}")
    return convert(block, source)


def signature_of(block: Block, source: Source) -> str | None:
    """Return the block's signature if it is one of Gemini's."""
    if not source.google:
        return None
    extras = block.get("extras")
    found = (extras.get("signature") if isinstance(extras, Mapping) else None) or block.get("signature")
    found = found or block.get("thought_signature") or block.get("thoughtSignature")
    return base64.b64encode(found).decode("ascii") if isinstance(found, bytes) else found


def _signed(part: Part, block: Block, source: Source) -> Part:
    signature = signature_of(block, source)
    return {**part, "thoughtSignature": signature} if signature else part


# Words


def _text(block: Block, source: Source) -> Iterable[Part]:
    text = block.get("text")
    if not isinstance(text, str):
        return []
    extras = block.get("extras")
    signed = extras.get("signed") if isinstance(extras, Mapping) and source.google else None
    signed = int(signed) if isinstance(signed, Decimal) else signed  # from a store that knows no integers
    if isinstance(signed, int) and 0 < signed < len(text):
        return [{"text": text[:-signed]}, _signed({"text": text[-signed:]}, block, source)]
    return [_signed({"text": text}, block, source)]


def _plain_text(block: Block, source: Source) -> Iterable[Part]:
    if block.get("text") is not None:
        return [{"text": "\n\n".join(filter(None, (block.get("title"), block.get("context"), block["text"])))}]
    return _media(block, source)


def _thought(block: Block, source: Source) -> Iterable[Part]:
    words = block.get("reasoning") or block.get("thinking") or ""
    if not source.google or not isinstance(words, str):
        _log.debug("not sent: reasoning of another provider")
        return []
    return [_signed({"text": words, "thought": True}, block, source)]


def _refusal(block: Block, source: Source) -> Iterable[Part]:
    return [{"text": str(block.get("refusal") or "")}]


# Media


def _media(block: Block, source: Source) -> Iterable[Part]:
    if _is_shown_twice(block, source):
        return []
    part = _located(block)
    if "fileData" in part and block.get("mime_type"):
        part = {"fileData": {**part["fileData"], "mimeType": block["mime_type"]}}
    extras = block.get("extras")
    for holder in (block, extras if isinstance(extras, Mapping) else {}):
        part.update({wire: _camelised(holder[name]) for name, wire in _MODIFIERS.items() if holder.get(name)})
    return [_signed(part, block, source)]


def _is_shown_twice(block: Block, source: Source) -> bool:
    """Tell whether this picture is in the message once more, as the thought that it came as, which goes back."""
    extras = block.get("extras")
    return source.google and isinstance(extras, Mapping) and bool(extras.get("from_thought"))


def _located(block: Block) -> Part:
    """Return the part for media in base64, bytes, by URL or by a file's id, in v0 and v1 blocks."""
    mime_type = block.get("mime_type") or block.get("mimeType")  # the latter in MCP's own blocks
    if (source := block.get("source")) is not None and isinstance(source, Mapping):
        return _from_source(source, mime_type)
    for name in ("base64", "data", "bytes"):
        if (data := block.get(name)) is not None:
            return _inline(data, mime_type, is_base64=name == "base64" or block.get("source_type") == "base64")
    for name in ("url", "file_uri", "fileUri"):
        if isinstance(address := block.get(name), str):
            return to_part(address, mime_type=mime_type)
    for name in ("file_id", "id"):
        if isinstance(identifier := block.get(name), str):
            return _by_id(identifier, mime_type)
    if isinstance(text := block.get("text"), str):
        return {"text": text}
    raise UnsupportedContentError(f"a {block.get('type')!r} block needs one of base64, url, file_id")


def _inline(data: Any, mime_type: str | None, *, is_base64: bool = False) -> Part:
    """Return the part for base64 text or bytes. Bytes may be base64 text too: what `b64encode` returns is bytes."""
    if isinstance(data, bytearray | memoryview):
        data = bytes(data)
    if isinstance(data, bytes):
        data = _base64_text(data, is_certain=is_base64) or data
    elif not isinstance(data, str):
        raise UnsupportedContentError(f"media must be bytes or base64 text, not {type(data).__name__}")
    if isinstance(data, str) and data[:5].lower() == "data:":
        return to_part(data, mime_type=mime_type)
    return inline_part(data, mime_type)


def _base64_text(data: bytes, *, is_certain: bool) -> str | None:
    """Return the base64 text that *data* is: because the block says so, or because only what is in it is a file."""
    try:
        text = data.decode("ascii")
        head = decode_base64(text if is_certain else text[:128])
    except ValueError:
        return None
    is_file_inside = sniff_mime_type(data[:128]) is None and sniff_mime_type(head) is not None
    return text if is_certain or is_file_inside else None


def _by_id(identifier: str, mime_type: str | None) -> Part:
    """Return the part for an uploaded file: an address, or the id of Google's Files API."""
    is_address = "://" in identifier or identifier.startswith("files/")
    file = {"fileUri": identifier if is_address else f"files/{identifier}"}
    return {"fileData": {"mimeType": mime_type, **file} if mime_type else file}


def _from_source(source: Block, mime_type: str | None) -> Part:
    """Return the part for the `source` of Anthropic's (and Bedrock's) images and documents."""
    told = source.get("media_type") or source.get("mime_type") or mime_type
    kind = source.get("type")
    if kind == "text":
        return {"text": source.get("data", "")}
    if kind == "content":
        inner = source.get("content")
        return {"text": inner if isinstance(inner, str) else "\n".join(_texts(inner or ()))}
    if kind == "url" or "url" in source:
        return to_part(source["url"], mime_type=told)
    if kind == "file" or "file_id" in source:
        return _by_id(source["file_id"], told)
    return _inline(source.get("data", source.get("bytes", "")), told, is_base64=kind == "base64")


def _texts(blocks: Iterable[Any]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, str):
            yield block
        elif isinstance(block, Mapping) and isinstance(block.get("text"), str):
            yield block["text"]


def _image_url(block: Block, source: Source) -> Iterable[Part]:
    """Read OpenAI's `image_url` (text or object) and `input_image`."""
    if _is_shown_twice(block, source):
        return []
    image = block.get("image_url") or block.get("url") or block.get("file_id")
    address = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(address, str) or not address:
        raise UnsupportedContentError(f"a {block.get('type')!r} block needs a URL")
    if block.get("file_id") == address:
        part = _by_id(address, block.get("mime_type"))
    elif "://" in address or address[:5].lower() == "data:":
        part = to_part(address, mime_type=block.get("mime_type"))
    else:
        part = _bare_image(address, block)
    # Only Google's blocks carry a signature beside an image_url, in old checkpoints without a provider too.
    return [_signed(part, block, Source(google=True, model=source.model) if source.model else source)]


def _bare_image(text: str, block: Block) -> Part:
    """Read base64 without the data URL around it, as ChatGoogleGenerativeAI's earlier versions wrote it."""
    try:
        return inline_part(text, block.get("mime_type"))
    except ValueError:
        return to_part(text, mime_type=block.get("mime_type"))  # explains what a string may be


def _input_audio(block: Block, source: Source) -> Iterable[Part]:
    audio = block.get("input_audio") or {}
    kind = audio.get("format", "wav")
    return [_inline(audio.get("data", ""), {"mp3": "audio/mpeg"}.get(kind, f"audio/{kind}"), is_base64=True)]


def _file(block: Block, source: Source) -> Iterable[Part]:
    """Read v1 files, and OpenAI's `file` and `input_file`."""
    inner: Any = block.get("file") if isinstance(block.get("file"), Mapping) else block
    told = block.get("mime_type") or inner.get("mime_type")
    if isinstance(data := inner.get("file_data"), str | bytes):
        return [
            _inline(data, told or "application/pdf" if data[:5] not in {"data:", b"data:"} else told, is_base64=True)
        ]
    if isinstance(address := inner.get("file_url"), str):
        return [to_part(address, mime_type=told)]
    if inner is not block and isinstance(identifier := inner.get("file_id"), str):
        return [_by_id(identifier, told)]
    return _media(block, source)


def _anthropic_document(block: Block, source: Source) -> Iterable[Part]:
    source_of = block.get("source")
    if isinstance(source_of, Mapping) and source_of.get("type") == "content":
        return to_parts(source_of.get("content"), source)
    return _media(block, source)


# What servers did


def _executable_code(block: Block, source: Source) -> Iterable[Part]:
    code = {"code": block.get("executable_code", ""), "language": str(block.get("language") or "PYTHON").upper()}
    if block.get("id") and source.google and not _is_made_up(block["id"]):
        code["id"] = block["id"]
    return [_signed({"executableCode": code}, block, source)]


def _is_made_up(identifier: str) -> bool:
    return len(identifier) == 36 and identifier.count("-") == 4


_OUTCOMES: Final = {1: "OUTCOME_OK", 2: "OUTCOME_FAILED", 3: "OUTCOME_DEADLINE_EXCEEDED"}


def _code_result(block: Block, source: Source) -> Iterable[Part]:
    outcome = block.get("outcome", 1)
    result = {"outcome": _OUTCOMES.get(outcome, outcome), "output": block.get("code_execution_result", "")}
    if block.get("tool_call_id"):
        result["id"] = block["tool_call_id"]
    return [_signed({"codeExecutionResult": result}, block, source)]


def _server_call(block: Block, source: Source) -> Iterable[Part]:
    extras = block.get("extras") or {}
    if not source.google:
        _log.debug("not sent: a server tool call of another provider")
        return []
    if block.get("name") == "code_interpreter" and "tool_type" not in extras:
        args = block.get("args") or {}
        found = {"executable_code": args.get("code", ""), "language": args.get("language"), "id": block.get("id")}
        return _executable_code({**found, "extras": extras}, source)
    call = {"toolType": extras.get("tool_type", str(block.get("name")).upper()), "args": block.get("args") or {}}
    identified = {"id": block["id"], **call} if block.get("id") else call
    return [_signed({"toolCall": identified}, block, source)]


def _server_result(block: Block, source: Source) -> Iterable[Part]:
    extras = block.get("extras") or {}
    if not source.google:
        _log.debug("not sent: a server tool result of another provider")
        return []
    if extras.get("block_type") == "tool_response":
        result = {"toolType": extras.get("tool_type"), "response": block.get("output")}
        identified = {"id": block["tool_call_id"], **result} if block.get("tool_call_id") else result
        return [_signed({"toolResponse": identified}, block, source)]
    found = {"code_execution_result": block.get("output", ""), "outcome": extras.get("outcome", 1)}
    return _code_result({**found, "tool_call_id": block.get("tool_call_id"), "extras": extras}, source)


def _non_standard(block: Block, source: Source) -> Iterable[Part]:
    """Read what LangChain wrapped: a part of the wire that we kept as it came, or another provider's block."""
    value = block.get("value")
    if not isinstance(value, Mapping):
        return []
    return _to_parts(value, source)


def _nothing(block: Block, source: Source) -> Iterable[Part]:
    return []


def _generated_image(block: Block, source: Source) -> Iterable[Part]:
    """Read the picture that OpenAI's built-in tool made."""
    picture = block.get("result")
    return [inline_part(picture, None)] if isinstance(picture, str) and picture else []


def _resource(block: Block, source: Source) -> Iterable[Part]:
    """Read what MCP calls an embedded resource: text, or a file in base64."""
    inner = block.get("resource")
    if isinstance(inner, Mapping) and inner.get("blob"):
        return [_inline(inner["blob"], inner.get("mimeType"), is_base64=True)]
    return [{"text": described(block)}]


def described(block: Any) -> str:
    """Return *block* as JSON text for a model to read. Long strings in it, files in base64 say, are left out."""
    return json.dumps(_shortened(block, 0), ensure_ascii=False, default=str)


_LONGEST: Final = 20_000
_DEEPEST: Final = 50


def _shortened(value: Any, depth: int) -> Any:
    if isinstance(value, str | bytes) and len(value) > _LONGEST:
        return f"({len(value)} characters left out)"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if depth > _DEEPEST:
        return "(left out: nested too deeply)"
    if isinstance(value, Mapping):
        return {str(name): _shortened(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_shortened(item, depth + 1) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _search_result(block: Block, source: Source) -> Iterable[Part]:
    said = [block.get("title"), block.get("source"), *_texts(block.get("content") or ())]
    return [{"text": "\n".join(str(text) for text in said if text)}]


# What servers of other providers did on their side: their model's business, and of no use to Gemini.
_FOREIGN: Final = frozenset(
    {
        *("web_search_call", "file_search_call", "computer_call", "code_interpreter_call", "local_shell_call"),
        *("mcp_call", "mcp_list_tools", "mcp_approval_request", "custom_tool_call", "compaction"),
        *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
        *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "container_upload"),
        *("mcp_tool_use", "mcp_tool_result", "reasoning_content", "guard_content"),
    }
)


# Blocks without a type

_WIRE: Final = frozenset(
    {
        *("inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"),
        *("toolCall", "toolResponse", "inline_data", "file_data"),
    }
)


def _by_keys(block: Block) -> _Convert | None:
    if not _WIRE.isdisjoint(block) or "thoughtSignature" in block:
        return _wire_part
    if isinstance(block.get("text"), str):
        return _text
    return next((convert for name, convert in _KEYED.items() if name in block), _unknown_part if block else None)


def _wire_part(block: Block, source: Source) -> Iterable[Part]:
    for name in _WIRE.intersection(block):
        if not isinstance(block[name], Mapping):
            raise UnsupportedContentError(f"{name!r} of a part must be an object, not {type(block[name]).__name__}")
    part = _camelised_part(block)
    if not source.google:
        part.pop("thoughtSignature", None)
    return [part]


def _unknown_part(block: Block, source: Source) -> Iterable[Part]:
    return [dict(block)] if source.google else []


def _camelised_part(block: Block) -> Part:
    names = {"inline_data": "inlineData", "file_data": "fileData"}
    return {names.get(name, name): _camelised(value) if name in names else value for name, value in block.items()}


def _camelised(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {_camel(name): _camelised(item) for name, item in value.items()}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _bedrock_media(block: Block, source: Source) -> Iterable[Part]:
    kind = next(name for name in ("image", "video", "document") if name in block)
    inner = block[kind]
    prefix = {"image": "image", "video": "video"}.get(kind, "application")
    mime_type = {"txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html"}.get(
        inner.get("format"), f"{prefix}/{inner.get('format')}"
    )
    return [_from_source(inner.get("source") or {}, mime_type)]


_Convert = Callable[[Block, Source], Iterable[Part]]

_KEYED: Final[dict[str, _Convert]] = {
    "image": _bedrock_media,
    "video": _bedrock_media,
    "document": _bedrock_media,
    "reasoningContent": _nothing,
    "cachePoint": _nothing,
    "image_url": _image_url,
}

_CONVERTERS: Final[dict[str, _Convert]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "text-plain": _plain_text,
    "refusal": _refusal,
    "reasoning": _thought,
    "thinking": _thought,
    "redacted_thinking": _nothing,
    "image": _media,
    "audio": _media,
    "video": _media,
    "media": _media,
    "file_data": _media,
    "file": _file,
    "input_file": _file,
    "document": _anthropic_document,
    "image_url": _image_url,
    "input_image": _image_url,
    "input_audio": _input_audio,
    "executable_code": _executable_code,
    "code_execution_result": _code_result,
    "server_tool_call": _server_call,
    "server_tool_result": _server_result,
    "non_standard": _non_standard,
    "invalid_tool_call": _nothing,
    "function_call_signature": _nothing,
    "image_generation_call": _generated_image,
    "search_result": _search_result,
    "resource": _resource,
}
