"""Mistakes in the set-up of Gemway: clear before anything is sent, and without the key."""

from __future__ import annotations

import pytest
from gemway import ConfigurationError, UnsupportedContentError
from llama_index.core.llms import ChatMessage, ImageBlock
from llama_index.llms.gemway import Gemway
from refusals import ADDRESS, KEY, refusal

MODEL = {"model": "gemini-2.5-flash"}


def test_a_missing_key_names_both_ways_to_give_it():
    """Without a key the constructor names the argument and the variable."""
    message = refusal(lambda: Gemway(**MODEL, base_url=ADDRESS), ConfigurationError)

    assert "api_key=" in message
    assert "GEMWAY_API_KEY" in message


def test_a_missing_address_names_both_ways_to_give_it():
    """Without an address the constructor names the argument and the variable."""
    message = refusal(lambda: Gemway(**MODEL, api_key=KEY), ConfigurationError)

    assert "base_url=" in message
    assert "GEMWAY_BASE_URL" in message


def test_a_missing_model_names_both_ways_to_give_it():
    """Without a model the constructor names the argument and the variable."""
    message = refusal(lambda: Gemway(api_key=KEY, base_url=ADDRESS), ConfigurationError)

    assert "model=" in message
    assert "GEMWAY_MODEL" in message


@pytest.mark.parametrize("option", ["base_url", "api_base"])
def test_an_address_without_scheme_is_shown_with_one(option):
    """The message repeats the address as it should have been written."""
    message = refusal(lambda: Gemway(**MODEL, api_key=KEY, **{option: "gateway.example"}), ConfigurationError)

    assert "https://gateway.example" in message


def test_a_key_with_a_line_break():
    """The message names the line break and not the key."""
    message = refusal(lambda: Gemway(**MODEL, api_key=f"{KEY}\nx", base_url=ADDRESS), ConfigurationError)

    assert "line break" in message


@pytest.mark.parametrize(
    ("wrong", "right"), [("temprature", "temperature"), ("apikey", "api_key"), ("max_token", "max_tokens")]
)
def test_an_unknown_option_names_the_nearest_one(wrong, right):
    """A misspelt option is a TypeError that names the option that was meant."""
    message = refusal(lambda: Gemway(**MODEL, api_key=KEY, base_url=ADDRESS, **{wrong: 1}), TypeError)

    assert wrong in message
    assert right in message


@pytest.mark.parametrize(
    "messages",
    [[], [ChatMessage(role="system", content="be brief")], [ChatMessage(role="user", blocks=[ImageBlock()])]],
    ids=["nothing", "system only", "picture without data"],
)
def test_conversations_that_cannot_be_sent(emulator, messages):
    """The error names the missing piece, and nothing is sent."""
    llm = Gemway(**MODEL, api_key=emulator.api_key, base_url=emulator.base_url)

    assert refusal(lambda: llm.chat(messages), UnsupportedContentError)
    assert not emulator.requests
