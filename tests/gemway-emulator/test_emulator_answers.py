"""The emulator's own answers: a sentence of the prompt, limits, thoughts, JSON."""

from __future__ import annotations

import base64
import json

import jsonschema
import pytest

TEXT = "Tell me about the foxes that live in the old town."


def config(text, **fields):
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": fields}


def test_every_answer_is_complete(ask):
    """Role, finishReason, usage that adds up, modelVersion, responseId."""
    answer = ask.json("Hello, Gemini", "gemini-2.5-pro")
    candidate, usage = answer["candidates"][0], answer["usageMetadata"]

    assert candidate["content"]["role"] == "model"
    assert candidate["content"]["parts"][0]["text"]
    assert candidate["finishReason"] == "STOP"
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"] > 1
    assert usage["promptTokensDetails"] == [{"modality": "TEXT", "tokenCount": usage["promptTokenCount"]}]
    assert answer["modelVersion"] == "gemini-2.5-pro"
    assert answer["responseId"]


def test_answers_are_taken_from_the_context(ask):
    """A sentence of the prompt that answers its question is given back verbatim."""
    prompt = "Rex is a dog. Rex was born in 2019 in Lyon. The weather is fine.\n\nWhen was Rex born?"

    assert ask.text(prompt) == "Rex was born in 2019 in Lyon."


def test_answers_are_taken_from_the_conversation_and_the_system_instruction(ask, say):
    """Earlier user turns count; the emulator's own small talk does not."""
    talk = {
        "contents": [
            say("My name is Bob."),
            say("This is the gemway emulator; it has no language model to answer: name Bob.", role="model"),
            say("What is my name?"),
        ],
        "systemInstruction": {"parts": [{"text": "The shop opens at nine."}]},
    }
    assert ask.text(talk) == "My name is Bob."

    talk["contents"].append(say("My name is Bob.", role="model"))
    talk["contents"].append(say("When does the shop open?"))
    assert ask.text(talk) == "The shop opens at nine."


def test_without_context_the_answer_names_the_topic(ask):
    """Short, never empty."""
    assert "foxes" in ask.text("Tell me about foxes")
    assert ask.text("?")


def test_max_output_tokens_truncate(ask):
    """MAX_TOKENS, and no more tokens than allowed."""
    answer = ask.json(config(TEXT, maxOutputTokens=3))

    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert answer["usageMetadata"]["candidatesTokenCount"] == 3
    assert ask.json(config(TEXT, maxOutputTokens=1))["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_stop_sequences_cut(ask):
    """The text ends before the first stop sequence; the reason stays STOP."""
    answer = ask.json(config("Say what you know about: alpha beta gamma", stopSequences=["beta"]))

    assert "beta" not in answer["candidates"][0]["content"]["parts"][0]["text"]
    assert answer["candidates"][0]["finishReason"] == "STOP"


def test_several_candidates(ask):
    """candidateCount texts, numbered, all counted."""
    answer = ask.json(config(TEXT, candidateCount=3))

    assert [candidate["index"] for candidate in answer["candidates"]] == [0, 1, 2]
    assert len({candidate["content"]["parts"][0]["text"] for candidate in answer["candidates"]}) == 3
    single = ask.json(config(TEXT))["usageMetadata"]["candidatesTokenCount"]
    assert answer["usageMetadata"]["candidatesTokenCount"] > 2 * single


def test_several_candidates_in_a_stream(ask):
    """Every index ends once."""
    chunks = ask.stream(config(TEXT, candidateCount=2))
    ended = [candidate["index"] for chunk in chunks for candidate in chunk["candidates"] if "finishReason" in candidate]

    assert sorted(ended) == [0, 1]


def test_thoughts_when_asked_for(ask):
    """A thought part first, thoughtsTokenCount, total = prompt + candidates + thoughts."""
    answer = ask.json(config(TEXT, thinkingConfig={"includeThoughts": True}))
    first, *rest = answer["candidates"][0]["content"]["parts"]
    usage = answer["usageMetadata"]

    assert first["thought"] is True
    assert not any(part.get("thought") for part in rest)
    assert usage["thoughtsTokenCount"] > 0
    assert (
        usage["totalTokenCount"]
        == usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    )


def test_thinking_can_use_the_whole_budget(ask):
    """MAX_TOKENS without visible text, as Gemini does."""
    answer = ask.json(config(TEXT, maxOutputTokens=2, thinkingConfig={"includeThoughts": True}))

    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert all(part["thought"] for part in answer["candidates"][0]["content"]["parts"])


def test_log_probabilities(ask):
    """Tokens that join to the text, with the top list if asked for."""
    answer = ask.json(config(TEXT, responseLogprobs=True, logprobs=1))
    candidate = answer["candidates"][0]

    tokens = candidate["logprobsResult"]["chosenCandidates"]
    assert "".join(entry["token"] for entry in tokens) == candidate["content"]["parts"][0]["text"]
    assert len(candidate["logprobsResult"]["topCandidates"]) == len(tokens)
    assert candidate["avgLogprobs"] < 0


@pytest.mark.parametrize("mime_type", ["application/pdf", "audio/wav", "video/mp4", "image/png", "text/plain"])
def test_media_are_named_with_type_and_size(ask, say, mime_type):
    """The answer names the media it received; usage counts them under their modality."""
    part = {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(b"x" * 1234).decode()}}
    answer = ask.json({"contents": [say("What is this?", part)]})

    text = answer["candidates"][0]["content"]["parts"][0]["text"]
    assert mime_type in text
    assert "1234 bytes" in text
    assert len(answer["usageMetadata"]["promptTokensDetails"]) == 2


def test_files_by_reference_are_named(ask, say):
    """The URI comes back."""
    part = {"fileData": {"mimeType": "application/pdf", "fileUri": "https://files.example/a.pdf"}}

    assert "https://files.example/a.pdf" in ask.text({"contents": [say("Read this", part)]})


PERSON = {
    "type": "OBJECT",
    "properties": {"name": {"type": "STRING"}, "age": {"type": "INTEGER"}, "city": {"type": "STRING"}},
    "required": ["name", "age", "city"],
    "propertyOrdering": ["age", "name", "city"],
}


def as_json(ask, text, schema, field="responseJsonSchema"):
    return json.loads(ask.text(config(text, responseMimeType="application/json", **{field: schema})))


def test_json_takes_its_values_from_the_prompt(ask):
    """Names, numbers and places; in propertyOrdering."""
    result = as_json(ask, "This is Alice, 30 years old. She lives in Rome.", PERSON, "responseSchema")

    assert result == {"age": 30, "name": "Alice", "city": "Rome"}
    assert list(result) == ["age", "name", "city"]


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("The order 'A-17' for 3 lamps at 19.99 each", {"properties": {"order_id": {"type": "string"}, "quantity": {"type": "integer"}, "price": {"type": "number"}}, "required": ["order_id", "quantity", "price"], "type": "object"}, {"order_id": "A-17", "quantity": 3, "price": 19.99}),
        ("Write to ada@example.org on 2026-03-01", {"properties": {"email": {"type": "string", "format": "email"}, "date": {"type": "string", "format": "date"}}, "required": ["email", "date"], "type": "object"}, {"email": "ada@example.org", "date": "2026-03-01"}),
        ("I loved it, a positive film", {"properties": {"sentiment": {"enum": ["negative", "positive"]}}, "required": ["sentiment"], "type": "object"}, {"sentiment": "positive"}),
        ("tags: red, green and blue", {"properties": {"tags": {"type": "array", "items": {"type": "string"}}}, "required": ["tags"], "type": "object"}, {"tags": ["red", "green", "blue"]}),
        ("name: Ada", {"properties": {"name": {"type": "string"}, "nick": {"anyOf": [{"type": "string"}, {"type": "null"}]}}, "required": ["name", "nick"], "type": "object"}, None),
        ("kind is b, value 1.5", {"anyOf": [{"properties": {"kind": {"const": "a"}}, "required": ["kind"], "type": "object"}, {"properties": {"kind": {"const": "b"}, "value": {"type": "number", "maximum": 2}}, "required": ["kind", "value"], "type": "object"}]}, {"kind": "b", "value": 1.5}),
        ("anything", {"type": "object", "properties": {"n": {"type": "integer", "minimum": 7}, "c": {"const": 3}, "p": {"type": "string", "pattern": "^[A-Z]{2}-\\d{4}$"}, "u": {"type": "string", "format": "uuid"}}, "required": ["n", "c", "p", "u"]}, None),
        ("anything", {"type": "array", "items": {"type": "integer", "minimum": 4, "maximum": 4}, "minItems": 2, "maxItems": 3}, [4, 4]),
        ("a tree", {"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object", "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}, "parent": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}, "required": ["name"]}}}, None),
        ("x", {"type": "object", "properties": {"a": {"type": ["integer", "null"]}, "when": {"type": "string", "format": "date-time"}}, "required": ["a", "when"]}, None),
    ],
    ids=["numbers-and-codes", "formats", "enum", "list", "null", "alternatives", "constraints", "array", "recursion", "type-lists"],
)  # fmt: skip
def test_json_is_valid_for_its_schema(ask, text, schema, expected):
    """Whatever the schema asks for; with the values of the prompt where it has them."""
    result = as_json(ask, text, schema)

    jsonschema.validate(result, schema, format_checker=jsonschema.FormatChecker())
    if expected is not None:
        assert result == expected


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("uuid", "Ann, order A-17", "3f2b8c4e-9d1a-4b7c-8e6f-0a1b2c3d4e5f"),
        ("uuid", "It is 9d1a3f2b-0000-1111-8222-0a1b2c3d4e5f", "9d1a3f2b-0000-1111-8222-0a1b2c3d4e5f"),
        ("uuid4", "It is 9d1a3f2b-0000-1111-8222-0a1b2c3d4e5f", "3f2b8c4e-9d1a-4b7c-8e6f-0a1b2c3d4e5f"),
        ("date", "Ann came on 2026-03-01", "2026-03-01"),
        ("date", "Ann came", "2026-01-15"),
        ("time", "Ann came at 9:30", "09:30:00Z"),
        ("date-time", "Ann came at 2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
        ("duration", "Ann said 'soon'", "PT1H"),
        ("email", "Ann is ann@example.org", "ann@example.org"),
    ],
)
def test_a_format_told_in_words_is_kept(ask, form, text, expected):
    """Clients move formats that Google refuses to the description: `Format: uuid.`"""
    field = {"type": "string", "description": f"What it is. Format: {form}."}
    optional = {"anyOf": [{"type": "string"}, {"type": "null"}], "description": f"Format: {form}."}
    schema = {
        "type": "object",
        "properties": {"one": field, "many": {"type": "array", "items": field}, "other": optional},
        "required": ["one", "many", "other"],
    }

    result = as_json(ask, text, schema)

    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    assert result["one"] == expected
    for value in (result["one"], *result["many"], result["other"]):
        checker.check(value, form.removesuffix("4"))


def test_json_is_whole_when_streamed(ask):
    """The joined pieces parse."""
    body = config(
        "This is Alice, 30 years old. She lives in Rome.", responseMimeType="application/json", responseSchema=PERSON
    )
    texts = [part["text"] for chunk in ask.stream(body) for part in chunk["candidates"][0]["content"]["parts"]]

    assert len(texts) >= 2
    assert json.loads("".join(texts))["name"] == "Alice"


def test_an_enum_is_a_bare_value(ask):
    """text/x.enum: no quotes."""
    schema = {"type": "STRING", "enum": ["cat", "dog"]}

    assert ask.text(config("Rex is a dog", responseMimeType="text/x.enum", responseSchema=schema)) == "dog"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('Answer as {"setup": ..., "punchline": ...}: tell me a joke', {"setup", "punchline"}),
        ("Tell me a joke as JSON", {"answer"}),
    ],
    ids=["braces", "free"],
)
def test_json_mode_without_schema_is_an_object(ask, text, keys):
    """With the keys the prompt names, if it names some."""
    assert set(json.loads(ask.text(config(text, responseMimeType="application/json")))) == keys


def test_cached_content_is_counted(ask):
    """cachedContentTokenCount, part of the prompt's count."""
    usage = ask.json({"contents": [{"parts": [{"text": "x"}]}], "cachedContent": "cachedContents/1"})["usageMetadata"]

    assert 0 < usage["cachedContentTokenCount"] <= usage["promptTokenCount"]


def test_searches_ground_the_answer(ask):
    """groundingMetadata with UTF-8 byte offsets, when the search tool is offered."""
    answer = ask.json({"contents": [{"parts": [{"text": "Was ist ein Füchslein?"}]}], "tools": [{"googleSearch": {}}]})
    candidate = answer["candidates"][0]
    [support] = candidate["groundingMetadata"]["groundingSupports"]

    text = candidate["content"]["parts"][0]["text"]
    assert support["segment"]["endIndex"] == len(text.encode())
    assert candidate["groundingMetadata"]["webSearchQueries"] == ["Was ist ein Füchslein?"]


def test_speech_is_pcm(ask):
    """responseModalities AUDIO: 16-bit samples at 24 kHz, counted as AUDIO."""
    answer = ask.json(config("Say hello to everyone", responseModalities=["AUDIO"]))
    [part] = answer["candidates"][0]["content"]["parts"]

    assert part["inlineData"]["mimeType"] == "audio/L16;codec=pcm;rate=24000"
    assert len(base64.b64decode(part["inlineData"]["data"])) > 2400
    assert answer["usageMetadata"]["candidatesTokensDetails"][0]["modality"] == "AUDIO"
