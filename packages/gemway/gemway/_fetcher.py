"""Fetch media that a message names by URL: only when asked to, only from public addresses, within limits.

Each host name is resolved once, checked, and connected to by the address that was checked, so that a second
answer of the name server cannot lead elsewhere. Redirects are followed by the same rules, one by one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from gemway._exceptions import UnsupportedContentError
from gemway._sniff import sniff_mime_type

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class MediaFetcher:
    """Loads pictures, recordings and documents that messages name by http(s) URL, so that they are sent inline.

    Without a fetcher such URLs go to the gateway by reference, which is cheaper and safer.

    Args:
        max_bytes: the largest file.
        timeout: seconds of silence, to connect and between data.
        max_redirects: how many redirects are followed; each target is checked like the first address.
        allow_private: also fetch from private, loopback and link-local addresses. Only where every message
            is trusted: with it a prompt can read your internal services.
    """

    max_bytes: int = 20 * 2**20
    timeout: float = 10.0
    max_redirects: int = 5
    allow_private: bool = False

    def fetch(self, urls: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """Return MIME type and bytes of each URL, blocking.

        Raises `UnsupportedContentError` for a URL that is refused, too large, not found or no media.
        """
        return {url: self._fetch(url) for url in dict.fromkeys(urls)}

    async def afetch(self, urls: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """Return the same as `fetch`, all at the same time and without blocking the event loop."""
        wanted = list(dict.fromkeys(urls))
        return dict(zip(wanted, await asyncio.gather(*map(self._afetch, wanted)), strict=True))

    def _fetch(self, url: str) -> tuple[str, bytes]:
        import httpx

        download = _Download(self, url)
        try:
            with httpx.Client(timeout=self.timeout, trust_env=False) as client:
                while True:
                    found = socket.getaddrinfo(*download.host_and_port(), type=socket.SOCK_STREAM)
                    request = client.build_request("GET", **download.request(found))
                    response = client.send(request, stream=True)
                    try:
                        if not download.is_redirected(response):
                            for data in response.iter_bytes():
                                download.take(data)
                            return download.media(response)
                    finally:
                        response.close()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
        raise UnsupportedContentError(f"{url} cannot be fetched: {reason}")

    async def _afetch(self, url: str) -> tuple[str, bytes]:
        import httpx

        download = _Download(self, url)
        loop = asyncio.get_running_loop()
        try:
            async with httpx.AsyncClient(timeout=self.timeout, trust_env=False) as client:
                while True:
                    found = await loop.getaddrinfo(*download.host_and_port(), type=socket.SOCK_STREAM)
                    request = client.build_request("GET", **download.request(found))
                    response = await client.send(request, stream=True)
                    try:
                        if not download.is_redirected(response):
                            async for data in response.aiter_bytes():
                                download.take(data)
                            return download.media(response)
                    finally:
                        await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
        raise UnsupportedContentError(f"{url} cannot be fetched: {reason}")


class _Download:
    """One file on its way: where to ask next, what is refused, what has arrived. Waits for nothing."""

    def __init__(self, limits: MediaFetcher, url: str) -> None:
        self._limits = limits
        self._url = url
        self._target = url
        self._redirects = 0
        self._pieces: list[bytes] = []
        self._size = 0

    def host_and_port(self) -> tuple[str, int]:
        """Return the name to resolve."""
        try:
            parts = urlsplit(self._target)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise self._refused("is not a valid address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise self._refused(f"leads to {self._target!r}, which is no http(s) address")
        return parts.hostname, port

    def request(self, found: Iterable[Any]) -> dict[str, Any]:
        """Return the request for the first resolved address, with the name in Host and in TLS."""
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            if not self._limits.allow_private and not _is_public(address):
                raise self._refused(f"leads to {address}, which is no public address")
        host, port = self.host_and_port()
        parts = urlsplit(self._target)
        literal = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        address_url = parts._replace(netloc=f"{literal}:{port}", fragment="").geturl()
        return {"url": address_url, "headers": {"host": parts.netloc}, "extensions": {"sni_hostname": host}}

    def is_redirected(self, response: Any) -> bool:
        """Whether the file is elsewhere; the next request then goes there."""
        if response.status_code not in _REDIRECTS:
            if not response.is_success:
                raise self._refused(f"answers {response.status_code}")
            if int(response.headers.get("content-length", "0") or 0) > self._limits.max_bytes:
                raise self._too_large()
            return False
        self._redirects += 1
        if self._redirects > self._limits.max_redirects:
            raise self._refused(f"redirects more than {self._limits.max_redirects} times")
        self._target = urljoin(self._target, response.headers.get("location", ""))
        return True

    def take(self, data: bytes) -> None:
        """Keep the next bytes."""
        self._size += len(data)
        if self._size > self._limits.max_bytes:
            raise self._too_large()
        self._pieces.append(data)

    def media(self, response: Any) -> tuple[str, bytes]:
        """Return MIME type and bytes: what the bytes are counts more than what the server calls them."""
        data = b"".join(self._pieces)
        told = response.headers.get("content-type", "").split(";")[0].strip().lower()
        mime_type = sniff_mime_type(data) or told
        if not data or mime_type in ("", "text/html", "application/json", "application/octet-stream"):
            raise self._refused(f"is no media (content type {told or 'unknown'})")
        return mime_type, data

    def _refused(self, reason: str) -> UnsupportedContentError:
        return UnsupportedContentError(f"{self._url} {reason}")

    def _too_large(self) -> UnsupportedContentError:
        return self._refused(f"is larger than {self._limits.max_bytes:,} bytes; raise MediaFetcher(max_bytes=)")


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (mapped is None or mapped.is_global)
