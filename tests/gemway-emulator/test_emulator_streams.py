"""Streams as Google sends them, and each deviation by name."""

from __future__ import annotations

import base64
import json

import pytest
from gemway_emulator import MISBEHAVIOURS, Emulator, reply

QUESTION = "Tell me about the foxes that live in the old town, please."


def raw(ask, query="?alt=sse", body=QUESTION, model="gemini-2.5-flash"):
    return ask.post(body, model, "streamGenerateContent", query)


def test_text_comes_in_several_events(ask):
    """At least two; one responseId and modelVersion; finishReason on the last only; every event has a part."""
    chunks = ask.stream(QUESTION)

    assert len(chunks) >= 2
    assert len({chunk["responseId"] for chunk in chunks}) == 1
    assert {chunk["modelVersion"] for chunk in chunks} == {"gemini-2.5-flash"}
    assert [chunk["candidates"][0].get("finishReason") for chunk in chunks] == [None] * (len(chunks) - 1) + ["STOP"]
    assert all(chunk["candidates"][0]["content"]["role"] == "model" for chunk in chunks)
    assert all(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks)


def test_a_single_word_streams_too(emulator, ask):
    """Two events even for five letters; one for a single letter."""
    emulator.enqueue(reply.text("Hello"), reply.text("a"))

    assert len(ask.stream("x")) == 2
    assert len(ask.stream("x")) == 1


def test_usage_is_cumulative(ask):
    """Every event counts the tokens so far; the last count is the whole, as in the unary answer."""
    counts = [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in ask.stream(QUESTION)]

    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == ask.json(QUESTION)["usageMetadata"]["candidatesTokenCount"]


def test_scripted_usage_ends_as_given(emulator, ask):
    """The last event carries the scripted numbers, the others no more than that."""
    emulator.enqueue(reply.text(QUESTION, usage={"promptTokenCount": 9, "candidatesTokenCount": 4}))
    chunks = ask.stream("x")

    assert {chunk["usageMetadata"]["promptTokenCount"] for chunk in chunks} == {9}
    assert chunks[-1]["usageMetadata"]["candidatesTokenCount"] == 4
    assert chunks[-1]["usageMetadata"]["totalTokenCount"] == 13
    assert max(chunk["usageMetadata"]["candidatesTokenCount"] for chunk in chunks) == 4


def test_without_alt_sse_a_json_array_arrives(ask):
    """As Google does."""
    answer = raw(ask, query="")

    assert answer.headers["content-type"].startswith("application/json")
    assert len(answer.json()) >= 2


def test_with_alt_sse_events_arrive(ask):
    """text/event-stream, `data: ` and CRLF."""
    answer = raw(ask)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content.startswith(b'data: {"candidates"')
    assert answer.content.endswith(b"}\r\n\r\n")


def test_text_is_utf8_and_line_separators_stay_inside_the_event(emulator, ask):
    """U+2028 and friends do not end an event."""
    emulator.enqueue(reply.text("a\u2028b\u0085c é 你好", chunks=1))

    [chunk] = ask.stream("x")
    assert chunk["candidates"][0]["content"]["parts"][0]["text"] == "a\u2028b\u0085c é 你好"


def test_unknown_misbehaviours_name_the_known_ones(emulator):
    """A typo is a ValueError, at construction and later."""
    with pytest.raises(ValueError, match=r"ping_coments; known: .*ping_comments"):
        Emulator(misbehave={"ping_coments"})
    with pytest.raises(ValueError, match="known:"):
        emulator.misbehave = {"rude"}


def test_every_misbehaviour_has_a_sentence():
    """MISBEHAVIOURS is the documentation, too."""
    assert all(name.islower() and len(sentence) > 10 for name, sentence in MISBEHAVIOURS.items())


FRAMES = {
    "ping_comments": lambda text: text.count(": PING\r\n\r\n") >= 2,
    "done_marker": lambda text: text.endswith("data: [DONE]\r\n\r\n"),
    "no_space_after_data": lambda text: text.startswith('data:{"'),
    "event_lines": lambda text: text.startswith('event: message\r\ndata: {"'),
    "multi_line_data": lambda text: text.startswith("data: {\r\ndata:"),
    "json_array_stream": lambda text: len(json.loads(text)) >= 2,
    "lf_newlines": lambda text: "\r" not in text and "}\n\ndata: {" in text,
    "cr_newlines": lambda text: "\n" not in text and "}\r\rdata: {" in text,
    "byte_order_mark": lambda text: text.startswith("\ufeffdata: "),
    "no_final_newline": lambda text: text.endswith("}"),
    "cut_stream": lambda text: "finishReason" not in text and text.endswith("}\r\n\r\n"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_framing_misbehaviours(emulator, ask, name):
    """Each changes the bytes of a stream as its name promises, and nothing changes without it."""
    assert not FRAMES[name](raw(ask).content.decode()) if name != "json_array_stream" else True
    emulator.misbehave = {name}

    assert FRAMES[name](raw(ask).content.decode())


def test_streams_sent_as_json(emulator, ask):
    """Only the content type lies."""
    emulator.misbehave = {"json_content_type"}
    answer = raw(ask)

    assert answer.headers["content-type"].startswith("application/json")
    assert answer.text.startswith("data: ")


def chunks_under(ask, emulator, *names, scripted=None, model="gemini-3-flash-preview"):
    emulator.misbehave = set(names)
    emulator.enqueue(scripted or reply.text("one two three four", signature="c2ln"))
    return ask.stream("x", model)


def parts(chunk):
    return chunk["candidates"][0]["content"]["parts"]


CHUNKS = {
    "no_usage": lambda chunks: not any("usageMetadata" in chunk for chunk in chunks),
    "no_finish_reason": lambda chunks: not any("finishReason" in chunk["candidates"][0] for chunk in chunks),
    "no_role": lambda chunks: not any("role" in chunk["candidates"][0]["content"] for chunk in chunks),
    "no_response_ids": lambda chunks: not any({"responseId", "modelVersion"} & chunk.keys() for chunk in chunks),
    "no_signatures": lambda chunks: not any("thoughtSignature" in part for chunk in chunks for part in parts(chunk)),
    "signature_not_base64": lambda chunks: parts(chunks[-1])[0]["thoughtSignature"] == "sig: nature!",
    "stop_in_every_chunk": lambda chunks: {chunk["candidates"][0]["finishReason"] for chunk in chunks} == {"STOP"},
    "unknown_finish_reason": lambda chunks: chunks[-1]["candidates"][0]["finishReason"] not in ("STOP", "MAX_TOKENS"),
    "unknown_part": lambda chunks: any("hologram" in part for chunk in chunks for part in parts(chunk)),
    "unknown_fields": lambda chunks: all("gatewayNote" in chunk for chunk in chunks),
    "explicit_nulls": lambda chunks: chunks[0]["promptFeedback"] is None and parts(chunks[0])[0]["functionCall"] is None,
    "empty_last_chunk": lambda chunks: "parts" not in chunks[-1]["candidates"][0]["content"] and "finishReason" not in chunks[-2]["candidates"][0],
    "usage_only_last_chunk": lambda chunks: "candidates" not in chunks[-1] and "usageMetadata" in chunks[-1],
    "usage_on_last_chunk_only": lambda chunks: ["usageMetadata" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True],
    "snake_case_response": lambda chunks: "usage_metadata" in chunks[0] and chunks[-1]["candidates"][0]["finish_reason"] == "STOP",
}  # fmt: skip


@pytest.mark.parametrize("name", CHUNKS)
def test_content_misbehaviours(emulator, ask, name):
    """Each changes the chunks as its name promises; without it they are honest."""
    honest = chunks_under(ask, emulator)
    try:
        assert not CHUNKS[name](honest)
    except KeyError:
        pass  # the honest answer has no such field

    assert CHUNKS[name](chunks_under(ask, emulator, name))


def test_call_misbehaviours(emulator, ask):
    """args as a JSON string; ids dropped; args keep their spelling in snake_case answers."""
    call = reply.tool_call("f", {"theCity": "Rome"})

    [string] = chunks_under(ask, emulator, "args_as_json_string", scripted=call)
    assert json.loads(parts(string)[0]["functionCall"]["args"]) == {"theCity": "Rome"}
    [bare] = chunks_under(ask, emulator, "no_call_ids", scripted=call)
    assert "id" not in parts(bare)[0]["functionCall"]
    [snake] = chunks_under(ask, emulator, "snake_case_response", scripted=call)
    assert parts(snake)[0]["function_call"]["args"] == {"theCity": "Rome"}
    assert parts(snake)[0]["thought_signature"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("urlsafe_base64_images", base64.urlsafe_b64encode(b"\xff\xfe\xfb\xff").decode()),
        ("unpadded_base64_images", base64.b64encode(b"\xff\xfe\xfb\xff").decode().rstrip("=")),
        ("data_url_images", "data:image/png;base64," + base64.b64encode(b"\xff\xfe\xfb\xff").decode()),
    ],
)
def test_picture_misbehaviours(emulator, ask, name, expected):
    """The same bytes in another coat; on the unary route as well."""
    emulator.misbehave = {name}
    emulator.enqueue(reply.image(b"\xff\xfe\xfb\xff"))

    assert ask.parts("x")[0]["inlineData"]["data"] == expected


def test_error_misbehaviours(emulator, ask):
    """Errors with 200, in OpenAI's shape, as text."""
    emulator.misbehave = {"error_with_200"}
    answer = ask.post({"contents": []})
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, 400)

    emulator.misbehave = {"openai_errors"}
    answer = ask.post({"contents": []})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_argument")

    emulator.misbehave = {"plain_text_errors"}
    answer = ask.post({"contents": []})
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("*")


def test_gateway_misbehaviours(emulator, ask, http):
    """Missing routes, foreign keys that win, fields that vanish."""
    emulator.misbehave = {"no_stream_route", "no_model_routes", "no_count_route", "no_v1_route"}
    assert raw(ask).status_code == 404
    assert http.get("/v1beta/models").status_code == http.get("/v1beta/models/gemini-2.5-pro").status_code == 404
    assert ask.post("x", action="countTokens").status_code == 404
    assert http.get("/v1/models").status_code == 404
    assert ask.post("x").status_code == 200

    emulator.misbehave = {"key_header_wins"}
    url = "/v1beta/models/gemini-2.5-pro:generateContent"
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    assert http.post(url, json=body, headers={"x-goog-api-key": "dummy"}).status_code == 401
    assert http.post(f"{url}?key=dummy", json=body).status_code == 401
    assert http.post(url, json=body).status_code == 200

    emulator.misbehave = {"count_tokens_zero"}
    assert ask.post("x", action="countTokens").json()["totalTokens"] == 0


def test_dropped_snake_case_fields_are_dropped_silently(emulator, ask):
    """generation_config vanishes, the documented inline_data stays."""
    emulator.misbehave = {"drop_snake_case"}
    body = {
        "contents": [{"parts": [{"text": "hello"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}],
        "generation_config": {"max_output_tokens": 1},
    }
    answer = ask.json(body)

    assert answer["candidates"][0]["finishReason"] == "STOP"
    assert "image/png" in answer["candidates"][0]["content"]["parts"][0]["text"]


def test_one_misbehaviour_or_several(emulator, ask):
    """A bare name is a set of one."""
    emulator.misbehave = "no_usage"

    assert emulator.misbehave == {"no_usage"}
    assert "usageMetadata" not in ask.json("x")
