"""Picture tools: the results that an agent gets, and the errors that its model can read."""

# No `from __future__ import annotations`: LlamaIndex reads the real annotations of tools.
import json
import pickle
from typing import Any

import pytest
from gemway import AsyncClient, Client, ConfigurationError, InternalServerError
from gemway_emulator import Emulator, reply
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools.tool_spec.base import BaseToolSpec
from llama_index.llms.gemway import Gemway
from llama_index.tools.gemway import GemwayToolSpec

PNG = b"\x89PNG\r\n\x1a\nfirst picture"
OTHER = b"\x89PNG\r\n\x1a\nsecond picture"


def buffer() -> ChatMemoryBuffer:
    """Return a memory that holds no database open, as core's default does."""
    return ChatMemoryBuffer.from_defaults(token_limit=100_000)


@pytest.fixture
def spec(emulator: Emulator):
    spec = GemwayToolSpec(api_key=emulator.api_key, base_url=emulator.base_url, max_retries=0)
    yield spec
    spec.close()


@pytest.fixture
def llm(emulator: Emulator):
    with Gemway("gemini-2.5-flash", api_key=emulator.api_key, base_url=emulator.base_url) as llm:
        yield llm


def sent_pictures(emulator: Emulator, at: int = -1) -> list[str]:
    parts = emulator.requests[at].json["contents"][-1]["parts"]
    return [part["inlineData"]["data"] for part in parts if "inlineData" in part]


def encoded(block: Any) -> str:
    return block.image.decode()


def image_id_of(text: str) -> str:
    return text.partition("image_id: ")[2].split(",")[0]


def test_is_a_tool_spec() -> None:
    assert BaseToolSpec in GemwayToolSpec.__mro__


@pytest.mark.parametrize("way", ["method", "tool"])
def test_generates(emulator: Emulator, spec: GemwayToolSpec, way: str) -> None:
    """A text with the id, type and size, and the picture."""
    tool = spec.to_tool_list()[0]

    blocks = spec.generate_image("a fox", "16:9", "2K") if way == "method" else tool.call("a fox", "16:9", "2K").blocks

    text, picture = blocks
    assert isinstance(text, TextBlock)
    assert isinstance(picture, ImageBlock)
    image_id = image_id_of(text.text)
    assert spec.image(image_id).data == picture.resolve_image().read()
    assert "image/png" in text.text
    assert "pixels" in text.text
    assert emulator.requests[-1].json["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
    }


async def test_async_is_real(emulator: Emulator, spec: GemwayToolSpec) -> None:
    """The async functions make and change pictures like the others."""
    [_, picture] = await spec.agenerate_image("a fox")
    [_, changed] = await spec.aedit_image("make it blue")

    assert sent_pictures(emulator) == [encoded(picture)]
    assert encoded(changed) != encoded(picture)
    await spec.aclose()


def test_edits_the_newest_or_the_named(emulator: Emulator, spec: GemwayToolSpec) -> None:
    """Without ids the newest picture; with ids these, in their order."""
    emulator.enqueue(reply.image(PNG), reply.image(OTHER), reply.image(PNG), reply.image(PNG))
    first = image_id_of(spec.generate_image("one")[0].text)
    second = image_id_of(spec.generate_image("two")[0].text)

    spec.edit_image("change it")
    assert sent_pictures(emulator) == [spec.image(second).base64]

    spec.edit_image("combine them", image_ids=[first, second])
    assert sent_pictures(emulator) == [spec.image(first).base64, spec.image(second).base64]


@pytest.mark.parametrize(
    "written",
    [
        lambda ids: ids,
        lambda ids: ids[0],
        lambda ids: json.dumps(ids),
        lambda ids: [f" image_id: {ids[0]}\n"],
        lambda ids: [ids[0].upper()],
        lambda ids: ids[0].removeprefix("img-"),
        lambda ids: None,
        lambda ids: [None],
        lambda ids: "",
        lambda ids: "[]",
    ],
    ids=["list", "text", "JSON", "label", "upper case", "no prefix", "null", "list of null", "empty", "empty JSON"],
)
def test_ids_are_understood_as_models_write_them(emulator: Emulator, spec: GemwayToolSpec, written: Any) -> None:
    """A model is asked for a list of ids and writes them in its own ways; without an id it means the newest picture."""
    emulator.enqueue(reply.image(OTHER), reply.image(PNG), reply.image(OTHER))
    spec.generate_image("one")
    image_id = image_id_of(spec.generate_image("two")[0].text)

    spec.edit_image("change it", image_ids=written([image_id]))

    assert sent_pictures(emulator) == [spec.image(image_id).base64]


def test_schemas_have_enums(spec: GemwayToolSpec) -> None:
    """Ratio and size are enums, the context is no argument, and every argument is described."""
    generate, edit = spec.to_tool_list()

    properties = generate.metadata.get_parameters_dict()["properties"]
    assert set(properties) == {"prompt", "aspect_ratio", "image_size"}
    assert "16:9" in properties["aspect_ratio"]["anyOf"][0]["enum"]
    assert properties["image_size"]["anyOf"][0]["enum"] == ["512", "1K", "2K", "4K"]
    assert set(edit.metadata.get_parameters_dict()["properties"]) == {*properties, "image_ids"}
    assert all(field["description"] for field in edit.metadata.get_parameters_dict()["properties"].values())
    assert "ctx" not in (edit.metadata.get_parameters_dict().get("required") or [])


@pytest.mark.parametrize(
    "refusal",
    [
        reply.blocked("PROHIBITED_CONTENT"),
        reply.blocked("IMAGE_SAFETY", prompt=False, message="not this"),
        reply.text("I cannot draw that."),
        reply.error(400, message="no such aspect ratio"),
        reply.error(429, message="slow down"),
    ],
    ids=["prompt", "picture", "words", "400", "429"],
)
async def test_refusals_are_text(emulator: Emulator, spec: GemwayToolSpec, refusal: Any) -> None:
    """Errors that the model can act on reach it as text, and nothing is raised."""
    emulator.enqueue(refusal, refusal)

    for blocks in (spec.generate_image("something"), await spec.agenerate_image("something")):
        assert [type(block) for block in blocks] == [TextBlock]
        assert blocks[0].text.startswith("Image not generated: ")
    await spec.aclose()


def test_failures_are_raised(emulator: Emulator, spec: GemwayToolSpec) -> None:
    """A broken gateway is not the model's business."""
    emulator.enqueue(reply.error(500))

    with pytest.raises(InternalServerError):
        spec.generate_image("something")


def test_nothing_to_edit_is_text(emulator: Emulator, spec: GemwayToolSpec) -> None:
    """Without a picture, or with an unknown id, nothing is sent, and the model gets an explanation."""
    assert "generate_image" in spec.edit_image("change it")[0].text
    assert "img-0" in spec.edit_image("change it", image_ids=["img-0"])[0].text
    assert len(emulator.requests) == 0


def test_references_instead_of_blocks(emulator: Emulator) -> None:
    """The cost guard: the model sees only the id, which is enough to change the picture."""
    spec = GemwayToolSpec(api_key=emulator.api_key, base_url=emulator.base_url, return_images="reference")

    blocks = spec.generate_image("a fox")

    assert [type(block) for block in blocks] == [TextBlock]
    spec.edit_image("make it blue", image_ids=[image_id_of(blocks[0].text)])
    assert len(sent_pictures(emulator)) == 1
    spec.close()


@pytest.mark.parametrize("return_images", ["blocks", "reference"])
async def test_agent_makes_and_changes(emulator: Emulator, llm: Gemway, return_images: Any) -> None:
    """In one run: a picture, then the same one changed, without naming its id."""
    spec = GemwayToolSpec(api_key=emulator.api_key, base_url=emulator.base_url, return_images=return_images)
    emulator.enqueue(
        reply.tool_call("generate_image", {"prompt": "a fox"}),
        reply.image(PNG),
        reply.tool_call("edit_image", {"prompt": "make it blue"}),
        reply.image(OTHER),
        reply.text("Done."),
    )
    handler = FunctionAgent(llm=llm, tools=spec.to_tool_list()).run("draw a fox and make it blue", memory=buffer())

    results = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
    output = await handler

    assert str(output) == "Done."
    assert [event.tool_output.is_error for event in results] == [False, False]
    assert sent_pictures(emulator, 3) == [spec.image(image_id_of(results[0].tool_output.blocks[0].text)).base64]
    shown = str(emulator.requests[2].json).count("inlineData")
    assert shown == (1 if return_images == "blocks" else 0)
    await spec.aclose()


async def test_agent_changes_the_users_picture(emulator: Emulator, llm: Gemway, spec: GemwayToolSpec) -> None:
    """What the user attached is the newest picture of the conversation."""
    attached = ImageBlock(image=PNG, image_mimetype="image/png")
    emulator.enqueue(reply.tool_call("edit_image", {"prompt": "make it blue"}), reply.image(OTHER), reply.text("Done."))

    agent = FunctionAgent(llm=llm, tools=spec.to_tool_list())
    await agent.run(ChatMessage(blocks=[TextBlock(text="make it blue"), attached]), memory=buffer())

    assert sent_pictures(emulator, 1) == [encoded(attached)]
    await spec.aclose()


async def test_a_picture_attached_by_address_is_the_newest(
    emulator: Emulator, llm: Gemway, spec: GemwayToolSpec
) -> None:
    """The user's address is sent for the gateway to read, not an older picture in its place."""
    memory = buffer()
    for text in ("draw a fox", "thanks"):
        emulator.enqueue(reply.tool_call("generate_image", {"prompt": text}), reply.image(PNG), reply.text("Done."))
        await FunctionAgent(llm=llm, tools=spec.to_tool_list()).run(text, memory=memory)
    attached = ImageBlock(url="https://pictures.example/cat.png")
    emulator.enqueue(reply.tool_call("edit_image", {"prompt": "make it blue"}), reply.image(OTHER), reply.text("Done."))
    before = len(emulator.requests)

    agent = FunctionAgent(llm=llm, tools=spec.to_tool_list())
    await agent.run(ChatMessage(blocks=[TextBlock(text="make mine blue"), attached]), memory=memory)

    parts = emulator.requests[before + 1].json["contents"][-1]["parts"]
    assert [part["fileData"]["fileUri"] for part in parts if "fileData" in part] == ["https://pictures.example/cat.png"]
    assert not [part for part in parts if "inlineData" in part]
    await spec.aclose()


async def test_what_is_no_picture_is_not_taken_for_one(emulator: Emulator, llm: Gemway, spec: GemwayToolSpec) -> None:
    """Another tool's table in an ImageBlock is passed over; the user's picture behind it is meant."""
    table = ImageBlock.model_construct(image=b"YSxiCjEsMgo=", image_mimetype="text/csv")
    result = ChatMessage(role="tool", additional_kwargs={"tool_call_id": "c1"})
    result.blocks = [TextBlock(text="a table"), table]
    attached = ImageBlock(image=PNG, image_mimetype="image/png")
    memory = buffer()
    memory.put(ChatMessage(blocks=[attached]))
    memory.put(result)
    emulator.enqueue(reply.tool_call("edit_image", {"prompt": "make it blue"}), reply.image(OTHER), reply.text("Done."))

    await FunctionAgent(llm=llm, tools=spec.to_tool_list()).run("make it blue", memory=memory)

    assert sent_pictures(emulator, 1) == [encoded(attached)]
    await spec.aclose()


async def test_agent_changes_a_picture_of_its_memory(emulator: Emulator, llm: Gemway) -> None:
    """Also in a later run, and in another process, which knows the conversation only."""
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
    for replies in (
        [reply.tool_call("generate_image", {"prompt": "a fox"}), reply.image(PNG), reply.text("Done.")],
        [reply.tool_call("edit_image", {"prompt": "blue"}), reply.image(OTHER), reply.text("Done.")],
    ):
        spec = GemwayToolSpec(api_key=emulator.api_key, base_url=emulator.base_url)
        emulator.enqueue(*replies)
        await FunctionAgent(llm=llm, tools=spec.to_tool_list()).run("go", memory=memory)
        await spec.aclose()

    import base64

    assert sent_pictures(emulator, 4) == [base64.b64encode(PNG).decode()]


async def test_one_users_picture_is_not_anothers(emulator: Emulator, llm: Gemway, spec: GemwayToolSpec) -> None:
    """A specification may serve many conversations; the newest picture is the conversation's own."""
    spec.generate_image("somebody else's")
    emulator.enqueue(reply.tool_call("edit_image", {"prompt": "blue"}), reply.text("There is none."))

    await FunctionAgent(llm=llm, tools=spec.to_tool_list()).run("make it blue", memory=buffer())

    assert "there is no picture" in str(emulator.requests[-1].json["contents"])
    await spec.aclose()


async def test_workflow_of_agents(emulator: Emulator, llm: Gemway, spec: GemwayToolSpec) -> None:
    """One agent makes the picture, the next one changes it."""
    generate, edit = spec.to_tool_list()
    painter = FunctionAgent(name="painter", description="paints", llm=llm, tools=[generate], can_handoff_to=["editor"])
    editor = FunctionAgent(name="editor", description="edits", llm=llm, tools=[edit])
    emulator.enqueue(
        reply.tool_call("generate_image", {"prompt": "a fox"}),
        reply.image(PNG),
        reply.tool_call("handoff", {"to_agent": "editor", "reason": "blue"}),
        reply.tool_call("edit_image", {"prompt": "make it blue"}),
        reply.image(OTHER),
        reply.text("Done."),
    )

    output = await AgentWorkflow(agents=[painter, editor], root_agent="painter").run("a blue fox", memory=buffer())

    assert str(output) == "Done."
    assert len(sent_pictures(emulator, 4)) == 1
    await spec.aclose()


async def test_agent_with_its_own_answers(emulator: Emulator, llm: Gemway, spec: GemwayToolSpec) -> None:
    """Nothing scripted: the emulator calls the tool because its description fits."""
    handler = FunctionAgent(llm=llm, tools=spec.to_tool_list()[:1]).run(
        "Generate an image of a red fox in the snow", memory=buffer()
    )

    results = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
    await handler

    assert results
    assert any(isinstance(block, ImageBlock) for block in results[0].tool_output.blocks)
    await spec.aclose()


def test_aliases_and_unknown_options(emulator: Emulator) -> None:
    """Names of other classes are taken; a slip is named; options that make no sense for pictures are refused."""
    GemwayToolSpec(openai_api_key="k", api_base=emulator.base_url, request_timeout=5).close()
    with pytest.raises(TypeError, match=r"tiemout.*timeout"):
        GemwayToolSpec(api_key="k", base_url=emulator.base_url, tiemout=5)
    with pytest.raises(TypeError, match="temperature"):
        GemwayToolSpec(api_key="k", base_url=emulator.base_url, temperature=5)
    with pytest.raises(ConfigurationError, match="return_images"):
        GemwayToolSpec(api_key="k", base_url=emulator.base_url, return_images="both")


def test_missing_key_is_said_at_construction(emulator: Emulator) -> None:
    with pytest.raises(ConfigurationError, match="GEMWAY_API_KEY"):
        GemwayToolSpec(base_url=emulator.base_url)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_a_client_serves_both(emulator: Emulator, kind: Any) -> None:
    """`client=` of either kind is enough for the sync and the async functions."""
    spec = GemwayToolSpec(client=kind(api_key=emulator.api_key, base_url=emulator.base_url))

    assert len(spec.generate_image("a fox")) == 2
    assert len(await spec.agenerate_image("a fox")) == 2
    await spec.aclose()


def test_defaults_of_the_specification(emulator: Emulator) -> None:
    """Ratio and size of the constructor apply where the model asks for none."""
    spec = GemwayToolSpec(api_key=emulator.api_key, base_url=emulator.base_url, aspect_ratio="21:9", image_size="1K")

    spec.generate_image("a fox", aspect_ratio="1:1")

    assert emulator.requests[-1].json["generationConfig"]["imageConfig"] == {"aspectRatio": "1:1", "imageSize": "1K"}
    spec.close()


def test_travels_to_another_process(emulator: Emulator, spec: GemwayToolSpec) -> None:
    """A specification can be pickled with its pictures."""
    image_id = image_id_of(spec.generate_image("a fox")[0].text)

    restored = pickle.loads(pickle.dumps(spec))

    assert restored.image(image_id).data == spec.image(image_id).data
    assert len(restored.edit_image("make it blue")) == 2
    restored.close()


def test_llms_package_is_not_needed() -> None:
    """The adapters never import each other."""
    import subprocess
    import sys

    code = "import sys, llama_index.tools.gemway; print('llama_index.llms.gemway' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
