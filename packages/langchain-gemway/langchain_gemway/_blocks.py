"""Parts of an answer as LangChain's content blocks. Pure.

Everything becomes a standard (v1) block first; `to_v0` says the same in the shapes of ChatGoogleGenerativeAI, which
older programs and LangChain's `google_genai` translator read. Signatures are in `extras`.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from gemway import decode_base64, inline_part
from gemway.types import Blob, Part

from langchain_gemway._metadata import plain
from langchain_gemway._tools import BoundTools

Block = dict[str, Any]

_KINDS: Final = {"image": "image", "audio": "audio", "video": "video"}
_OUTCOMES: Final = {"OUTCOME_OK": 1, "OUTCOME_FAILED": 2, "OUTCOME_DEADLINE_EXCEEDED": 3}
FROM_THOUGHT: Final = "from_thought"
"""In the `extras` of a picture that is in the message a second time, as the thought that it came as."""
_PLAIN_SAMPLES: Final = ("audio/l16", "audio/pcm")


class BlockReader:
    """Turns parts into blocks, each with the `index` of the block of the message that it belongs to.

    Text that continues shares an index, up to the first signature; where that covers only the end of the block,
    `extras.signed` says how many characters. Calls are held until the next part shows whether the server answered
    them itself.
    """

    def __init__(self, tools: BoundTools | None) -> None:
        self._tools = tools
        self._index = -1
        self._open: str | None = None
        self._held: list[tuple[Part, Block]] = []
        self._has_media = False
        self._draft: Part | None = None

    def read(self, parts: Iterable[Part]) -> list[Block]:
        """Return the blocks that *parts* complete or continue."""
        blocks: list[Block] = []
        for part in parts:
            if part.function_call is not None:
                self._held.append((part, self._call(part)))
            elif part.function_response is not None:
                blocks += self._served(part)
            else:
                blocks += self.flush()
                blocks += self._other(part)
        return blocks

    def flush(self) -> list[Block]:
        """Return the calls that are the client's to answer."""
        if not self._held:
            return []
        blocks = [self._new(block) for _, block in self._held]
        self._held.clear()
        return blocks

    def end(self) -> list[Block]:
        """Return what only the end of the answer shows: open calls, and the picture of an answer that has only drafts.

        Some gateways mark the one picture of an answer as a thought. It is shown as a picture too, and goes back only
        once, as the thought that it came as.
        """
        blocks = self.flush()
        if self._draft is not None and not self._has_media:
            picture = _media(self._draft)
            if picture["type"] == "image":
                blocks.append(self._new({**picture, "extras": {FROM_THOUGHT: True}}))
        return blocks

    def new(self, block: Block) -> Block:
        """Return *block* as the next one of the message."""
        return self._new(block)

    def _new(self, block: Block) -> Block:
        self._index += 1
        self._open = None
        return {**block, "index": self._index}

    def _other(self, part: Part) -> list[Block]:
        if part.text is not None or part.model_fields_set <= {"thought", "thought_signature"}:
            block = self._text(part)
            return [block] if block else []
        if part.thought and part.inline_data is not None:
            self._draft = part  # not one of the answer's pictures, unless no other comes
            return [self._new(_unknown(part))]
        convert = next((convert for name, convert in _CONVERTERS if getattr(part, name) is not None), _unknown)
        self._has_media = self._has_media or part.inline_data is not None or part.file_data is not None
        return [self._new(_signed(convert(part), part))]

    def _text(self, part: Part) -> Block | None:
        """Return a piece of text, which continues the block before it if that is unsigned and of its kind."""
        kind, field = ("reasoning", "reasoning") if part.thought else ("text", "text")
        text, signature = part.text or "", part.thought_signature
        if not text and not signature:
            return None
        continues = self._open == kind and not (signature and text and part.thought)
        if not continues:
            self._index += 1
        block = _signed({"type": kind, field: text, "index": self._index}, part)
        if continues and signature and text:
            block["extras"]["signed"] = len(text)
        self._open = None if signature else kind
        return block

    def _call(self, part: Part) -> Block:
        call: Any = part.function_call
        args = call.args if isinstance(call.args, dict) else {} if call.args is None else {"input": call.args}
        name = call.name or ""
        if self._tools is not None:
            name, args = self._tools.restored(name, args)
        block = {"type": "tool_call", "id": call.id or new_call_id(), "name": name, "args": args}
        return _signed(block, part)

    def _served(self, part: Part) -> list[Block]:
        """Return a call that the server answered, with its answer, as what it is: nothing for the client to do."""
        answer: Any = part.function_response
        blocks: list[Block] = []
        for held in self._held:
            asked: Any = held[0].function_call
            same = answer.id == asked.id if answer.id and asked.id else answer.name == asked.name
            if same:
                self._held.remove(held)
                blocks.append(self._new(_unknown(held[0])))
                break
        return [*blocks, self._new(_unknown(part))]


def new_call_id() -> str:
    """Return an id for a call to which the server gave none. It is never sent."""
    return f"call_{uuid.uuid4().hex}"


def _signed(block: Block, part: Part) -> Block:
    if part.thought_signature and block["type"] != "non_standard":
        block["extras"] = {**block.get("extras", {}), "signature": part.thought_signature}
    return block


def _media(part: Part) -> Block:
    blob = part.inline_data or Blob()
    mime_type = blob.mime_type or ""
    try:
        if mime_type.lower().startswith(_PLAIN_SAMPLES):
            return {"type": "audio", "base64": _wav(blob.data or "", mime_type), "mime_type": "audio/wav"}
        inline = inline_part(blob.data or "", mime_type or None)["inlineData"]
    except (ValueError, struct.error):  # no base64, of no known type, or with a sample rate that no WAV file can have
        return _unknown(part)
    block = {"type": _KINDS.get(inline["mimeType"].partition("/")[0], "file"), "base64": inline["data"]}
    return {**block, "mime_type": inline["mimeType"]}


def _wav(data: str, mime_type: str) -> str:
    """Return 16-bit mono samples as a WAV file; the MIME type declares their rate (RFC 2586)."""
    samples = decode_base64(data)
    rate, channels = _parameter(mime_type, "rate", 24_000), _parameter(mime_type, "channels", 1)
    frame = 2 * channels
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 16)
    header = b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVE" + layout + b"data"
    return base64.b64encode(header + struct.pack("<I", len(samples)) + samples).decode("ascii")


def _parameter(mime_type: str, name: str, default: int) -> int:
    found = re.search(rf";\s*{name}=(\d+)", mime_type, re.IGNORECASE)
    return int(found[1]) if found else default


def _file(part: Part) -> Block:
    file: Any = part.file_data
    mime_type = file.mime_type or ""
    kind = _KINDS.get(mime_type.partition("/")[0], "file")
    block = {"type": kind, "url": file.file_uri or ""}
    return {**block, "mime_type": mime_type} if mime_type else block


def _code(part: Part) -> Block:
    code: Any = part.executable_code
    args = {"code": code.code or "", "language": str(code.language or "PYTHON").lower()}
    return {"type": "server_tool_call", "name": "code_interpreter", "args": args, "id": code.id or ""}


def _code_result(part: Part) -> Block:
    result: Any = part.code_execution_result
    outcome = _OUTCOMES.get(str(result.outcome or "OUTCOME_OK"), result.outcome)
    return {
        "type": "server_tool_result",
        "tool_call_id": result.id or "",
        "status": "success" if outcome == 1 else "error",
        "output": result.output or "",
        "extras": {"block_type": "code_execution_result", "outcome": outcome},
    }


def _server_call(part: Part) -> Block:
    call: Any = part.tool_call
    kind = str(call.tool_type or "server_tool")
    block = {"type": "server_tool_call", "name": kind.lower(), "args": call.args or {}, "id": call.id or ""}
    return {**block, "extras": {"tool_type": kind}}


def _server_result(part: Part) -> Block:
    result: Any = part.tool_response
    return {
        "type": "server_tool_result",
        "tool_call_id": result.id or "",
        "status": "success",
        "output": result.response,
        "extras": {"block_type": "tool_response", "tool_type": str(result.tool_type or "server_tool")},
    }


def _unknown(part: Part) -> Block:
    """Return a part that LangChain has no word for, as it came: it goes back as it came."""
    return {"type": "non_standard", "value": part.model_dump(mode="json", exclude_none=True)}


_CONVERTERS: Final[tuple[tuple[str, Callable[[Part], Block]], ...]] = (
    ("inline_data", _media),
    ("file_data", _file),
    ("executable_code", _code),
    ("code_execution_result", _code_result),
    ("tool_call", _server_call),
    ("tool_response", _server_result),
)


def joined(blocks: Iterable[Block]) -> list[Block]:
    """Return blocks with the pieces of each block put together; each keeps its `index`.

    Chunks of a stream need this as well as whole answers: LangChain's merge looks only for the first piece of an index,
    so that of two pieces in one chunk the second would end up behind all later text.
    """
    whole: dict[int, Block] = {}
    for block in blocks:
        before = whole.setdefault(block["index"], block)
        if before is block:
            continue
        field = "reasoning" if before["type"] == "reasoning" else "text"
        before[field] += block[field]
        if "extras" in block:
            before["extras"] = block["extras"]
    return list(whole.values())


def to_call_chunk(block: Block) -> Block:
    """Return a call block as the block that streams carry: its arguments as JSON text."""
    return {**block, "type": "tool_call_chunk", "args": json.dumps(block["args"], ensure_ascii=False)}


ONLY_V1: Final = frozenset({"audio", "video", "file", "refusal"})
"""Blocks that `google_genai` content of v0 has no shape for: content that holds them is v1 throughout."""


def to_v0(block: Block) -> Block:
    """Return a block in the shape that ChatGoogleGenerativeAI gives it."""
    convert = _V0.get(block["type"])
    found = convert(block) if convert else block
    if convert and "index" in block:
        found["index"] = block["index"]
    return found


def _thinking_v0(block: Block) -> Block:
    found = {"type": "thinking", "thinking": block["reasoning"]}
    signature = block.get("extras", {}).get("signature")
    return {**found, "signature": signature} if signature else found


def _image_v0(block: Block) -> Block:
    url = block.get("url") or f"data:{block['mime_type']};base64,{block['base64']}"
    return _with_extras({"type": "image_url", "image_url": {"url": url}}, block)


def _server_call_v0(block: Block) -> Block:
    if block["name"] != "code_interpreter":
        return dict(block)
    code = {"executable_code": block["args"]["code"], "language": block["args"]["language"]}
    return _with_extras({"type": "executable_code", **code, "id": block["id"]}, block)


def _server_result_v0(block: Block) -> Block:
    extras = block["extras"]
    if extras.get("block_type") != "code_execution_result":
        return dict(block)
    found = {"type": "code_execution_result", "code_execution_result": block["output"], "outcome": extras["outcome"]}
    signature = extras.get("signature")
    found["tool_call_id"] = block["tool_call_id"]
    return {**found, "extras": {"signature": signature}} if signature else found


def _with_extras(found: Block, block: Block) -> Block:
    return {**found, "extras": block["extras"]} if "extras" in block else found


_V0: Final[dict[str, Callable[[Block], Block]]] = {
    "reasoning": _thinking_v0,
    "image": _image_v0,
    "server_tool_call": _server_call_v0,
    "server_tool_result": _server_result_v0,
}

__all__ = [
    "FROM_THOUGHT",
    "ONLY_V1",
    "Block",
    "BlockReader",
    "joined",
    "new_call_id",
    "plain",
    "to_call_chunk",
    "to_v0",
]
