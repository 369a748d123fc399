"""Pass requests on to a real gateway and put what both sides said on a tape."""

from __future__ import annotations

import codecs
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from gemway_emulator._errors import GoogleError
from gemway_emulator._journal import Entry
from gemway_emulator._outcome import Outcome
from gemway_emulator._tape import Writer

_HOP_BY_HOP = {
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "keep-alive",
    "te",
    "upgrade",
}
_NOT_RETURNED = _HOP_BY_HOP | {"content-encoding", "set-cookie"}


class Recorder:
    """Sends requests to *upstream* with the key they came with, and writes the tape at *path*."""

    def __init__(self, path: Path, upstream: str, key: str) -> None:
        self._upstream = upstream.rstrip("/").removesuffix("/v1beta").removesuffix("/v1")
        self._writer = Writer(path, key)
        self._client: httpx.AsyncClient | None = None

    async def pass_on(self, entry: Entry, path: str) -> Outcome:
        """The upstream's answer to *entry*, streamed as it comes."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(300, connect=10))
        headers = {name: value for name, value in entry.headers.items() if name not in _HOP_BY_HOP}
        request = self._client.build_request(
            entry.method, self._upstream + path, headers=headers | {"accept-encoding": "identity"}, content=entry.body
        )
        started = time.monotonic()
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise GoogleError(502, f"The upstream gateway did not answer: {type(error).__name__}") from None
        kept = {name: value for name, value in response.headers.items() if name not in _NOT_RETURNED}
        return Outcome(response.status_code, kept, self._taped(entry, path, response, kept, started), streamed=True)

    async def aclose(self) -> None:
        """Close the connections to the upstream."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _taped(
        self, entry: Entry, path: str, response: httpx.Response, headers: dict[str, str], started: float
    ) -> AsyncIterator[bytes]:
        """The bytes of *response*; when they end, also too early, the exchange goes on the tape."""
        decoder, pieces, last = codecs.getincrementaldecoder("utf-8")("replace"), [], started
        try:
            async for data in response.aiter_bytes():
                now = time.monotonic()
                pieces.append((now - last, decoder.decode(data)))
                last = now
                yield data
        finally:
            await response.aclose()
            outcome = {"status": response.status_code, "headers": headers, "pieces": pieces}
            self._writer.write(entry.method, path, entry.body, outcome)
