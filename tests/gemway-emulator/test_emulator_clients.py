"""Google's own client, unmodified: dummy API key, Bearer header, everything it can do."""

from __future__ import annotations

from typing import Literal

import pytest
from gemway_emulator import Emulator, reply
from pydantic import BaseModel

genai = pytest.importorskip("google.genai")
types = genai.types

MODELS = ["gemini-2.5-flash", "gemini-3-flash-preview"]
PAINTER = "gemini-3.1-flash-image-preview"


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"21 degrees in {city}"


@pytest.fixture
def client(emulator: Emulator):
    """A google-genai client as its users configure it for a Bearer gateway."""
    options = types.HttpOptions(base_url=emulator.base_url, headers={"Authorization": f"Bearer {emulator.api_key}"})
    with genai.Client(api_key="dummy", http_options=options) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_remembers(client, model):
    """Both turns are kept in the curated history and sent back."""
    chat = client.chats.create(model=model)
    chat.send_message("My name is Bob.")

    assert "Bob" in chat.send_message("What is my name?").text
    assert len(chat.get_history(curated=True)) == 4


@pytest.mark.parametrize("model", MODELS)
def test_a_streamed_chat_remembers(client, model):
    """Several chunks, and none that costs the turn."""
    chat = client.chats.create(model=model)
    chunks = list(chat.send_message_stream("My name is Bob and I like foxes that live in towns."))

    assert len(chunks) >= 2
    assert "Bob" in chat.send_message("What is my name?").text


@pytest.mark.parametrize("model", MODELS)
def test_functions_are_called_automatically(client, emulator, model):
    """One call, its result, and a text that holds it; signatures survive the round trip."""
    chat = client.chats.create(model=model, config=types.GenerateContentConfig(tools=[get_weather]))

    assert "21 degrees in Paris" in chat.send_message("What is the weather in Paris? Use the get_weather tool.").text
    assert len(emulator.requests) == 2
    assert "21 degrees in Rome" in "".join(
        chunk.text or "" for chunk in chat.send_message_stream("And the weather in Rome?")
    )


def test_structured_answers_parse(client):
    """A pydantic class with nested list and enum."""

    class Animal(BaseModel):
        name: str
        kind: Literal["cat", "dog"]
        legs: int
        toys: list[str]

    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Animal)
    text = "name: Rex, a dog with 4 legs. toys: ball, bone and rope"
    answer = client.models.generate_content(model=MODELS[0], contents=text, config=config)

    assert answer.parsed == Animal(name="Rex", kind="dog", legs=4, toys=["ball", "bone", "rope"])


def test_a_picture_and_its_edit(client):
    """The picture opens, its signature goes back with the chat."""
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K")
    )
    [part] = (
        client.models.generate_content(model=PAINTER, contents="a neon fox", config=config).candidates[0].content.parts
    )
    assert part.as_image()._pil_image.size == (2752, 1536)

    chat = client.chats.create(model=PAINTER)
    chat.send_message("a neon fox")
    edited = chat.send_message("make it green").candidates[0].content.parts
    assert [part.inline_data is not None for part in edited] == [False, True]


def test_thoughts_and_usage(client):
    """Counts and parts arrive typed."""
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    answer = client.models.generate_content(model=MODELS[1], contents="Think about foxes", config=config)

    assert answer.candidates[0].content.parts[0].thought is True
    assert answer.usage_metadata.thoughts_token_count > 0


def test_models_and_token_counts(client):
    """`models.get`, `models.list` and `count_tokens`."""
    assert client.models.get(model=MODELS[0]).input_token_limit == 1_048_576
    assert any(model.name == f"models/{MODELS[0]}" for model in client.models.list())
    assert client.models.count_tokens(model=MODELS[0], contents="hello there").total_tokens > 0


def test_errors_are_typed(client, emulator):
    """Code and status reach the exception."""
    emulator.enqueue(reply.error(429, message="slow down"))
    with pytest.raises(genai.errors.ClientError) as caught:
        client.models.generate_content(model=MODELS[0], contents="x")

    assert (caught.value.code, caught.value.status, caught.value.message) == (429, "RESOURCE_EXHAUSTED", "slow down")
    with pytest.raises(genai.errors.ClientError):
        client.models.generate_content(model="no-such-model", contents="x")


async def test_the_async_client_streams(client):
    """The same over its asynchronous half."""
    chunks = [
        chunk
        async for chunk in await client.aio.models.generate_content_stream(
            model=MODELS[0], contents="Tell me about the foxes in town"
        )
    ]

    assert len(chunks) >= 2
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    await client.aio.aclose()
