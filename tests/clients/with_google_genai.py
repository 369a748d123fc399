"""google-genai, both generations: chats, streams, automatic functions, schemas, pictures, errors, embeddings."""

from __future__ import annotations

from typing import Literal

from checks import BASE_URL, DUMMY, HEADERS, MODELS, OSLO, PAINTER, WEATHER, fails, get_weather, run, size_of
from google import genai
from google.genai import types
from pydantic import BaseModel


class Recipe(BaseModel):
    title: str
    minutes: int
    course: Literal["starter", "main", "dessert"]
    steps: list[str]


def connect(**changes: str) -> genai.Client:
    options = types.HttpOptions(base_url=BASE_URL, headers={**HEADERS, **changes}, timeout=60_000)
    return genai.Client(api_key=DUMMY, http_options=options)


client = connect()


def chat() -> None:
    for model in MODELS:
        conversation = client.chats.create(model=model)
        assert conversation.send_message(OSLO).text == "Oslo is the capital of Norway."
        conversation.send_message("My name is Bob.")
        assert "Bob" in conversation.send_message("What is my name?").text
        assert len(conversation.get_history(curated=True)) == 6
    assert client.models.count_tokens(model=MODELS[0], contents=OSLO).total_tokens > 5
    assert client.models.get(model=MODELS[0]).input_token_limit == 1_048_576
    assert any(model.name == f"models/{MODELS[0]}" for model in client.models.list())
    thinking = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    answer = client.models.generate_content(model=MODELS[1], contents=OSLO, config=thinking)
    assert any(part.thought for part in answer.candidates[0].content.parts)
    assert answer.usage_metadata.thoughts_token_count


def stream() -> None:
    for model in MODELS:
        conversation = client.chats.create(model=model)
        chunks = list(conversation.send_message_stream(OSLO))
        assert len(chunks) >= 2
        assert "".join(chunk.text or "" for chunk in chunks) == "Oslo is the capital of Norway."
        assert chunks[-1].usage_metadata.total_token_count
        assert len({chunk.response_id for chunk in chunks}) == 1
        assert conversation.send_message("What is the capital of Latvia?").text == "Riga is the capital of Latvia."


def tools() -> None:
    for model in MODELS:
        conversation = client.chats.create(model=model, config=types.GenerateContentConfig(tools=[get_weather]))
        assert "21 degrees in Paris" in conversation.send_message(WEATHER).text
        streamed = conversation.send_message_stream("And the weather in Rome?")
        assert "21 degrees in Rome" in "".join(chunk.text or "" for chunk in streamed)


def schema() -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Recipe)
    answer = client.models.generate_content(model=MODELS[0], contents="A dessert with three steps", config=config)
    assert isinstance(answer.parsed, Recipe)
    bare = types.GenerateContentConfig(
        response_mime_type="text/x.enum", response_schema={"type": "STRING", "enum": ["red", "blue"]}
    )
    assert client.models.generate_content(model=MODELS[0], contents="red or blue?", config=bare).text in ("red", "blue")


def picture() -> None:
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(aspect_ratio="16:9", image_size="2K")
    )
    answer = client.models.generate_content(model=PAINTER, contents="a neon fox, cinematic", config=config)
    (part,) = answer.candidates[0].content.parts
    assert size_of(part.inline_data.data) == (2752, 1536)
    assert part.as_image().mime_type == "image/png"


def edit() -> None:
    config = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
    conversation = client.chats.create(model=PAINTER, config=config)
    images = []
    for prompt in ("a fox", "now in blue", "and in green"):
        parts = conversation.send_message(prompt).candidates[0].content.parts
        images += [part.inline_data.data for part in parts if part.inline_data]
    assert len(set(images)) == 3
    given = types.Part.from_bytes(data=images[0], mime_type="image/png")
    assert client.models.generate_content(model=PAINTER, contents=[given, "sepia"], config=config).candidates


def errors() -> None:
    ask = {"model": MODELS[0], "contents": "hi"}
    stranger = connect(Authorization="Bearer wrong")
    fails(lambda: stranger.models.generate_content(**ask), "401", "UNAUTHENTICATED")
    fails(lambda: client.models.generate_content(model="no-such-model", contents="hi"), "404", "NOT_FOUND")
    bad = types.GenerateContentConfig(image_config=types.ImageConfig(aspect_ratio="7:5"))
    fails(lambda: client.models.generate_content(model=PAINTER, contents="hi", config=bad), "400", "INVALID_ARGUMENT")
    fails(lambda: list(client.models.generate_content_stream(model="no-such-model", contents="hi")), "404")


def embeddings() -> None:
    config = types.EmbedContentConfig(output_dimensionality=256, task_type="RETRIEVAL_DOCUMENT")
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"], config=config)
    assert [len(entry.values) for entry in answer.embeddings] == [256, 256]


run({check.__name__: check for check in (chat, stream, tools, schema, picture, edit, errors, embeddings)})
