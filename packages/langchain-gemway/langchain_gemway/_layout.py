"""Where a message keeps what has no place in its content: signatures, and ids that the server gave.

Signed parts must go back exactly as they came (ai.google.dev, Thought signatures). Content that is a plain string
has no room for that, so the message's `additional_kwargs` hold, and only where they are needed:

- `CALL_SIGNATURES`: tool call id -> signature; the key that ChatGoogleGenerativeAI uses too.
- `SERVER_IDS`: ids of calls that the server gave; others were made up here and are never sent.
- `PARTS`: the parts in order, as `{"text": length}`, `{"thought": length}`, `{"call": id}` or `{"block": {...}}` (what
  a server did on its side), texts with their `signature`; beside list content only `{"call": id, "at": blocks before}`.
- `REASONING`: thoughts that nobody asked for, where the content stays a string.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gemway import from_store

Block = dict[str, Any]

CALLS: Final = frozenset({"tool_call", "invalid_tool_call"})
MEDIA: Final = frozenset({"image", "audio", "video", "file"})

CALL_SIGNATURES: Final = "__gemini_function_call_thought_signatures__"
SERVER_IDS: Final = "gemway_call_ids"
PARTS: Final = "gemway_parts"
REASONING: Final = "reasoning_content"
PROVIDER: Final = "google_genai"
"""Stamped as `model_provider`, so that LangChain's translators and ChatGoogleGenerativeAI read our messages."""

_GOOGLES: Final = frozenset({"google_genai", "google_vertexai"})


def is_google(metadata: dict[str, Any], extra: dict[str, Any]) -> bool:
    """Tell whether a message came from Gemini, so that its signatures mean something there."""
    if provider := metadata.get("model_provider"):
        return provider in _GOOGLES
    return CALL_SIGNATURES in extra or PARTS in extra


def layout_from_store(value: Any) -> list[dict[str, Any]]:
    """Return the entries of `PARTS`, or none if they are not as we wrote them: the text alone then tells."""
    entries = from_store(value)
    return entries if isinstance(entries, list) and all(map(_is_entry, entries)) else []


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    lengths = [entry[name] for name in ("text", "thought", "at") if name in entry]
    is_known = bool(lengths) or "call" in entry or isinstance(entry.get("block"), dict)
    return is_known and all(isinstance(length, int) and length >= 0 for length in lengths)


def kept(blocks: list[Block], shape: str) -> dict[str, Any]:
    """Return the additional_kwargs of a message."""
    extra: dict[str, Any] = {}
    calls = [block for block in blocks if block["type"] == "tool_call"]
    for call in calls:
        keep_call(call, extra)
    if shape == "text":
        if thoughts := "".join(block["reasoning"] for block in blocks if block["type"] == "reasoning"):
            extra[REASONING] = thoughts
        if parts := text_layout(entries_of(blocks)):
            extra[PARTS] = parts
    elif shape == "v0" and (parts := list_layout(blocks)):
        extra[PARTS] = parts
    return extra


def keep_call(call: Block, extra: dict[str, Any]) -> None:
    if signature := call.get("extras", {}).get("signature"):
        extra.setdefault(CALL_SIGNATURES, {})[call["id"]] = signature
    if not call["id"].startswith("call_") or len(call["id"]) != len("call_") + 32:
        extra.setdefault(SERVER_IDS, []).append(call["id"])


def entries_of(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Return what each block says of the order of the parts."""
    entries: list[dict[str, Any]] = []
    for block in blocks:
        if block["type"] == "tool_call":
            entries.append({"call": block["id"]})
        elif block["type"] in _FIELDS:
            kind, field = _FIELDS[block["type"]]
            entries += _text_entries(kind, len(block[field]), block.get("extras", {}))
        elif block["type"] not in MEDIA and block["type"] not in CALLS:
            entries.append({"block": {name: value for name, value in block.items() if name != "index"}})
    return entries


_FIELDS: Final = {"text": ("text", "text"), "reasoning": ("thought", "reasoning")}


def _text_entries(kind: str, length: int, extras: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "signature" not in extras:
        return [{kind: length}]
    signed = extras.get("signed", length)
    before = [{kind: length - signed}] if length > signed else []
    return [*before, {kind: signed, "signature": extras["signature"]}]


def text_layout(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the order of the parts where it is not plainly: text, then calls, none of the text signed."""
    entries = [entry for entry in entries if entry.get("block", {}).get("type") != "refusal"]
    if not any("signature" in entry and "thought" in entry for entry in entries):
        entries = [entry for entry in entries if "thought" not in entry]
    is_signed = any("signature" in entry or "block" in entry for entry in entries)
    kinds = ["call" in entry for entry in entries]
    return entries if is_signed or kinds != sorted(kinds) else []


def list_layout(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Return where calls stand among the blocks, if any block follows one. Pieces of one block count once."""
    places: list[dict[str, Any]] = []
    count, last = 0, None
    for block in blocks:
        if block["type"] == "tool_call":
            places.append({"call": block["id"], "at": count})
        elif block["type"] not in CALLS and (last is None or block.get("index") != last):
            count += 1
        last = block.get("index")
    return places if any(place["at"] < count for place in places) else []
