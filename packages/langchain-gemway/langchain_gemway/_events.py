"""An answer as the events of LangChain's content-block protocol (v3), as they arrive. Pure.

A block is finished as soon as the next one begins, so that a program that waits for a thought, a call or a picture
has it at once and not at the end of the stream. Media travel once, on the finishing event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessageChunk

from langchain_gemway._blocks import PROVIDER

Event = dict[str, Any]
_FIELDS = {"text": "text", "reasoning": "reasoning"}
_HEAVY = frozenset({"base64", "args", "output", "value"})


class EventWriter:
    """Turns message chunks of standard (v1) content into protocol events.

    With *cites_later* blocks of text stay open until the answer ends: the citations of all of them come with its last
    chunk, and a block that is finished can take nothing more.
    """

    def __init__(self, model: str, message_id: str | None, *, cites_later: bool = False) -> None:
        self._start = {
            "event": "message-start",
            "role": "ai",
            "id": message_id or "",
            "metadata": {"provider": PROVIDER, "model": model},
        }
        self._started = False
        self._next = 0
        self._cites_later = cites_later
        self._open: dict[int, dict[str, Any]] = {}
        self._extra: dict[str, Any] = {}

    def write(self, chunk: AIMessageChunk) -> Iterator[Event]:
        """Yield the events that *chunk* brings."""
        if not self._started:
            self._started = True
            yield self._start
        for name, value in chunk.additional_kwargs.items():
            self._extra[name] = _together(self._extra.get(name), value)
        for block in chunk.content:
            if isinstance(block, dict):
                yield from self._block(block)
        if chunk.chunk_position == "last":
            yield from self._finish_blocks()
            yield self._finish(chunk)

    def _block(self, block: Mapping[str, Any]) -> Iterator[Event]:
        at = block["index"]
        if at in self._open:
            self._continue(self._open[at], block)
            yield from _deltas(block)
        elif at >= self._next:
            self._next = at + 1
            yield from self._finish_blocks(but_text=self._cites_later)
            self._open[at] = dict(block)
            yield {"event": "content-block-start", "index": at, "content": _skeleton(block)}
            yield from _deltas(block)

    def _continue(self, whole: dict[str, Any], block: Mapping[str, Any]) -> None:
        field = _FIELDS[block["type"]]
        whole[field] += block[field]
        whole.update({name: value for name, value in block.items() if name not in {"type", "index", field}})

    def _finish_blocks(self, *, but_text: bool = False) -> Iterator[Event]:
        for at, block in [*self._open.items()]:
            if not (but_text and block["type"] == "text"):
                del self._open[at]
                yield {"event": "content-block-finish", "index": at, "content": _final(block)}

    def _finish(self, chunk: AIMessageChunk) -> Event:
        event: Event = {"event": "message-finish", "metadata": dict(chunk.response_metadata)}
        if chunk.usage_metadata:
            event["usage"] = dict(chunk.usage_metadata)
        if self._extra:
            event["additional_kwargs"] = self._extra
        return event


def _together(before: Any, after: Any) -> Any:
    """Return the pieces of one entry of additional_kwargs put together."""
    if isinstance(before, dict):
        return {**before, **after}
    return after if before is None else before + after


def _skeleton(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the start of a block tells: everything but its payload."""
    kind = block["type"]
    light = {name: value for name, value in block.items() if name not in _HEAVY and name not in {"index", "extras"}}
    if kind in _FIELDS:
        return {**light, _FIELDS[kind]: ""}
    if kind == "tool_call_chunk":
        return {**light, "args": ""}
    if kind == "server_tool_call":
        return {**light, "args": {}}
    return {**light, "value": {}} if kind == "non_standard" else light


def _deltas(block: Mapping[str, Any]) -> Iterable[Event]:
    kind = block["type"]
    if kind in _FIELDS and block[_FIELDS[kind]]:
        delta = {"type": f"{kind}-delta", _FIELDS[kind]: block[_FIELDS[kind]]}
    elif kind == "tool_call_chunk" and block["args"]:
        fields = {name: block[name] for name in ("type", "id", "name", "args")}
        delta = {"type": "block-delta", "fields": fields}
    else:
        return []
    return [{"event": "content-block-delta", "index": block["index"], "delta": delta}]


def _final(block: Mapping[str, Any]) -> dict[str, Any]:
    if block["type"] != "tool_call_chunk":
        return dict(block)
    from json import loads

    whole = {name: value for name, value in block.items() if name != "index"}
    return {**whole, "type": "tool_call", "args": loads(block["args"])}
