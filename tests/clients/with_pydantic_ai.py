"""pydantic-ai's GoogleModel: chat, streams, tools, output of every kind, pictures in and out, errors."""

from __future__ import annotations

import asyncio

from checks import BASE_URL, DUMMY, HEADERS, MODELS, OSLO, PAINTER, WEATHER, fails, get_weather, run, size_of
from google import genai
from google.genai import types
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryImage, NativeOutput, ToolOutput
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.providers.google import GoogleProvider


class Place(BaseModel):
    """A place."""

    city: str
    country: str


def connect(model: str, headers: dict[str, str] = HEADERS) -> GoogleModel:
    client = genai.Client(api_key=DUMMY, http_options=types.HttpOptions(base_url=BASE_URL, headers=headers))
    return GoogleModel(model, provider=GoogleProvider(client=client))


def chat() -> None:
    for model in MODELS:
        agent = Agent(connect(model))
        first = agent.run_sync(OSLO)
        assert first.output == "Oslo is the capital of Norway."
        again = agent.run_sync("My name is Bob.", message_history=first.all_messages())
        assert "Bob" in agent.run_sync("What is my name?", message_history=again.all_messages()).output


def stream() -> None:
    async def pieces(model: str) -> list[str]:
        async with Agent(connect(model)).run_stream(OSLO) as result:
            return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    for model in MODELS:
        found = asyncio.run(pieces(model))
        assert len(found) >= 2
        assert "".join(found) == "Oslo is the capital of Norway."


def tools() -> None:
    for model in MODELS:
        assert "21 degrees in Paris" in Agent(connect(model), tools=[get_weather]).run_sync(WEATHER).output


def schema() -> None:
    for output in (NativeOutput(Place), ToolOutput(Place)):
        place = Agent(connect(MODELS[0]), output_type=output).run_sync("city: Oslo, country: Norway").output
        assert (place.city, place.country) == ("Oslo", "Norway"), place
    both = Agent(connect(MODELS[1]), tools=[get_weather], output_type=Place).run_sync(WEATHER)
    assert isinstance(both.output, Place)


def picture() -> None:
    made = Agent(connect(PAINTER), output_type=BinaryImage).run_sync("a neon fox, cinematic").output
    assert made.media_type == "image/png"
    assert size_of(made.data) == (1024, 1024)


def edit() -> None:
    agent = Agent(connect(PAINTER), output_type=BinaryImage)
    first = agent.run_sync("a fox")
    second = agent.run_sync("now in blue", message_history=first.all_messages())
    third = agent.run_sync(["sepia", first.output])
    assert len({first.output.data, second.output.data, third.output.data}) == 3


def errors() -> None:
    fails(lambda: Agent(connect(MODELS[0], {"Authorization": "Bearer wrong"})).run_sync("hi"), "401")
    fails(lambda: Agent(connect("gemini-no-such-model")).run_sync("hi"), "404")


run({check.__name__: check for check in (chat, stream, tools, schema, picture, edit, errors)})
