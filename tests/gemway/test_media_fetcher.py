"""Media by URL: fetched only within limits, and never from where a prompt must not reach."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from gemway import MediaFetcher, UnsupportedContentError
from gemway._fetcher import _is_public

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers["Host"]))
        if self.path.startswith("/slow"):
            time.sleep(0.3)
        if self.path.startswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?to=")[2])
            self.end_headers()
            return
        body = {"/big.png": PNG * 1000, "/page": b"<html>", "/missing": b""}.get(self.path, PNG)
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Type", "text/html" if self.path == "/page" else "image/jpeg")
        if self.path != "/big.png":  # without a length, so that the limit is found while reading
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def files():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(params=["sync", "async"])
def fetch(request):
    def run(fetcher: MediaFetcher, *urls: str, **limits: float):
        if request.param == "sync":
            return fetcher.fetch(urls, **limits)
        return asyncio.run(fetcher.afetch(urls, **limits))

    return run


OPEN = MediaFetcher(allow_private=True)


def test_a_picture_is_fetched_once_and_named_by_its_bytes(files, fetch):
    """The bytes say PNG, so it is PNG whatever the server calls it; a URL used twice is loaded once."""
    url = f"{files.url}/cat.png"

    assert fetch(OPEN, url, url) == {url: ("image/png", PNG)}
    assert files.seen == [("/cat.png", files.url.removeprefix("http://"))]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[fec0::1]", "[feff::1]"),
        *("[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[::8.8.8.8]", "[::ffff:0:127.0.0.1]"),
        *("[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::8.8.8.8]"),
        *("[2002:7f00:1::]", "[2002:808:808::1]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]"),
    ],
)
def test_addresses_that_are_not_public_are_refused(files, fetch, host):
    """Loopback, private, link-local and mapped addresses are refused after resolution, before any connection."""
    port = files.server_port

    with pytest.raises(UnsupportedContentError, match="no public address|cannot be fetched"):
        fetch(MediaFetcher(), f"http://{host}:{port}/x.png")
    assert files.seen == []


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::8.8.8.8", True),  # how IPv4 hosts are reached from a network that has IPv6 only (RFC 6052)
        ("64:ff9b::10.0.0.1", False),
        ("::ffff:0:8.8.8.8", False),
        ("fec0::8", False),
        ("2002:808:808::1", False),
    ],
)
def test_addresses_that_carry_an_ipv4_address(address, is_public):
    """Ranges of RFC 2765, 3056, 3879, 4291, 4380, 6052 and 8215."""
    assert _is_public(address) is is_public


def raw_file(body: bytes, *headers: str, drip: float = 0.0, dripping_head: bool = False):
    """Serve *body* once for each connection, as exactly these bytes; return the URL and what was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []
    lines = ["HTTP/1.1 200 OK", "Content-Type: image/png", f"Content-Length: {len(body)}", *headers]
    head = "".join(f"{line}\r\n" for line in (*lines, "")).encode()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                asked.append(connection.recv(65536))
                pieces = head + body if dripping_head else body
                if not dripping_head:
                    connection.sendall(head)
                if not drip:
                    connection.sendall(pieces)
                    continue
                for at in range(len(pieces)):
                    connection.sendall(pieces[at : at + 1])
                    time.sleep(drip)

    threading.Thread(target=serve, daemon=True).start()
    return listener, f"127.0.0.1:{listener.getsockname()[1]}", asked


@pytest.mark.parametrize("dripping_head", [False, True], ids=["body", "head"])
@pytest.mark.parametrize("own", [True, False], ids=["of-the-fetcher", "of-the-call"])
def test_a_file_that_drips_ends_at_the_deadline(fetch, dripping_head, own):
    """A byte now and then is no silence, so it is the deadline that ends the wait, wherever the server drips."""
    listener, address, _ = raw_file(PNG * 10, drip=0.1, dripping_head=dripping_head)
    fetcher = MediaFetcher(allow_private=True, timeout=5, deadline=0.4 if own else 60)
    began = time.monotonic()
    with listener, pytest.raises(UnsupportedContentError, match="deadline"):
        fetch(fetcher, f"http://{address}/x.png", **({} if own else {"deadline": 0.4}))

    assert time.monotonic() - began < 5


def test_a_password_in_a_url_is_sent_as_basic_auth_and_never_shown(fetch):
    """As browsers and curl do it; the Host header has the host only."""
    listener, address, asked = raw_file(b"")
    with listener, pytest.raises(UnsupportedContentError, match="no media") as caught:
        fetch(OPEN, f"http://user:p%40ss-planted@{address}/x?token=planted")

    assert f"host: {address}".encode() in asked[0].lower()
    assert b64encode(b"user:p@ss-planted") in asked[0]
    assert "planted" not in str(caught.value)
    assert f"@{address}/x" in str(caught.value)


def bomb(layers: int) -> bytes:
    data = PNG + b"\0" * (40 * 2**20)
    for _ in range(layers):
        data = gzip.compress(data, 9)
    return data


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("gzip", bomb(1), "larger than"),
        ("deflate", zlib.compress(PNG + b"\0" * (40 * 2**20)), "larger than"),
        ("gzip, gzip", bomb(2), "not asked for"),
        ("zstd", b"x", "not asked for"),
        ("br", b"x", "not asked for"),
        ("gzip", gzip.compress(PNG)[:-9], "cut off"),
        ("gzip", b"no gzip", "cannot be fetched"),
    ],
    # Named by hand: gzip writes the time into its output, and workers must agree on the names of tests.
    ids=["gzip bomb", "deflate bomb", "two layers", "zstd", "brotli", "cut off", "no gzip"],
)
def test_compressed_files_stay_within_the_limit(fetch, encoding, body, reason):
    """Nothing compressed is asked for; what comes so all the same is inflated in steps, or refused."""
    listener, address, asked = raw_file(body, f"Content-Encoding: {encoding}")
    tracemalloc.start()
    with listener, pytest.raises(UnsupportedContentError, match=reason):
        fetch(MediaFetcher(allow_private=True, max_bytes=2**20), f"http://{address}/x.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert b"accept-encoding: identity" in asked[0].lower()
    assert peak < 8 * 2**20


def test_a_small_compressed_file_is_read(fetch):
    """Some servers compress everything, asked or not."""
    listener, address, _ = raw_file(gzip.compress(PNG * 100), "Content-Encoding: gzip")
    url = f"http://{address}/x.png"
    with listener:
        assert fetch(OPEN, url) == {url: ("image/png", PNG * 100)}


@pytest.mark.parametrize(
    "url",
    [
        "http://b\u00fccher.invalid/x.png",
        "http://xn--.invalid/",
        "http://a..b/",
        "http://" + "a" * 300 + ".example/",
        "http://[::1/x",
        "http://host:99999/",
        "http:///x",
        "http://127.0.0.1:1/x",
        "nonsense",
        "",
    ],
)
def test_addresses_that_lead_nowhere_are_typed_errors(fetch, url):
    """International names are resolved as `xn--...`; nothing escapes as a UnicodeError or a ValueError of a library."""
    with pytest.raises(UnsupportedContentError):
        fetch(OPEN, url)


def test_a_wrong_length_is_no_crash(fetch):
    """A Content-Length that is no number, or one that is too long to be one."""
    for length in ("-5", "9" * 30):
        listener = socket.create_server(("127.0.0.1", 0))

        def serve(listener=listener, length=length) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nx".encode())

        threading.Thread(target=serve, daemon=True).start()
        with listener, pytest.raises(UnsupportedContentError):
            fetch(OPEN, f"http://127.0.0.1:{listener.getsockname()[1]}/x.png")


def test_a_redirect_is_checked_like_the_first_address(files, fetch):
    """A redirect to a scheme or host that is refused is refused; a good one is followed."""
    good = f"{files.url}/redirect?to=/cat.png"

    assert fetch(OPEN, good)[good][0] == "image/png"
    with pytest.raises(UnsupportedContentError, match="no http"):
        fetch(OPEN, f"{files.url}/redirect?to=file:///etc/passwd")


def test_redirects_end(files, fetch):
    """A loop of redirects is left after the fifth."""
    with pytest.raises(UnsupportedContentError, match="more than 5 times"):
        fetch(
            OPEN, f"{files.url}/redirect?to=/redirect?to=/redirect?to=/redirect?to=/redirect?to=/redirect?to=/redirect"
        )


@pytest.mark.parametrize(
    ("path", "reason"), [("/big.png", "larger than 1,000"), ("/page", "no media"), ("/missing", "answers 404")]
)
def test_what_is_no_small_picture_is_refused(files, fetch, path, reason):
    """Files over the limit, pages and errors are refused with the reason."""
    with pytest.raises(UnsupportedContentError, match=reason):
        fetch(MediaFetcher(allow_private=True, max_bytes=1000), files.url + path)


async def test_the_event_loop_goes_on_while_files_arrive(files):
    """Three slow files are fetched at the same time, and the loop ticks meanwhile."""
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.02)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await OPEN.afetch([f"{files.url}/slow{number}.png" for number in range(3)])
    ticking.cancel()

    assert ticks >= 3
