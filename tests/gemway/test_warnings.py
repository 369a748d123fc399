"""Warnings point at the user's own line, whichever framework stands between it and gemway."""

from __future__ import annotations

import asyncio
import warnings

import pytest
from fault_server import event, full, message, play
from gemway import AsyncClient, Client
from gemway.adapters import warn, warn_once

MODEL = "gemini-2.5-flash"
ASK = {"contents": [{"parts": [{"text": "Hello"}]}]}


def chat(**options):
    return pytest.importorskip("langchain_gemway").ChatGemway(model=MODEL, **options)


def llm(**options):
    return pytest.importorskip("llama_index.llms.gemway").Gemway(MODEL, **options)


CONSTRUCTORS = {"Client": Client, "AsyncClient": AsyncClient, "ChatGemway": chat, "Gemway": llm}


@pytest.mark.parametrize("make", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_a_constructor(make, recwarn):
    """An address that ends in /v1 is corrected, with a warning at the line that constructs the object."""
    make(base_url="http://127.0.0.1:9/v1", api_key="k")

    caught = [one for one in recwarn.list if "/v1" in str(one.message)]
    assert [one.filename for one in caught] == [__file__]


WHOLE = full(message("Hello", finish=None))
ANEW = b"".join(
    event(message("Hello", finish=finish, responseId=name)) for finish, name in ((None, "1"), ("STOP", "2"))
)
STREAM = full(ANEW, content_type="text/event-stream")


async def ask(**options):
    async with AsyncClient(**options) as client:
        await client.generate_content(MODEL, ASK)


CALLS = {
    "core": (WHOLE, lambda **options: Client(**options).generate_content(MODEL, ASK)),
    "core-async": (WHOLE, lambda **options: asyncio.run(ask(**options))),
    "langchain": (WHOLE, lambda **options: chat(**options).invoke("Hello")),
    "langchain-stream": (STREAM, lambda **options: list(chat(**options).stream("Hello"))),
    "llama-index": (WHOLE, lambda **options: llm(**options).complete("Hello")),
    "llama-index-stream": (STREAM, lambda **options: list(llm(**options).stream_complete("Hello"))),
}


@pytest.mark.parametrize(("answer", "call"), CALLS.values(), ids=CALLS)
def test_a_call(server, answer, call, recwarn):
    """A doubtful answer is warned about at the line of the call, through LangChain and LlamaIndex too."""
    server.script(default=play(answer))

    call(base_url=server.base_url, api_key="k")

    caught = [one for one in recwarn.list if "the gateway" in str(one.message)]
    assert [one.filename for one in caught] == [__file__]


def test_once_for_each_key():
    """`warn_once` warns at the first call with a key, `warn` at every one; both at this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            warn_once("test_once_for_each_key", "only once")
            warn("each time")

    assert [str(one.message) for one in caught] == ["only once", "each time", "each time"]
    assert {one.filename for one in caught} == {__file__}


def test_names_that_moved_to_adapters_are_still_found():
    """Programs that import them from `gemway` work, and learn where they are now."""
    import gemway
    from gemway.adapters import arrange

    with pytest.warns(DeprecationWarning, match=r"import arrange from gemway\.adapters") as caught:
        assert gemway.arrange is arrange

    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"import canonical_options from gemway\.adapters"):
        assert gemway.canonical is gemway.adapters.canonical_options
    with pytest.raises(AttributeError, match="no attribute 'arrangement'"):
        _ = gemway.arrangement
