"""The journal: every request, its time, and how it ended. Keys are kept for tests but never printed."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

import httpx

# Gateways invent header names for keys and tenants (cf-aig-authorization, x-portkey-api-key), so that a list of secret
# ones is never complete. These carry no secret; the values of all others are replaced.
_PLAIN_HEADERS = {
    *("accept", "accept-encoding", "accept-language", "cache-control", "connection", "content-encoding"),
    *("content-length", "content-type", "expect", "host", "keep-alive", "te", "transfer-encoding", "user-agent"),
    *("x-goog-api-client", "x-server-timeout"),
}
# Answers hold pictures of several megabytes, and a session may last a day: only the newest stay whole, for the page.
_ANSWER_KEPT = 16_000_000
_BEGINNING = 4_000
_WHOLE_ANSWERS = 50


class Headers(httpx.Headers):
    """Request headers; names are compared without regard to case. Printing hides keys."""

    def __repr__(self) -> str:
        return f"Headers({self.redacted()!r})"

    def redacted(self) -> dict[str, str]:
        """The headers, with the value of every one replaced that may hold a secret."""
        return {name: value if name in _PLAIN_HEADERS else "***" for name, value in self.items()}


class Entry:
    """One request: `.method`, `.path` (with the query string), `.headers`, `.body`, `.json`, `.time`, `.status`.

    `.time` is in seconds on `time.monotonic()`; `.status` is None until the answer begins.
    """

    def __init__(self, method: str, path: str, headers: Headers, body: bytes, time: float) -> None:
        self.method, self.path, self.headers, self.body, self.time = method, path, headers, body, time
        self.status: int | None = None
        self.ended: float | None = None
        self._answer = bytearray()
        try:
            self.json: Any = json.loads(body)
        except ValueError:
            self.json = None

    def __repr__(self) -> str:
        return f"<Entry {self.method} {self.shown_path} -> {self.status}>"

    @property
    def shown_path(self) -> str:
        """The path without the value of `?key=`."""
        head, mark, query = self.path.partition("?")
        return head + mark + "&".join("key=***" if pair.startswith("key=") else pair for pair in query.split("&"))

    @property
    def answer(self) -> str:
        """The answer as text: up to 16 MB for the newest requests, the beginning for older ones."""
        return self._answer.decode(errors="replace")

    def watch(self, data: bytes | None) -> None:
        """Keep *data*, the next piece of the answer; None ends it."""
        if data is None:
            self.ended = monotonic()
        else:
            self._answer += data[: max(_ANSWER_KEPT - len(self._answer), 0)]

    def shorten(self) -> None:
        """Forget all but the beginning of the answer."""
        del self._answer[_BEGINNING:]


class Journal(list[Entry]):
    """The requests, oldest first; the server's thread writes it and tests read it."""

    def append(self, entry: Entry) -> None:
        """Keep *entry* as the newest."""
        super().append(entry)
        for older in self[-_WHOLE_ANSWERS - 1 : -_WHOLE_ANSWERS]:
            older.shorten()
