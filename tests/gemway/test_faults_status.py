"""Error answers: which are retried and how late, and what the error says."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from email.utils import formatdate

import pytest
from fault_drivers import ASK, KEY, MODEL, core_drivers, core_streams, every_driver
from fault_server import (
    CLOSE,
    EVENTS,
    LAST,
    answer,
    both,
    event,
    events,
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
    APIStatusError,
    AsyncClient,
    AuthenticationError,
    BadRequestError,
    Client,
    ConfigurationError,
    ConflictError,
    ContextOverflowError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestTooLargeError,
    ResponseValidationError,
    UnprocessableEntityError,
)

RETRIED = (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)
FINAL = {
    400: BadRequestError,
    401: AuthenticationError,
    402: APIStatusError,
    403: PermissionDeniedError,
    409: ConflictError,
    413: RequestTooLargeError,
    418: APIStatusError,
    422: UnprocessableEntityError,
    499: APIStatusError,
    505: InternalServerError,
}


@every_driver
@pytest.mark.parametrize("status", RETRIED)
def test_transient_errors_are_retried(server, driver, status):
    """What may work a moment later is asked again."""
    server.script(failure(status))

    assert driver.ask(server.base_url).text == "ok"
    assert len(server.requests) == 2


@every_driver
@pytest.mark.parametrize("status", FINAL)
def test_final_errors_are_not_retried(server, driver, status):
    """What will not change is asked once, and the class says what it is."""
    server.script(default=failure(status, "because"))

    error = driver.fail(server.base_url, FINAL[status])

    assert len(server.requests) == 1
    assert error.status_code == status
    assert "because" in str(error)
    assert not error.is_retryable
    assert error.attempts == 1


@every_driver
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirects_are_never_followed(server, driver, status):
    """Neither key nor prompt travels; the error names the target."""
    server.script(default=reply(b"", status, location="http://127.0.0.1:1/elsewhere"))

    error = driver.fail(server.base_url, ResponseValidationError)

    assert len(server.requests) == 1
    assert error.status_code == status
    assert "/elsewhere" in str(error)
    assert "base_url" in str(error)


@core_drivers
@pytest.mark.parametrize(
    ("status", "obeyed", "sent"), [(400, "true", 2), (503, "false", 1), (429, "false", 1), (409, "TRUE", 2)]
)
def test_x_should_retry_is_obeyed(server, driver, status, obeyed, sent):
    """The gateway knows better than the status."""
    server.script(default=failure(status, x_should_retry=obeyed))

    driver.fail(server.base_url, APIError, max_retries=1)

    assert len(server.requests) == sent


RETRY_INFO = {
    "error": {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "message": "slow down",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.7s"}],
    }
}
HINTS = {
    "retry-after": failure(429, retry_after="0.7"),
    "retry-after-ms": failure(429, retry_after_ms="700"),
    "milliseconds-win": failure(429, retry_after_ms="700", retry_after="9"),
    "litellm": failure(429, llm__provider_retry_after="0.7"),
    "retry-info": reply(RETRY_INFO, 429),
    "text": failure(429, "Please retry in 0.7s."),
    "text-ms": failure(503, "try again in 700ms"),
    "in-a-200": both(full(RETRY_INFO), EVENTS + piece(event(RETRY_INFO)) + LAST),
}


@core_drivers
@pytest.mark.parametrize("hint", HINTS.values(), ids=HINTS)
def test_hints_are_obeyed(server, driver, hint):
    """However a gateway says when it wants to be asked again, it is not asked earlier, nor much later."""
    server.script(hint)

    assert driver.ask(server.base_url).text == "ok"
    assert 0.69 <= server.gaps[0] < 1.5


@core_drivers
def test_a_date_is_a_hint(server, driver):
    """`Retry-After` may be an HTTP date."""
    server.script(failure(503, retry_after=formatdate(time.time() + 2, usegmt=True)))

    assert driver.ask(server.base_url).text == "ok"
    assert 0.9 <= server.gaps[0] < 3.5


@core_drivers
def test_a_date_is_a_hint_in_a_large_error_too(server, driver):
    """The clock is at hand wherever an error body ends."""
    server.script(reply(b"x" * 200_000, 503, retry_after=formatdate(time.time() + 2, usegmt=True)))

    assert driver.ask(server.base_url).text == "ok"
    assert 0.5 <= server.gaps[0] < 3.5


@core_drivers
@pytest.mark.parametrize("hint", ["61", "3600", "1e9", "99999999999999"])
def test_long_hints_fail_at_once(server, driver, hint):
    """A wait of more than a minute is the caller's to decide; the error carries it."""
    server.script(default=failure(429, retry_after=hint))

    begin = time.monotonic()
    error = driver.fail(server.base_url, RateLimitError)

    assert error.retry_after == float(hint)
    assert f"the gateway asks for a wait of {float(hint):,.0f} s" in str(error)
    assert error.is_retryable
    assert len(server.requests) == 1
    assert time.monotonic() - begin < 1


@core_drivers
@pytest.mark.parametrize("hint", ["-5", "soon", "", "nan", "1e400", "Mon, 99 Foo 2026"])
def test_nonsense_is_no_hint(server, driver, hint):
    """What cannot be read is ignored; the usual wait applies."""
    server.script(failure(429, retry_after=hint))

    assert driver.ask(server.base_url).text == "ok"
    assert server.gaps[0] < 1.5


@core_drivers
def test_waits_grow_and_are_jittered(server, driver):
    """0.25 to 0.5 s, then 0.5 to 1 s; never twice the same."""
    server.script(failure(503), failure(503))

    driver.ask(server.base_url)
    first, second = server.gaps

    assert 0.24 <= first < 1.0
    assert 0.49 <= second < 1.6
    assert first != pytest.approx(0.5, abs=1e-6)


BODIES = {
    "google": ({"error": {"code": 400, "message": "say why", "status": "INVALID_ARGUMENT"}}, "INVALID_ARGUMENT"),
    "list": ([{"error": {"code": 400, "message": "say why", "status": "INVALID_ARGUMENT"}}], "INVALID_ARGUMENT"),
    "openai": ({"error": {"message": "say why", "type": "x", "param": None, "code": "invalid"}}, "invalid"),
    "string": ({"error": "say why"}, None),
    "detail": ({"detail": "say why"}, None),
    "message": ({"message": "say why"}, None),
    "success": ({"success": False, "message": "say why"}, None),
    "numeric": ({"error": {"code": 1234, "message": "say why"}}, "1234"),
    "html": (b"<html><head><title>say why</title></head><body>...</body></html>", None),
    "text": (b"say why", None),
    "nulls": ({"error": {"message": "say why", "code": None, "details": None}}, None),
}


@core_drivers
@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES)
def test_every_shape_of_error_is_read(server, driver, body, code):
    """The server's words and code are found, whatever they are wrapped in."""
    server.script(default=reply(body, 400))

    error = driver.fail(server.base_url, BadRequestError)

    assert "say why" in str(error)
    assert error.code == code


ODD_BODIES = {
    "empty": b"",
    "invalid-utf-8": b"\xff\xfe\x00",
    "null": b"null",
    "array": b"[]",
    "object": b"{}",
    "nested-arrays": b"[" * 200_000,
    "nested-objects": b'{"error":' * 50_000,
    "odd-types": b'{"error": {"message": 5}}',
    # Deep, but JSON: one answer in another for each of the members that errors are looked for in.
    **{f"whole-{key}": b'{"%s":' % key.encode() * 450 + b'"x"' + b"}" * 450 for key in ("error", "header", "response")},
}


@core_drivers
@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
def test_every_error_body_gives_a_typed_error(server, driver, body):
    """Nothing that an error answer holds leads to another exception."""
    server.script(default=reply(body, 400))

    assert driver.fail(server.base_url, BadRequestError).status_code == 400


MEANINGS = {
    "403-balance": (403, {"code": "insufficient_user_quota", "message": "x"}, QuotaExceededError),
    "403-pre-consume": (403, {"code": "pre_consume_token_quota_failed", "message": "x"}, QuotaExceededError),
    "503-unknown-model": (
        503,
        {"code": "model_not_found", "message": "no available channel for model x"},
        NotFoundError,
    ),
    "503-no-channel": (503, {"code": "", "message": "当前分组下对于模型 x 无可用渠道"}, NotFoundError),
    "500-invalid": (500, {"code": "invalid_request", "message": "contents is required"}, BadRequestError),
    "500-sensitive": (500, {"code": "sensitive_words_detected", "message": "x"}, BadRequestError),
    "400-bad-key": (
        400,
        {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid. Please pass a valid API key."},
        AuthenticationError,
    ),
    "400-too-long": (
        400,
        {"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."},
        ContextOverflowError,
    ),
    "429-per-day": (
        429,
        {
            "code": 429,
            "message": "x",
            "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]}],
        },
        QuotaExceededError,
    ),
}


@core_drivers
@pytest.mark.parametrize(("status", "error", "kind"), MEANINGS.values(), ids=MEANINGS)
def test_the_code_of_the_body_is_read_before_the_status(server, driver, status, error, kind):
    """Gateways remap statuses; what the body says is not retried in vain."""
    server.script(default=reply({"error": error}, status))

    raised = driver.fail(server.base_url, kind)

    assert type(raised).__mro__[0:1] == (kind,) or isinstance(raised, kind)
    assert raised.status_code == status
    assert len(server.requests) == 1


@core_drivers
def test_a_rate_of_tokens_is_no_long_prompt(server, driver):
    """A 429 that counts input tokens is a limit of the minute: the same prompt passes later."""
    message = "Quota exceeded for input token count: it exceeds the maximum number of tokens per minute"
    server.script(reply({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message}}, 429))

    assert driver.ask(server.base_url).text == "ok"
    assert len(server.requests) == 2


@core_drivers
def test_request_ids_are_found(server, driver):
    """In a header, or at the end of the message where new-api puts it; and on good answers."""
    server.script(
        failure(400, x_request_id="from-header"),
        failure(400, "bad thing (request id: from-text)"),
        both(
            full(message(), x_request_id="of-answer"),
            head(200, "chunked", x_request_id="of-answer") + piece(event(message())) + LAST,
        ),
    )

    assert driver.fail(server.base_url).request_id == "from-header"
    error = driver.fail(server.base_url)
    assert error.request_id == "from-text"
    assert str(error).count("from-text") == 1


@core_drivers
def test_what_was_tried_is_on_the_error(server, driver):
    """Attempts and seconds waited are attributes and part of the text."""
    server.script(default=failure(503))

    error = driver.fail(server.base_url, InternalServerError, max_retries=1)

    assert error.attempts == 2
    assert 0.2 < error.waited < 1
    assert "2 attempts" in str(error)


@core_drivers
def test_what_was_tried_is_on_the_answer(server, driver):
    """Double cost is visible."""
    server.script(failure(503))

    assert driver.ask(server.base_url).attempts == 2


@core_drivers
def test_a_hook_sees_each_retry(server, driver):
    """`on_retry` is told the attempt, the wait and the reason, before the wait."""
    seen = []
    server.script(failure(503), failure(429))

    driver.ask(server.base_url, on_retry=seen.append)

    assert [(one.attempt, one.error.status_code) for one in seen] == [(1, 503), (2, 429)]
    assert all(one.delay > 0 for one in seen)


# The stream route


@core_streams
@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_gateway_without_streams_is_asked_once(server, driver, status):
    """The same call is sent as one unary request, still yields a stream, and that is remembered."""
    server.script(failure(status, "Invalid URL (POST /v1beta/...)"))

    with driver.session(server.base_url, max_retries=0) as session:
        first, second = session.ask(), session.ask()

    assert (first.text, second.text) == ("ok", "ok")
    assert first.attempts == 2
    assert [request.streams for request in server.requests] == [True, False, False]


@core_streams
def test_a_fallback_that_fails_is_not_remembered(server, driver):
    """If both routes are missing the model is, and the next stream is asked for as a stream."""
    server.script(failure(404), failure(404))

    with driver.session(server.base_url) as session:
        with pytest.raises(NotFoundError):
            session.ask()
        session.ask()

    assert [request.streams for request in server.requests] == [True, False, True]


@core_streams
@pytest.mark.parametrize(
    "body",
    [
        {"code": "model_not_found", "message": "x"},
        {"code": 404, "message": "models/nope is not found for API version v1beta", "status": "NOT_FOUND"},
        {"code": "", "message": "The model `nope` does not exist"},
    ],
    ids=["code", "google", "openai"],
)
def test_an_unknown_model_is_not_a_missing_route(server, driver, body):
    """A 404 that names the model is final; all that follows is one look at the list of models."""
    server.script(default=reply({"error": body}, 404))

    driver.fail(server.base_url, NotFoundError)

    assert [request.method for request in server.requests] == ["POST", "GET"]


@core_streams
def test_the_fallback_is_retried_like_any_call(server, driver):
    """A transient failure of the unary request is repeated as a unary request."""
    server.script(failure(405), failure(503))

    assert driver.ask(server.base_url, max_retries=1).text == "ok"
    assert [request.streams for request in server.requests] == [True, False, False]


# Keys that change


class Tokens:
    """A source of keys that counts how often it was asked."""

    def __init__(self, *, slow: float = 0.0) -> None:
        self.asked = 0
        self.current = 0
        self._slow = slow
        self._lock = threading.Lock()

    def __call__(self) -> str:
        time.sleep(self._slow)
        with self._lock:
            self.asked += 1
            return f"sk-token-number-{self.current}"


@every_driver
def test_a_refused_token_is_asked_for_again(server, driver):
    """A 401 asks the callable once more and repeats the call once, whatever `max_retries` is."""
    tokens = Tokens()
    server.script(failure(401))

    assert driver.ask(server.base_url, api_key=tokens, max_retries=0).text == "ok"
    assert tokens.asked == 2


@every_driver
def test_a_token_that_stays_refused_is_an_error(server, driver):
    """Twice 401 is final."""
    server.script(default=failure(401))

    driver.fail(server.base_url, AuthenticationError, api_key=Tokens(), max_retries=5)

    assert len(server.requests) == 2


@core_drivers
def test_a_refused_text_is_final(server, driver):
    """A key that cannot change is not sent again."""
    server.script(default=failure(401))

    driver.fail(server.base_url, AuthenticationError)

    assert len(server.requests) == 1


@core_drivers
def test_many_refused_calls_ask_for_one_new_token(server, driver):
    """After an expiry 20 calls at once refresh once."""
    tokens = Tokens(slow=0.02)
    fresh = answer("ok")

    async def by_token(connection, request):
        good = request.headers["authorization"] == "Bearer sk-token-number-1"
        await asyncio.sleep(0.3)
        await (fresh if good else failure(401))(connection, request)

    def refreshed() -> str:
        found = tokens()
        return found

    server.script(default=by_token)
    with driver.session(server.base_url, api_key=refreshed) as session:
        timer = threading.Timer(0.25 if not driver.asynchronous else 0.55, setattr, (tokens, "current", 1))
        timer.start()
        answers = session.together(20)
        timer.join()

    assert [getattr(one, "text", one) for one in answers] == ["ok"] * 20
    assert tokens.asked <= 20 + 3


def test_an_async_token_source_needs_the_async_client(server):
    """A coroutine is never left unawaited."""

    async def token():
        return "sk-async-token-1"

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with (
            Client(base_url=server.base_url, api_key=token) as client,
            pytest.raises(ConfigurationError, match="async"),
        ):
            client.generate_content(MODEL, ASK)
        gc.collect()
    assert not [warning for warning in shown if "never awaited" in str(warning.message)]

    async def main():
        async with AsyncClient(base_url=server.base_url, api_key=token) as client:
            return await client.generate_content(MODEL, ASK)

    assert asyncio.run(main()).text == "ok"
    assert server.requests[-1].headers["authorization"] == "Bearer sk-async-token-1"


@core_drivers
def test_a_token_source_that_fails_is_not_hidden(server, driver):
    """The caller's own exception comes through, and nothing is sent."""

    def broken():
        raise LookupError("vault is sealed")

    with pytest.raises(LookupError, match="vault is sealed"):
        driver.ask(server.base_url, api_key=broken)
    assert not server.requests


@core_drivers
@pytest.mark.parametrize("bad", ["", "a\nb", "schlüssel", None, 5], ids=repr)
def test_a_bad_token_is_refused_before_sending(server, driver, bad):
    """What a callable returns is checked like a key that was given."""
    error = driver.fail(server.base_url, ConfigurationError, api_key=lambda: bad)

    assert "schlüssel" not in str(error)
    assert not server.requests


@core_drivers
def test_errors_of_the_wire_have_no_answer(server, driver):
    """A connection error has no status."""
    server.script(default=play(CLOSE))

    error = driver.fail(server.base_url, APIConnectionError, max_retries=0)

    assert (error.status_code, error.code, error.body, error.retry_after) == (None, None, None, None)


def test_lists_and_counts_are_retried_and_typed(server):
    """The other calls go the same way."""
    server.script(
        failure(503), reply({"models": [{"name": "models/a"}, {"id": "b"}]}), failure(503), reply({"totalTokens": 3})
    )
    with Client(base_url=server.base_url, api_key=KEY) as client:
        assert client.list_models() == ["a", "b"]
        assert client.count_tokens(MODEL, ASK) == 3

        server.script(reply(b"<html>", content_type="text/html"), reply({"success": False, "message": "no group"}))
        with pytest.raises(ResponseValidationError, match="base URL"):
            client.list_models()
        with pytest.raises(APIStatusError, match="no group"):
            client.list_models()


def test_models_are_listed_in_either_spelling(server):
    """Google's `models` with pages, or OpenAI's `data`."""
    server.script(
        reply({"models": [{"name": "models/a"}], "nextPageToken": "n 1"}),
        reply({"models": [{"name": "models/b"}]}),
        reply({"data": [{"id": "c"}, {"id": "d"}]}),
    )

    with Client(base_url=server.base_url, api_key=KEY) as client:
        assert [client.list_models(), client.list_models()] == [["a", "b"], ["c", "d"]]

    assert server.requests[1].path == "/v1beta/models?pageToken=n%201"


def test_models_that_are_listed_under_v1_alone_are_found(server):
    """LiteLLM serves `GET /v1/models` and no other list."""
    listing = [failure(404), reply({"data": [{"id": "a"}, {"id": "b"}]})]
    server.script(*listing, *listing)

    async def list_async():
        async with AsyncClient(base_url=server.base_url, api_key=KEY) as client:
            return await client.list_models()

    with Client(base_url=server.base_url, api_key=KEY) as client:
        assert [client.list_models(), asyncio.run(list_async())] == [["a", "b"]] * 2

    assert [request.path for request in server.requests] == ["/v1beta/models", "/v1/models"] * 2


@core_streams
def test_an_error_event_is_the_error(server, driver):
    """An error as first event is retried like a status; a final one is final."""
    unavailable = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}
    server.script(events(unavailable), answer(), events({"error": {"code": 400, "message": "bad"}}))

    assert driver.ask(server.base_url).text == "ok"
    driver.fail(server.base_url, BadRequestError)
    assert len(server.requests) == 3
