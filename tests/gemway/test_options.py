"""Every spelling of an option reaches the wire, or is refused with the name of the right one."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import enum
import timeit
import warnings
from inspect import isawaitable
from typing import Any

import pytest
from gemway import AsyncClient, Client, ConfigurationError
from gemway._option_reader import COMPOSED
from gemway._options import ALIASES, IGNORED, REFUSED
from gemway._warnings import _warned
from gemway._wire_options import to_response_format
from gemway.adapters import (
    OPTIONS,
    canonical_options,
    merge_deep,
    merge_options,
    sanitize_tool_name,
    to_generation_config,
    to_safety_settings,
    to_tool_config,
)
from pydantic import BaseModel
from typing_extensions import TypedDict

FLASH_25, PRO_25, PRO_3, FLASH_3 = (
    "gemini-2.5-flash",
    "gemini-2.5-pro",
    "gemini-3-pro-preview",
    "gemini-3-flash-preview",
)


@pytest.fixture(autouse=True)
def _forget_warnings():
    _warned.clear()


def config(model: str = FLASH_25, **options: Any) -> dict[str, Any]:
    """Return the generationConfig for options as a user writes them."""
    return to_generation_config(canonical_options(options, where="ChatGemway"), model=model)


class Answer(BaseModel):
    a: int


ANSWER = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
AS_JSON = {"responseMimeType": "application/json", "responseJsonSchema": ANSWER}


# -- names


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *[({name: "m"}, {"model": "m"}) for name in ("model", "model_name")],
        *[
            ({name: "k"}, {"api_key": "k"})
            for name in ("api_key", "google_api_key", "openai_api_key", "anthropic_api_key")
        ],
        *[
            ({name: "u"}, {"base_url": "u"})
            for name in ("base_url", "api_base", "openai_api_base", "anthropic_api_url", "client_options")
        ],
        ({"client_options": {"api_endpoint": "u"}}, {"base_url": "u"}),
        *[
            ({name: 5}, {"max_tokens": 5})
            for name in ("max_tokens", "max_output_tokens", "max_completion_tokens", "max_tokens_to_sample")
        ],
        *[({name: 5}, {"timeout": 5}) for name in ("timeout", "request_timeout", "default_request_timeout")],
        *[({name: 0}, {"max_retries": 0}) for name in ("max_retries", "retries")],
        *[({name: ["x"]}, {"stop": ["x"]}) for name in ("stop", "stop_sequences")],
        *[
            ({name: {"a": "b"}}, {"default_headers": {"a": "b"}})
            for name in ("default_headers", "headers", "additional_headers")
        ],
        *[({name: {"a": 1}}, {"extra_body": {"a": 1}}) for name in ("extra_body", "model_kwargs", "additional_kwargs")],
        *[({name: 2}, {"n": 2}) for name in ("n", "candidate_count")],
        *[({name: "p"}, {"proxy": "p"}) for name in ("proxy", "openai_proxy", "anthropic_proxy")],
        *[({name: 1}, {"http_async_client": 1}) for name in ("http_async_client", "async_http_client")],
        *[({name: ["TEXT"]}, {"response_modalities": ["TEXT"]}) for name in ("response_modalities", "modalities")],
        *[({name: "low"}, {"thinking_level": "low"}) for name in ("thinking_level", "reasoning_effort", "effort")],
        ({"function_call": "auto"}, {"tool_choice": "auto"}),
        (
            {"http_options": {"base_url": "u", "timeout": 2000, "headers": {}}},
            {"base_url": "u", "timeout": 2.0, "default_headers": {}},
        ),
        ({"http_options": {"retry_options": {"attempts": 3}}}, {"max_retries": 2}),
        ({"model_kwargs": {"a": 1}, "extra_body": {"b": 2}}, {"extra_body": {"a": 1, "b": 2}}),
        ({"max_tokens": 5, "max_output_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": None, "timeout": None, "temprature": None}, {}),
    ],
)
def test_every_spelling(written, expected):
    assert canonical_options(written, where="ChatGemway") == expected


def test_tables_agree():
    """No name stands in two tables, and every alias names an option."""
    tables = [ALIASES.keys(), IGNORED, REFUSED.keys(), OPTIONS.keys() - COMPOSED.keys(), COMPOSED.keys()]

    assert sum(map(len, tables)) == len(set().union(*tables))
    assert set(ALIASES.values()) <= OPTIONS.keys()
    assert set(OPTIONS.values()) == {"generationConfig", "request", "tools", "client", "model"}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        *[("temprature", "'temperature'"), ("topp", "'top_p'"), ("max_token", "'max_tokens'"), ("apikey", "'api_key'")],
        *[("client_args", "http_client="), ("code_execution", "codeExecution"), ("callbackz", "'callbacks'")],
    ],
)
def test_unknown_options_name_the_nearest(name, advice):
    with pytest.raises(TypeError, match=f"ChatGemway.*{name!r}.*{advice}"):
        canonical_options({name: 1}, known={"callbacks"}, where="ChatGemway")


METHODS = {
    "generate_content": (FLASH_25, {}),
    "stream_generate_content": (FLASH_25, {}),
    "generate_image": ("a cat",),
    "count_tokens": (FLASH_25, {}),
    "embed_content": (FLASH_25, "text"),
    "list_models": (),
    "chat": (FLASH_25,),
}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_option_of_a_call_names_the_method(kind, method):
    """Whoever reads the error in a log knows which of the calls is meant."""
    client = kind(base_url="http://127.0.0.1:9", api_key="sk-test-key-0123")

    async def call():
        answer = getattr(client, method)(*METHODS[method], time_out=1)
        await answer if isawaitable(answer) else None

    with pytest.raises(TypeError, match=rf"^{method}(\(\))? got an unexpected option 'time_out'.*'timeout'"):
        asyncio.run(call())


def test_an_option_like_nothing_still_names_one():
    with pytest.raises(TypeError, match="nearest option is"):
        canonical_options({"zzz": 1}, where="ChatGemway")


def test_known_names_pass_unchanged():
    """An adapter's own names go before ours, also where they are ignored or composed elsewhere."""
    options = {"metadata": {"a": 1}, "client": 1, "timeout": 3}

    assert canonical_options(options, known=frozenset({"metadata", "client"}), where="x") == options


def test_two_names_with_different_values_are_refused():
    with pytest.raises(ConfigurationError, match=r"'max_output_tokens'.*'max_tokens'"):
        canonical_options({"max_tokens": 5, "max_output_tokens": 6}, where="ChatGemway")


def test_meaningless_options_warnings_each():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert canonical_options({"organization": "o", "use_responses_api": True}, where="ChatGemway") == {}

    assert [str(warning.message).split("'")[1] for warning in caught] == ["organization", "use_responses_api"]
    assert caught[0].filename == __file__


def test_a_call_goes_over_the_model():
    assert merge_options({"thinking_budget": 5, "seed": 1}, {"thinking_level": "low"}) == {
        "thinking_level": "low",
        "seed": 1,
    }
    assert merge_options({"response_schema": {}}, {"response_format": Answer}) == {"response_format": Answer}
    assert merge_options({"extra_body": {"a": 1}}, {"extra_body": {"b": 2}}) == {"extra_body": {"a": 1, "b": 2}}
    assert merge_options({"image_size": "1K"}, {"image_config": {"imageSize": "2K"}}) == {
        "image_config": {"imageSize": "2K"}
    }


# -- generationConfig


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"temperature": 0, "top_p": 0.5, "top_k": 3}, {"temperature": 0, "topP": 0.5, "topK": 3}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"stop": ["a", "", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"stop": []}, {}),
        ({"seed": 0, "n": 2}, {"seed": 0, "candidateCount": 2}),
        ({"presence_penalty": 1, "frequency_penalty": -1}, {"presencePenalty": 1, "frequencyPenalty": -1}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"logprobs": True, "top_logprobs": 0}, {"responseLogprobs": True}),
        ({"logprobs": 5}, {"responseLogprobs": True, "logprobs": 5}),
        ({"logprobs": False, "top_logprobs": 0}, {}),
        ({"response_modalities": "image"}, {"responseModalities": ["IMAGE"]}),
        ({"modalities": ["Text", "audio"]}, {"responseModalities": ["TEXT", "AUDIO"]}),
        ({"media_resolution": "low"}, {"mediaResolution": "MEDIA_RESOLUTION_LOW"}),
        ({"media_resolution": "MEDIA_RESOLUTION_HIGH"}, {"mediaResolution": "MEDIA_RESOLUTION_HIGH"}),
        ({"speech_config": "Kore"}, {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}}),
        ({"speech_config": {"language_code": "de-DE"}}, {"speechConfig": {"languageCode": "de-DE"}}),
        ({"aspect_ratio": "16:9", "image_size": "2k"}, {"imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"}}),
        ({"image_config": {"image_size": "512px"}}, {"imageConfig": {"imageSize": "512"}}),
        ({"image_config": {"imageSize": "0.5K", "newThing": 1}}, {"imageConfig": {"imageSize": "512", "newThing": 1}}),
        ({"image_config": {"aspect_ratio": "1:1"}, "aspect_ratio": "4:3"}, {"imageConfig": {"aspectRatio": "4:3"}}),
        ({"generation_config": {"maxOutputTokens": 7, "top_p": 0.1}}, {"maxOutputTokens": 7, "topP": 0.1}),
        ({"generation_config": {"fooBar": {"b_c": 1}, "d_e": 2}}, {"fooBar": {"bC": 1}, "dE": 2}),
        ({"generation_config": {"thinking_config": {"new_knob": 1}}}, {"thinkingConfig": {"newKnob": 1}}),
        ({"generation_config": {"responseLogprobs": True, "logprobs": 2}}, {"responseLogprobs": True, "logprobs": 2}),
        ({"response_mime_type": "text/x.enum"}, {"responseMimeType": "text/x.enum"}),
        ({"response_json_schema": {**ANSWER, "title": "A"}}, AS_JSON),
        ({"response_schema": Answer}, {"responseMimeType": "application/json", "responseSchema": ANSWER}),
        ({"response_format": Answer}, AS_JSON),
    ],
)
def test_generation_config(options, expected):
    before = copy.deepcopy(options)

    assert config("gemini-3.1-flash-image", **options) == expected
    assert options == before


def test_options_in_generation_config_conflict_like_aliases():
    with pytest.raises(ConfigurationError, match="temperature"):
        canonical_options({"temperature": 1, "generation_config": {"temperature": 0.5}}, where="x")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"max_tokens": -1}, "leave it out"),
        ({"thinking_level": "low", "thinking_budget": 5}, "exclude each other"),
        ({"reasoning_effort": "low", "thinking": {"type": "disabled"}}, "exclude each other"),
        ({"thinking_level": "vigorous"}, "'vigorous'.*minimal"),
        ({"thinking_budget": "much"}, "thinking_budget must be"),
        ({"thinking_budget": -2}, "thinking_budget must be"),
        ({"thinking": {"type": "maybe"}}, "enabled, adaptive or disabled"),
        ({"thinking": "on"}, "thinking must be a dict"),
        ({"response_schema": ANSWER, "response_format": ANSWER}, "response_format and response_schema exclude"),
        ({"response_format": "json"}, "response_format must be"),
        ({"response_format": object()}, "has no JSON Schema"),
        ({"response_format": {"type": "json_schema"}}, "json_schema"),
        ({"generation_config": {"system_instruction": "x"}}, "system message"),
        ({"generation_config": {"tools": []}}, "bind"),
        ({"generation_config": 5}, "generation_config must be a dict"),
        ({"http_options": {"httpxClient": 1}}, "http_client="),
    ],
)
def test_bad_values_are_refused(options, match):
    with pytest.raises(ConfigurationError, match=match) as caught:
        config(**options)

    assert isinstance(caught.value, ValueError)


def test_fixed_sampling_models_get_no_sampling_options():
    with pytest.warns(UserWarning, match="fixed sampling") as caught:
        assert config("gemini-3.6-flash", temperature=1, top_p=1, top_k=1, seed=1) == {"seed": 1}

    assert len(caught) == 1


@pytest.mark.parametrize(
    ("options", "model", "match"),
    [
        ({"aspect_ratio": "7:5"}, "gemini-3-pro-image", "aspect ratio '7:5'"),
        ({"image_size": "8K"}, "gemini-3-pro-image", "image size '8K'"),
        ({"image_size": "2K"}, "gemini-2.5-flash-image", "none is documented"),
    ],
)
def test_unusual_pictures_pass_with_a_warning(options, model, match):
    with pytest.warns(UserWarning, match=match):
        assert list(config(model, **options)["imageConfig"].values()) == list(options.values())


# -- thinking


@pytest.mark.parametrize(
    ("options", "model", "expected"),
    [
        # effort -> tokens on 2.5, as Google's OpenAI endpoint does
        *[
            ({"reasoning_effort": effort}, FLASH_25, {"thinkingBudget": tokens})
            for effort, tokens in [("none", 0), ("minimal", 1024), ("low", 1024), ("medium", 8192), ("high", 24_576)]
        ],
        ({"reasoning_effort": "xhigh"}, FLASH_25, {"thinkingBudget": 24_576}),
        ({"reasoning_effort": "xhigh"}, PRO_25, {"thinkingBudget": 32_768}),
        ({"thinking_budget": -1}, PRO_25, {"thinkingBudget": -1}),
        ({"thinking_budget": 0}, FLASH_25, {"thinkingBudget": 0}),
        ({"thinking_budget": 512, "include_thoughts": True}, PRO_25, {"thinkingBudget": 512, "includeThoughts": True}),
        # levels from 3 on
        *[
            ({"thinking_level": level}, FLASH_3, {"thinkingLevel": level})
            for level in ("minimal", "low", "medium", "high")
        ],
        ({"thinking_level": "HIGH"}, PRO_3, {"thinkingLevel": "high"}),
        ({"effort": "low"}, "gemini-4-argon", {"thinkingLevel": "low"}),
        ({"thinking_budget": -1}, FLASH_3, None),
        *[
            ({"thinking_budget": tokens}, FLASH_3, {"thinkingLevel": level})
            for tokens, level in [(128, "minimal"), (1024, "low"), (8192, "medium"), (24_576, "high"), (99_999, "high")]
        ],
        # OpenAI's reasoning
        ({"reasoning": {"effort": "low"}}, FLASH_3, {"thinkingLevel": "low"}),
        (
            {"reasoning": {"effort": "low", "summary": "auto"}},
            FLASH_3,
            {"thinkingLevel": "low", "includeThoughts": True},
        ),
        ({"reasoning": {"summary": "auto"}, "include_thoughts": False}, FLASH_3, {"includeThoughts": False}),
        # Anthropic's thinking
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            FLASH_25,
            {"thinkingBudget": 2000, "includeThoughts": True},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            FLASH_3,
            {"thinkingLevel": "low", "includeThoughts": True},
        ),
        ({"thinking": {"type": "disabled"}}, FLASH_25, {"thinkingBudget": 0}),
        ({"thinking": {"type": "adaptive"}}, FLASH_25, {"thinkingBudget": -1, "includeThoughts": True}),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, FLASH_3, {"includeThoughts": False}),
        ({"output_config": {"effort": "high"}}, PRO_3, {"thinkingLevel": "high"}),
        # Google's thinking_config
        (
            {"thinking_config": {"thinkingBudget": 600, "includeThoughts": True}},
            PRO_25,
            {"thinkingBudget": 600, "includeThoughts": True},
        ),
        ({"thinking_config": {"thinking_level": "low"}}, PRO_3, {"thinkingLevel": "low"}),
        ({"generation_config": {"thinkingConfig": {"thinking_level": "low"}}}, PRO_3, {"thinkingLevel": "low"}),
        # models that take nothing of this
        ({"reasoning_effort": "none"}, "gpt-5", None),
        ({"include_thoughts": False}, "gpt-5", None),
        ({"include_thoughts": True}, "gemini-3-pro-image", {"includeThoughts": True}),
    ],
)
def test_thinking(options, model, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert config(model, **options).get("thinkingConfig") == expected


@pytest.mark.parametrize(
    ("options", "model", "expected", "match"),
    [
        ({"reasoning_effort": "none"}, PRO_25, {"thinkingBudget": 128}, "cannot be switched off"),
        ({"thinking_budget": 0}, PRO_25, {"thinkingBudget": 128}, "cannot be switched off"),
        ({"thinking": {"type": "disabled"}}, PRO_3, {"thinkingLevel": "low"}, "cannot be switched off"),
        ({"thinking_budget": 0}, FLASH_3, {"thinkingLevel": "minimal"}, "cannot be switched off"),
        ({"thinking_budget": 99_999}, FLASH_25, {"thinkingBudget": 24_576}, "1 to 24576 tokens"),
        ({"thinking_budget": 1}, "gemini-2.5-flash-lite", {"thinkingBudget": 512}, "512 to 24576 tokens"),
        ({"reasoning_effort": "minimal"}, PRO_3, {"thinkingLevel": "low"}, "no thinking level 'minimal'"),
        ({"reasoning_effort": "medium"}, PRO_3, {"thinkingLevel": "high"}, "no thinking level 'medium'"),
        ({"reasoning_effort": "xhigh"}, FLASH_3, {"thinkingLevel": "high"}, "no thinking level 'xhigh'"),
        ({"reasoning_effort": "low"}, "gpt-5", None, "takes no thinking options"),
        ({"include_thoughts": True}, "gpt-5", None, "takes no thinking options"),
        ({"thinking_level": "low"}, "gemini-3-pro-image", None, "takes no thinking options"),
    ],
)
def test_thinking_that_a_model_does_not_have_warns_once(options, model, expected, match):
    with pytest.warns(UserWarning, match=match):
        first = config(model, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = config(model, **options)

    assert first.get("thinkingConfig") == second.get("thinkingConfig") == expected


# -- the form of the answer


class Typed(TypedDict):
    a: int


@dataclasses.dataclass
class Data:
    a: int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "text"}, {}),
        ({"type": "json_object"}, {"responseMimeType": "application/json"}),
        ({"type": "json_schema", "json_schema": {"name": "A", "schema": ANSWER, "strict": True}}, AS_JSON),
        ({"type": "json_schema", "name": "A", "schema": ANSWER, "strict": True}, AS_JSON),
        ({"type": "json_schema", "schema": ANSWER}, AS_JSON),
        ({"type": "json_schema", "json_schema": {"name": "A", "schema": Answer}}, AS_JSON),
        *[(form, AS_JSON) for form in (ANSWER, Answer, Typed, Data)],
    ],
)
def test_response_format(value, expected):
    assert to_response_format(value) == expected


def test_response_format_in_the_openapi_dialect():
    assert to_response_format(Answer, dialect="openapi")["responseSchema"] == ANSWER


# -- safetySettings and toolConfig


class Category(enum.Enum):
    HARM_CATEGORY_HARASSMENT = 7


class Threshold(str, enum.Enum):
    NONE = "BLOCK_NONE"


SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]


@pytest.mark.parametrize(
    "value",
    [
        SAFETY,
        SAFETY[0],
        {"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"},
        {Category.HARM_CATEGORY_HARASSMENT: Threshold.NONE},
        [{"category": Category.HARM_CATEGORY_HARASSMENT, "threshold": Threshold.NONE}],
    ],
)
def test_safety_settings(value):
    assert to_safety_settings(value) == SAFETY


def forced(*names: str) -> dict[str, Any]:
    return {"mode": "ANY", "allowedFunctionNames": list(names)}


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        *[(word, {"mode": "AUTO"}) for word in ("auto", "AUTO", {"type": "auto"}, {"mode": "auto"})],
        *[(word, {"mode": "NONE"}) for word in ("none", False, {"type": "none"})],
        *[(word, {"mode": "ANY"}) for word in ("any", "required", True, {"type": "any"}, {"type": "required"})],
        ("validated", {"mode": "VALIDATED"}),
        *[("f", forced("f")), (["f", "g h"], forced("f", "g_h_9a5ddd35")), (("g",), None)],
        *[
            (choice, forced("f"))
            for choice in (
                {"type": "function", "function": {"name": "f"}},
                {"type": "function", "name": "f"},
                {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
                {"name": "f"},
                {"mode": "ANY", "allowed_function_names": ["f"]},
                {"functionCallingConfig": {"mode": "any", "allowedFunctionNames": ["f"]}},
                {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
            )
        ],
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_tool_choice(choice, calling):
    if calling is None:
        with pytest.raises(ConfigurationError, match=r"unknown tool 'g'; the tools are 'f', 'g h'"):
            to_tool_config(choice, names=["f", "g h"])
        return
    if calling.get("allowedFunctionNames", [""])[-1].startswith("g"):
        calling = forced("f", sanitize_tool_name("g h"))

    assert to_tool_config(choice, names=["f", "g h"]) == {"functionCallingConfig": calling}


def test_no_tool_choice_says_nothing():
    assert to_tool_config(None, names=["f"]) is None
    assert to_tool_config(None, names=["f"], strict=False) is None


@pytest.mark.parametrize("choice", ["auto", "any", "none", True, None])
def test_nothing_is_said_about_functions_that_are_not_there(choice):
    assert to_tool_config(choice, names=[], strict=True) is None


@pytest.mark.parametrize(
    ("choice", "mode"), [(None, "VALIDATED"), ("auto", "VALIDATED"), ("any", "ANY"), ("none", "NONE")]
)
def test_strict(choice, mode):
    assert to_tool_config(choice, names=["f"], strict=True) == {"functionCallingConfig": {"mode": mode}}


def test_tool_config_and_tool_choice_together():
    google = {"retrieval_config": {"lat_lng": {"latitude": 1}}, "function_calling_config": {"mode": "NONE"}}

    assert to_tool_config("any", names=["f"], tool_config=google) == {
        "retrievalConfig": {"latLng": {"latitude": 1}},
        "functionCallingConfig": {"mode": "ANY"},
    }


@pytest.mark.parametrize("choice", ["nope", {"type": "web_search"}, {"type": "function", "function": {"name": "nope"}}])
def test_unknown_choices_list_the_tools(choice):
    with pytest.raises(ConfigurationError, match="'f'"):
        to_tool_config(choice, names=["f"])


def test_merge_deep():
    body = {"a": {"b": 1, "c": [1]}, "d": 1}

    assert merge_deep(body, {"a": {"c": [2], "e": 3}, "d": {"f": 1}}) == {
        "a": {"b": 1, "c": [2], "e": 3},
        "d": {"f": 1},
    }
    assert body == {"a": {"b": 1, "c": [1]}, "d": 1}


# -- Google's own objects


def test_googles_objects():
    types = pytest.importorskip("google.genai.types")
    google = types.GenerateContentConfig(
        temperature=0.5,
        max_output_tokens=9,
        stop_sequences=["x"],
        response_modalities=["TEXT"],
        thinking_config=types.ThinkingConfig(thinking_budget=600, include_thoughts=True),
        media_resolution=types.MediaResolution.MEDIA_RESOLUTION_LOW,
        image_config=types.ImageConfig(aspect_ratio="1:1"),
        safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")],
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
        speech_config=types.SpeechConfig(language_code="de-DE"),
        response_schema=Answer,
        audio_timestamp=True,
    )

    options = canonical_options({"generation_config": google}, where="Gemway")

    assert to_generation_config(options, model=FLASH_25) == {
        "temperature": 0.5,
        "maxOutputTokens": 9,
        "stopSequences": ["x"],
        "responseModalities": ["TEXT"],
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "speechConfig": {"languageCode": "de-DE"},
        "thinkingConfig": {"thinkingBudget": 600, "includeThoughts": True},
        "imageConfig": {"aspectRatio": "1:1"},
        "responseMimeType": "application/json",
        "responseSchema": ANSWER,
        "audioTimestamp": True,
    }
    assert to_safety_settings(options["safety_settings"]) == SAFETY
    assert to_tool_config(None, names=["f"], tool_config=options["tool_config"]) == {
        "functionCallingConfig": {"mode": "ANY"}
    }
    assert to_generation_config({"generation_config": google}, model=FLASH_25) == to_generation_config(
        options, model=FLASH_25
    )


@pytest.mark.parametrize(("member", "advice"), [("system_instruction", "system message"), ("tools", "bind the tools")])
def test_members_of_googles_config_that_belong_elsewhere(member, advice):
    types = pytest.importorskip("google.genai.types")
    value = "hi" if member == "system_instruction" else [types.Tool(google_search=types.GoogleSearch())]

    with pytest.raises(ConfigurationError, match=advice):
        canonical_options({"generation_config": types.GenerateContentConfig(**{member: value})}, where="Gemway")


def test_googles_schema_object():
    types = pytest.importorskip("google.genai.types")
    schema = types.Schema(type="OBJECT", properties={"first_name": types.Schema(type="STRING", nullable=True)})

    sent = config(response_schema=schema)["responseSchema"]

    assert sent == {"type": "object", "properties": {"first_name": {"type": "string", "nullable": True}}}


# -- cost


def test_options_cost_microseconds():
    options = {"temperature": 0.5, "max_output_tokens": 100, "stop": ["x"], "thinking_budget": 1024}
    named = canonical_options(options, where="x")

    best = {
        call: min(timeit.repeat(call, number=1000, repeat=5)) * 1000
        for call in (lambda: canonical_options(options, where="x"), lambda: to_generation_config(named, model=FLASH_25))
    }

    assert max(best.values()) < 25, "microseconds; measured 1 and 2 on a quiet machine"
