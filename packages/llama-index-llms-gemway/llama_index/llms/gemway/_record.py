"""What of an answer has no place in LlamaIndex's blocks, and where a message keeps it. Pure.

A message that came from the gateway and holds more than its blocks can say carries `additional_kwargs["gemway_parts"]`:
plain JSON, one entry for each part that was received, in the order of the wire.

    {"kind": "text", "index": 0, "length": 12, "rest": {"thoughtSignature": "..."}}   12 characters of the first TextBlock
    {"kind": "image", "index": 0, "rest": {"thoughtSignature": "..."}}                the first ImageBlock
    {"kind": "tool_call", "id": "call_1", "server_id": "fc-9", "rest": {...}}         the ToolCallBlock with that id
    {"kind": "part", "part": {"executableCode": {...}}}                               a part that no block can hold

Indices count blocks of one type, so that a message whose other blocks were taken out still finds its own. `rest` is
what the part has beside its payload; `server_id` is there only if the server gave the call an id.
"""

from __future__ import annotations

from typing import Any, Final

RECORD: Final = "gemway_parts"
"""The key in a message's `additional_kwargs`."""

THOUGHT_SIGNATURE: Final = "thought_signature"
"""The key in a ThinkingBlock's `additional_information`."""


def is_entry(entry: Any) -> bool:
    """Whether *entry* still is an entry as we wrote it, after whatever a store did to it."""
    if not isinstance(entry, dict):
        return False
    if entry.get("kind") == "text":
        return isinstance(entry.get("index"), int) and isinstance(entry.get("length"), int)
    if entry.get("kind") == "part":
        return isinstance(entry.get("part"), dict)
    return isinstance(entry.get("kind"), str) and isinstance(entry.get("rest", {}), dict)


class Record(list[dict[str, Any]]):
    """Entries that print briefly: LlamaIndex writes `additional_kwargs` into prompts and counts their tokens."""

    def __repr__(self) -> str:
        return f"<{len(self)} parts>"

    __str__ = __repr__
