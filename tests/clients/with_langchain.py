"""ChatGoogleGenerativeAI: messages, streams, agents, structured output, pictures, errors, embeddings."""

from __future__ import annotations

import asyncio
import base64

from checks import BASE_URL, DUMMY, HEADERS, MODELS, OSLO, PAINTER, WEATHER, fails, get_weather, run, size_of
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from pydantic import BaseModel


class Place(BaseModel):
    """A place."""

    city: str
    country: str | None = None


def connect(model: str, **options: object) -> ChatGoogleGenerativeAI:
    options = {"additional_headers": HEADERS, "max_retries": 0, **options}
    return ChatGoogleGenerativeAI(model=model, api_key=DUMMY, base_url=BASE_URL, **options)


def chat() -> None:
    for model in MODELS:
        llm = connect(model)
        first = llm.invoke(OSLO)
        assert first.text == "Oslo is the capital of Norway."
        assert first.usage_metadata["total_tokens"] > 0
        assert llm.invoke([("user", OSLO), first, ("user", "My dog is Rex. Who is Rex?")]).text
    assert asyncio.run(connect(MODELS[0]).ainvoke(OSLO)).text
    thinking = connect(MODELS[1], include_thoughts=True).invoke(OSLO)
    assert thinking.usage_metadata["output_token_details"]["reasoning"] > 0


def stream() -> None:
    for model in MODELS:
        chunks = list(connect(model).stream(OSLO))
        assert "".join(chunk.text for chunk in chunks) == "Oslo is the capital of Norway."
        assert len(chunks) >= 2


def tools() -> None:
    for model in MODELS:
        agent = create_agent(connect(model), [get_weather])
        messages = agent.invoke({"messages": [("user", WEATHER)]})["messages"]
        assert "21 degrees in Paris" in messages[-1].text
        assert sum(isinstance(message, AIMessage) for message in messages) == 2
    # With a response format every turn is asked in mode ANY: the emulator must not call the first tool again and again.
    agent = create_agent(connect(MODELS[0]), [get_weather], response_format=Place)
    answer = agent.invoke({"messages": [("user", WEATHER)]}, {"recursion_limit": 12})
    assert isinstance(answer["structured_response"], Place)


def schema() -> None:
    for method in ("json_schema", "function_calling"):
        place = connect(MODELS[0]).with_structured_output(Place, method=method).invoke("city: Oslo, country: Norway")
        assert (place.city, place.country) == ("Oslo", "Norway"), place


def images(message: AIMessage) -> list[bytes]:
    urls = [block["image_url"]["url"] for block in message.content if isinstance(block, dict) and "image_url" in block]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


def picture() -> None:
    llm = connect(PAINTER, image_config={"aspect_ratio": "16:9", "image_size": "2K"}, response_modalities=["IMAGE"])
    (data,) = images(llm.invoke("a neon fox, cinematic"))
    assert size_of(data) == (2752, 1536)


def edit() -> None:
    llm = connect(PAINTER, response_modalities=["TEXT", "IMAGE"])
    first = llm.invoke("a fox")
    second = llm.invoke([HumanMessage("a fox"), first, HumanMessage("now in blue")])
    assert images(first) != images(second)
    url = f"data:image/png;base64,{base64.b64encode(images(first)[0]).decode()}"
    given = HumanMessage([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "sepia"}])
    assert images(llm.invoke([given]))


def errors() -> None:
    wrong = {"Authorization": "Bearer wrong"}
    fails(lambda: connect(MODELS[0], additional_headers=wrong).invoke("hi"), "401")
    fails(lambda: connect("gemini-no-such-model").invoke("hi"), "404")
    fails(lambda: list(connect("gemini-no-such-model").stream("hi")), "404")


def embeddings() -> None:
    model = GoogleGenerativeAIEmbeddings(
        model="models/gemini-embedding-001", api_key=DUMMY, base_url=BASE_URL, additional_headers=HEADERS
    )
    assert [len(vector) for vector in model.embed_documents(["one", "two"])] == [3072, 3072]
    assert len(model.embed_query("one")) == 3072


run({check.__name__: check for check in (chat, stream, tools, schema, picture, edit, errors, embeddings)})
