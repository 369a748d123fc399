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
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.llms.gemway._record import THOUGHT_SIGNATURE, Entry, JsonObject, read_record
from llama_index.llms.gemway._tools import read_legacy_calls

from gemway import Capabilities, UnsupportedContentError, capabilities
from gemway.adapters import decode_base64, inline_part, sanitize_tool_name, sniff_mime_type, split_result_media, to_part

Part: TypeAlias = JsonObject
Content: TypeAlias = JsonObject
BlockData: TypeAlias = bytes | IOBase | None
ToolResultMedia: TypeAlias = Literal["auto", "parts", "beside"]

_SYSTEM_ROLES: Final = frozenset({MessageRole.SYSTEM, MessageRole.DEVELOPER})
_MODEL_ROLES: Final = frozenset({MessageRole.ASSISTANT, MessageRole.MODEL, MessageRole.CHATBOT})
_TOOL_ROLES: Final = frozenset({MessageRole.TOOL, MessageRole.FUNCTION})


def to_contents(
    messages: Iterable[ChatMessage], *, model: str, tool_result_media: ToolResultMedia = "auto"
) -> tuple[list[Content], Content | None]:
    """Return the contents of a conversation, in its order, and its system instruction.

    System and developer messages become the instruction, wherever they are in the conversation. The parts of calls and
    results carry LlamaIndex's id of the call as `call_id`, by which `gemway.adapters.arrange` pairs them.

    Raises:
        UnsupportedContentError: a block that cannot be sent, or nothing to answer.
    """
    accepts = capabilities(model)
    contents: list[Content] = []
    system: list[Part] = []
    for message in messages:
        role = message.role
        if role in _SYSTEM_ROLES:
            system += _system_parts(message, accepts)
        elif role in _MODEL_ROLES:
            contents.append({"role": "model", "parts": _model_parts(message, accepts)})
        elif role in _TOOL_ROLES:
            contents.append({"role": "user", "parts": _tool_parts(message, model, tool_result_media)})
        else:
            contents.append({"role": "user", "parts": _to_parts(message.blocks, accepts)})
    if not any(content["parts"] for content in contents):
        raise UnsupportedContentError(
            "there is nothing to answer: pass at least one user message with content in addition to system messages"
        )
    if system and not accepts.system_instruction:
        # Image models of the 2.5 generation answer a systemInstruction with a 400, so it becomes the first user turn.
        return [{"role": "user", "parts": system}, *contents], None
    return contents, {"parts": system} if system else None


def _system_parts(message: ChatMessage, accepts: Capabilities) -> list[Part]:
    parts = _to_parts(message.blocks, accepts)
    if any("text" not in part for part in parts):
        raise UnsupportedContentError("a system message can hold only text; put pictures and files in a user message")
    return parts


# The model's turns


def _model_parts(message: ChatMessage, accepts: Capabilities) -> list[Part]:
    blocks = message.blocks
    if record := read_record(message):
        return _recorded_parts(blocks, record, accepts)
    # No record: a message of the user's own, of another model, or a plain answer, whose blocks are all that there was.
    parts = _to_parts(blocks, accepts)
    if message.additional_kwargs and not any(isinstance(block, ToolCallBlock) for block in blocks):
        calls = read_legacy_calls(message.additional_kwargs.get("tool_calls"))
        parts += [_call_part(call.name, call.arguments, call.call_id) for call in calls]
    return parts


def _recorded_parts(blocks: Sequence[ContentBlock], record: Sequence[Entry], accepts: Capabilities) -> list[Part]:
    """Return the parts as they were received, followed by the blocks that the record does not mention."""
    blocks_by_key: dict[tuple[str, str | int | None], ContentBlock] = {}
    for number, block in _numbered_by_type(blocks):
        blocks_by_key[block.block_type, block.tool_call_id if isinstance(block, ToolCallBlock) else number] = block
    texts = _RecordedTexts(record)
    recorded_ids: set[int] = set()
    parts: list[Part] = []
    for entry in record:
        kind = entry.get("kind", "")
        recorded = blocks_by_key.get((kind, entry.get("id", entry.get("index"))))
        if kind == "part":
            parts.append(entry.get("part", {}))
        elif isinstance(recorded, TextBlock):
            parts += texts.to_parts(entry, recorded)
        elif recorded is not None:
            parts += _with_recorded_members(_to_parts([recorded], accepts), entry)
        recorded_ids.add(id(recorded))
    return parts + _to_parts([block for block in blocks if id(block) not in recorded_ids], accepts)


def _numbered_by_type(blocks: Sequence[ContentBlock]) -> Iterator[tuple[int, ContentBlock]]:
    """Yield blocks, each with its number among the blocks of its type."""
    counts: dict[str, int] = {}
    for block in blocks:
        number = counts.get(block.block_type, 0)
        counts[block.block_type] = number + 1
        yield number, block


class _RecordedTexts:
    """Cuts the text of blocks into the parts in which it was received.

    LlamaIndex shows the text of an answer as one block, but each part of it may have a signature of its own, and
    Gemini 3 checks signatures against the text of their parts.
    """

    def __init__(self, record: Sequence[Entry]) -> None:
        self._received_lengths: dict[int, int] = {}
        self._sent_lengths: dict[int, int] = {}
        for entry in record:
            if entry.get("kind") == "text":
                index = entry.get("index", 0)
                self._received_lengths[index] = self._received_lengths.get(index, 0) + entry.get("length", 0)

    def to_parts(self, entry: Entry, block: TextBlock) -> list[Part]:
        """Return the part for *entry*. An edited text goes as a whole: its signatures are no longer valid."""
        index = entry.get("index", 0)
        start = self._sent_lengths.get(index, 0)
        if len(block.text) != self._received_lengths[index]:
            self._sent_lengths[index] = 1
            return [{"text": block.text}] if block.text and not start else []
        self._sent_lengths[index] = end = start + entry.get("length", 0)
        return [{"text": block.text[start:end], **entry.get("rest", {})}]


def _with_recorded_members(parts: list[Part], entry: Entry) -> list[Part]:
    """Give the first of *parts* back the members that it was received with, such as its signature."""
    if not parts:
        return parts
    first = {**parts[0], **entry.get("rest", {})}
    if "server_id" in entry and "functionCall" in first:
        first["functionCall"] = {"id": entry["server_id"], **first["functionCall"]}
    return [first, *parts[1:]]


# Tool results


def _tool_parts(message: ChatMessage, model: str, where: ToolResultMedia) -> list[Part]:
    """Return a functionResponse. Its media go into it, or follow it under the same `call_id`."""
    extra = message.additional_kwargs
    texts: list[str] = []
    media: list[Part] = []
    for part in _to_parts(message.blocks, capabilities(model)):
        if "text" in part:
            texts.append(part["text"])
        else:
            media.append(part)
    payload: Part = {"response": {"error" if extra.get("is_error") else "output": "\n".join(texts)}}
    if name := extra.get("name") or extra.get("tool_name"):
        payload["name"] = sanitize_tool_name(name)
    # Gemini 3 reads media inside a functionResponse; earlier models read them only as parts after it.
    inside, after = split_result_media(media, model=model, where=where)
    if inside:
        payload["parts"] = inside
    parts: list[Part] = [{"functionResponse": payload}, *after]
    call_id = extra.get("tool_call_id")
    return parts if call_id is None else [{**part, "call_id": call_id} for part in parts]


# Blocks


def _to_parts(blocks: Sequence[ContentBlock], accepts: Capabilities) -> list[Part]:
    """Return the parts for *blocks*, keeping their order. An empty text is no part: Google refuses one."""
    parts: list[Part] = []
    for block in blocks:
        if type(block) is TextBlock:
            if block.text:
                parts.append({"text": block.text})
        else:
            convert = _CONVERTERS.get(type(block)) or _converter_of_base(block)
            parts += convert(block, accepts)
    return parts


def _converter_of_base(block: ContentBlock) -> Callable[[Any, Capabilities], list[Part]]:
    """Return the converter for the class that *block*'s class is derived from."""
    for kind in type(block).__mro__:
        if kind in _CONVERTERS:
            return _CONVERTERS[kind]
    supported = ", ".join(kind.__name__ for kind in _CONVERTERS)
    raise UnsupportedContentError(f"cannot send a {type(block).__name__}; known: {supported}")


def _text_parts(block: TextBlock, accepts: Capabilities) -> list[Part]:
    return [{"text": block.text}] if block.text else []


_MEDIA_RESOLUTIONS: Final = {
    "low": "MEDIA_RESOLUTION_LOW",
    "medium": "MEDIA_RESOLUTION_MEDIUM",
    "high": "MEDIA_RESOLUTION_HIGH",
}


def _image_parts(block: ImageBlock, accepts: Capabilities) -> list[Part]:
    part = _media_part("ImageBlock", block.image, block.path, block.url, block.image_mimetype)
    # OpenAI's `detail` for one picture. Before Gemini 3 the resolution can only be set for a whole request.
    if accepts.generation >= 3 and (level := _MEDIA_RESOLUTIONS.get(block.detail or "")):
        part["mediaResolution"] = {"level": level}
    return [part]


# File extensions, which LlamaIndex keeps as `format`, whose media type is not simply audio/<extension>.
_AUDIO_TYPES: Final = {
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "opus": "audio/ogg",
    "oga": "audio/ogg",
    "wave": "audio/wav",
}


def _audio_parts(block: AudioBlock, accepts: Capabilities) -> list[Part]:
    declared = (block.format or "").strip()
    if "/" in declared or not declared:
        # A media type: its parameters tell the sample rate of raw audio, which no extension does.
        return [_media_part("AudioBlock", block.audio, block.path, block.url, declared or None)]
    extension = declared.lower().lstrip(".")
    mime_type = _AUDIO_TYPES.get(extension, f"audio/{extension}")
    return [_media_part("AudioBlock", block.audio, block.path, block.url, mime_type)]


def _video_parts(block: VideoBlock, accepts: Capabilities) -> list[Part]:
    # Google samples one frame a second unless `videoMetadata.fps` asks for another rate.
    part = _media_part("VideoBlock", block.video, block.path, block.url, block.video_mimetype)
    if block.fps is not None:
        part["videoMetadata"] = {"fps": block.fps}
    return [part]


def _media_part(kind: str, data: BlockData, path: Path | str | None, url: object, mime_type: str | None) -> Part:
    """Return the part for the data of a block, else for the file or the address that it names."""
    if isinstance(data, bytes) and data:
        # LlamaIndex keeps data as base64 text in bytes. Bytes that are no ASCII were assigned after its validators
        # had run, and are the media themselves.
        return inline_part(data.decode("ascii") if data.isascii() else data, mime_type)
    if isinstance(data, IOBase):
        data.seek(0)
        return inline_part(data.read(), mime_type)
    if path:
        return to_part(Path(path), mime_type=mime_type)
    if url:
        return to_part(str(url), mime_type=mime_type)
    raise UnsupportedContentError(f"the {kind} is empty; give it data, a path or a url")


_TEXT_TYPES: Final = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")


def _document_parts(block: DocumentBlock, accepts: Capabilities) -> list[Part]:
    """Return text documents as text, all others as media.

    Gemini reads media of application/pdf and of a few text types only (ai.google.dev, Document understanding); as
    text, every text document reaches every model.
    """
    mime_type = block.document_mimetype
    if block.url and not (block.data or block.path):
        return [to_part(block.url, mime_type=mime_type)]
    if mime_type and not mime_type.startswith(_TEXT_TYPES):
        return [_media_part("DocumentBlock", block.data, block.path, block.url, mime_type)]
    data = _document_bytes(block)
    if not mime_type and (sniffed := sniff_mime_type(data[:64])):
        return [inline_part(data, sniffed)]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnsupportedContentError(
            f"cannot recognize the type of document {block.title!r} from its bytes; pass document_mimetype="
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


def _thinking_parts(block: ThinkingBlock, accepts: Capabilities) -> list[Part]:
    """Return a thought of Gemini's. A thought without a signature means nothing to the model and is left out."""
    signature = block.additional_information.get(THOUGHT_SIGNATURE)
    return [{"text": block.content or "", "thought": True, "thoughtSignature": signature}] if signature else []


def _tool_call_parts(block: ToolCallBlock, accepts: Capabilities) -> list[Part]:
    return [_call_part(block.tool_name, block.tool_kwargs, block.tool_call_id)]


def _call_part(name: str, arguments: Any, call_id: str | None) -> Part:
    if not isinstance(arguments, Mapping):
        # Other models' classes keep the arguments of calls as JSON text. Gemini takes an object and nothing else.
        try:
            arguments = json.loads(arguments) if arguments else {}
        except (ValueError, TypeError, RecursionError):
            pass
        arguments = arguments if isinstance(arguments, dict) else {"input": arguments}
    part: Part = {"functionCall": {"name": sanitize_tool_name(name), "args": dict(arguments)}}
    if call_id:
        part["call_id"] = call_id
    return part


def _cache_point_parts(block: CachePoint, accepts: Capabilities) -> list[Part]:
    # Anthropic's marker. Gemini caches repeated beginnings of prompts by itself.
    return []


def _citable_parts(block: CitableBlock, accepts: Capabilities) -> list[Part]:
    return _parts_with_source(block.title, block.source, block.content, accepts)


def _citation_parts(block: CitationBlock, accepts: Capabilities) -> list[Part]:
    return _parts_with_source(block.title, block.source, [block.cited_content], accepts)


def _parts_with_source(title: str, source: str, blocks: Sequence[ContentBlock], accepts: Capabilities) -> list[Part]:
    """Return *blocks* under a line that names their source."""
    # Gemini has no part for citations, and without the heading a model could not name the source that it quotes.
    heading = f"{title} ({source}):" if title and source else f"{title or source}:"
    parts = _to_parts(blocks, accepts)
    return [{"text": heading}, *parts] if title or source else parts


# `Any`, because each converter takes the class that it is listed under.
_CONVERTERS: Final[dict[type, Callable[[Any, Capabilities], list[Part]]]] = {
    TextBlock: _text_parts,
    ImageBlock: _image_parts,
    AudioBlock: _audio_parts,
    VideoBlock: _video_parts,
    DocumentBlock: _document_parts,
    ThinkingBlock: _thinking_parts,
    ToolCallBlock: _tool_call_parts,
    CachePoint: _cache_point_parts,
    CitableBlock: _citable_parts,
    CitationBlock: _citation_parts,
}
