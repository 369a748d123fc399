"""Secrets of a Gemway and its calls: sent to the gateway, and shown nowhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gemway import ConfigurationError
from gemway_emulator import Emulator, reply
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.gemway import Gemway
from pydantic import BaseModel, SecretStr
from sight import locals_of_ours

KEY, HEADER, PASSWORD, FIELD = "sk-planted-key", "planted-header", "planted-password", "planted-field"
SECRETS = {
    "api_key": KEY,
    "default_headers": {"x-tenant": HEADER},
    "proxy": f"http://user:{PASSWORD}@127.0.0.1:9",
    "extra_body": {"gateway_token": FIELD},
}
MISTAKES = {
    "address-without-scheme": {"base_url": "gateway.example"},
    "address-of-another-type": {"base_url": 5},
    "address-with-password": {"base_url": f"https://user:{PASSWORD}@gateway.example"},
    "headers-as-a-list": {"default_headers": [("x-tenant", HEADER)]},
    "header-that-cannot-be-sent": {"default_headers": {"x-tenant": f"{HEADER}\n"}},
    "retries-as-text": {"max_retries": "many"},
    "no-time": {"timeout": 0},
    "endless-deadline": {"deadline": 10**400},
    "broken-proxy": {"proxy": f"http://user:{PASSWORD}@[x"},
    "misspelt-option": {"tiemout": 3},
    "misspelt-key": {"apikey": KEY},
    "key-as-bytes": {"api_key": KEY.encode()},
    "google-options": {"http_options": {"headers": {"x-tenant": HEADER}, "unknown": 1}},
    "two-keys": {"google_api_key": f"{KEY}-2"},
}


def assert_hidden(text: str) -> None:
    assert [secret for secret in (KEY, HEADER, PASSWORD, FIELD) if secret in text] == []


@pytest.mark.parametrize("wrong", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_options_shows_no_secret(wrong):
    """Neither the message nor a local variable of the traceback holds a key, a header, a password or a body."""
    options = {"model": "gemini-2.5-flash", "base_url": "https://gateway.example", **SECRETS, **wrong}
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        Gemway(**options)

    assert_hidden(f"{caught.value!r} {locals_of_ours(caught.value)}")


def test_content_that_cannot_be_sent_shows_no_secret():
    """The frames of an error about a message hold the model's settings, all of them masked."""
    llm = Gemway(model="gemini-2.5-flash", base_url="https://gateway.example", **SECRETS)
    with pytest.raises(ValueError, match="message") as caught:
        llm.chat([])

    assert_hidden(f"{caught.value!r} {locals_of_ours(caught.value)}")


class Word(BaseModel):
    """One word."""

    text: str


CALLS = {
    "headers": {"extra_headers": {"x-tenant": HEADER}},
    "headers-of-another-name": {"headers": {"x-tenant": HEADER}},
    "body": {"extra_body": {"labels": {"token": FIELD}}},
    "body-of-another-name": {"additional_kwargs": {"labels": {"token": FIELD}}},
}


@pytest.fixture
def reported() -> Iterator[list[str]]:
    """Everything that LlamaIndex passes to its event and span handlers."""
    seen: list[str] = []

    class Events(BaseEventHandler):
        def handle(self, event, **_):
            seen.append(f"{event!r} {getattr(event, 'additional_kwargs', '')!r}")

    class Spans(SimpleSpanHandler):
        def new_span(self, id_, bound_args, instance=None, parent_span_id=None, tags=None, **_):
            seen.append(repr(bound_args.arguments))

    dispatcher = get_dispatcher()
    before = list(dispatcher.event_handlers), list(dispatcher.span_handlers)
    dispatcher.add_event_handler(Events())
    dispatcher.add_span_handler(Spans())
    yield seen
    dispatcher.event_handlers, dispatcher.span_handlers = before


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
async def test_events_and_spans_hold_no_secret(llm, reported, options):
    """LlamaIndex hands every argument of a call to tracing services."""
    messages = [ChatMessage(content="Say a word")]
    tool = FunctionTool.from_defaults(fn=lambda text: text, name="say", description="Say it.")
    prompt = PromptTemplate("Say a {kind} word")

    llm.chat(messages, **options)
    list(llm.stream_chat(messages, **options))
    llm.complete("x", **options)
    await llm.achat(messages, **options)
    _ = [one async for one in await llm.astream_chat(messages, **options)]
    await llm.acomplete("x", **options)
    llm.chat_with_tools([tool], user_msg="x", **options)
    llm.structured_predict(Word, prompt, llm_kwargs=options, kind="long")
    await llm.astructured_predict(Word, prompt, llm_kwargs=options, kind="long")

    assert len(reported) > 15
    # Events of structured answers repeat the request's own messages and schemas, never its options.
    assert_hidden(" ".join(reported))


@pytest.mark.leaves_replies
@pytest.mark.parametrize("options", [{"extra_headers": {"x-tenant": HEADER}}, {"api_key": KEY}, {"apikey": KEY}])
def test_a_failed_call_shows_no_secret_of_its_options(emulator: Emulator, llm, options):
    """Options of a call are masked before anything can fail."""
    emulator.enqueue(reply.error(400, message="no"))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - a refusal of the gateway, or of an option's name
        llm.chat([ChatMessage(content="x")], **options)

    assert_hidden(f"{caught.value!r} {locals_of_ours(caught.value)}")


def test_secrets_of_calls_are_sent(emulator: Emulator, llm):
    """What is masked for the eye is whole on the wire."""
    llm.chat([ChatMessage(content="x")], extra_headers={"x-tenant": HEADER, "x-typed": SecretStr(KEY)})

    assert emulator.requests[0].headers["x-tenant"] == HEADER
    assert emulator.requests[0].headers["x-typed"] == KEY


def test_a_model_dumps_no_secret(emulator):
    """`to_dict`, `model_dump` and repr leave out headers, body, proxy and key, also when they were set later."""
    llm = Gemway(model="gemini-2.5-flash", base_url="https://gateway.example", **SECRETS)
    later = Gemway(model="gemini-2.5-flash", base_url="https://gateway.example", api_key="sk-other-key")
    for name, value in SECRETS.items():
        setattr(later, name, value)

    for one in (llm, later, llm.model_copy()):
        assert_hidden(f"{one!r} {one.to_dict()} {one.model_dump()} {vars(one)!r}")


def test_defaults_of_a_subclass_count(emulator, monkeypatch):
    """A company's wrapper sets model, address and key as class defaults; they go before the environment."""
    monkeypatch.setenv("GEMWAY_MODEL", "gemini-2.5-pro")

    class Company(Gemway):
        model: str = "gemini-2.5-flash"
        base_url: str | None = emulator.base_url
        api_key: object = SecretStr(emulator.api_key)
        temperature: float | None = 0.2

    Company().complete("x")

    assert emulator.requests[0].path.endswith("gemini-2.5-flash:generateContent")
    assert emulator.requests[0].json["generationConfig"] == {"temperature": 0.2}
