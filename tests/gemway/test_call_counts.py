"""How many functions of ours run for a call, a chunk, a message: a bound on cost that no busy machine can blur.

A ceiling lies about a tenth above what was counted when it was set. Whoever has to raise one runs
`tests/benchmarks` first, and says in the change what was bought with it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import gemway
from call_counts import calls_per_chunk, count_calls
from gemway import AsyncClient
from gemway.adapters import WireRequest

MODEL = "gemini-2.5-flash"
QUESTION = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
OURS = str(Path(gemway.__file__).parent)
calls = partial(count_calls, OURS)
per_chunk = partial(calls_per_chunk, OURS)


def conversation(messages: int) -> dict[str, Any]:
    """Return a request with a history."""
    turns = [{"role": ("user", "model")[i % 2], "parts": [{"text": f"message {i}"}]} for i in range(messages)]
    return {"contents": turns}


def test_a_call(client):
    """One answer costs some dozens of calls, most of them about the connection."""
    client.generate_content(MODEL, QUESTION)

    assert calls(lambda: client.generate_content(MODEL, QUESTION)) <= 41


def test_an_async_call(emulator):
    """Without blocking it costs hardly more: each time that a coroutine goes on counts, too."""
    loop = asyncio.new_event_loop()
    client = AsyncClient(base_url=emulator.base_url, api_key=emulator.api_key)

    def ask() -> None:
        loop.run_until_complete(client.generate_content(MODEL, QUESTION))

    ask()
    counted = calls(ask)
    loop.run_until_complete(client.aclose())
    loop.close()

    assert counted <= 75


def test_each_chunk(client, emulator):
    """Each chunk of a stream costs a handful, however many came before it."""
    assert per_chunk(emulator, lambda: list(client.stream_generate_content(MODEL, QUESTION))) <= 16


def test_each_message(client):
    """The messages of a request are checked and written by pydantic; functions of ours hardly look at them."""
    short, long = conversation(1), conversation(201)
    client.generate_content(MODEL, short)

    more = calls(lambda: client.generate_content(MODEL, long)) - calls(lambda: client.generate_content(MODEL, short))

    assert more / 200 <= 2


def test_each_message_of_an_adapter(client):
    """What an adapter wrote is sent as it is, and costs no more."""
    short, long = WireRequest(conversation(1)), WireRequest(conversation(201))
    client.generate_content(MODEL, short)

    more = calls(lambda: client.generate_content(MODEL, long)) - calls(lambda: client.generate_content(MODEL, short))

    assert more / 200 <= 2
