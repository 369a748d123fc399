"""The common case takes a short way through the adapter, and says the same as the way that everything else takes.

A member that means nothing (`"thought": false`) or another spelling of the same block is enough to send it the long way.
"""

from __future__ import annotations

import base64
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import wire_recordings as wire
from gemway_emulator import Emulator, reply
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langchain_gemway import ChatGemway

Json = dict[str, Any]
MADE_UP_ID = re.compile("call_[0-9a-f]{32}")
PNG = b"\x89PNG\r\n\x1a\n"

texts = st.text(min_size=1, max_size=40).filter(lambda text: "data:" not in text)
usages = st.fixed_dictionaries(
    {"promptTokenCount": st.integers(0, 99), "totalTokenCount": st.integers(0, 999)},
    optional={"candidatesTokenCount": st.integers(0, 99), "thoughtsTokenCount": st.integers(0, 99)},
)
endings = st.sampled_from(["STOP", "STOP", "MAX_TOKENS", "SAFETY", "OTHER"])


@pytest.fixture(scope="module")
def gateway() -> Iterator[Emulator]:
    with Emulator(validate=False) as emulator:
        yield emulator


@pytest.fixture(scope="module", params=["v0", "v1"])
def model(request: pytest.FixtureRequest, gateway: Emulator) -> Iterator[ChatGemway]:
    options: Json = {"base_url": gateway.base_url, "api_key": gateway.api_key, "max_retries": 0}
    with ChatGemway(model="gemini-2.5-flash", output_version=request.param, **options) as model:
        yield model


def the_long_way(chunk: Json) -> Json:
    """Return an answer, or an event of one, whose texts carry a member that means nothing."""
    copied = json.loads(json.dumps(chunk))
    for candidate in copied.get("candidates") or ():
        for part in (candidate.get("content") or {}).get("parts") or ():
            if "text" in part:
                part.setdefault("thought", False)
    return copied


def whole(model: ChatGemway, gateway: Emulator, answer: Json) -> AIMessage:
    gateway.enqueue(reply.raw(200, json.dumps(answer)))
    return _asked(model, "invoke")


def streamed(model: ChatGemway, gateway: Emulator, events: list[Json]) -> AIMessage:
    gateway.enqueue(reply.stream(events))
    return _asked(model, "stream")


def _asked(model: ChatGemway, how: str) -> AIMessage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # answers that end early warn
        if how == "invoke":
            return model.invoke("go")
        first, *others = model.stream("go")
        return first + others


def shown(message: AIMessage) -> Json:
    """Return all that a message holds, but for ids that were made up on the way."""
    held = message.model_dump(exclude={"id"})
    held["response_metadata"].pop("request_id", None)
    text = json.dumps(held, default=repr, sort_keys=True)
    ids = {made_up: f"call {number}" for number, made_up in enumerate(dict.fromkeys(MADE_UP_ID.findall(text)))}
    text = MADE_UP_ID.sub(lambda match: ids[match[0]], text)
    return json.loads(text)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(texts, min_size=1, max_size=4), usage=usages, ending=endings)
def test_a_text_is_read_alike(
    model: ChatGemway, gateway: Emulator, pieces: list[str], usage: Json, ending: str
) -> None:
    """Content, usage and metadata of a text, whole and streamed, do not depend on the way that it took."""
    events = [{"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]} for text in pieces]
    last = {**events[-1]["candidates"][0], "finishReason": ending}
    events[-1] = {"candidates": [last], "usageMetadata": usage, "responseId": "r1", "modelVersion": "gemini-x"}
    gateway.reset()

    for read, answer in ((whole, events[-1]), (streamed, events)):
        long = [*map(the_long_way, answer)] if isinstance(answer, list) else the_long_way(answer)
        assert shown(read(model, gateway, answer)) == shown(read(model, gateway, long))


@pytest.mark.timeout(300)
@pytest.mark.skipif(not wire.recordings(), reason=wire.ABSENT)
def test_every_recorded_answer_is_read_alike(model: ChatGemway, gateway: Emulator) -> None:
    """The same for what was recorded of real traffic: texts, thoughts, calls and pictures, all that came with them."""
    differences = []
    for record in wire.answers():
        chunks = wire.chunks_of(record)
        if not chunks or len(json.dumps(chunks)) > 50_000:
            continue
        gateway.reset()
        read, answer = (whole, chunks[0]) if record["endpoint"] == "generateContent" else (streamed, chunks)
        long = [*map(the_long_way, answer)] if isinstance(answer, list) else the_long_way(answer)
        if shown(read(model, gateway, answer)) != shown(read(model, gateway, long)):
            differences.append(record["id"])

    assert differences == []


def picture_blocks(data: bytes) -> list[Json]:
    """Return blocks that all show the same picture; the first is what LangChain's own docs write."""
    text = base64.b64encode(data).decode()
    return [
        {"type": "image", "base64": text, "mime_type": "image/png"},
        {"type": "image", "base64": text, "mime_type": "IMAGE/PNG", "extras": {}},
        {"type": "image", "base64": base64.urlsafe_b64encode(data).decode().rstrip("="), "mime_type": "image/png"},
        {"type": "image", "base64": f"data:image/png;base64,{text}", "mime_type": "image/png"},
        {"type": "image", "base64": data, "mime_type": "image/png"},
        {"type": "image", "source_type": "base64", "data": text, "mime_type": "image/png"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}},
        {"inlineData": {"mimeType": "image/png", "data": text}},
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=texts, data=st.binary(min_size=20, max_size=200))
def test_a_question_about_a_picture_is_sent_alike(
    model: ChatGemway, gateway: Emulator, question: str, data: bytes
) -> None:
    """Text and picture come to the same contents, in whichever of the usual blocks they are."""
    gateway.reset()
    spellings = [
        [text, picture]
        for text in ({"type": "text", "text": question}, question, {"text": question})
        for picture in picture_blocks(PNG + data)
    ]

    for blocks in spellings:
        model.invoke([HumanMessage(blocks)])

    first, *others = [request.json["contents"] for request in gateway.requests]
    assert others == [first] * (len(spellings) - 1)
    assert first[0]["parts"][0] == {"text": question}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=texts, answer=texts)
def test_a_conversation_of_texts_is_sent_alike(
    model: ChatGemway, gateway: Emulator, question: str, answer: str
) -> None:
    """A string and a list with one block of text are the same message."""
    gateway.reset()

    for asked in (question, [{"type": "text", "text": question}]):
        for said in (answer, [{"type": "text", "text": answer}]):
            model.invoke([HumanMessage(asked), AIMessage(said), HumanMessage(asked)])

    first, *others = [request.json["contents"] for request in gateway.requests]
    assert others == [first] * 3
