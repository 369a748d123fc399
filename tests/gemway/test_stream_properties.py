"""However a stream is cut, and whatever it repeats, the answer is the same."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import wire_recordings as wire
from gemway import fold
from gemway._sse import EventDecoder
from gemway.adapters import Accumulator
from gemway.types import GenerateContentResponse
from hypothesis import given, settings
from hypothesis import strategies as st

TRICKY = {"text": 'a "quoted" \\ brace } [ \u2028 \u0085 ü 😀 \r\n data: x', "n": [1, {"b": "}"}]}
EVENTS = [json.dumps(TRICKY, ensure_ascii=False).encode(), b'{"x":1}', b"{}", json.dumps({"k": "é" * 50}).encode()]
FRAMINGS = {
    "lf": b"".join(b"data: " + event + b"\n\n" for event in EVENTS),
    "crlf": b"".join(b"data: " + event + b"\r\n\r\n" for event in EVENTS),
    "cr": b"".join(b"data: " + event + b"\r\r" for event in EVENTS),
    "mixed": b"\n\n".join(b"event: message\r\nid: 7\rdata:" + event for event in EVENTS) + b"\n\n",
    "no space, no last blank line": b"\n\n".join(b"data:" + event for event in EVENTS),
    "comments, retry, done": b": PING\n\nretry: 10\n\n"
    + b": PING\n\n".join(b"data: " + event + b"\n\n" for event in EVENTS)
    + b"data: [DONE]\n\n",
    "byte order mark": b"\xef\xbb\xbf" + b"".join(b"data: " + event + b"\n\n" for event in EVENTS),
    "array": b"[" + b"\n,\r\n".join(EVENTS) + b"]\n",
    "objects": b"\n".join(EVENTS),
}


def decode(data: bytes, cuts: list[int]) -> list[bytes]:
    decoder = EventDecoder()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    events = [event for start, end in pairwise(edges) for event in decoder.feed(data[start:end])]
    return [*events, *decoder.finish()]


@pytest.mark.parametrize("framing", FRAMINGS, ids=lambda name: name)
@given(cuts=st.lists(st.integers(0, 10_000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_split_gives_the_same_events(framing, cuts):
    """Bytes may be cut anywhere: inside UTF-8, between CR and LF, inside escapes."""
    events = decode(FRAMINGS[framing], cuts)

    assert [json.loads(event) for event in events] == [json.loads(event) for event in EVENTS]


@pytest.mark.parametrize("framing", FRAMINGS, ids=lambda name: name)
def test_single_bytes_give_the_same_events(framing):
    """One byte at a time is the hardest split."""
    data = FRAMINGS[framing]

    assert decode(data, list(range(len(data)))) == decode(data, [])


def test_several_data_lines_are_one_event():
    """Lines of one event are joined with a line feed, as the standard says."""
    assert decode(b'data: {"a":\ndata: 1}\n\n', []) == [b'{"a":\n1}']


@pytest.mark.skipif(not wire.recordings(), reason=wire.ABSENT)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_split_of_a_recorded_stream_folds_to_the_same_answer(data):
    """Recorded streams, cut at random, give the response that they give whole."""
    streams = [
        record for record in wire.answers() if record["response_kind"] == "sse" and len(record["response"]) < 50_000
    ]
    record = data.draw(st.sampled_from(streams))
    body = record["response"].encode()
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=40))

    def folded(events: list[bytes]) -> GenerateContentResponse:
        return fold(GenerateContentResponse.model_validate_json(event) for event in events)

    assert folded(decode(body, cuts)) == folded(decode(body, []))


COUNTS = st.fixed_dictionaries(
    {},
    optional={
        name: st.integers(0, 10_000)
        for name in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")
    },
)


@given(st.lists(st.none() | COUNTS, min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_usage_is_the_last_value_of_each_field(usages):
    """Usage is cumulative: never summed, and a field that a later chunk leaves out stays."""
    accumulator = Accumulator()
    for usage in usages:
        accumulator.add(GenerateContentResponse.model_validate({"candidates": [], "usageMetadata": usage}))
    expected: dict[str, int] = {}
    for usage in usages:
        expected.update(usage or {})

    got = accumulator.response().usage_metadata

    assert (got.model_dump(exclude_none=True) if got else {}) == expected


def chunk(*parts: dict, **candidate) -> GenerateContentResponse:
    return GenerateContentResponse.model_validate({"candidates": [{"content": {"parts": list(parts)}, **candidate}]})


def test_streamed_call_arguments_become_one_call():
    """Name first, then pieces by JSON path, then an empty call: one whole functionCall with its signature."""
    pieces = [
        {"functionCall": {"name": "book", "willContinue": True}, "thoughtSignature": "c2ln"},
        {
            "functionCall": {
                "partialArgs": [{"jsonPath": "$.city", "stringValue": "Zür", "willContinue": True}],
                "willContinue": True,
            }
        },
        {"functionCall": {"partialArgs": [{"jsonPath": "$.city", "stringValue": "ich"}], "willContinue": True}},
        {"functionCall": {"partialArgs": [{"jsonPath": "$.rooms[1].beds", "numberValue": 2}], "willContinue": True}},
        {"functionCall": {}},
    ]

    response = fold([*(chunk(piece) for piece in pieces), chunk(finishReason="STOP")])

    (part,) = response.parts
    assert part.function_call.name == "book"
    assert part.function_call.args == {"city": "Zürich", "rooms": [None, {"beds": 2}]}
    assert part.thought_signature == "c2ln"
    # The pieces are put together: sent back with the history, the call must not announce more of them.
    assert part.function_call.model_dump(exclude_none=True).keys() == {"name", "args"}


def test_a_call_without_its_last_piece_is_not_lost():
    """The terminal piece may be missing: the next call, or the end, closes an open one."""
    first = {"functionCall": {"name": "a", "willContinue": True}}
    second = {"functionCall": {"name": "b", "args": {"x": 1}}}

    response = fold([chunk(first), chunk(second), chunk(first, finishReason="STOP")])

    assert [(call.name, call.args) for call in response.function_calls] == [("a", {}), ("b", {"x": 1}), ("a", {})]


def test_a_call_that_finish_closes_is_in_the_answer_too():
    """What is handed on at the end of a stream is what the folded answer holds, once."""
    accumulator = Accumulator()
    held = accumulator.add(chunk({"functionCall": {"name": "a", "willContinue": True}}))

    last = accumulator.finish()

    assert [held, [part.function_call.name for part in last]] == [[], ["a"]]
    assert [call.name for call in accumulator.response().function_calls] == ["a"]


def test_the_signature_of_an_empty_last_part_joins_the_text_before_it():
    """`{"text": "", "thoughtSignature": S}` at the end of a stream signs what came before."""
    response = fold(
        [chunk({"text": "Hello "}), chunk({"text": "you"}), chunk({"text": "", "thoughtSignature": "c2ln"})]
    )

    assert [(part.text, part.thought_signature) for part in response.parts] == [("Hello you", "c2ln")]


def test_an_empty_last_part_that_is_a_thought_signs_the_thought():
    """All fields that a text may have are there: `text`, `thought` and the signature."""
    response = fold(
        [chunk({"text": "hm", "thought": True}), chunk({"text": "", "thought": True, "thoughtSignature": "c2ln"})]
    )

    assert [part.to_dict() for part in response.parts] == [{"text": "hm", "thought": True, "thoughtSignature": "c2ln"}]


def test_texts_that_name_every_field_are_joined():
    """Some gateways send `thought: false` and an empty signature with each piece."""
    piece = {"text": "ab", "thought": False, "thoughtSignature": ""}

    assert [part.text for part in fold([chunk(piece), chunk(piece)]).parts] == ["abab"]


def test_signed_parts_are_never_joined():
    """Two signed texts stay two parts; thoughts and answer stay apart."""
    parts = [
        {"text": "think", "thought": True},
        {"text": "a", "thoughtSignature": "MQ=="},
        {"text": "b", "thoughtSignature": "Mg=="},
        {"text": "c"},
    ]

    response = fold(chunk(part) for part in parts)

    assert [part.to_dict() for part in response.parts] == parts


def test_content_after_stop_and_repeated_stops_are_kept():
    """STOP in every chunk ends nothing; an empty finishReason takes nothing back."""
    response = fold([chunk({"text": "a"}, finishReason="STOP"), chunk({"text": "b"}, finishReason="")])

    assert (response.text, response.finish_reason) == ("ab", "STOP")


def test_late_metadata_is_kept():
    """Grounding of the last chunk and URL context of the first are both in the folded answer."""
    response = fold(
        [
            chunk({"text": "a"}, urlContextMetadata={"urlMetadata": [{"retrievedUrl": "https://x.example"}]}),
            chunk({"text": "b"}, groundingMetadata={"webSearchQueries": ["q"]}),
        ]
    )

    (candidate,) = response.candidates
    assert candidate.url_context_metadata.url_metadata[0].retrieved_url == "https://x.example"
    assert candidate.grounding_metadata.web_search_queries == ["q"]
