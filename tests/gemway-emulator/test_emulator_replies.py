"""Scripted replies: the client gets exactly what `enqueue` took."""

from __future__ import annotations

import base64
import io
import json
import time

import httpx
import pytest
from gemway_emulator import reply
from PIL import Image

MODEL = "gemini-2.5-flash"


def test_replies_are_served_in_order_then_the_emulator_answers_itself(emulator, ask):
    """One reply per generate call, unary or streamed; countTokens takes none."""
    emulator.enqueue(reply.text("first"), reply.text("second"))
    ask.post("x", action="countTokens")

    assert ask.text("x") == "first"
    assert "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in ask.stream("x")) == "second"
    assert "emulator" in ask.text("x")


def test_text_with_everything(emulator, ask):
    """Thoughts, signature, finish reason, usage, model version and extra fields arrive where Google puts them."""
    emulator.enqueue(
        reply.text(
            "42",
            thoughts="hm",
            signature="c2ln",
            finish_reason="MAX_TOKENS",
            finish_message="cut",
            usage={
                "promptTokenCount": 7,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 3,
                "cachedContentTokenCount": 2,
            },
            model_version="gemini-2.5-flash-002",
            candidate={"groundingMetadata": {"webSearchQueries": ["q"]}},
            response={"modelStatus": {"modelStage": "STABLE"}},
        )
    )
    answer = ask.json("x")

    candidate = answer["candidates"][0]
    assert candidate["content"] == {
        "parts": [{"text": "hm", "thought": True}, {"text": "42", "thoughtSignature": "c2ln"}],
        "role": "model",
    }
    assert (candidate["finishReason"], candidate["finishMessage"]) == ("MAX_TOKENS", "cut")
    assert candidate["groundingMetadata"] == {"webSearchQueries": ["q"]}
    assert answer["usageMetadata"] == {
        "promptTokenCount": 7,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 2,
        "totalTokenCount": 15,
    }
    assert answer["modelVersion"] == "gemini-2.5-flash-002"
    assert answer["modelStatus"] == {"modelStage": "STABLE"}


@pytest.mark.parametrize("chunks", [3, ["ab", "cd", "ef"]], ids=["number", "pieces"])
def test_text_streams_in_the_chunks_asked_for(emulator, ask, chunks):
    """`chunks` is a number of events or the pieces themselves."""
    emulator.enqueue(reply.text("abcdef", chunks=chunks))

    texts = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in ask.stream("x")]
    assert texts == ["ab", "cd", "ef"]


def test_delays_are_seconds(emulator, ask):
    """`delay` before the answer, `chunk_delay` between events."""
    emulator.enqueue(reply.text("a", delay=0.1), reply.text("abc", chunks=3, chunk_delay=0.05))
    began = time.perf_counter()
    ask.text("x")
    between = time.perf_counter()
    ask.stream("x")

    assert between - began >= 0.1
    assert time.perf_counter() - between >= 0.1


def test_thoughts_are_a_part_of_their_own(emulator, ask):
    """`reply.thoughts(thought, text)`."""
    emulator.enqueue(reply.thoughts("let me see", "seen"))

    assert ask.parts("x") == [{"text": "let me see", "thought": True}, {"text": "seen"}]


def test_pictures_are_the_given_bytes_or_a_generated_png(emulator, ask):
    """Without bytes, a real PNG of the size asked for."""
    emulator.enqueue(
        reply.image(b"\xff\xd8jpeg", mime_type="image/jpeg", text="look"), reply.image(width=40, height=30)
    )

    text, picture = ask.parts("x")
    assert text == {"text": "look"}
    assert picture == {"inlineData": {"mimeType": "image/jpeg", "data": base64.b64encode(b"\xff\xd8jpeg").decode()}}
    [generated] = ask.parts("x")
    assert Image.open(io.BytesIO(base64.b64decode(generated["inlineData"]["data"]))).size == (40, 30)


@pytest.mark.parametrize(
    "scripted",
    [
        reply.tool_call("f", {"a": 1}, id="c1") & reply.tool_call("g", {}, id="c2"),
        reply.tool_calls([reply.tool_call("f", {"a": 1}, id="c1"), reply.tool_call("g", id="c2")]),
    ],
    ids=["and", "list"],
)
def test_parallel_calls_are_one_turn(emulator, ask, scripted):
    """Joined with `&` or given as a list; in a stream they share an event."""
    emulator.enqueue(scripted, scripted)
    expected = [
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
    ]

    assert ask.parts("x") == expected
    [chunk] = ask.stream("x")
    assert chunk["candidates"][0]["content"]["parts"] == expected
    assert chunk["candidates"][0]["finishReason"] == "STOP"


def test_a_blocked_prompt_has_no_candidates(emulator, ask):
    """promptFeedback with reason and ratings, usage without output."""
    emulator.enqueue(reply.blocked("PROHIBITED_CONTENT"), reply.blocked())
    answer = ask.json("x")

    assert "candidates" not in answer
    assert answer["promptFeedback"]["blockReason"] == "PROHIBITED_CONTENT"
    assert answer["promptFeedback"]["safetyRatings"][0]["blocked"] is True
    assert "candidatesTokenCount" not in answer["usageMetadata"]
    assert [chunk["promptFeedback"]["blockReason"] for chunk in ask.stream("x")] == ["SAFETY"]


def test_a_blocked_answer_is_a_candidate_without_content(emulator, ask):
    """`prompt=False`: finishReason holds the reason."""
    emulator.enqueue(reply.blocked("RECITATION", prompt=False, message="too close"))

    [candidate] = ask.json("x")["candidates"]
    assert (candidate["finishReason"], candidate["finishMessage"]) == ("RECITATION", "too close")
    assert "content" not in candidate


def test_an_empty_stop_is_possible(emulator, ask):
    """STOP without parts happens at Google; agents end so."""
    emulator.enqueue(reply.Turn())

    assert ask.json("x")["candidates"] == [{"content": {"role": "model"}, "finishReason": "STOP", "index": 0}]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "INVALID_ARGUMENT"),
        (403, "PERMISSION_DENIED"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_are_googles_json(emulator, ask, status, name):
    """Numeric code equal to the status, status name, message; on the stream route too."""
    emulator.enqueue(reply.error(status), reply.error(status))

    for answer in (ask.post("x"), ask.post("x", action="streamGenerateContent", query="?alt=sse")):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["status"]) == (status, status, name)
        assert error["message"]


def test_errors_with_hints_headers_and_details(emulator, ask):
    """retry_after becomes the header, details stay, other headers are sent along."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}]
    emulator.enqueue(
        reply.error(429, message="slow down", retry_after=0.25, details=details, headers={"x-request-id": "r1"})
    )
    answer = ask.post("x")

    assert answer.headers["retry-after"] == "0.25"
    assert answer.headers["x-request-id"] == "r1"
    assert answer.json()["error"] == {
        "code": 429,
        "message": "slow down",
        "status": "RESOURCE_EXHAUSTED",
        "details": details,
    }


def test_errors_in_other_shapes(emulator, ask):
    """A string code is OpenAI-shaped; a body replaces everything."""
    emulator.enqueue(
        reply.error(403, code="insufficient_user_quota", message="no money"),
        reply.error(502, body="<html>Bad Gateway</html>", headers={"content-type": "text/html"}),
        reply.error(500, body={"detail": "x"}),
        reply.error(429, status_text="ODD", code=430, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
    )

    assert ask.post("x").json() == {
        "error": {"message": "no money", "type": "new_api_error", "param": "", "code": "insufficient_user_quota"}
    }
    page = ask.post("x")
    assert (page.status_code, page.text, page.headers["content-type"]) == (502, "<html>Bad Gateway</html>", "text/html")
    assert ask.post("x").json() == {"detail": "x"}
    odd = ask.post("x")
    assert (odd.json()["error"]["code"], odd.json()["error"]["status"]) == (430, "ODD")
    assert odd.headers["retry-after"].startswith("Wed")


CHUNKS = [
    {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hel"}]}, "index": 0}], "responseId": "r"},
    {"candidates": [{"content": {"role": "model", "parts": [{"text": "lo"}]}, "finishReason": "STOP", "index": 0}], "usageMetadata": {"totalTokenCount": 3}},
]  # fmt: skip


def test_streams_are_served_exactly(emulator, ask):
    """The chunks as given, nothing added; misbehaviours do not touch them."""
    emulator.misbehave = {"no_usage", "no_finish_reason"}
    emulator.enqueue(reply.stream(CHUNKS))

    assert ask.stream("x") == CHUNKS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"newline": "\n"}, b'data: {"a": 1}\n\ndata: {"b": 2}\n\n'),
        ({"newline": "\r"}, b'data: {"a": 1}\r\rdata: {"b": 2}\r\r'),
        ({"newline": "\n", "done": True}, b'data: {"a": 1}\n\ndata: {"b": 2}\n\ndata: [DONE]\n\n'),
        ({"newline": "\n", "comments": True}, b': PING\n\ndata: {"a": 1}\n\n: PING\n\ndata: {"b": 2}\n\n'),
        ({"newline": "\n", "space": False}, b'data:{"a": 1}\n\ndata:{"b": 2}\n\n'),
        ({"newline": "\n", "event_lines": True}, b'event: message\ndata: {"a": 1}\n\nevent: message\ndata: {"b": 2}\n\n'),
        ({"newline": "\n", "multi_line": True}, b'data: {\ndata:  "a": 1\ndata: }\n\ndata: {\ndata:  "b": 2\ndata: }\n\n'),
        ({"newline": "\n", "bom": True}, b'\xef\xbb\xbfdata: {"a": 1}\n\ndata: {"b": 2}\n\n'),
        ({"newline": "\n", "final_newline": False}, b'data: {"a": 1}\n\ndata: {"b": 2}'),
    ],
    ids=["lf", "cr", "done", "comments", "no-space", "event-lines", "multi-line", "bom", "no-final-newline"],
)  # fmt: skip
def test_streams_in_every_framing(emulator, ask, options, expected):
    """Byte for byte."""
    emulator.enqueue(reply.stream([{"a": 1}, {"b": 2}], **options))

    assert ask.post("x", action="streamGenerateContent", query="?alt=sse").content == expected


def test_streams_on_the_unary_route_are_folded(emulator, ask):
    """Texts joined, last usage and finish reason."""
    emulator.enqueue(reply.stream(CHUNKS))

    assert ask.json("x") == {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP", "index": 0}
        ],
        "responseId": "r",
        "usageMetadata": {"totalTokenCount": 3},
    }


def test_a_cut_stream_ends_the_connection_badly(emulator, ask):
    """What was sent arrives, then the client sees a broken body."""
    emulator.enqueue(reply.stream(CHUNKS[:1], cut=True))
    url = f"{emulator.base_url}/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
    received = []

    def read():
        body = {"contents": [{"parts": [{"text": "x"}]}]}
        with httpx.stream("POST", url, json=body, headers={"Authorization": "Bearer sk-local"}) as answer:
            for data in answer.iter_raw():
                received.append(data)

    with pytest.raises(httpx.RemoteProtocolError):
        read()

    assert json.loads(b"".join(received).decode().strip()[6:]) == CHUNKS[0]


def test_raw_replies_are_bytes(emulator, ask):
    """Status, headers and body as given: HTML with 200, empty bodies, broken JSON."""
    emulator.enqueue(
        reply.raw(200, b"<html></html>", content_type="text/html"),
        reply.raw(),
        reply.raw(200, '{"candidates": [', headers={"x-id": "7"}),
    )

    page, empty, broken = ask.post("x"), ask.post("x"), ask.post("x")
    assert (page.text, page.headers["content-type"]) == ("<html></html>", "text/html")
    assert (empty.status_code, empty.content) == (200, b"")
    assert (broken.text, broken.headers["x-id"]) == ('{"candidates": [', "7")


def test_a_cut_raw_reply_breaks_off(emulator, ask):
    """`cut` ends the socket short of the end."""
    emulator.enqueue(reply.raw(200, b'{"candidates"', cut=True))

    with pytest.raises(httpx.RemoteProtocolError):
        ask.post("x")


def test_one_reply_object_can_be_enqueued_twice(emulator, ask):
    """Serving a reply does not use it up."""
    scripted = reply.tool_call("f", {"a": 1})
    emulator.enqueue(scripted, scripted)

    one, two = ask.parts("x", "gemini-3-flash-preview"), ask.parts("x", "gemini-3-flash-preview")
    assert one[0]["functionCall"]["id"] != two[0]["functionCall"]["id"]
    assert one[0]["thoughtSignature"] != two[0]["thoughtSignature"]


def test_only_replies_can_be_enqueued(emulator):
    """A bare string is a TypeError at once, not a puzzle later."""
    with pytest.raises(TypeError, match=r"reply\.text"):
        emulator.enqueue("hello")
