"""Download media that a message names by URL: only if you pass a fetcher, only from public addresses, within limits.

Each host name is resolved once, checked, and connected to by the address that was checked, so that a second
answer of the name server cannot lead elsewhere. Redirects are followed by the same rules, one by one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from gemway._exceptions import UnsupportedContentError
from gemway._json import JsonObject
from gemway._redaction import without_credentials
from gemway._sniff import sniff_mime_type
from gemway._version import __version__

if TYPE_CHECKING:
    import httpx

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_INFLATED_AT_ONCE: Final = 2**18


@dataclass(frozen=True)
class MediaFetcher:
    """Loads pictures, recordings and documents that messages name by http(s) URL, so that they are sent inline.

    Without a fetcher such URLs go to the gateway by reference, which is cheaper and safer. A user name and password in
    a URL (`https://user:password@host/`) are sent as Basic auth to that host, and are not shown in errors.

    Args:
        max_bytes: the largest file, decompressed.
        timeout: seconds of silence, to connect and between data.
        max_redirects: how many redirects are followed; each target is checked like the first address.
        allow_private: also fetch from private, loopback and link-local addresses. Only where every message
            is trusted: with it a prompt can read your internal services.
        deadline: seconds that all files of one message may take together. A model's own `deadline` counts too.
    """

    max_bytes: int = 20 * 2**20
    timeout: float = 10.0
    max_redirects: int = 5
    allow_private: bool = False
    deadline: float = 60.0

    def fetch(self, urls: Iterable[str], *, deadline: float | None = None) -> dict[str, tuple[str, bytes]]:
        """Return MIME type and bytes of each URL, blocking.

        Args:
            deadline: seconds for all of them, if that is less than the fetcher's own deadline.

        Raises `UnsupportedContentError` for a URL that is refused, too large, too slow, not found or no media.
        """
        expires = self._deadline_of_download(deadline)
        return {url: self._fetch_blocking(url, expires) for url in dict.fromkeys(urls)}

    async def afetch(self, urls: Iterable[str], *, deadline: float | None = None) -> dict[str, tuple[str, bytes]]:
        """Return the same as `fetch`, all at the same time and without blocking the event loop."""
        distinct_urls = list(dict.fromkeys(urls))
        expires = self._deadline_of_download(deadline)
        files = await asyncio.gather(*(self._fetch_in_loop(url, expires) for url in distinct_urls))
        return dict(zip(distinct_urls, files, strict=True))

    def _deadline_of_download(self, deadline: float | None) -> float:
        return time.monotonic() + (self.deadline if deadline is None else min(deadline, self.deadline))

    def _fetch_blocking(self, url: str, expires: float) -> tuple[str, bytes]:
        import httpcore

        from gemway._sockets import SyncNetwork

        download = _Download(self, url, expires)
        try:
            while True:
                # Resolved here and connected by address: a name that is resolved again could lead to a private host the
                # second time (DNS rebinding).
                addresses = socket.getaddrinfo(*download.host_and_port(), type=socket.SOCK_STREAM)
                request = download.request(addresses)
                network = SyncNetwork()
                network.expires = expires
                with (
                    httpcore.ConnectionPool(ssl_context=download.trust(), network_backend=network) as pool,
                    pool.stream("GET", **request) as response,
                ):
                    if not download.is_redirected(response):
                        for data in response.iter_stream():
                            download.take(data)
                        return download.media()
        except _expected_errors() as error:
            failure = download.failure(error)
        raise failure

    async def _fetch_in_loop(self, url: str, expires: float) -> tuple[str, bytes]:
        import httpcore

        from gemway._sockets import AsyncNetwork

        download = _Download(self, url, expires)
        loop = asyncio.get_running_loop()
        try:
            while True:
                names = loop.getaddrinfo(*download.host_and_port(), type=socket.SOCK_STREAM)
                request = download.request(await asyncio.wait_for(names, max(0.001, expires - time.monotonic())))
                network = AsyncNetwork()
                network.expires = expires
                async with (
                    httpcore.AsyncConnectionPool(ssl_context=download.trust(), network_backend=network) as pool,
                    pool.stream("GET", **request) as response,
                ):
                    if not download.is_redirected(response):
                        async for data in response.aiter_stream():
                            download.take(data)
                        return download.media()
        except _expected_errors() as error:
            failure = download.failure(error)
        raise failure


def _expected_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of a download that fails: network, deadline, and answers that cannot be read."""
    import httpcore

    network = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.UnsupportedProtocol)
    return (*network, asyncio.TimeoutError, OSError, ValueError, zlib.error)


class _Download:
    """The state of one download: the next address, the rules, and the bytes so far. Waits for nothing."""

    def __init__(self, limits: MediaFetcher, url: str, expires: float) -> None:
        self._limits = limits
        self._url = url
        self._target = url
        self._expires = expires
        self._redirects = 0
        self._headers: dict[str, str] = {}
        self._machine: Any = None
        self._pieces: list[bytes] = []
        self._size = 0

    def host_and_port(self) -> tuple[str, int]:
        """Return the name to resolve, an international one as `xn--...`."""
        target = self._parsed_address()
        return target.raw_host.decode("ascii"), target.port or (443 if target.scheme == "https" else 80)

    def _parsed_address(self) -> httpx.URL:
        import httpx

        try:
            target = httpx.URL(self._target)
        except (httpx.InvalidURL, ValueError):
            raise self._refusal_error("is not a valid address") from None
        if target.scheme not in ("http", "https") or not target.raw_host:
            raise self._refusal_error(f"leads to {without_credentials(self._target)!r}, which is no http(s) address")
        return target

    def request(self, resolved: Iterable[Any]) -> JsonObject:
        """Return the request for the first resolved address, with the name in Host and in TLS."""
        import httpcore

        addresses = [str(entry[4][0]) for entry in resolved]
        # All addresses, not only the first: the connection might fall back to any of them.
        for address in addresses:
            if not self._limits.allow_private and not _is_public(address):
                raise self._refusal_error(f"leads to {address}, which is no public address")
        target = self._parsed_address()
        host, port = self.host_and_port()
        headers = [
            ("host", target.netloc.decode("ascii")),
            ("user-agent", f"gemway/{__version__}"),
            ("accept", "*/*"),
            # Compressed media would be inflated beyond any limit by one who means harm, and hardly shrink.
            ("accept-encoding", "identity"),
        ]
        if target.userinfo:
            name, _, password = target.userinfo.decode("ascii").partition(":")
            token = b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode("ascii")
            headers.append(("authorization", f"Basic {token}"))
        silence = self._limits.timeout
        return {
            "url": httpcore.URL(
                scheme=target.scheme.encode(), host=addresses[0].encode(), port=port, target=target.raw_path
            ),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            # The certificate must be that of the name, although the connection goes to an address.
            "extensions": {
                "timeout": {"connect": silence, "read": silence, "write": silence, "pool": silence},
                "sni_hostname": host,
            },
        }

    def trust(self) -> Any:
        """Return the SSL context that checks certificates, or None for plain http."""
        if self._parsed_address().scheme != "https":
            return None
        import httpx

        # SSL_CERT_FILE may name the private authority of the gateway, which must not vouch for strangers.
        return httpx.create_ssl_context(trust_env=False)

    def is_redirected(self, response: Any) -> bool:
        """Whether the file is elsewhere; the next request then goes there."""
        self._headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        if response.status not in _REDIRECTS:
            if not 200 <= response.status < 300:
                raise self._refusal_error(f"answers {response.status}")
            # A file that announces to be too large costs no download. Few digits only, since int() of many is slow.
            length = self._headers.get("content-length", "")
            if length.isdecimal() and (len(length) > 18 or int(length) > self._limits.max_bytes):
                raise self._too_large_error()
            self._machine = self._choose_decompressor()
            return False
        self._redirects += 1
        if self._redirects > self._limits.max_redirects:
            raise self._refusal_error(f"redirects more than {self._limits.max_redirects} times")
        # The next round checks scheme and address of the target like those of the first.
        self._target = str(self._parsed_address().join(self._headers.get("location", "")))
        return True

    def _choose_decompressor(self) -> Any:
        """Return the decompressor for an answer that is compressed although we asked for none: one layer, in steps, or None."""
        encoding = self._headers.get("content-encoding", "").strip().lower()
        if encoding in ("", "identity"):
            return None
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise self._refusal_error(f"is compressed ({encoding[:40]}), which was not asked for")
        return zlib.decompressobj(zlib.MAX_WBITS | 32)

    def take(self, data: bytes) -> None:
        """Keep the next bytes."""
        for piece in self._decompress(data):
            self._size += len(piece)
            if self._size > self._limits.max_bytes:
                raise self._too_large_error()
            self._pieces.append(piece)

    def _decompress(self, data: bytes) -> Iterator[bytes]:
        if self._machine is None:
            yield data
            return
        has_more = bool(data)
        while has_more:
            # In steps, so that a bomb is noticed at the limit and not when the memory is full.
            piece = self._machine.decompress(data, _INFLATED_AT_ONCE)
            yield piece
            data = self._machine.unconsumed_tail
            has_more = bool(data) or len(piece) == _INFLATED_AT_ONCE

    def media(self) -> tuple[str, bytes]:
        """Return MIME type and bytes. The bytes themselves count more than the type that the server declares."""
        if self._machine is not None and not self._machine.eof:
            raise self._refusal_error("is cut off: its compressed data has no end")
        data = b"".join(self._pieces)
        declared = self._headers.get("content-type", "").split(";")[0].strip().lower()
        # Servers label pictures as text or octets, and error pages as pictures.
        mime_type = sniff_mime_type(data) or declared
        if not data or mime_type in ("", "text/html", "application/json", "application/octet-stream"):
            raise self._refusal_error(f"is no media (content type {declared[:80] or 'unknown'})")
        return mime_type, data

    def failure(self, error: Exception) -> UnsupportedContentError:
        """Return our error for whatever went wrong, without the user name and password of the URL."""
        if isinstance(error, UnsupportedContentError):
            return error.with_traceback(None)
        if time.monotonic() >= self._expires:
            return self._refusal_error(
                "cannot be fetched: it is not complete at the deadline; raise MediaFetcher(deadline=)"
            )
        return self._refusal_error(f"cannot be fetched: {str(error) or type(error).__name__}")

    def _refusal_error(self, reason: str) -> UnsupportedContentError:
        return UnsupportedContentError(f"{without_credentials(self._url)} {reason}")

    def _too_large_error(self) -> UnsupportedContentError:
        return self._refusal_error(f"is larger than {self._limits.max_bytes:,} bytes; raise MediaFetcher(max_bytes=)")


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# IPv6 ranges that carry an IPv4 address or belong to one site, and that ipaddress calls global in some versions of
# Python: a router on the way may lead them to a private host.
_NOT_PUBLIC: Final[Mapping[str, ipaddress.IPv6Network]] = {
    name: ipaddress.IPv6Network(network)
    for name, network in {
        "IPv4-compatible (RFC 4291, 2.5.5.1)": "::/96",
        "IPv4-translated, SIIT (RFC 2765)": "::ffff:0:0:0/96",
        "NAT64 of one site (RFC 8215)": "64:ff9b:1::/48",
        "Teredo (RFC 4380)": "2001::/32",
        "6to4 (RFC 3056)": "2002::/16",
        "site-local (RFC 3879)": "fec0::/10",
    }.items()
}


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in _NOT_PUBLIC.values()):
            return False
        if ip in _NAT64:  # how an IPv6-only network reaches IPv4 hosts (RFC 6052): the last 32 bits are the address
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        elif ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast
