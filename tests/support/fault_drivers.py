"""The ways to ask a gateway: blocking or in an event loop, once or as a stream, through the core or an adapter.

A fault case is written once, against a `Session`, and runs for each `Driver`. A new library needs a `Session`
class for each of its four ways and a row in `DRIVERS`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Protocol

import pytest
from gemway import AsyncClient, Client, GemwayError

KEY = "sk-very-secret-0123456789abcdef"
MODEL = "gemini-2.5-flash"
ASK = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


@dataclass
class Answer:
    """What came back, in every library's words for the same thing."""

    text: str
    attempts: int | None = None
    pieces: list[str] = field(default_factory=list)


class Session(Protocol):
    """One client or model in use."""

    def ask(self, **options: Any) -> Answer:
        """Ask once and return the whole answer, or raise the library's error (one of ours, too)."""

    def together(self, count: int, **options: Any) -> list[Answer | Exception]:
        """Ask *count* times at once; `#` in a header becomes the number of the call."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True)
class Driver:
    """A way to ask."""

    library: str
    asynchronous: bool
    streams: bool
    make: Callable[..., Session]

    def __str__(self) -> str:
        return f"{self.library}-{'async' if self.asynchronous else 'sync'}-{'stream' if self.streams else 'call'}"

    @contextmanager
    def session(self, base_url: str, **options: Any) -> Iterator[Session]:
        """Open a session; `timeout` is 5 s unless given, so that a bug does not hang the suite."""
        session = self.make(base_url, **{"api_key": KEY, "timeout": 5.0, **options})
        try:
            yield session
        finally:
            session.close()

    def ask(self, base_url: str, **options: Any) -> Answer:
        """Ask once with a session of its own."""
        with self.session(base_url, **options) as session:
            return session.ask()

    def fail(self, base_url: str, kind: type[BaseException] = GemwayError, **options: Any) -> Any:
        """Ask once, expecting an error of *kind*, and return it."""
        with pytest.raises(kind) as caught:
            self.ask(base_url, **options)
        return caught.value


def in_threads(count: int, ask: Callable[[int], Answer]) -> list[Answer | Exception]:
    """Return what *count* calls of *ask* at once return or raise."""
    results: list[Any] = [None] * count

    def one(number: int) -> None:
        try:
            results[number] = ask(number)
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def numbered(options: dict[str, Any], number: int) -> dict[str, Any]:
    """Return *options* with the number of a call in its headers."""
    headers = options.get("headers")
    if not headers:
        return options
    return {**options, "headers": {name: value.replace("#", str(number)) for name, value in headers.items()}}


class CoreSession:
    """`Client`, whole answers."""

    def __init__(self, base_url: str, **options: Any) -> None:
        self.client = Client(base_url=base_url, **options)

    def run(self, call: Callable[[Any], Any]) -> Any:
        """Return what *call* does with the client."""
        return call(self.client)

    def ask(self, **options: Any) -> Answer:
        response = self.client.generate_content(MODEL, ASK, **options)
        assert response.exchange is not None
        return Answer(response.text, response.exchange.attempts, [response.text])

    def together(self, count: int, **options: Any) -> list[Answer | Exception]:
        return in_threads(count, lambda number: self.ask(**numbered(options, number)))

    def close(self) -> None:
        self.client.close()


class CoreStreamSession(CoreSession):
    """`Client`, streams."""

    def ask(self, **options: Any) -> Answer:
        with self.client.stream_generate_content(MODEL, ASK, **options) as stream:
            chunks = list(stream)
        assert chunks[0].exchange is not None
        pieces = [chunk.text for chunk in chunks]
        return Answer("".join(pieces), chunks[0].exchange.attempts, pieces)


class AsyncCoreSession:
    """`AsyncClient`, whole answers, in an event loop of its own that ends as `asyncio.run` ends one."""

    def __init__(self, base_url: str, **options: Any) -> None:
        self.client = AsyncClient(base_url=base_url, **options)
        self.loop = asyncio.new_event_loop()

    def run(self, call: Callable[[Any], Any]) -> Any:
        """Return what *call* does with the client, awaited."""
        return self.loop.run_until_complete(call(self.client))

    def ask(self, **options: Any) -> Answer:
        return self.loop.run_until_complete(self.aask(**options))

    async def aask(self, **options: Any) -> Answer:
        response = await self.client.generate_content(MODEL, ASK, **options)
        assert response.exchange is not None
        return Answer(response.text, response.exchange.attempts, [response.text])

    def together(self, count: int, **options: Any) -> list[Answer | Exception]:
        async def all_of_them() -> list[Any]:
            return await asyncio.gather(
                *(self.aask(**numbered(options, number)) for number in range(count)), return_exceptions=True
            )

        return self.loop.run_until_complete(all_of_them())

    def close(self) -> None:
        try:
            self.loop.run_until_complete(self.client.aclose())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()


class AsyncCoreStreamSession(AsyncCoreSession):
    """`AsyncClient`, streams."""

    async def aask(self, **options: Any) -> Answer:
        async with self.client.stream_generate_content(MODEL, ASK, **options) as stream:
            chunks = [chunk async for chunk in stream]
        assert chunks[0].exchange is not None
        pieces = [chunk.text for chunk in chunks]
        return Answer("".join(pieces), chunks[0].exchange.attempts, pieces)


CORE = [
    Driver("core", False, False, CoreSession),
    Driver("core", False, True, CoreStreamSession),
    Driver("core", True, False, AsyncCoreSession),
    Driver("core", True, True, AsyncCoreStreamSession),
]


class ChatSession:
    """`ChatGemway`, whole answers."""

    def __init__(self, base_url: str, **options: Any) -> None:
        from langchain_gemway import ChatGemway

        self.model = ChatGemway(model=MODEL, base_url=base_url, **options)

    def ask(self, **options: Any) -> Answer:
        text = self.model.invoke("hello", **options).text
        return Answer(text, None, [text])

    def together(self, count: int, **options: Any) -> list[Answer | Exception]:
        return in_threads(count, lambda number: self.ask(**numbered(options, number)))

    def close(self) -> None:
        self.model.close()


class ChatStreamSession(ChatSession):
    """`ChatGemway`, streams."""

    def ask(self, **options: Any) -> Answer:
        pieces = [chunk.text for chunk in self.model.stream("hello", **options)]
        return Answer("".join(pieces), None, pieces)


class LoopSession:
    """What asks in an event loop of its own, which ends as `asyncio.run` ends one."""

    model: Any

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def ask(self, **options: Any) -> Answer:
        return self.loop.run_until_complete(self.aask(**options))

    async def aask(self, **options: Any) -> Answer:
        raise NotImplementedError

    def together(self, count: int, **options: Any) -> list[Answer | Exception]:
        async def all_of_them() -> list[Any]:
            return await asyncio.gather(
                *(self.aask(**numbered(options, number)) for number in range(count)), return_exceptions=True
            )

        return self.loop.run_until_complete(all_of_them())

    def close(self) -> None:
        try:
            self.loop.run_until_complete(self.model.aclose())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()


class AsyncChatSession(LoopSession):
    """`ChatGemway`, whole answers, in an event loop."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__()
        self.model = ChatSession(base_url, **options).model

    async def aask(self, **options: Any) -> Answer:
        text = (await self.model.ainvoke("hello", **options)).text
        return Answer(text, None, [text])


class AsyncChatStreamSession(AsyncChatSession):
    """`ChatGemway`, streams, in an event loop."""

    async def aask(self, **options: Any) -> Answer:
        pieces = [chunk.text async for chunk in self.model.astream("hello", **options)]
        return Answer("".join(pieces), None, pieces)


class LlamaSession(ChatSession):
    """LlamaIndex's `Gemway`, whole answers."""

    def __init__(self, base_url: str, **options: Any) -> None:
        from llama_index.llms.gemway import Gemway

        self.model = Gemway(model=MODEL, base_url=base_url, **options)

    def ask(self, **options: Any) -> Answer:
        text = self.model.complete("hello", **options).text
        return Answer(text, None, [text])


class LlamaStreamSession(LlamaSession):
    """LlamaIndex's `Gemway`, streams."""

    def ask(self, **options: Any) -> Answer:
        pieces = [chunk.delta or "" for chunk in self.model.stream_complete("hello", **options)]
        return Answer("".join(pieces), None, pieces)


class AsyncLlamaSession(LoopSession):
    """LlamaIndex's `Gemway`, whole answers, in an event loop."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__()
        self.model = LlamaSession(base_url, **options).model

    async def aask(self, **options: Any) -> Answer:
        text = (await self.model.acomplete("hello", **options)).text
        return Answer(text, None, [text])


class AsyncLlamaStreamSession(AsyncLlamaSession):
    """LlamaIndex's `Gemway`, streams, in an event loop."""

    async def aask(self, **options: Any) -> Answer:
        pieces = [chunk.delta or "" async for chunk in await self.model.astream_complete("hello", **options)]
        return Answer("".join(pieces), None, pieces)


LANGCHAIN = [
    Driver("langchain", False, False, ChatSession),
    Driver("langchain", False, True, ChatStreamSession),
    Driver("langchain", True, False, AsyncChatSession),
    Driver("langchain", True, True, AsyncChatStreamSession),
]
LLAMA_INDEX = [
    Driver("llamaindex", False, False, LlamaSession),
    Driver("llamaindex", False, True, LlamaStreamSession),
    Driver("llamaindex", True, False, AsyncLlamaSession),
    Driver("llamaindex", True, True, AsyncLlamaStreamSession),
]
# The core is tested alone where the adapters are not installed: with its oldest dependencies.
DRIVERS = [
    *CORE,
    *(LANGCHAIN if find_spec("langchain_gemway") else ()),
    *(LLAMA_INDEX if find_spec("llama_index") and find_spec("llama_index.llms.gemway") else ()),
]

every_driver = pytest.mark.parametrize("driver", DRIVERS, ids=str)
unary_drivers = pytest.mark.parametrize("driver", [one for one in DRIVERS if not one.streams], ids=str)
stream_drivers = pytest.mark.parametrize("driver", [one for one in DRIVERS if one.streams], ids=str)
core_drivers = pytest.mark.parametrize("driver", CORE, ids=str)
core_calls = pytest.mark.parametrize("driver", [one for one in CORE if not one.streams], ids=str)
core_streams = pytest.mark.parametrize("driver", [one for one in CORE if one.streams], ids=str)
