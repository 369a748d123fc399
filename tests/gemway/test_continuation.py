"""Answers that stop with CONTINUATION: gone on with when asked for, within bounds, their usage summed."""

from __future__ import annotations

import asyncio

import pytest
from gemway import AsyncClient, Client, fold
from gemway_emulator import Emulator, reply

MODEL = "gemini-4-argon"
ASK = {"contents": [{"role": "user", "parts": [{"text": "write a book"}]}], "store": False}


def hop(text: str, token: str | None = None):
    """One answer of five tokens; with *token* the model stopped half-way."""
    candidate = {
        "content": {"role": "model", "parts": [{"text": text}]},
        "finishReason": "CONTINUATION" if token else "STOP",
    }
    if token:
        candidate["continuationToken"] = token
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    return reply.stream([{"candidates": [candidate], "usageMetadata": usage, "responseId": "r"}])


def ask(emulator: Emulator, way: str, **options):
    """The answer to one call, by any of the four ways to ask."""

    async def asynchronously():
        async with AsyncClient(base_url=emulator.base_url, api_key=emulator.api_key, **options) as client:
            if way == "async call":
                return await client.generate_content(MODEL, ASK)
            return fold([chunk async for chunk in client.stream_generate_content(MODEL, ASK)])

    if way.startswith("async"):
        return asyncio.run(asynchronously())
    with Client(base_url=emulator.base_url, api_key=emulator.api_key, **options) as client:
        return (
            client.generate_content(MODEL, ASK) if way == "call" else fold(client.stream_generate_content(MODEL, ASK))
        )


WAYS = pytest.mark.parametrize("way", ["call", "stream", "async call", "async stream"])


@WAYS
def test_an_answer_is_gone_on_with_until_it_is_complete(gemway_emulator, way):
    """Each further request is the same plus the token; texts are joined and tokens summed."""
    gemway_emulator.enqueue(hop("one ", "dG9rZW4x"), hop("two ", "dG9rZW4y"), hop("three"))

    answer = ask(gemway_emulator, way, max_continuations=5)

    assert (answer.text, answer.finish_reason) == ("one two three", "STOP")
    assert [request.json.get("continuationToken") for request in gemway_emulator.requests] == [
        None,
        "dG9rZW4x",
        "dG9rZW4y",
    ]
    assert all(
        {**request.json, "continuationToken": 0} == {**ASK, "continuationToken": 0}
        for request in gemway_emulator.requests
    )
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (30, 15, 45)


@WAYS
def test_the_number_of_requests_is_bounded(gemway_emulator, way):
    """After so many continuations the answer comes back unfinished, with its token."""
    gemway_emulator.enqueue(hop("one ", "dG9rZW4x"), hop("two ", "dG9rZW4y"))

    answer = ask(gemway_emulator, way, max_continuations=1)

    assert (answer.text, answer.finish_reason) == ("one two ", "CONTINUATION")
    assert answer.candidates[0].continuation_token == "dG9rZW4y"
    assert len(gemway_emulator.requests) == 2


@WAYS
def test_without_the_option_nothing_is_sent_again(gemway_emulator, way):
    """By default an unfinished answer is returned as it is."""
    gemway_emulator.enqueue(hop("one ", "dG9rZW4x"))

    answer = ask(gemway_emulator, way)

    assert (answer.finish_reason, len(gemway_emulator.requests)) == ("CONTINUATION", 1)
