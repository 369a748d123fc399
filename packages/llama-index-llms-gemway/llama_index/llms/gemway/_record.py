"""Record the parts of an answer that LlamaIndex's blocks cannot hold, inside the message. Pure.

Signatures, ids that the server gave and parts without a block of their own have to go back with the next request. A
message that has any of these carries a *record*: plain JSON, one entry for each part received, in the order of the wire.

    {"kind": "text", "index": 0, "length": 12, "rest": {"thoughtSignature": "..."}}   12 characters of the first TextBlock
    {"kind": "image", "index": 0, "rest": {"thoughtSignature": "..."}}                the first ImageBlock
    {"kind": "tool_call", "id": "call_1", "server_id": "fc-9", "rest": {...}}         the ToolCallBlock with that id
    {"kind": "part", "part": {"executableCode": {...}}}                               a part that no block can hold

Indices count blocks of one type, so a message still finds its own blocks after others were taken out. `rest` holds the
members of the part other than its payload; `server_id` is there only if the server gave the call an id.

The record is kept in `additional_information["gemway_parts"]` of a ThinkingBlock: of the message's last one, or of an
empty one at its end. No other place works. A subclass of a block or an attribute of our own does not survive a chat
store, which writes messages as JSON; `additional_kwargs` does, but LlamaIndex's `Memory` counts it as prompt text and
condense engines write it into their prompts, and one signature of a Gemini 3 picture is up to a million characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from llama_index.core.base.llms.types import ChatMessage, ContentBlock, ThinkingBlock
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from gemway.adapters import from_store

JsonObject: TypeAlias = dict[str, Any]
"""An object of the wire's JSON, which this package reads or passes through."""

RECORD: Final = "gemway_parts"
"""The record's key in a ThinkingBlock's `additional_information`."""

THOUGHT_SIGNATURE: Final = "thought_signature"
"""The key of a thought's own signature in its ThinkingBlock's `additional_information`."""


class Entry(TypedDict, total=False):
    """One received part; the module's docstring shows the kinds."""

    kind: Literal["text", "thinking", "image", "audio", "video", "document", "tool_call", "part"]
    index: int
    length: int
    id: str | None
    server_id: str | None
    rest: JsonObject
    part: JsonObject


class Record(list[Entry]):
    """Entries that print briefly: blocks are printed in logs and traces."""

    def __repr__(self) -> str:
        return f"<{len(self)} parts>"

    __str__ = __repr__


def with_record(blocks: list[ContentBlock], record: Record) -> list[ContentBlock]:
    """Return *blocks* with *record* in the last ThinkingBlock, or in an empty one at the end."""
    for place in range(len(blocks) - 1, -1, -1):
        if isinstance(block := blocks[place], ThinkingBlock):
            information = {**block.additional_information, RECORD: record}
            carrier = ThinkingBlock.model_construct(content=block.content, additional_information=information)
            return [*blocks[:place], carrier, *blocks[place + 1 :]]
    return [*blocks, ThinkingBlock.model_construct(content="", additional_information={RECORD: record})]


def read_record(message: ChatMessage) -> Sequence[Entry]:
    """Return the record of *message*, empty if it has none or if a store has made it unreadable."""
    for block in message.blocks:
        if isinstance(block, ThinkingBlock) and RECORD in block.additional_information:
            return _to_entries(block.additional_information[RECORD])
    if RECORD in message.additional_kwargs:  # messages that version 0.1.0 stored
        return _to_entries(message.additional_kwargs[RECORD])
    return ()


_ENTRY_LIST: Final = TypeAdapter(list[Entry])


def _to_entries(value: object) -> Sequence[Entry]:
    if isinstance(value, Record):
        return value  # made in this process, so there is nothing to check
    if not value:
        return ()
    try:
        return _ENTRY_LIST.validate_python(from_store(value))
    except ValidationError:
        # A store that cut or rewrote the record must not make the whole history unusable. Without it the blocks are
        # sent as they are, and the core adds what Gemini needs where signatures are missing.
        return ()
