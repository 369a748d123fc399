"""Load media that messages name by URL, if the user gave a fetcher. Without one, URLs are sent by reference.

A fetcher is a function or coroutine function: address -> bytes, or (MIME type, bytes). A blocking one runs in a
thread where the call is async, so that it never holds up the event loop.
"""

from __future__ import annotations

import inspect
import ipaddress
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from gemway import ConfigurationError, UnsupportedContentError, WireRequest, remote_urls, sniff_mime_type, with_media

MAX_BYTES: Final = 20 * 2**20

Fetcher = Callable[[str], Any]


def fetched(body: WireRequest, fetcher: Fetcher | None) -> WireRequest:
    """Return *body* with its remote media in it."""
    if fetcher is None or not (urls := remote_urls(body["contents"])):
        return body
    if inspect.iscoroutinefunction(fetcher):
        raise ConfigurationError("media_fetcher is a coroutine function: use the async methods, or a plain function")
    return _filled(body, {url: _checked(url, fetcher(_allowed(url))) for url in urls})


async def afetched(body: WireRequest, fetcher: Fetcher | None) -> WireRequest:
    """Return *body* with its remote media in it."""
    if fetcher is None or not (urls := remote_urls(body["contents"])):
        return body
    import asyncio

    async def fetch(url: str) -> tuple[str, bytes]:
        if inspect.iscoroutinefunction(fetcher):
            return _checked(url, await fetcher(_allowed(url)))
        return _checked(url, await asyncio.to_thread(fetcher, _allowed(url)))

    found = await asyncio.gather(*(fetch(url) for url in urls))
    return _filled(body, dict(zip(urls, found, strict=True)))


def _filled(body: WireRequest, media: dict[str, tuple[str, bytes]]) -> WireRequest:
    return WireRequest({**body, "contents": with_media(body["contents"], media)})


def _allowed(url: str) -> str:
    """Return *url* unless it plainly names a machine of the own network; a fetcher must check what names resolve to."""
    host = (urlsplit(url).hostname or "").lower()
    is_local = host in {"", "localhost"} or host.endswith((".localhost", ".local", ".internal"))
    try:
        is_local = is_local or not ipaddress.ip_address(host).is_global
    except ValueError:
        pass
    if is_local:
        raise UnsupportedContentError(f"media are not fetched from the private address {host!r}; pass their bytes")
    return url


def _checked(url: str, answer: Any) -> tuple[str, bytes]:
    mime_type, data = answer if isinstance(answer, tuple) else (None, answer)
    if not isinstance(data, bytes | bytearray):
        raise ConfigurationError(f"media_fetcher must return bytes or (MIME type, bytes), not {type(data).__name__}")
    if len(data) > MAX_BYTES:
        raise UnsupportedContentError(f"{url} holds {len(data):,} bytes; at most {MAX_BYTES:,} are sent inline")
    found = sniff_mime_type(bytes(data)) or mime_type
    if not found or found.partition(";")[0] in {"text/html", "application/json", "application/octet-stream"}:
        raise UnsupportedContentError(f"{url} holds no media ({found or 'unknown type'})")
    return found.partition(";")[0], bytes(data)
