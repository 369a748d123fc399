"""Tapes: requests recorded at a real gateway (here: another emulator), and served again."""

from __future__ import annotations

import base64
import json
import time

import gemway_emulator
import httpx
import pytest
import wire_recordings as recordings
from gemway_emulator import Emulator, reply

KEY = "sk-upstream-secret-123"
pytest_plugins = ["pytester"]
ROUTE = "/v1beta/models/gemini-2.5-flash:"


def body(text, **config):
    return {
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        **({"generationConfig": config} if config else {}),
    }


def call(emulator, text, action="generateContent", model="gemini-2.5-flash", **config):
    query = "?alt=sse" if action.startswith("stream") else ""
    return httpx.post(
        f"{emulator.base_url}/v1beta/models/{model}:{action}{query}",
        json=text if isinstance(text, dict) else body(text, **config),
        headers={"Authorization": f"Bearer {emulator.api_key}", "x-goog-api-key": "dummy"},
        timeout=30,
    )


@pytest.fixture
def upstream():
    with Emulator(api_key=KEY) as emulator:
        yield emulator


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tape.jsonl"


def test_what_was_recorded_is_served_again(upstream, path):
    """The same answers, unary and streamed, byte for byte in a stream; the upstream is not needed any more."""
    upstream.enqueue(
        reply.text("first"), reply.text("a b c d", chunks=["a ", "b c ", "d"]), reply.error(429, retry_after=2)
    )
    with gemway_emulator.record(path, upstream=upstream.base_url, api_key=KEY) as recorder:
        recorded = [call(recorder, "one"), call(recorder, "two", "streamGenerateContent"), call(recorder, "three")]
    upstream.stop()

    with Emulator.replay(path) as emulator:
        served = [call(emulator, "one"), call(emulator, "two", "streamGenerateContent"), call(emulator, "three")]

    assert [answer.status_code for answer in served] == [200, 200, 429]
    assert served[0].json() == recorded[0].json()
    assert served[1].content == recorded[1].content
    assert served[1].headers["content-type"].startswith("text/event-stream")
    assert served[2].headers["retry-after"] == "2"


def test_a_tape_never_holds_a_key(upstream, path):
    """Not the gateway's, not one in the query, and none that a server or a prompt repeats."""
    upstream.enqueue(
        reply.raw(200, json.dumps({"error": f"your key {KEY} and AIzaSyA123456789012345678901234567890123"}))
    )
    with gemway_emulator.record(path, upstream=upstream.base_url, api_key=KEY) as recorder:
        httpx.post(
            f"{recorder.base_url}{ROUTE}generateContent?key=another-secret",
            json=body(f"I am {KEY}"),
            headers={"Authorization": f"Bearer {KEY}"},
        )

    tape = path.read_text(encoding="utf-8")
    assert '"request"' in tape
    assert [word for word in (KEY, "another-secret", "AIza", "Bearer") if word in tape] == []


def test_the_key_is_required_and_goes_on(upstream, path, monkeypatch):
    """GEMWAY_API_KEY by default; a wrong key stays here, the right one reaches the gateway."""
    monkeypatch.setenv("GEMWAY_API_KEY", KEY)
    with gemway_emulator.record(path, upstream=upstream.base_url) as recorder:
        assert recorder.api_key == KEY
        refused = httpx.post(f"{recorder.base_url}{ROUTE}generateContent", json=body("x"))
        assert call(recorder, "x").status_code == 200

    assert refused.status_code == 401
    assert [entry.headers["authorization"] for entry in upstream.requests] == [f"Bearer {KEY}"]
    monkeypatch.delenv("GEMWAY_API_KEY")
    with pytest.raises(ValueError, match="GEMWAY_API_KEY"):
        gemway_emulator.record(path, upstream=upstream.base_url)


def test_streams_keep_their_timing(upstream, path):
    """Pieces come about as far apart as they did."""
    upstream.enqueue(reply.text("a b", chunks=["a ", "b"], chunk_delay=0.4))
    with gemway_emulator.record(path, upstream=upstream.base_url, api_key=KEY) as recorder:
        call(recorder, "slow", "streamGenerateContent")

    with Emulator.replay(path) as emulator:
        started = time.monotonic()
        call(emulator, "slow", "streamGenerateContent")

    assert time.monotonic() - started >= 0.4


def test_pictures_are_files(upstream, path):
    """Beside the tape, as pictures; the answer holds them again."""
    with gemway_emulator.record(path, upstream=upstream.base_url, api_key=KEY) as recorder:
        recorded = call(recorder, "a fox", model="gemini-2.5-flash-image")

    [file] = (path.parent / "tape-files").iterdir()
    part = recorded.json()["candidates"][0]["content"]["parts"][-1]
    assert file.suffix == ".png"
    assert file.read_bytes() == base64.b64decode(part["inlineData"]["data"])
    assert len(path.read_text(encoding="utf-8")) < 5000
    with Emulator.replay(path) as emulator:
        assert call(emulator, "a fox", model="gemini-2.5-flash-image").json() == recorded.json()


def test_requests_are_matched_whatever_their_spelling(upstream, path):
    """snake_case, nulls and order make no difference; equal requests are answered in order, the last one stays."""
    upstream.enqueue(reply.text("1"), reply.text("2"))
    with gemway_emulator.record(path, upstream=upstream.base_url, api_key=KEY) as recorder:
        for _ in range(2):
            call(recorder, "x", maxOutputTokens=7)

    with Emulator.replay(path) as emulator:
        spelled = {
            "generation_config": {"max_output_tokens": 7, "topP": None},
            "contents": [{"parts": [{"text": "x"}], "role": "user"}],
        }
        texts = [call(emulator, spelled).json()["candidates"][0]["content"]["parts"][0]["text"] for _ in range(3)]

    assert texts == ["1", "2", "2"]


def test_a_prompt_that_repeats_a_key_is_matched(upstream, path):
    """The tape has `***` in its place; the same prompt finds its entry all the same."""
    with gemway_emulator.record(path, upstream=upstream.base_url, api_key=KEY) as recorder:
        recorded = call(recorder, f"Is {KEY} my key?")

    with Emulator.replay(path) as emulator:
        served = call(emulator, f"Is {KEY} my key?")

    assert served.status_code == recorded.status_code == 200


def test_the_newest_turn_is_enough(upstream, path):
    """Where no whole request is equal, model and newest turn decide."""
    upstream.enqueue(reply.text("yes"))
    with gemway_emulator.record(path, upstream=upstream.base_url, api_key=KEY) as recorder:
        call(recorder, "Are you there?")

    with Emulator.replay(path) as emulator:
        assert "yes" in call(emulator, "Are you there?", temperature=0.3).text


def test_a_miss_shows_the_nearest_entry_and_the_difference(upstream, path):
    """A 404 that names the entry, the field, and both values."""
    with gemway_emulator.record(path, upstream=upstream.base_url, api_key=KEY) as recorder:
        call(recorder, "What is the weather in Oslo?")
        call(recorder, "Sing a song")
        call(recorder, "What is the weather in Rome?", "streamGenerateContent")

    with Emulator.replay(path) as emulator:
        answer = call(emulator, "What is the weather in Rome?")

    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == (
        "The tape tape.jsonl has no answer to this request (generateContent of gemini-2.5-flash). Nearest entry: 0001; difference: "
        'request.contents[0].parts[0].text: "What is the weather in Rome?" here, "What is the weather in Oslo?" on the tape'
    )


def test_an_upstream_that_is_not_there_is_a_502(path):
    """The client reads that the gateway behind did not answer."""
    with gemway_emulator.record(path, upstream="http://127.0.0.1:9", api_key=KEY) as recorder:
        answer = call(recorder, "x")

    assert answer.status_code == 502
    assert "did not answer" in answer.text


@pytest.mark.skipif(not recordings.recordings(), reason=recordings.ABSENT)
def test_recorded_traffic_is_replayed():
    """Every recorded answer of the two generate methods comes back by its id with its status and JSON."""
    wrong = []
    with (
        Emulator.replay(recordings.FOLDER / "dev.jsonl") as emulator,
        httpx.Client(headers={"Authorization": "Bearer sk-local"}, timeout=30) as http,
    ):
        for record in [*recordings.answers(), *recordings.errors()]:
            query = "?alt=sse" if record["response_kind"] in ("sse", "chunks") else ""
            path = f"/r/{record['id']}/v1beta/models/{record['model'] or 'm'}:{record['endpoint']}{query}"
            answer = http.post(emulator.base_url + path, json={})
            if answer.status_code != record["status"] or not _same(record, answer):
                wrong.append(record["id"])

    assert wrong == []


def _same(record, answer):
    if record["response_kind"] in ("json", "json_array"):
        return answer.json() == record["response"]
    if record["response_kind"] == "chunks":
        events = [event for event in answer.text.split("\r\n\r\n") if event]
        return [json.loads(event.removeprefix("data: ")) for event in events] == record["response"]
    return answer.content == record["response"].encode()


def test_tests_of_applications_replay_tapes(pytester, upstream, monkeypatch):
    """`@pytest.mark.gemway_tape("name")` records with --gemway-record, then replays without a gateway."""
    pytester.makepyfile(
        test_app="""
        import os, httpx, pytest

        @pytest.mark.gemway_tape("hello")
        def test_hello():
            url = os.environ["GEMWAY_BASE_URL"] + "/v1beta/models/gemini-2.5-flash:generateContent"
            headers = {"Authorization": "Bearer " + os.environ["GEMWAY_API_KEY"]}
            answer = httpx.post(url, json={"contents": [{"parts": [{"text": "Rex is a dog. Who is Rex?"}]}]}, headers=headers)
            assert "Rex is a dog." in answer.text
        """
    )
    missing = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    missing.stdout.fnmatch_lines(["*there is no tape *hello.jsonl; record it with pytest --gemway-record*"])
    monkeypatch.setenv("GEMWAY_BASE_URL", upstream.base_url)
    monkeypatch.setenv("GEMWAY_API_KEY", KEY)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "--gemway-record").assert_outcomes(passed=1)
    before = len(upstream.requests)
    monkeypatch.delenv("GEMWAY_BASE_URL")

    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert len(upstream.requests) == before
