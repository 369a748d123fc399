"""Turn LlamaIndex messages into Gemini contents. No network; reads a local file where a block names one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import IOBase
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.llms.gemway._record import THOUGHT_SIGNATURE, Entry, read_record
from llama_index.llms.gemway._tools import read_legacy_calls

from gemway import (
    Capabilities,
    UnsupportedContentError,
    capabilities,
    decode_base64,
    inline_part,
    sanitize_tool_name,
    sniff_mime_type,
    split_result_media,
    to_part,
)

Part: TypeAlias = dict[str, Any]
Content: TypeAlias = dict[str, Any]
ToolResultMedia: TypeAlias = Literal["auto", "parts", "beside"]

_SYSTEM: Final = frozenset({MessageRole.SYSTEM, MessageRole.DEVELOPER})
_MODEL: Final = frozenset({MessageRole.ASSISTANT, MessageRole.MODEL, MessageRole.CHATBOT})
_TOOL: Final = frozenset({MessageRole.TOOL, MessageRole.FUNCTION})


def to_contents(
    messages: Iterable[ChatMessage], *, model: str, tool_result_media: ToolResultMedia = "auto"
) -> tuple[list[Content], Content | None]:
    """Return the contents of a conversation, in its order, and its system instruction.

    System and developer messages make up the instruction wherever they stand. Parts of calls and results carry the
    framework's id as `call_id`, for `gemway.arrange`.

    Raises:
        UnsupportedContentError: a block that cannot be sent, or nothing to answer.
    """
    accepts = capabilities(model)
    contents: list[Content] = []
    system: list[Part] = []
    for message in messages:
        role = message.role
        if role in _SYSTEM:
            system += _system_parts(message, accepts)
        elif role in _MODEL:
            contents.append({"role": "model", "parts": _model_parts(message, accepts)})
        elif role in _TOOL:
            contents.append({"role": "user", "parts": _tool_parts(message, model, tool_result_media)})
        else:
            contents.append({"role": "user", "parts": _parts(message.blocks, accepts)})
    if not any(content["parts"] for content in contents):
        raise UnsupportedContentError(
            "there is nothing to answer: pass at least one user message with content beside system messages"
        )
    if system and not accepts.system_instruction:
        return [{"role": "user", "parts": system}, *contents], None
    return contents, {"parts": system} if system else None


def _system_parts(message: ChatMessage, accepts: Capabilities) -> list[Part]:
    parts = _parts(message.blocks, accepts)
    if any("text" not in part for part in parts):
        raise UnsupportedContentError("a system message can hold only text; put pictures and files in a user message")
    return parts


# The model's turns


def _model_parts(message: ChatMessage, accepts: Capabilities) -> list[Part]:
    blocks = message.blocks
    if record := read_record(message):
        return _recorded_parts(blocks, record, accepts)
    parts = _parts(blocks, accepts)
    if message.additional_kwargs and not any(isinstance(block, ToolCallBlock) for block in blocks):
        calls = read_legacy_calls(message.additional_kwargs.get("tool_calls"))
        parts += [_call_part(call.name, call.arguments, call.call_id) for call in calls]
    return parts


def _recorded_parts(blocks: Sequence[Any], record: Sequence[Entry], accepts: Capabilities) -> list[Part]:
    """Return the parts as they were received; blocks that the record does not know follow."""
    found: dict[tuple[str, Any], Any] = {}
    for number, block in _numbered(blocks):
        found[block.block_type, block.tool_call_id if block.block_type == "tool_call" else number] = block
    texts = _Texts(record)
    known: set[int] = set()
    parts: list[Part] = []
    for entry in record:
        kind = entry.get("kind", "")
        block = found.get((kind, entry.get("id", entry.get("index"))))
        if kind == "part":
            parts.append(entry.get("part", {}))
        elif kind == "text" and block is not None:
            parts += texts.parts(entry, block)
        elif block is not None:
            parts += _with_rest(_to_parts(block, accepts), entry)
        known.add(id(block))
    return parts + _parts([block for block in blocks if id(block) not in known], accepts)


def _numbered(blocks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Yield blocks with their number among the blocks of their type."""
    counts: dict[str, int] = {}
    for block in blocks:
        at = counts.get(block.block_type, 0)
        counts[block.block_type] = at + 1
        yield at, block


class _Texts:
    """Cuts the text of blocks into the parts that it was received in."""

    def __init__(self, record: Sequence[Entry]) -> None:
        self._lengths: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        for entry in record:
            if entry.get("kind") == "text":
                index = entry.get("index", 0)
                self._lengths[index] = self._lengths.get(index, 0) + entry.get("length", 0)

    def parts(self, entry: Entry, block: TextBlock) -> list[Part]:
        """Return the part for *entry*. A text that was edited goes as a whole: its signatures are not its own now."""
        index = entry.get("index", 0)
        start = self._sent.get(index, 0)
        if len(block.text) != self._lengths[index]:
            self._sent[index] = 1
            return [{"text": block.text}] if block.text and not start else []
        self._sent[index] = end = start + entry.get("length", 0)
        return [{"text": block.text[start:end], **entry.get("rest", {})}]


def _with_rest(parts: list[Part], entry: Entry) -> list[Part]:
    """Give the first of *parts* back what it was received with."""
    if not parts:
        return parts
    first = {**parts[0], **entry.get("rest", {})}
    if "server_id" in entry and "functionCall" in first:
        first["functionCall"] = {"id": entry["server_id"], **first["functionCall"]}
    return [first, *parts[1:]]


# Tool results


def _tool_parts(message: ChatMessage, model: str, where: ToolResultMedia) -> list[Part]:
    """Return a functionResponse; its media go into it or beside it, named by the same `call_id`."""
    extra = message.additional_kwargs
    texts: list[str] = []
    media: list[Part] = []
    for part in _parts(message.blocks, capabilities(model)):
        if "text" in part:
            texts.append(part["text"])
        else:
            media.append(part)
    said = "\n".join(texts)
    payload: dict[str, Any] = {"response": {"error" if extra.get("is_error") else "output": said}}
    if name := extra.get("name") or extra.get("tool_name"):
        payload["name"] = sanitize_tool_name(name)
    call_id = extra.get("tool_call_id")
    inside, beside = split_result_media(media, model=model, where=where)
    if inside:
        payload["parts"] = inside
    parts: list[Part] = [{"functionResponse": payload}, *beside]
    return parts if call_id is None else [{**part, "call_id": call_id} for part in parts]


# Blocks


def _parts(blocks: Sequence[Any], accepts: Capabilities) -> list[Part]:
    if len(blocks) == 1 and type(blocks[0]) is TextBlock:
        text = blocks[0].text
        return [{"text": text}] if text else []
    return [part for block in blocks for part in _to_parts(block, accepts)]


def _to_parts(block: Any, accepts: Capabilities) -> list[Part]:
    convert = _CONVERTERS.get(type(block)) or _inherited(block)
    return convert(block, accepts)


def _inherited(block: Any) -> Callable[[Any, Capabilities], list[Part]]:
    for kind in type(block).__mro__:
        if kind in _CONVERTERS:
            return _CONVERTERS[kind]
    known = ", ".join(kind.__name__ for kind in _CONVERTERS)
    raise UnsupportedContentError(f"cannot send a {type(block).__name__}; known: {known}")


def _text(block: TextBlock, accepts: Capabilities) -> list[Part]:
    return [{"text": block.text}] if block.text else []


_DETAIL: Final = {"low": "MEDIA_RESOLUTION_LOW", "medium": "MEDIA_RESOLUTION_MEDIUM", "high": "MEDIA_RESOLUTION_HIGH"}


def _image(block: ImageBlock, accepts: Capabilities) -> list[Part]:
    part = _media("ImageBlock", block.image, block.path, block.url, block.image_mimetype)
    if accepts.generation >= 3 and (level := _DETAIL.get(block.detail or "")):
        part["mediaResolution"] = {"level": level}
    return [part]


_AUDIO: Final = {"mp3": "audio/mpeg", "m4a": "audio/mp4", "opus": "audio/ogg", "oga": "audio/ogg", "wave": "audio/wav"}


def _audio(block: AudioBlock, accepts: Capabilities) -> list[Part]:
    declared = (block.format or "").strip()
    if "/" in declared or not declared:  # a media type, which alone can tell the sample rate of raw audio
        return [_media("AudioBlock", block.audio, block.path, block.url, declared or None)]
    extension = declared.lower().lstrip(".")
    mime_type = _AUDIO.get(extension, f"audio/{extension}")
    return [_media("AudioBlock", block.audio, block.path, block.url, mime_type)]


def _video(block: VideoBlock, accepts: Capabilities) -> list[Part]:
    part = _media("VideoBlock", block.video, block.path, block.url, block.video_mimetype)
    if block.fps is not None:
        part["videoMetadata"] = {"fps": block.fps}
    return [part]


def _media(kind: str, data: Any, path: Any, url: Any, mime_type: str | None) -> Part:
    if isinstance(data, IOBase):
        data.seek(0)
        return inline_part(data.read(), mime_type)
    if data:
        return _inline(data, mime_type)
    if path:
        return to_part(Path(path), mime_type=mime_type)
    if url:
        return to_part(str(url), mime_type=mime_type)
    raise UnsupportedContentError(f"the {kind} is empty; give it data, a path or a url")


def _inline(data: bytes, mime_type: str | None) -> Part:
    """Return the part for a block's data, which LlamaIndex keeps as base64."""
    try:
        return inline_part(data.decode("ascii"), mime_type)
    except UnicodeDecodeError:  # assigned later, past LlamaIndex's validator
        return inline_part(data, mime_type)


_TEXTUAL: Final = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")


def _document(block: DocumentBlock, accepts: Capabilities) -> list[Part]:
    """Return text documents as text, all others as they are."""
    mime_type = block.document_mimetype
    if block.url and not (block.data or block.path):
        return [to_part(block.url, mime_type=mime_type)]
    if mime_type and not mime_type.startswith(_TEXTUAL):
        return [_media("DocumentBlock", block.data, block.path, block.url, mime_type)]
    data = _document_bytes(block)
    if not mime_type and (sniffed := sniff_mime_type(data[:64])):
        return [inline_part(data, sniffed)]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnsupportedContentError(
            f"the type of document {block.title!r} cannot be told from its bytes; pass document_mimetype="
        ) from None
    return [{"text": text}] if text else []


def _document_bytes(block: DocumentBlock) -> bytes:
    if isinstance(block.data, IOBase):
        block.data.seek(0)
        data: bytes = block.data.read()
        return data
    if block.data:
        return decode_base64(block.data.decode("ascii"))
    if block.path:
        return Path(block.path).read_bytes()
    raise UnsupportedContentError("the DocumentBlock is empty; give it data, a path or a url")


def _thinking(block: ThinkingBlock, accepts: Capabilities) -> list[Part]:
    """Return a thought of Gemini's; without its signature a thought means nothing to the model."""
    signature = block.additional_information.get(THOUGHT_SIGNATURE)
    return [{"text": block.content or "", "thought": True, "thoughtSignature": signature}] if signature else []


def _tool_call(block: ToolCallBlock, accepts: Capabilities) -> list[Part]:
    return [_call_part(block.tool_name, block.tool_kwargs, block.tool_call_id)]


def _call_part(name: str, arguments: Any, call_id: str | None) -> Part:
    part: Part = {"functionCall": {"name": sanitize_tool_name(name), "args": _to_arguments(arguments)}}
    if call_id:
        part["call_id"] = call_id
    return part


def _to_arguments(arguments: Any) -> dict[str, Any]:
    """Return call arguments as an object; some models' calls hold them as JSON text."""
    if isinstance(arguments, Mapping):
        return dict(arguments)
    try:
        parsed = json.loads(arguments) if arguments else {}
    except (ValueError, TypeError, RecursionError):
        parsed = arguments
    return parsed if isinstance(parsed, dict) else {"input": parsed}


def _cache_point(block: CachePoint, accepts: Capabilities) -> list[Part]:
    return []  # Gemini caches by itself


def _citable(block: CitableBlock, accepts: Capabilities) -> list[Part]:
    return _sourced(block.title, block.source, block.content, accepts)


def _citation(block: CitationBlock, accepts: Capabilities) -> list[Part]:
    return _sourced(block.title, block.source, [block.cited_content], accepts)


def _sourced(title: str, source: str, blocks: Sequence[Any], accepts: Capabilities) -> list[Part]:
    """Return *blocks* under a line that says where they are from."""
    heading = f"{title} ({source}):" if title and source else f"{title or source}:"
    parts = _parts(blocks, accepts)
    return [{"text": heading}, *parts] if title or source else parts


_CONVERTERS: Final[dict[type, Callable[[Any, Capabilities], list[Part]]]] = {
    TextBlock: _text,
    ImageBlock: _image,
    AudioBlock: _audio,
    VideoBlock: _video,
    DocumentBlock: _document,
    ThinkingBlock: _thinking,
    ToolCallBlock: _tool_call,
    CachePoint: _cache_point,
    CitableBlock: _citable,
    CitationBlock: _citation,
}
