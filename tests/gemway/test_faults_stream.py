"""Streams: complete or an error with what arrived; left early, they cost nothing more."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest
from fault_drivers import ASK, KEY, MODEL, core_streams, stream_drivers
from fault_server import (
    CLOSE,
    EVENTS,
    LAST,
    RESET,
    STALL,
    answer,
    event,
    events,
    failure,
    message,
    piece,
    play,
)
from gemway import (
    APIConnectionError,
    APIStatusError,
    AsyncClient,
    BadRequestError,
    Client,
    InternalServerError,
    ResponseValidationError,
    StreamInterruptedError,
)

HALF = piece(event(message("half", None)))
OVERLOADED = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}
OPENAI = {"error": {"message": "upstream broke", "type": "upstream_error", "code": "x"}}
INTERRUPTIONS = {
    "no-finish-reason": play(EVENTS + HALF + LAST),
    "reset": play(EVENTS + HALF, RESET),
    "closed": play(EVENTS + HALF, CLOSE),
    "cut-in-an-event": play(EVENTS + HALF + piece(b'data: {"candidates":[{"con') + LAST),
    "silence": play(EVENTS + HALF, STALL),
}


@stream_drivers
@pytest.mark.parametrize("fault", INTERRUPTIONS.values(), ids=INTERRUPTIONS)
def test_an_unfinished_stream_is_an_error_with_what_arrived(server, driver, fault):
    """Never a success, never repeated."""
    server.script(fault)

    error = driver.fail(server.base_url, StreamInterruptedError, timeout=0.3)

    assert error.partial.text == "half"
    assert len(server.requests) == 1


@core_streams
@pytest.mark.parametrize("error", [OVERLOADED, OPENAI], ids=["google", "openai"])
@pytest.mark.parametrize("at_once", [True, False], ids=["same-packet", "later"])
def test_an_error_in_a_stream_has_its_class(server, driver, error, at_once):
    """What came before it is handed on first; it is raised at once, although the connection stays open."""
    pause = () if at_once else (0.1,)
    first = EVENTS + HALF
    steps = (first + piece(event(error)),) if at_once else (first, *pause, piece(event(error)))
    server.script(play(*steps, STALL))

    begin = time.monotonic()
    raised = driver.fail(server.base_url, APIStatusError, timeout=5)

    assert raised.partial.text == "half"
    assert time.monotonic() - begin < 2
    assert len(server.requests) == 1
    if error is OVERLOADED:
        assert isinstance(raised, InternalServerError)
        assert raised.status_code == 503


@core_streams
def test_an_error_behind_a_later_event_is_raised_at_once(server, driver):
    """Both come in one packet, long after the stream began, and nothing follows."""
    server.script(play(EVENTS + HALF, 0.1, piece(event(message("way", None)) + event(OVERLOADED)), STALL))

    begin = time.monotonic()
    raised = driver.fail(server.base_url, InternalServerError, timeout=5)

    assert raised.partial.text == "halfway"
    assert time.monotonic() - begin < 2


@core_streams
def test_garbage_in_a_stream_is_a_typed_error(server, driver):
    """An event that is no message ends the stream, with what arrived."""
    server.script(play(EVENTS + HALF + piece(event(b"garbage")), STALL))

    error = driver.fail(server.base_url, ResponseValidationError)

    assert error.partial.text == "half"


@core_streams
def test_stop_in_every_chunk_does_not_end_reading(server, driver):
    """Older gateways finish every chunk; usage may follow the last."""
    server.script(events(message("a"), message("b"), {"usageMetadata": {"totalTokenCount": 5}}))

    assert driver.ask(server.base_url).text == "ab"


@core_streams
def test_chunks_without_candidates_are_chunks(server, driver):
    """Usage or a response id alone is no error, first or last."""
    server.script(events({"responseId": "r1"}, {"candidates": []}, message("a"), {"usageMetadata": {}}))

    assert driver.ask(server.base_url).text == "a"


@core_streams
def test_a_blocked_prompt_ends_a_stream_well(server, driver):
    """A block reason is an end like any other."""
    server.script(events({"promptFeedback": {"blockReason": "SAFETY"}}))

    assert driver.ask(server.base_url).text == ""


@core_streams
@pytest.mark.parametrize("fault", [failure(429), failure(503), play(RESET)], ids=["429", "503", "reset"])
def test_before_the_first_event_streams_are_retried(server, driver, fault):
    """Nothing was handed on."""
    server.script(fault)

    answered = driver.ask(server.base_url)

    assert answered.text == "ok"
    assert answered.attempts == 2


@core_streams
def test_events_are_handed_on_as_they_arrive(server, driver):
    """The first is there before the second is sent."""
    server.script(
        events(message("a")), play(EVENTS, piece(event(message("a", None))), 0.4, piece(event(message("b"))) + LAST)
    )

    with driver.session(server.base_url) as session:
        session.ask()  # the first answer of a process builds the classes of messages, which takes a while
        arrivals = timed_chunks(session, driver)

    (_, first), (_, second) = arrivals
    assert second - first > 0.3


@core_streams
@pytest.mark.parametrize("count", [1, 2, 30, 400])
@pytest.mark.parametrize("with_head", [True, False], ids=["with-the-head", "after-the-head"])
def test_all_events_of_a_burst_are_handed_on_before_the_next_is_sent(server, driver, count, with_head):
    """However many chunks one read holds, none waits for the next read."""
    burst = b"".join(piece(event(message(f"word {number}. ", None))) for number in range(count))
    start = (EVENTS + burst,) if with_head else (EVENTS, 0.1, burst)
    server.script(play(*start, 0.6, piece(event(message("end"))) + LAST))

    with driver.session(server.base_url) as session:
        arrivals = [at for _, at in timed_chunks(session, driver)]

    assert len(arrivals) == count + 1
    assert arrivals[-1] - arrivals[-2] > 0.2


@core_streams
def test_events_before_a_broken_frame_in_the_same_packet_are_handed_on(server, driver):
    """Chunks that HTTP can read count, whatever follows them."""
    burst = b"".join(piece(event(message(f"{number} ", None))) for number in range(5))
    server.script(play(EVENTS, 0.1, burst + b"no size\r\n" + bytes(200), STALL))

    error = driver.fail(server.base_url, StreamInterruptedError)

    assert error.partial.text == "0 1 2 3 4 "


def timed_chunks(session, driver):
    """Return the texts of a stream, each with the moment at which it came."""
    stream = session.client.stream_generate_content(MODEL, ASK)
    if not driver.asynchronous:
        return [(chunk.text, time.monotonic()) for chunk in stream]

    async def read():
        return [(chunk.text, time.monotonic()) async for chunk in stream]

    return session.loop.run_until_complete(read())


@core_streams
def test_a_finished_stream_gives_its_connection_back(server, driver):
    """Read to the end, a stream's connection serves the next call."""
    with driver.session(server.base_url) as session:
        for _ in range(3):
            session.ask()

    assert server.connections == 1


ENDLESS = play(EVENTS + HALF, STALL)


def leave_by_break(client):
    for _ in client.stream_generate_content(MODEL, ASK):
        break


def leave_by_close(client):
    stream = client.stream_generate_content(MODEL, ASK)
    next(stream)
    stream.close()


def leave_by_context(client):
    with client.stream_generate_content(MODEL, ASK):
        pass


def leave_by_exception(client):
    try:
        for _ in client.stream_generate_content(MODEL, ASK):
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass


def leave_by_forgetting(client):
    stream = client.stream_generate_content(MODEL, ASK)
    next(stream)
    del stream
    gc.collect()


@pytest.mark.parametrize(
    "leave", [leave_by_break, leave_by_close, leave_by_context, leave_by_exception, leave_by_forgetting]
)
def test_leaving_a_stream_closes_its_connection(server, leave):
    """Within a second, however it is left, and the client stays usable."""
    server.script(ENDLESS)
    with Client(base_url=server.base_url, api_key=KEY) as client:
        leave(client)

        assert server.idle(1)
        assert client.generate_content(MODEL, ASK).text == "ok"


async def aleave_by_break(client):
    async for _ in client.stream_generate_content(MODEL, ASK):
        break


async def aleave_by_close(client):
    stream = client.stream_generate_content(MODEL, ASK)
    await anext(stream)
    await stream.aclose()


async def aleave_by_context(client):
    async with client.stream_generate_content(MODEL, ASK):
        pass


async def aleave_by_exception(client):
    try:
        async for _ in client.stream_generate_content(MODEL, ASK):
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass


async def aleave_by_cancelling(client):
    async def read():
        async for _ in client.stream_generate_content(MODEL, ASK):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def aleave_by_forgetting(client):
    stream = client.stream_generate_content(MODEL, ASK)
    await anext(stream)
    del stream
    gc.collect()


@pytest.mark.parametrize(
    "leave",
    [
        aleave_by_break,
        aleave_by_close,
        aleave_by_context,
        aleave_by_exception,
        aleave_by_cancelling,
        aleave_by_forgetting,
    ],
)
async def test_leaving_an_async_stream_closes_its_connection(server, leave):
    """Within a second, however it is left, and the client stays usable."""
    server.script(ENDLESS)
    async with AsyncClient(base_url=server.base_url, api_key=KEY) as client:
        await leave(client)

        assert await asyncio.to_thread(server.idle, 1)
        assert (await client.generate_content(MODEL, ASK)).text == "ok"


def test_a_stream_is_sent_at_the_first_next(server):
    """It is checked at the call, sent when it is read, and never if it is not."""
    with Client(base_url=server.base_url, api_key=KEY) as client:
        stream = client.stream_generate_content(MODEL, ASK)
        assert not server.requests
        next(stream)
        assert len(server.requests) == 1
        stream.close()
        client.stream_generate_content(MODEL, ASK).close()

        with pytest.raises(TypeError, match="timeout"):
            client.stream_generate_content(MODEL, ASK, time_out=1)
        assert len(server.requests) == 1


async def test_an_async_stream_is_sent_at_the_first_anext(server):
    """The same for its twin; a stream that was never read needs no closing."""
    async with AsyncClient(base_url=server.base_url, api_key=KEY) as client:
        stream = client.stream_generate_content(MODEL, ASK)
        assert not server.requests
        async with stream:
            assert len(server.requests) == 1
            assert "".join([chunk.text async for chunk in stream]) == "ok"


@core_streams
def test_a_stream_that_is_entered_twice_keeps_its_order(server, driver):
    """An application's `with` around one of ours changes nothing: the same chunks, one request."""
    pieces = [piece(event(message(word, None))) for word in ("a", "b", "c")]
    server.script(play(EVENTS, *pieces, piece(event(message("d"))), LAST))

    def read(client):
        stream = client.stream_generate_content(MODEL, ASK)
        if not driver.asynchronous:
            with stream, stream:
                return [chunk.text for chunk in stream]

        async def read_async():
            async with stream, stream:
                return [chunk.text async for chunk in stream]

        return read_async()

    with driver.session(server.base_url) as session:
        texts = session.run(read)

    assert texts == ["a", "b", "c", "d"]
    assert len(server.requests) == 1


def test_a_closed_stream_yields_nothing_more(server):
    """Reading on after `close` ends at once."""
    with Client(base_url=server.base_url, api_key=KEY) as client:
        stream = client.stream_generate_content(MODEL, ASK)
        next(stream)
        stream.close()

        assert list(stream) == []


@pytest.mark.parametrize("count", [30])
async def test_many_streams_left_early_leave_nothing(server, count):
    """Neither connections nor places in the pool."""
    server.script(*[ENDLESS] * count)
    async with AsyncClient(base_url=server.base_url, api_key=KEY, max_connections=5, deadline=20) as client:
        await asyncio.gather(*(aleave_by_break(client) for _ in range(count)))

        assert await asyncio.to_thread(server.idle, 2)
        answers = await asyncio.gather(*(client.generate_content(MODEL, ASK) for _ in range(5)))

    assert [one.text for one in answers] == ["ok"] * 5


@core_streams
def test_a_lost_connection_keeps_its_cause(server, driver):
    """For those who want to know more; without the request."""
    server.script(play(EVENTS + HALF, RESET))

    error = driver.fail(server.base_url, StreamInterruptedError)

    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is None
    assert getattr(error.__cause__, "_request", None) is None
    assert not isinstance(error, APIConnectionError)


@core_streams
def test_a_final_error_after_a_retry(server, driver):
    """Each attempt is judged by itself."""
    server.script(failure(503), failure(400, "bad"))

    assert driver.fail(server.base_url, BadRequestError).attempts == 2


@core_streams
def test_what_arrived_tells_how_it_came(server, driver):
    """The part of an answer that an interrupted stream leaves has its status and its attempts."""
    server.script(failure(503), play(EVENTS + HALF + piece(event(message("way", None))), CLOSE))

    exchange = driver.fail(server.base_url, StreamInterruptedError).partial.exchange

    assert (exchange.status_code, exchange.attempts) == (200, 2)


@core_streams
def test_the_whole_answer_in_one_unary_object(server, driver):
    """A gateway that ignores `alt=sse` answers with one object; it is a stream of one chunk."""

    async def unary(connection, request):
        request.path = request.path.replace("streamGenerateContent", "generateContent")
        await answer("whole")(connection, request)

    server.script(unary)

    assert driver.ask(server.base_url).pieces == ["whole"]
