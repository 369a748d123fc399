"""The transport for Google's client: one object for its blocking and its asyncio half, for httpx and for httpx2.

It is no subclass of either library's transport: google-genai would conclude from the class which library to use. Each
request shows its library, and the response is one of the same library.
"""

from __future__ import annotations

import sys
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING

from gemway._call import CallOptions
from gemway._config import ClientConfig
from gemway.google._requests import Address, GoogleCall, path_below, to_address, to_call, to_options

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Self

    from gemway.google._async_sending import AsyncSender
    from gemway.google._sending import SyncSender


class GatewayTransport:
    """Sends the requests of Google's client to a gateway, with the gateway's key and through gemway's connections.

    Takes the place of an `httpx.HTTPTransport` and of an `httpx.AsyncHTTPTransport`, or of httpx2's. Clients, threads
    and event loops can share it; it can be copied and pickled. Opens nothing before the first request.
    """

    def __init__(self, setup: ClientConfig) -> None:
        self._setup = setup

    # Built and imported at the first call: a program that only blocks loads nothing of asyncio, and the other way round.
    @cached_property
    def _sender(self) -> SyncSender:
        from gemway.google._sending import SyncSender

        return SyncSender(self._setup)

    @cached_property
    def _async_sender(self) -> AsyncSender:
        from gemway.google._async_sending import AsyncSender

        return AsyncSender(self._setup)

    @cached_property
    def _address(self) -> Address:
        import httpx

        return to_address(httpx.URL(self._setup.settings.base_url))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* to the gateway and return its answer as Google would give it."""
        call, options = self._to_call(request, request.read())
        return self._sender.send(_library_of(request), call, options)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* to the gateway and return its answer as Google would give it."""
        call, options = self._to_call(request, await request.aread())
        return await self._async_sender.send(_library_of(request), call, options)

    def close(self) -> None:
        """Give the connections of blocking calls back. A later call opens new ones."""
        # A client that was never used must not build a sender only to close it.
        if "_sender" in self.__dict__:
            self._sender.close()

    async def aclose(self) -> None:
        """Give the connections of asyncio calls back. A later call opens new ones."""
        if "_async_sender" in self.__dict__:
            await self._async_sender.aclose()

    def _to_call(self, request: httpx.Request, body: bytes) -> tuple[GoogleCall, CallOptions]:
        # A redirect that Google's client follows, or a base_url in a call's http_options, would take the key elsewhere.
        path = path_below(self._address, request.url)
        call, secret_headers = to_call(request.method, path, request.headers, body, self._setup.settings)
        return call, to_options(secret_headers, request.extensions.get("timeout") or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # Connections stay behind. The key travels only if it was passed as text; see ClientConfig.
    def __getstate__(self) -> dict[str, ClientConfig]:
        return {"setup": self._setup}

    def __setstate__(self, state: dict[str, ClientConfig]) -> None:
        self._setup = state["setup"]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        # Frameworks copy the options of a client deeply. Sockets cannot be copied, but they can be shared.
        return self

    def __repr__(self) -> str:
        return f"<GatewayTransport {self._setup}>"


def _library_of(request: httpx.Request) -> ModuleType:
    """Return the module, httpx or httpx2, that *request* was made with."""
    return sys.modules[type(request).__module__.partition(".")[0]]
