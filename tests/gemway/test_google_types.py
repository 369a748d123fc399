"""Objects of google.genai.types, and Python functions, in `generate_content`: for programs that leave google-genai."""

from __future__ import annotations

import asyncio
import base64

import gemway
import pytest
from gemway import AsyncClient, Client, ConfigurationError
from gemway_emulator import reply
from pydantic import BaseModel

genai_types = pytest.importorskip("google.genai.types")

MODEL = "gemini-2.5-flash"
BYTES = bytes(range(240, 256)) * 3
BASE64 = base64.b64encode(BYTES).decode()


class Recipe(BaseModel):
    name: str
    minutes: int


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"21 degrees in {city}"


def sent_for(emulator, client, request, **options):
    """Return the body of the request, which is the same from all ways to ask."""
    emulator.enqueue(*(reply.text("ok") for _ in range(3)))
    begun = len(emulator.requests)
    client.generate_content(MODEL, request, **options)
    list(client.stream_generate_content(MODEL, request, **options))

    async def ask():
        async with AsyncClient(base_url=emulator.base_url, api_key=emulator.api_key) as client:
            await client.generate_content(MODEL, request, **options)

    asyncio.run(ask())
    first, *others = [entry.json for entry in emulator.requests][begun:]
    assert others == [first] * 2
    return first


def text(words: str, role: str = "user"):
    return genai_types.Content(role=role, parts=[genai_types.Part(text=words)])


CONTENTS = {
    "text": ({"contents": "Hello"}, [{"role": "user", "parts": [{"text": "Hello"}]}]),
    "texts": (["Hello", "you"], [{"role": "user", "parts": [{"text": "Hello"}, {"text": "you"}]}]),
    "a part": (genai_types.Part(text="Hello"), [{"role": "user", "parts": [{"text": "Hello"}]}]),
    "a content": (text("Hello"), [{"role": "user", "parts": [{"text": "Hello"}]}]),
    "contents": (
        [text("One"), text("Two", "model"), "Three"],
        [
            {"role": "user", "parts": [{"text": "One"}]},
            {"role": "model", "parts": [{"text": "Two"}]},
            {"role": "user", "parts": [{"text": "Three"}]},
        ],
    ),
    "a request": (
        {"contents": [text("Hello")], "system_instruction": "Be brief."},
        [{"role": "user", "parts": [{"text": "Hello"}]}],
    ),
    "bytes": (
        ["What is it?", genai_types.Part.from_bytes(data=BYTES, mime_type="image/png")],
        [
            {
                "role": "user",
                "parts": [{"text": "What is it?"}, {"inlineData": {"mimeType": "image/png", "data": BASE64}}],
            }
        ],
    ),
    "a content with texts": (
        {"contents": [{"role": "user", "parts": ["Hello"]}]},
        [{"role": "user", "parts": [{"text": "Hello"}]}],
    ),
}


@pytest.mark.parametrize(("request_", "contents"), CONTENTS.values(), ids=CONTENTS.keys())
def test_contents(emulator, client, request_, contents):
    """Text, parts, contents and lists of them, Google's and plain, become contents."""
    emulator.validate = False

    assert sent_for(emulator, client, request_)["contents"] == contents


def test_signatures_and_calls_keep_their_bytes(server):
    """Google's objects hold decoded signatures; what is the user's own keeps its spelling."""
    call = genai_types.Part(
        function_call=genai_types.FunctionCall(name="f", args={"first_name": {"snake_case": 1}}),
        thought_signature=BYTES,
    )
    result = genai_types.Part.from_function_response(name="f", response={"some_key": 1})

    with Client(base_url=server.base_url, api_key="k") as client:
        client.generate_content(MODEL, [text("x"), genai_types.Content(role="model", parts=[call]), result])

    _, called, answered = server.requests[0].json["contents"]
    assert called["parts"] == [
        {"functionCall": {"name": "f", "args": {"first_name": {"snake_case": 1}}}, "thoughtSignature": BASE64}
    ]
    assert answered["parts"] == [{"functionResponse": {"name": "f", "response": {"some_key": 1}}}]


CONFIG = {
    "system_instruction": "Be brief.",
    "temperature": 0.5,
    "max_output_tokens": 500,
    "stop_sequences": ["END"],
    "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "thinking_config": {"thinking_budget": 100, "include_thoughts": True},
    "tool_config": {"function_calling_config": {"mode": "ANY"}},
    "tools": [get_weather],
}


@pytest.mark.parametrize("config", [genai_types.GenerateContentConfig(**CONFIG), CONFIG], ids=["object", "dict"])
@pytest.mark.parametrize("inside", [True, False], ids=["in the request", "as option"])
def test_a_config(emulator, client, config, inside):
    """The flat config of google-genai goes where REST has each of its fields."""
    if inside:
        sent = sent_for(emulator, client, {"contents": "Hello", "config": config})
    else:
        sent = sent_for(emulator, client, {"contents": "Hello"}, config=config)

    assert sent["generationConfig"] == {
        "temperature": 0.5,
        "maxOutputTokens": 500,
        "stopSequences": ["END"],
        "thinkingConfig": {"thinkingBudget": 100, "includeThoughts": True},
    }
    assert sent["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert sent["safetySettings"] == CONFIG["safety_settings"]
    assert sent["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    [declared] = sent["tools"][0]["functionDeclarations"]
    assert declared["name"] == "get_weather"
    assert declared["parametersJsonSchema"]["properties"]["city"]["type"] == "string"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [(Recipe, "OBJECT"), (list[Recipe], "ARRAY"), (genai_types.Schema(type="STRING"), "STRING")],
    ids=["class", "list", "Schema"],
)
def test_response_schemas(emulator, client, schema, expected):
    """A class, a list of a class and Google's Schema bind the answer."""
    config = genai_types.GenerateContentConfig(response_mime_type="application/json", response_schema=schema)

    sent = sent_for(emulator, client, text("A recipe?"), config=config)["generationConfig"]

    assert sent["responseMimeType"] == "application/json"
    assert sent["responseSchema"]["type"].upper() == expected


@pytest.mark.parametrize(
    "tool",
    [
        genai_types.Tool(function_declarations=[genai_types.FunctionDeclaration(name="f", description="d")]),
        genai_types.FunctionDeclaration(name="f", description="d"),
        {"name": "f", "description": "d"},
        {"function_declarations": [{"name": "f", "description": "d"}]},
    ],
    ids=["Tool", "FunctionDeclaration", "dict", "dict of a Tool"],
)
def test_tools(emulator, client, tool):
    """Tools of every form beside each other, and Google's own."""
    tools = [tool, genai_types.Tool(google_search=genai_types.GoogleSearch())]
    emulator.validate = False

    sent = sent_for(emulator, client, {"contents": "Hello", "tools": tools})

    assert {"functionDeclarations": [{"name": "f", "description": "d"}]} in sent["tools"]
    assert {"googleSearch": {}} in sent["tools"]


def test_options_of_googles_transport_are_named(client):
    """What would be dropped in silence is an error that says what to write."""
    config = genai_types.GenerateContentConfig(http_options=genai_types.HttpOptions(timeout=1000))

    with pytest.raises(ConfigurationError, match="timeout="):
        client.generate_content(MODEL, text("Hello"), config=config)


def test_our_own_requests_are_sent_as_they_are(emulator, client):
    """A typed request and a plain one need no conversion."""
    contents = [{"role": "user", "parts": [{"text": "Hello"}]}]
    typed = gemway.types.GenerateContentRequest(contents=contents)

    assert sent_for(emulator, client, typed) == sent_for(emulator, client, {"contents": contents})
