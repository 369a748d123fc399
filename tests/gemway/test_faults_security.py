"""The key and the user's headers: sent to the gateway, and found nowhere else."""

from __future__ import annotations

import asyncio
import copy
import html
import io
import json
import logging
import pickle
import ssl
import subprocess
import time
import traceback
import warnings
from importlib.metadata import version
from urllib.parse import quote

import httpx
import pytest
from fault_drivers import ASK, KEY, MODEL, core_drivers, every_driver
from fault_server import (
    CLOSE,
    EVENTS,
    LAST,
    RESET,
    STALL,
    FaultServer,
    both,
    event,
    failure,
    full,
    message,
    piece,
    play,
    reply,
)
from gemway import (
    APIConnectionError,
    APIError,
    AsyncClient,
    AuthenticationError,
    Client,
    ConfigurationError,
    GemwayError,
)
from gemway._redaction import Redactor, Secret
from pydantic import SecretStr

HEADER = "user-header-value-98765"
PER_CALL = "per-call-header-value-43210"
HALF = EVENTS + piece(event(message("half", None)))


def assert_hidden(seen: str, *secrets: str) -> None:
    for secret in (KEY, HEADER, PER_CALL, *secrets):
        assert secret not in seen


def frames(error: BaseException | None) -> list[str]:
    """Return every local of every frame of ours, and of the libraries below, that *error* leads to."""
    found, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            module = frame.f_globals.get("__name__", "").split(".")[0]
            if module in ("gemway", "httpx", "httpcore", "h11", "anyio", "httpx2", "httpcore2"):
                found += [f"{module}:{frame.f_code.co_name}:{name}={value!r}" for name, value in frame.f_locals.items()]
        error = error.__cause__ or error.__context__
    return found


def shown(error: BaseException) -> str:
    """Return all that can be seen of an error: text, attributes, traceback with locals, pickle, causes."""
    parts = [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    captured = traceback.TracebackException.from_exception(error)
    parts += list(captured.format())
    parts += frames(error)
    parts.append(repr(pickle.dumps(error)))
    cause = error.__cause__
    while cause is not None:
        parts += [repr(cause), repr(vars(cause))]
        request = getattr(cause, "_request", None)
        parts.append(repr(getattr(request, "headers", None)))
        cause = cause.__cause__
    return "\n".join(parts)


FAULTS = {
    "reset": play(RESET),
    "closed": play(CLOSE),
    "stalled": play(STALL),
    "401": failure(401, f"invalid token {KEY}"),
    "500": failure(500),
    "redirect": reply(b"", 307, location="https://elsewhere.example/" + KEY),
    "html": reply(f"<html>{KEY} {HEADER}</html>".encode()),
    "garbage": reply(b"garbage"),
    "cut": both(full(message())[:-5], HALF, CLOSE),
    "error-event": both(full({"error": {"message": KEY}}), HALF + piece(event({"error": {"message": KEY}})) + LAST),
    "not-http": play(b"SSH-2.0\r\n", CLOSE),
}


@core_drivers
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_errors_show_no_secret(server, driver, fault):
    """Neither text, attributes, traceback locals, causes nor the pickle of an error hold the key or a header."""
    server.script(default=fault)

    with (
        driver.session(server.base_url, headers={"x-secret": HEADER}, timeout=0.3, max_retries=0) as session,
        pytest.raises(GemwayError) as caught,
    ):
        session.ask(headers={"x-also": PER_CALL})

    assert_hidden(shown(caught.value))
    assert server.requests[0].headers["x-secret"] == HEADER
    assert server.requests[0].headers["x-also"] == PER_CALL


async def test_cancelled_calls_show_no_secret(server):
    """Not even the frames that were waiting for the network."""
    server.script(default=play(STALL))
    client = AsyncClient(base_url=server.base_url, api_key=KEY, headers={"x-secret": HEADER})
    with pytest.raises((asyncio.TimeoutError, TimeoutError)) as caught:
        await asyncio.wait_for(client.generate_content(MODEL, ASK), 0.2)
    await client.aclose()

    assert_hidden("\n".join(frames(caught.value)))
    assert_hidden("\n".join(frames(caught.value.__cause__)))


def test_an_interrupted_call_shows_no_secret(server):
    """Ctrl-C in the middle of a call: the traceback holds no key."""

    class Interrupting(httpx.BaseTransport):
        def handle_request(self, request):
            raise KeyboardInterrupt

    with (
        httpx.Client(transport=Interrupting()) as inner,
        Client(base_url=server.base_url, api_key=KEY, http_client=inner) as client,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        client.generate_content(MODEL, ASK)

    assert_hidden("\n".join(frames(caught.value)))


def test_bugs_of_others_keep_their_place(server):
    """A foreign transport's own error comes with its own frame, and without ours that hold the key."""

    class Broken(httpx.BaseTransport):
        def handle_request(self, request):
            raise LookupError("a bug of somebody else")

    with (
        httpx.Client(transport=Broken()) as inner,
        Client(base_url=server.base_url, api_key=KEY, http_client=inner) as client,
        pytest.raises(LookupError) as caught,
    ):
        client.generate_content(MODEL, ASK)

    names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert names[-1] == "handle_request"
    assert_hidden("\n".join(frames(caught.value)))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_objects_show_no_secret(kind):
    """repr, str, format, vars of everything that a client holds."""
    client = kind(
        base_url="https://gateway.example",
        api_key=SecretStr(KEY),
        headers={"x-secret": HEADER, "x-typed": SecretStr(PER_CALL)},
    )
    _ = client._transport

    def walk(thing, depth=0):
        yield f"{thing!r} {thing!s} {thing:}" if not isinstance(thing, type) else ""
        if depth < 4 and hasattr(thing, "__dict__"):
            for value in vars(thing).values():
                yield from walk(value, depth + 1)

    seen = "\n".join(walk({k: v for k, v in vars(client).items() if k != "_setup"} and client._transport))
    assert_hidden(f"{client!r} {client!s} {client} {client._setup!r} {client._setup.settings!r} {vars(client)!r}")
    assert_hidden(seen)


def test_the_options_of_a_client_are_secrets():
    """Walking down to the options that were given shows no key, in case somebody does."""
    client = Client(base_url="https://gateway.example", api_key=KEY, headers={"x-secret": HEADER})

    assert_hidden(repr(vars(client._setup)))
    assert_hidden(repr(vars(copy.deepcopy(client)._setup)))
    assert_hidden(repr(vars(pickle.loads(pickle.dumps(client))._setup)))


@core_drivers
def test_logs_show_no_secret(server, driver, caplog):
    """With every logger at DEBUG, of httpx and httpcore, too."""
    stream = io.StringIO()
    logging.getLogger().addHandler(spy := logging.StreamHandler(stream))
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio", "gemway"):
        caplog.set_level(logging.DEBUG, logger=name)
    server.script(failure(503), failure(401, f"bad {KEY}"))
    try:
        driver.fail(server.base_url, AuthenticationError, headers={"x-secret": HEADER})
        driver.ask(server.base_url, headers={"x-secret": HEADER})
    finally:
        logging.getLogger().removeHandler(spy)

    assert_hidden(stream.getvalue() + caplog.text)
    assert "httpcore" in caplog.text or "send_request_headers" in caplog.text


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
HALF_ESCAPED = KEY[:6] + "".join(f"\\u{ord(letter):04x}" for letter in KEY[6:12]) + KEY[12:]
ECHOES = {
    "plain": full({"error": {"message": f"bad key {KEY}!", "code": KEY}}, 401),
    "text": full(f"bad key {KEY}!".encode(), 401),
    "html": full(f"<title>bad key {KEY}</title>".encode(), 401),
    "escaped": full(b'{"error": {"message": "bad key ' + ESCAPED.encode() + b'"}}', 401),
    "half-escaped": full(b'{"error": {"message": "bad key ' + HALF_ESCAPED.encode() + b'"}}', 401),
    "json-in-json": full(
        {"error": {"message": 'litellm: {"error": {"message": "bad ' + HALF_ESCAPED + '", "code": 401}}'}}, 401
    ),
    "as-a-name": full({"error": {"message": "bad", KEY: 1, "details": [{"k": [KEY]}]}}, 401),
    "in-a-header": full({"error": {"message": "bad"}}, 401, x_request_id=f"id-{KEY}"),
    "user-header": full({"error": {"message": f"bad {HEADER} and {PER_CALL}"}}, 401),
    "bearer": full({"error": {"message": f"bad Bearer {KEY}."}}, 401),
    "at-the-cut": full(b"x" * (64 * 1024 - 12) + KEY.encode() * 3, 401),
    "in-a-200": full({"error": {"code": 401, "message": f"bad {KEY}"}}),
    "in-a-200-escaped": full(b'{"error": {"code": 401, "message": "bad ' + ESCAPED.encode() + b'"}}'),
    "html-200": full(f"<html>{KEY}".encode()),
    "garbage-200": full(f"garbage {KEY}".encode()),
    "status-line": f"HTTP/1.1 401 {KEY}\r\ncontent-length: 2\r\n\r\n{{}}".encode(),
}


@every_driver
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_an_echoed_secret_is_redacted(server, driver, echo):
    """A gateway that repeats the key or a header, however spelt, is not repeated."""
    server.script(default=play(echo))
    headers = {"x-secret": HEADER, "x-also": PER_CALL}

    with (
        driver.session(server.base_url, headers=headers, max_retries=0) as session,
        pytest.raises(GemwayError) as caught,
    ):
        session.ask()

    error = caught.value
    seen = f"{error} {error.args} {vars(error)!r} {pickle.dumps(error)!r}"
    assert_hidden(seen, KEY[:10])


SPECIAL = "sk-a/b+c<d>&e=12345_Zz"
SPELLINGS = {
    "url": quote(SPECIAL, safe=""),
    "url-lower-case": quote(SPECIAL, safe="").lower(),
    "url-twice": quote(quote(SPECIAL, safe=""), safe=""),
    "every-letter-of-a-url": "".join(f"%{ord(letter):02x}" for letter in SPECIAL),
    "json-slash": SPECIAL.replace("/", "\\/"),
    "json-for-html": SPECIAL.replace("<", "\\u003c").replace(">", "\\u003E").replace("&", "\\u0026"),
    "json-in-json": SPECIAL.replace("/", "\\\\/").replace("<", "\\\\u003c"),
    "html": html.escape(SPECIAL),
    "html-twice": html.escape(html.escape(SPECIAL)),
    "html-decimal": "".join(f"&#{ord(letter)};" for letter in SPECIAL),
    "html-hexadecimal": "".join(f"&#x{ord(letter):X};" for letter in SPECIAL),
    "html-named": SPECIAL.replace("/", "&sol;").replace("+", "&plus;").replace("&e", "&amp;e"),
    "javascript": SPECIAL.replace("<", "\\x3c"),
    "upper-case": SPECIAL.upper(),
    "url-of-json": quote(SPECIAL.replace("<", "\\u003c"), safe=""),
    "mixed": "sk-a%2Fb&#43;c\\u003Cd&gt;%26e=12345_Zz",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("kind", ["text", "html"])
def test_a_secret_is_redacted_however_it_is_escaped(server, spelling, kind):
    """Escapes of JSON, HTML and URLs, in any mix and case, do not carry a key past the filter."""
    server.script(default=play(full(f"<p>bad key {spelling} !".encode() if kind == "html" else spelling.encode(), 401)))

    with Client(base_url=server.base_url, api_key=SPECIAL) as client, pytest.raises(AuthenticationError) as caught:
        client.generate_content(MODEL, ASK)

    seen = f"{caught.value} {vars(caught.value)!r}"
    assert spelling not in seen
    assert "12345_zz" not in seen.lower()


@pytest.mark.parametrize("piece", ["\\", "%25", "%2", "&amp;", "&", "\\u00", "&#x2", "sk-a/b", "\\u005c"])
def test_redaction_takes_time_in_proportion_to_the_text(piece):
    """A text made to provoke a search takes about as much longer as it is longer."""
    redact = Redactor([Secret(SPECIAL)])

    def seconds(length):
        text = (piece * length)[:length]
        began = time.perf_counter()
        redact(text)
        return time.perf_counter() - began

    # Eight times the text: a quadratic search would take 64 times as long.
    assert min(seconds(160_000) for _ in range(5)) < 40 * max(min(seconds(20_000) for _ in range(5)), 0.005)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer  ", "BEARER "])
def test_a_key_with_its_scheme_before_it_is_sent_once(server, scheme):
    """People copy `Bearer sk-...` out of a curl command; it is not sent as `Bearer Bearer sk-...`."""
    with Client(base_url=server.base_url, api_key=scheme + KEY) as client:
        client.generate_content(MODEL, ASK)
    with Client(base_url=server.base_url, api_key=lambda: scheme + KEY) as client:
        client.generate_content(MODEL, ASK)

    assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {KEY}"] * 2


def test_a_key_without_a_scheme_may_begin_with_any_word(server):
    """With `auth_scheme=""` the whole text is the credential."""
    with Client(base_url=server.base_url, api_key=f"Bearer {KEY}", auth_scheme="") as client:
        client.generate_content(MODEL, ASK)

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


WRONG_TYPES = {
    "headers": [("x-a", "1")],
    "deadline": 10**400,
    "timeout": "soon",
    "max_retries": "3",
    "proxy": "http://u:p4ssw0rd@[x",
    "auth": ("user", "p4ssw0rd"),
    "extra_body": [1],
    "verify": 5,
    "on_retry": 5,
    "http_client": object(),
    "auth_header": 5,
    "auth_scheme": "Bear\ner",
    "retry_image_timeouts": "yes",
    "max_connections": 0,
    "max_response_bytes": 1.5,
    "base_url": 5,
}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_wrong_type_is_an_error_that_names_the_option(kind, name):
    """And shows neither the key nor the value of what may hold a password."""
    options = {"base_url": "https://gateway.example", "api_key": KEY, name: WRONG_TYPES[name]}
    with pytest.raises(ConfigurationError, match=name) as caught:
        kind(**options)

    assert_hidden("\n".join([str(caught.value), *frames(caught.value)]), "p4ssw0rd")


@core_drivers
def test_a_short_header_value_does_not_garble_messages(server, driver):
    """What is no secret by its length is left alone."""
    server.script(default=failure(400, "invalid argument 1"))

    assert "invalid argument 1" in str(driver.fail(server.base_url, headers={"x-version": "1"}))


BAD_KEYS = {
    "line-break": "sk-secret-part\nx-evil: 1",
    "carriage-return": "sk-secret-part\r\nx-evil: 1",
    "non-ascii": "sk-secret-part-schlüssel",
    "control": "sk-secret-part\x00",
    "empty": "",
    "spaces": "   ",
    "bytes": b"sk-secret-part",
    "number": 5,
}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("bad", BAD_KEYS.values(), ids=BAD_KEYS)
def test_bad_keys_are_refused_at_construction(kind, bad):
    """And not shown: neither in the message nor in a frame of the traceback."""
    with pytest.raises(ConfigurationError) as caught:
        kind(base_url="https://gateway.example", api_key=bad)

    assert "key" in str(caught.value)
    if isinstance(bad, (str, bytes)) and len(bad) > 5:
        assert "secret-part" not in shown(caught.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "wrong",
    [{"timeout": -1}, {"base_url": "nowhere"}, {"max_retries": "x"}, {"apikey": KEY}, {"proxy": "ftp://u:p4ssw0rd@h"}],
    ids=["timeout", "address", "retries", "unknown", "proxy"],
)
def test_other_mistakes_show_no_key(kind, wrong):
    """A traceback of a constructor shows what was wrong and nothing else."""
    options = {"base_url": "https://gateway.example", "api_key": KEY, "headers": {"x-secret": HEADER}, **wrong}
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        kind(**options)

    assert_hidden("\n".join([str(caught.value), *frames(caught.value)]), "p4ssw0rd")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "secret-part\r\nx-evil: 1"},
        {"x-a": "secret-part-ü"},
        {"x a": "secret-part"},
        {"x-a\r\n": "secret-part"},
        {"x-a": 5},
        {"": "secret-part"},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"Upgrade": "h2c"},
        {"TE": "trailers"},
        {"Trailer": "x-a"},
    ],
    ids=(
        [
            "crlf",
            "non-ascii",
            "space-in-name",
            "crlf-in-name",
            "number",
            "no-name",
            "length",
            "encoding",
            "connection",
            "upgrade",
            "te",
            "trailer",
        ]
    ),
)
def test_bad_headers_are_refused(server, headers):
    """At construction and per call, before anything is sent, without showing the value."""
    with pytest.raises(ConfigurationError) as constructed:
        Client(base_url=server.base_url, api_key=KEY, headers=headers)
    with Client(base_url=server.base_url, api_key=KEY) as client, pytest.raises(ConfigurationError) as called:
        client.generate_content(MODEL, ASK, headers=headers)

    for caught in (constructed, called):
        assert "secret-part" not in "\n".join([str(caught.value), *frames(caught.value)])
    assert not server.requests


def test_a_header_cannot_replace_the_credential(server):
    """Not by accident, in whatever case it is written."""
    with pytest.raises(ConfigurationError, match="api_key="):
        Client(base_url=server.base_url, api_key=KEY, headers={"AUTHORIZATION": "Bearer other"})
    with Client(base_url=server.base_url, api_key=KEY) as client:
        client.generate_content(MODEL, ASK, headers={"authorization": "Bearer other"})

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].raw.lower().count(b"authorization:") == 1


@core_drivers
def test_the_key_travels_in_one_header_only(server, driver):
    """Never in the URL, the body or a second header."""
    driver.ask(server.base_url)

    request = server.requests[0]
    assert request.raw.count(KEY.encode()) == 1
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "x-goog-api-key" not in request.headers
    assert "key=" not in request.path


@core_drivers
def test_every_request_says_what_it_is(server, driver):
    """JSON is sent, the wanted form is named, and a stream is not to be held back for compression."""
    driver.ask(server.base_url)

    sent = server.requests[0].headers
    assert sent["content-type"] == "application/json"
    assert sent["accept"] == ("text/event-stream" if driver.streams else "application/json")
    assert sent["accept-encoding"] == ("identity" if driver.streams else "gzip, deflate")
    assert sent["user-agent"].startswith("gemway/")


@core_drivers
def test_another_header_and_scheme(server, driver):
    """For gateways that want their own."""
    driver.ask(server.base_url, auth_header="cf-aig-authorization", auth_scheme="")

    assert server.requests[0].headers["cf-aig-authorization"] == KEY
    assert "authorization" not in server.requests[0].headers


ESCAPES = [
    "../x",
    "..",
    ".",
    "a/../b",
    "a/./b",
    "/a",
    "a//b",
    "a/",
    "a\r\nb",
    "a\tb",
    "a\x00",
    "",
    "models/",
    "models/../x",
]


@pytest.mark.parametrize(
    "model", ["a?b", "a#b", "a%2Fb", "a%2e%2e", "a b", "a\\b", "ä", "a;b", "a&b", "a=b"], ids=ascii
)
def test_odd_model_names_are_encoded_whole(server, model):
    """What would mean something in a URL is percent-encoded, so the name stays one segment of the path."""
    with Client(base_url=server.base_url, api_key=KEY) as client:
        client.generate_content(model, ASK)

    assert server.requests[0].path == f"/v1beta/models/{quote(model, safe='')}:generateContent"


@pytest.mark.parametrize("model", ESCAPES, ids=ascii)
def test_model_names_cannot_leave_the_path(server, model):
    """What could become another URL is refused before sending."""
    with Client(base_url=server.base_url, api_key=KEY) as client:
        for call in (client.generate_content, client.stream_generate_content, client.count_tokens):
            with pytest.raises(ConfigurationError):
                call(model, ASK)

    assert not server.requests


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("google/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("tunedModels/x-1", "tunedModels/x-1"),
        ("a..b", "a..b"),
        ("claude-4@2026", "claude-4@2026"),
        ("qwen:7b", "qwen%3A7b"),
    ],
)
def test_usual_model_names_pass(server, model, path):
    """Unknown names are the gateway's to judge."""
    with Client(base_url=server.base_url, api_key=KEY) as client:
        client.generate_content(model, ASK)

    assert server.requests[0].path == f"/v1beta/models/{path}:generateContent"


@pytest.mark.parametrize("suffix", ["", "/", "/v1beta", "/v1beta/", "/gw", "/gw/", "/gw/v1beta", "/a/b/v1beta/"])
def test_base_urls(server, suffix):
    """One `/v1beta`, whatever was given."""
    with Client(base_url=server.base_url + suffix, api_key=KEY) as client:
        client.generate_content(MODEL, ASK)

    prefix = suffix.rstrip("/").removesuffix("/v1beta")
    assert server.requests[0].path == f"{prefix}/v1beta/models/{MODEL}:generateContent"


def test_v1_is_replaced_with_a_warning(server):
    """People copy the address of OpenAI-shaped routes."""
    with (
        pytest.warns(UserWarning, match="/v1beta") as caught,
        Client(base_url=f"{server.base_url}/v1", api_key=KEY) as client,
    ):
        client.generate_content(MODEL, ASK)

    assert server.requests[0].path.startswith("/v1beta/models/")
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "pasted",
    [
        *(
            "/v1/chat/completions",
            "/v1/embeddings",
            "/v1/models",
            "/v1beta/models",
            "/v1beta/openai",
            "/v1beta/openai/",
        ),
        *("/openai/v1", "/v1beta/models/gemini-2.5-pro:generateContent"),
        "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    ],
)
@pytest.mark.parametrize("prefix", ["", "/gw"])
def test_a_pasted_route_is_healed_with_a_warning(server, prefix, pasted):
    """The address of a call, or of OpenAI-compatible routes, leads to the gateway all the same."""
    with (
        pytest.warns(UserWarning, match=r"base_url ends in .*; using .* with /v1beta instead"),
        Client(base_url=f"{server.base_url}{prefix}{pasted}", api_key=KEY) as client,
    ):
        client.generate_content(MODEL, ASK)

    assert server.requests[0].path == f"{prefix}/v1beta/models/{MODEL}:generateContent"


@pytest.mark.parametrize("prefix", ["/models", "/openai", "/v1/team"])
def test_an_odd_prefix_is_left_alone(server, prefix):
    """A gateway may live below any path."""
    with Client(base_url=f"{server.base_url}{prefix}", api_key=KEY) as client:
        client.generate_content(MODEL, ASK)

    assert server.requests[0].path == f"{prefix}/v1beta/models/{MODEL}:generateContent"


@pytest.mark.parametrize(
    "address",
    [
        "gateway.example",
        "ftp://gateway.example",
        "https://",
        "https://user:p4ssw0rd@gateway.example",
        "https://gateway.example?key=p4ssw0rd",
        "https://gateway.example#p4ssw0rd",
        "https://gateway.example:99999",
        "https://gateway.example:port",
        "https://[::1",
        "https://gateway.example/a b",
        "https://gateway.example\r\nx-evil: 1",
        "https://gätewäy.example",
        "javascript:alert(1)",
        "//gateway.example",
    ],
)
def test_addresses_that_cannot_work_are_refused(address):
    """By a clear error that shows no password."""
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        Client(base_url=address, api_key=KEY)

    assert_hidden(str(caught.value), "p4ssw0rd")


def test_plain_http_warns_once():
    """For hosts elsewhere; never for this machine."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            Client(base_url="http://gateway-in-clear.example", api_key=KEY)
            for host in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]", "api.localhost"):
                Client(base_url=f"http://{host}:8080", api_key=KEY)

    assert [str(one.message) for one in caught if "unencrypted" in str(one.message)] == [
        "the key travels unencrypted to http://gateway-in-clear.example; use https://"
    ]
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "name", ["LANGSMITH_GATEWAY", "GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "GOOGLE_GEMINI_BASE_URL"]
)
def test_variables_of_others_change_nothing(server, monkeypatch, name):
    """Neither address nor key are taken from them."""
    monkeypatch.setenv(name, "http://127.0.0.1:9/evil")
    with Client(base_url=server.base_url, api_key=KEY) as client:
        client.generate_content(MODEL, ASK)

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_netrc_is_not_read(server, monkeypatch, tmp_path):
    """The credential is the one that was given."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password p4ssw0rd\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Client(base_url=server.base_url, api_key=KEY) as client:
        client.generate_content(MODEL, ASK)

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_cookies_are_not_kept(server):
    """A shared pool must not carry one caller's session to another."""
    server.script(reply(message(), set_cookie="session=1; Path=/"))
    with Client(base_url=server.base_url, api_key=KEY) as client:
        client.generate_content(MODEL, ASK)
        client.generate_content(MODEL, ASK)

    assert "cookie" not in server.requests[1].headers


ALL_ERRORS = [failure(400), failure(429), play(RESET), play(STALL), reply(b"<html>"), play(HALF, CLOSE)]


@core_drivers
@pytest.mark.parametrize("fault", ALL_ERRORS, ids=["400", "429", "reset", "stall", "html", "interrupted"])
def test_errors_pickle(server, driver, fault):
    """With class and attributes, as workers need it."""
    server.script(default=fault)

    error = driver.fail(server.base_url, APIError, timeout=0.3, max_retries=0)
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.is_retryable == error.is_retryable
    for name in ("message", "status_code", "code", "request_id", "body", "retry_after", "attempts"):
        assert getattr(again, name) == getattr(error, name)
    assert copy.copy(error).message == error.message


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A throwaway certificate for 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gemway tests"),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("openssl is not at hand to make a certificate")
    return folder


@pytest.fixture
def tls_server(certificate):
    """The fault server behind that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with FaultServer(context) as server:
        yield server


@core_drivers
def test_an_unknown_certificate_is_refused(tls_server, driver):
    """Nothing is sent, nothing is retried, and the error names what to set."""
    error = driver.fail(tls_server.base_url, APIConnectionError)

    assert "SSL_CERT_FILE" in str(error)
    assert not error.is_retryable
    assert not tls_server.requests
    assert error.attempts == 1


@core_drivers
def test_ssl_cert_file_is_obeyed(tls_server, driver, certificate, monkeypatch):
    """The usual variable for a company's own authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))

    assert driver.ask(tls_server.base_url).text == "ok"


@core_drivers
def test_a_context_of_ones_own(tls_server, driver, certificate):
    """`verify=` takes an SSLContext, and False for those who know what they do."""
    context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))

    assert driver.ask(tls_server.base_url, verify=context).text == "ok"
    assert driver.ask(tls_server.base_url, verify=False).text == "ok"


@core_drivers
def test_the_name_is_checked(tls_server, driver, certificate, monkeypatch):
    """A trusted certificate of another host is none."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    url = tls_server.base_url.replace("127.0.0.1", "localhost")

    assert not driver.fail(url, APIConnectionError).is_retryable
    assert not tls_server.requests


@core_drivers
@pytest.mark.skipif(version("httpx") < "0.28", reason="before 0.28 httpx took no notice of a file that is missing")
def test_a_missing_certificate_file_is_a_mistake_in_the_set_up(driver, monkeypatch):
    """Not a connection error, and not retried."""
    monkeypatch.setenv("SSL_CERT_FILE", "no-such-file.pem")

    driver.fail("https://127.0.0.1:1", ConfigurationError)


@core_drivers
@pytest.mark.parametrize("fault", [play(RESET), play(CLOSE), play(b"HTTP/1.1 200 OK\r\n", RESET)])
def test_faults_under_tls_are_retried(tls_server, driver, fault):
    """The same as without."""
    tls_server.script(fault)

    assert driver.ask(tls_server.base_url, verify=False).text == "ok"


@core_drivers
def test_plain_http_behind_https_is_a_connection_error(server, driver):
    """And the other way round."""
    error = driver.fail(server.base_url.replace("http:", "https:"), APIConnectionError, max_retries=0)

    assert not isinstance(error, ConfigurationError)


@core_drivers
def test_tls_deadlines(tls_server, driver):
    """Silence and drips under TLS end at the deadline, too."""
    tls_server.script(default=play(*[b" ", 0.05] * 40))

    error = driver.fail(tls_server.base_url, APIConnectionError, verify=False, deadline=0.5, timeout=5)

    assert error.attempts <= 3


def test_http_over_tls_reads_large_answers(tls_server):
    """A few megabytes through TLS, both ways."""
    tls_server.script(default=reply(message("x" * 3_000_000)))
    with Client(base_url=tls_server.base_url, api_key=KEY, verify=False) as client:
        question = {"contents": [{"parts": [{"text": "y" * 3_000_000}]}]}
        assert len(client.generate_content(MODEL, question).text) == 3_000_000

    assert len(json.loads(tls_server.requests[0].body)["contents"][0]["parts"][0]["text"]) == 3_000_000
