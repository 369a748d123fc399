"""What is built on Google's client, unmodified, through a gateway: agents, streams, structured answers, pictures.

Each part needs its framework, which the project does not depend on; `nox -s google` installs them all.
"""

from __future__ import annotations

import asyncio
import base64
import warnings
from typing import Any

import pytest
from gemway.google import google_options
from gemway_emulator import Emulator, reply
from pydantic import BaseModel

genai = pytest.importorskip("google.genai")

MODEL, PAINTER = "gemini-2.5-flash", "gemini-3.1-flash-image-preview"
GATEWAYS = {
    "plain": (),
    "google key wins": ("key_header_wins",),
    "no model route": ("no_model_routes",),
    "like new-api": (
        *("key_header_wins", "no_v1_route", "ping_comments", "done_marker", "openai_errors", "drop_snake_case"),
        *("no_model_routes", "no_call_ids"),
    ),
    "JSON array": ("json_array_stream",),
}


class Animal(BaseModel):
    """An animal."""

    name: str
    legs: int


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"21 degrees in {city}"


@pytest.fixture(params=GATEWAYS.values(), ids=GATEWAYS.keys())
def gateway(request, emulator: Emulator, monkeypatch):
    """A gateway that the environment names; its journal shows the Bearer token and no other credential."""
    monkeypatch.setenv("GEMWAY_BASE_URL", emulator.base_url)
    monkeypatch.setenv("GEMWAY_API_KEY", emulator.api_key)
    emulator.misbehave = request.param
    emulator.strict_signatures = False  # the frameworks leave signatures out that they need not send
    yield emulator
    for entry in emulator.requests:
        assert entry.headers["authorization"] == f"Bearer {emulator.api_key}"
        assert "x-goog-api-key" not in entry.headers


def result_sent(gateway: Emulator) -> Any:
    """Return the response of the function that went back last."""
    contents = gateway.requests[-1].json["contents"]
    parts = [part for content in contents for part in content["parts"] if "functionResponse" in part]
    return parts[-1]["functionResponse"]["response"]


def enqueue_agent(gateway: Emulator) -> None:
    gateway.enqueue(reply.tool_call("get_weather", {"city": "Paris"}), reply.text("It has 21 degrees."))


# LangChain's ChatGoogleGenerativeAI


@pytest.fixture
def langchain_model(gateway):
    """Return a function that makes a ChatGoogleGenerativeAI of the gateway."""
    module = pytest.importorskip("langchain_google_genai")
    return lambda model=MODEL: module.ChatGoogleGenerativeAI(model=model, **google_options(framework="langchain"))


def test_langchain_agent(langchain_model, gateway):
    """A tool is called and its result goes back, blocking and in event loops."""
    langchain_core_tools = pytest.importorskip("langchain_core.tools")
    agents = pytest.importorskip("langchain.agents")
    agent = agents.create_agent(langchain_model(), tools=[langchain_core_tools.tool(get_weather)])
    question = {"messages": [{"role": "user", "content": "The weather in Paris?"}]}

    enqueue_agent(gateway)
    blocking = agent.invoke(question)["messages"][-1]
    texts = [blocking.text]
    for _ in range(2):
        enqueue_agent(gateway)
        texts.append(asyncio.run(agent.ainvoke(question))["messages"][-1].text)

    assert texts == ["It has 21 degrees."] * 3
    assert "21 degrees in Paris" in str(result_sent(gateway))


def test_langchain_stream_and_structured_answers(langchain_model, gateway):
    """Chunks come one by one, and an answer becomes an object."""
    model = langchain_model()
    gateway.enqueue(reply.text("Foxes live.", chunks=["Foxes ", "live."]), reply.text("Foxes live."))
    gateway.enqueue(reply.text('{"name": "Rex", "legs": 4}'))

    async def stream() -> list[str]:
        return [chunk.text async for chunk in model.astream("Foxes?")]

    assert "".join(chunk.text for chunk in model.stream("Foxes?")) == "Foxes live."
    assert "".join(asyncio.run(stream())) == "Foxes live."
    structured = model.with_structured_output(Animal, method="json_schema")
    assert structured.invoke("Rex has 4 legs") == Animal(name="Rex", legs=4)


def test_langchain_picture(langchain_model, gateway):
    """A picture is a block of the message."""
    gateway.enqueue(reply.image(width=64, height=48))

    modalities = [pytest.importorskip("langchain_google_genai").Modality.IMAGE]
    message = langchain_model(PAINTER).invoke("a fox", response_modalities=modalities)

    assert "image" in str([block["type"] for block in message.content])


# LlamaIndex's GoogleGenAI


@pytest.fixture
def llama_index_model(gateway):
    """Return a function that makes a GoogleGenAI of the gateway."""
    module = pytest.importorskip("llama_index.llms.google_genai")
    return lambda model=MODEL: module.GoogleGenAI(model=model, **google_options())


def test_llama_index_agent(llama_index_model, gateway):
    """A tool is called and its result goes back, in one event loop after another."""
    workflow = pytest.importorskip("llama_index.core.agent.workflow")
    answers = []
    model = llama_index_model()

    async def ask() -> str:
        agent = workflow.FunctionAgent(tools=[get_weather], llm=model, streaming=False)
        return str(await agent.run("The weather in Paris?"))

    for _ in range(2):
        enqueue_agent(gateway)
        answers.append(asyncio.run(ask()))

    assert answers == ["It has 21 degrees."] * 2
    assert "21 degrees in Paris" in str(result_sent(gateway))


def test_llama_index_stream_and_structured_answers(llama_index_model, gateway):
    """Chunks come one by one, and an answer becomes an object."""
    llm = llama_index_model()
    prompts = pytest.importorskip("llama_index.core.prompts")
    gateway.enqueue(reply.text("Foxes live.", chunks=["Foxes ", "live."]))
    gateway.enqueue(reply.text('{"name": "Rex", "legs": 4}'))

    assert "".join(chunk.delta or "" for chunk in llm.stream_complete("Foxes?")) == "Foxes live."
    assert llm.structured_predict(Animal, prompts.PromptTemplate("Rex has 4 legs")) == Animal(name="Rex", legs=4)


def test_llama_index_picture(llama_index_model, gateway):
    """A picture is a block of the message."""
    llms = pytest.importorskip("llama_index.core.llms")
    gateway.enqueue(reply.image(width=64, height=48))

    message = llama_index_model(PAINTER).chat([llms.ChatMessage("a fox")]).message

    assert "image" in [block.block_type for block in message.blocks]


# pydantic-ai, instructor, ADK


@pytest.fixture
def googles_client(gateway):
    """A client of Google's, for the frameworks that take one."""
    with genai.Client(**google_options()) as client:
        yield client


def test_pydantic_ai(googles_client, gateway):
    """Agent, stream and structured answer."""
    pydantic_ai = pytest.importorskip("pydantic_ai")
    google = pytest.importorskip("pydantic_ai.models.google")
    providers = pytest.importorskip("pydantic_ai.providers.google")
    model = google.GoogleModel(MODEL, provider=providers.GoogleProvider(client=googles_client))

    enqueue_agent(gateway)
    assert pydantic_ai.Agent(model, tools=[get_weather]).run_sync("Weather?").output == "It has 21 degrees."
    assert "21 degrees in Paris" in str(result_sent(gateway))
    gateway.enqueue(reply.text("Foxes live.", chunks=["Foxes ", "live."]))

    async def stream() -> str:
        async with pydantic_ai.Agent(model).run_stream("Foxes?") as result:
            return await result.get_output()

    assert asyncio.run(stream()) == "Foxes live."
    gateway.enqueue(reply.text('{"name": "Rex", "legs": 4}'))
    structured = pydantic_ai.Agent(model, output_type=pydantic_ai.NativeOutput(Animal))
    assert structured.run_sync("Rex has 4 legs").output == Animal(name="Rex", legs=4)


def test_pydantic_ai_picture(googles_client, gateway):
    """A picture is the output of an agent, and goes back when it is edited."""
    pydantic_ai = pytest.importorskip("pydantic_ai")
    google = pytest.importorskip("pydantic_ai.models.google")
    providers = pytest.importorskip("pydantic_ai.providers.google")
    model = google.GoogleModel(PAINTER, provider=providers.GoogleProvider(client=googles_client))
    agent = pydantic_ai.Agent(model, output_type=pydantic_ai.BinaryImage)
    gateway.enqueue(reply.image(width=64, height=48), reply.image(width=48, height=64))

    first = agent.run_sync("a fox").output
    second = agent.run_sync(["make it blue", first]).output

    assert first.media_type == second.media_type == "image/png"
    sent = gateway.requests[-1].json["contents"][-1]["parts"][-1]["inlineData"]
    assert sent == {"mimeType": "image/png", "data": base64.b64encode(first.data).decode()}
    assert second.data != first.data


def test_instructor(googles_client, gateway):
    """An answer becomes an object, asked for by a tool."""
    instructor = pytest.importorskip("instructor")
    pytest.importorskip("jsonref")
    gateway.enqueue(reply.tool_call("Animal", {"name": "Rex", "legs": 4}))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asking = instructor.from_genai(googles_client, mode=instructor.Mode.GENAI_TOOLS)
        messages = [{"role": "user", "content": "Rex has 4 legs"}]
        animal = asking.chat.completions.create(model=MODEL, messages=messages, response_model=Animal)

    assert (animal.name, animal.legs) == ("Rex", 4)


def test_adk(googles_client, gateway):
    """An agent of Google's Agent Development Kit calls its tool."""
    agents = pytest.importorskip("google.adk.agents")
    models = pytest.importorskip("google.adk.models")
    runners = pytest.importorskip("google.adk.runners")

    class GatewayModel(models.Gemini):
        @property
        def api_client(self):
            return googles_client

    agent = agents.LlmAgent(name="weather", model=GatewayModel(model=MODEL), tools=[get_weather])
    enqueue_agent(gateway)

    async def ask() -> list[str]:
        runner = runners.InMemoryRunner(agent=agent, app_name="weather")
        session = await runner.session_service.create_session(app_name="weather", user_id="me")
        content = genai.types.Content(role="user", parts=[genai.types.Part(text="The weather in Paris?")])
        events = runner.run_async(user_id="me", session_id=session.id, new_message=content)
        return [part.text async for event in events for part in event.content.parts if part.text]

    assert asyncio.run(ask()) == ["It has 21 degrees."]
    assert "21 degrees in Paris" in str(result_sent(gateway))
