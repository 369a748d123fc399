"""A gateway that changed its channel refuses signatures that were good: one more try goes without them."""

from __future__ import annotations

import asyncio

import pytest
from gemway import AsyncClient, BadRequestError, Client, fold
from gemway._conversation import SENTINEL
from gemway.adapters import WireRequest
from gemway_emulator import Emulator, reply

MODEL = "gemini-3-pro-preview"
REFUSAL = "Unable to submit request because it has an invalid thought signature for content at index 1"


def history(signature: str | None = "c2ln") -> WireRequest:
    """A turn that waits for the answer to a tool's result."""
    call = {"functionCall": {"name": "f", "args": {}}}
    result = {"functionResponse": {"name": "f", "response": {"output": "1"}}}
    return WireRequest(
        contents=[
            {"role": "user", "parts": [{"text": "use f"}]},
            {"role": "model", "parts": [{**call, "thoughtSignature": signature} if signature else call]},
            {"role": "user", "parts": [result]},
        ],
        tools=[{"functionDeclarations": [{"name": "f"}]}],
    )


@pytest.fixture(params=["call", "stream", "async call", "async stream"])
def ask(request, gemway_emulator: Emulator):
    address = {"base_url": gemway_emulator.base_url, "api_key": gemway_emulator.api_key, "max_retries": 0}

    async def asynchronously(body):
        async with AsyncClient(**address) as client:
            if request.param == "async call":
                return await client.generate_content(MODEL, body)
            return fold([chunk async for chunk in client.stream_generate_content(MODEL, body)])

    def run(body):
        if request.param.startswith("async"):
            return asyncio.run(asynchronously(body))
        with Client(**address) as client:
            if request.param == "call":
                return client.generate_content(MODEL, body)
            return fold(client.stream_generate_content(MODEL, body))

    yield run
    # A reply that is left over shows that a request was not repeated.
    gemway_emulator.reset()


def signatures(emulator: Emulator) -> list[str | None]:
    """The signature of the call in each request."""
    return [request.json["contents"][1]["parts"][0].get("thoughtSignature") for request in emulator.requests]


def test_refused_signatures_are_replaced_once(gemway_emulator, ask):
    """A 400 about signatures is followed by the same request with the sentinel, whatever max_retries is."""
    gemway_emulator.enqueue(reply.error(400, message=REFUSAL), reply.text("one"))

    assert ask(history()).text == "one"
    assert signatures(gemway_emulator) == ["c2ln", SENTINEL]


def test_a_second_refusal_is_the_users(gemway_emulator, ask):
    """If that does not help, the server's words come out after two requests."""
    gemway_emulator.enqueue(*[reply.error(400, message=REFUSAL)] * 3)

    with pytest.raises(BadRequestError, match="invalid thought signature"):
        ask(history())
    assert len(gemway_emulator.requests) == 2


def test_without_signatures_there_is_nothing_to_replace(gemway_emulator, ask):
    """The sentinel alone, refused, is not sent again."""
    gemway_emulator.enqueue(*[reply.error(400, message=REFUSAL)] * 2)

    with pytest.raises(BadRequestError):
        ask(history(SENTINEL))
    assert len(gemway_emulator.requests) == 1


def test_other_400s_are_not_repeated(gemway_emulator, ask):
    """A 400 about something else is final at once."""
    gemway_emulator.enqueue(*[reply.error(400, message="Invalid JSON payload received.")] * 2)

    with pytest.raises(BadRequestError):
        ask(history())
    assert len(gemway_emulator.requests) == 1
