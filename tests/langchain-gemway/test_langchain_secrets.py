"""Secrets of a ChatGemway and its calls: sent to the gateway, and shown nowhere."""

from __future__ import annotations

import pytest
from gemway import ConfigurationError
from gemway_emulator import Emulator, reply
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps
from langchain_core.tracers.base import BaseTracer
from langchain_gemway import ChatGemway, GenerateImage
from pydantic import SecretStr
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
        ChatGemway(**options)

    assert_hidden(f"{caught.value!r} {locals_of_ours(caught.value)}")


@pytest.mark.parametrize("wrong", [{"base_url": "nowhere"}, {"apikey": KEY}, {"image_size": 5}, {"base_url": 5}])
def test_a_mistake_in_the_options_of_the_tool_shows_no_secret(wrong):
    """The same for the picture tool."""
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        GenerateImage(**{"api_key": KEY, "base_url": "https://gateway.example", **wrong})

    assert_hidden(f"{caught.value!r} {locals_of_ours(caught.value)}")


CALLS = {
    "headers": {"extra_headers": {"x-tenant": HEADER}},
    "typed-headers": {"extra_headers": {"x-tenant": SecretStr(HEADER)}},
    "key": {"api_key": KEY},
    "key-of-another-name": {"openai_api_key": KEY},
    "body": {"extra_body": {"labels": {"token": FIELD}}},
    "body-of-another-name": {"model_kwargs": {"labels": {"token": FIELD}}},
    "unknown": {"apikey": KEY},
}


async def _invoke(model: ChatGemway, options) -> None:
    model.invoke("x", **options)


async def _stream(model: ChatGemway, options) -> None:
    list(model.stream("x", **options))


async def _call_bound(model: ChatGemway, options) -> None:
    model.bind(**options).invoke("x")


async def _ainvoke(model: ChatGemway, options) -> None:
    await model.ainvoke("x", **options)


async def _astream(model: ChatGemway, options) -> None:
    _ = [chunk async for chunk in model.astream("x", **options)]


@pytest.mark.leaves_replies
@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("body")])
@pytest.mark.parametrize("call", [_invoke, _stream, _call_bound, _ainvoke, _astream])
async def test_a_failed_call_shows_no_secret_of_its_options(emulator: Emulator, chat, call, name):
    """Options of a call are masked before anything can fail."""
    emulator.enqueue(reply.error(400, message="no"))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - a refusal of the gateway, or of an option's name
        await call(chat(max_retries=0), CALLS[name])

    assert_hidden(f"{caught.value!r} {locals_of_ours(caught.value)}")


@pytest.mark.parametrize("name", [name for name in CALLS if name != "unknown"])
def test_what_is_bound_is_not_shown(chat, name):
    """Neither by the repr of what `bind` returns nor by its dump."""
    bound = chat().bind(**CALLS[name])

    assert_hidden(f"{bound!r} {bound} {dumps(bound)}")


@pytest.mark.parametrize("name", ["headers", "typed-headers", "body", "body-of-another-name"])
def test_the_cache_holds_no_secret(emulator, chat, name):
    """LangChain stores its cache keys in databases; different secrets have different entries all the same."""
    cache = InMemoryCache()
    model = chat(cache=cache)

    model.invoke("x", **CALLS[name])
    model.invoke("x", extra_headers={"x-tenant": "another"})

    assert_hidden(repr(list(cache._cache)))
    assert len(cache._cache) == 2


def test_models_with_other_headers_or_bodies_share_no_cache(emulator, chat):
    """Dumps leave these out, but they may change the answer."""
    cache = InMemoryCache()
    for options in ({}, {"extra_body": {"labels": {"a": "b"}}}, {"default_headers": {"x-tenant": HEADER}}):
        chat(cache=cache, **options).invoke("x")

    assert len(cache._cache) == 3
    assert_hidden(repr(list(cache._cache)))


def test_traces_hold_no_secret(emulator, chat):
    """What LangSmith and its kin are sent: options of the model and of the call."""
    runs = []

    class Tracer(BaseTracer):
        def _persist_run(self, run):
            runs.append(run)

    model = chat(extra_body={"labels": {"token": FIELD}}, default_headers={"x-tenant": HEADER})
    model.invoke("x", {"callbacks": [Tracer()]}, extra_headers={"x-more": HEADER}, extra_body={"labels": {"t": FIELD}})

    assert runs
    assert_hidden(" ".join(repr(run.__dict__) for run in runs))


def test_a_model_dumps_no_secret(chat):
    """`dumps`, `model_dump` and repr leave out headers, body, proxy and key, also when they were set later."""
    model = chat(**SECRETS)
    later = chat()
    for name, value in SECRETS.items():
        setattr(later, name, value)

    for one in (model, later, model.model_copy()):
        assert_hidden(f"{one!r} {dumps(one)} {one.model_dump()} {vars(one)!r}")


def test_defaults_of_a_subclass_count(emulator, monkeypatch):
    """A company's wrapper sets model, address and key as class defaults; they go before the environment."""
    monkeypatch.setenv("GEMWAY_MODEL", "gemini-2.5-pro")

    class Company(ChatGemway):
        model: str = "gemini-2.5-flash"
        base_url: str | None = emulator.base_url
        api_key: object = SecretStr(emulator.api_key)
        default_headers: dict | None = {"x-tenant": HEADER}  # noqa: RUF012 - a default of pydantic's
        temperature: float | None = 0.2

    model = Company(max_output_tokens=9)
    model.invoke("x")

    assert emulator.requests[0].path.endswith("gemini-2.5-flash:generateContent")
    assert emulator.requests[0].headers["x-tenant"] == HEADER
    assert emulator.requests[0].json["generationConfig"] == {"temperature": 0.2, "maxOutputTokens": 9}
    assert Company(temperature=0.9).temperature == 0.9


def test_a_positional_argument_is_answered_with_the_way_to_say_it():
    """`ChatGemway("gemini-2.5-flash")` is what people try first."""
    with pytest.raises(TypeError, match=r"ChatGemway\(model=") as caught:
        ChatGemway(KEY)

    assert_hidden(str(caught.value))
