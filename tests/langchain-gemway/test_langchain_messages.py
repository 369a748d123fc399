"""Messages of every shape on their way to the wire."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from gemway import MediaFetcher, UnsupportedContentError
from gemway_emulator import Emulator, reply
from langchain_core.load import dumpd, load
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)
from langchain_gemway import ChatGemway

Make = Callable[..., ChatGemway]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(32)).decode()
PDF = base64.b64encode(b"%PDF-1.4 test").decode()
OK = '{"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}'


@pytest.fixture
def sent(chat: Make, emulator: Emulator) -> Callable[..., dict[str, Any]]:
    """Send messages and return the request's JSON."""

    def send(messages: list[Any], model: str = "gemini-2.5-flash", **options: Any) -> dict[str, Any]:
        before = len(emulator.requests)
        emulator.enqueue(reply.raw(200, OK))
        chat(model, **options).invoke(messages)
        found: dict[str, Any] = emulator.requests[before].json  # a signature it never gave is tried again without
        return found

    return send


def parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for content in body["contents"] for part in content["parts"]]


def call(name: str, identifier: str | None, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": identifier}])


def responses(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [part["functionResponse"] for part in parts(body) if "functionResponse" in part]


@pytest.mark.leaves_replies
def test_late_system_messages_reach_the_model(sent: Callable[..., dict[str, Any]]) -> None:
    """A system message that is not first is part of the instruction, or stays where it is, or is refused."""
    messages = [HumanMessage("Hello"), AIMessage("Hi"), SystemMessage("Be brief."), HumanMessage("Go on")]

    assert sent(messages)["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert "Be brief." in str(sent(messages, late_system="inline")["contents"])
    with pytest.raises(UnsupportedContentError, match="late_system"):
        sent(messages, late_system="error")


def test_nothing_is_dropped(sent: Callable[..., dict[str, Any]]) -> None:
    """Every word of a conversation of odd order is sent."""
    words = [f"word{number}" for number in range(7)]
    messages = [
        AIMessage(words[0]),
        SystemMessage(words[1]),
        HumanMessage(words[2]),
        HumanMessage(words[3]),
        AIMessage(words[4]),
        AIMessage(words[5]),
        SystemMessage(words[6]),
    ]

    body = json.dumps(sent(messages))

    assert all(word in body for word in words)


def test_a_prompt_of_system_messages_alone_is_the_users(sent: Callable[..., dict[str, Any]]) -> None:
    """Gemini wants contents: the instruction is put as the user's words."""
    assert sent([SystemMessage("Say hi.")])["contents"] == [{"role": "user", "parts": [{"text": "Say hi."}]}]


def test_an_empty_conversation_is_refused(chat: Make) -> None:
    """Nothing to say is an error before sending."""
    with pytest.raises(UnsupportedContentError):
        chat().invoke([])
    with pytest.raises(UnsupportedContentError):
        chat().invoke("")


@pytest.mark.parametrize(
    ("role", "place"), [("user", "user"), ("assistant", "model"), ("developer", None), ("critic", "user")]
)
def test_chat_messages_of_any_role(sent: Callable[..., dict[str, Any]], role: str, place: str | None) -> None:
    """Roles of other providers find their place."""
    body = sent([HumanMessage("Hello"), ChatMessage("said", role=role), HumanMessage("Go on")])

    if place is None:
        assert body["systemInstruction"] == {"parts": [{"text": "said"}]}
    else:
        assert any({"text": "said"} in content["parts"] for content in body["contents"] if content["role"] == place)


def test_orphan_tool_messages_are_sent(sent: Callable[..., dict[str, Any]]) -> None:
    """A result without its call is told in words."""
    body = sent([HumanMessage("Hello"), ToolMessage("42 apples", tool_call_id="x", name="count"), HumanMessage("So?")])

    assert "42 apples" in json.dumps(body["contents"])
    assert "count" in json.dumps(body["contents"])


def test_ids_may_be_used_again(sent: Callable[..., dict[str, Any]]) -> None:
    """Two turns that both use the id "1" keep their own results."""
    body = sent(
        [
            HumanMessage("first"),
            call("f", "1"),
            ToolMessage("a", tool_call_id="1"),
            AIMessage("done"),
            HumanMessage("second"),
            call("f", "1"),
            ToolMessage("b", tool_call_id="1"),
        ]
    )

    assert [response["response"] for response in responses(body)] == [{"output": "a"}, {"output": "b"}]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("12345678901234567890.10", {"output": "12345678901234567890.10"}),
        ("007", {"output": "007"}),
        ("NaN", {"output": "NaN"}),
        ("null", {"output": "null"}),
        ("[1, 2]", {"output": "[1, 2]"}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": NaN}', {"output": '{"a": NaN}'}),
        ('{"a": 12345678901234567890.10}', {"output": '{"a": 12345678901234567890.10}'}),
        ("", {"output": ""}),
    ],
)
def test_results_arrive_exactly(sent: Callable[..., dict[str, Any]], content: str, response: Any) -> None:
    """Strings stay the strings they were, JSON objects are objects."""
    body = sent([HumanMessage("go"), call("f", "1"), ToolMessage(content, tool_call_id="1")])

    assert responses(body) == [{"name": "f", "response": response}]


def test_parallel_results_go_in_call_order(sent: Callable[..., dict[str, Any]]) -> None:
    """One user turn holds all results, in the order of the calls."""
    calls = [{"name": name, "args": {}, "id": name} for name in "abc"]
    results = [ToolMessage(name.upper(), tool_call_id=name) for name in "cab"]

    body = sent([HumanMessage("go"), AIMessage("", tool_calls=calls), *results])

    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]
    assert [response["response"]["output"] for response in responses(body)] == ["A", "B", "C"]


def test_failed_tools_say_error(sent: Callable[..., dict[str, Any]]) -> None:
    """status="error" arrives as an error."""
    body = sent([HumanMessage("go"), call("f", "1"), ToolMessage("boom", tool_call_id="1", status="error")])

    assert responses(body)[0]["response"] == {"error": "boom"}


INLINE = {"inlineData": {"mimeType": "image/png", "data": PNG}}
DOCUMENT = {"inlineData": {"mimeType": "application/pdf", "data": PDF}}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"text": "a"}),
        ("a", {"text": "a"}),
        ({"type": "input_text", "text": "a"}, {"text": "a"}),
        ({"type": "text-plain", "text": "a", "mime_type": "text/plain"}, {"text": "a"}),
        ({"text": "a"}, {"text": "a"}),
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}, INLINE),
        ({"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"}, INLINE),
        ({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}, INLINE),
        ({"type": "image", "base64": PNG, "mime_type": "image/png"}, INLINE),
        ({"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"}, INLINE),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, INLINE),
        ({"type": "media", "mime_type": "image/png", "data": PNG}, INLINE),
        ({"image": {"format": "png", "source": {"bytes": base64.b64decode(PNG)}}}, INLINE),
        ({"inline_data": {"mime_type": "image/png", "data": PNG}}, INLINE),
        ({"type": "file", "base64": PDF, "mime_type": "application/pdf"}, DOCUMENT),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}, DOCUMENT),
        ({"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}"}, DOCUMENT),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}, DOCUMENT),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}, {"text": "a"}),
        (
            {"type": "image", "url": "https://example.com/a.png"},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}},
        ),
        (
            {"type": "media", "file_uri": "gs://bucket/a.mp4", "mime_type": "video/mp4"},
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/a.mp4"}},
        ),
        (
            {"type": "video", "url": "https://youtu.be/x", "extras": {"video_metadata": {"start_offset": "1s"}}},
            {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"startOffset": "1s"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        ),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict | str) and "type" in value else "",
)
def test_blocks_of_every_provider(sent: Callable[..., dict[str, Any]], block: Any, part: dict[str, Any]) -> None:
    """LangChain v0 and v1, OpenAI, Anthropic, Bedrock and Google blocks become parts."""
    assert sent([HumanMessage([block])])["contents"] == [{"role": "user", "parts": [part]}]


def test_anthropic_tool_results_are_results(sent: Callable[..., dict[str, Any]]) -> None:
    """tool_use and tool_result blocks pair up without doubling."""
    said = AIMessage(
        [{"type": "text", "text": "Let me see."}, {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}],
        tool_calls=[{"name": "f", "args": {"a": 1}, "id": "1"}],
    )
    heard = HumanMessage([{"type": "tool_result", "tool_use_id": "1", "content": "sunny", "is_error": False}])

    body = sent([HumanMessage("go"), said, heard])

    assert [part for part in parts(body) if "functionCall" in part] == [
        {"functionCall": {"name": "f", "args": {"a": 1}}}
    ]
    assert responses(body) == [{"name": "f", "response": {"output": "sunny"}}]


def test_unknown_blocks_are_refused_with_advice(chat: Make) -> None:
    """What cannot be sent is named, and what can."""
    with pytest.raises(UnsupportedContentError, match="known: .*image"):
        chat().invoke([HumanMessage([{"type": "hologram", "x": 1}])])


@pytest.mark.parametrize(
    "block", [{"type": "image", "base64": PNG, "mime_type": "image/png"}, INLINE], ids=["v1", "wire"]
)
def test_media_in_tool_messages(sent: Callable[..., dict[str, Any]], block: dict[str, Any]) -> None:
    """Inside the function response for Gemini 3, behind it for older models."""
    history = [
        HumanMessage("go"),
        call("f", "1"),
        ToolMessage([{"type": "text", "text": "see"}, block], tool_call_id="1"),
    ]

    newer, older = sent(history, "gemini-3-pro-preview"), sent(history, "gemini-2.5-pro")

    assert responses(newer)[0]["parts"] == [INLINE]
    assert older["contents"][-1]["parts"][1:] == [INLINE]
    assert responses(newer)[0]["response"] == responses(older)[0]["response"] == {"output": "see"}


async def test_urls_are_fetched_only_when_asked_for(chat: Make, emulator: Emulator) -> None:
    """By reference without a fetcher; with one, private addresses are refused, blocking and async."""
    message = HumanMessage([{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a.png"}}])

    emulator.enqueue(reply.raw(200, OK))
    chat().invoke([message])
    assert parts(emulator.requests[-1].json)[0]["fileData"]["fileUri"] == "http://127.0.0.1:9/a.png"

    careful = chat(media_fetcher=MediaFetcher())
    with pytest.raises(UnsupportedContentError):
        careful.invoke([message])
    with pytest.raises(UnsupportedContentError):
        await careful.ainvoke([message])
    assert len(emulator.requests) == 1


FOREIGN = [
    AIMessage(
        [
            {"type": "thinking", "thinking": "hm", "signature": "anthropic-signature"},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "text", "text": "Hello"},
        ],
        response_metadata={"model_provider": "anthropic"},
    ),
    AIMessage(
        [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "openai-signature"},
            {"type": "function_call", "name": "f", "arguments": '{"a": 1}', "call_id": "1", "id": "fc_1"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "text", "text": "Hello", "annotations": []},
        ],
        tool_calls=[{"name": "f", "args": {"a": 1}, "id": "1"}],
        response_metadata={"model_provider": "openai"},
    ),
    AIMessage(
        [
            {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "anthropic-signature"}},
            {"type": "text", "text": "Hello"},
        ],
        response_metadata={"model_provider": "anthropic", "output_version": "v1"},
    ),
    AIMessage(
        [{"reasoningContent": {"reasoningText": {"text": "hm", "signature": "bedrock-signature"}}}, {"text": "Hello"}],
        response_metadata={"model_provider": "bedrock_converse"},
    ),
    AIMessage("Hello", additional_kwargs={"reasoning_content": "hm", "refusal": None}),
]


@pytest.mark.parametrize("message", FOREIGN, ids=["anthropic", "openai", "anthropic-v1", "bedrock", "deepseek"])
def test_foreign_histories_lose_their_signatures(sent: Callable[..., dict[str, Any]], message: AIMessage) -> None:
    """What other providers signed is never sent; their words are."""
    body = sent([HumanMessage("go"), message, HumanMessage("on")], "gemini-3-pro-preview")

    text = json.dumps(body)
    assert "Hello" in text
    assert "signature" not in text.replace("thoughtSignature", "").replace("skip_thought_signature_validator", "")


def test_foreign_calls_get_the_sentinel(sent: Callable[..., dict[str, Any]]) -> None:
    """Gemini 3 refuses unsigned calls of the current turn; older models get nothing."""
    history = [HumanMessage("go"), call("f", "1"), ToolMessage("a", tool_call_id="1")]

    newer, older = parts(sent(history, "gemini-3-pro-preview")), parts(sent(history, "gemini-2.5-pro"))

    assert newer[1]["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in older[1]


def test_checkpoints_of_chat_google_generative_ai(sent: Callable[..., dict[str, Any]]) -> None:
    """The signatures of its messages go back byte by byte."""
    message = AIMessage(
        [
            {"type": "thinking", "thinking": "hm", "signature": "S/think+1=="},
            {"type": "text", "text": "Look", "extras": {"signature": "S/text+1=="}},
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{PNG}"},
                "extras": {"signature": "S/image+1=="},
            },
        ],
        tool_calls=[{"name": "f", "args": {}, "id": "4b6f2c9e-0000-4000-8000-000000000000"}],
        additional_kwargs={
            "__gemini_function_call_thought_signatures__": {"4b6f2c9e-0000-4000-8000-000000000000": "S/call+1=="}
        },
        response_metadata={"model_provider": "google_genai"},
    )

    body = sent([HumanMessage("go"), message, ToolMessage("a", tool_call_id=message.tool_calls[0]["id"])])

    assert body["contents"][1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "S/think+1=="},
        {"text": "Look", "thoughtSignature": "S/text+1=="},
        {**INLINE, "thoughtSignature": "S/image+1=="},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "S/call+1=="},
    ]


SIGNED = [
    {"text": "Let me think.", "thought": True},
    {"text": "Here is a "},
    {"text": "fox.", "thoughtSignature": "S-text/+=="},
    {"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "S-image/+=="},
    {"functionCall": {"name": "f", "args": {"a": 1}, "id": "srv-1"}, "thoughtSignature": "S-call/+=="},
]
WHOLE = {"candidates": [{"content": {"role": "model", "parts": SIGNED}, "finishReason": "STOP"}]}
CHUNKS: list[dict[str, Any]] = [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in SIGNED]
CHUNKS[-1]["candidates"][0]["finishReason"] = "STOP"


def added(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    first, *others = chunks
    return first + others


async def received(model: ChatGemway, way: str) -> Any:
    if way == "invoke":
        return model.invoke("a fox")
    if way == "ainvoke":
        return await model.ainvoke("a fox")
    if way == "stream":
        return added([*model.stream("a fox")])
    if way == "astream":
        return added([chunk async for chunk in model.astream("a fox")])
    return model.stream_events("a fox", version="v3").output


def through_json(message: Any) -> Any:
    return messages_from_dict(json.loads(json.dumps(messages_to_dict([message]))))[0]


def through_load(message: Any) -> Any:
    return load(json.loads(json.dumps(dumpd(message))), allowed_objects="core")


@pytest.mark.parametrize(
    "journey", [lambda message: message, through_json, through_load], ids=["as-is", "dict", "load"]
)
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "events"])
@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_signatures_survive_every_way(
    chat: Make, emulator: Emulator, version: str, way: str, journey: Callable[[Any], Any]
) -> None:
    """v0, v1, streams, events and JSON checkpoints: the next request has every part as the server sent it."""
    emulator.enqueue(reply.raw(200, json.dumps(WHOLE)) if way.endswith("invoke") else reply.stream(CHUNKS))
    model = chat("gemini-3.1-flash-image-preview", include_thoughts=True, output_version=version)
    message = journey(await received(model, way))

    emulator.enqueue(reply.raw(200, OK))
    model.invoke([HumanMessage("a fox"), message, ToolMessage("a", tool_call_id="srv-1"), HumanMessage("Go on")])

    assert emulator.requests[1].json["contents"][1]["parts"] == SIGNED
    await model.aclose()


def test_ids_of_the_server_are_echoed(chat: Make, emulator: Emulator) -> None:
    """An id that the server gave comes back with the call and its result; others are never sent."""
    emulator.enqueue(reply.tool_call("f", {}, id="srv-1"), reply.tool_call("f", {}, id=False))
    model = chat()
    given, made_up = model.invoke("go"), model.invoke("go")

    for message in (given, made_up):
        emulator.enqueue(reply.raw(200, OK))
        model.invoke([HumanMessage("go"), message, ToolMessage("a", tool_call_id=message.tool_calls[0]["id"])])

    first, second = emulator.requests[2].json, emulator.requests[3].json
    assert parts(first)[1]["functionCall"]["id"] == parts(first)[2]["functionResponse"]["id"] == "srv-1"
    assert "id" not in parts(second)[1]["functionCall"]
    assert "id" not in parts(second)[2]["functionResponse"]


def test_the_wire_is_camel_case(chat: Make, emulator: Emulator) -> None:
    """No key outside user data has an underscore; the one switch changes exactly inline data."""
    message = HumanMessage(
        [{"type": "text", "text": "see"}, {"type": "image", "base64": PNG, "mime_type": "image/png"}]
    )
    options = {"temperature": 0.5, "max_tokens": 5, "safety_settings": {"HARM_CATEGORY_HARASSMENT": "OFF"}, "top_k": 3}

    emulator.enqueue(reply.raw(200, OK), reply.raw(200, OK))
    chat(**options).invoke([SystemMessage("s"), message])
    chat(inline_data_casing="snake").invoke([message])

    assert not [key for key in _keys(emulator.requests[0].json) if "_" in key]
    assert [key for key in _keys(emulator.requests[1].json) if "_" in key] == ["inline_data", "mime_type"]


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [key for name, item in value.items() for key in (name, *_keys(item))]
    return [key for item in value for key in _keys(item)] if isinstance(value, list) else []


def test_old_function_messages_are_results(sent: Callable[..., dict[str, Any]]) -> None:
    """OpenAI's first function calling is read, too."""
    said = AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": '{"a": 1}'}})

    body = sent([HumanMessage("go"), said, FunctionMessage("sunny", name="f")])

    assert parts(body)[1] == {"functionCall": {"name": "f", "args": {"a": 1}}}
    assert responses(body) == [{"name": "f", "response": {"output": "sunny"}}]
