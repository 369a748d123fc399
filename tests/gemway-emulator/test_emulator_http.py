"""HTTP itself, over raw sockets: keep-alive, chunked requests, old and broken clients, and clients that leave."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gemway_emulator import Emulator, reply

PATH = "/v1beta/models/gemini-2.5-flash:generateContent"
BODY = json.dumps({"contents": [{"parts": [{"text": "Riga is in Latvia. Where is Riga?"}]}]}).encode()


@pytest.fixture
def talk(emulator):
    """Send bytes on a connection of their own and return all that comes back until the server closes it."""

    def exchange(*pieces: bytes) -> bytes:
        address = emulator.base_url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1])), timeout=10) as connection:
            for piece in pieces:
                connection.sendall(piece)
            received = b""
            while data := connection.recv(65536):
                received += data
        return received

    return exchange


def post(body: bytes = BODY, *headers: str, version: str = "1.1", path: str = PATH, length: bool = True) -> bytes:
    """A POST in bytes."""
    lines = [f"POST {path} HTTP/{version}", "Host: 127.0.0.1", "Authorization: Bearer sk-local", *headers]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_requests_follow_each_other_on_one_connection(talk, emulator):
    """Two requests sent at once get two answers in order; `Connection: close` ends it."""
    answer = talk(post() + post(BODY, "Connection: close"))

    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answer.count(b"connection: close") == 1
    assert len(emulator.requests) == 2


def test_a_chunked_request_is_read(talk, emulator):
    """Clients that do not know the length of a body send it in chunks, perhaps with trailers."""
    half = len(BODY) // 2
    chunks = b"".join(b"%x;note=1\r\n%b\r\n" % (len(piece), piece) for piece in (BODY[:half], BODY[half:]))
    answer = talk(
        post(b"", "Transfer-Encoding: chunked", "Connection: close", length=False), chunks, b"0\r\nX-Sum: 1\r\n\r\n"
    )

    assert b"200 OK" in answer
    assert emulator.requests[0].body == BODY


def test_an_expected_continue_is_answered(talk, emulator):
    """curl asks before it sends a large body."""
    head, _, body = post(BODY, "Expect: 100-continue", "Connection: close").partition(b"\r\n\r\n")
    answer = talk(head + b"\r\n\r\n", body)

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_an_old_client_gets_an_answer_without_chunks(talk):
    """HTTP/1.0 knows no chunks and no keep-alive: a stream ends with the connection."""
    answer = talk(post(BODY, version="1.0", path=f"{PATH.replace(':generate', ':streamGenerate')}?alt=sse"))

    assert b"transfer-encoding" not in answer
    assert answer.rstrip().endswith(b"}")


@pytest.mark.parametrize(
    "junk", [b"HELLO\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n"]
)
def test_what_is_no_http_is_a_400(talk, junk):
    """Junk, TLS or an endless head get a 400 and the end of the connection, and the server goes on."""
    assert talk(junk).startswith(b"HTTP/1.1 400 ")
    assert talk(post(BODY, "Connection: close")).startswith(b"HTTP/1.1 200 ")


def test_head_has_no_body(http, emulator):
    """HEAD of the health check sends the length alone."""
    response = http.head("/healthz")

    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "2")


def test_a_client_that_leaves_does_not_disturb_others(http, emulator):
    """A connection that is dropped in the middle of a stream ends its answer; the next one is served."""
    emulator.enqueue(reply.text("one two three four", chunks=["one ", "two ", "three ", "four"], chunk_delay=0.1))
    with http.stream("POST", PATH.replace(":generate", ":streamGenerate") + "?alt=sse", content=BODY) as response:
        next(response.iter_raw())

    assert http.post(PATH, content=BODY).status_code == 200


def test_fifty_streams_run_beside_each_other(emulator, http):
    """Fifty slow streams take about as long as one, and a short request is answered meanwhile."""
    texts = [str(number) for number in range(8)]
    emulator.respond = lambda request: (
        reply.text("".join(texts), chunks=texts, chunk_delay=0.1) if request.streamed else None
    )
    url = PATH.replace(":generate", ":streamGenerate") + "?alt=sse"
    short = []

    def stream(_: int) -> int:
        return http.post(url, content=BODY).text.count("data: ")

    with ThreadPoolExecutor(50) as pool:
        started = time.monotonic()
        streams = pool.map(stream, range(50))
        time.sleep(0.2)
        short.append(http.post(PATH, content=BODY).status_code)
        counts = list(streams)

    assert counts == [8] * 50
    assert short == [200]
    assert time.monotonic() - started < 50 * 0.7 / 3


def test_an_emulator_stops_in_the_middle_of_answers():
    """Stop ends answers under way, delayed ones too, and comes back soon."""
    emulator = Emulator(delay=60).start()
    outcome = []

    def ask() -> None:
        try:
            httpx.post(emulator.base_url + PATH, content=BODY, headers={"Authorization": "Bearer sk-local"}, timeout=30)
        except httpx.TransportError as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not emulator.requests:
        time.sleep(0.01)
    emulator.stop()
    thread.join(10)

    assert len(outcome) == 1
