"""No call, however it ends, costs a connection: places are given back, sockets are closed, and the next calls work."""

from __future__ import annotations

import asyncio
import gc
import signal
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_drivers import ASK, KEY, MODEL
from fault_server import STALL, FaultServer, answer, play
from gemway import APIConnectionError, APITimeoutError, AsyncClient, Client

PLACES = 8
LATER = 100


class Stop(BaseException):
    """As KeyboardInterrupt, which would end the test run."""


class Interrupted:
    """Awaits a coroutine, and raises *error* inside it at its n-th step."""

    def __init__(self, coroutine, step: int, error: type[BaseException]) -> None:
        self._coroutine, self._step, self._error = coroutine, step, error
        self.is_over = False

    def __await__(self):
        steps, failure = self._coroutine.__await__(), None
        number = 0
        while True:
            number += 1
            try:
                if number == self._step and self._error is not asyncio.CancelledError:
                    waited = steps.throw(self._error())
                else:
                    waited = steps.send(None) if failure is None else steps.throw(failure)
            except StopIteration as end:
                self.is_over = True
                return end.value
            failure = None
            if number == self._step and self._error is asyncio.CancelledError:
                asyncio.current_task().cancel()
            try:
                yield waited
            except BaseException as error:
                failure = error


@pytest.fixture(params=["plain", "tls"])
def gateway(request, certificate):
    """A server and the options of its clients, with and without TLS."""
    if request.param == "plain":
        with FaultServer() as server:
            yield server, {}
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with FaultServer(context) as server:
        yield server, {"verify": ssl.create_default_context(cafile=certificate / "cert.pem")}


def client_of(kind, server, **options):
    return kind(base_url=server.base_url, api_key=KEY, max_retries=0, max_connections=PLACES, timeout=5, **options)


async def call(client):
    return (await client.generate_content(MODEL, ASK)).text


async def stream(client):
    async with client.stream_generate_content(MODEL, ASK) as chunks:
        return "".join([chunk.text async for chunk in chunks])


@pytest.mark.parametrize("error", [asyncio.CancelledError, Stop], ids=["cancelled", "interrupted"])
@pytest.mark.parametrize("warm", [False, True], ids=["new-connection", "warm-connection"])
@pytest.mark.parametrize("ask", [call, stream])
async def test_a_call_may_end_at_every_step(gateway, ask, warm, error):
    """Whichever step of the event loop a cancellation hits, more calls than there are places work afterwards."""
    server, options = gateway
    client = client_of(AsyncClient, server, **options)

    for step in range(1, 200):
        if warm:
            assert await ask(client) == "ok"
        task = asyncio.ensure_future(_interrupt(ask(client), step, error))
        if await task:
            break
    else:
        pytest.fail("the call never ended by itself")
    assert step > 3
    answers = await asyncio.wait_for(asyncio.gather(*(ask(client) for _ in range(LATER))), 60)

    assert answers == ["ok"] * LATER
    await client.aclose()
    assert await asyncio.to_thread(server.idle)


async def _interrupt(coroutine, step, error) -> bool:
    """Run *coroutine*, ending it at *step*; return whether it came to its own end before."""
    interrupted = Interrupted(coroutine, step, error)
    try:
        await interrupted
    except (asyncio.CancelledError, Stop):
        return False
    return interrupted.is_over


@pytest.mark.parametrize("option", ["timeout", "deadline"])
@pytest.mark.parametrize("ask", [call, stream])
async def test_times_that_are_too_short_cost_no_place(gateway, ask, option):
    """Attempts that run out of time at any moment leave no connection behind."""
    server, options = gateway
    client = client_of(AsyncClient, server, **options)
    server.script(default=answer(pause=0.004))

    for number in range(40):
        short = {option: 0.0005 * (number + 1)}
        try:
            if ask is call:
                await client.generate_content(MODEL, ASK, **short)
            else:
                async with client.stream_generate_content(MODEL, ASK, **short) as chunks:
                    [chunk async for chunk in chunks]
        except APITimeoutError:
            pass
    answers = await asyncio.wait_for(asyncio.gather(*(ask(client) for _ in range(LATER))), 60)

    assert answers == ["ok"] * LATER
    await client.aclose()
    assert await asyncio.to_thread(server.idle)


@pytest.mark.parametrize("option", ["timeout", "deadline"])
@pytest.mark.parametrize("streams", [False, True], ids=["call", "stream"])
def test_times_that_are_too_short_cost_no_place_blocking(gateway, streams, option):
    """The same for the blocking client."""
    server, options = gateway
    client = client_of(Client, server, **options)
    server.script(default=answer(pause=0.004))

    def ask(**short):
        if not streams:
            return client.generate_content(MODEL, ASK, **short).text
        with client.stream_generate_content(MODEL, ASK, **short) as chunks:
            return "".join(chunk.text for chunk in chunks)

    for number in range(40):
        try:
            ask(**{option: 0.0005 * (number + 1)})
        except APITimeoutError:
            pass

    assert [ask() for _ in range(LATER)] == ["ok"] * LATER
    client.close()
    assert server.idle()


async def test_cancelled_while_waiting_for_a_place(server):
    """A call that is cancelled in the queue, or in the moment in which its turn comes, passes the turn on."""
    client = client_of(AsyncClient, server)
    server.script(default=answer(pause=0.02))

    for turns in range(12):
        tasks = [asyncio.ensure_future(call(client)) for _ in range(3 * PLACES)]
        await asyncio.sleep(0.002 * turns)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert await asyncio.gather(*(call(client) for _ in range(20))) == ["ok"] * 20
    assert server.connections <= 13 * 3 * PLACES
    await client.aclose()
    assert await asyncio.to_thread(server.idle)


async def test_waiting_for_a_place_ends_with_the_timeout(server):
    """A call that gets no connection fails after `timeout` seconds, and its error says what to change."""
    client = AsyncClient(base_url=server.base_url, api_key=KEY, max_retries=0, max_connections=1, timeout=5)
    server.script(default=play(STALL))
    first = asyncio.ensure_future(call(client))
    assert await asyncio.to_thread(server.awaits, 1)

    with pytest.raises(APITimeoutError, match="max_connections") as caught:
        await client.generate_content(MODEL, ASK, timeout=0.2)

    assert caught.value.phase == "pool"
    assert not caught.value.sent
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


@pytest.mark.parametrize("how", ["closed", "collected"])
def test_the_last_user_closes_the_connections(server, how):
    """A client that nobody holds any more leaves no socket open; while another one uses the same pool, all stay."""
    clients = [Client(base_url=server.base_url, api_key=KEY) for _ in range(3)]
    for client in clients:
        client.generate_content(MODEL, ASK)
    del client

    while len(clients) > 1:
        last = clients.pop()
        if how == "closed":
            last.close()
        del last
        gc.collect()
        assert server.connections == 1
        assert not server.idle(0.05)
    clients.clear()
    gc.collect()

    assert server.idle()


async def test_the_last_user_closes_the_connections_of_its_loop(server):
    """The same with asyncio, in a loop that goes on."""
    for _ in range(5):
        client = AsyncClient(base_url=server.base_url, api_key=KEY)
        await client.generate_content(MODEL, ASK)
    del client
    gc.collect()

    await asyncio.sleep(0.05)
    assert await asyncio.to_thread(server.idle)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
@pytest.mark.parametrize("streams", [False, True], ids=["call", "stream"])
def test_interrupts_cost_no_place_blocking(gateway, streams, monkeypatch):
    """A signal handler that raises, as Ctrl-C does, may hit a blocking call at any instruction."""
    # The handler raises in callbacks of the garbage collector, too. pytest's hook keeps such exceptions, and with their
    # frames the connections in them, until the test has ended.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    server, options = gateway
    client = client_of(Client, server, **options)

    def ask():
        if not streams:
            return client.generate_content(MODEL, ASK).text
        with client.stream_generate_content(MODEL, ASK) as chunks:
            return "".join(chunk.text for chunk in chunks)

    def interrupt(*_):
        raise Stop

    assert ask() == "ok"
    before = signal.signal(signal.SIGALRM, interrupt)
    hits = 0
    try:
        for number in range(200):
            try:
                # From 30 us to 11 ms, closer at the beginning: a call takes less than 1 ms on a fast machine.
                signal.setitimer(signal.ITIMER_REAL, 0.00003 * 1.03**number)
                ask()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Stop:
                hits += 1
            except APIConnectionError as error:
                # While Python's `ssl` wraps a socket, two objects own its descriptor for a moment (SSLSocket._create).
                # A signal in this moment closes it twice, the second time when the next call may have it already.
                if "Bad file descriptor" not in str(error):
                    raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()

    assert hits > 3 * PLACES
    assert [ask() for _ in range(LATER)] == ["ok"] * LATER
    with ThreadPoolExecutor(PLACES) as threads:  # none of the places is lost
        server.script(default=answer(pause=0.1))
        begin = time.monotonic()
        assert list(threads.map(lambda _: ask(), range(PLACES))) == ["ok"] * PLACES
        assert time.monotonic() - begin < 5
    client.close()
    gc.collect()
    assert server.idle()
