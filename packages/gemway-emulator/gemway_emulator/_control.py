"""Scripting from outside: what `/__emulator/…` takes and gives, for programs in other processes and languages."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from gemway_emulator import reply
from gemway_emulator._errors import invalid_argument
from gemway_emulator._journal import Entry
from gemway_emulator.reply import Reply

_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")
_LONGEST = 8000  # characters of a box

# The field that names the kind of a reply, and the function it becomes the first argument of.
_KINDS: dict[str, Callable[..., Reply]] = {
    "text": reply.text,
    "tool_call": reply.tool_call,
    "tool_calls": reply.tool_calls,
    "error": reply.error,
    "image": reply.image,
    "blocked": reply.blocked,
    "stream": reply.stream,
    "raw": lambda body, **options: reply.raw(body=body, **options),
}


def to_replies(value: Any) -> list[Reply]:
    """Turn JSON into scripted replies: `{"text": "hi", "delay": 2}`, `{"error": 429, "retry_after": 1}`, or a list of such.

    The first field names a function of `gemway_emulator.reply` and its first argument, the others are its options. Raises a
    400 that names the kinds.
    """
    listed = value.get("replies", value) if isinstance(value, dict) else value
    return [_to_reply(item) for item in (listed if isinstance(listed, list) else [listed])]


def _to_reply(item: Any) -> Reply:
    kind = next((name for name in _KINDS if isinstance(item, dict) and name in item), None)
    if kind is None:
        raise invalid_argument(f"a reply is an object with one of {', '.join(_KINDS)}, not {json.dumps(item)[:80]}")
    options = {name: value for name, value in item.items() if name != kind}
    first = item[kind]
    if kind == "image":
        first = base64.b64decode(first) if isinstance(first, str) else None
    try:
        return _KINDS[kind](first, **options)
    except (TypeError, ValueError) as error:
        raise invalid_argument(f"{kind}: {error}") from None


def to_names(value: Any) -> Iterable[str]:
    """The misbehaviours in `["no_usage"]` or `{"names": ["no_usage"]}`."""
    names = value.get("names") if isinstance(value, dict) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid_argument("write the misbehaviours as a list of names")
    return names


def described(entry: Entry, index: int, key: str) -> dict[str, Any]:
    """One journal entry as JSON, without keys."""
    shown = {
        "index": index,
        "method": entry.method,
        "path": entry.shown_path,
        "headers": entry.headers.redacted(),
        "json": entry.json,
        "status": entry.status,
        "seconds": None if entry.ended is None else round(entry.ended - entry.time, 3),
        "answer": entry.answer,
    }
    text = json.dumps(shown, ensure_ascii=False)
    hidden = json.dumps(key, ensure_ascii=False)[1:-1]
    found: dict[str, Any] = json.loads(text.replace(hidden, "***") if len(key) > 3 else text)
    return found


def plain(entry: dict[str, Any]) -> str:
    """One described entry as HTML, for readers without JavaScript."""
    headers = "\n".join(f"{name}: {value}" for name, value in entry["headers"].items())
    boxes = (headers, json.dumps(entry["json"], ensure_ascii=False, indent=2), entry["answer"])
    shown = "".join(f"<pre>{html.escape(_LONG_BASE64.sub('(base64)', text)[:_LONGEST])}</pre>" for text in boxes)
    title = html.escape(f"{entry['method']} {entry['path']} -> {entry['status']}")
    return f"<details><summary>{title}</summary>{shown}</details>"
