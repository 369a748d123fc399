"""Chunks that only add text are read without validation, and nothing of a stream is different for it."""

from __future__ import annotations

import json

import pytest
import wire_recordings as wire
from gemway import ResponseValidationError, fold
from gemway._response import to_text_chunk
from gemway._sse import EventDecoder
from gemway.adapters import Accumulator, TextChunk
from gemway.types import GenerateContentResponse
from gemway_emulator import reply
from hypothesis import given, settings
from hypothesis import strategies as st

MODEL = "gemini-2.5-flash"
QUESTION = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def chunk(part=None, *, top=None, candidate=None, content=None):
    """Return the bytes of a chunk."""
    inner = {"parts": [part or {"text": "word "}], "role": "model", **(content or {})}
    return json.dumps({"candidates": [{"content": inner, "index": 0, **(candidate or {})}], **(top or {})}).encode()


def read(event: bytes) -> GenerateContentResponse:
    return GenerateContentResponse.model_validate_json(event)


def folded_fast(events):
    """Fold *events* as adapters do; the first is always a message."""
    accumulator = Accumulator()
    for position, event in enumerate(events):
        text = to_text_chunk(event) if position else None
        accumulator.add(read(event)) if text is None else accumulator.add_text(text)
    return accumulator.response()


USAGE = {"promptTokenCount": 8, "candidatesTokenCount": 3, "totalTokenCount": 11}
PLAIN = [
    chunk(),
    chunk({"text": "ü 😀 \u2028"}),
    chunk(top={"usageMetadata": USAGE, "modelVersion": "m", "responseId": "r"}),
    chunk(top={"usageMetadata": {**USAGE, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}]}}),
    b'{"candidates": [{"content": {"parts": [{"text": "no role, no index"}]}}]}',
]
OTHERS = [
    chunk({"text": ""}),
    chunk({"text": None}),
    chunk({"text": "a thought", "thought": True}),
    chunk({"text": "signed", "thoughtSignature": "c2ln"}),
    chunk({"functionCall": {"name": "f", "args": {}}}),
    chunk({"text": "![](data:image/png;base64,iVBORw0KGgo=)"}),
    chunk(candidate={"finishReason": "STOP"}),
    chunk(candidate={"index": 1}),
    chunk(candidate={"safetyRatings": []}),
    chunk(content={"role": "user"}),
    chunk(content={"parts": [{"text": "two"}, {"text": "parts"}]}),
    chunk(content={"parts": []}),
    chunk(content={"tomorrow": 1}),
    chunk(top={"tomorrow": 1}),
    chunk(top={"promptFeedback": {}}),
    chunk(top={"modelVersion": None}),
    chunk(top={"usageMetadata": None}),
    chunk(top={"usageMetadata": {**USAGE, "cachedContentTokenCount": 5}}),
    chunk(top={"usageMetadata": {"promptTokenCount": "8"}}),
    chunk(top={"usageMetadata": {"promptTokenCount": None}}),
    chunk(top={"candidates": []}),
    b'{"usageMetadata": {"promptTokenCount": 8}}',
    b'{"candidates": "none"}',
    b'{"error": {"code": 503}}',
    b"[1]",
    b"not JSON",
    b"",
]


@pytest.mark.parametrize("event", PLAIN)
def test_a_chunk_that_only_adds_text_is_taken(event):
    """Its text and the JSON are what the wire said."""
    taken = to_text_chunk(event)

    assert taken is not None
    assert taken.text == read(event).text
    assert taken.wire == json.loads(event)
    assert taken.text not in repr(taken)


@pytest.mark.parametrize("event", OTHERS)
def test_every_other_chunk_is_left_to_the_types(event):
    """Whatever has to be looked at, kept or refused is a message, or the error that it means."""
    assert to_text_chunk(event) is None


@given(st.lists(st.sampled_from(PLAIN + OTHERS[:21]), min_size=1, max_size=12))
@settings(max_examples=400, deadline=None)
def test_both_ways_fold_to_the_same_answer(events):
    """In any order and mixture."""
    assert folded_fast(events) == fold(map(read, events))


@pytest.mark.skipif(not wire.recordings(), reason=wire.ABSENT)
def test_recorded_streams_fold_to_the_same_answer():
    """Every stream of the recordings, and most of their chunks are of the plain kind."""
    plain = total = 0
    for record in wire.answers():
        if record["response_kind"] != "sse":
            continue
        decoder = EventDecoder()
        events = [*decoder.feed(record["response"].encode()), *decoder.finish()]
        assert folded_fast(events) == fold(map(read, events))
        plain += sum(to_text_chunk(event) is not None for event in events)
        total += len(events)

    assert 0 < plain < total


def test_a_stream_gives_the_first_and_the_last_chunk_whole(client, emulator):
    """The first one tells how the exchange went, the last one why the answer ended."""
    emulator.enqueue(reply.text("one two three four five six", chunks=6))

    with client.stream_chunks(MODEL, QUESTION) as stream:
        chunks = list(stream)

    assert [isinstance(one, TextChunk) for one in chunks] == [False, True, True, True, True, False]
    assert chunks[0].exchange.attempts == 1
    assert chunks[-1].finish_reason == "STOP"
    assert "".join(one.text for one in chunks) == "one two three four five six"


def test_usage_that_is_none_is_an_error_at_the_end():
    """Details are kept as they came until somebody asks for the whole."""
    accumulator = Accumulator()
    accumulator.add_text(to_text_chunk(chunk(top={"usageMetadata": {"promptTokensDetails": [5]}})))

    with pytest.raises(ResponseValidationError, match=r"usageMetadata|promptTokensDetails"):
        accumulator.response()
