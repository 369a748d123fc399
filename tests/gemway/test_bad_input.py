"""Mistakes in the set-up: each is a clear error before anything is sent, names the next step and shows no key."""

from __future__ import annotations

import pytest
from gemway import AsyncClient, Client, ConfigurationError, UnsupportedContentError
from refusals import ADDRESS, KEY, refusal

ASK = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}

CLIENTS = pytest.mark.parametrize("client_class", [Client, AsyncClient], ids=["blocking", "asyncio"])


@CLIENTS
def test_a_missing_key_names_both_ways_to_give_it(client_class):
    """Without a key the constructor says which argument and which variable are meant."""
    message = refusal(lambda: client_class(base_url=ADDRESS), ConfigurationError)

    assert "api_key=" in message
    assert "GEMWAY_API_KEY" in message


@CLIENTS
def test_a_missing_address_names_both_ways_to_give_it(client_class):
    """Without an address the constructor says which argument and which variable are meant."""
    message = refusal(lambda: client_class(api_key=KEY), ConfigurationError)

    assert "base_url=" in message
    assert "GEMWAY_BASE_URL" in message


@CLIENTS
@pytest.mark.parametrize("variable", ["GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"])
def test_keys_of_other_services_are_never_taken(client_class, variable, monkeypatch):
    """A key that was given to another service is not sent to a gateway."""
    monkeypatch.setenv(variable, KEY)

    assert "GEMWAY_API_KEY" in refusal(lambda: client_class(base_url=ADDRESS), ConfigurationError)


@CLIENTS
@pytest.mark.parametrize(
    "address", ["gateway.example", "gateway.example/v1beta", "localhost:8080", "//gateway.example"]
)
def test_an_address_without_scheme_is_shown_with_one(client_class, address):
    """The message repeats the address as it should have been written."""
    message = refusal(lambda: client_class(base_url=address, api_key=KEY), ConfigurationError)

    assert f"https://{address.removeprefix('//')}" in message


@CLIENTS
@pytest.mark.parametrize(
    "address", ["ftp://gateway.example", "https://", "http:///v1beta", "https://user:pw@gw.example"]
)
def test_other_addresses_that_cannot_work(client_class, address):
    """Anything but http(s) with a host and without a password is refused."""
    message = refusal(lambda: client_class(base_url=address, api_key=KEY), ConfigurationError)

    assert "base_url" in message
    assert "pw" not in message


@CLIENTS
@pytest.mark.parametrize("port", ["99999", "http"])
def test_a_port_that_is_none(client_class, port):
    """A port outside 0-65535 is refused as the configuration error that it is."""
    refusal(lambda: client_class(base_url=f"https://gateway.example:{port}", api_key=KEY), ConfigurationError)


@CLIENTS
@pytest.mark.parametrize(
    "end", ["\nX-Other: 1", "\r", "\r\nx", "\x00", " \u2011"], ids=["lf", "cr", "crlf", "nul", "dash"]
)
def test_a_key_that_no_header_can_carry(client_class, end):
    """A line break inside a key is named as such, without showing the key."""
    message = refusal(lambda: client_class(base_url=ADDRESS, api_key=f"{KEY}{end}x"), ConfigurationError)

    assert "line break" in message


@CLIENTS
def test_blanks_around_a_key_are_harmless(client_class):
    """The line break that `cat` or an editor leaves at the end of a key is no mistake."""
    client_class(base_url=ADDRESS, api_key=f" {KEY}\n")


@CLIENTS
@pytest.mark.parametrize("key", ["", "   ", "\n"], ids=["empty", "blanks", "line break"])
def test_an_empty_key(client_class, key):
    """An empty key is as good as none."""
    assert "GEMWAY_API_KEY" in refusal(lambda: client_class(base_url=ADDRESS, api_key=key), ConfigurationError)


@CLIENTS
@pytest.mark.parametrize("key", [b"sk-bytes", 7, ["sk"]], ids=["bytes", "int", "list"])
def test_a_key_of_another_type(client_class, key):
    """Only text, SecretStr and callables are keys."""
    assert "api_key" in refusal(lambda: client_class(base_url=ADDRESS, api_key=key), ConfigurationError)


@CLIENTS
@pytest.mark.parametrize(
    ("wrong", "right"), [("apikey", "api_key"), ("base_ur", "base_url"), ("max_retry", "max_retries")]
)
def test_an_unknown_option_names_the_nearest_one(client_class, wrong, right):
    """A misspelt option is an error that names the option that was meant."""
    options = {"base_url": ADDRESS, "api_key": KEY, wrong: KEY}

    message = refusal(lambda: client_class(**options), TypeError)

    assert wrong in message
    assert right in message


@pytest.mark.parametrize(("wrong", "right"), [("time_out", "timeout"), ("retries", "max_retries")])
def test_an_unknown_option_of_a_call_names_the_nearest_one(emulator, client, wrong, right):
    """The options of a call are checked before it is sent."""
    message = refusal(lambda: client.generate_content("gemini-2.5-flash", ASK, **{wrong: 1}), TypeError)

    assert right in message
    assert not emulator.requests


@CLIENTS
@pytest.mark.parametrize(
    "option",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("inf")},
        {"timeout": "5"},
        {"deadline": 0},
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"inline_data_casing": "kebab"},
        {"headers": {"Bad Name": "x"}},
        {"headers": {"X-Line": "a\nb"}},
        {"headers": {"Authorization": "Bearer other"}},
    ],
    ids=str,
)
def test_values_that_cannot_work(client_class, option):
    """Each is refused at construction, by a message that names the option."""
    message = refusal(lambda: client_class(base_url=ADDRESS, api_key=KEY, **option), ConfigurationError)

    assert any(word in message for word in (*option, "header"))


@pytest.mark.parametrize(
    "request_body",
    [{}, {"contents": []}, {"content": ASK["contents"]}],
    ids=["nothing", "no contents", "misspelt"],
)
def test_a_request_without_contents_is_not_sent(emulator, client, request_body):
    """The error says that contents are missing, before anything is sent."""
    message = refusal(
        lambda: client.generate_content("gemini-2.5-flash", request_body),
        (ConfigurationError, UnsupportedContentError),
    )

    assert "contents" in message
    assert not emulator.requests


@pytest.mark.parametrize("model", ["", "  ", "models/"], ids=["empty", "blank", "prefix only"])
def test_an_empty_model_is_not_sent(emulator, client, model):
    """A call needs a model's name."""
    refusal(lambda: client.generate_content(model, ASK), ConfigurationError)

    assert not emulator.requests


def test_a_request_of_another_type_is_not_sent(emulator, client):
    """A bare text is no request; the message says what is."""
    message = refusal(lambda: client.generate_content("gemini-2.5-flash", "hello"), ConfigurationError)

    assert "GenerateContentRequest" in message
    assert not emulator.requests


@pytest.mark.parametrize("model", [None, 5, b"gemini", ["gemini"], {}, ""], ids=repr)
def test_a_picture_model_that_is_no_name(model):
    """`generate_image` says what is wrong with the name, as the other calls do."""
    client = Client(base_url="http://127.0.0.1:1", api_key="sk-local-test")

    with pytest.raises(ConfigurationError, match="model"):
        client.generate_image("a fox", model=model)


def ask_core(base_url, api_key):
    return Client(base_url=base_url, api_key=api_key).generate_content("gemini-2.5-flash", ASK).text


def ask_langchain(base_url, api_key):
    from langchain_gemway import ChatGemway

    return ChatGemway(model="gemini-2.5-flash", base_url=base_url, api_key=api_key).invoke("hello").text


def ask_llama_index(base_url, api_key):
    from llama_index.llms.gemway import Gemway

    return Gemway(model="gemini-2.5-flash", base_url=base_url, api_key=api_key).complete("hello").text


EVERY_PACKAGE = pytest.mark.parametrize("ask", [ask_core, ask_langchain, ask_llama_index])


@EVERY_PACKAGE
@pytest.mark.parametrize("pasted", ["/v1/chat/completions", "/v1beta/openai/", "/openai/v1", "/v1/messages"])
def test_an_address_of_another_api_is_healed(emulator, ask, pasted):
    """People paste the address of their OpenAI or Anthropic client; spaces around it do no harm."""
    with pytest.warns(UserWarning, match="with /v1beta instead"):
        text = ask(f" {emulator.base_url}{pasted} \n", emulator.api_key)

    assert text


@EVERY_PACKAGE
@pytest.mark.parametrize("route", ["", "/v1/chat/completions", "/v1beta/models/gemini-2.5-pro:generateContent"])
def test_an_address_with_a_query_is_answered_with_the_right_one(ask, route):
    """The query often is a key, so it is neither sent nor shown."""
    with pytest.raises(ConfigurationError) as caught:
        ask(f"{ADDRESS}{route}?key=sk-in-the-address", KEY)

    assert f"use {ADDRESS} and" in str(caught.value)
    assert "sk-in-the-address" not in str(caught.value)


@EVERY_PACKAGE
def test_a_key_with_its_scheme_is_trimmed(emulator, ask):
    """A key copied from a header works, and is sent with one Bearer."""
    assert ask(emulator.base_url, f"Bearer {emulator.api_key} ")
    assert emulator.requests[-1].headers["authorization"] == f"Bearer {emulator.api_key}"
