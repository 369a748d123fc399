"""Hostile answers cost little memory, and answers that are only nearly right are read."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib

import pytest
from fault_server import events, full, message, play
from gemway import Client, ResponseValidationError, StreamInterruptedError, fold
from gemway._response import Inflater
from gemway._sse import EventDecoder, JsonBalance
from gemway.adapters import Accumulator
from gemway.types import GenerateContentResponse

MODEL = "gemini-2.5-flash"
QUESTION = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
MEGABYTE = 2**20
# Runs by itself, so that nothing else moves its memory. The first argument names the body, from the table below.
PROGRAM = """
import gzip, sys
sys.path.insert(0, sys.argv[1])
from fault_server import FaultServer, full, play
from gemway import Client, GemwayError
unit, before, after, streams = eval(sys.argv[2])
body = before + unit * ((2**20 - 4096 - len(before) - len(after)) // len(unit)) + after
compressed = gzip.compress(body)
del body
def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) / 1024
ask = {"contents": [{"parts": [{"text": "x"}]}]}
with FaultServer() as server:
    client = Client(api_key="k", base_url=server.base_url, max_retries=0, max_response_bytes=2**20)
    client.generate_content("m", ask), list(client.stream_generate_content("m", ask))
    server.script(default=play(full(compressed, content_encoding="gzip")))
    open("/proc/self/clear_refs", "w").write("5")
    start = peak()
    try:
        if streams:
            for _ in client.stream_generate_content("m", ask): pass
        else:
            client.generate_content("m", ask)
    except GemwayError as error:
        print(type(error).__name__, file=sys.stderr)
    print(peak() - start)
"""
PARTS = (b'{"candidates":[{"content":{"parts":[', b'{}]},"finishReason":"STOP"}]}')
ARGUMENTS = (
    b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":',
    b'}}]},"finishReason":"STOP"}]}',
)
HOSTILE = {
    "empty parts": (b"{},", *PARTS, False),
    "parts that are numbers": (b"1,", *PARTS, False),
    "lists as arguments": (b"[],", ARGUMENTS[0] + b"[", b"1]" + ARGUMENTS[1], False),
    "lists in JSON text as arguments": (b"[],", ARGUMENTS[0] + b'"[', b'1]"' + ARGUMENTS[1], False),
    "an array of empty answers": (b'{"candidates":[{}]},', b"[", b"{}]", False),
    "empty events": (b"data: {}\n\n", b"", b"", True),
    "events with nearly nothing": (b'data: {"candidates":[{}]}\n\n', b"", b"", True),
    "calls": (b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}\n\n', b"", b"", True),
    "lines without an end of event": (b"data: a\n", b"", b"", True),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE)
def test_a_compressed_bomb_costs_at_most_eight_megabytes(case):
    """A few kilobytes of gzip become up to a megabyte of JSON, which may not become hundreds of them."""
    support = next(path for path in sys.path if path.endswith("support"))

    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, support, repr(case)], capture_output=True, text=True, check=True
    )

    assert float(output.stdout) <= 8


def test_a_stream_is_bounded_as_a_whole(server):
    """`max_response_bytes` counts all events together; what had arrived is there."""
    server.script(default=events(*[message("x" * 1000, finish=None)] * 30))
    client = Client(api_key="k", base_url=server.base_url, max_retries=0, max_response_bytes=20_000)
    chunks = []

    with pytest.raises(ResponseValidationError, match="max_response_bytes") as caught:
        chunks.extend(client.stream_generate_content(MODEL, QUESTION))

    assert caught.value.partial.text == "x" * 1000 * len(chunks)


def test_a_long_answer_of_real_density_is_read(server):
    """20,000 tokens with their alternatives are no attack."""
    token = {"token": "word", "tokenId": 12345, "logProbability": -0.123456}
    answer = message("x", logprobsResult={})
    answer["candidates"][0]["logprobsResult"] = {"chosenCandidates": [token] * 20_000}
    server.script(default=play(full(answer)))

    response = Client(api_key="k", base_url=server.base_url).generate_content(MODEL, QUESTION)

    assert len(response.candidates[0].logprobs_result.chosen_candidates) == 20_000


def call(**fields):
    content = {"parts": [{"functionCall": fields}], "role": "model"}
    return GenerateContentResponse.model_validate({"candidates": [{"content": content}]})


PATHS = {
    "far index": ["$.a[30000000]"],
    "index of many digits": [f"$.a[{'1' * 5000}]"],
    "many levels": ["$" + ".a" * 1000],
    "index at the root": ["$[0]"],
    "a name where a list is": ["$.a[0]", "$.a.b"],
}


@pytest.mark.parametrize("paths", PATHS.values(), ids=PATHS)
def test_arguments_at_impossible_places_are_an_invalid_call(paths):
    """Google streams arguments in order: no list is made for a place far away, and the rest of the answer stays."""
    accumulator = Accumulator()
    accumulator.add(call(name="f", willContinue=True))
    pieces = [{"jsonPath": path, "stringValue": "x"} for path in paths]

    with pytest.warns(UserWarning, match="cannot be put together"):
        accumulator.add(call(partialArgs=pieces, willContinue=True))

    assert isinstance(accumulator.response().function_calls[0].args, str)


WHOLE = json.dumps(message("Oslo is {the} capital."), separators=(",", ":")).encode()
SECOND = json.dumps(message(" Indeed."), separators=(",", ":")).encode()
FIRST = json.dumps(message("Oslo is {the} capital.", finish=None), separators=(",", ":")).encode()
MISFRAMED = {
    **{
        f"cut by a blank line at byte {at}": b"data: " + WHOLE[:at] + b"\n\n" + WHOLE[at:] + b"\n\n"
        for at in range(1, len(WHOLE), 7)
    },
    "cut twice": b"data: " + WHOLE[:20] + b"\r\n\r\n" + WHOLE[20:70] + b"\r\n\r\n" + WHOLE[70:] + b"\r\n\r\n",
    "single newlines": b"data: " + FIRST + b"\ndata: " + SECOND + b"\n",
    "first line prefixed": b"data: " + json.dumps(json.loads(WHOLE), indent=2).encode() + b"\n\n",
    "every line prefixed": b"".join(
        b"data: " + line + b"\n" for line in json.dumps(json.loads(WHOLE), indent=2).encode().split(b"\n")
    )
    + b"\n",
    "bare JSON behind an event": b"data: "
    + FIRST
    + b"\n\n"
    + json.dumps(json.loads(SECOND), indent=2).encode()
    + b"\n",
    "a heartbeat with a name": b"event: ping\ndata: {}\n\ndata: " + WHOLE + b"\n\n",
}


@pytest.mark.parametrize("step", [1, 5, 1000], ids=["single bytes", "five bytes", "at once"])
@pytest.mark.parametrize("body", MISFRAMED.values(), ids=MISFRAMED)
def test_misframed_events_are_those_that_were_meant(body, step):
    """Gateways cut events in two, leave blank lines out and prefix one line of many: nothing is lost."""
    decoder = EventDecoder()

    found = [event for at in range(0, len(body), step) for event in decoder.feed(body[at : at + step])]
    found += decoder.finish()

    text = fold(GenerateContentResponse.model_validate_json(event) for event in found).text
    assert text.removesuffix(" Indeed.") == "Oslo is {the} capital."


HEARTBEATS = [b"{}", b"null", b"[]", b"", b'{"type":"ping"}', b'{"modelVersion":"m"}', b'{"candidates":[]}']


@pytest.mark.parametrize("heartbeat", HEARTBEATS, ids=bytes.decode)
@pytest.mark.parametrize("position", [0, 1, 2], ids=["first", "between", "last"])
def test_heartbeats_are_no_events(server, heartbeat, position):
    """What gateways send to keep a connection open changes no answer."""
    framed = [b"data: " + FIRST + b"\n\n", b"data: " + SECOND + b"\n\n"]
    framed.insert(position, b"data: " + heartbeat + b"\n\n")
    server.script(default=play(full(b"".join(framed), content_type="text/event-stream")))

    chunks = list(Client(api_key="k", base_url=server.base_url).stream_generate_content(MODEL, QUESTION))

    assert fold(chunks).text == "Oslo is {the} capital. Indeed."


def ask_stream(server, body, **options):
    server.script(default=play(full(body, content_type="text/event-stream")))
    client = Client(api_key="k", base_url=server.base_url, max_retries=0, **options)
    return list(client.stream_generate_content(MODEL, QUESTION))


def framed(*contents):
    return b"".join(b"data: " + json.dumps(content).encode() + b"\n\n" for content in contents)


def test_content_after_stop_and_no_end_is_an_interruption(server):
    """CLIProxyAPI says STOP in its first chunk; what counts is an end behind the content."""
    with pytest.raises(StreamInterruptedError) as caught:
        ask_stream(server, framed(message("", finish="STOP"), message("Half an", finish=None)))

    assert caught.value.partial.text == "Half an"


def test_content_after_stop_with_the_end_mark_is_whole(server):
    """`[DONE]` is an end, too."""
    body = framed(message("", finish="STOP"), message("All", finish=None)) + b"data: [DONE]\n\n"

    assert fold(ask_stream(server, body)).text == "All"


def test_an_answer_that_began_anew_is_warned_about(server):
    """Another responseId in mid-stream means that the gateway asked again: the text is there twice."""
    chunks = [message("a", finish=None, responseId=name) for name in ("1", "1", "2")]

    with pytest.warns(UserWarning, match="twice") as caught:
        ask_stream(server, framed(*chunks, message("b", responseId="2")))

    assert caught[0].filename == __file__


def test_an_id_for_each_chunk_is_no_new_beginning(server, recwarn):
    """Converters make an id for every chunk."""
    ask_stream(server, framed(*[message("a", finish=None, responseId=str(n)) for n in range(4)], message("b")))

    assert not recwarn.list


def test_a_whole_answer_without_a_reason_is_warned_about(server):
    """sub2api hands on the last chunk of a stream as if it were the answer."""
    server.script(default=play(full(message("of Norway.", finish=None))))

    with pytest.warns(UserWarning, match="finishReason") as caught:
        Client(api_key="k", base_url=server.base_url).generate_content(MODEL, QUESTION)

    assert caught[0].filename == __file__


@pytest.mark.parametrize("body", [b"[" + FIRST + b",", b"[" + WHOLE], ids=["behind a comma", "behind the end"])
def test_a_cut_array_is_no_success(server, body):
    """A list of answers whose bracket never closes was cut on its way."""
    server.script(default=play(full(body)))

    with pytest.raises(ResponseValidationError, match="cut short"):
        Client(api_key="k", base_url=server.base_url, max_retries=0).generate_content(MODEL, QUESTION)


def test_a_bare_error_line_is_that_error(server):
    """one-hub writes the error of the upstream between the events, without `data:` and without its wrapper."""
    error = b'{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}\n'

    with pytest.raises(Exception, match="overloaded") as caught:
        ask_stream(server, b"data: " + FIRST + b"\n\n" + error)

    assert caught.value.status_code == 503
    assert caught.value.partial.text == "Oslo is {the} capital."


ENCODINGS = {
    "gzip without a label": (gzip.compress(WHOLE), {}),
    "plain labelled gzip": (WHOLE, {"content_encoding": "gzip"}),
    "plain labelled br": (WHOLE, {"content_encoding": "br"}),
    "deflate": (zlib.compress(WHOLE), {"content_encoding": "deflate"}),
    "raw deflate": (zlib.compress(WHOLE)[2:-4], {"content_encoding": "deflate"}),
}


@pytest.mark.parametrize(("body", "headers"), ENCODINGS.values(), ids=ENCODINGS)
def test_the_bytes_tell_how_an_answer_is_compressed(server, body, headers):
    """Gateways forget the label, or forward it without the compression."""
    server.script(default=play(full(body, **headers)))

    answer = Client(api_key="k", base_url=server.base_url, max_retries=0).generate_content(MODEL, QUESTION)

    assert answer.text == "Oslo is {the} capital."


def test_compressed_bytes_may_come_one_by_one():
    """However the bytes are cut, they inflate to the same."""
    inflater = Inflater(None)

    assert b"".join(p for byte in gzip.compress(WHOLE) for p in inflater.feed(bytes([byte]))) == WHOLE


READ = {
    "candidates as one object": (b'{"candidates":{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}}', "ok"),
    "parts as one object": (b'{"candidates":[{"content":{"parts":{"text":"ok"}},"finishReason":"STOP"}]}', "ok"),
    "counts as text": (
        b'{"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}],'
        b'"usageMetadata":{"totalTokenCount":"1,234","promptTokenCount":"x"}}',
        "ok",
    ),
    "half a surrogate": (
        b'{"candidates":[{"content":{"parts":[{"text":"a\\ud83d b \\ud83d\\ude00 \\\\ud83d"}]},"finishReason":"STOP"}]}',
        "a\ufffd b \U0001f600 \\ud83d",
    ),
    "half a surrogate as bytes": (
        b'{"candidates":[{"content":{"parts":[{"text":"a\xed\xa0\xbd"}]},"finishReason":"STOP"}]}',
        "a\ufffd",
    ),
}


@pytest.mark.parametrize(("body", "text"), READ.values(), ids=READ)
@pytest.mark.parametrize("streams", [False, True], ids=["unary", "stream"])
def test_nearly_valid_answers_are_read(server, body, text, streams):
    """What was meant is plain, so nobody's answer is refused for it."""
    if streams:
        answer = fold(ask_stream(server, b"data: " + body + b"\n\n"))
    else:
        server.script(default=play(full(body)))
        answer = Client(api_key="k", base_url=server.base_url, max_retries=0).generate_content(MODEL, QUESTION)

    assert answer.text == text
    answer.model_dump_json()


def test_numbers_that_json_does_not_have_are_words():
    """NaN in a call's arguments would spoil whatever keeps the conversation as JSON."""
    body = b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":[NaN,-Infinity,1.5]}}}]}}]}'

    args = GenerateContentResponse.model_validate_json(body).function_calls[0].args

    assert args == {"a": ["NaN", "-Infinity", 1.5]}


FRAGMENTS = [{"name": "f", "args": {}}, *({"name": "", "args": {"arguments": p}} for p in ('{"city"', ':"Oslo"}'))]


def test_nameless_fragments_are_one_call():
    """new-api's converter makes a call of each piece of JSON text (service/convert.go)."""
    answer = fold([*(call(**fragment) for fragment in FRAGMENTS), call(name="g", args={"x": 1})])

    assert [(found.name, found.args) for found in answer.function_calls] == [("f", {"city": "Oslo"}), ("g", {"x": 1})]


def test_fragments_that_are_no_json_stay_text():
    """An agent must not take them for valid arguments."""
    answer = fold(call(**fragment) for fragment in FRAGMENTS[:2])

    assert [found.args for found in answer.function_calls] == ['{"city"']


def test_a_call_without_arguments_keeps_its_place():
    """It waits for fragments only until the next part."""
    accumulator = Accumulator()
    text = GenerateContentResponse.model_validate({"candidates": [{"content": {"parts": [{"text": "and"}]}}]})

    parts = [*accumulator.add(call(name="f", args={})), *accumulator.add(text), *accumulator.finish()]

    assert [part.text or part.function_call.name for part in parts] == ["f", "and"]
    assert parts[0].function_call.args == {}


PICTURE = "![a](data:image/png;base64,iVBORw0KGgo" + "A" * 80 + ")"
JSON_REQUESTS = {
    "MIME type": {"generationConfig": {"responseMimeType": "application/json"}},
    "schema": {"generationConfig": {"responseSchema": {"type": "OBJECT"}}},
    "JSON schema": {"generationConfig": {"responseJsonSchema": {"type": "object"}}},
    "snake case": {"generation_config": {"response_mime_type": "application/json"}},
}


@pytest.mark.parametrize("asked", JSON_REQUESTS.values(), ids=JSON_REQUESTS)
@pytest.mark.parametrize("streams", [False, True], ids=["unary", "stream"])
def test_json_answers_keep_their_pictures_in_the_text(server, asked, streams):
    """A picture in a string of an answer that was to be JSON is part of the JSON."""
    text = json.dumps({"markdown": PICTURE})
    client = Client(api_key="k", base_url=server.base_url, max_retries=0)
    if streams:
        server.script(default=events(message(text[:40], finish=None), message(text[40:])))
        answer = fold(client.stream_generate_content(MODEL, {**QUESTION, **asked}))
    else:
        server.script(default=play(full(message(text))))
        answer = client.generate_content(MODEL, {**QUESTION, **asked})

    assert answer.text == text
    assert not answer.images


def test_balance_counts_as_a_parser_would():
    """However JSON is cut, what is open is known."""
    for at in range(len(WHOLE) + 1):
        balance = JsonBalance()
        balance.feed(WHOLE[:at])
        assert balance.is_open is (0 < at < len(WHOLE))
        balance.feed(WHOLE[at:])
        assert not balance.is_open
        assert balance.objects == 4
