"""`ModelOptions`, the base of what adapters give to their frameworks, without any framework."""

from __future__ import annotations

import copy
import pickle

import pytest
from gemway import Client, ConfigurationError
from gemway.adapters import ModelOptions, WireRequest

CONTENTS = [{"role": "user", "parts": [{"text": "hello"}]}]


class Model(ModelOptions):
    """The smallest model on the base: one question, one answer."""

    def ask(self, **options) -> str:
        changes = self._changed_by(options)
        config = self._generation_config(changes.options, changes.model, changes.dialect)
        body = self._add_options(WireRequest(contents=CONTENTS), changes.options, config)
        return self._client(changes.given).generate_content(changes.model, body, **changes.call).text


@pytest.fixture
def model(gemway_emulator) -> Model:
    return Model(
        model_name="gemini-2.5-flash",
        google_api_key=gemway_emulator.api_key,
        api_base=gemway_emulator.base_url,
        max_output_tokens=50,
    )


def test_options_are_taken_under_all_their_names(model, gemway_emulator):
    """Those of the constructor are sent with every call, those of a call go on top."""
    model.ask(temperature=0.5, extra_headers={"x-run": "1"})
    model.ask()

    first, second = gemway_emulator.requests
    assert first.json["generationConfig"] == {"maxOutputTokens": 50, "temperature": 0.5}
    assert first.headers["x-run"] == "1"
    assert second.json["generationConfig"] == {"maxOutputTokens": 50}


@pytest.mark.parametrize(
    ("word", "sent"),
    [
        *(("flex", "flex"), ("PRIORITY", "priority"), ("default", "standard"), ("standard_only", "standard")),
        ("auto", None),
    ],
)
def test_a_service_tier_is_a_field_of_the_request(model, gemway_emulator, word, sent):
    """Google's words, and OpenAI's and Anthropic's for them, stand beside generationConfig as Google documents it."""
    model.ask(service_tier=word)

    assert gemway_emulator.requests[0].json.get("serviceTier") == sent


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda one: one.model_copy(update={"seed": 3}),
        lambda one: pickle.loads(pickle.dumps(one)),
    ],
    ids=["copy", "deepcopy", "model_copy", "pickle"],
)
def test_copies_answer_and_have_clients_of_their_own(model, gemway_emulator, again):
    """Closing one does not close the other's connections."""
    with again(model) as other:
        answer = other.ask()
        assert other._client() is not model._client()

    assert answer
    assert model.ask()


def test_an_option_changed_later_counts(model, gemway_emulator):
    """The client is made anew only if one of its options has changed."""
    first = model._client()
    model.temperature = 1.0
    assert model._client() is first

    model.max_retries = 0
    assert model._client() is not first


def test_the_key_is_not_shown(model, gemway_emulator):
    """Neither in a repr, nor in a dump, nor in what the object holds; not after it was set anew either."""
    model.api_key = "sk-set-anew"
    copied = model.model_copy(update={"api_key": "sk-of-a-copy"})

    for one in (model, copied):
        shown = f"{one!r} {one.model_dump()} {vars(one)!r}"
        assert [key for key in (gemway_emulator.api_key, "sk-set-anew", "sk-of-a-copy") if key in shown] == []


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"temprature": 1}, TypeError, "did you mean 'temperature'"),
        ({"proxies": {"https": "http://proxy"}}, TypeError, "proxy="),
        ({"temperature": "hot"}, ConfigurationError, "temperature"),
        ({"timeout": "soon"}, ConfigurationError, "timeout"),
        ({"schema_dialect": "xml"}, ConfigurationError, "schema_dialect"),
        ({"media_fetcher": 5}, ConfigurationError, "media_fetcher"),
        ({"on_retry": 5}, ConfigurationError, "on_retry"),
    ],
    ids=["misspelt", "of-requests", "type", "seconds", "word", "object", "function"],
)
def test_a_mistake_is_an_error_that_names_the_option(options, error, words):
    """At construction, and never a ValidationError of pydantic's."""
    with pytest.raises(error, match=words):
        Model(model="gemini-2.5-flash", api_key="sk-x", base_url="https://gateway.example", **options)


def test_several_images_take_several_calls(gemway_emulator):
    """`generate_image(n=2)` says how to get two."""
    with (
        Client(api_key=gemway_emulator.api_key, base_url=gemway_emulator.base_url) as client,
        pytest.raises(TypeError, match="one call makes one image"),
    ):
        client.generate_image("a fox", n=2)

    assert gemway_emulator.requests == []
