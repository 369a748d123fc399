"""Chunks of a streamed answer as LangChain's message chunks. Pure.

The shape of the content is settled by what was asked for, else by the first chunk, and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gemway import Accumulator, EmptyResponseError, TextChunk
from gemway.types import GenerateContentResponse, Part, UsageMetadata
from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

from langchain_gemway._blocks import ONLY_V1, Block, BlockReader, joined, to_call_chunk, to_v0
from langchain_gemway._copies import text_message
from langchain_gemway._layout import (
    CALLS,
    MEDIA,
    PARTS,
    PROVIDER,
    REASONING,
    entries_of,
    keep_call,
    list_layout,
    text_layout,
)
from langchain_gemway._metadata import to_metadata, to_usage
from langchain_gemway._responses import (
    ONLY_TEXT,
    Content,
    Reading,
    Shape,
    annotate,
    content_of,
    ending_of,
    invalid_call,
    shape_of,
)


class ChunkReader:
    """Turns the chunks of an answer into message chunks. The last one carries usage and response metadata."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._blocks = BlockReader(reading.tools)
        self._shape: Shape | None = "v1" if reading.v1 else "v0" if reading.lists else None
        self._only_text_so_far = self._shape is None
        self._calls = 0
        self._accumulator = Accumulator()
        self._texts: list[str] = []
        self._entries: list[dict[str, Any]] = []
        self._listed: list[Block] = []

    def read(self, chunk: GenerateContentResponse | TextChunk) -> AIMessageChunk | None:
        """Return what *chunk* adds to the message, if anything."""
        if isinstance(chunk, TextChunk):
            self._accumulator.add_text(chunk)
            if self._only_text_so_far:
                return self._plain(chunk.text)
            return self._chunk(self._blocks.read([Part(text=chunk.text)]))
        parts = self._accumulator.add(chunk)
        if not parts:
            return None
        if self._only_text_so_far and len(parts) == 1 and parts[0].model_fields_set == ONLY_TEXT:
            return self._plain(parts[0].text or "")
        self._only_text_so_far = False
        return self._chunk(self._blocks.read(parts))

    def _plain(self, text: str) -> AIMessageChunk | None:
        """Return a piece of text that nothing else came before: the path of nearly every chunk."""
        if not text:
            return None
        self._texts.append(text)
        return text_message(text)

    def end(self) -> Iterator[AIMessageChunk]:
        """Yield what was held back until the end, and the last chunk.

        Raises:
            EmptyResponseError: no candidate ever came, and nothing says that the prompt was blocked.
        """
        rest = self._rest()
        if rest is not None:
            yield rest
        yield self._last()

    def _rest(self) -> AIMessageChunk | None:
        return self._chunk([*self._blocks.read(self._accumulator.finish()), *self._blocks.end()])

    def _last(self) -> AIMessageChunk:
        response = self._accumulator.response()
        candidate = response.candidates[0] if response.candidates else None
        if candidate is None and response.prompt_feedback is None:
            raise EmptyResponseError("the gateway's stream held no candidates", response=response)
        reading = self._reading
        metadata = to_metadata(response, candidate, model=reading.model, text="".join(self._texts))
        is_empty = not (self._texts or self._entries or self._listed)
        ending = ending_of(metadata, response.usage_metadata, reading, is_empty=is_empty)
        return self._ended(ending, metadata, response.usage_metadata)

    def _ended(self, ending: list[Block], metadata: dict[str, Any], usage: UsageMetadata | None) -> AIMessageChunk:
        shape = self._shape
        if shape in ("text", None) and self._texts:
            ending = [block for block in ending if block["type"] in CALLS]  # a string stays a string
        if any(block["type"] == "refusal" for block in ending):
            shape = "v1"
        extra = self._layout()
        content: Content = "" if shape in ("text", None) else []
        if shape == "v1":
            content = [*(self._blocks.new(block) for block in ending), *self._annotations(metadata)]
            metadata["output_version"] = "v1"
        if shape == "text" and any("thought" in entry for entry in self._entries):
            del metadata["model_provider"]  # as in `_message`
        return AIMessageChunk(
            content=content,
            additional_kwargs=extra,
            response_metadata=metadata,
            usage_metadata=to_usage(usage),
            invalid_tool_calls=[invalid_call(block) for block in ending if block["type"] == "invalid_tool_call"],
            chunk_position="last",
        )

    def _layout(self) -> dict[str, Any]:
        if self._shape in ("text", None):
            parts = text_layout(_merged(self._entries))
        elif self._shape == "v0":
            parts = list_layout(self._listed)
        else:
            parts = []
        return {PARTS: parts} if parts else {}

    def _annotations(self, metadata: Mapping[str, Any]) -> list[Block]:
        """Return empty pieces of the text blocks that carry their citations."""
        texts: dict[int, Block] = {}
        for block in self._listed:
            if block["type"] == "text":
                whole = texts.setdefault(block["index"], {"type": "text", "text": "", "index": block["index"]})
                whole["text"] += block["text"]
        annotate(list(texts.values()), metadata)
        return [{**block, "text": ""} for block in texts.values() if "annotations" in block]

    def _chunk(self, blocks: list[Block]) -> AIMessageChunk | None:
        if not blocks:
            return None
        blocks = joined(blocks)
        if self._shape is None:
            self._begin(blocks)
        extra: dict[str, Any] = {}
        chunks = []
        for block in blocks:
            if block["type"] == "tool_call":
                keep_call(block, extra)
                chunks.append(self._call_chunk(block))
        if self._shape == "text" and (thoughts := "".join(b["reasoning"] for b in blocks if b["type"] == "reasoning")):
            extra[REASONING] = thoughts
        content, metadata = self._said(blocks)
        return AIMessageChunk(
            content=content,
            additional_kwargs=extra,
            tool_call_chunks=chunks,
            response_metadata=metadata,
        )

    def _begin(self, blocks: list[Block]) -> None:
        """Settle the shape: a string if text has come already, or if only text comes now."""
        self._shape = "text" if self._texts or shape_of(blocks, {}, self._reading) == "text" else "v0"
        if self._texts:
            self._entries = [{"text": len("".join(self._texts))}]

    def _call_chunk(self, block: Block) -> Any:
        self._calls += 1
        whole = to_call_chunk(block)
        index = block["index"] if self._shape == "v1" else self._calls - 1
        return tool_call_chunk(name=block["name"], args=whole["args"], id=block["id"], index=index)

    def _said(self, blocks: list[Block]) -> tuple[Content, dict[str, Any]]:
        """Return content and response metadata for *blocks*, in the stream's shape."""
        self._texts += [block["text"] for block in blocks if block["type"] == "text"]
        if self._shape == "text":
            self._entries += entries_of(blocks)
            if MEDIA.isdisjoint(block["type"] for block in blocks):
                return content_of(blocks, "text"), {}
            # Nobody could tell that pictures would come; to keep the string one would have to hide them.
            return [to_v0(b) for b in blocks if b["type"] in {"text", *MEDIA}], {"model_provider": PROVIDER}
        self._listed += [{**block, "base64": ""} if "base64" in block else block for block in blocks]
        if self._shape == "v1":
            shown = [to_call_chunk(block) if block["type"] == "tool_call" else block for block in blocks]
            return shown, {"output_version": "v1", "model_provider": PROVIDER}
        listed = [block for block in blocks if block["type"] not in CALLS]
        if not ONLY_V1.isdisjoint(block["type"] for block in listed):
            return listed, {"output_version": "v1", "model_provider": PROVIDER}
        return [to_v0(block) for block in listed], {"model_provider": PROVIDER}


def _merged(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return layout entries with the pieces of one text counted together."""
    merged: list[dict[str, Any]] = []
    for entry in entries:
        before = merged[-1] if merged else {}
        kind = next(iter(entry))
        continues = kind in {"text", "thought"} and kind in before and "signature" not in before
        if continues and not (entry[kind] and "signature" in entry):
            merged[-1] = {**before, **entry, kind: before[kind] + entry[kind]}
        else:
            merged.append(entry)
    return merged
