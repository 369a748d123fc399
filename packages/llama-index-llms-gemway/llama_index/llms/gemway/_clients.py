"""The clients of a model: made of its options at the first call, and anew when an option has changed."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

from gemway import AsyncClient, Client

# What a client is made of; options that are None are left to it, but for `retry_budget`, where None means none.
_OPTIONS: Final = (
    *("api_key", "base_url", "default_headers", "auth", "timeout", "max_retries", "deadline", "proxy", "verify"),
    *("inline_data_casing", "retry_image_timeouts", "max_connections", "max_response_bytes", "max_continuations"),
    *("auth_header", "auth_scheme", "on_retry", "retry_budget"),
)
_OPTION_VALUES: Final = itemgetter(*_OPTIONS)
_NAMES: Final = {"default_headers": "headers"}
_Wiring = tuple[Any, ...]


class Clients:
    """One blocking client and one for asyncio, each with the options that it was made of."""

    def __init__(self) -> None:
        self._sync: tuple[_Wiring, Client] | None = None
        self._async: tuple[_Wiring, AsyncClient] | None = None

    def sync(self, settings: Mapping[str, Any]) -> Client:
        """Return the blocking client for a model's *settings*."""
        wiring, held = _wiring(settings, "http_client"), self._sync
        if held is None or held[0] != wiring:
            held = self._sync = (wiring, Client(**_client_options(settings, "http_client")))
        return held[1]

    def asynchronous(self, settings: Mapping[str, Any]) -> AsyncClient:
        """Return the client for asyncio for a model's *settings*."""
        wiring, held = _wiring(settings, "http_async_client"), self._async
        if held is None or held[0] != wiring:
            held = self._async = (wiring, AsyncClient(**_client_options(settings, "http_async_client")))
        return held[1]

    def close(self) -> None:
        """Give the connections of the blocking client back."""
        if self._sync is not None:
            self._sync[1].close()

    async def aclose(self) -> None:
        """Give all connections back."""
        self.close()
        if self._async is not None:
            await self._async[1].aclose()


def _wiring(settings: Mapping[str, Any], http_client: str) -> _Wiring:
    return (settings[http_client], *_OPTION_VALUES(settings))


def _client_options(settings: Mapping[str, Any], http_client: str) -> dict[str, Any]:
    given = {_NAMES.get(name, name): settings[name] for name in _OPTIONS if settings[name] is not None}
    return {**given, "http_client": settings[http_client], "retry_budget": settings["retry_budget"]}
