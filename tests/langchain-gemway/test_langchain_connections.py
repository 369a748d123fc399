"""Authentication, connections, errors, imports."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gemway
import httpx
import pytest
from gemway_emulator import Emulator, reply
from langchain_core import exceptions as langchain
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from langchain_gemway import ChatGemway

KEY = "sk-local"
Make = Callable[..., ChatGemway]


@pytest.fixture
def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_only_a_bearer_token_is_sent(chat: Make, emulator: Emulator) -> None:
    """Requests carry Authorization: Bearer, and no Google key anywhere."""
    chat().invoke("Hello")

    (request,) = emulator.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "x-goog-api-key" not in request.headers
    assert "key=" not in request.path


async def test_auth_works_sync_and_async(chat: Make, emulator: Emulator) -> None:
    """An httpx.Auth signs blocking and async calls."""

    class Signature(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            request.headers["authorization"] = f"Bearer {KEY}"
            yield request

    model = chat(api_key=None, auth=Signature())

    await asyncio.to_thread(model.invoke, "Hello")
    await model.ainvoke("Hello")

    assert [request.status for request in emulator.requests] == [200, 200]
    await model.aclose()


async def test_a_token_is_asked_for_again_after_a_401(chat: Make, emulator: Emulator) -> None:
    """An async callable gives the token; after a 401 it is asked once more."""
    tokens = iter(["sk-outdated", KEY, KEY])

    async def token() -> str:
        return next(tokens)

    model = chat(api_key=token, max_retries=0)

    assert (await model.ainvoke("Hello")).text

    assert [request.status for request in emulator.requests] == [401, 200]
    await model.aclose()


def test_nothing_shows_a_secret(chat: Make, emulator: Emulator) -> None:
    """Neither repr, dict, dumps and traces nor errors contain the key or a header."""
    seen: list[str] = []

    class Tracer(BaseCallbackHandler):
        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            seen.append(repr((serialized, messages, kwargs)))

    emulator.api_key = "sk-another"
    model = chat(api_key="sk-very-secret", default_headers={"x-team": "team-secret"}, max_retries=0)
    with pytest.raises(gemway.AuthenticationError) as raised:
        model.invoke("Hello", config={"callbacks": [Tracer()]}, extra_headers={"x-more": "header-secret"})

    shown = "".join(
        [repr(model), str(model), dumps(model), repr(model.dict()), *seen, repr(raised.value), str(raised.value)]
    )
    assert not any(secret in shown for secret in ("very-secret", "team-secret", "header-secret"))


def test_validation_errors_hide_their_input(chat: Make) -> None:
    """A wrong type is refused without showing what stands beside it."""
    with pytest.raises(gemway.ConfigurationError) as raised:
        chat(api_key="sk-very-secret", temperature="sk-very-secret")

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("ending", ["", "/", "/v1beta", "/v1beta/"])
def test_base_url_may_end_as_people_write_it(chat: Make, emulator: Emulator, ending: str) -> None:
    """A slash or the API version at the end makes no difference."""
    chat(base_url=emulator.base_url + ending).invoke("Hello")

    assert emulator.requests[0].path == "/v1beta/models/gemini-2.5-flash:generateContent"


@pytest.mark.leaves_replies
@pytest.mark.parametrize("retries", [0, 2])
def test_max_retries_counts_repetitions(chat: Make, emulator: Emulator, retries: int) -> None:
    """0 sends one request, 2 at most three."""
    emulator.enqueue(*[reply.error(503, retry_after=0.01)] * 4)

    with pytest.raises(langchain.ModelAPIError):
        chat(max_retries=retries).invoke("Hello")

    assert len(emulator.requests) == retries + 1


def test_retry_after_is_obeyed(chat: Make, emulator: Emulator) -> None:
    """A 429 with Retry-After waits that long."""
    emulator.enqueue(reply.error(429, retry_after=0.5))

    assert chat().invoke("Hello").text

    (waited,) = emulator.waits()
    assert waited >= 0.45


def test_timeouts_and_refused_connections_are_typed(silent: str, nowhere: str) -> None:
    """Silence is a ModelTimeoutError, a refused connection a ModelConnectionError; both may be retried."""
    for address, kind in ((silent, langchain.ModelTimeoutError), (nowhere, langchain.ModelConnectionError)):
        model = ChatGemway(model="gemini-2.5-flash", base_url=address, api_key=KEY, timeout=0.3, max_retries=0)
        with pytest.raises(kind) as raised:
            model.invoke("Hello")

        assert isinstance(raised.value, gemway.APIConnectionError)
        assert raised.value.is_retryable
        assert raised.value.__cause__ is not None
        model.close()


async def test_refused_connections_of_async_streams_are_typed(nowhere: str) -> None:
    """A refused connection is typed there too."""
    model = ChatGemway(model="gemini-2.5-flash", base_url=nowhere, api_key=KEY, max_retries=0)

    with pytest.raises(langchain.ModelConnectionError):
        async for _ in model.astream("Hello"):
            pass
    await model.aclose()


def test_errors_in_a_200_are_errors(chat: Make, emulator: Emulator) -> None:
    """A 200 with an error body has the class of its code; HTML is named as what it is."""
    emulator.enqueue(
        reply.raw(200, '{"error": {"code": 404, "status": "NOT_FOUND", "message": "no such model"}}'),
        reply.raw(200, "<html><body>Dashboard</body></html>", content_type="text/html"),
    )
    model = chat(max_retries=0)

    with pytest.raises(langchain.ModelNotFoundError):
        model.invoke("Hello")
    with pytest.raises(langchain.ModelAPIError, match="html|HTML") as raised:
        model.invoke("Hello")
    assert not raised.value.is_retryable


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [
        (400, langchain.ModelInvalidRequestError, gemway.BadRequestError),
        (401, langchain.ModelAuthenticationError, gemway.AuthenticationError),
        (403, langchain.ModelPermissionDeniedError, gemway.PermissionDeniedError),
        (404, langchain.ModelNotFoundError, gemway.NotFoundError),
        (429, langchain.ModelRateLimitError, gemway.RateLimitError),
        (500, langchain.ModelAPIError, gemway.InternalServerError),
        (503, langchain.ModelAPIError, gemway.InternalServerError),
    ],
)
@pytest.mark.parametrize("body", ["google", "openai", "html"])
def test_statuses_map_to_both_kinds_of_errors(
    chat: Make, emulator: Emulator, status: int, kind: type[Exception], ours: type[Exception], body: str
) -> None:
    """Every status is LangChain's class and ours, whatever the body looks like, with status, id and message."""
    shapes = {
        "google": reply.error(status, message="told you", headers={"x-request-id": "r-1"}),
        "openai": reply.error(
            status,
            body={"error": {"message": "told you", "type": "x", "code": "y"}},
            headers={"x-request-id": "r-1"},
        ),
        "html": reply.raw(status, "<html>told you</html>", {"x-request-id": "r-1"}, content_type="text/html"),
    }
    emulator.enqueue(shapes[body])

    with pytest.raises(kind) as raised:
        chat(max_retries=0).invoke("Hello")

    error = raised.value
    assert isinstance(error, ours)
    assert isinstance(error, gemway.APIStatusError)
    assert (error.status_code, error.request_id) == (status, "r-1")
    assert "told you" in str(error)
    assert error.is_retryable is (status in {429, 500, 503})


def test_used_up_balance_is_not_retryable(chat: Make, emulator: Emulator) -> None:
    """A gateway's quota error is a permission error that no retry mends."""
    emulator.enqueue(reply.error(403, code="insufficient_user_quota", message="balance too low"))

    with pytest.raises(langchain.ModelPermissionDeniedError) as raised:
        chat().invoke("Hello")

    assert isinstance(raised.value, gemway.QuotaExceededError)
    assert not raised.value.is_retryable
    assert isinstance(pickle.loads(pickle.dumps(raised.value)), gemway.QuotaExceededError)


def test_too_long_prompts_are_context_overflows(chat: Make, emulator: Emulator) -> None:
    """Google's words for a full window are LangChain's ContextOverflowError."""
    said = "The input token count (1500000) exceeds the maximum number of tokens allowed (1048576)."
    emulator.enqueue(reply.error(400, message=said))

    with pytest.raises(langchain.ContextOverflowError) as raised:
        chat().invoke("Hello")

    assert isinstance(raised.value, gemway.ContextOverflowError)


def test_one_model_serves_loops_and_threads(chat: Make) -> None:
    """The same object works in two asyncio.run calls and in four threads at once."""
    model = chat()
    answers: list[str] = []

    async def ask() -> None:
        answers.append((await model.ainvoke("Hello")).text)

    asyncio.run(ask())
    asyncio.run(ask())
    threads = [threading.Thread(target=lambda: answers.append(model.invoke("Hello").text)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 6
    assert all(answers)


def test_models_can_be_pickled_and_copied(chat: Make) -> None:
    """Copies work, before and after the first call."""
    model = chat(temperature=0.5)
    model.invoke("Hello")

    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model), model.model_copy()):
        assert twin.temperature == 0.5
        assert twin.invoke("Hello").text
        twin.close()


def test_a_key_of_the_environment_does_not_travel(
    gateway_environment: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickle holds a key only if it was given as an argument; otherwise the worker's environment is asked."""
    pickled = pickle.dumps(ChatGemway(model="gemini-2.5-flash"))
    assert KEY.encode() not in pickled

    monkeypatch.delenv("GEMWAY_API_KEY")
    twin = pickle.loads(pickled)
    with pytest.raises(gemway.ConfigurationError, match="GEMWAY_API_KEY"):
        twin.invoke("Hello")


async def test_leaving_a_stream_closes_its_connection() -> None:
    """After aclose on an abandoned stream the server's next writes fail."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        try:
            for _ in range(200):
                writer.write(b'data: {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}\r\n\r\n')
                await writer.drain()
                if await asyncio.wait_for(reader.read(1), 0.02) == b"":
                    break
        except asyncio.TimeoutError:
            await _until_eof(reader)
        except OSError:
            pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    model = ChatGemway(model="gemini-2.5-flash", base_url=address, api_key=KEY)

    stream = model.astream("Hello")
    await anext(stream)
    await stream.aclose()

    await asyncio.wait_for(gone.wait(), 5)
    await model.aclose()
    server.close()


async def _until_eof(reader: asyncio.StreamReader) -> None:
    while await reader.read(4096):
        pass


def test_importing_and_constructing_is_cheap() -> None:
    """No Google library, requests or aiohttp is imported by us, and a hundred models take little time."""
    program = (
        "import sys, langchain_core.language_models.chat_models\n"
        "before = set(sys.modules)\n"
        "import langchain_gemway\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new & {'google', 'requests', 'aiohttp', 'httpx', 'PIL', 'langgraph', 'llama_index'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

    start = time.perf_counter()
    for _ in range(100):
        ChatGemway(model="gemini-2.5-flash", base_url="https://gateway.example", api_key=KEY)
    assert time.perf_counter() - start < 1.0


def test_langsmith_gateway_is_not_followed(chat: Make, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """LANGSMITH_GATEWAY in the environment changes neither address nor key."""
    monkeypatch.setenv("LANGSMITH_GATEWAY", "true")
    monkeypatch.setenv("LANGSMITH_API_KEY", "ls-key")

    chat().invoke("Hello")

    assert emulator.requests[0].headers["authorization"] == f"Bearer {KEY}"
