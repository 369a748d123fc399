"""GenerateImage: pictures made and changed by agents."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path
from typing import Any

import gemway
import pytest
from gemway_emulator import Emulator, reply
from langchain.agents import create_agent
from langchain_core import exceptions as langchain
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_gemway import ChatGemway, GenerateImage
from langgraph.checkpoint.memory import MemorySaver

CALL = {"name": "generate_image", "type": "tool_call", "id": "1"}


@pytest.fixture
def generate(gateway_environment: Emulator) -> GenerateImage:
    """The tool, set up by the environment."""
    return GenerateImage(aspect_ratio="16:9", image_size="1K")


def call(tool: GenerateImage, **args: Any) -> ToolMessage:
    message: ToolMessage = tool.invoke({**CALL, "args": args})
    return message


def test_the_artifact_is_the_list_of_images(generate: GenerateImage, emulator: Emulator, tmp_path: Path) -> None:
    """Each can be saved; the model sees the picture and its size."""
    message = call(generate, prompt="a neon fox")

    (image,) = message.artifact
    assert isinstance(image, gemway.Image)
    assert image.save(tmp_path / "fox").exists()
    assert image.width > image.height
    assert [block["type"] for block in message.content] == ["text", "image"]  # type: ignore[index]
    config = emulator.requests[0].json["generationConfig"]
    assert config["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "1K"}


async def test_editing_starts_from_the_newest_picture(generate: GenerateImage, emulator: Emulator) -> None:
    """The one made last in the same thread goes along."""
    first = (await generate.ainvoke({**CALL, "args": {"prompt": "a fox"}})).artifact[0]

    await generate.ainvoke({**CALL, "args": {"prompt": "make it red", "edit": True}})

    parts = emulator.requests[1].json["contents"][0]["parts"]
    assert base64.b64decode(parts[1]["inlineData"]["data"]) == first.data


def test_editing_without_a_picture_is_refused(generate: GenerateImage) -> None:
    """The error tells the model what to do."""
    told = call(generate, prompt="make it red", edit=True)

    assert told.status == "error"
    assert "edit=false" in told.content


def test_agents_edit_what_the_user_sent(gateway_environment: Emulator) -> None:
    """In an agent with a checkpoint the newest picture of the conversation is found, also after the tool's own."""
    emulator = gateway_environment
    png = emulator_picture(emulator)
    agent = create_agent(ChatGemway(model="gemini-2.5-pro"), tools=[GenerateImage()], checkpointer=MemorySaver())
    thread = {"configurable": {"thread_id": "t"}}
    emulator.enqueue(
        reply.tool_call("generate_image", {"prompt": "make it red", "edit": True}),
        reply.image(width=32, height=32),
        reply.text("Done."),
        reply.tool_call("generate_image", {"prompt": "now blue", "edit": True}),
        reply.image(width=48, height=48),
        reply.text("Done again."),
    )
    picture = {"type": "image", "base64": png, "mime_type": "image/png"}

    agent.invoke({"messages": [HumanMessage([{"type": "text", "text": "make it red"}, picture])]}, thread)
    state = agent.invoke({"messages": [HumanMessage("now blue")]}, thread)

    edits = [entry.json for entry in emulator.requests if "image" in entry.path][1:]
    assert edits[0]["contents"][0]["parts"][1]["inlineData"]["data"] == png
    made = [message for message in state["messages"] if isinstance(message, ToolMessage)]
    assert edits[1]["contents"][0]["parts"][1]["inlineData"]["data"] == made[0].content[1]["base64"]  # type: ignore[index]
    assert made[0].artifact[0].width == 32
    assert state["messages"][-1].text == "Done again."


def emulator_picture(emulator: Emulator) -> str:
    client = gemway.Client(base_url=emulator.base_url, api_key=emulator.api_key)
    return client.generate_image("a fox").images[0].base64


REFUSALS = {
    "words instead of a picture": (reply.text("I cannot draw that."), "I cannot draw that"),
    "a blocked prompt": (reply.blocked("SAFETY"), "SAFETY"),
    "a request that the gateway does not accept": (reply.error(400, message="aspectRatio 7:5 is unknown"), "7:5"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_refusals_are_told_to_the_model(generate: GenerateImage, emulator: Emulator, refusal: str) -> None:
    """As a tool message that says so; or raised, if that is wanted."""
    answer, words = REFUSALS[refusal]
    emulator.enqueue(answer, answer, answer)

    for told in (call(generate, prompt="a fox"), await generate.ainvoke({**CALL, "args": {"prompt": "a fox"}})):
        assert told.status == "error"
        assert words in told.content
    strict = generate.model_copy(update={"handle_tool_error": False})
    with pytest.raises(gemway.GemwayError, match=words):
        call(strict, prompt="a fox")


def test_an_agent_goes_on_after_a_refusal(gateway_environment: Emulator) -> None:
    """It reads the model's words and asks for something else."""
    agent = create_agent(ChatGemway(model="gemini-2.5-pro"), tools=[GenerateImage()])
    gateway_environment.enqueue(
        reply.tool_call("generate_image", {"prompt": "a fox"}),
        reply.text("I cannot draw that."),
        reply.text("It could not be drawn."),
    )

    state = agent.invoke({"messages": [HumanMessage("draw a fox")]})

    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert "I cannot draw that" in str(gateway_environment.requests[-1].json)


def test_a_refused_key_is_the_callers(generate: GenerateImage, emulator: Emulator) -> None:
    """No model can mend it: ours and LangChain's error at once."""
    emulator.api_key = "sk-another"
    with pytest.raises(langchain.ModelAuthenticationError):
        call(generate, prompt="a fox")


def test_the_tool_can_be_pickled(generate: GenerateImage) -> None:
    """A copy works."""
    assert call(pickle.loads(pickle.dumps(generate)), prompt="a fox").artifact


def test_unknown_options_are_refused(gateway_environment: Emulator) -> None:
    """A misspelt option is a TypeError."""
    with pytest.raises(TypeError, match="aspect"):
        GenerateImage(aspect="16:9")
