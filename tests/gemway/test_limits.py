"""Limiters: every request of a client waits for one, and programs share one through a real Redis."""

from __future__ import annotations

import asyncio
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest
from gemway import AsyncClient, Client, ConfigurationError
from gemway.limits import FrameworkLimiter, Limiter, LimiterError, RedisLimiter
from gemway_emulator import reply

MODEL = "gemini-2.5-flash"
ASK = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


class Counting:
    """A limiter that lets everything pass and counts."""

    def __init__(self) -> None:
        self.threads = []

    def acquire(self, cost: float = 1.0) -> None:
        self.threads.append(threading.current_thread())


def test_every_request_waits_for_the_limiter(emulator):
    """Retries count, streams count; the limiter is asked before the request."""
    limiter = Counting()
    emulator.enqueue(reply.error(503))

    with Client(base_url=emulator.base_url, api_key=emulator.api_key, limiter=limiter) as client:
        client.generate_content(MODEL, ASK)
        list(client.stream_generate_content(MODEL, ASK))

    assert isinstance(limiter, Limiter)
    assert len(limiter.threads) == len(emulator.requests) == 3


async def test_a_blocking_limiter_does_not_block_the_loop(emulator):
    """For asyncio it waits in a thread; a coroutine function is awaited."""

    class Awaited(Counting):
        async def acquire(self, cost: float = 1.0) -> None:
            self.threads.append(threading.current_thread())

    for limiter, is_main in ((Counting(), False), (Awaited(), True)):
        async with AsyncClient(base_url=emulator.base_url, api_key=emulator.api_key, limiter=limiter) as client:
            await client.generate_content(MODEL, ASK)

        assert (limiter.threads[0] is threading.current_thread()) is is_main
    with (
        Client(base_url=emulator.base_url, api_key=emulator.api_key, limiter=Awaited()) as client,
        pytest.raises(ConfigurationError, match="coroutine function"),
    ):
        client.generate_content(MODEL, ASK)


def test_the_adapters_honour_it(emulator):
    """ChatGemway and Gemway pass the option on."""
    chat = pytest.importorskip("langchain_gemway").ChatGemway
    llm = pytest.importorskip("llama_index.llms.gemway").Gemway
    limiter = Counting()
    options = {"model": MODEL, "base_url": emulator.base_url, "api_key": emulator.api_key, "limiter": limiter}

    chat(**options).invoke("hello")
    llm(**options).complete("hello")

    assert len(limiter.threads) == 2


def test_langchains_limiter_fits(emulator):
    """Both of its methods are used."""
    limiters = pytest.importorskip("langchain_core.rate_limiters")
    slow = limiters.InMemoryRateLimiter(requests_per_second=10, check_every_n_seconds=0.01, max_bucket_size=1)
    limiter = FrameworkLimiter(slow)

    with Client(base_url=emulator.base_url, api_key=emulator.api_key, limiter=limiter) as client:
        client.generate_content(MODEL, ASK)
        client.generate_content(MODEL, ASK)
    asyncio.run(limiter.aacquire())

    assert emulator.requests[1].time - emulator.requests[0].time > 0.08


@pytest.mark.parametrize("wrong", [5, "20/s", object()])
def test_what_is_no_limiter(wrong):
    """It is refused at construction."""
    with pytest.raises(ConfigurationError, match="limiter must be a limiter with acquire"):
        Client(base_url="http://127.0.0.1", api_key="k", limiter=wrong)


# Redis


@pytest.fixture
def redis_url(tmp_path):
    """A real Redis on a port of its own."""
    pytest.importorskip("limits")
    pytest.importorskip("redis")
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


PROGRAM = """
import asyncio, sys, time
from gemway.limits import RedisLimiter

async def main():
    limiter = RedisLimiter(sys.argv[1], per_second=20)
    await limiter.aacquire()
    permits, begin = [], time.monotonic()
    async def work():
        while time.monotonic() < begin + 12:
            await limiter.aacquire()
            permits.append(time.time())
    await asyncio.gather(*(work() for _ in range(8)))
    print(*permits)

asyncio.run(main())
"""


def test_two_processes_share_a_limit(redis_url):
    """Together they reach 19 to 20.5 of 20 requests a second while both run, and Redis has little to do."""
    import redis

    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, redis_url], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    permits = [[float(word) for word in process.communicate(timeout=60)[0].split()] for process in processes]

    commands = redis.Redis.from_url(redis_url).info("stats")["total_commands_processed"]
    begin, end = max(times[0] for times in permits) + 1, min(times[-1] for times in permits) - 1
    together = sorted(time for times in permits for time in times if begin <= time < end)
    # Permits come in bursts of 20, so a rate is the time from the first of one burst to the first of a later one.
    last = (len(together) - 1) // 20 * 20
    rate = last / (together[last] - together[0])
    print(f"{rate:.1f} permits a second of 20, {commands} commands to Redis in {end - begin + 2:.0f} seconds")
    assert 18.5 <= rate <= 20.6
    assert commands < 1200


def test_a_lost_redis_is_a_clear_error(emulator):
    """Without a fallback nothing is sent; with one, this process goes on slowly. The password is not shown."""
    pytest.importorskip("limits")
    pytest.importorskip("redis")
    limiter = RedisLimiter("redis://:secret-4711@127.0.0.1:9/0", per_second=20)
    with (
        Client(base_url=emulator.base_url, api_key=emulator.api_key, limiter=limiter) as client,
        pytest.raises(LimiterError, match="the limiter's Redis is lost") as lost,
    ):
        client.generate_content(MODEL, ASK)
    assert "4711" not in str(lost.value) + repr(limiter)
    assert len(emulator.requests) == 0

    slow = RedisLimiter("redis://127.0.0.1:9/0", per_second=20, fallback_per_second=10)
    begin = time.monotonic()
    for _ in range(4):
        slow.acquire()
    assert 0.25 < time.monotonic() - begin < 5


def test_a_limiter_travels():
    """It can be pickled for workers, and comes back without its connection."""
    limiter = pickle.loads(pickle.dumps(RedisLimiter("redis://localhost", per_second=20, name="ours")))

    assert repr(limiter) == "<RedisLimiter 'ours', 20 a second>"


def test_without_the_extra(monkeypatch):
    """The message names what to install."""
    monkeypatch.setitem(sys.modules, "limits", None)

    with pytest.raises(ConfigurationError, match=r"gemway\[redis\]"):
        RedisLimiter("redis://localhost", per_second=20).acquire()
