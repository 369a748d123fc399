"""What Google answers with 400, and what it must not."""

from __future__ import annotations

import base64

import httpx
import pytest
from gemway_emulator import Emulator, reply

TEXT = {"role": "user", "parts": [{"text": "hi"}]}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()
SIGNED = "AAAA"


def body(**fields):
    return {"contents": [TEXT], **fields}


def config(**fields):
    return body(generationConfig=fields)


def tools(*declarations, **tool_config):
    extra = {"toolConfig": {"functionCallingConfig": tool_config}} if tool_config else {}
    return body(tools=[{"functionDeclarations": list(declarations)}], **extra)


def call(name="f", **part):
    return {"functionCall": {"name": name, "args": {}}, **part}


def response(name="f"):
    return {"functionResponse": {"name": name, "response": {"result": 1}}}


def contents(*turns):
    return {"contents": [{"role": role, "parts": list(parts)} for role, *parts in turns]}


REFUSED = {
    "no contents": ({}, "contents is not specified"),
    "empty contents": ({"contents": []}, "contents is not specified"),
    "null contents": ({"contents": None}, "contents is not specified"),
    "contents as string": ({"contents": "hi"}, "Invalid value at 'contents'"),
    "parts as string": ({"contents": [{"parts": "hi"}]}, "Invalid value at 'contents[0].parts'"),
    "no parts": ({"contents": [{"role": "user", "parts": []}]}, "parts must not be empty"),
    "unknown role": ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role: user, model"),
    "unknown field": (body(bogus=1), 'Unknown name "bogus": Cannot find field.'),
    "unknown nested field": (config(warmth=1), "Unknown name \"warmth\" at 'generation_config': Cannot find field."),
    "unknown part field": (
        {"contents": [{"parts": [{"text": "x", "cache_control": {}}]}]},
        "Unknown name \"cache_control\" at 'contents[0].parts[0]'",
    ),
    "unknown schema field": (
        config(responseMimeType="application/json", responseSchema={"type": "OBJECT", "additionalProperties": False}),
        "Unknown name \"additionalProperties\" at 'generation_config.response_schema'",
    ),
    "vertex-only field": (config(audioTimestamp=True), 'Unknown name "audioTimestamp"'),
    "both spellings": (config(topP=0.5, top_p=0.5), "already set"),
    "string temperature": (config(temperature="0.7"), "Invalid value at 'generation_config.temperature' (TYPE_FLOAT)"),
    "boolean integer": (config(maxOutputTokens=True), "TYPE_INT32"),
    "fractional integer": (config(candidateCount=1.5), "TYPE_INT32"),
    "wrong enum": (body(safetySettings=[{"category": "RUDE", "threshold": "OFF"}]), "safety_settings[0].category"),
    "temperature out of range": (config(temperature=3), "must be in the range [0, 2]"),
    "no output tokens": (config(maxOutputTokens=0), "max_output_tokens"),
    "too many stops": (config(stopSequences=list("abcdef")), "stop_sequences"),
    "logprobs without responseLogprobs": (config(logprobs=2), "response_logprobs"),
    "two schemas": (
        config(responseMimeType="application/json", responseSchema={"type": "STRING"}, responseJsonSchema={"type": "string"}),
        "Only one of response_schema and response_json_schema",
    ),
    "schema without mime type": (config(responseSchema={"type": "STRING"}), "response_mime_type"),
    "unknown mime type": (config(responseMimeType="application/xml"), "allowed mimetypes"),
    "level and budget": (config(thinkingConfig={"thinkingLevel": "LOW", "thinkingBudget": 5}), "thinking budget and thinking level"),
    "calling config without declarations": (
        body(toolConfig={"functionCallingConfig": {"mode": "AUTO"}}),
        "Function calling config is set without function_declarations.",
    ),
    "allowed name not declared": (tools({"name": "f"}, mode="ANY", allowedFunctionNames=["g"]), "not declared: g"),
    "duplicate declaration": (tools({"name": "f"}, {"name": "f"}), "Duplicate function declaration found: f"),
    "illegal function name": (tools({"name": "my tool!"}), "Invalid function name"),
    "two parameter schemas": (tools({"name": "f", "parameters": {"type": "OBJECT"}, "parametersJsonSchema": {}}), "Only one of parameters"),
    "undecodable picture": (
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "a b!c"}}]}]},
        "Base64 decoding failed",
    ),
    "mixed alphabets": ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "-_+/"}}]}]}, "Base64 decoding failed"),
    "picture without mime type": ({"contents": [{"parts": [{"inlineData": {"data": PNG}}]}]}, "mime_type"),
    "part without data": ({"contents": [{"parts": [{"thought": True}]}]}, "required oneof field 'data'"),
    "part with two data": ({"contents": [{"parts": [{"text": "x", "fileData": {"fileUri": "gs://a"}}]}]}, "oneof field 'data' is already set"),
    "response without name": (
        contents(("user", {"text": "x"}), ("model", call()), ("user", {"functionResponse": {"response": {}}})),
        "name must not be empty",
    ),
    "response as text": (
        contents(("user", {"text": "x"}), ("model", call()), ("user", {"functionResponse": {"name": "f", "response": "ok"}})),
        "protobuf.Struct",
    ),
    "unanswered call": (
        contents(("user", {"text": "x"}), ("model", call()), ("user", {"text": "and?"})),
        "number of function response parts is equal to the number of function call parts",
    ),
    "too few answers": (
        contents(("user", {"text": "x"}), ("model", call(), call("g")), ("user", response())),
        "number of function response parts is equal",
    ),
    "call first": (contents(("model", call()), ("user", response())), "function call turn comes immediately after a user turn"),
    "answer without call": (contents(("user", response())), "function response turn comes immediately after a function call turn"),
    "signature not base64": (contents(("user", {"text": "x"}), ("model", {"text": "y", "thoughtSignature": "no, sir"}), ("user", {"text": "z"})), "decoding failed"),
}  # fmt: skip


@pytest.mark.parametrize(("request_body", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_googles_400(ask, request_body, message):
    """Code 400, INVALID_ARGUMENT and a message that names the place."""
    assert message in ask.refusal(request_body)["message"]


ACCEPTED = {
    "snake case everywhere": {
        "contents": [{"parts": [{"text": "x"}, {"inline_data": {"mime_type": "image/png", "data": PNG}}]}],
        "system_instruction": {"parts": [{"text": "be kind"}]},
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_level": "low", "include_thoughts": True}},
        "safety_settings": [],
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
        "tool_config": {"function_calling_config": {"mode": "none"}},
    },
    "nulls everywhere": {
        "contents": [{"role": None, "parts": [{"text": "x", "functionCall": None, "thought": None}]}],
        "generationConfig": {"temperature": None, "responseSchema": None},
        "tools": None,
        "toolConfig": None,
        "systemInstruction": None,
    },
    "integers as strings": config(maxOutputTokens="50", topK="3", seed="7"),
    "url-safe base64 without padding": {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "__79_v8"}}]}]},
    "empty objects": body(generationConfig={}, safetySettings=[], tools=[]),
    "no role": {"contents": [{"parts": [{"text": "x"}]}]},
    "two user turns": contents(("user", {"text": "a"}), ("user", {"text": "b"})),
    "file by reference": contents(("user", {"text": "a"}, {"fileData": {"fileUri": "https://x.example/a.pdf"}})),
    "labels": body(labels={"team": "a"}),
    "unsigned call of an older turn": contents(("user", {"text": "a"}), ("model", call()), ("user", response()), ("model", {"text": "b"}), ("user", {"text": "c"})),
    "one object for a list": {"contents": {"parts": {"text": "hi"}}, "systemInstruction": {"parts": {"text": "be kind"}}},
    "answers in two turns": contents(("user", {"text": "x"}), ("model", call(), call("g")), ("user", response()), ("user", response("g"))),
    "calls in two turns": contents(("user", {"text": "x"}), ("model", {"text": "wait"}), ("model", call()), ("model", call("g")), ("user", response(), response("g"))),
    "thoughts before a call": contents(("user", {"text": "a"}), ("model", {"text": "hm", "thought": True}), ("model", call()), ("user", response())),
    "json schema keywords": config(responseMimeType="application/json", responseJsonSchema={"type": "object", "additionalProperties": False, "$defs": {}}),
    "server tools": body(tools=[{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}]),
}  # fmt: skip


@pytest.mark.parametrize("request_body", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted_as_google_does(ask, request_body):
    """Both spellings, null for every field, integers as strings, both base64 alphabets."""
    assert ask.post(request_body).status_code == 200


@pytest.mark.parametrize(
    "content", [b"{not json", b"[]", b'"text"', b"", b"\xff\xfe"], ids=["broken", "array", "string", "empty", "binary"]
)
@pytest.mark.parametrize("action", ["generateContent", "streamGenerateContent?alt=sse", "countTokens"])
def test_a_body_that_is_no_object_is_refused_as_plain_json(http, emulator, content, action):
    """The stream route refuses with plain JSON too."""
    answer = http.post(f"/v1beta/models/gemini-2.5-flash:{action}", content=content)

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_every_violation_is_listed(ask):
    """`details` name each wrong field, as google.rpc.BadRequest does."""
    [detail] = ask.refusal(config(warmth=1, temperature="x"))["details"]

    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert [violation["field"] for violation in detail["fieldViolations"]] == [
        "generation_config",
        "generation_config.temperature",
    ]


@pytest.mark.parametrize(
    ("model", "image", "accepted"),
    [
        ("gemini-3.1-flash-image-preview", {"aspectRatio": "8:1", "imageSize": "512"}, True),
        ("gemini-3.1-flash-image-preview", {"aspectRatio": "7:5"}, False),
        ("gemini-3.1-flash-image-preview", {"imageSize": "512px"}, False),
        ("gemini-3.1-flash-image-preview", {"imageSize": "2k"}, False),
        ("gemini-3-pro-image-preview", {"aspectRatio": "8:1"}, False),
        ("gemini-3-pro-image-preview", {"imageSize": "512"}, False),
        ("gemini-3.1-flash-lite-image", {"imageSize": "2K"}, False),
        ("gemini-2.5-flash-image", {"aspectRatio": "1:4"}, False),
        ("gemini-2.5-flash-image", {"imageSize": "9K"}, False),
        ("gemini-2.5-flash-image", {"imageSize": "2K"}, True),
    ],
)
def test_picture_options_follow_the_models_table(ask, model, image, accepted):
    """Ratios and sizes a model does not have are a 400."""
    assert (ask.post(config(imageConfig=image), model).status_code == 200) is accepted


@pytest.mark.parametrize("model", ["gemini-3.5-flash-lite", "gemini-3.6-flash"])
def test_models_without_prefill_refuse_a_trailing_model_turn(ask, model):
    """The same conversation is fine elsewhere."""
    talk = contents(("user", {"text": "x"}), ("model", {"text": "y"}))

    assert ask.post(talk, model).status_code == 400
    assert ask.post(talk, "gemini-3.5-flash").status_code == 200


def test_validation_comes_before_the_queue(emulator, ask):
    """A refused request consumes no scripted reply."""
    emulator.enqueue(reply.text("scripted"))
    ask.refusal({"contents": []})

    assert ask.text("hi") == "scripted"


def test_validate_false_answers_everything_that_is_json():
    """For clients under construction: nothing but broken JSON is refused."""
    headers = {"Authorization": "Bearer sk-local"}
    with Emulator(validate=False) as emulator, httpx.Client(base_url=emulator.base_url, headers=headers) as client:
        url = "/v1beta/models/gemini-2.5-flash:generateContent"
        answers = [client.post(url, json=wrong) for wrong, _ in REFUSED.values()]

    assert {answer.status_code for answer in answers} == {200}


def test_typed_gateways_want_lists(emulator, ask):
    """A misbehaviour, and a common one: one object in place of a list is refused."""
    emulator.misbehave = {"arrays_required"}

    assert "Invalid value at 'contents'" in ask.refusal({"contents": TEXT})["message"]


def test_gemini_2_0_forgives_an_unanswered_call(ask):
    """As recorded; later models do not."""
    talk = contents(("user", {"text": "x"}), ("model", call()), ("user", {"text": "and?"}))

    assert ask.post(talk, "gemini-2.0-flash").status_code == 200
    assert ask.post(talk, "gemini-2.5-flash").status_code == 400


TOOL = {"functionDeclarations": [{"name": "look", "parametersJsonSchema": {"type": "object", "properties": {}}}]}
CALLED = [
    {"role": "user", "parts": [{"text": "hi"}]},
    {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
]


def result(mime_type):
    part = {"inlineData": {"mimeType": mime_type, "data": "AAAA"}}
    return {"functionResponse": {"name": "look", "response": {"result": "x"}, "parts": [part]}}


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "requested combination of response modalities (TEXT, IMAGE) is not supported"),
        ({"cachedContent": "cachedContents/1", "systemInstruction": {"parts": [{"text": "x"}]}}, "CachedContent can not be used"),
        ({"cachedContent": "cachedContents/1", "tools": [TOOL]}, "CachedContent can not be used"),
        ({"tools": [TOOL], "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}}, "Function calling with a response mime type: 'application/json' is unsupported"),
        ({"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "not": {}}}}, 'Unknown name "not" at \'generation_config.response_json_schema\''),
        ({"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"properties": {"a": {"if": {}}}}}]}]}, 'Unknown name "if"'),
        ({"contents": [*CALLED, {"role": "user", "parts": [result("audio/wav")]}]}, "audio/wav"),
        ({"contents": [*CALLED, {"role": "user", "parts": [result("video/mp4")]}]}, "video/mp4"),
        ({"contents": [*CALLED, {"role": "user", "parts": [result("image/gif")]}]}, "image/gif"),
    ],
    ids=["picture of a text model", "cache and system", "cache and tools", "schema and tools", "word of a schema", "word of a tool", "audio result", "video result", "gif result"],
)  # fmt: skip
def test_google_refuses_this_too(ask, extra, words):
    """What Google's documentation and recorded errors say no to."""
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **extra}

    assert words in ask.refusal(body)["message"]


@pytest.mark.parametrize(
    ("word", "value"),
    [("type", "object"), ("properties", ["a"]), ("required", [1]), ("minItems", "many"), ("anyOf", True), ("$ref", {}), ("pattern", 7)],
)  # fmt: skip
def test_the_words_of_json_schemas_have_types(ask, word, value):
    """A value of a wrong type is a 400 that names the word, never a failure of the emulator; a good one is taken."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}} | {word: value}
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    body["generationConfig"] = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    answer = ask.post(body)

    assert answer.status_code == (200 if word == "type" else 400)
    assert word == "type" or "response_json_schema" in answer.json()["error"]["message"]


def test_a_schema_without_an_instance_is_answered(ask):
    """One that requires itself again and again ends somewhere."""
    schema = {"$defs": {"X": {"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "required": ["x"]}}}
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    body["generationConfig"] = {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema | {"$ref": "#/$defs/X"},
    }

    assert ask.post(body).status_code == 200


def test_google_takes_this(ask):
    """The neighbours of the refused cases: a schema with tools for Gemini 3, PNG results, a service tier."""
    both = {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [TOOL],
        "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        "serviceTier": "flex",
    }
    picture = {"contents": [*CALLED, {"role": "user", "parts": [result("image/png")]}]}

    assert ask.post(both, "gemini-3-flash-preview").status_code == 200
    assert ask.post(picture).status_code == 200


@pytest.mark.parametrize("thinking", [{"includeThoughts": True}, {"thinkingBudget": 512}], ids=["aloud", "silent"])
def test_thinking_eats_the_budget(ask, thinking):
    """MAX_TOKENS, no text, and no more thoughts than were allowed."""
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Tell me about foxes"}]}],
        "generationConfig": {"maxOutputTokens": 3, "thinkingConfig": thinking},
    }
    answer = ask.json(body, "gemini-2.5-pro")

    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert answer["usageMetadata"]["thoughtsTokenCount"] == 3
    parts = (answer["candidates"][0].get("content") or {}).get("parts") or []
    assert [part for part in parts if not part.get("thought")] == []
