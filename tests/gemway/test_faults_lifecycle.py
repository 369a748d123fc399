"""One client in many places: loops, threads, processes, copies; and nothing left behind."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import httpx
import pytest
from fault_drivers import ASK, KEY, MODEL, core_drivers
from fault_server import EVENTS, STALL, answer, event, failure, message, piece, play
from gemway import AsyncClient, Client, ConfigurationError

SUPPORT = str(Path(__file__).parents[1] / "support")
HALF = play(EVENTS + piece(event(message("half", None))), STALL)


def test_three_successive_event_loops(server):
    """One object, three `asyncio.run`: no 'Event loop is closed'."""
    client = AsyncClient(base_url=server.base_url, api_key=KEY)

    answers = [asyncio.run(client.generate_content(MODEL, ASK)).text for _ in range(3)]

    assert answers == ["ok"] * 3
    assert server.idle()


def test_thirty_loops_leave_few_connections(server):
    """What a loop opened is closed with it."""
    client = AsyncClient(base_url=server.base_url, api_key=KEY)

    async def twice():
        await asyncio.gather(*(client.generate_content(MODEL, ASK) for _ in range(2)))

    for _ in range(30):
        asyncio.run(twice())

    assert server.idle(most=5)
    assert server.connections <= 60


def test_loops_that_are_closed_roughly_are_swept(server):
    """A loop that never shuts its generators down does not keep later ones from working."""
    client = AsyncClient(base_url=server.base_url, api_key=KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(10):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(client.generate_content(MODEL, ASK)).text == "ok"
            loop.close()
        gc.collect()

        assert asyncio.run(client.generate_content(MODEL, ASK)).text == "ok"
        del loop
        gc.collect()
        assert server.idle(most=5)


def test_four_loops_in_four_threads(server):
    """At once, with one object."""
    client = AsyncClient(base_url=server.base_url, api_key=KEY)
    found, errors = [], []

    async def many():
        return await asyncio.gather(*(client.generate_content(MODEL, ASK) for _ in range(20)))

    def run():
        try:
            found.extend(one.text for one in asyncio.run(many()))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert found == ["ok"] * 80
    assert server.idle()


def test_sixteen_threads(server):
    """One blocking client, 320 calls, each with its own answer."""
    client = Client(base_url=server.base_url, api_key=KEY)

    async def echo(connection, request):
        await answer(request.json["contents"][0]["parts"][0]["text"])(connection, request)

    server.script(default=echo)
    wrong = []

    def run(number):
        for step in range(20):
            text = f"{number}-{step}"
            if client.generate_content(MODEL, {"contents": [{"parts": [{"text": text}]}]}).text != text:
                wrong.append(text)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()

    assert wrong == []
    assert len(server.requests) == 320
    assert server.connections <= 24
    assert server.idle()


async def test_the_blocking_client_works_inside_a_loop(server):
    """As in a notebook: no nested loop, no bridge."""
    with Client(base_url=server.base_url, api_key=KEY) as client:
        assert client.generate_content(MODEL, ASK).text == "ok"
        assert "".join(chunk.text for chunk in client.stream_generate_content(MODEL, ASK)) == "ok"


def in_child(work) -> str:
    """Return what *work* returns in a forked child."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, str(work()).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as pipe:
        return pipe.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_shares_no_socket(server):
    """The child opens connections of its own, and the parent's stay open and its own."""
    client = Client(base_url=server.base_url, api_key=KEY)
    client.generate_content(MODEL, ASK)

    def child():
        texts = [client.generate_content(MODEL, ASK).text for _ in range(2)]
        client.close()
        gc.collect()
        return texts

    assert in_child(child) == "['ok', 'ok']"
    client.generate_content(MODEL, ASK)

    numbers = [request.connection for request in server.requests]
    assert numbers == [1, 2, 2, 1]
    client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_uses_a_loop_of_its_own(server):
    """The same with asyncio, forked inside a running loop, with a stream open."""
    client = AsyncClient(base_url=server.base_url, api_key=KEY)
    server.script(answer(), HALF)

    async def main():
        await client.generate_content(MODEL, ASK)
        stream = client.stream_generate_content(MODEL, ASK)
        await anext(stream)
        found = in_child(lambda: asyncio.run(client.generate_content(MODEL, ASK)).text)
        again = (await client.generate_content(MODEL, ASK)).text
        await stream.aclose()
        return found, again

    found, again = asyncio.run(main())

    assert (found, again) == ("ok", "ok")
    numbers = [request.connection for request in server.requests]
    assert numbers.count(numbers[2]) == 1  # the child's connection was nobody else's


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forked_workers_do_not_wait_in_step():
    """The random source of the jitter is seeded anew."""
    from gemway._sending import RANDOM

    children = {in_child(RANDOM.random) for _ in range(3)}

    assert len(children) == 3


def copies(client):
    return {"pickle": pickle.loads(pickle.dumps(client)), "copy": copy.copy(client), "deepcopy": copy.deepcopy(client)}


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
@pytest.mark.parametrize("how", ["pickle", "copy", "deepcopy"])
def test_copies_work_before_and_after_use(server, how, used):
    """And the original goes on."""
    client = Client(base_url=server.base_url, api_key=KEY, headers={"x-team": "blue-team-7"}, max_retries=0)
    if used:
        client.generate_content(MODEL, ASK)

    other = copies(client)[how]

    assert other.generate_content(MODEL, ASK).text == "ok"
    assert client.generate_content(MODEL, ASK).text == "ok"
    last = server.requests[-2].headers
    assert (last["authorization"], last["x-team"]) == (f"Bearer {KEY}", "blue-team-7")
    other.close()
    client.close()
    assert server.idle()


@pytest.mark.parametrize("how", ["pickle", "copy", "deepcopy"])
def test_copies_of_async_clients_work(server, how):
    """Loops do not travel."""
    client = AsyncClient(base_url=server.base_url, api_key=KEY)

    async def main():
        await client.generate_content(MODEL, ASK)
        other = copies(client)[how]
        return (await other.generate_content(MODEL, ASK)).text

    assert asyncio.run(main()) == "ok"


def environment_key() -> str:
    return KEY


def test_what_a_pickle_holds(server, monkeypatch):
    """A key given as text travels; one of the environment or of a callable is looked up again."""
    given = Client(base_url=server.base_url, api_key=KEY)
    called = Client(base_url=server.base_url, api_key=environment_key)
    monkeypatch.setenv("GEMWAY_API_KEY", KEY)
    found = Client(base_url=server.base_url)

    assert KEY.encode() in pickle.dumps(given)
    assert KEY.encode() not in pickle.dumps(called)
    assert KEY.encode() not in pickle.dumps(found)
    assert pickle.loads(pickle.dumps(called)).generate_content(MODEL, ASK).text == "ok"
    assert pickle.loads(pickle.dumps(found)).generate_content(MODEL, ASK).text == "ok"

    data = pickle.dumps(found)
    monkeypatch.delenv("GEMWAY_API_KEY")
    with pytest.raises(ConfigurationError, match="GEMWAY_API_KEY"):
        pickle.loads(data).generate_content(MODEL, ASK)


def test_an_injected_client_does_not_travel(server):
    """Which is said, not done in silence."""
    with httpx.Client() as inner:
        client = Client(base_url=server.base_url, api_key=KEY, http_client=inner)
        with pytest.warns(UserWarning, match="http_client"):
            data = pickle.dumps(client)

        assert copy.deepcopy(client).generate_content(MODEL, ASK).text == "ok"
        assert pickle.loads(data).generate_content(MODEL, ASK).text == "ok"


@core_drivers
def test_closing_is_not_the_end(server, driver):
    """A call after `close` opens new connections; closing twice does no harm."""
    with driver.session(server.base_url) as session:
        session.ask()
        for _ in range(2):
            session.client.close() if not driver.asynchronous else session.run(lambda client: client.aclose())
        assert server.idle()
        assert session.ask().text == "ok"

    assert server.connections == 2


@core_drivers
def test_closing_one_leaves_the_others(server, driver):
    """Shared connections are closed by the last one only."""
    with driver.session(server.base_url) as first:
        first.ask()
        other = copy.copy(first.client)
        if driver.asynchronous:
            first.run(lambda client: other.generate_content(MODEL, ASK))
            first.run(lambda client: other.aclose())
        else:
            other.generate_content(MODEL, ASK)
            other.close()
        first.ask()
        assert server.connections == 1


def test_a_hundred_clients_share_connections_and_trust(server):
    """100 objects, one connection, one SSL context."""
    clients = [Client(base_url=server.base_url, api_key=KEY) for _ in range(100)]
    for client in clients:
        client.generate_content(MODEL, ASK)

    assert server.connections == 1

    from gemway._pools import Connector, PoolKey

    contexts = {id(Connector(PoolKey(f"https://gateway-{number}.example")).context) for number in range(100)}
    assert len(contexts) == 1


async def test_a_hundred_async_clients_share_connections(server):
    """The same in one event loop."""
    clients = [AsyncClient(base_url=server.base_url, api_key=KEY) for _ in range(100)]
    for client in clients:
        await client.generate_content(MODEL, ASK)

    assert server.connections == 1


def test_different_settings_share_nothing(server):
    """A proxy or another trust is another pool."""
    from gemway._pools import PoolKey

    keys = {
        PoolKey("https://a.example"),
        PoolKey("https://b.example"),
        PoolKey("https://a.example", proxy="http://p.example"),
        PoolKey("https://a.example", verify=False),
        PoolKey("https://a.example", tcp_keepalive=False),
    }

    assert len(keys) == 5


def test_closing_from_another_loop(server):
    """Pools of other loops close in their own loop."""
    client = AsyncClient(base_url=server.base_url, api_key=KEY)
    used, closed = threading.Event(), threading.Event()

    async def stay():
        await client.generate_content(MODEL, ASK)
        used.set()
        await asyncio.to_thread(closed.wait, 5)
        await asyncio.sleep(0.1)
        return server.idle(1)

    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(stay())))
    thread.start()
    assert used.wait(5)
    asyncio.run(client.aclose())
    closed.set()
    thread.join()

    assert found == [True]


def test_closing_under_a_stream(server):
    """A stream that is being read outlives `close`, and its connection closes with it."""
    client = Client(base_url=server.base_url, api_key=KEY)
    stream = client.stream_generate_content(MODEL, ASK)
    first = next(stream).text
    client.close()

    assert first + "".join(chunk.text for chunk in stream) == "ok"
    assert server.idle()


def test_without_asyncio_there_is_a_clear_error():
    """Under trio (here: no loop at all) the message names what to do."""
    client = AsyncClient(base_url="http://127.0.0.1:1", api_key=KEY)
    call = client.generate_content(MODEL, ASK)

    with pytest.raises(ConfigurationError, match="trio"):
        call.send(None)


def test_trio(server):
    """The real thing, where it is installed."""
    trio = pytest.importorskip("trio")
    client = AsyncClient(base_url=server.base_url, api_key=KEY)

    with pytest.raises(ConfigurationError, match="trio"):
        trio.run(client.generate_content, MODEL, ASK)


def test_uvloop(server):
    """Works as asyncio does, where it is installed."""
    uvloop = pytest.importorskip("uvloop")
    client = AsyncClient(base_url=server.base_url, api_key=KEY)

    async def main():
        chunks = [chunk.text async for chunk in client.stream_generate_content(MODEL, ASK)]
        return (await client.generate_content(MODEL, ASK)).text + "".join(chunks)

    assert uvloop.run(main()) == "okok"
    assert server.idle()


def test_nothing_happens_at_construction(server):
    """No connection, no thread, no loop."""
    threads = threading.active_count()
    Client(base_url=server.base_url, api_key=KEY)
    AsyncClient(base_url=server.base_url, api_key=KEY)

    assert server.connections == 0
    assert threading.active_count() == threads


PROGRAMS = {
    "sync": """
client = Client(base_url=url, api_key=key)
client.generate_content("m", ask)
for chunk in client.stream_generate_content("m", ask): break
""",
    "sync-forgotten": """
def work():
    Client(base_url=url, api_key=key).generate_content("m", ask)
work(); gc.collect()
""",
    "async": """
client = AsyncClient(base_url=url, api_key=key)
async def main():
    await client.generate_content("m", ask)
    async for chunk in client.stream_generate_content("m", ask): break
    stream = client.stream_generate_content("m", ask)
    await anext(stream)
for _ in range(3): asyncio.run(main())
""",
    "async-cancelled": """
client = AsyncClient(base_url=url, api_key=key)
async def main():
    tasks = [asyncio.create_task(client.generate_content("m", ask)) for _ in range(20)]
    await asyncio.sleep(0.01)
    for task in tasks: task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
for _ in range(3): asyncio.run(main())
""",
    "async-failing": """
client = AsyncClient(base_url=url + "/nothing", api_key=key, max_retries=1)
async def main():
    tasks = [client.generate_content("m", ask) for _ in range(20)]
    await asyncio.gather(*tasks, return_exceptions=True)
asyncio.run(main())
""",
    "async-interrupted": """
client = AsyncClient(base_url=url, api_key=key)
async def main():
    async for chunk in client.stream_generate_content("m", ask): raise KeyboardInterrupt
try: asyncio.run(main())
except KeyboardInterrupt: pass
""",
    "both": """
client, other = Client(base_url=url, api_key=key), AsyncClient(base_url=url, api_key=key)
async def main():
    client.generate_content("m", ask)
    await other.generate_content("m", ask)
asyncio.run(main())
client.close()
""",
    "never-read": """
client = AsyncClient(base_url=url, api_key=key)
async def main():
    client.stream_generate_content("m", ask)
asyncio.run(main())
list(client.__dict__)
Client(base_url=url, api_key=key).stream_generate_content("m", ask)
""",
}
FRAME = """
import asyncio, gc, sys
sys.path.insert(0, {support!r})
from fault_server import FaultServer
from gemway import AsyncClient, Client
key, ask = "sk-life-cycle-test", {{"contents": [{{"parts": [{{"text": "x"}}]}}]}}
url = {url!r}
{program}
"""


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_nothing_to_close_by_hand(server, program):
    """No ResourceWarning, nothing unawaited, nothing on stderr, with every warning an error."""
    text = FRAME.format(support=SUPPORT, url=server.base_url, program=program)
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    # asyncio's debug mode reports the imports of the first call as a slow step
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, complaints) == (0, [])
    assert server.idle()


@core_drivers
def test_connections_of_a_rush_are_closed_after_it(server, driver, monkeypatch):
    """What nobody has used for a while is closed by the next call, not kept for the life of the process."""
    monkeypatch.setattr("gemway._pools._IDLE_SECONDS", 0.3)
    server.script(default=answer(pause=0.2))

    with driver.session(server.base_url) as session:
        session.together(40)
        rush = server.connections
        time.sleep(0.4)
        session.ask()

        assert rush > 16
        assert server.idle(most=8)


def test_descriptors_do_not_grow(server):
    """After hundreds of good and bad calls as many files are open as before."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("no /proc here")

    def work():
        client = AsyncClient(base_url=server.base_url, api_key=KEY, max_retries=0, timeout=0.2)

        async def main():
            tasks = [client.generate_content(MODEL, ASK) for _ in range(30)]
            await asyncio.gather(*tasks, return_exceptions=True)
            async for _ in client.stream_generate_content(MODEL, ASK):
                break

        asyncio.run(main())
        with Client(base_url=server.base_url, api_key=KEY, max_retries=0) as blocking:
            blocking.generate_content(MODEL, ASK)

    work()
    server.script(*[HALF, failure(503), play(STALL)] * 10)  # fewer than there are calls
    work()
    gc.collect()
    server.idle()
    before = len(list(folder.iterdir()))
    for _ in range(5):
        work()
    gc.collect()
    server.idle()

    assert len(list(folder.iterdir())) <= before + 2
