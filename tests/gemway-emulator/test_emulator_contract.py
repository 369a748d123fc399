"""Starting, stopping, looking: the emulator as an object, a command and a fixture."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings

import gemway_emulator
import httpx
import pytest
from gemway_emulator import Emulator, reply


def test_public_names_are_sorted():
    """`__all__` is the public interface, in order."""
    assert gemway_emulator.__all__ == sorted(gemway_emulator.__all__)
    assert reply.__all__ == sorted(reply.__all__)
    assert all(hasattr(gemway_emulator, name) for name in gemway_emulator.__all__)
    assert all(hasattr(reply, name) for name in reply.__all__)


def test_starts_fast():
    """Start-up is fast enough for one emulator per test."""
    began = time.perf_counter()
    with Emulator() as emulator:
        assert httpx.get(f"{emulator.base_url}/healthz").text == "ok"
        assert time.perf_counter() - began < 3


def test_runs_many_times_in_one_process_without_leaks():
    """Start and stop leave no socket and no thread behind."""
    before = threading.active_count()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(5):
            with Emulator() as emulator:
                assert httpx.get(f"{emulator.base_url}/healthz").status_code == 200
    assert threading.active_count() == before


def test_the_base_url_has_no_version_and_a_free_port():
    """`base_url` is ready for a client; two emulators do not clash."""
    with Emulator() as one, Emulator() as two:
        assert one.base_url != two.base_url
        assert one.base_url.startswith("http://127.0.0.1:")
        assert "v1" not in one.base_url


def test_an_address_before_the_start_is_an_error_with_advice():
    """A stopped emulator has no address; the error names the next step."""
    with pytest.raises(RuntimeError, match="start it first"):
        _ = Emulator().base_url


def test_a_taken_port_is_an_os_error():
    """The caller hears of a port in use at once."""
    with Emulator() as emulator, pytest.raises(OSError, match="in use"):
        Emulator(port=int(emulator.base_url.rpartition(":")[2])).start()


def test_options_are_keywords_only():
    """`Emulator(8080)` would be a guess; it is a TypeError."""
    with pytest.raises(TypeError):
        Emulator(8080)


async def test_serves_async_code():
    """An emulator inside a running event loop serves clients of that loop."""
    with Emulator() as emulator:
        async with httpx.AsyncClient(
            base_url=emulator.base_url, headers={"Authorization": "Bearer sk-local"}
        ) as client:
            body = {"contents": [{"parts": [{"text": "hi"}]}]}
            calls = [client.post("/v1beta/models/gemini-2.5-pro:generateContent", json=body) for _ in range(20)]
            answers = await asyncio.gather(*calls)

    assert [answer.status_code for answer in answers] == [200] * 20


def test_stops_while_an_answer_is_under_way():
    """`stop()` does not wait for a slow answer."""
    emulator = Emulator().start()
    emulator.enqueue(reply.text("late", delay=30))

    def ask():
        try:
            httpx.post(f"{emulator.base_url}/v1beta/models/gemini-2.5-pro:generateContent", **_hello())
        except httpx.TransportError:
            pass

    thread = threading.Thread(target=ask)
    thread.start()
    while not emulator.requests:
        time.sleep(0.01)
    began = time.perf_counter()
    emulator.stop()
    thread.join(5)

    assert time.perf_counter() - began < 3
    assert not thread.is_alive()


def test_the_journal_tells_what_was_asked(emulator, http):
    """Each entry has method, path with query, headers in any case, JSON, time and status."""
    http.post("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", json=_hello()["json"])

    [entry] = emulator.requests
    assert entry.method == "POST"
    assert entry.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert entry.headers["AUTHORIZATION"] == entry.headers["authorization"] == "Bearer sk-local"
    assert entry.json == _hello()["json"]
    assert entry.status == 200
    assert abs(time.monotonic() - entry.time) < 5


def test_the_journal_keeps_refused_requests_too(emulator):
    """A 401 and a 404 are entries as well; the page and the health check are not."""
    httpx.get(f"{emulator.base_url}/v1beta/models")
    httpx.get(f"{emulator.base_url}/nowhere", headers={"Authorization": "Bearer sk-local"})
    httpx.get(emulator.base_url)
    httpx.get(f"{emulator.base_url}/healthz")

    assert [entry.status for entry in emulator.requests] == [401, 404]


def test_keys_are_never_printed(emulator):
    """Neither the repr of an entry, of its headers, nor the HTML page show a key."""
    httpx.get(f"{emulator.base_url}/v1beta/models?key=sk-secret-1", headers={"x-goog-api-key": "sk-secret-2"})
    httpx.get(f"{emulator.base_url}/v1beta/models", headers={"Authorization": "Bearer sk-local"})

    printed = repr(emulator.requests) + repr([entry.headers for entry in emulator.requests]) + repr(emulator)
    page = httpx.get(emulator.base_url).text
    assert "sk-secret" not in printed + page
    assert "sk-local" not in printed + page
    assert "GET /v1beta/models" in page


@pytest.mark.parametrize(
    "name",
    ["cf-aig-authorization", "x-portkey-api-key", "api-key", "x-tenant", "x-amz-security-token", "x-made-up"],
)
def test_the_page_shows_no_header_that_may_be_secret(emulator, name):
    """Gateways name their key headers as they like; only headers that cannot be secret are shown."""
    headers = {"authorization": f"Bearer {emulator.api_key}", name: "planted-secret-value", "user-agent": "a-client"}
    httpx.get(f"{emulator.base_url}/v1beta/models", headers=headers)

    page = httpx.get(emulator.base_url).text

    assert "planted-secret-value" not in page + repr(emulator.requests[0].headers)
    assert f"{name}: ***" in page
    assert "user-agent: a-client" in page


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("app.localhost", 200),
        ("127.3.2.1:80", 200),
        ("[::1]:8080", 200),
        ("rebound.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("10.0.0.1", 403),
        ("", 403),
    ],
)
def test_the_page_is_shown_under_loopback_names_only(emulator, host, status):
    """A foreign site whose name points to 127.0.0.1 (DNS rebinding) cannot read the prompts on the page."""
    answer = httpx.get(emulator.base_url, headers={"host": host})

    assert answer.status_code == status
    assert ("gemway emulator" in answer.text) is (status == 200)


def test_the_page_shows_the_newest_requests(emulator, http):
    """`GET /` is HTML with requests and answers, and harmless whatever they contain."""
    http.post(
        "/v1beta/models/gemini-2.5-flash:generateContent",
        json={"contents": [{"parts": [{"text": "<script>x</script>"}]}]},
    )

    page = httpx.get(emulator.base_url)
    assert page.headers["content-type"].startswith("text/html")
    assert "&lt;script&gt;" in page.text
    assert "<script>" not in page.text


def test_waits_are_seconds_between_requests(emulator, http):
    """`waits()` measures arrivals."""
    for pause in (0.0, 0.1, 0.05):
        time.sleep(pause)
        http.get("/v1beta/models")

    assert emulator.waits() == [pytest.approx(0.1, abs=0.05), pytest.approx(0.05, abs=0.05)]


def test_reset_forgets_everything(emulator, http):
    """After `reset()` journal, queue, misbehaviours and options are as constructed."""
    emulator.enqueue(reply.text("x"))
    emulator.misbehave = {"no_usage"}
    emulator.delay = 3.0
    http.get("/v1beta/models")

    emulator.reset()

    assert list(emulator.requests) == []
    assert emulator.pending == 0
    assert emulator.misbehave == frozenset()
    assert emulator.delay == 0.0


def test_keep_alive_answers_without_delayed_acknowledgements(http, emulator):
    """Twenty calls on one connection take milliseconds each, not the 40 ms of a delayed ACK."""
    http.get("/v1beta/models/gemini-2.5-pro")
    began = time.perf_counter()
    for _ in range(20):
        http.get("/v1beta/models/gemini-2.5-pro")
    assert time.perf_counter() - began < 20 * 0.03


def test_delay_and_chunk_delay():
    """`delay` passes before each answer, `chunk_delay` between events."""
    with Emulator(delay=0.1, chunk_delay=0.05) as emulator:
        emulator.enqueue(reply.text("abc", chunks=["a", "b", "c"]))
        began = time.perf_counter()
        httpx.post(f"{emulator.base_url}/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", **_hello())

    assert time.perf_counter() - began >= 0.2


def test_the_command_prints_its_address_and_ends_cleanly():
    """`python -m gemway_emulator --port 0` serves until SIGTERM and returns 0."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "gemway_emulator",
        "--port",
        "0",
        "--api-key",
        "sk-shell",
        "--prefix",
        "gw",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        response = httpx.get(f"{url}/v1beta/models", headers={"Authorization": "Bearer sk-shell"})
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)

    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/gw")
    assert response.status_code == 200
    assert process.returncode == 0
    assert errors == ""


def test_the_command_ends_on_ctrl_c():
    """SIGINT is a clean end too: no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gemway_emulator", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)

    assert (process.returncode, errors) == (0, "")


def test_the_fixture_starts_every_test_empty(gemway_emulator):
    """The pytest fixture gives a running emulator without requests or replies."""
    assert list(gemway_emulator.requests) == []
    assert gemway_emulator.pending == 0
    gemway_emulator.misbehave = {"no_usage"}
    httpx.get(f"{gemway_emulator.base_url}/v1beta/models")


def test_the_fixture_forgets_the_test_before(gemway_emulator):
    """The requests and the misbehaviour of the test above are gone."""
    assert list(gemway_emulator.requests) == []
    assert gemway_emulator.misbehave == frozenset()
    assert gemway_emulator.pending == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        (
            "gemini-2.5-pro",
            '{"contents":[{"role":"user","parts":[{"text":"Hello, Gemini"}]}],"generationConfig":{"temperature":0.7}}',
            '"text"',
        ),
        (
            "gemini-3.1-flash-image-preview",
            '{"contents":[{"role":"user","parts":[{"text":"a neon fox, cinematic"}]}],"generationConfig":'
            '{"responseModalities":["IMAGE"],"imageConfig":{"aspectRatio":"16:9","imageSize":"2K"}}}',
            '"image/png"',
        ),
    ],
    ids=["text", "picture"],
)
def test_the_documented_curl_requests_work_word_for_word(emulator, model, body, expected):
    """What the gateway documents for curl is answered with 200."""
    command = ["curl", "-sS", "-f", "-X", "POST", f"{emulator.base_url}/v1beta/models/{model}:generateContent"]
    command += ["-H", "Authorization: Bearer sk-local", "-H", "Content-Type: application/json", "-d", body]

    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env={**os.environ, "NO_PROXY": "*"})

    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def _hello():
    return {
        "json": {"contents": [{"parts": [{"text": "hi"}]}]},
        "headers": {"Authorization": "Bearer sk-local"},
        "timeout": 60,
    }
