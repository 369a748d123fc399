"""What is given at construction reaches the wire, and what an answer cost is told."""

from __future__ import annotations

import warnings

from gemway_emulator import reply
from langchain_gemway import ChatGemway

MODEL = "gemini-2.5-flash"


def model_of(emulator, **options) -> ChatGemway:
    return ChatGemway(model=MODEL, base_url=emulator.base_url, api_key=emulator.api_key, **options)


def test_tools_of_the_constructor_are_offered_until_others_are_bound(gemway_emulator):
    """`tools=` is sent with every call; tools that are bound take their place."""
    model = model_of(gemway_emulator, tools=[{"googleSearch": {}}])

    model.invoke("hi")
    model.bind_tools([{"urlContext": {}}]).invoke("hi")

    assert [request.json["tools"] for request in gemway_emulator.requests] == [
        [{"googleSearch": {}}],
        [{"urlContext": {}}],
    ]


def test_extra_headers_of_the_constructor_are_sent(gemway_emulator):
    """`extra_headers=`, as OpenAI's users write it, joins `default_headers=` and is as secret."""
    model = model_of(gemway_emulator, default_headers={"x-a": "1"}, extra_headers={"x-b": "hidden"})

    model.invoke("hi")

    headers = gemway_emulator.requests[0].headers
    assert (headers["x-a"], headers["x-b"]) == ("1", "hidden")
    assert "hidden" not in repr(model)


def test_attempts_are_told(gemway_emulator):
    """An answer that took a retry says so in its response metadata, streamed or not; others do not."""
    gemway_emulator.enqueue(reply.error(503), reply.text("a"), reply.error(503), reply.text("b"), reply.text("c"))
    model = model_of(gemway_emulator)

    whole = model.invoke("hi").response_metadata
    *_, last = model.stream("hi")
    plain = model.invoke("hi").response_metadata

    assert whole["attempts"] == last.response_metadata["attempts"] == 2
    assert min(whole["waited"], last.response_metadata["waited"]) > 0.2
    assert "attempts" not in plain


def test_what_cannot_be_said_is_warned_about_once(gemway_emulator):
    """`parallel_tool_calls=False` has no word in the protocol: one warning in a process, no error."""
    model = model_of(gemway_emulator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            model.invoke("hi", parallel_tool_calls=False)

    assert sum("parallel_tool_calls" in str(warning.message) for warning in caught) <= 1
