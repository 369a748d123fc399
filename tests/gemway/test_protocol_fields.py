"""Every field that Google documents can be sent under its name, and read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gemway import Client, types
from gemway_emulator import reply

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "protocol_fields.json"
pytestmark = pytest.mark.skipif(not REFERENCE.exists(), reason="the protocol reference is not beside this clone")
DOCUMENT = json.loads(REFERENCE.read_text()) if REFERENCE.exists() else {"types": {}, "enums": {}}
TYPES = DOCUMENT["types"]
RENAMED = {
    "Request": "GenerateContentRequest",
    "Response": "GenerateContentResponse",
    "GenerateContentResponsePromptFeedback": "PromptFeedback",
    "GenerateContentResponseUsageMetadata": "UsageMetadata",
    "GoogleTypeDate": "Date",
    "GroundingChunkMapsPlaceAnswerSources": "PlaceAnswerSources",
    "GroundingChunkMapsPlaceAnswerSourcesReviewSnippet": "ReviewSnippet",
    "GroundingChunkMapsPlaceAnswerSourcesAuthorAttribution": "AuthorAttribution",
    "GroundingMetadataSourceFlaggingUri": "SourceFlaggingUri",
    "ToolCodeExecution": "CodeExecution",
}
PLAIN = {"string": "x", "integer": 3, "number": 0.5, "boolean": True, "object": {"a_b": 1}, "any": {"a_b": None}}


def value_for(name: str, field: dict, depth: int = 0):
    """A JSON value of the documented type."""
    kind = field["type"]
    if kind in TYPES:
        value = {} if depth > 5 else message(kind, depth + 1)
    elif name in ("properties", "defs"):
        value = {"a_b": {"type": "STRING"}}
    elif name in ("labels", "headers"):
        value = {"a_b": "x"}
    elif kind in DOCUMENT["enums"]:
        value = "WORD"
    elif kind.startswith(("bytes", "timestamp", "NULL")):
        value = "QUJD"
    else:
        value = PLAIN.get(kind, {"a_b": 1})  # messages of Vertex that the reference names and does not list
    return [value] if field.get("repeated") else value


def message(kind: str, depth: int = 0) -> dict:
    return {name: value_for(name, field, depth) for name, field in TYPES[kind].items() if kind != "Schema" or depth < 4}


def snake(kind: str) -> dict:
    """The fields of *kind* in Python's spelling, with JSON values."""
    return {field["snake"]: value_for(name, field) for name, field in TYPES[kind].items()}


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind)
def test_a_field_set_by_its_python_name_goes_out_under_its_wire_name(kind):
    """Setting every documented field writes exactly the documented names, nested messages included."""
    model = getattr(types, RENAMED.get(kind, kind))
    given = {"citation_sources" if name == "citations" else name: value for name, value in snake(kind).items()}

    written = model(**given).to_dict()

    assert written == message(kind)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind)
def test_a_field_is_declared_and_readable_in_both_spellings(kind):
    """Every documented field is typed, and reads the same from camelCase and snake_case."""
    model = getattr(types, RENAMED.get(kind, kind))
    names = {"citation_sources" if field["snake"] == "citations" else field["snake"] for field in TYPES[kind].values()}

    camel = model.model_validate(message(kind))

    assert names <= set(model.model_fields)
    assert not camel.__pydantic_extra__
    assert camel == model.model_validate({to_snake: getattr(camel, to_snake) for to_snake in names})


def test_a_whole_request_reaches_the_gateway_as_written(gemway_emulator):
    """A typed request with fields of every group arrives as the same JSON, in camelCase only."""
    wire = {
        "contents": [{"role": "user", "parts": [{"text": "hi", "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}}]}],
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "generationConfig": {"temperature": 0.5, "thinkingConfig": {"thinkingBudget": 0}, "stopSequences": ["END"]},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "f", "parametersJsonSchema": {"type": "object", "properties": {"a_b": {"type": "string"}}}}
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "NONE"}},
    }
    gemway_emulator.enqueue(reply.text("ok"), reply.text("ok"))
    with Client(base_url=gemway_emulator.base_url, api_key=gemway_emulator.api_key) as client:
        client.generate_content("gemini-2.5-flash", types.GenerateContentRequest.model_validate(wire))
        client.generate_content("gemini-2.5-flash", wire)

    assert [request.json for request in gemway_emulator.requests] == [wire, wire]


def test_unknown_fields_and_words_are_kept():
    """Fields, parts and enum words of tomorrow survive reading and writing."""
    wire = {
        "candidates": [
            {
                "content": {"parts": [{"hologram": {"a_b": 1}}], "role": "model"},
                "finishReason": "NEW_REASON",
                "score": 2,
            }
        ],
        "usageMetadata": {"promptTokenCount": "12", "billing_usage": {"x": 1}},
        "turnToken": "t",
    }

    response = types.GenerateContentResponse.model_validate(wire)

    assert response.finish_reason == "NEW_REASON"
    assert response.to_dict() == {**wire, "usageMetadata": {"promptTokenCount": 12, "billing_usage": {"x": 1}}}


def test_null_is_accepted_everywhere():
    """Gateways that convert answers send null where Google leaves fields out."""

    def nulls(kind: str) -> dict:
        return dict.fromkeys(TYPES[kind])

    for kind in TYPES:
        if kind != "Request":
            getattr(types, RENAMED.get(kind, kind)).model_validate(nulls(kind))


def test_bytes_go_out_as_standard_base64():
    """Bytes given to a blob are encoded with the standard alphabet and padding."""
    blob = types.Blob(data=b"\xff\xfe\xfb", mime_type="image/png")

    assert blob.to_dict() == {"data": "//77", "mimeType": "image/png"}


def test_names_of_the_caller_never_become_wire_types():
    """Types are built at first use, with the names of their own module, whatever the caller imported."""
    program = (
        "from gemway.types import GenerateContentResponse\n"
        "UsageMetadata = Part = Content = int\n"
        "def read(Candidate=str, Content=str):\n"
        "    UsageMetadata = Part = float\n"
        "    return GenerateContentResponse.model_validate({'candidates': [{'content': {'parts': [{'text': 'a'}]}}]})\n"
        "print(read().text)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("a\n", "")
