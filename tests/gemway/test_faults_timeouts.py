"""Time: `timeout` bounds silence, `deadline` bounds everything before the answer has begun."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from random import Random

import httpx
import pytest
from fault_drivers import ASK, KEY, MODEL, core_calls, core_drivers, core_streams, every_driver
from fault_server import (
    CLOSE,
    EVENTS,
    LAST,
    STALL,
    answer,
    both,
    drip,
    event,
    failure,
    full,
    full_listener,
    head,
    message,
    piece,
    play,
)
from gemway import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    Client,
    ConfigurationError,
    InternalServerError,
    RateLimitError,
    StreamTimeoutError,
)
from gemway import _protocol as protocol
from gemway._call import CallOptions, CallState, GatewayFacts, RetryContext
from gemway._config import Settings


@pytest.fixture(autouse=True, scope="module")
def _frameworks_are_loaded():
    """Importing a framework takes seconds, which are no part of any call that is timed here."""
    for module in ("langchain_gemway", "llama_index.llms.gemway"):
        if find_spec(module.partition(".")[0]):
            import_module(module)


SHORT = 0.3
CEILING = 3.0


def timed(call):
    """Return what *call* raises and how many seconds it took."""
    begin = time.monotonic()
    try:
        call()
    except Exception as error:
        return error, time.monotonic() - begin
    pytest.fail("an error was expected")


@every_driver
@pytest.mark.parametrize(
    "silence",
    [
        play(STALL),
        play(b"HTTP/1.1 200 OK\r\nContent-", STALL),
        both(head(200, 100), EVENTS, STALL),
        both(head(200, 100) + b'{"cand', EVENTS + piece(b'data: {"cand'), STALL),
    ],
    ids=["before-the-answer", "in-the-head", "after-the-head", "in-the-body"],
)
def test_silence_ends_an_attempt(server, driver, silence):
    """After `timeout` seconds without data an attempt is given up, and repeated."""
    server.script(silence)

    begin = time.monotonic()
    answered = driver.ask(server.base_url, timeout=SHORT)

    assert answered.text == "ok"
    assert SHORT <= time.monotonic() - begin < CEILING
    assert len(server.requests) == 2


@core_drivers
def test_a_long_deadline_leaves_a_short_timeout_as_it_is(server, driver):
    """`deadline` is one more limit: whichever of the two comes first ends the attempt."""
    server.script(default=play(STALL))

    error, seconds = timed(lambda: driver.ask(server.base_url, timeout=SHORT, deadline=60, max_retries=0))

    assert isinstance(error, APITimeoutError)
    assert error.phase == "read"
    assert SHORT <= seconds < CEILING


@every_driver
def test_a_silent_gateway_is_a_timeout_error(server, driver):
    """The error is also Python's TimeoutError, and says what was waited for."""
    server.script(default=play(STALL))

    error, seconds = timed(lambda: driver.ask(server.base_url, timeout=SHORT, max_retries=0))

    assert isinstance(error, APITimeoutError)
    assert isinstance(error, TimeoutError)
    assert error.phase == "read"
    assert error.sent
    assert SHORT <= seconds < CEILING


@core_drivers
def test_a_connection_that_is_never_accepted_times_out(driver):
    """The connect timeout is finite and at most the timeout."""
    with full_listener() as port:
        error, seconds = timed(lambda: driver.ask(f"http://127.0.0.1:{port}", timeout=SHORT, max_retries=0))

    assert isinstance(error, APITimeoutError)
    assert error.phase == "connect"
    assert seconds < CEILING


@every_driver
@pytest.mark.parametrize(
    "slow",
    [
        play(*drip(full(message("never")), 0.05)),
        both(head(200, 2000), EVENTS, *drip(b"{" * 400, 0.05)),
        both(head(200, 2000), EVENTS, *drip(b" " * 12, 0.05), STALL),
        play(*drip(b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 400, 0.05)),
        play(STALL),
        failure(503, retry_after="5"),
        play(CLOSE),
    ],
    ids=[
        "drips-from-the-start",
        "drips-in-the-body",
        "drips-then-stalls",
        "drips-in-the-head",
        "is-silent",
        "asks-to-wait",
        "hangs-up",
    ],
)
def test_a_deadline_bounds_everything(server, driver, slow):
    """However slowly a gateway goes on, a call is over at its deadline."""
    server.script(default=slow)

    error, seconds = timed(lambda: driver.ask(server.base_url, timeout=5, deadline=0.6, max_retries=10))

    assert isinstance(error, (APIConnectionError, InternalServerError))
    assert seconds < 1.6


@core_drivers
def test_a_deadline_is_not_doubled_by_a_stall(server, driver):
    """A body that drips almost until the deadline and then stalls does not get a whole timeout more."""
    server.script(default=both(head(200, 500), EVENTS, *drip(b" " * 16, 0.05), STALL))

    error, seconds = timed(lambda: driver.ask(server.base_url, timeout=30, deadline=1.0))

    assert isinstance(error, APITimeoutError)
    assert error.phase == "deadline"
    assert 0.9 <= seconds < 1.5


@core_calls
def test_a_deadline_bounds_a_body_that_nobody_reads(server, driver):
    """Sending counts, too: a gateway that stops reading does not hold the call."""
    large = {"contents": [{"parts": [{"text": "x" * 40_000_000}]}]}
    server.greet(play(2.5))

    with driver.session(server.base_url, timeout=30, deadline=0.7, max_retries=0) as session:
        error, seconds = timed(lambda: session.run(lambda client: client.generate_content(MODEL, large)))

    assert isinstance(error, APITimeoutError)
    assert seconds < 3


@core_drivers
def test_a_deadline_that_has_passed_sends_nothing(server, driver):
    """There is no time to ask: the error says so."""
    error = driver.fail(server.base_url, APITimeoutError, deadline=1e-9)

    assert (error.phase, error.attempts) == ("deadline", 1)
    assert not server.requests


@core_drivers
def test_a_deadline_of_one_call(server, driver):
    """`deadline`, `timeout` and `max_retries` may be set for one call."""
    server.script(default=play(STALL))

    with driver.session(server.base_url) as session:
        error, seconds = timed(lambda: session.ask(deadline=0.4))
        other, _ = timed(lambda: session.ask(timeout=0.2, max_retries=0))

    assert isinstance(error, APITimeoutError)
    assert seconds < 1.5
    assert other.attempts == 1


@core_streams
def test_a_live_stream_is_never_cut(server, driver):
    """Neither timeout nor deadline ends a stream that keeps sending events."""
    steps = [step for number in range(8) for step in (piece(event(message(str(number), None))), 0.15)]
    server.script(play(EVENTS, *steps, piece(event(message("!"))) + LAST))

    answered = driver.ask(server.base_url, timeout=0.5, deadline=0.6)

    assert answered.text == "01234567!"


@core_streams
def test_a_deadline_bounds_the_wait_for_the_first_event(server, driver):
    """Comments do not start a stream."""
    server.script(default=play(EVENTS, *drip(piece(b": PING\n\n") * 40, 0.05, at_once=len(piece(b": PING\n\n")))))

    error, seconds = timed(lambda: driver.ask(server.base_url, timeout=30, deadline=0.5))

    assert isinstance(error, APITimeoutError)
    assert seconds < 1.5


@core_streams
def test_comments_are_no_data(server, driver):
    """A gateway that only pings is silent, whether or not the stream has begun."""
    pings = drip(piece(b": PING\n\n") * 60, 0.05, at_once=len(piece(b": PING\n\n")))
    server.script(play(EVENTS, *pings), play(EVENTS, piece(event(message("half", None))), *pings))

    error, seconds = timed(lambda: driver.ask(server.base_url, timeout=SHORT, max_retries=1))

    assert isinstance(error, StreamTimeoutError)
    assert error.partial.text == "half"
    assert seconds < CEILING
    assert len(server.requests) == 2


@core_streams
def test_pings_within_the_timeout_keep_nothing_waiting(server, driver):
    """Comments between events that come in time do no harm."""
    ping = piece(b": PING\n\n")
    server.script(
        play(
            EVENTS, ping, 0.1, ping, piece(event(message("a", None))), ping, 0.1, ping, piece(event(message("b"))), LAST
        )
    )

    assert driver.ask(server.base_url, timeout=SHORT).text == "ab"


@core_streams
def test_a_large_event_may_take_longer_than_the_timeout(server, driver):
    """An event that keeps growing is data, although it is not complete."""
    whole = event(message("x" * 60_000))
    pieces = [step for at in range(0, len(whole), 10_000) for step in (piece(whole[at : at + 10_000]), 0.12)]
    server.script(play(EVENTS, piece(event(message("a", None))), *pieces, LAST))

    assert len(driver.ask(server.base_url, timeout=SHORT, max_retries=0).text) == 60_001


@core_streams
def test_a_dripping_event_is_silence(server, driver):
    """A byte now and then does not keep a stream alive."""
    server.script(play(EVENTS, piece(event(message("a", None))), *drip(b"1\r\nd\r\n" * 80, 0.05, at_once=6)))

    error, seconds = timed(lambda: driver.ask(server.base_url, timeout=SHORT))

    assert isinstance(error, StreamTimeoutError)
    assert seconds < CEILING


@core_calls
def test_connections_can_be_limited_and_waited_for(server, driver):
    """`max_connections` calls run at once; the others wait, bounded by the deadline."""
    server.script(default=answer(pause=0.3))

    with driver.session(server.base_url, max_connections=2, deadline=5) as session:
        answers = session.together(6)
        connections = server.connections
        late = session.together(6, deadline=0.45)

    assert [one.text for one in answers] == ["ok"] * 6
    assert connections == 2
    assert sum(isinstance(one, APITimeoutError) for one in late) >= 2
    assert all(isinstance(one, APITimeoutError) or one.text == "ok" for one in late)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), True, "5"], ids=str)
@pytest.mark.parametrize("option", ["timeout", "deadline"])
def test_times_are_positive_and_finite(option, value):
    """An endless wait cannot be asked for."""
    with pytest.raises(ConfigurationError, match=rf"^{option} must"):
        Client(base_url="https://gateway.example", api_key=KEY, **{option: value})


def test_defaults_are_finite():
    """5 s to connect, 120 s of silence; 300 s for pictures and long thinking."""
    from gemway._checks import to_timeouts

    assert to_timeouts(None) == (5, 120, 120)
    assert to_timeouts(None, slow=True).read == 300


def test_every_spelling_of_a_timeout_is_finite():
    """Seconds, pairs and the objects of httpx; where one of those says nothing or "for ever", the default stands."""
    from gemway._checks import to_timeouts

    assert to_timeouts(9) == (5, 9, 9)
    assert to_timeouts(2) == (2, 2, 2)
    assert to_timeouts((1, 9)) == (1, 9, 9)
    assert to_timeouts(httpx.Timeout(7, connect=1, write=3)) == (1, 7, 3)
    assert to_timeouts(httpx.Timeout(None)) == (5, 120, 120)
    assert to_timeouts(httpx.Timeout(None), slow=True) == (5, 300, 300)


@pytest.mark.parametrize(
    ("model", "config", "seconds"),
    [
        (MODEL, {}, 120),
        (MODEL, {"thinkingConfig": {"thinkingLevel": "low", "thinkingBudget": 8192}}, 120),
        (MODEL, {"thinkingConfig": {"thinkingLevel": "high", "thinkingBudget": 1}}, 300),
        (MODEL, {"thinkingConfig": {"thinkingBudget": 8193}}, 300),
        (MODEL, {"responseModalities": ["IMAGE"]}, 300),
        ("gpt-image-2", {}, 300),
    ],
    ids=["text", "short-thinking", "level", "budget", "picture", "slow-model"],
)
def test_what_takes_long_may_be_silent_longer(model, config, seconds):
    """The defaults know pictures and long thinking; a timeout of the user's is kept as it is."""
    settings = Settings(base_url="https://gateway.example")
    call = protocol.generate_content(model, {**ASK, "generationConfig": config}, settings)

    def silence(**options):
        context = RetryContext(Random(1))
        state = CallState(call, CallOptions.of(options), settings, GatewayFacts(), context, now=0)
        return state.start_attempt(0).read

    assert silence() == seconds
    assert silence(timeout=7.0) == 7


@core_drivers
def test_a_hint_beyond_the_deadline_fails_at_once(server, driver):
    """Waiting for nothing is not done."""
    server.script(default=failure(429, retry_after="20"))

    error, seconds = timed(lambda: driver.ask(server.base_url, deadline=5))

    assert isinstance(error, RateLimitError)
    assert error.retry_after == 20
    assert seconds < 2


async def test_cancelling_frees_the_connection(server):
    """A cancelled call stops at once, wherever it was, and its connection is closed."""
    server.script(play(STALL), both(head(200, 100) + b"{", EVENTS, STALL), default=failure(503, retry_after="20"))
    async with AsyncClient(base_url=server.base_url, api_key=KEY) as client:
        for requests in (1, 2, 3):
            task = asyncio.create_task(client.generate_content(MODEL, ASK))
            assert await asyncio.to_thread(server.awaits, requests)
            await asyncio.sleep(0.05)
            begin = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - begin < 0.5

        assert await asyncio.to_thread(server.idle, 1, most=1)  # the 503 left its connection whole
    assert len(server.requests) == 3


async def test_cancelling_while_connecting():
    """A connection that is being made is given up."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        async with AsyncClient(base_url=f"https://127.0.0.1:{listener.getsockname()[1]}", api_key=KEY) as client:
            task = asyncio.create_task(client.generate_content(MODEL, ASK))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
            gc.collect()  # an open socket would be reported as a ResourceWarning


async def test_cancelling_many_leaves_room_for_more(server):
    """No place in the pool is lost by cancellations."""
    server.script(default=play(STALL))
    async with AsyncClient(base_url=server.base_url, api_key=KEY, max_connections=10, deadline=20) as client:
        for _ in range(4):
            tasks = [asyncio.create_task(client.generate_content(MODEL, ASK)) for _ in range(20)]
            await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        server.script(default=answer())
        answers = await asyncio.gather(*(client.generate_content(MODEL, ASK) for _ in range(10)))

    assert [one.text for one in answers] == ["ok"] * 10


async def test_wait_for_works(server):
    """`asyncio.wait_for` and the like bound a call from outside."""
    server.script(default=play(STALL))
    async with AsyncClient(base_url=server.base_url, api_key=KEY) as client:
        begin = time.monotonic()
        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            await asyncio.wait_for(client.generate_content(MODEL, ASK), 0.2)
    assert time.monotonic() - begin < 1.5
    assert server.idle(1)


def test_deadlines_of_streams_in_one_thread_do_not_mix(server):
    """A stream that has begun is not bounded by the deadline of a later call in the same thread."""
    server.script(
        play(EVENTS, piece(event(message("a", None))), 1.0, piece(event(message("b"))), LAST),
        play(STALL),
    )
    with Client(base_url=server.base_url, api_key=KEY, timeout=5, max_retries=0) as client:
        stream = client.stream_generate_content(MODEL, ASK)
        first = next(stream).text
        with pytest.raises(APITimeoutError):
            client.generate_content(MODEL, ASK, deadline=0.2)

        assert [first, *(chunk.text for chunk in stream)] == ["a", "b"]


def test_threads_have_deadlines_of_their_own(server):
    """The deadline of one thread's call does not bound another's."""
    server.script(play(STALL), answer("slow", pause=0.8))
    results = []
    with Client(base_url=server.base_url, api_key=KEY, max_retries=0) as client:

        def hurried():
            with pytest.raises(APITimeoutError):
                client.generate_content(MODEL, ASK, deadline=0.3)

        thread = threading.Thread(target=hurried)
        thread.start()
        assert server.awaits(1)
        results.append(client.generate_content(MODEL, ASK).text)
        thread.join()

    assert results == ["slow"]
