"""The adapter of docs/adapters.md, run with pydantic-ai against the emulator. `nox -s adapters` installs pydantic-ai."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest
import source_tree as source
from gemway_emulator import Emulator, reply
from pydantic import BaseModel

pydantic_ai = pytest.importorskip("pydantic_ai")

TEXT_MODELS = pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-flash-preview"])
PAINTER = "gemini-3.1-flash-image-preview"


class Animal(BaseModel):
    """An animal."""

    name: str
    legs: int


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"21 degrees in {city}"


@pytest.fixture
def adapter(gateway_environment: Emulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the example."""
    monkeypatch.syspath_prepend(source.ROOT)
    return importlib.import_module("examples.adapters.pydantic_ai_model")


@TEXT_MODELS
def test_text(adapter, emulator, model):
    """An answer has its text, its usage and the reason why it ended."""
    emulator.enqueue(reply.text("2,850 km.", usage={"promptTokenCount": 7, "candidatesTokenCount": 5}))

    result = pydantic_ai.Agent(adapter.GemwayModel(model), system_prompt="Be brief.").run_sync("How long is it?")

    response = result.all_messages()[-1]
    assert result.output == "2,850 km."
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 5)
    assert response.finish_reason == "stop"
    assert emulator.requests[0].json["systemInstruction"] == {"parts": [{"text": "Be brief."}]}


def test_settings(adapter, emulator):
    """pydantic-ai's settings become Gemini's generationConfig; instructions become part of the system instruction."""
    settings = {"max_tokens": 20, "temperature": 0.5, "stop_sequences": ["END"]}
    agent = pydantic_ai.Agent(adapter.GemwayModel("gemini-2.5-flash"), instructions="Rhyme.", model_settings=settings)

    agent.run_sync("A line, please.")

    sent = emulator.requests[0].json
    assert sent["generationConfig"] == {"maxOutputTokens": 20, "temperature": 0.5, "stopSequences": ["END"]}
    assert sent["systemInstruction"]["parts"] == [{"text": "Rhyme."}]


@TEXT_MODELS
def test_an_agent_with_a_tool(adapter, emulator, model):
    """The call's signature goes back as it came, and the result follows its call."""
    signature = "c2lnbmF0dXJlLW9mLXRoZS1jYWxs"
    emulator.enqueue(
        reply.tool_call("get_weather", {"city": "Paris"}, signature=signature), reply.text("It has 21 degrees.")
    )

    result = pydantic_ai.Agent(adapter.GemwayModel(model), tools=[get_weather]).run_sync("Weather in Paris?")

    call, answer = emulator.requests[1].json["contents"][1:]
    assert result.output == "It has 21 degrees."
    assert call["parts"][0]["thoughtSignature"] == signature
    assert answer["parts"][0]["functionResponse"]["response"] == {"output": "21 degrees in Paris"}


@pytest.mark.parametrize("mode", ["NativeOutput", "ToolOutput"])
def test_structured_output(adapter, emulator, mode):
    """An answer becomes an object, asked for by schema or by tool."""
    native = mode == "NativeOutput"
    animal = {"name": "Rex", "legs": 4}
    emulator.enqueue(reply.text('{"name": "Rex", "legs": 4}') if native else reply.tool_call("final_result", animal))
    output = getattr(pydantic_ai, mode)(Animal)

    result = pydantic_ai.Agent(adapter.GemwayModel("gemini-2.5-flash"), output_type=output).run_sync("Rex has 4 legs")

    assert result.output == Animal(name="Rex", legs=4)


def test_pictures(adapter, emulator):
    """A picture goes in with a question and comes out as a file."""
    emulator.enqueue(reply.image(width=64, height=48))
    picture = pydantic_ai.BinaryContent(bytes.fromhex("89504e470d0a1a0a") + bytes(20), media_type="image/png")
    agent = pydantic_ai.Agent(adapter.GemwayModel(PAINTER), output_type=pydantic_ai.BinaryImage)

    painted = agent.run_sync(["Make it night.", picture]).output

    sent = emulator.requests[0].json["contents"][0]["parts"]
    assert painted.media_type == "image/png"
    assert [sorted(part) for part in sent] == [["text"], ["inlineData"]]


def test_a_stream(adapter, emulator):
    """Text arrives in pieces; thoughts are apart; the usage is there at the end."""
    emulator.enqueue(reply.text("Foxes live.", chunks=["Foxes ", "live."], thoughts="Hm."))

    async def stream() -> tuple[list[str], Any]:
        async with pydantic_ai.Agent(adapter.GemwayModel("gemini-2.5-flash")).run_stream("Foxes?") as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
            return pieces, result.all_messages()[-1]

    pieces, response = asyncio.run(stream())

    assert pieces == ["Foxes ", "live."]
    assert [part.part_kind for part in response.parts] == ["thinking", "text"]
    assert response.usage.output_tokens > 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_errors(adapter, emulator, streamed):
    """A refusal of the gateway is pydantic-ai's error with the status, so that its fallback models work."""
    errors = pytest.importorskip("pydantic_ai.exceptions")
    emulator.enqueue(reply.error(400, message="no such luck"))
    agent = pydantic_ai.Agent(adapter.GemwayModel("gemini-2.5-flash"))

    async def ask() -> None:
        if not streamed:
            await agent.run("Hello")
        else:
            async with agent.run_stream("Hello") as result:
                await result.get_output()

    with pytest.raises(errors.ModelHTTPError, match="no such luck") as caught:
        asyncio.run(ask())

    assert caught.value.status_code == 400
