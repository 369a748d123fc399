"""The HTML page at `/`: the newest requests and answers, keys redacted."""

from __future__ import annotations

import html
import ipaddress
import json
import re
from urllib.parse import urlsplit

from gemway_emulator._gateway import Gateway
from gemway_emulator._journal import Entry

_SHOWN = 20
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #223; }
pre { background: #f4f5f8; padding: .7rem; overflow-x: auto; white-space: pre-wrap; border-radius: 6px; max-height: 24rem; }
summary { cursor: pointer; font-family: monospace; padding: .3rem 0; }
.bad { color: #b00; }
"""


def is_loopback(host: str | None) -> bool:
    """Whether a Host header names this machine.

    A page of another site can make a browser send requests to 127.0.0.1 under that site's own name (DNS rebinding)
    and then read the answers. The page shows prompts, so it is served under a name of this machine only.
    """
    try:
        name = (urlsplit(f"//{host or ''}").hostname or "").rstrip(".")
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def page(gateway: Gateway) -> str:
    """The page for the journal of *gateway*, newest request first."""
    newest = list(gateway.journal)[-_SHOWN:][::-1]
    rows = "\n".join(_row(entry, gateway.api_key) for entry in newest) or "<p>No request yet.</p>"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>gemway emulator</title><style>{_STYLE}</style>"
        f"<h1>gemway emulator</h1><p>{len(gateway.journal)} requests, {len(gateway.queue)} scripted replies waiting.</p>{rows}</html>"
    )


def _row(entry: Entry, key: str) -> str:
    request = (
        json.dumps(entry.json, ensure_ascii=False, indent=2)
        if entry.json is not None
        else entry.body.decode(errors="replace")
    )
    headers = "\n".join(f"{name}: {value}" for name, value in entry.headers.redacted().items())
    title = html.escape(_redacted(repr(entry).strip("<>").removeprefix("Entry "), key))
    mood = " class=bad" if (entry.status or 0) >= 400 else ""
    boxes = "".join(
        f"<pre>{html.escape(_redacted(_short(text), key))}</pre>" for text in (headers, request, entry.answer)
    )
    return f"<details><summary{mood}>{title}</summary>{boxes}</details>"


def _short(text: str) -> str:
    """*text* without long base64 runs."""
    return re.sub(r"[A-Za-z0-9+/_-]{200,}={0,2}", lambda found: f"({len(found.group())} characters of base64)", text)[
        :8000
    ]


def _redacted(text: str, key: str) -> str:
    return text.replace(key, "***") if key else text
