"""Serve everything outside the API: the page with its feed, the health check, and scripting from other processes."""

from __future__ import annotations

import asyncio
import base64
import html
import ipaddress
import json
import re
import time
from collections.abc import AsyncGenerator, Callable
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from gemway_emulator import reply
from gemway_emulator._errors import GoogleError, invalid_argument, unauthenticated, unknown_route
from gemway_emulator._gateway import Gateway
from gemway_emulator._http import Message, Outcome, json_outcome
from gemway_emulator._journal import Entry, Headers
from gemway_emulator.reply import Reply

# Seconds between two looks at the journal. The journal is written while requests are answered, and a page that
# is fed by it directly would slow them down; a reader does not see a third of a second.
_POLL = 0.3
_SHOWN = 100  # newest requests on the page
_SHOWN_PLAINLY = 20  # to readers without JavaScript
_LONGEST = 8000  # characters of a box on that page
_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#4456c7"/>'
    '<path d="M16 5l3 8 8 3-8 3-3 8-3-8-8-3 8-3z" fill="#fff"/></svg>'
)

# The field that names the kind of a scripted reply, and the function it becomes the first argument of.
_KINDS: dict[str, Callable[..., Reply]] = {
    "text": reply.text,
    "tool_call": reply.tool_call,
    "tool_calls": reply.tool_calls,
    "error": reply.error,
    "image": lambda data, **options: reply.image(base64.b64decode(data) if isinstance(data, str) else None, **options),
    "blocked": reply.blocked,
    "stream": reply.stream,
    "raw": lambda body, **options: reply.raw(body=body, **options),
}


class Application:
    """One gateway behind HTTP."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def answer(self, message: Message) -> Outcome:
        """The answer to one HTTP request; only those to the API go into the journal."""
        path = message.target.partition("?")[0]
        # Health checks and open pages come every few seconds; in the journal they would hide the program's requests.
        if message.method in ("GET", "HEAD"):
            if path == "/healthz":
                return _text_outcome("ok")
            if path == "/favicon.ico":
                return Outcome(200, {"content-type": "image/svg+xml"}, [_ICON.encode()])
            if path in ("/", "/__emulator/feed"):
                return self._serve_page(message.headers, path)
        if path.startswith("/__emulator/"):
            try:
                return self._serve_script(message, path.removeprefix("/__emulator/"))
            except GoogleError as error:
                return json_outcome(error.body(), error.code)
        arrived = time.monotonic()
        entry = Entry(message.method, message.target, message.headers, message.body, arrived)
        self._gateway.journal.append(entry)
        outcome = await self._gateway.answer(entry)
        entry.status, outcome.watch = outcome.status, entry.watch
        return outcome

    async def close(self) -> None:
        """Close the connections to whatever answers in the emulator's place."""
        for upstream in (self._gateway.server, self._gateway.recorder):
            if upstream is not None:
                await upstream.close()

    def _serve_page(self, headers: Headers, path: str) -> Outcome:
        # A page of another site can make a browser send requests to 127.0.0.1 under that site's own name (DNS rebinding)
        # and read the answers. The page shows prompts, so it is served under a name of this machine only.
        if not is_loopback(headers.get("host")):
            return _refuse_foreign_host()
        if path != "/":
            kind = {"content-type": "text/event-stream", "cache-control": "no-store"}
            return Outcome(200, kind, self._stream_journal(), streamed=True)
        text = resources.files("gemway_emulator").joinpath("page.html").read_text(encoding="utf-8")
        newest = self._describe_journal()[-_SHOWN_PLAINLY:][::-1]
        text = text.replace("<!-- requests -->", "".join(map(_to_plain_html, newest)))
        return Outcome(200, {"content-type": "text/html; charset=utf-8"}, [text.encode()])

    async def _stream_journal(self) -> AsyncGenerator[bytes, None]:
        """The journal as server-sent events; an entry is sent again when its answer has ended."""
        sent: dict[int, tuple[int, bool]] = {}
        while True:
            entries = list(self._gateway.journal)
            if len(entries) < len(sent):  # the emulator was reset
                sent.clear()
                yield b"event: reset\ndata: {}\n\n"
            for index, entry in list(enumerate(entries))[-_SHOWN:]:
                state = (id(entry), entry.ended is not None)
                if sent.get(index) != state:
                    sent[index] = state
                    yield f"data: {json.dumps(self._describe_entry(entry, index))}\n\n".encode()
            yield b""  # a look whether the browser is still there
            await asyncio.sleep(_POLL)

    def _serve_script(self, message: Message, action: str) -> Outcome:
        """Scripting from outside: from this machine, under a name of this machine, with the gateway's key."""
        headers, gateway = message.headers, self._gateway
        peer = f"[{message.peer}]" if ":" in message.peer else message.peer
        if not is_loopback(headers.get("host")) or not is_loopback(peer):
            return _refuse_foreign_host()
        if not gateway.accepts_key(headers.get("authorization", "").removeprefix("Bearer ")):
            raise unauthenticated()
        if (message.method, action) == ("GET", "requests"):
            return json_outcome(self._describe_journal())
        if message.method != "POST" or action not in ("replies", "misbehave", "reset"):
            raise unknown_route(message.method, message.target)
        if action == "reset":
            gateway.reset()
        else:
            try:
                value = json.loads(message.body)
            except ValueError:
                raise invalid_argument("the body is no JSON") from None
            if action == "replies":
                gateway.queue.extend(_to_replies(value))
            else:
                self._set_misbehaviours(value)
        return json_outcome({"pending": len(gateway.queue), "misbehave": sorted(gateway.options.misbehave)})

    def _set_misbehaviours(self, value: Any) -> None:
        names = value.get("names") if isinstance(value, dict) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise invalid_argument("write the misbehaviours as a list of names")
        try:
            self._gateway.options.misbehave = names
        except ValueError as error:
            raise invalid_argument(str(error)) from None

    def _describe_journal(self) -> list[dict[str, Any]]:
        return [self._describe_entry(entry, index) for index, entry in enumerate(self._gateway.journal)]

    def _describe_entry(self, entry: Entry, index: int) -> dict[str, Any]:
        """One journal entry as JSON, without keys."""
        description = {
            "index": index,
            "method": entry.method,
            "path": entry.shown_path,
            "headers": entry.headers.redacted(),
            "json": entry.json,
            "status": entry.status,
            "seconds": None if entry.ended is None else round(entry.ended - entry.time, 3),
            "answer": entry.answer,
        }
        # A prompt or an error may repeat the key. One of three letters would be replaced in half of all words.
        text, key = json.dumps(description, ensure_ascii=False), self._gateway.options.api_key
        hidden = json.dumps(key, ensure_ascii=False)[1:-1]
        described: dict[str, Any] = json.loads(text.replace(hidden, "***") if len(key) > 3 else text)
        return described


def is_loopback(host: str | None) -> bool:
    """Whether a Host header names this machine."""
    try:
        name = (urlsplit(f"//{host or ''}").hostname or "").rstrip(".")
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _to_replies(value: Any) -> list[Reply]:
    """Scripted replies from JSON: `{"text": "hi", "delay": 2}`, `{"error": 429, "retry_after": 1}`, or a list of such.

    The first known field names a function of `gemway_emulator.reply` and its first argument, the others are its options.
    """
    listed = value.get("replies", value) if isinstance(value, dict) else value
    replies = []
    for item in listed if isinstance(listed, list) else [listed]:
        kind = next((name for name in _KINDS if isinstance(item, dict) and name in item), None)
        if kind is None:
            raise invalid_argument(f"a reply is an object with one of {', '.join(_KINDS)}, not {json.dumps(item)[:80]}")
        try:
            replies.append(_KINDS[kind](item[kind], **{name: item[name] for name in item if name != kind}))
        except (TypeError, ValueError) as error:
            raise invalid_argument(f"{kind}: {error}") from None
    return replies


def _to_plain_html(entry: dict[str, Any]) -> str:
    """One described entry for readers without JavaScript."""
    headers = "\n".join(f"{name}: {value}" for name, value in entry["headers"].items())
    boxes = (headers, json.dumps(entry["json"], ensure_ascii=False, indent=2), entry["answer"])
    description = "".join(f"<pre>{html.escape(_LONG_BASE64.sub('(base64)', text)[:_LONGEST])}</pre>" for text in boxes)
    title = html.escape(f"{entry['method']} {entry['path']} -> {entry['status']}")
    return f"<details><summary>{title}</summary>{description}</details>"


def _text_outcome(text: str, status: int = 200) -> Outcome:
    return Outcome(status, {"content-type": "text/plain; charset=utf-8"}, [text.encode()])


def _refuse_foreign_host() -> Outcome:
    return _text_outcome("this is only served under a loopback address, such as 127.0.0.1", 403)
