"""An answer as the events of LangChain's content-block protocol (v3), as they arrive. Pure.

A block is finished as soon as the next one begins, so that a program that waits for a thought, a call or a picture
has it at once and not at the end of the stream. Media travel once, on the finishing event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from langchain_core.messages import AIMessageChunk

from langchain_gemway._blocks import PROVIDER, Block

Event = dict[str, Any]


class EventWriter:
    """Turns message chunks of standard (v1) content into protocol events.

    With *cites_later* blocks of text stay open until the answer ends: the citations of all of them come with its last
    chunk, and a block that is finished can take nothing more.
    """

    def __init__(self, model: str, message_id: str | None, *, cites_later: bool = False) -> None:
        self._start_event: Event | None = {
            "event": "message-start",
            "role": "ai",
            "id": message_id or "",
            "metadata": {"provider": PROVIDER, "model": model},
        }
        self._next_index = 0
        self._cites_later = cites_later
        self._open_blocks: dict[int, Block] = {}
        self._additional_kwargs: dict[str, Any] = {}

    def write(self, chunk: AIMessageChunk) -> Iterator[Event]:
        """Yield the events that *chunk* brings."""
        if self._start_event is not None:
            yield self._start_event
            self._start_event = None
        for name, value in chunk.additional_kwargs.items():
            self._additional_kwargs[name] = _add_values(self._additional_kwargs.get(name), value)
        for block in chunk.content:
            if isinstance(block, dict):  # always so in v1 content; LangChain's type also allows bare strings
                yield from self._write_block(block)
        if chunk.chunk_position == "last":
            yield from self._finish_blocks()
            yield self._finish_message(chunk)

    def _write_block(self, block: Block) -> Iterator[Event]:
        index = block["index"]
        if index in self._open_blocks:
            _extend_block(self._open_blocks[index], block)
        elif index >= self._next_index:
            self._next_index = index + 1
            yield from self._finish_blocks(but_text=self._cites_later)
            self._open_blocks[index] = dict(block)
            yield {"event": "content-block-start", "index": index, "content": _without_payload(block)}
        else:  # a piece of a block that is finished: the protocol has no place for it
            return
        if (delta := _to_delta(block)) is not None:
            yield {"event": "content-block-delta", "index": index, "delta": delta}

    def _finish_blocks(self, *, but_text: bool = False) -> Iterator[Event]:
        for index, block in [*self._open_blocks.items()]:
            if not (but_text and block["type"] == "text"):
                del self._open_blocks[index]
                yield {"event": "content-block-finish", "index": index, "content": _to_final_block(block)}

    def _finish_message(self, chunk: AIMessageChunk) -> Event:
        metadata = dict(chunk.response_metadata)
        # langchain-core 1.8.4 reads how the answer ended from the event itself, earlier ones from its metadata.
        finish = {name: metadata[name] for name in _FINISH_FIELDS if name in metadata}
        event: Event = {"event": "message-finish", **finish, "metadata": metadata}
        if chunk.usage_metadata:
            event["usage"] = dict(chunk.usage_metadata)
        if self._additional_kwargs:
            event["additional_kwargs"] = self._additional_kwargs
        return event


_FINISH_FIELDS: Final = ("finish_reason", "normalized_finish_reason", "finish_state")
_TEXT_TYPES: Final = frozenset({"text", "reasoning"})  # in both, the text is in the field of that name
# Too large to be sent with the start of a block and once more with its end.
_PAYLOAD_FIELDS: Final = frozenset({"base64", "args", "output", "value"})


def _add_values(before: Any, after: Any) -> Any:
    """Return two pieces of one entry of additional_kwargs put together, as LangChain's merge does."""
    if isinstance(before, dict):
        return {**before, **after}
    return after if before is None else before + after


def _extend_block(whole: Block, piece: Block) -> None:
    """Add a piece of the same block. Only text comes in pieces; any other piece replaces the whole."""
    kind = whole["type"]
    text = whole[kind] + piece.get(kind, "") if kind in _TEXT_TYPES else None
    whole.update({name: value for name, value in piece.items() if name not in {"type", "index"}})
    if text is not None:
        whole[kind] = text


def _without_payload(block: Block) -> Block:
    """Return the block as its start announces it, with empty payload."""
    kind = block["type"]
    announced = {
        name: value for name, value in block.items() if name not in _PAYLOAD_FIELDS and name not in {"index", "extras"}
    }
    if kind in _TEXT_TYPES:
        announced[kind] = ""
    elif kind in _EMPTY_PAYLOADS:  # fields that LangChain requires of such a block
        name, empty = _EMPTY_PAYLOADS[kind]
        announced[name] = empty.copy() if isinstance(empty, dict) else empty
    return announced


_EMPTY_PAYLOADS: Final[dict[str, tuple[str, str | dict[str, Any]]]] = {
    "tool_call_chunk": ("args", ""),
    "server_tool_call": ("args", {}),
    "non_standard": ("value", {}),
}


def _to_delta(block: Block) -> Event | None:
    kind = block["type"]
    if kind in _TEXT_TYPES and block[kind]:
        return {"type": f"{kind}-delta", kind: block[kind]}
    if kind == "tool_call_chunk" and block["args"]:
        return {"type": "block-delta", "fields": {name: block[name] for name in ("type", "id", "name", "args")}}
    return None


def _to_final_block(block: Mapping[str, Any]) -> Block:
    if block["type"] != "tool_call_chunk":
        return dict(block)
    whole = {name: value for name, value in block.items() if name != "index"}
    return {**whole, "type": "tool_call", "args": json.loads(block["args"])}
