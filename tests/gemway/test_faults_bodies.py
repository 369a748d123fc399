"""What an answer with status 200 may hold: the right answer or a typed error, never an empty success."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from fault_drivers import core_calls, core_drivers, every_driver, unary_drivers
from fault_server import CLOSE, EVENTS, LAST, STALL, both, event, full, head, message, piece, play, reply
from gemway import (
    APIError,
    APIStatusError,
    EmptyResponseError,
    InternalServerError,
    RateLimitError,
    ResponseValidationError,
)

NOT_ANSWERS = {
    "empty": b"",
    "white-space": b" \r\n\t ",
    "array": b"[]",
    "null": b"null",
    "object": b"{}",
    "text": b'"ok"',
    "number": b"42",
    "html": b"<!doctype html><html><title>Dashboard</title></html>",
    "plain-text": b"upstream connect error",
    "other-json": b'{"choices":[{"message":{"content":"hi"}}]}',
    "invalid-utf-8": b'{"candidates":[{"content":{"parts":[{"text":"\xff\xfe"}]},"finishReason":"STOP"}]}',
    "nested-arrays": b"[" * 200_000,
    "nested-objects": b'{"a":' * 200_000,
    "nested-in-an-answer": b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":'
    + b'{"a":' * 200_000,
    "odd-types": b'{"candidates":"none","promptFeedback":5}',
    "error": b'{"error":{"code":418,"message":"no"}}',
    "success-false": b'{"success":false,"message":"no"}',
    "error-beside-candidates": b'{"candidates":[],"error":{"code":418,"message":"no"}}',
}


@every_driver
@pytest.mark.parametrize("body", NOT_ANSWERS.values(), ids=NOT_ANSWERS)
def test_what_is_no_answer_is_a_typed_error(server, driver, body):
    """Whatever a 200 holds that is no Gemini answer."""
    server.script(default=reply(body))

    error = driver.fail(server.base_url, APIError, max_retries=0)

    assert isinstance(error, (ResponseValidationError, APIStatusError))
    assert len(str(error)) < 5000


@core_drivers
@pytest.mark.parametrize("body", ["empty", "null", "object", "html", "plain-text", "error"])
@pytest.mark.parametrize("content_type", ["text/html", "text/event-stream", ""], ids=["html", "events", "untyped"])
def test_what_is_no_answer_does_not_depend_on_its_type(server, driver, body, content_type):
    """Whatever the content type claims."""
    server.script(default=reply(NOT_ANSWERS[body], content_type=content_type))

    error = driver.fail(server.base_url, APIError, max_retries=0)

    assert isinstance(error, (ResponseValidationError, APIStatusError))


@every_driver
def test_html_asks_for_the_base_url(server, driver):
    """A gateway's dashboard answers 200; the error says what to check, and is not retried."""
    server.script(default=reply(NOT_ANSWERS["html"], content_type="text/html"))

    error = driver.fail(server.base_url, ResponseValidationError)

    assert "base URL" in str(error)
    assert server.base_url in str(error)
    assert len(server.requests) == 1


@every_driver
@pytest.mark.parametrize(
    ("inner", "kind", "sent"),
    [
        ({"error": {"code": 503, "message": "overloaded"}}, InternalServerError, 2),
        ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow"}}, RateLimitError, 2),
        ([{"error": {"code": 500, "message": "x"}}], InternalServerError, 2),
        ({"error": {"code": 400, "message": "x"}}, APIStatusError, 1),
    ],
    ids=["503", "429", "list", "400"],
)
def test_an_error_in_a_200_counts_like_its_status(server, driver, inner, kind, sent):
    """It has the class of the error that it is, and is retried like it."""
    server.script(default=reply(inner))

    error = driver.fail(server.base_url, kind, max_retries=1)

    assert len(server.requests) == sent
    assert error.status_code in (400, 429, 500, 503)


@every_driver
@pytest.mark.parametrize("body", [b"", b'{"candidates":[{"content":{"par'], ids=["empty", "cut"])
def test_what_was_lost_on_the_way_is_retried(server, driver, body):
    """An empty or cut answer is the fault of the way, not of the question."""
    server.script(play(head(200) + body, CLOSE))

    assert driver.ask(server.base_url).text == "ok"


@core_calls
@pytest.mark.parametrize(
    "body", [{"candidates": []}, {"usageMetadata": {"totalTokenCount": 3}}, {"promptFeedback": {}}], ids=str
)
def test_no_candidates_and_no_reason_is_an_error_of_its_own(server, driver, body):
    """Gemini's own empty answer says so, and carries the answer."""
    server.script(default=reply(body))

    error = driver.fail(server.base_url, EmptyResponseError)

    assert error.response is not None


@unary_drivers
def test_an_array_of_chunks_is_folded(server, driver):
    """A gateway that streams into a unary answer is understood."""
    server.script(reply([message("a", None), message("b", None), message("c", usageMetadata={"totalTokenCount": 5})]))

    assert driver.ask(server.base_url).text == "abc"


@unary_drivers
def test_events_instead_of_json_are_folded(server, driver):
    """Some gateways always send events."""
    content = event(message("a", None)) + b": PING\n\n" + event(message("b")) + event(b"[DONE]")
    server.script(reply(content, content_type="text/event-stream"))

    assert driver.ask(server.base_url).text == "ab"


@core_drivers
@pytest.mark.parametrize("content_type", ["text/plain", "text/html; charset=utf-8", "", "application/octet-stream"])
def test_the_content_type_does_not_matter(server, driver, content_type):
    """A good answer is good whatever it is called."""
    good = both(
        full(message(), content_type=content_type),
        head(200, "chunked", content_type=content_type) + piece(event(message())) + LAST,
    )
    server.script(good)

    assert driver.ask(server.base_url).text == "ok"


@every_driver
@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\r\n  \n", b"\xef\xbb\xbf \n"], ids=["bom", "space", "both"])
def test_white_space_and_a_bom_come_first(server, driver, start):
    """Gateways send them to keep connections alive, or by accident."""
    server.script(both(full(start + json.dumps(message()).encode()), EVENTS + piece(start + event(message())) + LAST))

    assert driver.ask(server.base_url).text == "ok"


COMPRESSED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "GZIP": gzip.compress,
    "identity": bytes,
}


@core_drivers
@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_answers_are_read(server, driver, name):
    """Streams ask for none, and understand it all the same."""
    squeeze = COMPRESSED[name]
    stream = squeeze(event(message("a", None)) + event(message("b")))
    server.script(
        both(
            full(squeeze(json.dumps(message("ab")).encode()), content_encoding=name),
            full(stream, content_type="text/event-stream", content_encoding=name),
        )
    )

    assert driver.ask(server.base_url).text == "ab"
    asked = server.requests[0].headers["accept-encoding"]
    assert asked == "identity" if server.requests[0].streams else "gzip" in asked


@every_driver
def test_several_members_are_one_gzip(server, driver):
    """Concatenated gzip is gzip."""
    first, second = message("a", None), message("b")
    stream = gzip.compress(event(first)) + gzip.compress(event(second))
    text = json.dumps(message("ab")).encode()
    server.script(
        both(
            full(gzip.compress(text[:20]) + gzip.compress(text[20:]), content_encoding="gzip"),
            full(stream, content_type="text/event-stream", content_encoding="gzip"),
        )
    )

    assert driver.ask(server.base_url).text == "ab"


@every_driver
@pytest.mark.parametrize("damage", ["corrupt", "cut", "not-gzip"])
def test_damaged_compression_is_a_typed_error_and_retried(server, driver, damage):
    """It happens on the way; the next answer may be whole."""
    whole = gzip.compress(json.dumps(message()).encode())
    bodies = {"corrupt": whole[:12] + b"\xff\xff" + whole[14:], "cut": whole[:-20], "not-gzip": b"\x00\x01{}"}
    server.script(default=reply(bodies[damage], content_encoding="gzip"))

    driver.fail(server.base_url, ResponseValidationError, max_retries=1)

    assert len(server.requests) == 2


@every_driver
@pytest.mark.parametrize("name", ["br", "zstd", "compress", "gzip, br"])
def test_compression_that_was_not_asked_for_is_named(server, driver, name):
    """The error says which, and a status keeps its meaning."""
    server.script(reply(b"\x00\x01", content_encoding=name), reply(b"\x00\x01", 403, content_encoding=name))

    assert name in str(driver.fail(server.base_url, ResponseValidationError))
    assert driver.fail(server.base_url, APIStatusError).status_code == 403


@core_drivers
def test_a_transient_error_with_odd_compression_is_retried(server, driver):
    """A 503 is a 503, whether or not it can be read."""
    server.script(reply(b"\x00\x01", 503, content_encoding="br"))

    assert driver.ask(server.base_url).text == "ok"


@core_drivers
@pytest.mark.parametrize("squeezed", [False, True], ids=["plain", "gzip"])
def test_the_limit_of_an_answer(server, driver, squeezed):
    """Larger answers are refused by name, counted after decompression, and not asked for again."""
    text = json.dumps(message("x" * 300_000)).encode()
    more = {"content_encoding": "gzip"} if squeezed else {}
    squeeze = gzip.compress if squeezed else bytes
    stream = full(squeeze(event(text)), content_type="text/event-stream", **more)
    server.script(default=both(full(squeeze(text), **more), stream))

    error = driver.fail(server.base_url, ResponseValidationError, max_response_bytes=200_000)

    assert "max_response_bytes" in str(error)
    assert len(server.requests) == 1
    assert len(driver.ask(server.base_url, max_response_bytes=400_000).text) == 300_000


@core_drivers
def test_an_error_body_is_cut(server, driver):
    """64 kB are kept, 2 kB are shown, and the connection is not read to its end."""
    server.script(default=play(head(500, 200_000_000) + b"word " * 100_000, STALL))

    error = driver.fail(server.base_url, InternalServerError, max_retries=0)

    assert len(error.body) == 64 * 1024
    assert len(str(error)) < 3000
    assert server.idle(2)


MEASURE = """
import resource, sys, threading, zlib
sys.path.insert(0, {support!r})
from fault_server import FaultServer, head, play, CLOSE, EVENTS, piece
from gemway import AsyncClient, Client, GemwayError
import asyncio

KIND, WAY = {kind!r}, {way!r}
ASK = {{"contents": [{{"parts": [{{"text": "x"}}]}}]}}
megabyte = b"x" * 2**20

async def flood(connection, request):
    stream = "text/event-stream" if request.streams else "application/json"
    status = 500 if KIND == "error" else 200
    start = b"data: " if request.streams else b'{{"candidates":[{{"x":"'
    if KIND == "bomb":
        await connection.send(head(status, content_type=stream, content_encoding="gzip"))
        machine = zlib.compressobj(9, zlib.DEFLATED, 31)
        await connection.send(machine.compress(start))
        for _ in range(400):
            await connection.send(machine.compress(megabyte))
        await connection.send(machine.flush())
    else:
        await connection.send(head(status, 200 * 2**20, content_type=stream) + start)
        for _ in range(200):
            await connection.send(megabyte)
    await connection.close()

def call(url):
    try:
        if WAY == "sync":
            Client(base_url=url, api_key="sk-memory-test", max_retries=0, max_response_bytes=LIMIT).generate_content("m", ASK)
        elif WAY == "sync-stream":
            list(Client(base_url=url, api_key="sk-memory-test", max_retries=0, max_response_bytes=LIMIT).stream_generate_content("m", ASK))
        else:
            async def main():
                client = AsyncClient(base_url=url, api_key="sk-memory-test", max_retries=0, max_response_bytes=LIMIT)
                await client.generate_content("m", ASK)
            asyncio.run(main())
    except GemwayError as error:
        return type(error).__name__

LIMIT = 16 * 2**20
with FaultServer() as server:
    call(server.base_url)  # everything is imported and warm
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.script(default=flood)
    name = call(server.base_url)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(name, (after - before) // 1024)
"""


@pytest.mark.parametrize("way", ["sync", "sync-stream", "async"])
@pytest.mark.parametrize("kind", ["large", "bomb", "error"])
def test_memory_is_bounded(kind, way):
    """200 MB of answer, of error, or 400 MB out of a gzip bomb cost a few times the limit of 16 MB at most."""
    support = Path(__file__).parents[1] / "support"
    program = MEASURE.format(support=str(support), kind=kind, way=way)

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    name, megabytes = done.stdout.split()
    assert name == ("InternalServerError" if kind == "error" else "ResponseValidationError")
    assert int(megabytes) < 64
