"""Connections that fail: what is retried, how often, and what the caller sees if it does not help."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from fault_drivers import core_drivers, every_driver, unary_drivers
from fault_server import (
    CLOSE,
    EVENTS,
    HALF_CLOSE,
    RESET,
    FaultServer,
    answer,
    both,
    event,
    failure,
    full,
    head,
    message,
    piece,
    play,
    reply,
)
from gemway import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    ConfigurationError,
    PermissionDeniedError,
    StreamInterruptedError,
)

CUT_JSON = b'{"candidates":[{"content":{"parts":[{"text":"o'
BAD_BEGINNINGS = {
    "reset-before-answer": play(RESET),
    "closed-before-answer": play(CLOSE),
    "half-closed-before-answer": play(HALF_CLOSE),
    "reset-in-head": play(b"HTTP/1.1 200 O", RESET),
    "closed-in-head": play(b"HTTP/1.1 200 OK\r\nContent-Type: appl", CLOSE),
    "reset-after-head": both(head(200, 100), EVENTS, RESET),
    "closed-after-head": both(head(200, 100), EVENTS, CLOSE),
    "short-content-length": both(head(200, 500) + CUT_JSON, EVENTS + piece(b"data: " + CUT_JSON), CLOSE),
    "chunked-without-end": both(head(200, "chunked") + piece(CUT_JSON), EVENTS + piece(b"data: " + CUT_JSON), CLOSE),
    "closed-in-a-body-without-length": both(
        head(200) + CUT_JSON, head(200, content_type="text/event-stream") + b"data: " + CUT_JSON, CLOSE
    ),
    "reset-in-body": both(head(200, 500) + CUT_JSON, EVENTS + piece(b"data: " + CUT_JSON), RESET),
    "not-http": play(b"SSH-2.0-OpenSSH_9.2\r\n", CLOSE),
    "illegal-chunk": both(head(200, "chunked") + b"zz\r\n{}", EVENTS + b"zz\r\n{}", CLOSE),
    "conflicting-lengths": play(
        head(200, 5).replace(b"\r\n\r\n", b"\r\ncontent-length: 7\r\n\r\n") + b"1234567", CLOSE
    ),
}


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@every_driver
@pytest.mark.parametrize("fault", BAD_BEGINNINGS.values(), ids=BAD_BEGINNINGS)
def test_a_connection_lost_before_the_first_event_is_retried(server, driver, fault):
    """Whatever breaks before an answer has begun costs one more request and nothing else."""
    server.script(fault)

    assert driver.ask(server.base_url).text == "ok"
    assert len(server.requests) == 2


@every_driver
def test_a_refused_connection_is_an_error_that_names_the_address(driver):
    """Nobody listens: all attempts are made, and the error says where."""
    url = f"http://127.0.0.1:{closed_port()}"

    error = driver.fail(url, APIConnectionError, max_retries=1)

    assert url in str(error)
    assert error.attempts == 2
    assert not error.sent
    assert error.is_retryable


@core_drivers
def test_a_gateway_that_starts_late_is_found(driver, tmp_path):
    """A refused connection is retried: the gateway may be restarting."""
    with FaultServer() as server:
        server.greet(play(RESET), play(RESET))

        assert driver.ask(server.base_url).text == "ok"
        assert server.connections == 3


@every_driver
@pytest.mark.parametrize("retries", [0, 1, 2])
def test_max_retries_counts_retries(server, driver, retries):
    """`max_retries=0` sends one request, 2 sends three at most."""
    server.script(default=play(RESET))

    error = driver.fail(server.base_url, APIConnectionError, max_retries=retries)

    assert len(server.requests) == retries + 1
    assert error.attempts == retries + 1


@every_driver
def test_a_connection_closed_while_idle_costs_no_attempt(server, driver):
    """A gateway closes idle connections; the next call takes a new one, without a retry."""
    with driver.session(server.base_url, max_retries=0) as session:
        session.ask()
        server.drop_idle()
        again = session.ask()

    assert again.text == "ok"
    assert server.connections == 2
    assert again.attempts in (1, None)  # adapters do not tell


@every_driver
def test_a_connection_is_used_again(server, driver):
    """Calls one after another share a connection."""
    with driver.session(server.base_url) as session:
        for _ in range(5):
            session.ask()

    assert server.connections == 1


@unary_drivers
def test_an_early_refusal_of_a_large_body_is_read(server, driver):
    """A gateway that answers 413 without reading the body is understood."""
    server.script(play(full({"error": {"message": "too large"}}, 413), CLOSE))

    error = driver.fail(server.base_url)

    assert error.status_code == 413
    assert len(server.requests) == 1


@every_driver
def test_informational_answers_are_skipped(server, driver):
    """100 Continue and 103 Early Hints come before the answer."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    server.script(
        both(hints + full(message("ok")), hints + EVENTS + piece(event(message("ok"))) + b"0\r\n\r\n"),
    )

    assert driver.ask(server.base_url).text == "ok"


@core_drivers
@pytest.mark.parametrize("how", [RESET, CLOSE], ids=["reset", "closed"])
def test_a_stream_that_breaks_later_is_not_repeated(server, driver, how):
    """After the first event nothing is sent again: the answer would be told twice."""
    if not driver.streams:
        pytest.skip("only streams hand on a part")
    server.script(play(EVENTS + piece(event(message("half", finish=None))), how))

    error = driver.fail(server.base_url, StreamInterruptedError)

    assert len(server.requests) == 1
    assert error.partial.text == "half"
    assert error.__cause__ is not None
    assert error.is_retryable


@core_drivers
def test_a_name_that_does_not_resolve_is_a_connection_error(driver):
    """DNS failures have our class, too."""
    error = driver.fail("https://no-such-host.invalid", APIConnectionError, max_retries=0, timeout=5)

    assert "no-such-host.invalid" in str(error)
    assert not isinstance(error, APITimeoutError) or error.phase == "connect"


@core_drivers
def test_a_proxy_that_is_not_there_is_a_connection_error(server, driver):
    """The proxy was configured, so nothing goes past it."""
    error = driver.fail(server.base_url, APIConnectionError, max_retries=0, proxy=f"http://127.0.0.1:{closed_port()}")

    assert not server.requests
    assert not error.sent


@core_drivers
def test_answers_are_never_swapped_after_a_failure(server, driver):
    """A connection on which something went wrong is not used again."""
    late = both(full(message("first"))[:60], EVENTS + event(message("first"))[:9], 0.5, b"late")
    server.script(late, answer("second"))

    with driver.session(server.base_url, timeout=0.2) as session:
        assert session.ask().text == "second"
        assert session.ask().text == "ok"

    assert server.requests[0].connection != server.requests[1].connection


@core_drivers
def test_header_names_are_sent_in_their_usual_case(server, driver):
    """proxy.py, for one, adds a second Content-Length if the first is in lower case. Yours keep the case you give."""
    driver.ask(server.base_url, headers={"X-Team": "blue", "x-lower": "1", "USER-AGENT": "mine/1"})

    lines = server.requests[0].raw.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    names = [line.split(b":")[0].decode() for line in lines]
    ours = ["Host", "Content-Type", "Accept", "Accept-Encoding", "Content-Length", "Authorization"]
    assert sorted(names) == sorted([*ours, "X-Team", "x-lower", "USER-AGENT"])


PROXY_PLACES = ["argument", "HTTP_PROXY", "http_proxy", "ALL_PROXY"]


@core_drivers
@pytest.mark.parametrize("place", PROXY_PLACES)
@pytest.mark.parametrize("status", [407, None], ids=["wants-a-password", "not-there"])
def test_a_refusal_of_the_proxy_says_so(server, driver, monkeypatch, status, place):
    """The error names the proxy, and the option or variable that it comes from, but not its password."""
    with FaultServer() as refusing:
        refusing.script(default=play(head(status or 200, 0)))
        port = closed_port() if status is None else int(refusing.base_url.rsplit(":", 1)[1])
        address = f"http://me:p4ssw0rd@127.0.0.1:{port}"
        if place != "argument":
            monkeypatch.setenv(place, address)
        options = {"proxy": address} if place == "argument" else {}

        error = driver.fail(server.base_url, APIConnectionError, max_retries=1, **options)

    assert f"the proxy http://127.0.0.1:{port} (from {'proxy=' if place == 'argument' else place})" in str(error)
    assert "p4ssw0rd" not in f"{error!r}{error.__cause__!r}"
    assert error.attempts == (1 if status else 2)  # a password is not found by trying again
    assert not server.requests


@core_drivers
@pytest.mark.parametrize(("status", "attempts"), [(407, 1), (403, 1), (503, 2)])
def test_a_proxy_that_opens_no_tunnel_is_named(driver, status, attempts):
    """For https a refusal is the proxy's answer to CONNECT."""
    with FaultServer() as refusing:
        refusing.script(default=play(head(status, 0)))
        error = driver.fail("https://gateway.example", APIConnectionError, max_retries=1, proxy=refusing.base_url)

    assert str(error).startswith(
        f"the proxy {refusing.base_url} (from proxy=) refused to connect to the gateway: {status}"
    )
    assert error.attempts == attempts


@core_drivers
def test_a_proxy_that_answers_for_the_gateway_is_named(driver, monkeypatch):
    """Without TLS nobody can tell whose error it is, so the message names the proxy and its variable, too."""
    with FaultServer() as refusing:
        refusing.script(default=reply(b"<html><title>Access Denied</title></html>", 403))
        monkeypatch.setenv("HTTP_PROXY", refusing.base_url)
        error = driver.fail("http://gateway.example", PermissionDeniedError)

    assert str(error).startswith("403: Access Denied")
    assert str(error).endswith(f"through the proxy {refusing.base_url} (from HTTP_PROXY))")


KINDS = {
    "status": (failure(403, "not yours"), "403: not yours"),
    "page": (reply(b"<html><title>New API</title></html>"), "the gateway answered with an HTML page ('New API')"),
    "empty": (reply(b""), "the gateway answered with an empty "),
    "closed": (play(CLOSE), "no answer: "),
}


@every_driver
@pytest.mark.parametrize(("fault", "reason"), KINDS.values(), ids=KINDS)
def test_errors_begin_with_the_reason_and_end_with_the_address(server, driver, fault, reason):
    """Logs and terminals cut off the end of a line, and the address is long."""
    server.script(default=fault)

    error = driver.fail(server.base_url, APIError, max_retries=0)

    assert str(error).startswith(reason)
    assert error.url.startswith(f"{server.base_url}/v1beta/models/")
    assert str(error).endswith(f"{error.url})")


def _keepalive_of_sockets_to(port: int) -> list[tuple[bool, int | None]]:
    """Return whether this process keeps its connections to *port* alive, and after how many seconds of silence."""
    states = []
    for number in os.listdir("/proc/self/fd"):
        if not os.path.realpath(f"/proc/self/fd/{number}").rpartition("/")[2].startswith("socket:"):
            continue
        copied = socket.socket(fileno=os.dup(int(number)))
        with copied:
            try:
                is_ours = copied.getpeername()[1] == port
            except (OSError, IndexError, TypeError):  # not connected, or no internet socket
                continue
            if is_ours:
                is_kept = bool(copied.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
                states.append(
                    (is_kept, copied.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) if is_kept else None)
                )
    return states


linux_only = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at the sockets of the process")


@linux_only
@every_driver
@pytest.mark.parametrize(("options", "expected"), [({}, (True, 30)), ({"tcp_keepalive": False}, (False, None))])
@pytest.mark.parametrize("way", ["direct", "proxy"])
def test_silent_connections_are_kept_alive(server, driver, options, expected, way):
    """A NAT forgets a connection that is silent while a picture is made; probes every 30 s prevent that."""
    # A gateway at the place of the proxy answers by itself, whatever address is asked for.
    url, through = (server.base_url, {}) if way == "direct" else ("http://127.0.0.1:9", {"proxy": server.base_url})

    with driver.session(url, **through, **options) as session:
        session.ask()

        assert _keepalive_of_sockets_to(server.port) == [expected]


@core_drivers
def test_tcp_keepalive_is_a_switch(server, driver):
    """Anything but True and False is refused by name."""
    error = driver.fail(server.base_url, ConfigurationError, tcp_keepalive="yes")

    assert "tcp_keepalive" in str(error)
