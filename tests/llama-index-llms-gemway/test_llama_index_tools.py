"""Tools, signatures, agents."""

# No `from __future__ import annotations`: LlamaIndex reads the real annotations of tools.
import json
from typing import Any, Literal

import pytest
from gemway import ConfigurationError
from gemway_emulator import Emulator, reply
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ThinkingBlock, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.llms.gemway import Gemway
from pydantic import BaseModel, Field

HELLO = [ChatMessage(content="Hello")]
PRO = "gemini-3-pro-preview"
PNG = b"\x89PNG\r\n\x1a\nrest of the picture"


def buffer() -> ChatMemoryBuffer:
    """Return a memory that holds no database open, as core's default does."""
    return ChatMemoryBuffer.from_defaults(token_limit=100_000)


def add(a: int, b: int) -> int:
    """Add two numbers.

    The second line of this description matters, too.
    """
    return a + b


def fail(reason: str) -> str:
    """Fail for a reason."""
    raise ValueError(reason)


ADD = FunctionTool.from_defaults(add)


class Inner(BaseModel):
    """An inner object."""

    value: int


class Tree(BaseModel):
    """A tree."""

    name: str
    children: list["Tree"] = Field(default_factory=list)


def _with_dict(scores: dict[str, int]) -> str:
    return ""


def _with_optional(name: str | None = None) -> str:
    return ""


def _with_union(value: int | str) -> str:
    return ""


def _with_literal(unit: Literal["C", "F"]) -> str:
    return ""


def _with_nested(inner: Inner) -> str:
    return ""


def _with_recursion(tree: Tree) -> str:
    return ""


def _without_arguments() -> str:
    return ""


SHAPES = {
    "dict": (_with_dict, "scores"),
    "optional": (_with_optional, "name"),
    "union": (_with_union, "value"),
    "literal": (_with_literal, '"enum": ["C", "F"]'),
    "nested": (_with_nested, "value"),
    "recursive": (_with_recursion, "children"),
    "none": (_without_arguments, "none"),
}


def declarations(emulator: Emulator) -> list[dict]:
    return emulator.requests[-1].json["tools"][0]["functionDeclarations"]


@pytest.mark.parametrize("dialect", ["json_schema", "openapi"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_schema_is_sent(emulator: Emulator, gemway, shape: str, dialect: str) -> None:
    """Whatever the arguments, the tool is there with its fields."""
    function, field = SHAPES[shape]
    tool = FunctionTool.from_defaults(function, name="tool", description="A tool")
    llm = gemway(schema_dialect=dialect)
    if (shape, dialect) == ("recursive", "openapi"):
        with pytest.raises(ConfigurationError, match="json_schema"):
            llm.chat_with_tools([tool], "go")
        return
    emulator.enqueue(reply.text("ok"))

    llm.chat_with_tools([tool], "go")

    [declaration] = declarations(emulator)
    assert declaration["name"] == "tool"
    if field != "none":
        assert field in json.dumps(declaration)


def test_a_tool_without_schema_is_kept(emulator: Emulator, llm: Gemway) -> None:
    """`fn_schema=None` means one input, not no tool."""
    tool = FunctionTool(fn=lambda input: input, metadata=ToolMetadata("Echo", name="echo", fn_schema=None))
    emulator.enqueue(reply.text("ok"))

    llm.chat_with_tools([tool], "go")

    assert list(declarations(emulator)[0]["parametersJsonSchema"]["properties"]) == ["input"]


def test_illegal_names_come_back_as_they_were(emulator: Emulator, llm: Gemway) -> None:
    """A name that Gemini refuses is changed on the wire only, also in the history."""
    tool = FunctionTool.from_defaults(add, name="my tool[int]")
    emulator.enqueue(reply.tool_call("?", {"a": 1, "b": 2}))

    def answer() -> Any:
        emulator.reset()
        emulator.enqueue(reply.text("look up the name"))
        llm.chat_with_tools([tool], "go")
        name = declarations(emulator)[0]["name"]
        emulator.enqueue(reply.tool_call(name, {"a": 1, "b": 2}))
        return name, llm.chat_with_tools([tool], "go")

    name, response = answer()

    assert name != "my tool[int]"
    assert [call.tool_name for call in llm.get_tool_calls_from_response(response)] == ["my tool[int]"]
    emulator.enqueue(reply.text("ok"))
    llm.chat_with_tools([tool], chat_history=[*HELLO, response.message])
    assert emulator.requests[-1].json["contents"][1]["parts"][0]["functionCall"]["name"] == name


def test_the_whole_description_is_sent(emulator: Emulator, llm: Gemway) -> None:
    emulator.enqueue(reply.text("ok"))

    llm.chat_with_tools([ADD], "go")

    assert "Add two numbers." in declarations(emulator)[0]["description"]
    assert "second line of this description" in declarations(emulator)[0]["description"]


@pytest.mark.parametrize(
    ("options", "calling"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"mode": "AUTO"}),
        ({"tool_choice": "none"}, {"mode": "NONE"}),
        ({"tool_choice": "required"}, {"mode": "ANY"}),
        ({"tool_choice": "add"}, {"mode": "ANY", "allowedFunctionNames": ["add"]}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
            {"mode": "ANY", "allowedFunctionNames": ["add"]},
        ),
        ({"tool_required": True}, {"mode": "ANY"}),
        ({"strict": True}, {"mode": "VALIDATED"}),
    ],
    ids=["unsaid", "auto", "none", "required", "name", "openai", "tool_required", "strict"],
)
def test_tool_choice(emulator: Emulator, llm: Gemway, options: dict, calling: dict | None) -> None:
    """Every form of saying which tool is to be called."""
    emulator.enqueue(reply.text("ok"))

    llm.chat_with_tools([ADD], "go", **options)

    assert (emulator.requests[-1].json.get("toolConfig") or {}).get("functionCallingConfig") == calling


def test_an_unknown_tool_is_named(llm: Gemway) -> None:
    with pytest.raises(ConfigurationError, match="sub.*add"):
        llm.chat_with_tools([ADD], "go", tool_choice="sub")


def test_no_tools_no_config(emulator: Emulator, llm: Gemway) -> None:
    """CodeActAgent passes an empty list: neither `tools` nor `toolConfig` may be sent."""
    llm.chat_with_tools([], "go", tool_required=True)

    assert {"tools", "toolConfig"}.isdisjoint(emulator.requests[-1].json)


def test_two_calls_without_ids(emulator: Emulator, llm: Gemway) -> None:
    """Each has an id of its own here, none on the wire, and the results go to their calls."""
    emulator.enqueue(
        reply.tool_call("add", {"a": 1, "b": 2}, id=False) & reply.tool_call("add", {"a": 3, "b": 4}, id=False)
    )
    response = llm.chat_with_tools([ADD], "go", allow_parallel_tool_calls=True)
    first, second = llm.get_tool_calls_from_response(response)
    assert first.tool_id != second.tool_id

    emulator.enqueue(reply.text("ok"))
    results = [
        ChatMessage(role="tool", content=content, additional_kwargs={"tool_call_id": call.tool_id})
        for call, content in ((second, "seven"), (first, "three"))
    ]
    llm.chat_with_tools([ADD], chat_history=[*HELLO, response.message, *results])

    _, calls, answers = emulator.requests[-1].json["contents"]
    assert [part["functionResponse"]["response"]["output"] for part in answers["parts"]] == ["three", "seven"]
    assert not any(
        "id" in part.get("functionCall", part.get("functionResponse")) for part in calls["parts"] + answers["parts"]
    )


def test_ids_of_the_server_go_back(emulator: Emulator, gemway) -> None:
    """An id that the server gave is on call and result, also where it gave the same one twice."""
    llm = gemway(PRO)
    emulator.enqueue(
        reply.tool_call("add", {"a": 1}, id="same", signature="U0lH") & reply.tool_call("add", {"a": 2}, id="same")
    )

    response = llm.chat_with_tools([ADD], "go", allow_parallel_tool_calls=True)

    ids = [call.tool_id for call in llm.get_tool_calls_from_response(response)]
    assert len(set(ids)) == 2
    emulator.enqueue(reply.raw(200, '{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}'))
    results = [ChatMessage(role="tool", content="x", additional_kwargs={"tool_call_id": id_}) for id_ in ids]
    llm.chat_with_tools([ADD], chat_history=[*HELLO, response.message, *results])
    _, calls, answers = emulator.requests[-1].json["contents"]
    assert [part["functionCall"]["id"] for part in calls["parts"]] == ["same", "same"]
    assert [part["functionResponse"]["id"] for part in answers["parts"]] == ["same", "same"]


@pytest.mark.parametrize("how", ["predict_and_call", "chat", "stream"])
def test_one_call_where_parallel_ones_are_not_allowed(emulator: Emulator, llm: Gemway, how: str) -> None:
    """The first call counts; nothing raises, in streams neither."""
    emulator.enqueue(reply.tool_call("add", {"a": 1, "b": 2}) & reply.tool_call("add", {"a": 3, "b": 4}))

    if how == "predict_and_call":
        assert llm.predict_and_call([ADD], "go").response == "3"
        return
    streamed = how == "stream"
    response = list(llm.stream_chat_with_tools([ADD], "go"))[-1] if streamed else llm.chat_with_tools([ADD], "go")
    assert [call.tool_kwargs for call in llm.get_tool_calls_from_response(response)] == [{"a": 1, "b": 2}]


SIGNED = {
    "text, call, signed call": [
        {"text": "I add."},
        {"functionCall": {"name": "add", "args": {"a": 1}, "id": "c1"}},
        {"functionCall": {"name": "add", "args": {"a": 2}, "id": "c2"}, "thoughtSignature": "U0lHLUI="},
    ],
    "signed texts": [{"text": "one ", "thoughtSignature": "QQ=="}, {"text": "two", "thoughtSignature": "Qg=="}],
    "trailing empty signed part": [{"text": "all of it"}, {"text": "", "thoughtSignature": "RU5E"}],
    "thought with signature": [{"text": "hm", "thought": True, "thoughtSignature": "VEg="}, {"text": "so"}],
    "signed picture": [
        {"text": "here"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "SU1H"},
        {"text": "nice?"},
    ],
    "code that ran": [
        {"executableCode": {"language": "PYTHON", "code": "1+1"}, "thoughtSignature": "Q09ERQ=="},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"text": "2"},
    ],
}


@pytest.mark.parametrize("journey", ["as it is", "through JSON", "merged turns"])
@pytest.mark.parametrize("situation", list(SIGNED))
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_signatures_stay_on_their_parts(
    emulator: Emulator, gemway, situation: str, journey: str, streamed: bool
) -> None:
    """Every part goes back as it came, whatever happened to the message in between."""
    parts = SIGNED[situation]
    body = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    emulator.enqueue(reply.stream([body]))
    llm = gemway("gemini-2.5-pro")  # it is given no sentinels, which would stand between what is compared
    message = (list(llm.stream_chat(HELLO))[-1] if streamed else llm.chat(HELLO)).message
    if journey == "through JSON":
        message = ChatMessage.model_validate_json(message.model_dump_json())
    history = [*HELLO, message, *HELLO]
    if journey == "merged turns":
        history = [*HELLO, ChatMessage(role="assistant", content="Before."), message, *HELLO]

    emulator.enqueue(reply.raw(200, '{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}'))
    llm.chat(history)

    sent = emulator.requests[-1].json["contents"][1]["parts"]
    sent = sent[1:] if journey == "merged turns" else sent
    expected = [*parts[:-2], {**parts[-2], "thoughtSignature": "RU5E"}] if "trailing" in situation else parts
    assert sent == expected


def test_an_edited_text_goes_without_its_signature(emulator: Emulator, gemway) -> None:
    """A signature belongs to the very text that it came with; calls keep theirs by id."""
    llm = gemway("gemini-2.5-pro")
    parts = [{"text": "Hello", "thoughtSignature": "QQ=="}, SIGNED["text, call, signed call"][2]]
    emulator.enqueue(reply.stream([{"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}]))
    message = llm.chat(HELLO).message
    message.blocks = [TextBlock(text="Hello, edited"), *message.blocks[1:]]

    emulator.enqueue(reply.raw(200, '{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}'))
    llm.chat([*HELLO, message, *HELLO])

    assert emulator.requests[-1].json["contents"][1]["parts"] == [{"text": "Hello, edited"}, parts[1]]


def test_the_record_prints_briefly(emulator: Emulator, gemway) -> None:
    """LlamaIndex writes `additional_kwargs` into prompts: kilobytes of signature must not be among them."""
    body = {
        "candidates": [{"content": {"parts": [{"text": "x", "thoughtSignature": "A" * 4000}]}, "finishReason": "STOP"}]
    }
    emulator.enqueue(reply.raw(200, json.dumps(body)))

    message = gemway(PRO).chat(HELLO).message

    assert len(str(message.additional_kwargs)) < 100


async def test_thoughts_reach_the_agents_stream(emulator: Emulator, gemway) -> None:
    """`thinking_delta` has the thoughts, `delta` never; the message has a ThinkingBlock."""
    chunks = [
        {"candidates": [{"content": {"parts": [{"text": "let me ", "thought": True}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "think", "thought": True}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "Four."}]}, "finishReason": "STOP"}]},
    ]
    emulator.enqueue(reply.stream(chunks))
    agent = FunctionAgent(llm=gemway(include_thoughts=True), tools=[ADD])

    handler = agent.run("2 + 2?", memory=buffer())
    events = [event async for event in handler.stream_events() if isinstance(event, AgentStream)]
    output = await handler

    assert "".join(event.thinking_delta or "" for event in events) == "let me think"
    assert "".join(event.delta for event in events) == "Four."
    assert [block.content for block in output.response.blocks if isinstance(block, ThinkingBlock)] == ["let me think"]


@pytest.mark.parametrize(
    ("model", "media", "inside"),
    [
        (PRO, "auto", True),
        ("gemini-2.5-flash", "auto", False),
        (PRO, "beside", False),
        ("gemini-2.5-flash", "parts", True),
    ],
)
def test_pictures_in_tool_results(emulator: Emulator, gemway, model: str, media: str, inside: bool) -> None:
    """The picture goes into the functionResponse or after it; the text stays."""
    call = ToolCallBlock(tool_call_id="c", tool_name="draw", tool_kwargs={})
    result = ChatMessage(
        role="tool",
        blocks=[TextBlock(text="drawn"), ImageBlock(image=PNG, image_mimetype="image/png")],
        additional_kwargs={"tool_call_id": "c"},
    )
    emulator.enqueue(reply.raw(200, '{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]}'))

    gemway(model, tool_result_media=media).chat([*HELLO, ChatMessage(role="assistant", blocks=[call]), result])

    parts = emulator.requests[-1].json["contents"][2]["parts"]
    response = parts[0]["functionResponse"]
    assert response["response"] == {"output": "drawn"}
    assert ("parts" in response) == inside
    assert any("inlineData" in part for part in (response["parts"] if inside else parts[1:]))


def transcript(emulator: Emulator, at: int = -1) -> list[tuple[str, list[str]]]:
    """Return a request's contents as roles and kinds of parts."""
    contents = emulator.requests[at].json["contents"]
    kinds = ("text", "functionCall", "functionResponse", "inlineData")
    return [
        (content["role"], [kind for part in content["parts"] for kind in kinds if kind in part]) for content in contents
    ]


ROUND = [("user", ["text"]), ("model", ["functionCall"]), ("user", ["functionResponse"])]


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", ["gemini-2.5-flash", PRO])
async def test_agent_round_trip(emulator: Emulator, gemway, memory: Memory, streaming: bool, model: str) -> None:
    """A call, its result, the answer; and the next turn of the conversation knows them."""
    emulator.enqueue(reply.tool_call("add", {"a": 2, "b": 3}), reply.text("It is 5."), reply.text("Indeed."))
    agent = FunctionAgent(llm=gemway(model), tools=[ADD], streaming=streaming)

    first = await agent.run("2 + 3?", memory=memory)
    second = await agent.run("Sure?", memory=memory)

    assert (str(first), str(second)) == ("It is 5.", "Indeed.")
    assert transcript(emulator, 1) == ROUND
    assert transcript(emulator, 2) == [*ROUND, ("model", ["text"]), ("user", ["text"])]
    sent = emulator.requests[2].json["contents"]
    assert sent[2]["parts"][0]["functionResponse"]["response"] == {"output": "5"}
    issued = "thoughtSignature" in sent[1]["parts"][0]
    assert issued == (model == PRO)


async def test_agent_forces_its_first_tool(emulator: Emulator, gemway) -> None:
    """`initial_tool_choice` is sent at the first step only."""
    emulator.enqueue(reply.tool_call("add", {"a": 2, "b": 3}), reply.text("5"))

    await FunctionAgent(llm=gemway(), tools=[ADD], initial_tool_choice="add").run("2 + 3?", memory=buffer())

    first, second = emulator.requests
    assert first.json["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == ["add"]
    assert "toolConfig" not in second.json


async def test_agent_with_structured_output(emulator: Emulator, gemway) -> None:
    """`output_cls` is made of the conversation at the end."""
    emulator.enqueue(reply.text("It is 5."), reply.text('{"value": 5}'))

    output = await FunctionAgent(llm=gemway(), tools=[ADD], output_cls=Inner).run("2 + 3?", memory=buffer())

    assert output.get_pydantic_model(Inner) == Inner(value=5)


async def test_agent_sees_a_picture(emulator: Emulator, gemway) -> None:
    """A picture in the user's message reaches the model."""
    picture = ImageBlock(image=PNG, image_mimetype="image/png")
    emulator.enqueue(reply.text("A cat."))

    await FunctionAgent(llm=gemway(), tools=[ADD]).run(
        ChatMessage(blocks=[TextBlock(text="What is it?"), picture]), memory=buffer()
    )

    assert transcript(emulator) == [("user", ["text", "inlineData"])]


async def test_agent_with_parallel_tools(emulator: Emulator, gemway) -> None:
    """Three calls in one turn, three results in the next, in call order."""
    calls = [("add", {"a": n, "b": n}) for n in (1, 2, 3)]
    emulator.enqueue(reply.tool_calls(calls), reply.text("2, 4, 6"))

    await FunctionAgent(llm=gemway(PRO), tools=[ADD]).run("double 1, 2, 3", memory=buffer())

    assert transcript(emulator)[1:] == [("model", ["functionCall"] * 3), ("user", ["functionResponse"] * 3)]
    answers = emulator.requests[-1].json["contents"][2]["parts"]
    assert [part["functionResponse"]["response"]["output"] for part in answers] == ["2", "4", "6"]


async def test_agent_with_a_tool_that_fails(emulator: Emulator, gemway) -> None:
    """The model gets the error as a result, and goes on."""
    emulator.enqueue(reply.tool_call("fail", {"reason": "no luck"}), reply.text("It failed."))

    output = await FunctionAgent(llm=gemway(), tools=[FunctionTool.from_defaults(fail)]).run("try", memory=buffer())

    assert str(output) == "It failed."
    assert "no luck" in str(emulator.requests[-1].json["contents"][2])


async def test_react_agent(emulator: Emulator, gemway) -> None:
    """An agent that reasons in text."""
    emulator.enqueue(
        reply.text('Thought: I add.\nAction: add\nAction Input: {"a": 2, "b": 3}'),
        reply.text("Thought: I know.\nAnswer: It is 5."),
    )

    assert str(await ReActAgent(llm=gemway(), tools=[ADD]).run("2 + 3?", memory=buffer())) == "It is 5."


async def test_handoff_keeps_signatures_and_pairs(emulator: Emulator, gemway) -> None:
    """A to B and back to A: each call has its result, and its signature where it got one."""
    llm = gemway(PRO)
    agents = [
        FunctionAgent(name=name, description=f"agent {name}", llm=llm, tools=[ADD], can_handoff_to=[other])
        for name, other in (("A", "B"), ("B", "A"))
    ]
    emulator.enqueue(
        reply.tool_call("handoff", {"to_agent": "B", "reason": "yours"}),
        reply.tool_call("add", {"a": 2, "b": 3}),
        reply.tool_call("handoff", {"to_agent": "A", "reason": "done"}),
        reply.text("It is 5."),
    )

    output = await AgentWorkflow(agents=agents, root_agent="A").run("2 + 3?", memory=buffer())

    assert str(output) == "It is 5."
    issued = set()
    for at, request in enumerate(emulator.requests):
        contents = request.json["contents"]
        calls = [part for content in contents for part in content["parts"] if "functionCall" in part]
        answers = [part for content in contents for part in content["parts"] if "functionResponse" in part]
        assert len(calls) == len(answers) == at
        assert all(part.get("thoughtSignature", "").strip() for part in calls)
        issued |= {part["thoughtSignature"] for part in calls}
    assert len(issued) == 3
    assert "skip_thought_signature_validator" not in issued


def test_agents_that_cannot_call_say_so_early(gemway) -> None:
    """An image model takes no tools, and its metadata say it."""
    assert gemway("gemini-2.5-flash-image").metadata.is_function_calling_model is False
    assert gemway("gemini-2.5-flash-image", is_function_calling_model=True).metadata.is_function_calling_model is True


async def test_tool_results_are_events(emulator: Emulator, gemway) -> None:
    """The usual event stream of an agent, with ids that match."""
    emulator.enqueue(reply.tool_call("add", {"a": 2, "b": 3}), reply.text("5"))
    handler = FunctionAgent(llm=gemway(PRO), tools=[ADD]).run("2 + 3?", memory=buffer())

    results = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
    await handler

    assert [(event.tool_name, event.tool_output.content) for event in results] == [("add", "5")]
    assert results[0].tool_id


def test_server_tools_go_along(emulator: Emulator, gemway) -> None:
    """Google's own tools, given to the constructor, are there together with functions."""
    emulator.enqueue(reply.text("ok"), reply.text("ok"))
    llm = gemway(PRO, tools=[{"googleSearch": {}}])

    llm.complete("Hello")
    assert emulator.requests[-1].json["tools"] == [{"googleSearch": {}}]

    llm.chat_with_tools([ADD], "go")
    assert [list(tool) for tool in emulator.requests[-1].json["tools"]] == [["functionDeclarations"], ["googleSearch"]]
