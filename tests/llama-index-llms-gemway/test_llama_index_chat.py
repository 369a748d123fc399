"""Chat, streams, errors, events."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import warnings
from collections import Counter

import pytest
from fault_server import STALL, FaultServer, play
from gemway import (
    APIStatusError,
    APITimeoutError,
    ContentBlockedError,
    EmptyResponseError,
    RateLimitError,
)
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ThinkingBlock
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    EventPayload,
    LlamaDebugHandler,
    TokenCountingHandler,
)
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.core.tools import FunctionTool
from llama_index.llms.gemway import Gemway
from pydantic import BaseModel

HELLO = [ChatMessage(content="Hello")]
USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 19}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


def chunk(text: str | None = None, finish: str | None = None, usage: dict | None = None, **part) -> dict:
    """Return one event of a stream."""
    parts = [{"text": text, **part}] if text is not None else []
    candidate: dict = {"index": 0, **({"content": {"role": "model", "parts": parts}} if parts else {})}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **({"usageMetadata": usage} if usage else {})}


async def test_sync_calls_work_inside_a_running_loop(emulator: Emulator, llm: Gemway) -> None:
    """A notebook or a web handler may call the sync methods."""
    emulator.enqueue(*(reply.text("fine", chunks=2) for _ in range(4)))

    assert llm.chat(HELLO).message.content == "fine"
    assert llm.complete("Hello").text == "fine"
    assert [item.message.content for item in llm.stream_chat(HELLO)][-1] == "fine"
    assert [item.text for item in llm.stream_complete("Hello")][-1] == "fine"


def test_several_loops_and_threads(emulator: Emulator, llm: Gemway) -> None:
    """One model serves loops that come and go, and threads at the same time."""

    async def three_answers() -> list[str]:
        responses = await asyncio.gather(*(llm.achat(HELLO) for _ in range(3)))
        return [response.message.content for response in responses]

    for _ in range(3):
        assert all(asyncio.run(three_answers()))

    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(llm.complete("Hello").text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8


def test_deltas_make_the_answer(emulator: Emulator, llm: Gemway) -> None:
    """Deltas add up to the content, none is None, and a kept item keeps its text."""
    emulator.enqueue(reply.stream([chunk("Hel"), chunk("lo"), chunk(" you", "STOP"), chunk(usage=USAGE)]))

    items = list(llm.stream_chat(HELLO))

    assert [item.message.content for item in items] == ["Hel", "Hello", "Hello you", "Hello you"]
    assert [item.delta for item in items] == ["Hel", "lo", " you", ""]


def test_content_reads_on_around_thoughts_and_calls(emulator: Emulator, gemway) -> None:
    """Text that thoughts or calls interrupt is one text, and goes back as the parts that it came in."""
    parts = [
        {"text": "Let me"},
        {"text": "hm", "thought": True},
        {"text": " see."},
        {"functionCall": {"name": "add", "args": {"a": 1, "b": 2}}, "thoughtSignature": "U0lH"},
        {"text": " Done."},
    ]
    emulator.enqueue(reply.stream([{"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}]))
    llm = gemway("gemini-3-pro-preview")

    last = list(llm.stream_chat(HELLO))[-1]

    assert last.message.content == "Let me see. Done."
    emulator.enqueue(reply.raw(200, json.dumps(chunk("ok", "STOP"))))
    llm.chat([*HELLO, last.message, *HELLO])
    sent = emulator.requests[-1].json["contents"][1]["parts"]
    assert sent == [parts[0], parts[2], parts[3], parts[4]]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_cut_off_answers_come_back(emulator: Emulator, gemway, streamed: bool) -> None:
    """MAX_TOKENS gives an answer with everything that arrived, even if the last chunk has no parts."""
    emulator.enqueue(reply.stream([chunk("The begin"), chunk(None, "MAX_TOKENS", USAGE)]))
    llm = gemway(max_tokens=5)

    response = list(llm.stream_chat(HELLO))[-1] if streamed else llm.chat(HELLO)

    assert response.message.content == "The begin"
    assert response.additional_kwargs["finish_reason"] == "MAX_TOKENS"
    assert response.additional_kwargs["completion_tokens"] == 8


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_nothing_visible_before_the_limit_warns(emulator: Emulator, gemway, streamed: bool) -> None:
    """If thoughts took all tokens, a warning explains it and names the limit."""
    emulator.enqueue(reply.stream([chunk(None, "MAX_TOKENS", USAGE)]))
    llm = gemway(max_tokens=64)

    ask = (lambda: list(llm.stream_chat(HELLO))[-1]) if streamed else (lambda: llm.chat(HELLO))
    with pytest.warns(UserWarning, match=r"3 tokens.*64"):
        response = ask()

    assert response.message.content == ""


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_blocked_prompts_are_errors(emulator: Emulator, llm: Gemway, method: str) -> None:
    """Never an empty success: the reason, the ratings and the usage are in the error."""
    emulator.enqueue(reply.blocked("PROHIBITED_CONTENT"))

    with pytest.raises(ContentBlockedError, match="PROHIBITED_CONTENT") as raised:
        list(getattr(llm, method)(HELLO))

    assert raised.value.reason == "PROHIBITED_CONTENT"
    assert raised.value.ratings
    assert raised.value.usage is not None


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
@pytest.mark.parametrize(
    ("reason", "error"),
    [("SAFETY", ContentBlockedError), ("MALFORMED_FUNCTION_CALL", EmptyResponseError), ("OTHER", EmptyResponseError)],
)
def test_empty_answers_are_errors(emulator: Emulator, llm: Gemway, method: str, reason: str, error: type) -> None:
    """A candidate without content raises, with the finish reason and the server's words."""
    body = {"candidates": [{"finishReason": reason, "finishMessage": "the server's words"}]}
    emulator.enqueue(reply.stream([body]))

    with pytest.raises(error, match="the server's words") as raised:
        list(getattr(llm, method)(HELLO))

    assert reason in str(vars(raised.value).values())


def test_no_candidates_is_an_error(emulator: Emulator, llm: Gemway) -> None:
    """An answer of usage alone is none."""
    emulator.enqueue(reply.raw(200, json.dumps({"candidates": [], "usageMetadata": USAGE})))

    with pytest.raises(EmptyResponseError):
        llm.chat(HELLO)


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_an_empty_stop_is_an_empty_message(emulator: Emulator, llm: Gemway, method: str) -> None:
    """Agents end so: one warning, and a message that is empty rather than missing."""
    emulator.enqueue(reply.stream([chunk(None, "STOP", USAGE)]))
    ask = (lambda: llm.chat(HELLO)) if method == "chat" else (lambda: list(llm.stream_chat(HELLO))[-1])

    with pytest.warns(UserWarning, match="without saying anything"):
        response = ask()

    assert response.message.content == ""
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []


@pytest.mark.parametrize("reason", ["A_REASON_OF_NEXT_YEAR", 99, "SAFETY"])
def test_unknown_finish_reasons_are_answers(emulator: Emulator, llm: Gemway, reason: object) -> None:
    """The text is returned, whatever ended the answer."""
    body = {"candidates": [{"content": {"parts": [{"text": "said"}]}, "finishReason": reason}]}
    emulator.enqueue(reply.raw(200, json.dumps(body)))

    response = llm.chat(HELLO)

    assert response.message.content == "said"
    assert response.additional_kwargs["finish_reason"] == str(reason)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_usage_is_complete(emulator: Emulator, llm: Gemway, streamed: bool) -> None:
    """Also from a last chunk without parts; thoughts and cached tokens on their own."""
    usage = {**USAGE, "cachedContentTokenCount": 4}
    emulator.enqueue(
        reply.stream([chunk("Hi", "STOP"), {"usageMetadata": usage, "modelVersion": "v", "responseId": "r"}])
    )

    response = list(llm.stream_chat(HELLO))[-1] if streamed else llm.chat(HELLO)

    additional = response.additional_kwargs
    assert {name: additional[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")} == {
        "prompt_tokens": 11,
        "completion_tokens": 8,
        "total_tokens": 19,
    }
    assert (additional["thoughts_tokens"], additional["cached_tokens"]) == (3, 4)
    assert (additional["model_version"], additional["response_id"]) == ("v", "r")
    assert response.raw["usage"]["total_tokens"] == 19
    assert response.raw["usageMetadata"]["totalTokenCount"] == 19


async def test_token_counts_are_the_wires(emulator: Emulator, gemway) -> None:
    """Chat, stream, completion, structured answers and tools: counted once each, as the gateway counts."""
    counter = TokenCountingHandler(tokenizer=lambda text: pytest.fail("nothing is to be estimated"))
    llm = gemway(callback_manager=CallbackManager([counter]))
    person = '{"name": "Ann", "age": 5}'
    prompt = PromptTemplate("Ann is 5")
    calls = {
        "chat": lambda: llm.chat(HELLO),
        "stream": lambda: list(llm.stream_chat(HELLO)),
        "complete": lambda: llm.complete("Hello"),
        "stream_complete": lambda: list(llm.stream_complete("Hello")),
        "structured": lambda: llm.structured_predict(Person, prompt),
        "stream_structured": lambda: list(llm.stream_structured_predict(Person, prompt)),
        "tools": lambda: llm.chat_with_tools([ADD], "add"),
    }
    for name, call in calls.items():
        counter.reset_counts()
        emulator.enqueue(reply.text(person, usage=USAGE, chunks=3))
        call()
        assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (11, 8), name
        assert len(counter.llm_token_counts) == 1, name
    counter.reset_counts()
    emulator.enqueue(reply.text(person, usage=USAGE), reply.text("x", usage=USAGE))
    await llm.astructured_predict(Person, prompt)
    await llm.achat(HELLO)
    assert counter.total_llm_token_count == 38


def test_a_hint_is_waited_for(emulator: Emulator, llm: Gemway) -> None:
    """429 with Retry-After is retried no sooner than the header allows."""
    emulator.enqueue(reply.error(429, retry_after=1), reply.text("fine"))
    started = time.monotonic()

    assert llm.complete("Hello").text == "fine"

    assert time.monotonic() - started >= 1
    assert len(emulator.requests) == 2


def test_streams_are_retried_before_their_first_chunk(emulator: Emulator, llm: Gemway) -> None:
    """A stream that fails to begin is asked for again."""
    emulator.enqueue(reply.error(503), reply.text("fine"))

    assert [item.message.content for item in llm.stream_chat(HELLO)][-1] == "fine"


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_will_not_get_better_is_not_retried(emulator: Emulator, llm: Gemway, status: int) -> None:
    """One request, one typed error with the status."""
    emulator.enqueue(reply.error(status))

    with pytest.raises(APIStatusError) as raised:
        llm.complete("Hello")

    assert raised.value.status_code == status
    assert len(emulator.requests) == 1


def test_no_retries_if_none_are_wanted(emulator: Emulator, gemway) -> None:
    """`max_retries=0` sends one request."""
    emulator.enqueue(reply.error(429))

    with pytest.raises(RateLimitError):
        gemway(max_retries=0).complete("Hello")

    assert len(emulator.requests) == 1


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _event(text: str) -> bytes:
    data = f"data: {json.dumps(chunk(text))}\r\n\r\n".encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@pytest.mark.parametrize("after_a_chunk", [False, True], ids=["before-the-answer", "between-chunks"])
def test_silence_ends_in_a_timeout(after_a_chunk: bool) -> None:
    """A stalled server is given up soon, also in the middle of a stream."""
    with FaultServer() as server:
        server.script(play(HEAD, _event("Hi"), STALL) if after_a_chunk else play(STALL))
        with Gemway("m", api_key="k", base_url=server.base_url, timeout=0.2, max_retries=0) as llm:
            started = time.monotonic()

            with pytest.raises(APITimeoutError):
                list(llm.stream_chat(HELLO))

            assert time.monotonic() - started < 2


def test_leaving_a_stream_closes_the_connection() -> None:
    """Whoever stops early hears no more."""
    with FaultServer() as server:
        server.script(play(HEAD, _event("Hi"), STALL))
        with Gemway("m", api_key="k", base_url=server.base_url) as llm:
            stream = llm.stream_chat(HELLO)
            assert next(stream).delta == "Hi"

            stream.close()

            assert server.idle()


async def test_leaving_an_async_stream_closes_the_connection() -> None:
    """The same for asyncio, without the model being closed."""
    with FaultServer() as server:
        server.script(play(HEAD, _event("Hi"), STALL))
        async with Gemway("m", api_key="k", base_url=server.base_url) as llm:
            stream = await llm.astream_chat(HELLO)
            assert (await anext(stream)).delta == "Hi"

            await stream.aclose()

            assert await asyncio.to_thread(server.idle)


def test_raw_is_plain_json(emulator: Emulator, gemway) -> None:
    """Responses with pictures, signatures and calls dump to JSON, and `raw` is the wire's own."""
    call = {"functionCall": {"name": "add", "args": {"a": 1}, "id": "x"}, "thoughtSignature": "AP//+/8="}
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    body = {"candidates": [{"content": {"parts": [picture, call]}, "finishReason": "STOP"}]}
    emulator.enqueue(reply.raw(200, json.dumps(body)), reply.raw(200, json.dumps(body)))
    llm = gemway("gemini-3-pro-preview")

    response = llm.chat(HELLO)
    completion = llm.complete("Hello")

    assert json.loads(response.model_dump_json())["raw"]["candidates"] == body["candidates"]
    assert json.dumps(response.raw)
    assert json.loads(completion.model_dump_json())["raw"]["candidates"] == body["candidates"]


def test_call_time_options_reach_the_wire(emulator: Emulator, llm: Gemway) -> None:
    """Options of a call take precedence over those of the model."""
    llm.chat(
        HELLO,
        temperature=0.2,
        max_tokens=100,
        top_p=0.5,
        stop=["END"],
        seed=7,
        response_format={"type": "json_object"},
        extra_headers={"x-call": "1"},
    )

    config = emulator.requests[-1].json["generationConfig"]
    assert config == {
        "temperature": 0.2,
        "maxOutputTokens": 100,
        "topP": 0.5,
        "stopSequences": ["END"],
        "seed": 7,
        "responseMimeType": "application/json",
    }
    assert emulator.requests[-1].headers["x-call"] == "1"


@pytest.mark.parametrize("option", [{"temprature": 1}, {"api_key": "k"}, {"base_url": "http://x"}])
def test_unknown_call_time_options_are_refused(llm: Gemway, option: dict) -> None:
    """A misspelled option is named, and so is one that only the constructor takes."""
    with pytest.raises(TypeError, match=next(iter(option))):
        llm.chat(HELLO, **option)


class Recorder(BaseEventHandler):
    names: list[str] = []

    def handle(self, event, **kwargs) -> None:
        self.names.append(event.class_name())


@pytest.fixture
def events():
    """The names of core's events, as they come."""
    recorder = Recorder(names=[])
    get_dispatcher().add_event_handler(recorder)
    yield recorder.names
    get_dispatcher().event_handlers.remove(recorder)


CHAT_PAIR = {"LLMChatStartEvent": 1, "LLMChatEndEvent": 1}
STRUCTURED_PAIR = {"LLMStructuredPredictStartEvent": 1, "LLMStructuredPredictEndEvent": 1}


def test_chat_and_completion_have_one_pair_each(emulator: Emulator, llm: Gemway, events: list[str]) -> None:
    """A completion has no chat events."""
    llm.chat(HELLO)
    assert Counter(events) == CHAT_PAIR
    events.clear()

    llm.complete("Hello")
    assert Counter(events) == {"LLMCompletionStartEvent": 1, "LLMCompletionEndEvent": 1}


async def test_streams_tell_of_their_progress(emulator: Emulator, llm: Gemway, events: list[str]) -> None:
    """One event per item, between start and end."""
    emulator.enqueue(*(reply.stream([chunk("a"), chunk("b"), chunk("c", "STOP")]) for _ in range(4)))

    list(llm.stream_chat(HELLO))
    [item async for item in await llm.astream_chat(HELLO)]
    assert Counter(events) == {"LLMChatStartEvent": 2, "LLMChatInProgressEvent": 6, "LLMChatEndEvent": 2}
    events.clear()

    list(llm.stream_complete("Hello"))
    [item async for item in await llm.astream_complete("Hello")]
    assert Counter(events) == {
        "LLMCompletionStartEvent": 2,
        "LLMCompletionInProgressEvent": 6,
        "LLMCompletionEndEvent": 2,
    }


@pytest.mark.parametrize("mode", ["default", "function", "llm"])
async def test_structured_calls_tell_of_both(emulator: Emulator, gemway, events: list[str], mode: str) -> None:
    """A structured call is a structured prediction and a chat."""
    llm = gemway(pydantic_program_mode=mode)
    prompt = PromptTemplate("Ann is 5")

    llm.structured_predict(Person, prompt)
    assert Counter(events) == CHAT_PAIR | STRUCTURED_PAIR
    events.clear()
    await llm.astructured_predict(Person, prompt)
    assert Counter(events) == CHAT_PAIR | STRUCTURED_PAIR
    events.clear()
    list(llm.stream_structured_predict(Person, prompt))
    assert {name for name in events if "Progress" not in name} == {*CHAT_PAIR, *STRUCTURED_PAIR}


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_errors_are_told(emulator: Emulator, gemway, method: str) -> None:
    """The end of a failed call carries the exception."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = gemway(callback_manager=CallbackManager([debug]), max_retries=0)
    emulator.enqueue(reply.error(400))

    with pytest.raises(APIStatusError):
        list(getattr(llm, method)(HELLO))

    [(_, end)] = debug.get_event_pairs(CBEventType.LLM)
    assert isinstance(end.payload[EventPayload.EXCEPTION], APIStatusError)


class CountingLimiter(BaseRateLimiter):
    """Counts, and never waits."""

    def __init__(self) -> None:
        self.count = 0

    def acquire(self, num_tokens: int = 0) -> None:
        self.count += 1

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.count += 1


async def test_the_rate_limiter_is_asked_once_per_request(emulator: Emulator, gemway) -> None:
    """Also for structured answers, tools and streams."""
    limiter = CountingLimiter()
    llm = gemway(rate_limiter=limiter)
    prompt = PromptTemplate("Ann is 5")

    llm.chat(HELLO)
    llm.complete("Hello")
    list(llm.stream_chat(HELLO))
    llm.structured_predict(Person, prompt)
    list(llm.stream_structured_predict(Person, prompt))
    llm.chat_with_tools([ADD], "add 1 and 2")
    await llm.achat(HELLO)
    await llm.astructured_predict(Person, prompt)
    [item async for item in await llm.astream_chat(HELLO)]

    assert limiter.count == len(emulator.requests) == 9


def test_completion_of_a_picture(emulator: Emulator, gemway) -> None:
    """A completion has no blocks: its text is empty, and the picture is in `additional_kwargs`."""
    emulator.enqueue(reply.image(b"\x89PNG\r\n\x1a\nrest"))

    completion = gemway("gemini-3.1-flash-image-preview").complete("a cat")

    assert completion.text == ""
    assert [type(block) for block in completion.additional_kwargs["images"]] == [ImageBlock]


def test_logprobs_are_read(emulator: Emulator, llm: Gemway) -> None:
    """Chosen tokens with their alternatives, position by position."""
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.1}],
        "topCandidates": [
            {"candidates": [{"token": "a", "logProbability": -0.1}, {"token": "b", "logProbability": -2}]}
        ],
    }
    emulator.enqueue(reply.text("a", candidate={"logprobsResult": result}))

    response = llm.chat(HELLO, logprobs=True, top_logprobs=2)

    assert emulator.requests[-1].json["generationConfig"] == {"responseLogprobs": True, "logprobs": 2}
    assert [[token.token for token in position] for position in response.logprobs] == [["a", "b"]]


def test_warnings_name_the_users_line(emulator: Emulator, llm: Gemway) -> None:
    """A warning points at the caller, not at LlamaIndex."""
    emulator.enqueue(reply.stream([chunk(None, "STOP")]))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        llm.chat(HELLO)

    assert [warning.filename for warning in caught] == [__file__]


def test_thoughts_are_blocks(emulator: Emulator, gemway) -> None:
    """Thoughts are no part of the content."""
    emulator.enqueue(reply.thoughts("hm", "the answer"))

    message = gemway(include_thoughts=True).chat(HELLO).message

    assert [type(block) for block in message.blocks] == [ThinkingBlock, TextBlock]
    assert message.content == "the answer"
