"""Conversations of `client.chat`: history, signatures, streams, and Python functions that are called by themselves."""

from __future__ import annotations

import asyncio
import base64
from typing import Any, Literal

import pytest
from gemway import AsyncClient, BadRequestError, Client, ConfigurationError
from gemway_emulator import reply
from pydantic import BaseModel

MODELS = ["gemini-2.5-flash", "gemini-3-flash-preview"]
SIGNATURE = base64.b64encode(bytes(range(240, 256))).decode()


class Blocking:
    """A chat of `Client`."""

    def __init__(self, emulator, model=MODELS[0], **options):
        self.client = Client(base_url=emulator.base_url, api_key=emulator.api_key)
        self.chat = self.client.chat(model, **options)

    def send(self, message):
        return self.chat.send(message)

    def stream(self, message):
        with self.chat.stream(message) as chunks:
            return list(chunks)


class Asyncio:
    """A chat of `AsyncClient`, each message in a loop of its own."""

    def __init__(self, emulator, model=MODELS[0], **options):
        self.client = AsyncClient(base_url=emulator.base_url, api_key=emulator.api_key)
        self.chat = self.client.chat(model, **options)

    def send(self, message):
        return asyncio.run(self.chat.send(message))

    def stream(self, message):
        async def read():
            async with self.chat.stream(message) as chunks:
                return [chunk async for chunk in chunks]

        return asyncio.run(read())


every_kind = pytest.mark.parametrize("kind", [Blocking, Asyncio])


@every_kind
@pytest.mark.parametrize("model", MODELS)
def test_a_chat_remembers(emulator, kind, model):
    """What was said goes back, whole and streamed, with signatures byte for byte."""
    emulator.enqueue(
        reply.text("Hello Bob.", signature=SIGNATURE), reply.text("It is Bob.", chunks=2), reply.text("Bob!")
    )
    chat = kind(emulator, model)

    assert chat.send("My name is Bob.").text == "Hello Bob."
    assert "".join(chunk.text for chunk in chat.stream("What is my name?")) == "It is Bob."
    chat.send("Louder!")

    sent = emulator.requests[-1].json["contents"]
    assert [content["role"] for content in sent] == ["user", "model", "user", "model", "user"]
    assert sent[1]["parts"] == [{"text": "Hello Bob.", "thoughtSignature": SIGNATURE}]
    assert "".join(part["text"] for part in sent[3]["parts"]) == "It is Bob."
    assert len(chat.chat.history) == 6


class Place(BaseModel):
    city: str
    country: str = "France"


def get_weather(place: Place, unit: Literal["C", "F"] = "C", days: int = 1) -> dict[str, Any]:
    """Forecast the weather.

    Args:
        place: where,
            exactly.
        days: how many.
    """
    return {"where": place.city, "unit": unit, "days": days}


@every_kind
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("streams", [False, True], ids=["send", "stream"])
def test_functions_are_called(emulator, kind, model, streams):
    """A function gets its arguments as it declares them, and its result goes back behind the signed call."""
    call = reply.tool_call("get_weather", {"place": {"city": "Paris"}, "days": 2.0})
    emulator.enqueue(call, reply.text("Fine."))
    chat = kind(emulator, model, tools=[get_weather], system_instruction="Be brief.")

    text = "".join(chunk.text for chunk in chat.stream("Weather?")) if streams else chat.send("Weather?").text

    assert text == "Fine."
    first, second = (entry.json for entry in emulator.requests)
    assert first["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    [declared] = first["tools"][0]["functionDeclarations"]
    assert (declared["name"], declared["description"]) == ("get_weather", "Forecast the weather.")
    properties = declared["parametersJsonSchema"]["properties"]
    assert properties["place"].get("description") == "where, exactly."
    assert properties["unit"]["enum"] == ["C", "F"]
    assert declared["parametersJsonSchema"]["required"] == ["place"]
    asked, called, result = second["contents"]
    assert called["parts"][0]["functionCall"]["name"] == "get_weather"
    response = result["parts"][0]["functionResponse"]
    assert response["response"] == {"result": {"where": "Paris", "unit": "C", "days": 2}}
    assert len(chat.chat.history) == 4


@every_kind
def test_what_a_function_raises_goes_to_the_model(emulator, kind):
    """The model reads the error and may answer to it; wrong arguments are errors, too."""

    def divide(one: int, two: int) -> float:
        return one / two

    emulator.enqueue(reply.tool_call("divide", {"one": 1, "two": 0}), reply.tool_call("divide", {"one": "x", "two": 1}))
    emulator.enqueue(reply.text("It cannot be done."))
    chat = kind(emulator, tools=[divide])

    assert chat.send("1/0?").text == "It cannot be done."
    answers = [content.parts[0].function_response.response for content in chat.chat.history[2:5:2]]
    assert answers[0] == {"error": "division by zero"}
    assert answers[1]["error"].startswith("one: ")


@every_kind
def test_functions_are_not_called_for_ever(emulator, kind):
    """After `max_function_rounds` the answer with its calls comes back; 0 leaves calling to you."""

    def again() -> str:
        return "again"

    emulator.enqueue(*(reply.tool_call("again") for _ in range(4)))

    assert [call.name for call in kind(emulator, tools=[again], max_function_rounds=2).send("x").function_calls] == [
        "again"
    ]
    assert len(emulator.requests) == 3
    config = {"tools": [again], "automatic_function_calling": {"disable": True}}
    assert kind(emulator, config=config).send("x").function_calls
    assert len(emulator.requests) == 4


def test_async_functions_are_awaited(emulator):
    """An asyncio chat awaits them; a blocking one says that it cannot."""

    async def fetch(url: str) -> str:
        await asyncio.sleep(0)
        return f"<{url}>"

    emulator.enqueue(reply.tool_call("fetch", {"url": "a"}), reply.text("ok"), reply.tool_call("fetch", {"url": "a"}))
    chat = Asyncio(emulator, tools=[fetch])

    assert chat.send("x").text == "ok"
    assert chat.chat.history[2].parts[0].function_response.response == {"result": "<a>"}
    with pytest.raises(ConfigurationError, match=r"AsyncClient\.chat"):
        Blocking(emulator, tools=[fetch]).send("x")


@every_kind
def test_a_message_that_fails_leaves_the_history(emulator, kind):
    """The same message can be sent again."""
    emulator.enqueue(reply.text("one"), reply.error(400, message="no"), reply.text("two"))
    chat = kind(emulator, history=["Hello.", {"role": "model", "parts": [{"text": "Hello!"}]}], max_retries=0)
    chat.send("1")

    with pytest.raises(BadRequestError):
        chat.send("2")
    assert chat.send("2").text == "two"

    assert [content.parts[0].text for content in chat.chat.history] == ["Hello.", "Hello!", "1", "one", "2", "two"]


@every_kind
def test_wrong_options_are_named(emulator, kind):
    """Options of the client, and functions that a model cannot call, say what to write."""

    def many(*numbers: int) -> int:
        return sum(numbers)

    with pytest.raises(ConfigurationError, match="timeout="):
        kind(emulator, config={"http_options": {"timeout": 1}})
    with pytest.raises(ConfigurationError, match="many"):
        kind(emulator, tools=[many])
    with pytest.raises(ConfigurationError, match="max_function_rounds"):
        kind(emulator, max_function_rounds=-1)
