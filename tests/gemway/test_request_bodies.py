"""What a request may hold: stored histories and any model name are sent, everything else is a named error."""

from __future__ import annotations

import contextlib
import math
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from gemway import BadRequestError, Client, ConfigurationError, UnsupportedContentError
from gemway.adapters import WireRequest, to_generation_config
from gemway_emulator import Emulator, reply

MODEL = "gemini-2.5-flash"


@pytest.fixture
def client(emulator: Emulator):
    with Client(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0) as client:
        yield client


def history(*, args: Any, response: Any) -> list[dict[str, Any]]:
    return [
        {"role": "user", "parts": [{"text": "go"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": args}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]},
    ]


REQUESTS = pytest.mark.parametrize("kind", [dict, WireRequest], ids=["dict", "wire request"])


@REQUESTS
@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ({"x": Decimal(1), "y": [Decimal("1.5")]}, {"x": 1, "y": [1.5]}),
        ({"x": Decimal("1e999999")}, {"x": "Infinity"}),
        ({"x": math.inf, "y": [-math.inf, math.nan]}, {"x": "Infinity", "y": ["-Infinity", "NaN"]}),
        ({"x": "half \ud83d of an emoji"}, {"x": "half \ufffd of an emoji"}),
        ({"x": "\ud83d\ude00"}, {"x": "\U0001f600"}),
    ],
    ids=["decimals", "huge decimal", "infinities", "half surrogate", "surrogate pair"],
)
def test_values_without_a_word_in_json_are_sent_as_protojson_has_them(client, emulator, kind, stored, sent):
    """Stores bring numbers back as Decimal, and models write what JSON cannot say (protobuf.dev, ProtoJSON format)."""
    emulator.enqueue(reply.text("ok"))

    client.generate_content(MODEL, kind(contents=history(args=stored, response=stored)))

    body = emulator.requests[-1].json["contents"]
    assert body[1]["parts"][0]["functionCall"]["args"] == sent
    assert body[2]["parts"][0]["functionResponse"]["response"] == sent


@pytest.mark.parametrize(
    ("stored", "args", "response"),
    [
        ('{"x": 1}', {"x": 1}, {"x": 1}),
        ("plain", {"input": "plain"}, {"output": "plain"}),
        ("{cut", {"input": "{cut"}, {"output": "{cut"}),
        ([1], {"input": [1]}, {"output": [1]}),
    ],
    ids=["JSON text", "text", "cut JSON", "a list"],
)
def test_arguments_and_results_that_are_no_objects_become_objects(client, emulator, stored, args, response):
    """Stores keep them as text; Gemini takes objects only."""
    emulator.enqueue(reply.text("ok"))

    client.generate_content(MODEL, WireRequest(contents=history(args=stored, response=stored)))

    body = emulator.requests[-1].json["contents"]
    assert body[1]["parts"][0]["functionCall"]["args"] == args
    assert body[2]["parts"][0]["functionResponse"]["response"] == response


def test_a_half_surrogate_beside_a_large_picture(client, emulator):
    """Large requests are encoded in pieces; the text is mended there too."""
    emulator.enqueue(reply.text("ok"))
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoA" + "A" * 2**20}}

    client.generate_content(MODEL, WireRequest(contents=[{"role": "user", "parts": [{"text": "a\ud800"}, picture]}]))

    assert emulator.requests[-1].json["contents"][0]["parts"] == [{"text": "a\ufffd"}, picture]


# Model names


@pytest.mark.parametrize(
    "model",
    [
        "gemini-2.5-pro(8192)",
        "[vip]gemini-2.5-pro",
        "流式抗截断/gemini-2.5-pro",
        "gemini-2.5-pro,fast",
        "google/gemini-2.5-pro:free",
        "a model?x=1#y%2e",
    ],
)
def test_model_names_of_gateways_are_percent_encoded(server, model):
    """Gateways add prefixes and suffixes of all kinds; none is refused, and none can leave the path."""
    with Client(base_url=server.base_url, api_key="sk-test-1234", max_retries=0) as client:
        client.generate_content(model, {"contents": [{"parts": [{"text": "hi"}]}]})

    path = server.requests[-1].path
    assert path.isascii()
    assert unquote(path) == f"/v1beta/models/{model}:generateContent"


@pytest.mark.parametrize(
    "model", ["", ".", "..", "a/../b", "a//b", "/a", " ", "a\nb", "a\ud800", None, 5, ["a"]], ids=repr
)
def test_model_names_that_cannot_be_sent(client, emulator, model):
    """What would mean another path, or another line of HTTP, is a named error before anything is sent."""
    with pytest.raises(ConfigurationError, match="model"):
        client.generate_content(model, {"contents": [{"parts": [{"text": "hi"}]}]})

    assert emulator.requests == []


# Wrong types


def _deep(levels: int) -> dict[str, Any]:
    deep: dict[str, Any] = {}
    for _ in range(levels):
        deep = {"a": deep}
    return deep


def _cyclic() -> dict[str, Any]:
    cyclic: dict[str, Any] = {}
    cyclic["a"] = cyclic
    return cyclic


TEXT = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


@REQUESTS
@pytest.mark.parametrize(
    "changes",
    [
        {"contents": 5},
        {"contents": "hello"},
        {"contents": {"parts": []}},
        {"contents": [5]},
        {"contents": [{"parts": 5}]},
        {"contents": [{"parts": [5]}]},
        {"contents": [{"parts": [{"text": object()}]}]},
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": _cyclic()}}]}]},
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": _deep(5000)}}]}]},
        {"tools": 5},
        {"tools": [5]},
        {"tools": [{"functionDeclarations": 5}]},
        {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": _cyclic()}]}]},
        {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": _deep(5000)}]}]},
        {"generationConfig": 5},
        {"generationConfig": [1]},
        {"generationConfig": {"thinkingConfig": 5}},
        {"generationConfig": {"responseModalities": 5}},
        {"systemInstruction": 5},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.parametrize("method", ["generate_content", "stream_generate_content", "count_tokens"])
def test_requests_of_a_wrong_form_are_named_errors(client, kind, changes, method):
    """A wrong type is a ConfigurationError, or the gateway's own 400; never a TypeError out of the library."""
    with contextlib.suppress(ConfigurationError, UnsupportedContentError, BadRequestError):
        result = getattr(client, method)(MODEL, kind({**TEXT, **changes}))
        if method == "stream_generate_content":
            list(result)


@pytest.mark.parametrize("request_", [None, 5, [], [1], object(), b"{}"], ids=lambda value: repr(value)[:20])
def test_requests_that_are_no_requests(client, request_):
    """Each is a named error before anything is sent."""
    with pytest.raises((ConfigurationError, UnsupportedContentError)):
        client.generate_content(MODEL, request_)


@pytest.mark.parametrize(
    "options",
    [
        {"prompt": 5},
        {"prompt": "x", "images": 5},
        {"prompt": "x", "history": 5},
        {"prompt": "x", "history": "earlier"},
        {"prompt": "x", "history": [{"parts": 5}]},
        {"prompt": "x", "model": 5},
        {"prompt": "x", "model": ["a"]},
    ],
    ids=repr,
)
def test_pictures_asked_for_in_a_wrong_form(client, emulator, options):
    """Each is a named error before anything is sent, and a ValueError too."""
    with pytest.raises((ConfigurationError, UnsupportedContentError)):
        client.generate_image(**options)

    assert emulator.requests == []


@pytest.mark.parametrize(
    "options",
    [{"stop": 5}, {"response_modalities": 5}, {"response_schema": 5}, {"image_config": 5}, {"speech_config": 5}],
    ids=repr,
)
def test_options_of_a_wrong_form(options):
    """The message names the option."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        to_generation_config(options, model=MODEL)
