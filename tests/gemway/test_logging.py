"""The logger `gemway`: what it says, when, and what it never says."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import pytest
from fault_drivers import ASK, KEY, MODEL, core_drivers
from fault_server import CLOSE, answer, failure, play
from gemway import AuthenticationError, Client

SECRETS = {"api_key": KEY, "headers": {"X-Team": "blue-team-secret"}, "max_retries": 1}


def lines_of(caplog, level):
    return [record.getMessage() for record in caplog.records if record.name == "gemway" and record.levelno == level]


@core_drivers
def test_one_line_for_each_request(server, driver, caplog):
    """Method, path without query, model, status, milliseconds and request id, at DEBUG."""
    caplog.set_level(logging.DEBUG, "gemway")
    server.script(failure(503, x_request_id="req-1"), answer())

    driver.ask(server.base_url, **SECRETS)

    verb = "streamGenerateContent" if driver.streams else "generateContent"
    first, second = lines_of(caplog, logging.DEBUG)
    start = rf"POST /v1beta/models/{MODEL}:{verb} model={MODEL}"
    times = [re.fullmatch(rf"{start} 503 in (\d+) ms request_id=req-1", first)]
    times += [re.fullmatch(rf"{start} 200 in (\d+) ms", second)]
    # The clock counts from the start of the machine, so a time that is no difference would be days.
    assert all(int(match[1]) < 60_000 for match in times if match), (first, second)
    assert None not in times, (first, second)


@core_drivers
def test_a_request_without_an_answer(server, driver, caplog):
    """The kind of the failure stands where the status would."""
    caplog.set_level(logging.DEBUG, "gemway")
    server.script(play(CLOSE))

    driver.ask(server.base_url, **SECRETS)

    assert "APIConnectionError in" in lines_of(caplog, logging.DEBUG)[0]


@core_drivers
def test_one_line_for_each_retry(server, driver, caplog):
    """At INFO: which attempt failed, how, and when the next one is made."""
    caplog.set_level(logging.INFO, "gemway")
    server.script(failure(429))

    driver.ask(server.base_url, **SECRETS)

    (line,) = lines_of(caplog, logging.INFO)
    assert re.search(r"attempt 1: RateLimitError 429; retry in 0\.\d\d s$", line)
    assert not lines_of(caplog, logging.DEBUG)


def test_one_line_for_a_refreshed_key(server, caplog):
    """A key that was refused is asked for anew; neither the old nor the new one is shown."""
    caplog.set_level(logging.DEBUG, "gemway")
    server.script(failure(401))
    keys = iter(["sk-old-0123456789", "sk-new-0123456789"])

    with Client(base_url=server.base_url, api_key=lambda: next(keys)) as client:
        client.generate_content(MODEL, ASK)

    assert "AuthenticationError 401; asking for a new key, sending again at once" in lines_of(caplog, logging.INFO)[0]
    assert "sk-" not in caplog.text


def test_one_line_for_a_fallback(server, caplog):
    """A gateway without a route for streams is asked once more, in one piece."""
    caplog.set_level(logging.INFO, "gemway")
    server.script(failure(404))

    with Client(base_url=server.base_url, api_key=KEY) as client:
        list(client.stream_generate_content(MODEL, ASK))

    (line,) = lines_of(caplog, logging.INFO)
    assert line.startswith(f"POST /v1beta/models/{MODEL}:streamGenerateContent attempt 1: NotFoundError 404; no route")


@core_drivers
def test_nothing_secret_is_logged(server, driver, caplog):
    """Neither key nor headers nor prompt, also where the gateway repeats them in its answer."""
    caplog.set_level(logging.DEBUG, "gemway")
    echo = f"no such key: {KEY} blue-team-secret hello"
    server.script(default=failure(401, echo, x_request_id=f"id-{KEY}"))

    driver.fail(server.base_url, AuthenticationError, **SECRETS)

    assert lines_of(caplog, logging.DEBUG)
    for secret in (KEY, "blue-team-secret", "hello", "alt=sse"):
        assert secret not in caplog.text


def test_nothing_is_printed_unless_asked_for(server):
    """Without a handler of yours not even warnings of the logger reach the terminal."""
    program = f"""
import logging
from gemway import Client
logging.getLogger("gemway").warning("nobody hears this")
Client(base_url={server.base_url!r}, api_key={KEY!r}).generate_content("m", {ASK!r})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG], ids=["info", "debug"])
def test_a_call_without_trouble_says_nothing_at_info(server, caplog, level):
    """INFO is for what is out of the ordinary."""
    caplog.set_level(level, "gemway")

    with Client(base_url=server.base_url, api_key=KEY) as client:
        client.generate_content(MODEL, ASK)

    assert len(lines_of(caplog, logging.DEBUG)) == (level == logging.DEBUG)
    assert not lines_of(caplog, logging.INFO)
