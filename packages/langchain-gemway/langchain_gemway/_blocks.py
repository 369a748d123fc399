"""Turn the parts of an answer into LangChain's content blocks, with notes that content has no room for. Pure.

Every part becomes a standard (v1) block first. `to_v0` gives it the shape of ChatGoogleGenerativeAI, which older
programs and LangChain's `google_genai` translator read. Signatures are in `extras`. `_content` is the way back.

Signed parts must go back exactly as they came (ai.google.dev, Thought signatures). A plain string has no room for
that, so a message's `additional_kwargs` hold the following, and only where it is needed:

- `CALL_SIGNATURES`: tool call id -> signature; the key that ChatGoogleGenerativeAI uses, too.
- `SERVER_IDS`: ids of calls that the server gave. Others were made up here and are never sent.
- `PARTS`: the parts in order, as `{"text": length}`, `{"thought": length}`, `{"call": id}` or `{"block": {...}}`
  (a step of a server-side tool), texts with their `signature`. With list content only `{"call": id, "at": blocks before}`.
- `REASONING`: thoughts that nobody asked for, where the content stays a string.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import uuid
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from gemway.adapters import decode_base64, find_answered_call, from_store, inline_part
from gemway.types import Blob, CodeExecutionResult, ExecutableCode, FileData, FunctionCall, FunctionResponse, Part
from gemway.types import ToolCall as ServerToolCall
from gemway.types import ToolResponse as ServerToolResponse

from langchain_gemway._tools import BoundTools

Block = dict[str, Any]
Entry = dict[str, Any]
Shape = Literal["text", "v0", "v1"]

CALLS: Final = frozenset({"tool_call", "invalid_tool_call"})
MEDIA: Final = frozenset({"image", "audio", "video", "file"})
ONLY_V1: Final = frozenset({"audio", "video", "file", "refusal"})
"""Blocks that `google_genai` content of v0 has no shape for: content that holds them is v1 throughout."""

# The first key is ChatGoogleGenerativeAI's, so that a history can move between the two integrations. Whoever renames one
# of the others loses the signatures of all stored conversations.
CALL_SIGNATURES: Final = "__gemini_function_call_thought_signatures__"
SERVER_IDS: Final = "gemway_call_ids"
PARTS: Final = "gemway_parts"
REASONING: Final = "reasoning_content"
PROVIDER: Final = "google_genai"
"""Stamped as `model_provider`, so that LangChain's translators and ChatGoogleGenerativeAI read our messages."""


class BlockReader:
    """Turns parts into blocks, each with the `index` of the block of the message that it belongs to.

    Text that continues shares an index, up to the first signature. Calls are held until the next part shows whether
    the server answered them itself.

    Attributes:
        server_ids: the ids of calls that the server gave, rather than `new_call_id`.
    """

    def __init__(self, tools: BoundTools | None) -> None:
        self.server_ids: set[str] = set()
        self._tools = tools
        self._index = -1
        self._open_kind: str | None = None
        self._open_length = 0
        self._held_calls: list[tuple[FunctionCall, Part, Block]] = []
        self._has_media = False
        self._thought_picture: Part | None = None

    def read(self, parts: Iterable[Part]) -> list[Block]:
        """Return the blocks that *parts* complete or continue."""
        blocks: list[Block] = []
        for part in parts:
            if part.function_call is not None:
                self._held_calls.append((part.function_call, part, self._to_call(part.function_call, part)))
            elif part.function_response is not None:
                blocks += self._take_served_call(part.function_response, part)
            else:
                if self._held_calls:
                    blocks += self._release_calls()
                if part.text is not None or part.model_fields_set <= {"thought", "thought_signature"}:
                    blocks += self._read_text(part)
                else:
                    blocks.append(self._read_other(part))
        return blocks

    def finish(self) -> list[Block]:
        """Return the blocks that depend on the end of the answer: open calls, and the picture if there are only drafts.

        Some gateways mark the one picture of an answer as a thought. It is shown as a picture too, and goes back only
        once, as the thought that it came as.
        """
        blocks = self._release_calls() if self._held_calls else []
        if self._thought_picture is not None and not self._has_media:
            picture = _to_media(self._thought_picture)
            if picture["type"] == "image":
                blocks.append(self.append({**picture, "extras": {"from_thought": True}}))
        return blocks

    def append(self, block: Block) -> Block:
        """Return *block* as the next one of the message."""
        self._index += 1
        self._open_kind = None
        return {**block, "index": self._index}

    def _read_text(self, part: Part) -> list[Block]:
        """Return a piece of text, which continues the block before it if that is unsigned and of its kind."""
        kind = "reasoning" if part.thought else "text"
        text, signature = part.text or "", part.thought_signature
        if not text and not signature:
            return []
        # `extras.signed` is the number of characters at the end that a signature covers. A reasoning block has no such note, so a
        # signed thought never continues another one.
        continues = self._open_kind == kind and not (signature and text and part.thought)
        if not continues:
            self._index += 1
            self._open_length = 0
        self._open_length += len(text)
        self._open_kind = None if signature else kind
        block: Block = {"type": kind, kind: text, "index": self._index}
        if signature:
            block["extras"] = {"signature": signature}
            if kind == "text":  # so that an edited text is recognised and goes back without the signature
                block["extras"]["length"] = self._open_length
            if continues and text:
                block["extras"]["signed"] = len(text)
        return [block]

    def _read_other(self, part: Part) -> Block:
        if part.thought and part.inline_data is not None:
            self._thought_picture = part  # not one of the answer's pictures, unless no other one comes
            return self.append(_to_non_standard(part))
        convert = next((to_block for name, to_block in _CONVERTERS if getattr(part, name) is not None), None)
        if convert is None:
            return self.append(_to_non_standard(part))
        self._has_media = self._has_media or part.inline_data is not None or part.file_data is not None
        return self.append(_with_signature(convert(part), part))

    def _to_call(self, call: FunctionCall, part: Part) -> Block:
        # LangChain wants a dict; any other arguments are kept as its member `input`. The way back sends them as they are.
        args = call.args if isinstance(call.args, dict) else {} if call.args is None else {"input": call.args}
        name = call.name or ""
        # Names go out in the letters that Google allows, and integers come back as floats. The tool knows the originals.
        if self._tools is not None:
            name, args = self._tools.restored(name, args)
        if call.id:
            self.server_ids.add(call.id)
        block = {"type": "tool_call", "id": call.id or new_call_id(), "name": name, "args": args}
        return _with_signature(block, part)

    def _release_calls(self) -> list[Block]:
        """Return the held calls: nobody answered them, so they are the client's to answer."""
        blocks = [self.append(block) for _, _, block in self._held_calls]
        self._held_calls.clear()
        return blocks

    def _take_served_call(self, response: FunctionResponse, part: Part) -> list[Block]:
        """Return the server's answer and the call that it answers as blocks that ask nothing of the client."""
        # A response in the model's own turn: the server ran the tool itself. A client that saw the call would run it a
        # second time, and Gemini would refuse the second result.
        held = [(call.name, call.id) for call, _, _ in self._held_calls]
        place = find_answered_call(response.name, response.id, held)
        blocks = [] if place is None else [self.append(_to_non_standard(self._held_calls.pop(place)[1]))]
        return [*blocks, self.append(_to_non_standard(part))]


def new_call_id() -> str:
    """Return an id for a call to which the server gave none. It is never sent."""
    # Only newer models and some gateways send ids (one call in nine of the recorded traffic), and LangChain pairs calls
    # and results by id alone.
    return f"call_{uuid.uuid4().hex}"


def join_pieces(blocks: Iterable[Block]) -> list[Block]:
    """Return blocks with the pieces of each block put together; each keeps its `index`.

    Chunks of a stream need this as well as whole answers: LangChain's merge looks only for the first piece of an
    index, so that of two pieces in one chunk the second would end up behind all later text.
    """
    # Only text and thoughts come in several pieces, and their text is in the field of their type.
    whole: dict[int, Block] = {}
    for block in blocks:
        before = whole.setdefault(block["index"], block)
        if before is block:
            continue
        before[before["type"]] += block[before["type"]]
        if "extras" in block:
            before["extras"] = block["extras"]
    return list(whole.values())


def to_call_chunk(block: Block) -> Block:
    """Return a call block as the block that streams carry: its arguments as JSON text."""
    return {**block, "type": "tool_call_chunk", "args": json.dumps(block["args"], ensure_ascii=False)}


# One part, one block


def _with_signature(block: Block, part: Part) -> Block:
    # A non_standard block holds the whole part, its signature too.
    if part.thought_signature and block["type"] != "non_standard":
        block["extras"] = {**block.get("extras", {}), "signature": part.thought_signature}
    return block


def _to_media(part: Part) -> Block:
    blob = part.inline_data or Blob()
    mime_type = blob.mime_type or ""
    try:
        if mime_type.lower().startswith(_RAW_SAMPLES):
            return {"type": "audio", "base64": _to_wav(blob.data or "", mime_type), "mime_type": "audio/wav"}
        inline = inline_part(blob.data or "", mime_type or None)["inlineData"]
    except (ValueError, struct.error):  # no base64, of no known type, or with a sample rate that no WAV file can have
        return _to_non_standard(part)
    block_type = _media_type(inline["mimeType"])
    return {"type": block_type, "base64": inline["data"], "mime_type": inline["mimeType"]}


def _media_type(mime_type: str) -> str:
    family = mime_type.partition("/")[0]
    return family if family in {"image", "audio", "video"} else "file"


_RAW_SAMPLES: Final = ("audio/l16", "audio/pcm")


def _to_wav(data: str, mime_type: str) -> str:
    """Return 16-bit samples as a WAV file, since no player plays raw ones.

    The MIME type declares their rate (RFC 2586). Gemini's speech models send 24,000 Hz, and older gateways forget it.
    """
    samples = decode_base64(data)
    rate, channels = _mime_parameter(mime_type, "rate", 24_000), _mime_parameter(mime_type, "channels", 1)
    frame = 2 * channels
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 16)
    header = b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVE" + layout + b"data"
    return base64.b64encode(header + struct.pack("<I", len(samples)) + samples).decode("ascii")


def _mime_parameter(mime_type: str, name: str, default: int) -> int:
    match = re.search(rf";\s*{name}=(\d+)", mime_type, re.IGNORECASE)
    return int(match[1]) if match else default


def _to_file(part: Part) -> Block:
    file = part.file_data or FileData()
    mime_type = file.mime_type or ""
    block = {"type": _media_type(mime_type), "url": file.file_uri or ""}
    return {**block, "mime_type": mime_type} if mime_type else block


def _to_code(part: Part) -> Block:
    code = part.executable_code or ExecutableCode()
    args = {"code": code.code or "", "language": str(code.language or "PYTHON").lower()}
    return {"type": "server_tool_call", "name": "code_interpreter", "args": args, "id": code.id or ""}


def _to_code_result(part: Part) -> Block:
    result = part.code_execution_result or CodeExecutionResult()
    # ChatGoogleGenerativeAI writes outcomes as the numbers of google-genai's enumeration, and others read them.
    outcome = _OUTCOME_NUMBERS.get(str(result.outcome or "OUTCOME_OK"), result.outcome)
    return {
        "type": "server_tool_result",
        "tool_call_id": result.id or "",
        "status": "success" if outcome == 1 else "error",
        "output": result.output or "",
        "extras": {"block_type": "code_execution_result", "outcome": outcome},
    }


_OUTCOME_NUMBERS: Final = {"OUTCOME_OK": 1, "OUTCOME_FAILED": 2, "OUTCOME_DEADLINE_EXCEEDED": 3}


def _to_server_call(part: Part) -> Block:
    call = part.tool_call or ServerToolCall()
    kind = str(call.tool_type or "server_tool")
    block = {"type": "server_tool_call", "name": kind.lower(), "args": call.args or {}, "id": call.id or ""}
    return {**block, "extras": {"tool_type": kind}}


def _to_server_result(part: Part) -> Block:
    result = part.tool_response or ServerToolResponse()
    return {
        "type": "server_tool_result",
        "tool_call_id": result.id or "",
        "status": "success",
        "output": result.response,
        "extras": {"block_type": "tool_response", "tool_type": str(result.tool_type or "server_tool")},
    }


def _to_non_standard(part: Part) -> Block:
    """Return a part that LangChain has no block for, unchanged, so that it goes back unchanged."""
    return {"type": "non_standard", "value": part.model_dump(mode="json", exclude_none=True)}


_CONVERTERS: Final[tuple[tuple[str, Callable[[Part], Block]], ...]] = (
    ("inline_data", _to_media),
    ("file_data", _to_file),
    ("executable_code", _to_code),
    ("code_execution_result", _to_code_result),
    ("tool_call", _to_server_call),
    ("tool_response", _to_server_result),
)


# The shapes of ChatGoogleGenerativeAI


def to_v0(block: Block) -> Block:
    """Return a block in the shape that ChatGoogleGenerativeAI gives it."""
    convert = _V0_SHAPES.get(block["type"])
    if convert is None:
        return block
    shaped = convert(block)
    if "index" in block:
        shaped["index"] = block["index"]
    return shaped


def _to_v0_thinking(block: Block) -> Block:
    thinking = {"type": "thinking", "thinking": block["reasoning"]}
    signature = block.get("extras", {}).get("signature")
    return {**thinking, "signature": signature} if signature else thinking


def _to_v0_image(block: Block) -> Block:
    url = block.get("url") or f"data:{block['mime_type']};base64,{block['base64']}"
    return _with_extras({"type": "image_url", "image_url": {"url": url}}, block)


def _to_v0_code(block: Block) -> Block:
    if block["name"] != "code_interpreter":
        return dict(block)
    code = {"executable_code": block["args"]["code"], "language": block["args"]["language"]}
    return _with_extras({"type": "executable_code", **code, "id": block["id"]}, block)


def _to_v0_code_result(block: Block) -> Block:
    extras = block["extras"]
    if extras.get("block_type") != "code_execution_result":
        return dict(block)
    result = {
        "type": "code_execution_result",
        "code_execution_result": block["output"],
        "outcome": extras["outcome"],
        "tool_call_id": block["tool_call_id"],
    }
    signature = extras.get("signature")
    return {**result, "extras": {"signature": signature}} if signature else result


def _with_extras(shaped: Block, block: Block) -> Block:
    return {**shaped, "extras": block["extras"]} if "extras" in block else shaped


_V0_SHAPES: Final[dict[str, Callable[[Block], Block]]] = {
    "reasoning": _to_v0_thinking,
    "image": _to_v0_image,
    "server_tool_call": _to_v0_code,
    "server_tool_result": _to_v0_code_result,
}


# Notes in additional_kwargs


def additional_kwargs_for(blocks: Sequence[Block], shape: Shape, server_ids: Container[str]) -> dict[str, Any]:
    """Return the additional_kwargs of a message whose content has this *shape*."""
    extra: dict[str, Any] = {}
    for block in blocks:
        if block["type"] == "tool_call":
            note_call(block, extra, server_ids)
    if shape == "text":
        if thoughts := "".join(block["reasoning"] for block in blocks if block["type"] == "reasoning"):
            extra[REASONING] = thoughts
        if parts := string_layout(layout_entries(blocks)):
            extra[PARTS] = parts
    elif shape == "v0" and (parts := list_layout(blocks)):
        extra[PARTS] = parts
    return extra


def note_call(call: Block, extra: dict[str, Any], server_ids: Container[str]) -> None:
    """Add a call's signature and, if the server gave it, its id to *extra*."""
    if signature := call.get("extras", {}).get("signature"):
        extra.setdefault(CALL_SIGNATURES, {})[call["id"]] = signature
    if call["id"] in server_ids:
        extra.setdefault(SERVER_IDS, []).append(call["id"])


def layout_entries(blocks: Iterable[Block]) -> list[Entry]:
    """Return an entry of `PARTS` for each part that *blocks* stand for. Media have their place in the content."""
    entries: list[Entry] = []
    for block in blocks:
        block_type = block["type"]
        if block_type == "tool_call":
            entries.append({"call": block["id"]})
        elif block_type in _TEXT_KINDS:
            kind, length, extras = _TEXT_KINDS[block_type], len(block[block_type]), block.get("extras", {})
            signed = extras.get("signed", length) if "signature" in extras else 0
            if length > signed or "signature" not in extras:
                entries.append({kind: length - signed})
            if "signature" in extras:
                entries.append({kind: signed, "signature": extras["signature"]})
        elif block_type not in MEDIA and block_type not in CALLS:
            entries.append({"block": {name: value for name, value in block.items() if name != "index"}})
    return entries


_TEXT_KINDS: Final = {"text": "text", "reasoning": "thought"}


def merge_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return layout entries with the pieces of one text counted together."""
    # A stream notes each chunk; a whole answer notes each text. Merged, both notes are equal, and a thousand chunks
    # leave one entry in a checkpoint instead of a thousand.
    merged: list[Entry] = []
    for entry in entries:
        before = merged[-1] if merged else {}
        kind = next(iter(entry))
        continues = kind in {"text", "thought"} and kind in before and "signature" not in before
        if continues and not (entry[kind] and "signature" in entry):
            merged[-1] = {**before, **entry, kind: before[kind] + entry[kind]}
        else:
            merged.append(entry)
    return merged


def string_layout(entries: list[Entry]) -> list[Entry]:
    """Return *entries* if they add to the message, whose own order is text first, then calls, without signatures."""
    # A refusal is ours, not a part. Thoughts need not go back (ai.google.dev, Thought signatures), signed ones apart.
    entries = [entry for entry in entries if entry.get("block", {}).get("type") != "refusal"]
    if not any("signature" in entry and "thought" in entry for entry in entries):
        entries = [entry for entry in entries if "thought" not in entry]
    is_signed = any("signature" in entry or "block" in entry for entry in entries)
    are_calls = ["call" in entry for entry in entries]
    return entries if is_signed or are_calls != sorted(are_calls) else []


def list_layout(blocks: Iterable[Block]) -> list[Entry]:
    """Return where calls stand among the blocks, if any block follows one. Pieces of one block count once."""
    places: list[Entry] = []
    count, last_index = 0, None
    for block in blocks:
        if block["type"] == "tool_call":
            places.append({"call": block["id"], "at": count})
        elif block["type"] not in CALLS and (last_index is None or block.get("index") != last_index):
            count += 1
        last_index = block.get("index")
    return places if any(place["at"] < count for place in places) else []


def layout_from_store(value: object) -> list[Entry]:
    """Return the entries of `PARTS`, or none if they are not in our format: then the text alone counts."""
    # A store may have turned them into JSON text or Decimals, a program may have written anything.
    entries = from_store(value)
    return entries if isinstance(entries, list) and all(map(_is_layout_entry, entries)) else []


def _is_layout_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    lengths = [entry[name] for name in ("text", "thought", "at") if name in entry]
    is_known = bool(lengths) or "call" in entry or isinstance(entry.get("block"), dict)
    return is_known and all(isinstance(length, int) and length >= 0 for length in lengths)


def came_from_google(metadata: Mapping[str, Any], extra: Mapping[str, Any]) -> bool:
    """Whether a message came from Gemini, so that its signatures mean something there."""
    # `_responses` removes the provider where LangChain must look for thoughts elsewhere; the notes then tell.
    if provider := metadata.get("model_provider"):
        return provider in {"google_genai", "google_vertexai"}
    return CALL_SIGNATURES in extra or PARTS in extra
