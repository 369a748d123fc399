"""Scripted from outside: `/__emulator/…`, latency profiles, and scripted replies that nobody asked for."""

from __future__ import annotations

import statistics

import httpx
import pytest
from gemway_emulator import Emulator
from gemway_emulator._latency import Latency

pytest_plugins = ["pytester"]


def post(http, action, value=None):
    return http.post(f"/__emulator/{action}", json=value)


def test_replies_are_scripted_over_http(ask, http, emulator):
    """Text, a delay, a 429 with Retry-After, a call: what a program in another language needs."""
    answer = post(
        http,
        "replies",
        [{"text": "hi", "delay": 0.01}, {"error": 429, "retry_after": 3}, {"tool_call": "look", "args": {"a": 1}}],
    )
    assert answer.json() == {"pending": 3, "misbehave": []}

    assert ask.text("x") == "hi"
    refused = ask.post("x")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
    assert ask.parts("x")[0]["functionCall"] == {"name": "look", "args": {"a": 1}}
    assert emulator.pending == 0


@pytest.mark.parametrize(
    ("value", "words"),
    [({"hello": 1}, "one of text, tool_call"), ({"text": "x", "colour": 1}, "colour"), ([7], "not 7")],
    ids=["kind", "option", "no object"],
)
def test_a_reply_that_is_none_is_a_400_that_says_why(http, value, words):
    """Google's JSON, with the kinds or the option named."""
    answer = post(http, "replies", value)

    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_misbehaviour_and_reset(http, ask, emulator):
    """Named as in Python; unknown names are refused; reset forgets all."""
    assert post(http, "misbehave", ["no_usage"]).json()["misbehave"] == ["no_usage"]
    assert "usageMetadata" not in ask.json("x")
    assert post(http, "misbehave", ["bad_manners"]).status_code == 400

    assert post(http, "reset").json() == {"pending": 0, "misbehave": []}
    assert "usageMetadata" in ask.json("x")
    assert len(emulator.requests) == 1


def test_the_journal_is_read_over_http(http, ask, emulator):
    """Requests and answers as JSON, without keys."""
    ask.json("hello")
    [entry] = http.get("/__emulator/requests").json()

    assert (entry["method"], entry["status"]) == ("POST", 200)
    assert entry["json"]["contents"][0]["parts"] == [{"text": "hello"}]
    assert "candidates" in entry["answer"]
    assert emulator.api_key not in str(entry)


def test_only_with_its_key_and_under_a_local_name(emulator):
    """A page of another site that resolves its name to 127.0.0.1 gets nothing."""
    url, key = f"{emulator.base_url}/__emulator/requests", {"Authorization": f"Bearer {emulator.api_key}"}

    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers=key | {"Host": "evil.example"}).status_code == 403
    assert httpx.get(f"{emulator.base_url}/__emulator/feed", headers={"Host": "evil.example"}).status_code == 403
    assert httpx.get(f"{emulator.base_url}/__emulator/nothing", headers=key).status_code == 404


def test_a_latency_profile_has_its_percentiles():
    """Median and 95th percentile of the samples are those of the profile; the same seed gives the same seconds."""
    latency = Latency("p50=800ms,p95=4s", seed=1)
    samples = [latency.sample() for _ in range(4000)]

    assert statistics.median(samples) == pytest.approx(0.8, rel=0.1)
    assert statistics.quantiles(samples, n=20)[-1] == pytest.approx(4, rel=0.15)
    assert Latency("p50=1s,p99=2s", seed=3).sample() == Latency("p50=1s,p99=2s", seed=3).sample()


@pytest.mark.parametrize("profile", ["fast", "p50=1s", "p50=4s,p95=1s", "p50=1min,p95=2min"])
def test_a_profile_that_is_none_is_a_mistake(profile):
    """The message shows how to write one."""
    with pytest.raises(ValueError, match=r"800ms"):
        Emulator(latency=profile)


def test_latency_is_waited_for():
    """Before the answer, like `delay`."""
    with Emulator(latency="p50=200ms,p95=201ms") as emulator:
        url = f"{emulator.base_url}/v1beta/models/gemini-2.5-flash:generateContent"
        answer = httpx.post(
            url, json={"contents": [{"parts": [{"text": "x"}]}]}, headers={"Authorization": "Bearer sk-local"}
        )

    assert answer.elapsed.total_seconds() > 0.15


def test_replies_left_over_fail_the_test_that_left_them(pytester):
    """A test that scripts more than its program asks for does not test what it claims to."""
    pytester.makepyfile(
        """
        from gemway_emulator import reply

        def test_leaves_one(gemway_emulator):
            gemway_emulator.enqueue(reply.text("x"))

        def test_leaves_none(gemway_emulator):
            assert gemway_emulator.pending == 0
        """
    )
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    outcome.assert_outcomes(passed=2, errors=1)
    outcome.stdout.fnmatch_lines(["*1 scripted reply was left over*"])
