"""Connections to a server that answers in the emulator's place."""

from __future__ import annotations

from typing import Any

import httpx

from gemway_emulator._errors import GoogleError


class Upstream:
    """The server at *base_url*; connections open at the first request. *code* is the status while it cannot be reached."""

    def __init__(self, base_url: str, name: str, *, code: int, **options: Any) -> None:
        self._base_url, self._name, self._code, self._options = base_url.rstrip("/"), name, code, options
        self._client: httpx.AsyncClient | None = None

    async def send(self, method: str, path: str, **content: Any) -> httpx.Response:
        """The answer, whose body is still to be read; the caller closes it."""
        # A client belongs to the event loop that first uses it, and the loop starts after the constructor.
        if self._client is None:
            self._client = httpx.AsyncClient(**self._options)
        request = self._client.build_request(method, self._base_url + path, **content)
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            text = f"The upstream {self._name} did not answer: {type(error).__name__}"
            raise GoogleError(self._code, text) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
