"""Turn content blocks, of LangChain and of other providers, into parts of the wire. Pure: fetches nothing.

A block is identified by its `type`, or by its keys if it has none. `_CONVERTERS` at the end lists every type that can
be sent: LangChain's v0 and v1 blocks, OpenAI's, Anthropic's, Bedrock's, MCP's, Google's own parts and the blocks of
ChatGoogleGenerativeAI. Signatures go back only to the provider that made them. `_blocks` is the way back.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from gemway import UnsupportedContentError
from gemway.adapters import decode_base64, inline_part, sniff_mime_type, to_part

Json = Any  # passed through as it is
Block = Mapping[str, Json]
Part = dict[str, Json]

_log = logging.getLogger("langchain_gemway")


@dataclass(frozen=True, slots=True)
class Source:
    """Who wrote the content that is being converted.

    Attributes:
        google: whether Gemini wrote it, so that its signatures mean something to Gemini.
        model: whether a model wrote it, rather than the user or a tool.
        foreign: whether it is certain that another provider's model wrote it.
    """

    google: bool = False
    model: bool = False
    foreign: bool = False


USER: Final = Source()
GEMINI: Final = Source(google=True, model=True)
OTHER_PROVIDER: Final = Source(model=True, foreign=True)
UNKNOWN_MODEL: Final = Source(model=True)


def to_parts(content: Json, source: Source) -> list[Part]:
    """Return the parts for message content, or for a single block, in order.

    Raises:
        UnsupportedContentError: for a block that Gemini has no part for.
    """
    parts: list[Part] = []
    for block in (content,) if isinstance(content, str | Mapping) else content or ():
        if isinstance(block, str):
            parts.append({"text": block})
            continue
        if not isinstance(block, Mapping):
            kind = type(block).__name__
            raise UnsupportedContentError(f"cannot send content of type {kind}; use a string or a content block")
        block_type = block.get("type")
        if block_type == "text" and not source.google and isinstance(text := block.get("text"), str):
            parts.append({"text": text})  # nearly every block; nothing but the text goes to Gemini
            continue
        if (
            isinstance(data := block.get("base64"), str)
            and _KEYS_OF_INLINE_MEDIA.issuperset(block)
            and block_type in _INLINE_MEDIA
            and data[:5].lower() != "data:"
        ):
            parts.append(inline_part(data, block.get("mime_type")))  # nearly every picture
            continue
        convert = _CONVERTERS.get(block_type) if isinstance(block_type, str) else _converter_by_keys(block)
        if convert is not None:
            parts += convert(block, source)
        elif source.foreign or (source.model and block_type in _OTHER_PROVIDERS_SERVER_BLOCKS):
            _log.debug("not sent: a %r block of another provider", block_type)
        else:
            supported = ", ".join(sorted(_CONVERTERS))
            raise UnsupportedContentError(f"cannot send a {block_type!r} block; known: {supported}")
    return parts


# Standard blocks of media, and their keys that need no conversion. A block with any other key takes the long way.
_INLINE_MEDIA: Final = frozenset({"image", "audio", "video", "file"})
_KEYS_OF_INLINE_MEDIA: Final = frozenset({"type", "base64", "mime_type", "id", "index"})


def signature_of(block: Block, source: Source) -> str | None:
    """Return the block's thought signature if Gemini made it."""
    if not source.google:
        return None
    extras = block.get("extras")
    signature = (extras.get("signature") if isinstance(extras, Mapping) else None) or block.get("signature")
    signature = signature or block.get("thought_signature") or block.get("thoughtSignature")
    # google-genai holds signatures as bytes, and a history may have come from there.
    return base64.b64encode(signature).decode("ascii") if isinstance(signature, bytes) else signature


def _with_signature(part: Part, block: Block, source: Source) -> list[Part]:
    signature = signature_of(block, source)
    return [{**part, "thoughtSignature": signature}] if signature else [part]


# Text


def _text_parts(block: Block, source: Source) -> list[Part]:
    text = block.get("text")
    if not isinstance(text, str):
        return []
    return _signed_text_parts(text, block, source) if source.google else [{"text": text}]


def _signed_text_parts(text: str, block: Block, source: Source) -> list[Part]:
    """Return text of Gemini's with its signature, unless somebody edited the text since.

    A signature covers the text exactly as it came. `_blocks` notes the text's length and, if the signature covers
    only the end of it, how many characters that is. Text that a middleware lengthened or cut goes without the
    signature: Google refuses, or misreads, a signature on other text (ai.google.dev, Thought signatures).
    """
    extras = block.get("extras")
    length, signed = (
        (_as_integer(extras.get("length")), _as_integer(extras.get("signed")))
        if isinstance(extras, Mapping)
        else (None, None)
    )
    if length is not None and length != len(text):
        return [{"text": text}]
    if signed is not None and 0 < signed < len(text):
        return [{"text": text[:-signed]}, *_with_signature({"text": text[-signed:]}, block, source)]
    return _with_signature({"text": text}, block, source)


def _as_integer(number: object) -> int | None:
    # Stores such as DynamoDB have no integers and bring numbers back as Decimal.
    return int(number) if isinstance(number, int | Decimal) else None


def _plain_text_parts(block: Block, source: Source) -> list[Part]:
    if block.get("text") is None:
        return _media_parts(block, source)
    return [{"text": "\n\n".join(filter(None, (block.get("title"), block.get("context"), block["text"])))}]


def _thought_parts(block: Block, source: Source) -> list[Part]:
    thought = block.get("reasoning") or block.get("thinking") or ""
    # Gemini cannot check another provider's thoughts, and as text they would look like words that the user has seen.
    if not source.google or not isinstance(thought, str):
        _log.debug("not sent: reasoning of another provider")
        return []
    return _with_signature({"text": thought, "thought": True}, block, source)


def _refusal_parts(block: Block, source: Source) -> list[Part]:
    # Gemini has no part for a refusal. As text the model knows what it answered, and the turns keep alternating.
    return [{"text": str(block.get("refusal") or "")}]


def _search_result_parts(block: Block, source: Source) -> list[Part]:
    # A block of Anthropic's (docs.anthropic.com, Search results). The title and the address go with the text, so that
    # the model can name its source.
    lines = [block.get("title"), block.get("source"), *_texts_in(block.get("content") or ())]
    return [{"text": "\n".join(str(line) for line in lines if line)}]


def _texts_in(blocks: Iterable[object]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, str):
            yield block
        elif isinstance(block, Mapping) and isinstance(block.get("text"), str):
            yield block["text"]


# Media


def _media_parts(block: Block, source: Source) -> list[Part]:
    if _is_repeated_thought(block, source):
        return []
    part = _locate_media(block)
    if "fileData" in part and (mime_type := block.get("mime_type")):
        part = {"fileData": {**part["fileData"], "mimeType": mime_type}}
    extras = block.get("extras")
    for holder in (block, extras if isinstance(extras, Mapping) else {}):
        part.update({wire: to_camel_case(holder[name]) for name, wire in _MEDIA_MODIFIERS.items() if holder.get(name)})
    return _with_signature(part, block, source)


# Siblings of `inlineData` and `fileData` in a part (ai.google.dev, Media resolution; Video understanding).
_MEDIA_MODIFIERS: Final = {
    "media_resolution": "mediaResolution",
    "mediaResolution": "mediaResolution",
    "video_metadata": "videoMetadata",
    "videoMetadata": "videoMetadata",
    "media_processing": "mediaProcessing",
}


def _is_repeated_thought(block: Block, source: Source) -> bool:
    """Whether this picture is in the message a second time, as the thought that it came as.

    Some gateways mark the only picture of an answer as a thought. `BlockReader` then shows it as a picture too; only
    the thought goes back.
    """
    extras = block.get("extras")
    return source.google and isinstance(extras, Mapping) and bool(extras.get("from_thought"))


def _locate_media(block: Block) -> Part:
    """Return the part for media in v0 and v1 blocks: base64, bytes, a URL or the id of an uploaded file."""
    mime_type = block.get("mime_type") or block.get("mimeType")  # MCP writes mimeType
    source = block.get("source")
    if isinstance(source, Mapping):
        return _media_from_source(source, mime_type)
    for name in ("base64", "data", "bytes"):
        if (data := block.get(name)) is not None:
            is_base64 = name == "base64" or block.get("source_type") == "base64"
            return _inline_media(data, mime_type, is_base64=is_base64)
    for name in ("url", "file_uri", "fileUri"):
        if isinstance(address := block.get(name), str):
            return to_part(address, mime_type=mime_type)
    for name in ("file_id", "id"):
        if isinstance(identifier := block.get(name), str):
            return _uploaded_file(identifier, mime_type)
    if isinstance(text := block.get("text"), str):
        return {"text": text}
    raise UnsupportedContentError(f"a {block.get('type')!r} block needs one of base64, url or file_id")


def _inline_media(data: object, mime_type: str | None, *, is_base64: bool = False) -> Part:
    """Return the part for base64 text or bytes, which may be base64 text as well: `b64encode` returns bytes."""
    if isinstance(data, bytearray | memoryview):
        data = bytes(data)
    if isinstance(data, bytes):
        data = _base64_in_bytes(data, is_certain=is_base64) or data
    elif not isinstance(data, str):
        raise UnsupportedContentError(f"media must be bytes or base64 text, not {type(data).__name__}")
    if isinstance(data, str) and data[:5].lower() == "data:":
        return to_part(data, mime_type=mime_type)
    return inline_part(data, mime_type)


def _base64_in_bytes(data: bytes, *, is_certain: bool) -> str | None:
    """Return the base64 text that *data* holds: if the block promises it, or if only its content is a known file."""
    try:
        text = data.decode("ascii")
        head = decode_base64(text if is_certain else text[:128])
    except ValueError:
        return None
    is_file_inside = sniff_mime_type(data[:128]) is None and sniff_mime_type(head) is not None
    return text if is_certain or is_file_inside else None


def _uploaded_file(identifier: str, mime_type: str | None) -> Part:
    """Return the part for an uploaded file, given by its address or its id in Google's Files API."""
    # The API names its files `files/abc-123` (ai.google.dev/api/files), but frameworks keep only the id.
    is_address = "://" in identifier or identifier.startswith("files/")
    file = {"fileUri": identifier if is_address else f"files/{identifier}"}
    return {"fileData": {"mimeType": mime_type, **file} if mime_type else file}


def _media_from_source(source: Block, mime_type: str | None) -> Part:
    """Return the part for the `source` of Anthropic's (and Bedrock's) images and documents."""
    declared = source.get("media_type") or source.get("mime_type") or mime_type
    kind = source.get("type")
    if kind == "text":
        return {"text": source.get("data", "")}
    if kind == "content":
        content = source.get("content")
        return {"text": content if isinstance(content, str) else "\n".join(_texts_in(content or ()))}
    if kind == "url" or "url" in source:
        return to_part(source["url"], mime_type=declared)
    if kind == "file" or "file_id" in source:
        return _uploaded_file(source["file_id"], declared)
    return _inline_media(source.get("data", source.get("bytes", "")), declared, is_base64=kind == "base64")


def _image_url_parts(block: Block, source: Source) -> list[Part]:
    """Read OpenAI's `image_url` (text or an object) and `input_image`."""
    if _is_repeated_thought(block, source):
        return []
    image = block.get("image_url") or block.get("url") or block.get("file_id")
    address = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(address, str) or not address:
        raise UnsupportedContentError(f"a {block.get('type')!r} block needs a URL")
    mime_type = block.get("mime_type")
    if block.get("file_id") == address:
        part = _uploaded_file(address, mime_type)
    elif "://" in address or address[:5].lower() == "data:":
        part = to_part(address, mime_type=mime_type)
    else:
        part = _bare_base64_image(address, mime_type)
    # Only Google's integration puts a signature next to an image_url, and its old checkpoints name no provider.
    return _with_signature(part, block, GEMINI if source.model else source)


def _bare_base64_image(text: str, mime_type: str | None) -> Part:
    """Read base64 without a data URL around it, as earlier versions of ChatGoogleGenerativeAI wrote it."""
    try:
        return inline_part(text, mime_type)
    except ValueError:
        return to_part(text, mime_type=mime_type)  # its error explains which strings can be sent


def _input_audio_parts(block: Block, source: Source) -> list[Part]:
    audio = block.get("input_audio") or {}
    # OpenAI gives a file's ending in place of a MIME type, and the type of .mp3 is not audio/mp3 (RFC 3003).
    audio_format = audio.get("format", "wav")
    mime_type = {"mp3": "audio/mpeg"}.get(audio_format, f"audio/{audio_format}")
    return [_inline_media(audio.get("data", ""), mime_type, is_base64=True)]


def _file_parts(block: Block, source: Source) -> list[Part]:
    """Read v1 files, and OpenAI's `file` and `input_file`."""
    file = block["file"] if isinstance(block.get("file"), Mapping) else block
    mime_type = block.get("mime_type") or file.get("mime_type")
    if isinstance(data := file.get("file_data"), str | bytes):
        # OpenAI takes PDF only, so its files need not name their type; a data URL does.
        is_data_url = data[:5] in {"data:", b"data:"}
        return [_inline_media(data, mime_type or (None if is_data_url else "application/pdf"), is_base64=True)]
    if isinstance(address := file.get("file_url"), str):
        return [to_part(address, mime_type=mime_type)]
    if file is not block and isinstance(identifier := file.get("file_id"), str):
        return [_uploaded_file(identifier, mime_type)]
    return _media_parts(block, source)


def _document_parts(block: Block, source: Source) -> list[Part]:
    """Read Anthropic's documents, which may hold blocks of their own."""
    holder = block.get("source")
    if isinstance(holder, Mapping) and holder.get("type") == "content":
        return to_parts(holder.get("content"), source)
    return _media_parts(block, source)


def _bedrock_media_parts(block: Block, source: Source) -> list[Part]:
    # Bedrock names the kind of a block by its key and the format by a file's ending (docs.aws.amazon.com, ContentBlock).
    kind = next(name for name in ("image", "video", "document") if name in block)
    media = block[kind]
    file_format = media.get("format")
    family = kind if kind in {"image", "video"} else "application"
    mime_type = _BEDROCK_TEXT_TYPES.get(file_format, f"{family}/{file_format}")
    return [_media_from_source(media.get("source") or {}, mime_type)]


_BEDROCK_TEXT_TYPES: Final = {"txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html"}


def _openai_picture_parts(block: Block, source: Source) -> list[Part]:
    """Read the picture that OpenAI's built-in tool generated."""
    picture = block.get("result")
    return [inline_part(picture, None)] if isinstance(picture, str) and picture else []


def _mcp_resource_parts(block: Block, source: Source) -> list[Part]:
    """Read an embedded resource of MCP: text, or a file in base64."""
    resource = block.get("resource")
    if isinstance(resource, Mapping) and resource.get("blob"):
        return [_inline_media(resource["blob"], resource.get("mimeType"), is_base64=True)]
    return [{"text": describe_as_json(block)}]


# Tools that the server ran


def _executable_code_parts(block: Block, source: Source) -> list[Part]:
    code = {"code": block.get("executable_code", ""), "language": str(block.get("language") or "PYTHON").upper()}
    if block.get("id") and source.google and not _looks_like_uuid(block["id"]):
        code["id"] = block["id"]
    return _with_signature({"executableCode": code}, block, source)


def _looks_like_uuid(identifier: str) -> bool:
    # ChatGoogleGenerativeAI gives code without an id a random UUID, which means nothing to the server.
    return len(identifier) == 36 and identifier.count("-") == 4


def _code_result_parts(block: Block, source: Source) -> list[Part]:
    outcome = block.get("outcome", 1)
    result = {"outcome": _OUTCOME_NAMES.get(outcome, outcome), "output": block.get("code_execution_result", "")}
    if block.get("tool_call_id"):
        result["id"] = block["tool_call_id"]
    return _with_signature({"codeExecutionResult": result}, block, source)


_OUTCOME_NAMES: Final = {1: "OUTCOME_OK", 2: "OUTCOME_FAILED", 3: "OUTCOME_DEADLINE_EXCEEDED"}


def _server_call_parts(block: Block, source: Source) -> list[Part]:
    extras = block.get("extras") or {}
    if not source.google:
        _log.debug("not sent: a server tool call of another provider")
        return []
    args = block.get("args") or {}
    if block.get("name") == "code_interpreter" and "tool_type" not in extras:
        code = {"executable_code": args.get("code", ""), "language": args.get("language"), "id": block.get("id")}
        return _executable_code_parts({**code, "extras": extras}, source)
    call = {"toolType": extras.get("tool_type", str(block.get("name")).upper()), "args": args}
    return _with_signature({"toolCall": {"id": block["id"], **call} if block.get("id") else call}, block, source)


def _server_result_parts(block: Block, source: Source) -> list[Part]:
    extras = block.get("extras") or {}
    if not source.google:
        _log.debug("not sent: a server tool result of another provider")
        return []
    call_id = block.get("tool_call_id")
    if extras.get("block_type") == "tool_response":
        result = {"toolType": extras.get("tool_type"), "response": block.get("output")}
        return _with_signature({"toolResponse": {"id": call_id, **result} if call_id else result}, block, source)
    result = {"code_execution_result": block.get("output", ""), "outcome": extras.get("outcome", 1)}
    return _code_result_parts({**result, "tool_call_id": call_id, "extras": extras}, source)


def _non_standard_parts(block: Block, source: Source) -> list[Part]:
    """Read a block that LangChain wrapped: a wire part that was kept as it came, or another provider's block."""
    value = block.get("value")
    return to_parts(value, source) if isinstance(value, Mapping) else []


def _no_parts(block: Block, source: Source) -> list[Part]:
    return []


# Server-side tool blocks of other providers. They mean nothing to Gemini and are dropped.
_OTHER_PROVIDERS_SERVER_BLOCKS: Final = frozenset(
    {
        *("web_search_call", "file_search_call", "computer_call", "code_interpreter_call", "local_shell_call"),
        *("mcp_call", "mcp_list_tools", "mcp_approval_request", "custom_tool_call", "compaction"),
        *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
        *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "container_upload"),
        *("mcp_tool_use", "mcp_tool_result", "reasoning_content", "guard_content"),
    }
)


# Blocks without a type

_WIRE_FIELDS: Final = frozenset(
    {
        *("inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"),
        *("toolCall", "toolResponse", "inline_data", "file_data"),
    }
)


def _converter_by_keys(block: Block) -> _Converter | None:
    if not _WIRE_FIELDS.isdisjoint(block) or "thoughtSignature" in block:
        return _wire_parts
    if isinstance(block.get("text"), str):
        return _text_parts
    by_key = next((convert for name, convert in _CONVERTERS_BY_KEY.items() if name in block), None)
    return by_key or (_unknown_wire_parts if block else None)


def _wire_parts(block: Block, source: Source) -> list[Part]:
    """Return a part of the wire as it came, in camelCase."""
    for name in _WIRE_FIELDS.intersection(block):
        if not isinstance(block[name], Mapping):
            kind = type(block[name]).__name__
            raise UnsupportedContentError(f"{name!r} of a part must be an object, not {kind}")
    # Only media come in both spellings, from Google's curl examples. Everything else stays byte for byte: it may be
    # signed, and the arguments of a call have names of the user's.
    names = {"inline_data": "inlineData", "file_data": "fileData"}
    part = {names.get(name, name): to_camel_case(value) if name in names else value for name, value in block.items()}
    if not source.google:
        part.pop("thoughtSignature", None)
    return [part]


def _unknown_wire_parts(block: Block, source: Source) -> list[Part]:
    # Perhaps a field that Google added after this release. It goes back only to Gemini, where it came from.
    return [dict(block)] if source.google else []


# JSON


def to_camel_case(value: Json) -> Json:
    """Return JSON data with its names in camelCase, all the way down."""
    if isinstance(value, Mapping):
        return {camel_case(name): to_camel_case(item) for name, item in value.items()}
    return [to_camel_case(item) for item in value] if isinstance(value, list | tuple) else value


def camel_case(name: str) -> str:
    """Return a snake_case name in camelCase."""
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda letter: letter[1].upper(), name)


def describe_as_json(block: object) -> str:
    """Return *block* as JSON text for a model to read, without long strings such as files in base64."""
    return json.dumps(_shorten(block, 0), ensure_ascii=False, default=str)


# A block of an unknown type may hold a file. In base64 one picture would fill the model's window, and tell it nothing.
_LONGEST_STRING: Final = 20_000  # characters
# Far deeper than JSON that anybody writes, and far from Python's own limit, where the call would fail.
_DEEPEST_NESTING: Final = 50


def _shorten(value: Json, depth: int) -> Json:
    if isinstance(value, str | bytes) and len(value) > _LONGEST_STRING:
        return f"({len(value)} characters left out)"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if depth > _DEEPEST_NESTING:
        return "(left out: nested too deeply)"
    if isinstance(value, Mapping):
        return {str(name): _shorten(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_shorten(item, depth + 1) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


_Converter = Callable[[Block, Source], list[Part]]

# Bedrock's blocks and parts of the wire name their kind by a key. The first key that is there decides.
_CONVERTERS_BY_KEY: Final[dict[str, _Converter]] = {
    "image": _bedrock_media_parts,
    "video": _bedrock_media_parts,
    "document": _bedrock_media_parts,
    "reasoningContent": _no_parts,
    "cachePoint": _no_parts,
    "image_url": _image_url_parts,
}

_CONVERTERS: Final[dict[str, _Converter]] = {
    "text": _text_parts,
    "input_text": _text_parts,
    "output_text": _text_parts,
    "text-plain": _plain_text_parts,
    "refusal": _refusal_parts,
    "reasoning": _thought_parts,
    "thinking": _thought_parts,
    "redacted_thinking": _no_parts,
    "image": _media_parts,
    "audio": _media_parts,
    "video": _media_parts,
    "media": _media_parts,
    "file_data": _media_parts,
    "file": _file_parts,
    "input_file": _file_parts,
    "document": _document_parts,
    "image_url": _image_url_parts,
    "input_image": _image_url_parts,
    "input_audio": _input_audio_parts,
    "executable_code": _executable_code_parts,
    "code_execution_result": _code_result_parts,
    "server_tool_call": _server_call_parts,
    "server_tool_result": _server_result_parts,
    "non_standard": _non_standard_parts,
    "invalid_tool_call": _no_parts,
    "function_call_signature": _no_parts,
    "image_generation_call": _openai_picture_parts,
    "search_result": _search_result_parts,
    "resource": _mcp_resource_parts,
}
