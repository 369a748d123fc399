"""What a gateway's headers state about limits: read on answers and on errors, in every way to ask."""

from __future__ import annotations

import asyncio
import time

import pytest
from fault_drivers import ASK, CORE, KEY, MODEL, core_drivers, every_driver
from fault_server import LAST, both, event, failure, full, head, message, piece
from gemway import AsyncClient, Client, RateLimitError
from gemway.types import RateLimit, RateLimits

OPENAI = {
    "x_ratelimit_limit_requests": "60",
    "x_ratelimit_remaining_requests": "59",
    "x_ratelimit_reset_requests": "1m2.5s",
    "x_ratelimit_limit_tokens": "150000",
    "x_ratelimit_remaining_tokens": "149984",
    "x_ratelimit_reset_tokens": "16ms",
}
STATED = RateLimits(RateLimit(60, 59, 62.5), RateLimit(150_000, 149_984, 0.016))
IN_METADATA = {
    "requests": {"limit": 60, "remaining": 59, "resets_after": 62.5},
    "tokens": {"limit": 150_000, "remaining": 149_984, "resets_after": 0.016},
}


def answered(**headers: str):
    """Return an action that answers with *headers*, in two events to a stream call."""
    events = head(200, "chunked", **{**headers, "content_type": "text/event-stream"})
    stream = events + piece(event(message("o", None))) + piece(event(message("k"))) + LAST
    return both(full(message("ok"), 200, **headers), stream)


async def aexchange(url: str, *, stream: bool):
    """Return the record of a call in an event loop."""
    async with AsyncClient(base_url=url, api_key=KEY) as client:
        if not stream:
            return (await client.generate_content(MODEL, ASK)).exchange
        async with client.stream_generate_content(MODEL, ASK) as chunks:
            return [chunk.exchange async for chunk in chunks][0]


def exchange(url: str, driver):
    """Return the record of a call, made in the way of *driver*."""
    if driver.asynchronous:
        return asyncio.run(aexchange(url, stream=driver.streams))
    with Client(base_url=url, api_key=KEY) as client:
        if not driver.streams:
            return client.generate_content(MODEL, ASK).exchange
        with client.stream_generate_content(MODEL, ASK) as chunks:
            return next(chunk.exchange for chunk in chunks)


@core_drivers
def test_limits_are_on_the_answer(server, driver):
    """What OpenAI's headers state is typed, in numbers and seconds."""
    server.script(answered(**OPENAI))

    assert exchange(server.base_url, driver).rate_limits == STATED


@core_drivers
def test_an_answer_without_such_headers_has_no_limits(server, driver):
    """None, rather than limits full of None."""
    assert exchange(server.base_url, driver).rate_limits is None


@every_driver
def test_limits_are_on_the_error(server, driver):
    """A 429 has the limits that it is about, and the wait that it asks for."""
    server.script(failure(429, retry_after="7", **OPENAI))

    error = driver.fail(server.base_url, RateLimitError, max_retries=0)

    assert error.rate_limits == STATED._replace(retry_after=7.0)
    assert error.retry_after == 7.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_ratelimit_limit": "10", "x_ratelimit_remaining": "0"}, RateLimits(RateLimit(10, 0))),
        (
            {"ratelimit_limit": "100, 100;w=60", "ratelimit_remaining": "9", "ratelimit_reset": "30"},
            RateLimits(RateLimit(100, 9, 30.0)),
        ),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, RateLimits(RateLimit(100, 50, 5.0))),
        (
            {"ratelimit": '"default";r=50;t=30', "ratelimit_policy": '"default";q=100;w=60'},
            RateLimits(RateLimit(100, 50, 30.0)),
        ),
        ({"x_ratelimit_remaining_tokens": "17"}, RateLimits(None, RateLimit(None, 17))),
        ({"retry_after": "2"}, RateLimits(retry_after=2.0)),
        ({"x_ratelimit_remaining": "many", "x_ratelimit_reset": "<b>", "retry_after": "soon"}, None),
        ({"x_ratelimit_limit": "9" * 5000, "ratelimit": "r=" + "9" * 5000}, None),
    ],
    ids=["plain", "ietf-06", "ietf-07", "ietf-08", "tokens-only", "retry-after", "no-numbers", "huge"],
)
def test_the_forms_of_gateways_are_read(server, headers, expected):
    """OpenAI's, plain, and three drafts of the IETF; what is no number states nothing."""
    server.script(answered(**headers))

    assert exchange(server.base_url, CORE[0]).rate_limits == expected


@pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
def test_a_moment_becomes_seconds(server, unit):
    """OpenRouter names the moment of the reset, in milliseconds since 1970; others in seconds."""
    server.script(answered(x_ratelimit_reset=str(int((time.time() + 1000) * unit))))

    limits = exchange(server.base_url, CORE[0]).rate_limits

    assert 900 < limits.requests.resets_after <= 1001


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_limits_are_in_langchain_metadata(server, way):
    """Plain JSON in `response_metadata`; a stream has it once, so that chunks can be added."""
    from langchain_gemway import ChatGemway

    server.script(answered(**OPENAI))
    model = ChatGemway(model=MODEL, base_url=server.base_url, api_key=KEY)

    if way == "invoke":
        answer = model.invoke("hello")
    else:
        first, *others = model.stream("hello")
        answer = first
        for chunk in others:
            answer += chunk

    assert answer.response_metadata["rate_limits"] == IN_METADATA


@pytest.mark.parametrize("way", ["complete", "stream_complete"])
def test_limits_are_in_llama_index_kwargs(server, way):
    """Plain JSON in `additional_kwargs`."""
    from llama_index.llms.gemway import Gemway

    server.script(answered(**OPENAI))
    model = Gemway(model=MODEL, base_url=server.base_url, api_key=KEY)

    answer = model.complete("hello") if way == "complete" else next(iter(model.stream_complete("hello")))

    assert answer.additional_kwargs["rate_limits"] == IN_METADATA
