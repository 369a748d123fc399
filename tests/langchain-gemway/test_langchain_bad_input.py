"""Mistakes in the set-up of ChatGemway and GenerateImage: clear before anything is sent, and without the key."""

from __future__ import annotations

import pytest
from gemway import ConfigurationError, UnsupportedContentError
from langchain_core.messages import AIMessage, HumanMessage
from langchain_gemway import ChatGemway, GenerateImage
from refusals import ADDRESS, KEY, refusal

BOTH = pytest.mark.parametrize("kind", [ChatGemway, GenerateImage], ids=["model", "tool"])
MODEL = {"model": "gemini-2.5-flash"}


@BOTH
def test_a_missing_key_names_both_ways_to_give_it(kind):
    """Without a key the constructor says which argument and which variable are meant."""
    message = refusal(lambda: kind(**MODEL, base_url=ADDRESS), ConfigurationError)

    assert "api_key=" in message
    assert "GEMWAY_API_KEY" in message


@BOTH
def test_a_missing_address_names_both_ways_to_give_it(kind):
    """Without an address the constructor says which argument and which variable are meant."""
    message = refusal(lambda: kind(**MODEL, api_key=KEY), ConfigurationError)

    assert "base_url=" in message
    assert "GEMWAY_BASE_URL" in message


def test_a_missing_model_names_both_ways_to_give_it():
    """Without a model the constructor says which argument and which variable are meant."""
    message = refusal(lambda: ChatGemway(api_key=KEY, base_url=ADDRESS), ConfigurationError)

    assert "model=" in message
    assert "GEMWAY_MODEL" in message


@BOTH
def test_an_address_without_scheme_is_shown_with_one(kind):
    """The message repeats the address as it should have been written."""
    message = refusal(lambda: kind(**MODEL, api_key=KEY, base_url="gateway.example"), ConfigurationError)

    assert "https://gateway.example" in message


@BOTH
def test_a_key_with_a_line_break(kind):
    """The message names the line break and not the key."""
    message = refusal(lambda: kind(**MODEL, api_key=f"{KEY}\nx", base_url=ADDRESS), ConfigurationError)

    assert "line break" in message


@pytest.mark.parametrize(
    ("wrong", "right"), [("temprature", "temperature"), ("apikey", "api_key"), ("max_token", "max_tokens")]
)
def test_an_unknown_option_names_the_nearest_one(wrong, right):
    """A misspelt option is a TypeError that names the option that was meant."""
    message = refusal(lambda: ChatGemway(**MODEL, api_key=KEY, base_url=ADDRESS, **{wrong: 1}), TypeError)

    assert wrong in message
    assert right in message


def test_an_unknown_option_of_the_tool():
    """The tool, too, takes no option that it does not know."""
    message = refusal(lambda: GenerateImage(**MODEL, api_key=KEY, base_url=ADDRESS, aspectratio="1:1"), TypeError)

    assert "aspectratio" in message


def test_an_unknown_option_of_a_call(emulator):
    """The options of a call are checked before it is sent."""
    model = ChatGemway(**MODEL, api_key=emulator.api_key, base_url=emulator.base_url)

    message = refusal(lambda: model.invoke("hi", temprature=1), TypeError)

    assert "temperature" in message
    assert not emulator.requests


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage(content=[{"type": "hologram", "data": "x"}]),
        HumanMessage(content=[{"type": "image"}]),
        AIMessage(content=[{"type": "hologram", "data": "x"}]),
    ],
    ids=["unknown block", "picture without data", "unknown block of the model"],
)
def test_content_that_cannot_be_sent(emulator, message):
    """The error names the block, or what it lacks, and nothing is sent."""
    model = ChatGemway(**MODEL, api_key=emulator.api_key, base_url=emulator.base_url)

    said = refusal(lambda: model.invoke([HumanMessage("hi"), message]), UnsupportedContentError)

    assert "hologram" in said or "image" in said
    assert not emulator.requests
