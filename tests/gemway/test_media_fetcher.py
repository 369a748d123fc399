"""Media by URL: fetched only within limits, and never from where a prompt must not reach."""

from __future__ import annotations

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from gemway import MediaFetcher, UnsupportedContentError

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
    def run(fetcher: MediaFetcher, *urls: str):
        return fetcher.fetch(urls) if request.param == "sync" else asyncio.run(fetcher.afetch(urls))

    return run


OPEN = MediaFetcher(allow_private=True)


def test_a_picture_is_fetched_once_and_named_by_its_bytes(files, fetch):
    """The bytes say PNG, so it is PNG whatever the server calls it; a URL used twice is loaded once."""
    url = f"{files.url}/cat.png"

    assert fetch(OPEN, url, url) == {url: ("image/png", PNG)}
    assert files.seen == [("/cat.png", files.url.removeprefix("http://"))]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]"],
)
def test_addresses_that_are_not_public_are_refused(files, fetch, host):
    """Loopback, private, link-local and mapped addresses are refused after resolution, before any connection."""
    port = files.server_port

    with pytest.raises(UnsupportedContentError, match="no public address|cannot be fetched"):
        fetch(MediaFetcher(), f"http://{host}:{port}/x.png")
    assert files.seen == []


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
