"""Options of calls, by every name, and answers that hold what nobody knows yet."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gemway
import pytest
from gemway_emulator import Emulator, reply
from langchain_gemway import ChatGemway

Make = Callable[..., ChatGemway]


def config(emulator: Emulator) -> dict[str, Any]:
    """The generationConfig of the last request."""
    return emulator.requests[-1].json.get("generationConfig", {})


async def test_model_override_changes_the_url(chat: Make, emulator: Emulator) -> None:
    """model= at a call asks that model and reports its name, in all four ways to call."""
    model = chat("gemini-2.5-pro")

    answers = [model.invoke("Hello", model="gemini-2.5-flash"), await model.ainvoke("Hello", model="gemini-2.5-flash")]
    chunks = [*model.stream("Hello", model="gemini-2.5-flash")]
    achunks = [chunk async for chunk in model.astream("Hello", model="gemini-2.5-flash")]

    assert all("/models/gemini-2.5-flash:" in request.path for request in emulator.requests)
    for message in (*answers, chunks[-1], achunks[-1]):
        assert message.response_metadata["model_name"] == "gemini-2.5-flash"
    await model.aclose()


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ({"max_tokens": 7}, "maxOutputTokens", 7),
        ({"max_completion_tokens": 7}, "maxOutputTokens", 7),
        ({"max_output_tokens": 7}, "maxOutputTokens", 7),
        ({"stop": "END"}, "stopSequences", ["END"]),
        ({"stop": ["END"]}, "stopSequences", ["END"]),
        ({"top_p": 0.5}, "topP", 0.5),
        ({"seed": 3}, "seed", 3),
        ({"n": 2}, "candidateCount", 2),
        ({"reasoning_effort": "low"}, "thinkingConfig", {"thinkingBudget": 1024}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "thinkingConfig",
            {"thinkingBudget": 2000, "includeThoughts": True},
        ),
        ({"generation_config": {"top_k": 5}}, "topK", 5),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("where", ["constructor", "call", "bind"])
def test_options_reach_the_wire_by_every_name(
    chat: Make, emulator: Emulator, option: dict[str, Any], field: str, value: Any, where: str
) -> None:
    """At construction, at a call and bound."""
    model = chat("gemini-2.5-flash", **(option if where == "constructor" else {}))

    if where == "bind":
        model.bind(**option).invoke("Hello")
    else:
        model.invoke("Hello", **(option if where == "call" else {}))

    assert config(emulator)[field] == value


def test_options_of_other_providers_do_not_raise(chat: Make, emulator: Emulator) -> None:
    """What has no meaning for Gemini is accepted, and warned about once."""
    model = chat()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.invoke("Hello", stream_usage=True, parallel_tool_calls=False, strict=True, user="me")
        [*model.stream("Hello", stream_usage=True)]

    assert len(emulator.requests) == 2


def test_unknown_options_name_the_nearest(chat: Make, emulator: Emulator) -> None:
    """A misspelt option is an error that helps, at construction and at a call."""
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        chat(temprature=1)
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        chat().invoke("Hello", temprature=1)
    assert not emulator.requests


def test_settings_changed_later_are_honoured(chat: Make, emulator: Emulator) -> None:
    """Assignments after construction count from the next call on."""
    model = chat(temperature=0.1)
    model.invoke("Hello")
    model.temperature = 0.9
    model.model = "gemini-2.5-pro"
    model.api_key = "sk-wrong"

    with pytest.raises(gemway.AuthenticationError):
        model.invoke("Hello")

    assert config(emulator) == {"temperature": 0.9}
    assert "gemini-2.5-pro" in emulator.requests[-1].path
    assert (model.profile or {})["name"] == "gemini-2.5-pro"


@pytest.mark.parametrize("value", [["IMAGE"], "image", ["image"]], ids=str)
@pytest.mark.parametrize("where", ["constructor", "call", "bind", "generation_config"])
def test_response_modalities_in_every_form(chat: Make, emulator: Emulator, value: Any, where: str) -> None:
    """Strings in any case, wherever they are given."""
    option = {"response_modalities": value}
    if where == "generation_config":
        option = {"generation_config": option}
    model = chat("gemini-3.1-flash-image-preview", **(option if where in {"constructor", "generation_config"} else {}))

    if where == "bind":
        model.bind(**option).invoke("a fox")
    else:
        model.invoke("a fox", **(option if where == "call" else {}))

    assert config(emulator)["responseModalities"] == ["IMAGE"]


@pytest.mark.parametrize(
    "given",
    [{"aspect_ratio": "16:9", "image_size": "2k"}, {"aspectRatio": "16:9", "imageSize": "2K"}],
    ids=["snake", "camel"],
)
def test_image_config_in_both_spellings(chat: Make, emulator: Emulator, given: dict[str, str]) -> None:
    """snake_case and camelCase say the same, and other members pass."""
    with pytest.raises(gemway.BadRequestError, match="somethingNew"):  # so it was sent
        chat("gemini-3.1-flash-image-preview", image_config={**given, "somethingNew": 1}).invoke("a fox")

    assert config(emulator)["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "2K", "somethingNew": 1}


@pytest.mark.parametrize(
    "value",
    [
        [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        {"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"},
    ],
    ids=["list", "mapping"],
)
def test_safety_settings_as_list_or_mapping(chat: Make, emulator: Emulator, value: Any) -> None:
    """Both forms are the same on the wire."""
    chat(safety_settings=value).invoke("Hello")

    expected = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    assert emulator.requests[0].json["safetySettings"] == expected


def test_extra_body_is_merged_deeply(chat: Make, emulator: Emulator) -> None:
    """The model's and the call's extra_body are merged into the body, last."""
    model = chat(temperature=0.2, extra_body={"generationConfig": {"topK": 3}})

    model.invoke("Hello", extra_body={"generationConfig": {"topP": 0.5}})

    assert config(emulator) == {"temperature": 0.2, "topK": 3, "topP": 0.5}


CAMEL = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r1",
}
SNAKE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finish_reason": "STOP", "index": 0}],
    "usage_metadata": {"prompt_token_count": 1, "candidates_token_count": 2, "total_token_count": 3},
    "model_version": "gemini-2.5-flash",
    "response_id": "r1",
}


def raw(payload: dict[str, Any]) -> Any:
    import json

    return reply.raw(200, json.dumps(payload))


def test_both_spellings_of_an_answer_are_equal(chat: Make, emulator: Emulator) -> None:
    """camelCase and snake_case answers give the same message."""
    emulator.enqueue(raw(CAMEL), raw(SNAKE))
    model = chat()

    camel, snake = model.invoke("Hello"), model.invoke("Hello")

    assert camel.model_copy(update={"id": None}) == snake.model_copy(update={"id": None})
    assert camel.usage_metadata == {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert camel.response_metadata["finish_reason"] == "STOP"


def test_what_nobody_knows_yet_does_not_raise(chat: Make, emulator: Emulator) -> None:
    """Unknown fields, finish reasons and parts are kept."""
    parts = [{"text": "Hi"}, {"hologram": {"depth": 3}}]
    candidate = {"content": {"parts": parts}, "finishReason": "BORED", "mood": "good"}
    emulator.enqueue(raw({"candidates": [candidate], "newField": 1}))

    message = chat().invoke("Hello")

    assert message.text == "Hi"
    assert message.response_metadata["finish_reason"] == "BORED"
    assert message.response_metadata["mood"] == "good"
    assert {"type": "non_standard", "value": {"hologram": {"depth": 3}}} in message.content


def test_logprobs_are_in_the_metadata(chat: Make, emulator: Emulator) -> None:
    """logprobs and top_logprobs are sent, and the result is in response_metadata."""
    result = {"chosenCandidates": [{"token": "Hi", "logProbability": -0.5}]}
    emulator.enqueue(reply.text("Hi", candidate={"logprobsResult": result, "avgLogprobs": -0.5}))

    message = chat(logprobs=True, top_logprobs=3).invoke("Hello")

    assert config(emulator) == {"responseLogprobs": True, "logprobs": 3}
    assert message.response_metadata["logprobs"] == {"chosen_candidates": [{"token": "Hi", "log_probability": -0.5}]}
    assert message.response_metadata["avg_logprobs"] == -0.5
