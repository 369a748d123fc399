"""Histories as tools, stores, middleware and users leave them: sent, or refused by name; never a thread that is lost."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import gemway
import pytest
from gemway_emulator import Emulator, reply
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage, trim_messages
from langchain_core.tools import tool
from langchain_gemway import ChatGemway

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYAAAAAIAAeIhvDMAAAAASUVORK5CYII=")
CALL = {"name": "f", "args": {}, "id": "c1", "type": "tool_call"}
MODELS = ["gemini-2.5-flash", "gemini-3-pro-preview"]

Make = Callable[..., ChatGemway]


def sent(emulator: Emulator) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = emulator.requests[-1].json["contents"]
    return contents


# Results of tools

# What langchain-mcp-adapters and other providers' tools put into results, and the words that must reach the model.
RESULTS = {
    "a link of an MCP server": ({"type": "file", "url": "note://internal/1"}, "note://internal/1"),
    "a link to a local file": ({"type": "file", "url": "file:///main.rs", "mime_type": "text/x-rust"}, "main.rs"),
    "a picture of an MCP server": ({"type": "image", "url": "shot://1", "mime_type": "image/png"}, "shot://1"),
    "an embedded resource": ({"type": "resource", "resource": {"uri": "file:///a", "text": "hello"}}, "hello"),
    "a resource link": ({"type": "resource_link", "uri": "file:///a", "name": "notes"}, "notes"),
    "a custom tool's output": ({"type": "custom_tool_call_output", "output": "res"}, "res"),
    "JSON": ({"type": "json", "json": {"a": 1}}, '{"a": 1}'),
    "JSON under another name": ({"type": "json", "data": {"a": 1}}, '{"a": 1}'),
    "a type of tomorrow": ({"type": "hologram", "of": "a fox"}, "a fox"),
    "no type": ({"rows": [1, 2]}, "[1, 2]"),
    "an image without a picture": ({"type": "image", "alt": "a fox"}, "a fox"),
    "a Decimal": ({"type": "price", "amount": Decimal("9.5")}, "9.5"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS.keys())
async def test_results_are_told_as_text(chat: Make, emulator: Emulator, result: Any, model: str) -> None:
    """A result that Gemini has no part for is told to the model, in a blocking and in an async call."""
    block, words = result
    history = [HumanMessage("q"), AIMessage("", tool_calls=[CALL]), ToolMessage([block], tool_call_id="c1")]
    asked = chat(model)

    asked.invoke(history)
    blocking = sent(emulator)
    await asked.ainvoke(history)
    await asked.aclose()

    assert sent(emulator) == blocking
    assert words in json.dumps(blocking[-1]["parts"][0]["functionResponse"]["response"])


def test_an_agent_survives_a_resource_link(chat: Make, emulator: Emulator) -> None:
    """The link stays in the thread; every later turn works."""

    @tool
    def notes() -> list[Any]:
        """List notes."""
        return [{"type": "text", "text": "see"}, {"type": "file", "url": "note://1", "mime_type": "text/plain"}]

    emulator.enqueue(reply.tool_call("notes", {}), reply.text("One note."), reply.text("Yes."))
    agent = create_agent(chat(), [notes])

    state = agent.invoke({"messages": [HumanMessage("which notes?")]})
    state = agent.invoke({"messages": [*state["messages"], HumanMessage("sure?")]})

    assert state["messages"][-1].text == "Yes."
    assert "note://1" in json.dumps(sent(emulator))


def test_an_embedded_file_is_a_file(chat: Make, emulator: Emulator) -> None:
    """A resource of an MCP server whose content is base64 is shown as the file that it is."""
    blob = base64.b64encode(PNG).decode()
    resource = {"type": "resource", "resource": {"uri": "shot://1", "mimeType": "image/png", "blob": blob}}
    history = [HumanMessage("q"), AIMessage("", tool_calls=[CALL]), ToolMessage([resource], tool_call_id="c1")]

    chat("gemini-3-pro-preview").invoke(history)

    (part,) = sent(emulator)[-1]["parts"][0]["functionResponse"]["parts"]
    assert part["inlineData"] == {"mimeType": "image/png", "data": blob}


def test_long_strings_are_left_out(chat: Make, emulator: Emulator) -> None:
    """Megabytes of a file in a block of an unknown type are not told as text."""
    block = {"type": "hologram", "payload": "A" * 1_000_000}
    history = [HumanMessage("q"), AIMessage("", tool_calls=[CALL]), ToolMessage([block], tool_call_id="c1")]

    chat().invoke(history)

    assert len(json.dumps(sent(emulator))) < 2_000


# Base64 that is still bytes: `b64encode` without `decode` (langchain-google#612)

ENCODED = base64.b64encode(PNG)
BYTES = {
    "v1 image": {"type": "image", "base64": ENCODED, "mime_type": "image/png"},
    "v0 image": {"type": "image", "source_type": "base64", "data": ENCODED, "mime_type": "image/png"},
    "v1 file": {"type": "file", "base64": ENCODED, "mime_type": "application/pdf"},
    "Anthropic's image": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ENCODED}},
    "OpenAI's audio": {"type": "input_audio", "input_audio": {"data": ENCODED, "format": "wav"}},
    "OpenAI's file": {"type": "file", "file": {"file_data": ENCODED, "filename": "a.pdf"}},
    "media that holds base64": {"type": "media", "data": ENCODED, "mime_type": "image/png"},
    "media that holds the file": {"type": "media", "data": PNG, "mime_type": "image/png"},
    "an image that holds the file": {"type": "image", "base64": PNG, "mime_type": "image/png"},
    "a bytearray": {"type": "image", "base64": bytearray(ENCODED), "mime_type": "image/png"},
    "text": {"type": "image", "base64": ENCODED.decode(), "mime_type": "image/png"},
}


@pytest.mark.parametrize("block", BYTES.values(), ids=BYTES.keys())
def test_base64_bytes_are_not_encoded_again(chat: Make, emulator: Emulator, block: dict[str, Any]) -> None:
    """The file arrives as it is, whichever way the block holds it."""
    chat().invoke([HumanMessage([block])])

    assert base64.b64decode(sent(emulator)[0]["parts"][0]["inlineData"]["data"]) == PNG


# Calls that could not be read


@pytest.mark.parametrize("model", MODELS)
def test_an_unreadable_call_beside_a_good_one_stays_in_the_history(chat: Make, emulator: Emulator, model: str) -> None:
    """The model sees what it tried, so that the error that answers it means something."""
    invalid = {"name": "g", "args": "{bad", "id": "c2", "error": "e", "type": "invalid_tool_call"}
    history = [
        HumanMessage("q"),
        AIMessage("", tool_calls=[CALL], invalid_tool_calls=[invalid]),
        ToolMessage("r", tool_call_id="c1"),
        ToolMessage("cannot read {bad", tool_call_id="c2", status="error"),
    ]

    chat(model).invoke(history)

    (turn,) = [content for content in sent(emulator) if content["role"] == "model"]
    assert "{bad" in json.dumps(turn)
    assert sum("functionCall" in part for part in turn["parts"]) == 1


# Stores


def as_decimals(value: Any) -> Any:
    """Return JSON data as DynamoDB gives it back."""
    if isinstance(value, dict):
        return {name: as_decimals(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_decimals(item) for item in value]
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def as_json_text(value: Any) -> Any:
    """Return JSON data as a store of flat fields gives it back: what was nested is text."""
    return {name: json.dumps(item) if isinstance(item, dict | list) else item for name, item in value.items()}


STORES = {"Decimals": as_decimals, "JSON text": as_json_text}
SIGNED = [
    {"text": "Look: ", "thoughtSignature": "c2lnbmVk"},
    {"functionCall": {"name": "f", "args": {"a": 1, "b": [2.5]}, "id": "s1"}, "thoughtSignature": "Y2FsbA=="},
    {"text": "and wait."},
]


@pytest.mark.parametrize("store", STORES.values(), ids=STORES.keys())
@pytest.mark.parametrize("output_version", ["v0", "v1"])
def test_a_store_changes_nothing_that_is_sent(
    chat: Make, emulator: Emulator, store: Callable[[Any], Any], output_version: str
) -> None:
    """Numbers as Decimals and nested fields as JSON text are read as what they were, signatures and ids too."""
    candidate = {"content": {"role": "model", "parts": SIGNED}, "finishReason": "STOP"}
    emulator.enqueue(reply.raw(200, json.dumps({"candidates": [candidate]})))
    model = chat(output_version=output_version)
    answer = model.invoke("go")
    model.invoke([HumanMessage("go"), answer, HumanMessage("on")])
    expected = sent(emulator)

    fields = answer.model_dump()
    fields["additional_kwargs"] = store(fields["additional_kwargs"])
    if store is as_decimals:
        fields["content"] = as_decimals(fields["content"])
        fields["tool_calls"] = as_decimals(fields["tool_calls"])
    model.invoke([HumanMessage("go"), AIMessage(**fields), HumanMessage("on")])

    assert sent(emulator) == expected


@pytest.mark.parametrize("value", ["", "{", "text", 7, None, [1], {"a": 1}, [{"text": -1}], [{"call": 1}]], ids=repr)
def test_notes_that_are_not_ours_are_passed_over(chat: Make, emulator: Emulator, value: Any) -> None:
    """Whatever stands where ours would: the message's text and calls are sent."""
    names = ("gemway_parts", "gemway_call_ids", "__gemini_function_call_thought_signatures__", "reasoning_content")
    answer = AIMessage("Hi", tool_calls=[CALL], additional_kwargs=dict.fromkeys(names, value))

    chat().invoke([HumanMessage("go"), answer, ToolMessage("r", tool_call_id="c1")])

    parts = sent(emulator)[1]["parts"]
    assert [part.get("text") for part in parts if "text" in part and not part.get("thought")] == ["Hi"]
    assert sum("functionCall" in part for part in parts) == 1


# Any history at all

scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.just(Decimal("1.5")), st.sampled_from(["", "a"]))
names = st.sampled_from(
    [
        "type",
        "text",
        "url",
        "base64",
        "data",
        "source",
        "image_url",
        "file",
        "extras",
        "signature",
        "args",
        "id",
        "name",
    ]
    + ["input", "content", "inlineData", "functionCall", "toolUse", "toolResult", "image", "value", "block", "outcome"]
)
kinds = st.sampled_from(
    ["text", "image", "image_url", "file", "audio", "input_audio", "media", "reasoning", "thinking", "tool_call"]
    + [
        "tool_use",
        "tool_result",
        "server_tool_call",
        "server_tool_result",
        "non_standard",
        "executable_code",
        "document",
    ]
    + ["code_execution_result", "function_call", "function_call_signature", "image_generation_call", "search_result"]
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
blocks = st.builds(lambda kind, rest: {**rest, "type": kind}, kinds, st.dictionaries(names, values, max_size=4))
contents = st.lists(blocks | st.dictionaries(names, values, max_size=3) | st.just("text"), max_size=3)
roles = st.sampled_from(
    [
        HumanMessage,
        lambda content: AIMessage(content, response_metadata={"model_provider": "google_genai"}),
        lambda content: AIMessage(content, response_metadata={"model_provider": "openai"}),
        SystemMessage,
        lambda content: ToolMessage(content, tool_call_id="c1"),
    ]
)


@pytest.fixture(scope="module")
def lenient() -> Any:
    with (
        Emulator(validate=False) as emulator,
        ChatGemway(
            model="gemini-3-pro-preview", base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0
        ) as model,
    ):
        yield model


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(st.tuples(roles, contents), min_size=1, max_size=4))
def test_odd_histories_are_sent_or_refused_by_name(lenient: ChatGemway, history: list[Any]) -> None:
    """No AttributeError, KeyError or TypeError of ours reaches the user; a tool's result never refuses a turn."""
    messages: list[BaseMessage] = [role(content) for role, content in history]
    results = [message for message in messages if message.type == "tool"]

    for asked in (messages, [HumanMessage("q"), AIMessage("", tool_calls=[CALL]), *results]):
        try:
            lenient.invoke(asked)
        except gemway.GemwayError:
            assert asked is messages
        except Exception as error:
            if not raised_by_langchain_core(error):
                raise


def raised_by_langchain_core(error: BaseException) -> bool:
    """Tell whether LangChain refused the messages itself, before it called the model."""
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return not any("langchain_gemway" in name or "/gemway/" in name for name in frames)


# Counting

HISTORY = [
    SystemMessage("sys"),
    HumanMessage("one " * 20),
    AIMessage("two " * 20),
    HumanMessage("three"),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage("r", tool_call_id="c1"),
    AIMessage("end"),
    HumanMessage("last"),
]


@pytest.mark.parametrize("allow_partial", [False, True])
@pytest.mark.parametrize("strategy", ["first", "last"])
@pytest.mark.parametrize("most", [0, 1, 3, 12, 40, 1000])
def test_messages_can_be_trimmed(chat: Make, most: int, strategy: Any, allow_partial: bool) -> None:
    """`trim_messages(token_counter=model)` counts pieces that no model could be sent."""
    model = chat()
    kept = trim_messages(HISTORY, token_counter=model, max_tokens=most, strategy=strategy, allow_partial=allow_partial)

    assert model.get_num_tokens_from_messages(kept) <= most or not most


@pytest.mark.parametrize("messages", [[], [HumanMessage("")], [HumanMessage([])]], ids=["none", "empty", "no blocks"])
@pytest.mark.parametrize("asks", [False, True], ids=["estimate", "count_tokens"])
def test_nothing_counts_as_nothing(chat: Make, messages: list[BaseMessage], asks: bool) -> None:
    """An empty conversation has no tokens, and no gateway is asked."""
    assert chat(count_tokens=asks).get_num_tokens_from_messages(messages) == 0


def test_more_messages_never_count_less(chat: Make) -> None:
    """Each message adds its tokens, whoever speaks first or last."""
    counts = [chat().get_num_tokens_from_messages(HISTORY[at:]) for at in range(len(HISTORY), -1, -1)]

    assert counts == sorted(counts)


@pytest.mark.parametrize("way", ["generate", "agenerate"])
async def test_streamed_answers_count_no_zeros(chat: Make, emulator: Emulator, way: str) -> None:
    """LangChain hands over no output of streamed answers: then nothing is reported, and messages have their usage."""
    model = chat(streaming=True)
    question: list[list[BaseMessage]] = [[HumanMessage("Hello")]]
    with get_usage_metadata_callback() as usage:
        result = model.generate(question) if way == "generate" else await model.agenerate(question)
    await model.aclose()

    message = result.generations[0][0].message  # type: ignore[union-attr]
    assert "token_usage" not in (result.llm_output or {})
    assert message.usage_metadata["total_tokens"] > 0  # type: ignore[index]
    assert [counts["total_tokens"] for counts in usage.usage_metadata.values()] == [
        message.usage_metadata["total_tokens"]  # type: ignore[index]
    ]
