"""What the model said goes back as it came: in its order, whole, however a stream cut it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gemway_emulator import Emulator, reply
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_gemway import ChatGemway

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYAAAAAIAAeIhvDMAAAAASUVORK5CYII="

Part = dict[str, Any]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Emulator]:
    with Emulator(validate=False) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def models(gateway: Emulator) -> Iterator[dict[str, ChatGemway]]:
    """One model for each shape that content can take."""
    options: dict[str, dict[str, Any]] = {
        "a string": {},
        "v0, thoughts asked for": {"include_thoughts": True},
        "v0, image model": {"model": "gemini-2.5-flash-image"},
        "v1": {"output_version": "v1"},
        "v1, thoughts asked for": {"output_version": "v1", "include_thoughts": True},
    }
    made = {
        name: ChatGemway(
            **{"model": "gemini-2.5-flash", "base_url": gateway.base_url, "api_key": gateway.api_key, **given}
        )
        for name, given in options.items()
    }
    yield made
    for model in made.values():
        model.close()


SHAPES = ["a string", "v0, thoughts asked for", "v0, image model", "v1", "v1, thoughts asked for"]


def answered(parts: list[list[Part]]) -> list[dict[str, Any]]:
    """Return the events of a stream, each of which brings some parts."""
    events = [{"candidates": [{"content": {"role": "model", "parts": some}, "index": 0}]} for some in parts]
    events[-1]["candidates"][0]["finishReason"] = "STOP"
    return events


def streamed(model: ChatGemway) -> AIMessage:
    first, *rest = model.stream("go")
    return sum(rest, first)


def streamed_as_events(model: ChatGemway) -> AIMessage:
    return model.stream_events("go", version="v3").output


def streamed_async(model: ChatGemway) -> AIMessage:
    async def collect() -> AIMessageChunk:
        chunks = [chunk async for chunk in model.astream("go")]
        await model.aclose()
        return sum(chunks[1:], chunks[0])

    return asyncio.run(collect())


WAYS = {"stream": streamed, "v3 events": streamed_as_events, "astream": streamed_async}


def sent_back(model: ChatGemway, gateway: Emulator, answer: AIMessage) -> list[Part]:
    """Return what the next turn sends as the model's."""
    gateway.enqueue(reply.text("ok"))
    model.invoke([HumanMessage("go"), answer, HumanMessage("and now?")])
    contents = gateway.requests[-1].json["contents"]
    return [part for content in contents if content["role"] == "model" for part in content["parts"]]


def normalised(parts: list[Part]) -> list[Part]:
    """Return *parts* with neighbouring texts put together, without thoughts that carry no signature.

    Google asks for signed parts back, each in its place; thoughts without a signature need not be sent.
    """
    merged: list[Part] = []
    for part in parts:
        if part.get("thought") and not part.get("thoughtSignature"):
            continue
        before = merged[-1] if merged else {}
        is_text = "text" in part and "text" in before and before.get("thought") == part.get("thought")
        if is_text and not signed(before) and not (part["text"] and signed(part)):
            merged[-1] = {**before, **part, "text": before["text"] + part["text"]}
            continue
        if part.get("text") == "" and not signed(part):
            continue
        merged.append(part)
    return merged


def signed(part: Part) -> bool:
    return bool(part.get("thoughtSignature"))


texts = st.sampled_from(["One ", "two ", "three.", "Wow!", "ä€😀 "])
signatures = st.sampled_from([{}, {}, {}, {"thoughtSignature": "c2lnbmVk"}])
parts = st.one_of(
    st.builds(lambda text, more: {"text": text, **more}, texts, signatures),
    st.builds(lambda text, more: {"text": text, "thought": True, **more}, texts, signatures),
    st.builds(lambda a, more: {"functionCall": {"name": "f", "args": {"a": a}}, **more}, st.integers(0, 9), signatures),
)
streams = st.lists(st.lists(parts, min_size=1, max_size=3), min_size=1, max_size=5)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stream=streams)
def test_parts_keep_their_order(
    gateway: Emulator, models: dict[str, ChatGemway], shape: str, way: Any, stream: list[list[Part]]
) -> None:
    """Texts, signed thoughts and calls go back in the order in which they came, with their signatures."""
    model = models[shape]
    gateway.reset()
    gateway.enqueue(reply.stream(answered(stream)))

    answer = way(model)

    said = [part for some in stream for part in some]
    assert answer.text == "".join(part["text"] for part in said if "text" in part and not part.get("thought"))
    assert [call["args"] for call in answer.tool_calls] == [p["functionCall"]["args"] for p in said if "text" not in p]
    assert normalised(sent_back(model, gateway, answer)) == normalised(said)


PIECES = {
    "text": ([[{"text": "One "}, {"text": "two "}], [{"text": "three"}]], "text", "One two three"),
    "thoughts": (
        [[{"text": "One ", "thought": True}, {"text": "two ", "thought": True}], [{"text": "three", "thought": True}]],
        "reasoning",
        "One two three",
    ),
    "a last character that was held back": ([[{"text": "You are welcome!"}]], "text", "You are welcome!"),
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES.keys())
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_pieces_of_one_event_are_one_block(
    gateway: Emulator, models: dict[str, ChatGemway], shape: str, way: Any, pieces: Any
) -> None:
    """Gateways gather several parts in an event; LangChain would put the second behind all later text."""
    stream, kind, words = pieces
    gateway.reset()
    gateway.enqueue(reply.stream(answered(stream)))

    answer = way(models[shape])

    assert [block[kind] for block in answer.content_blocks if block["type"] == kind] == [words]


GROUNDING = {
    "groundingChunks": [{"web": {"uri": "https://one.example", "title": "One"}}],
    "groundingSupports": [
        {"segment": {"startIndex": 0, "endIndex": 5, "text": "First"}, "groundingChunkIndices": [0]},
        {"segment": {"startIndex": 5, "endIndex": 11, "text": "Second"}, "groundingChunkIndices": [0]},
    ],
}


@pytest.mark.parametrize(
    ("output_version", "way"),
    [("v1", streamed), ("v1", streamed_async), ("v1", streamed_as_events), ("v0", streamed_as_events)],
    ids=["v1 stream", "v1 astream", "v1, v3 events", "v0, v3 events"],
)
@pytest.mark.parametrize("model_name", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_every_text_block_keeps_its_citations(
    gateway: Emulator, way: Any, output_version: str, model_name: str
) -> None:
    """They come with the last event, when other blocks have begun long ago."""
    events = answered(
        [
            [{"text": "First"}],
            [{"executableCode": {"language": "PYTHON", "code": "1"}}],
            [{"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}],
            [{"text": "Second"}],
        ]
    )
    events[-1]["candidates"][0]["groundingMetadata"] = GROUNDING
    gateway.reset()
    gateway.enqueue(reply.stream(events))
    tools = [{"googleSearch": {}}, {"codeExecution": {}}]
    with ChatGemway(
        model=model_name,
        base_url=gateway.base_url,
        api_key=gateway.api_key,
        tools=tools,
        output_version=output_version,
    ) as model:
        answer = way(model)

    blocks = json.loads(json.dumps(answer.content_blocks))
    cited = [[one["cited_text"] for one in block.get("annotations", ())] for block in blocks if block["type"] == "text"]
    assert cited == [["First"], ["Second"]]
