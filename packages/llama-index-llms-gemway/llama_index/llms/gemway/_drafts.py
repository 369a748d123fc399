"""A ChatMessage in the making: Gemini's parts go in, blocks come out. No network."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.llms.gemway._empty import has_content, judge_empty, warn_about_problem
from llama_index.llms.gemway._record import THOUGHT_SIGNATURE, Entry, Record, with_record
from llama_index.llms.gemway._tools import WireTools

from gemway import inline_part
from gemway.types import Blob, FunctionCall, GenerateContentResponse, Part

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Expected:
    """What the reader of an answer has to know of the question.

    Attributes:
        tools: the tools that were offered, for the names and argument types of calls.
        parallel_tool_calls: False keeps the first call only; Gemini itself has no such switch.
        max_tokens: the limit that was sent, for the warning about answers that ran into it.
    """

    tools: WireTools | None = None
    parallel_tool_calls: bool = True
    max_tokens: int | None = None


class Draft:
    """A message in the making: parts go in, blocks and the record of what blocks cannot hold come out."""

    def __init__(self, expected: Expected) -> None:
        self.blocks: list[Any] = []
        self._expected = expected
        self._entries: list[Entry] = []  # never changed in place: messages share them
        self._counts: dict[str, int] = {}
        self._text: int | None = None  # where the open TextBlock is; only media close it, so that content reads on
        self._thought: int | None = None
        self._is_plain = True
        self._calls: list[tuple[str, FunctionCall]] = []  # with the ids of their blocks

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

    def add_text(self, text: str) -> None:
        """Take a part that is nothing but text: nearly always the next piece of the text before it."""
        last = self._entries[-1] if self._entries else _NO_ENTRY
        if self._text == len(self.blocks) - 1 and last.get("kind") == "text" and "rest" not in last:
            self.blocks[self._text] = TextBlock(text=self.blocks[self._text].text + text)
            self._entries[-1] = {**last, "length": last["length"] + len(text)}
        else:
            self._add_text(text, {})

    def add(self, part: Part) -> None:
        """Take one part."""
        if part.model_fields_set == _ONLY_TEXT:
            self._add_text(part.text or "", {})
        elif part.text is not None or part.model_fields_set <= _ONLY_SIGNATURE:
            # Relays of Claude sign a thought with a part of its own, which has no text (CLIProxyAPI).
            rest = _rest(part, "text", "thought")
            (self._add_thought if part.thought else self._add_text)(part.text or "", rest)
        elif part.function_call is not None:
            self._add_call(part, part.function_call)
        elif part.inline_data is not None and not part.thought:
            self._add_media(part, part.inline_data)
        else:
            self._add_other(part)

    def close(self, response: GenerateContentResponse) -> None:
        """Check that *response* may end with what there is, and let no message be without a block."""
        if not self._counts.get("image"):
            self._take_last_draft_picture()
        if not has_content(self.blocks):
            judge_empty(response, self._expected.max_tokens, {entry["kind"] for entry in self._entries})
            if not self.blocks:
                self._append(TextBlock(text=""))
        else:
            warn_about_problem(response)

    def message(self) -> ChatMessage:
        """Return the message so far, as a new object."""
        message = ChatMessage(role=MessageRole.ASSISTANT)
        blocks = [*self.blocks]
        if not self._is_plain:
            blocks = with_record(blocks, Record(self._entries))
        message.blocks = blocks  # by assignment: validation would decode and encode every picture
        if self._calls:
            message.additional_kwargs["tool_calls"] = [
                _openai_call(block) for block in self.blocks if isinstance(block, ToolCallBlock)
            ]
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
        last = self._entries[-1] if self._entries else _NO_ENTRY
        index = self._counts["text"] - 1
        if not rest and last.get("kind") == "text" and last["index"] == index and "rest" not in last:
            self._entries[-1] = {**last, "length": last["length"] + len(text)}
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
        call_id = call.id
        if not call_id or any(call_id == taken for taken, _ in self._calls):
            call_id = f"call_{uuid4().hex}"
        name, arguments = call.name or "", call.args if isinstance(call.args, (dict, str)) else {}
        if self._expected.tools is not None and isinstance(arguments, dict):
            name, arguments = self._expected.tools.restored(name, arguments)
        self._append(ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=arguments))
        self._calls.append((call_id, call))
        entry: Entry = {"kind": "tool_call", "id": call_id}
        if call.id:
            entry["server_id"] = call.id
            self._is_plain = False
        self._note(entry, _rest(part, "functionCall"))

    def _add_media(self, part: Part, blob: Blob) -> None:
        block = _media_block(blob)
        if block is None:
            self._add_other(part)
            return
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

    def _take_last_draft_picture(self) -> None:
        """Show the last picture that is marked as a thought: some answers mark all of theirs so."""
        for place in range(len(self._entries) - 1, -1, -1):
            wire = self._entries[place].get("part") or {}
            if "inlineData" in wire and (block := _media_block(Blob.model_validate(wire["inlineData"]))):
                if block.block_type != "image":
                    continue
                rest = {name: value for name, value in wire.items() if name != "inlineData"}
                self._append(block)
                self._entries[place] = {"kind": "image", "index": 0, "rest": rest}
                return

    def _give_back(self, call_id: str | None, name: str | None) -> None:
        """Take a call that the server answered itself out of the calls."""
        for at, (block_id, call) in enumerate(self._calls):
            if call.name == name and (call_id is None or call.id is None or call.id == call_id):
                self._remove_block(next(at for at, block in enumerate(self.blocks) if _is_call(block, block_id)))
                place = next(at for at, entry in enumerate(self._entries) if entry.get("id") == block_id)
                wire = {"functionCall": call.to_dict(), **self._entries[place].get("rest", {})}
                self._entries[place] = {"kind": "part", "part": wire}
                del self._calls[at]
                return

    def _remove_block(self, place: int) -> None:
        del self.blocks[place]
        self._text = None if self._text is None else self._text - (self._text > place)
        self._thought = None

    def _append(self, block: Any) -> None:
        self.blocks.append(block)
        self._counts[block.block_type] = self._counts.get(block.block_type, 0) + 1

    def _note(self, entry: Entry, rest: dict[str, Any]) -> None:
        if rest:
            entry["rest"] = rest
            self._is_plain = False
        self._entries.append(entry)


_ONLY_TEXT: Final = {"text"}
_ONLY_SIGNATURE: Final = {"thought", "thought_signature"}
_NO_ENTRY: Final[Entry] = {}


def _rest(part: Part, *payload: str) -> dict[str, Any]:
    """Return what *part* has beside its payload: signature, metadata, fields of tomorrow."""
    wire = part.to_dict()
    return {name: value for name, value in wire.items() if value is not None and name not in payload}


def _is_call(block: Any, call_id: str) -> bool:
    return isinstance(block, ToolCallBlock) and block.tool_call_id == call_id


def _media_block(blob: Blob) -> Any:
    """Return the block for media, or None if their type or their base64 text cannot be read.

    The blocks are made past LlamaIndex's validators, which would decode and encode every picture. So the text must be
    standard base64 already: what LlamaIndex does not recognize as base64, it encodes once more.
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
        # The parameters are all that tells the sample rate of raw audio: audio/L16;codec=pcm;rate=24000.
        return AudioBlock.model_construct(audio=encoded, format=subtype if essence == mime_type else mime_type)
    if kind == "video":
        return VideoBlock.model_construct(video=encoded, video_mimetype=mime_type)
    return DocumentBlock.model_construct(data=encoded, document_mimetype=mime_type, title="output_document")


def _openai_call(block: ToolCallBlock) -> dict[str, Any]:
    """Return a call as OpenAI writes it: where LlamaIndex looks for calls beside the blocks."""
    arguments = block.tool_kwargs
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": block.tool_call_id, "type": "function", "function": {"name": block.tool_name, "arguments": text}}
