"""GoogleGenAI of LlamaIndex: chat, streams, agents, structured output, pictures in, errors, embeddings.

It cannot return pictures: its chat drops them, so there is no `picture` and no `edit` here.
"""

from __future__ import annotations

import asyncio
import base64
import io

from checks import BASE_URL, DUMMY, HEADERS, MODELS, OSLO, WEATHER, fails, get_weather, run
from google.genai import types
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.google_genai import GoogleGenAI
from PIL import Image
from pydantic import BaseModel


class Place(BaseModel):
    """A place."""

    city: str
    country: str


def connect(model: str, headers: dict[str, str] = HEADERS) -> GoogleGenAI:
    options = types.HttpOptions(base_url=BASE_URL, headers=headers)
    return GoogleGenAI(model=model, api_key=DUMMY, http_options=options, max_retries=0)


def chat() -> None:
    for model in MODELS:
        llm = connect(model)
        first = llm.chat([ChatMessage(role="user", content=OSLO)])
        assert first.message.content == "Oslo is the capital of Norway."
        history = [ChatMessage(role="user", content=OSLO), first.message, ChatMessage(role="user", content="And then?")]
        assert llm.chat(history).message.content
        assert llm.complete(OSLO).text
        assert asyncio.run(connect(model).acomplete(OSLO)).text
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    picture = ImageBlock(image=base64.b64encode(buffer.getvalue()), image_mimetype="image/png")
    message = ChatMessage(role="user", blocks=[TextBlock(text="What is this?"), picture])
    assert "image/png" in connect(MODELS[0]).chat([message]).message.content


def stream() -> None:
    for model in MODELS:
        pieces = list(connect(model).stream_chat([ChatMessage(role="user", content=OSLO)]))
        assert len(pieces) >= 2
        assert pieces[-1].message.content == "Oslo is the capital of Norway."


def tools() -> None:
    async def ask(model: str) -> str:
        agent = FunctionAgent(tools=[get_weather], llm=connect(model))
        return str(await agent.run(WEATHER))

    for model in MODELS:
        assert "21 degrees in Paris" in asyncio.run(ask(model))


def schema() -> None:
    prompt = PromptTemplate("city: Oslo, country: Norway")
    for model in MODELS:
        place = connect(model).structured_predict(Place, prompt)
        assert (place.city, place.country) == ("Oslo", "Norway"), place


def errors() -> None:
    fails(lambda: connect(MODELS[0], {"Authorization": "Bearer wrong"}), "401")
    fails(lambda: connect("no-such-model"), "404")


run({check.__name__: check for check in (chat, stream, tools, schema, errors)})
