"""Google's own client, unmodified, through gateways of every kind: it works, and the gateway sees a Bearer token only."""

from __future__ import annotations

import asyncio
import base64
import threading

import pytest
from gemway.google import google_options
from gemway_emulator import Emulator, reply
from pydantic import BaseModel

genai = pytest.importorskip("google.genai")
types = genai.types

MODELS = ["gemini-2.5-flash", "gemini-3-flash-preview"]
TEXT, PAINTER, EMBEDDER = MODELS[0], "gemini-3.1-flash-image-preview", "gemini-embedding-001"

GATEWAYS = {
    "plain": (),
    "google key wins": ("key_header_wins",),
    "no /v1 route": ("no_v1_route",),
    "pings": ("ping_comments",),
    "[DONE]": ("done_marker",),
    "JSON array": ("json_array_stream",),
    "event lines": ("event_lines", "no_space_after_data"),
    "lines of data": ("multi_line_data", "cr_newlines", "byte_order_mark", "no_final_newline"),
    "no stream route": ("no_stream_route",),
    "no snake_case": ("drop_snake_case",),
    "OpenAI's errors": ("openai_errors",),
    "errors as text": ("plain_text_errors",),
    "errors with 200": ("error_with_200",),
    "like new-api": (
        *("key_header_wins", "no_v1_route", "ping_comments", "done_marker", "openai_errors", "drop_snake_case"),
        *("usage_on_last_chunk_only", "no_call_ids"),
    ),
}


class Animal(BaseModel):
    name: str
    legs: int


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"21 degrees in {city}"


@pytest.fixture(params=GATEWAYS.values(), ids=GATEWAYS.keys())
def gateway(request, emulator: Emulator):
    """A gateway with its habits; afterwards its journal shows the Bearer token and no other credential."""
    emulator.misbehave = request.param
    yield emulator
    assert len(emulator.requests) > 0
    check_credentials(emulator)


@pytest.fixture
def client(gateway: Emulator):
    """A google-genai client of the gateway."""
    with genai.Client(**google_options(base_url=gateway.base_url, api_key=gateway.api_key)) as client:
        yield client


def check_credentials(emulator: Emulator) -> None:
    for entry in emulator.requests:
        assert entry.headers["authorization"] == f"Bearer {emulator.api_key}"
        assert "x-goog-api-key" not in entry.headers
        assert "key=" not in entry.path


@pytest.mark.parametrize("model", MODELS)
def test_text(client, gateway, model):
    """`generate_content` gives the text, usage and the answer's metadata."""
    gateway.enqueue(reply.text("Hello Bob"))

    answer = client.models.generate_content(model=model, contents="Say hello to Bob")

    assert answer.text == "Hello Bob"
    assert answer.candidates[0].finish_reason == "STOP"
    assert answer.usage_metadata.total_token_count > 0


@pytest.mark.parametrize("model", MODELS)
def test_stream(client, gateway, model):
    """A stream gives all of the text; in pieces, unless the gateway has no stream route."""
    gateway.enqueue(reply.text("Foxes live in towns.", chunks=["Foxes ", "live ", "in towns."]))

    texts = [chunk.text for chunk in client.models.generate_content_stream(model=model, contents="Foxes?")]

    assert "".join(texts) == "Foxes live in towns."
    assert len(texts) == (1 if "no_stream_route" in gateway.misbehave else 3)


@pytest.mark.parametrize("model", MODELS)
def test_chat(client, gateway, model):
    """A chat sends back what was said, and signatures byte for byte."""
    signature = base64.b64encode(bytes(range(240, 256)) * 3).decode()
    gateway.enqueue(reply.text("Hello Bob.", signature=signature), reply.text("Bob.", chunks=1))
    chat = client.chats.create(model=model)

    chat.send_message("My name is Bob.")
    [chunk] = chat.send_message_stream("What is my name?")

    assert chunk.text == "Bob."
    first, second, third = gateway.requests[-1].json["contents"]
    assert (first["role"], second["role"], third["role"]) == ("user", "model", "user")
    assert second["parts"] == [{"text": "Hello Bob.", "thoughtSignature": signature}]


def test_picture_and_edit(client, gateway):
    """A picture comes whole, and goes back in the standard alphabet of base64."""
    gateway.enqueue(reply.image(width=64, height=48), reply.image(width=48, height=64))
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(aspect_ratio="4:3", image_size="1K")
    )

    answer = client.models.generate_content(model=PAINTER, contents="a fox", config=config)
    picture = answer.candidates[0].content.parts[0]
    assert picture.as_image()._pil_image.size == (64, 48)
    edit = ["make it blue", types.Part.from_bytes(data=picture.inline_data.data, mime_type="image/png")]
    edited = client.models.generate_content(model=PAINTER, contents=edit, config=config).candidates[0].content.parts[0]

    assert edited.as_image()._pil_image.size == (48, 64)
    sent = gateway.requests[-1].json["contents"][0]["parts"][1]["inlineData"]
    assert sent == {"mimeType": "image/png", "data": base64.b64encode(picture.inline_data.data).decode()}


@pytest.mark.parametrize("model", MODELS)
def test_automatic_functions(client, gateway, model):
    """A function is declared with its parameters, called, and its result goes back."""
    gateway.enqueue(reply.tool_call("get_weather", {"city": "Paris"}), reply.text("It has 21 degrees."))
    config = types.GenerateContentConfig(tools=[get_weather])

    answer = client.models.generate_content(model=model, contents="The weather in Paris?", config=config)

    assert answer.text == "It has 21 degrees."
    declared = gateway.requests[0].json["tools"][0]["functionDeclarations"][0]
    assert "city" in str(declared.get("parameters", declared.get("parametersJsonSchema")))
    result = gateway.requests[1].json["contents"][-1]["parts"][0]["functionResponse"]
    assert (result["name"], result["response"]) == ("get_weather", {"result": "21 degrees in Paris"})


def test_schema(client, gateway):
    """A class of pydantic is the schema of the answer, and the answer is one of its objects."""
    gateway.enqueue(reply.text('{"name": "Rex", "legs": 4}'))
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Animal)

    answer = client.models.generate_content(model=TEXT, contents="Rex has 4 legs", config=config)

    assert answer.parsed == Animal(name="Rex", legs=4)
    assert gateway.requests[-1].json["generationConfig"]["responseSchema"]["propertyOrdering"] == ["name", "legs"]


def test_thinking(client, gateway):
    """The configuration of thinking arrives in the spelling that every gateway reads."""
    gateway.enqueue(reply.thoughts("Foxes...", "are red."))
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(thinking_budget=100, include_thoughts=True)
    )

    thought, text = (
        client.models.generate_content(model=TEXT, contents="foxes?", config=config).candidates[0].content.parts
    )

    assert (thought.thought, text.text) == (True, "are red.")
    sent = gateway.requests[-1].json["generationConfig"]["thinkingConfig"]
    assert sent == {"thinkingBudget": 100, "includeThoughts": True}


def test_embed_count_list_and_get(client, gateway):
    """The other calls of a model."""
    embedded = client.models.embed_content(model=EMBEDDER, contents=["one", "two"]).embeddings
    counted = client.models.count_tokens(model=TEXT, contents="hello there")
    listed = [model.name for model in client.models.list()]

    assert [len(embedding.values) > 0 for embedding in embedded] == [True, True]
    assert counted.total_tokens > 0
    assert f"models/{TEXT}" in listed
    assert client.models.get(model=TEXT).input_token_limit == 1_048_576


def test_asyncio(client, gateway):
    """The asyncio half works, in one event loop after another."""
    gateway.enqueue(*(reply.text("Hello Bob", chunks=["Hello", " Bob"]) for _ in range(4)))

    async def talk() -> list[str]:
        answer = await client.aio.models.generate_content(model=TEXT, contents="Hello?")
        stream = await client.aio.models.generate_content_stream(model=TEXT, contents="Hello?")
        return [answer.text, "".join([chunk.text async for chunk in stream])]

    assert asyncio.run(talk()) + asyncio.run(talk()) == ["Hello Bob"] * 4


def test_errors(client, gateway):
    """Errors keep their class, code, word and hint, whichever shape the gateway gave them."""
    gateway.enqueue(reply.error(429, message="slow down", retry_after=3), reply.error(503, message="overloaded"))

    with pytest.raises(genai.errors.ClientError) as client_error:
        client.models.generate_content(model=TEXT, contents="x")
    with pytest.raises(genai.errors.ServerError) as server_error:
        list(client.models.generate_content_stream(model=TEXT, contents="x"))

    assert (client_error.value.code, client_error.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert client_error.value.message == "slow down"
    [hint] = [one for one in client_error.value.details["error"]["details"] if one["@type"].endswith("RetryInfo")]
    assert hint["retryDelay"] == "3s"
    assert (server_error.value.code, server_error.value.status) == (503, "UNAVAILABLE")
    assert server_error.value.message == "overloaded"


def test_an_unknown_model(client, gateway):
    """A model that the gateway does not have is a 404, with and without a stream."""
    with pytest.raises(genai.errors.ClientError) as unary:
        client.models.generate_content(model="no-such-model", contents="x")
    with pytest.raises(genai.errors.ClientError) as stream:
        list(client.models.generate_content_stream(model="no-such-model", contents="x"))

    assert [(error.value.code, error.value.status) for error in (unary, stream)] == [(404, "NOT_FOUND")] * 2


def test_threads_share_one_client(emulator):
    """Twenty threads ask at the same time with one client, over connections that are used again."""
    texts = []
    with genai.Client(**google_options(base_url=emulator.base_url, api_key=emulator.api_key)) as client:
        emulator.enqueue(*(reply.text("ok", delay=0.05) for _ in range(20)))

        def ask() -> None:
            texts.append(client.models.generate_content(model=TEXT, contents="x").text)

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert texts == ["ok"] * 20
    check_credentials(emulator)


def test_environment_variables_are_enough(gateway_environment):
    """Without arguments, GEMWAY_BASE_URL and GEMWAY_API_KEY are used."""
    gateway_environment.enqueue(reply.text("ok"))

    with genai.Client(**google_options()) as client:
        assert client.models.generate_content(model=TEXT, contents="x").text == "ok"
    check_credentials(gateway_environment)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_googles_choice_of_the_http_library_is_honoured(emulator, monkeypatch, library):
    """GOOGLE_GENAI_HTTP_CLIENT decides which library's requests and errors there are."""
    module = pytest.importorskip(library)
    monkeypatch.setenv("GOOGLE_GENAI_HTTP_CLIENT", library)
    emulator.enqueue(reply.error(400, message="no"))

    with genai.Client(**google_options(base_url=emulator.base_url, api_key=emulator.api_key)) as client:
        with pytest.raises(genai.errors.ClientError) as refused:
            client.models.generate_content(model=TEXT, contents="x")
        assert isinstance(refused.value.response, module.Response)
    options = google_options(base_url="http://127.0.0.1:9", api_key="k")
    with genai.Client(**options) as client, pytest.raises(module.ConnectError):
        client.models.generate_content(model=TEXT, contents="x")


def test_vertex_in_the_environment_is_no_obstacle(emulator, monkeypatch):
    """A program that came from Vertex AI asks for Vertex's paths; the gateway gets its own."""
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    emulator.enqueue(reply.text("ok"))

    with genai.Client(**google_options(base_url=emulator.base_url, api_key=emulator.api_key)) as client:
        assert client.models.generate_content(model=TEXT, contents="x").text == "ok"
    assert emulator.requests[0].path == f"/v1beta/models/{TEXT}:generateContent"


def test_googles_own_retries_work(emulator):
    """google-genai repeats what it would repeat at Google: ours are off unless asked for."""
    emulator.enqueue(reply.error(503), reply.text("ok"))
    options = google_options(base_url=emulator.base_url, api_key=emulator.api_key)
    options["http_options"]["retry_options"] = {"attempts": 2, "initial_delay": 0.01}

    with genai.Client(**options) as client:
        assert client.models.generate_content(model=TEXT, contents="x").text == "ok"
