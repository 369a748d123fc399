"""Server-sent events as gateways send them: every framing of the same answer is the same answer."""

from __future__ import annotations

import json
import time

import pytest
from fault_drivers import core_streams, stream_drivers
from fault_server import CLOSE, EVENTS, LAST, event, full, head, message, piece, play
from gemway import ResponseValidationError
from gemway._sse import EventDecoder, EventTooLargeError

FIRST, SECOND = message("Grüße\u2028\u2029\u0085 ", None), message('"data: x"\n\n[DONE]')
TEXT = "Grüße\u2028\u2029\u0085 " + '"data: x"\n\n[DONE]'


def raw(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def lines(content: object) -> bytes:
    """Return an event whose JSON is spread over several data lines."""
    return b"".join(b"data: " + line + b"\n" for line in json.dumps(content, indent=1).encode().split(b"\n")) + b"\n"


def halves(content: dict) -> bytes:
    """Return an event over three data lines, of which the middle one is an object of its own."""
    before, candidate, after = json.dumps(content, ensure_ascii=False).partition(
        json.dumps(content["candidates"][0], ensure_ascii=False)
    )
    return "".join(f"data: {line}\n" for line in (before, candidate, after)).encode() + b"\n"


A, B = raw(FIRST), raw(SECOND)
FRAMINGS = {
    "lf": b"data: " + A + b"\n\ndata: " + B + b"\n\n",
    "crlf": b"data: " + A + b"\r\n\r\ndata: " + B + b"\r\n\r\n",
    "cr": b"data: " + A + b"\r\rdata: " + B + b"\r\r",
    "mixed-ends": b"data: " + A + b"\r\n\ndata: " + B + b"\n\r\n",
    "bom": b"\xef\xbb\xbfdata: " + A + b"\n\ndata: " + B + b"\n\n",
    "comments": b": PING\n\n:\n: x: y\ndata: " + A + b"\n\n: PING\n\ndata: " + B + b"\n: late\n\n",
    "other-fields": b"event: message\nid: 7\nretry: 100\ndata: " + A + b"\n\nfoo: bar\ndata: " + B + b"\nid\n\n",
    "no-space": b"data:" + A + b"\n\ndata:" + B + b"\n\n",
    "several-lines": lines(FIRST) + lines(SECOND),
    "several-lines-of-whole-objects": halves(FIRST) + halves(SECOND),
    "done": b"data: " + A + b"\n\ndata: " + B + b"\n\ndata: [DONE]\n\n",
    "done-without-space": b"data:" + A + b"\n\ndata:" + B + b"\n\ndata:[DONE]\n\n",
    "no-blank-line": b"data: " + A + b"\n\ndata: " + B + b"\n",
    "no-line-end": b"data: " + A + b"\n\ndata: " + B,
    "many-blank-lines": b"\n\n\r\n\ndata: " + A + b"\n\n\n\n\ndata: " + B + b"\n\n\n",
    "array": b"[" + A + b"\n,\r\n" + B + b"]",
    "pretty-array": json.dumps([FIRST, SECOND], indent=2).encode(),
    "array-after-bom": b"\xef\xbb\xbf [" + A + b"," + B + b"]",
    "objects": A + b"\n" + B + b"\n",
    "single-object": raw(message(TEXT)),
    "escaped": b"data: " + json.dumps(FIRST).encode() + b"\n\ndata: " + json.dumps(SECOND).encode() + b"\n\n",
}


@stream_drivers
@pytest.mark.parametrize("body", FRAMINGS.values(), ids=FRAMINGS)
def test_every_framing_is_the_same_answer(server, driver, body):
    """Sent whole, with a length, whatever is between the events."""
    server.script(play(full(body, content_type="text/event-stream")))

    assert driver.ask(server.base_url, max_retries=0).text == TEXT


@core_streams
@pytest.mark.parametrize("name", ["lf", "crlf", "comments", "several-lines", "array", "bom"])
def test_bytes_may_arrive_one_by_one(server, driver, name):
    """Every split of the bytes is the same answer, also inside a character or a line end."""
    steps = [piece(bytes([byte])) for byte in FRAMINGS[name]]
    server.script(play(EVENTS, *steps, LAST))

    assert driver.ask(server.base_url, max_retries=0).text == TEXT


@pytest.mark.parametrize("body", FRAMINGS.values(), ids=FRAMINGS)
def test_every_split_gives_the_same_events(body):
    """Cut in two at each place."""

    def decoded(*pieces: bytes) -> list[object]:
        decoder = EventDecoder()
        events = [one for part in pieces for one in decoder.feed(part)]
        return [json.loads(one) for one in (*events, *decoder.finish())]

    whole = decoded(body)

    assert all(decoded(body[:at], body[at:]) == whole for at in range(len(body)))
    assert decoded(*(bytes([byte]) for byte in body)) == whole


@stream_drivers
def test_an_event_of_8_megabytes(server, driver):
    """A picture is one line."""
    server.script(play(EVENTS + piece(event(message("x" * 8_000_000))) + LAST))

    assert len(driver.ask(server.base_url, timeout=20, max_retries=0).text) == 8_000_000


@stream_drivers
def test_3000_events(server, driver):
    """A long answer in small steps."""
    body = b"".join(event(message("x", None)) for _ in range(2999)) + event(message("x"))
    server.script(play(full(body, content_type="text/event-stream")))

    answered = driver.ask(server.base_url, timeout=20, max_retries=0)

    assert answered.text == "x" * 3000


@core_streams
def test_an_event_larger_than_the_limit_is_refused(server, driver):
    """The error names the limit and the option."""
    server.script(default=play(EVENTS + piece(event(message("x" * 300_000))) + LAST))

    error = driver.fail(server.base_url, ResponseValidationError, max_response_bytes=200_000)

    assert "larger than 200,000 bytes" in str(error)
    assert "max_response_bytes" in str(error)


def test_the_limit_is_that_of_one_event():
    """A stream may be longer than its largest event; a line that never ends is stopped, too."""
    decoder = EventDecoder(1000)
    for _ in range(50):
        assert decoder.feed(b"data: " + b"x" * 500 + b"\n\n") == [b"x" * 500]
    decoder.feed(b": never ending" + b"x" * 500)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"x" * 500)


def seconds(body: bytes, step: int) -> float:
    decoder = EventDecoder(2**30)
    begin = time.process_time()
    for at in range(0, len(body), step):
        decoder.feed(body[at : at + step])
    decoder.finish()
    return time.process_time() - begin


@pytest.mark.parametrize(
    "make",
    [
        lambda size: b"data: " + b"x" * size,
        lambda size: b"data: xxxxxxxxxx\n" * (size // 17),
        lambda size: b"data: xxxxxxxxxx\r\n" * (size // 18),
        lambda size: b'{"a": "' + b"x" * size,
        lambda size: b'{"a": "' + b'\\"' * (size // 2),
        lambda size: b"data: {}\n\n" * (size // 10),
        lambda size: b"\n" * size,
        lambda size: b" " * size,
    ],
    ids=["one-line", "many-lines", "crlf-lines", "object", "escapes", "events", "blank-lines", "spaces"],
)
def test_decoding_takes_linear_time(make):
    """Eight times the bytes cost about eight times the seconds, in network-sized pieces."""
    small = min(seconds(make(250_000), 1000) for _ in range(3))
    large = min(seconds(make(2_000_000), 1000) for _ in range(3))

    assert large < 40 * small + 0.05


@core_streams
@pytest.mark.parametrize("ending", [LAST, b""], ids=["ended", "closed"])
def test_a_stream_of_nothing_is_retried(server, driver, ending):
    """No event at all, only comments or white space: nothing was handed on, so the call is repeated."""
    server.script(play(EVENTS + (ending or b""), CLOSE), play(head(200) + b": PING\n\n\n", CLOSE))

    if ending:
        assert driver.ask(server.base_url).text == "ok"
        assert len(server.requests) >= 2
    else:
        driver.ask(server.base_url)
