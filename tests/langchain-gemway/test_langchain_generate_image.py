"""GenerateImage: pictures made and changed by agents."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gemway
import pytest
from gemway_emulator import Emulator, reply
from langchain.agents import create_agent
from langchain_core import exceptions as langchain
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_gemway import ChatGemway, GenerateImage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

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
    thread = {"configurable": {"thread_id": "t"}}
    first = (await generate.ainvoke({**CALL, "args": {"prompt": "a fox"}}, thread)).artifact[0]

    await generate.ainvoke({**CALL, "args": {"prompt": "make it red", "edit": True}}, thread)

    parts = emulator.requests[1].json["contents"][0]["parts"]
    assert base64.b64decode(parts[1]["inlineData"]["data"]) == first.data


def test_editing_without_a_picture_is_refused(generate: GenerateImage) -> None:
    """The error tells the model what to do."""
    told = call(generate, prompt="make it red", edit=True)

    assert told.status == "error"
    assert "edit=false" in told.content


THREADS = {
    "two threads": ("first", "second"),
    "an id, then none": ("first", None),
    "no ids": (None, None),
    "empty ids": ("", ""),
}


def in_thread(thread: str | None) -> Any:
    return {} if thread is None else {"configurable": {"thread_id": thread}}


@pytest.mark.parametrize("threads", THREADS.values(), ids=THREADS.keys())
async def test_no_picture_goes_to_another_conversation(
    generate: GenerateImage, emulator: Emulator, threads: tuple[str | None, str | None]
) -> None:
    """One tool serves many users: whoever has no picture is told so, and nothing is sent."""
    first, second = map(in_thread, threads)
    edit = {**CALL, "args": {"prompt": "make it red", "edit": True}}
    generate.invoke({**CALL, "args": {"prompt": "the passport of one user"}}, first)

    results = [generate.invoke(edit, second), await generate.ainvoke(edit, second)]

    assert [result.status for result in results] == ["error", "error"]
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("saver", [None, MemorySaver()], ids=["no checkpointer", "checkpointer"])
@pytest.mark.parametrize("threads", [("first", "second"), ("", "")], ids=["two threads", "no ids"])
async def test_agents_share_no_picture(gateway_environment: Emulator, saver: Any, threads: tuple[str, str]) -> None:
    """The same in agents: the second user's conversation holds no picture, so there is none to edit."""
    if saver and not all(threads):
        pytest.skip("a checkpointer asks for a thread's id")
    emulator = gateway_environment
    agent = create_agent(ChatGemway(model="gemini-2.5-pro"), tools=[GenerateImage()], checkpointer=saver)
    first, second = (in_thread(thread or None) for thread in threads)
    emulator.enqueue(reply.tool_call("generate_image", {"prompt": "a passport"}), reply.image(), reply.text("Done."))
    agent.invoke({"messages": [HumanMessage("draw my passport")]}, first)
    emulator.reset()
    edit = reply.tool_call("generate_image", {"prompt": "make it red", "edit": True})
    emulator.enqueue(edit, reply.text("There is none."), edit, reply.text("There is none."))

    agent.invoke({"messages": [HumanMessage("make it red")]}, second)
    await agent.ainvoke({"messages": [HumanMessage("make it red")]}, second)

    assert not [entry for entry in emulator.requests if "image" in entry.path]


NOT_PICTURES = {
    "rows with a field named data": [{"data": "some plain text", "id": 1}],
    "base64 of something else": [{"data": "QUJDREVGR0g=", "mime_type": "image/png"}],
    "a picture's base64 without its type": [{"data": "iVBORw0KGgo=", "id": 1}],
    "a dict": {"data": "x"},
    "a string": "data",
}


@pytest.mark.parametrize("artifact", NOT_PICTURES.values(), ids=NOT_PICTURES.keys())
def test_artifacts_of_other_tools_are_no_pictures(generate: GenerateImage, emulator: Emulator, artifact: Any) -> None:
    """An edit starts from the user's picture, whatever another tool returned after it."""
    png = emulator_picture(emulator)
    conversation = [
        HumanMessage([{"type": "image", "base64": png, "mime_type": "image/png"}]),
        ToolMessage("found", tool_call_id="1", artifact=artifact),
    ]

    call(generate, prompt="make it red", edit=True, messages=conversation)

    assert emulator.requests[-1].json["contents"][0]["parts"][1]["inlineData"]["data"] == png


BY_URL = {
    "v1 image": {"type": "image", "url": "https://example.test/cat.png"},
    "OpenAI's image_url": {"type": "image_url", "image_url": {"url": "https://example.test/cat.png"}},
    "a file": {"type": "file", "url": "https://example.test/cat.png", "mime_type": "image/png"},
}


@pytest.mark.parametrize("block", BY_URL.values(), ids=BY_URL.keys())
def test_a_picture_by_url_is_edited_if_it_is_the_newest(
    generate: GenerateImage, emulator: Emulator, block: dict[str, Any]
) -> None:
    """It goes by reference, as it does in a message; an older picture is not taken in its place."""
    older = {"type": "image", "base64": emulator_picture(emulator), "mime_type": "image/png"}

    call(generate, prompt="make it red", edit=True, messages=[HumanMessage([older]), HumanMessage([block])])

    assert emulator.requests[-1].json["contents"][0]["parts"][1:] == [
        {"fileData": {"fileUri": "https://example.test/cat.png", "mimeType": "image/png"}}
    ]


STATES = {
    "a list": lambda messages: messages,
    "a mapping": lambda messages: {"messages": messages},
    "messages under another name": lambda messages: {"count": 1, "history": messages},
    "an object": lambda messages: SimpleNamespace(messages=messages),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_the_state_of_any_graph_is_read(generate: GenerateImage, emulator: Emulator, state: Any) -> None:
    """LangGraph injects the whole state: a list, a mapping or an object."""
    png = emulator_picture(emulator)
    shown = [HumanMessage([{"type": "image", "base64": png, "mime_type": "image/png"}])]

    call(generate, prompt="make it red", edit=True, messages=state(shown))
    told = call(generate, prompt="make it red", edit=True, messages=state([]))

    assert emulator.requests[-1].json["contents"][0]["parts"][1]["inlineData"]["data"] == png
    assert told.status == "error"


@pytest.mark.parametrize("is_strict", [False, True], ids=["LangGraph's default", "strict"])
def test_pictures_come_back_from_a_checkpoint(
    gateway_environment: Emulator, caplog: pytest.LogCaptureFixture, is_strict: bool
) -> None:
    """As pictures, without a warning, also where LangGraph restores only the types of its table."""
    serde = JsonPlusSerializer(allowed_msgpack_modules=[]) if is_strict else JsonPlusSerializer()
    agent = create_agent(
        ChatGemway(model="gemini-2.5-pro"), tools=[GenerateImage()], checkpointer=MemorySaver(serde=serde)
    )
    gateway_environment.enqueue(
        reply.tool_call("generate_image", {"prompt": "a fox"}), reply.image(width=32, height=24), reply.text("Done.")
    )
    agent.invoke({"messages": [HumanMessage("draw a fox")]}, in_thread("t"))

    messages = agent.get_state(in_thread("t")).values["messages"]

    (picture,) = next(message.artifact for message in messages if isinstance(message, ToolMessage))
    assert (picture.width, picture.height) == (32, 24)
    assert "Picture" not in caplog.text


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
