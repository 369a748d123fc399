"""Error bodies as gateways write them: their class, whether asking again helps, and one readable line."""

from __future__ import annotations

import json
import time

import pytest
from fault_server import failure
from gemway import (
    AuthenticationError,
    Client,
    ContentBlockedError,
    EmptyResponseError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    UnprocessableEntityError,
)
from gemway._error_bodies import error_from_payload, is_error, to_status_error

QUESTION = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def status_error(status, payload, headers=None):
    body = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    return to_status_error(status, headers or {}, body, url="https://gw.example", now=0.0)


def inner_error(payload):
    """Return the error inside of a 200."""
    return error_from_payload(payload, None, {}, url="https://gw.example", now=0.0)


SPENT = {
    "one-hub 402": (402, {"error": {"code": 402, "message": "user quota is not enough", "status": "one_hub_error"}}),
    "any 402": (402, {"error": {"message": "Something about money"}}),
    "sub2api 403": (403, {"error": {"code": 403, "message": "Insufficient account balance"}}),
    "credits": (400, {"error": {"message": "You are out of credits"}}),
    "one-hub token, Chinese": (403, {"error": {"code": 403, "message": "令牌额度不足"}}),
    "balance, Chinese": (403, {"error": {"message": "账户余额不足，请充值"}}),
    "daily limit": (429, {"error": {"code": 429, "message": "daily usage limit exceeded"}}),
    "daily limit, Chinese": (429, {"error": {"message": "已达到每日费用限制 ($5)"}}),
    "code alone": (403, {"error": {"message": "no", "code": "insufficient_user_quota"}}),
}


@pytest.mark.parametrize(("status", "payload"), SPENT.values(), ids=SPENT)
def test_an_empty_balance_is_a_quota_error_and_not_retried(status, payload):
    """Waiting a moment fills no account, whichever status and language the gateway chose."""
    error = status_error(status, payload)

    assert type(error) is QuotaExceededError
    assert error.is_retryable is False


OTHERS = {
    "a minute's quota in Google's words": (
        429,
        {"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}},
        RateLimitError,
    ),
    "CLIProxyAPI's 403": (
        403,
        {"error": {"message": "not allowed", "type": "permission_error", "code": "insufficient_quota"}},
        PermissionDeniedError,
    ),
}


@pytest.mark.parametrize(("status", "payload", "kind"), OTHERS.values(), ids=OTHERS)
def test_what_only_resembles_an_empty_balance_is_none(status, payload, kind):
    """Google's per-minute quota is a rate limit, and a pasted code does not turn a permission into a bill."""
    assert type(status_error(status, payload)) is kind


INSIDE_A_200 = {
    "upstream_error": ({"error": {"type": "upstream_error", "message": "x"}}, InternalServerError, True),
    "overloaded_error": ({"error": {"type": "overloaded_error", "message": "x"}}, InternalServerError, True),
    "server_error": ({"error": {"type": "server_error", "message": "x"}}, InternalServerError, True),
    "rate_limit_error": ({"error": {"type": "rate_limit_error", "message": "x"}}, RateLimitError, True),
    "authentication_error": ({"error": {"type": "authentication_error", "message": "x"}}, AuthenticationError, False),
    "said to be final": (
        {"error": {"type": "server_error", "message": "x", "retryable": False}},
        InternalServerError,
        False,
    ),
    "words alone": ({"error": "The model is overloaded."}, InternalServerError, True),
    "words alone, rate": ({"error": "Too many requests"}, RateLimitError, True),
    "not wrapped": (
        {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"},
        InternalServerError,
        True,
    ),
    "a list": ({"errors": [{"message": "rate limit reached"}]}, RateLimitError, True),
}


@pytest.mark.parametrize(("payload", "kind", "retryable"), INSIDE_A_200.values(), ids=INSIDE_A_200)
def test_an_error_inside_a_200_has_the_class_of_its_type_or_words(payload, kind, retryable):
    """Relays answer 200 and write the error into the body; its type or its words tell what it is."""
    error = inner_error(payload)

    assert is_error(payload)
    assert type(error) is kind
    assert error.is_retryable is retryable


GOOGLE = {
    "error": {
        "code": 429,
        "message": "Quota exceeded.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}],
    }
}


@pytest.mark.parametrize(
    "quoted",
    [{"upstreamResponse": GOOGLE}, {"upstreamRaw": json.dumps(GOOGLE)}],
    ids=["as an object", "as text"],
)
def test_a_quoted_error_gives_words_and_hint(quoted):
    """A relay that quotes Google's error hands its words and its wait on (claude-relay-service)."""
    error = status_error(429, {"error": {"message": "Request failed with status code 429", **quoted}})

    assert type(error) is RateLimitError
    assert error.retry_after == 37
    assert "Quota exceeded." in str(error)


def test_a_422_names_the_fields():
    """FastAPI's list of complaints is read: where, and what is wrong there."""
    detail = [
        {"loc": ["body", "contents"], "msg": "Field required", "type": "missing"},
        {"loc": ["body", "model"], "msg": "Input should be a valid string", "type": "string_type"},
    ]

    error = status_error(422, {"detail": detail})

    assert type(error) is UnprocessableEntityError
    assert "body.contents: Field required; body.model: Input should be a valid string" in str(error)


def test_the_longer_words_are_shown():
    """Where a body has a title and a sentence, the sentence is the message."""
    error = status_error(429, {"error": "Queue overloaded", "message": "Queue overloaded. Estimated wait 9000 ms."})

    assert "Estimated wait" in str(error)


PAGES = {
    "title": (b"<html><head><title>502 Proxy\n Error</title></head><body>x</body></html>", "Proxy Error"),
    "no title": (
        b"<html><body><h1>504 Gateway Time-out</h1>\nToo slow.\n</body></html>",
        "504 Gateway Time-out Too slow.",
    ),
    "style and comment": (b"<!--[if IE]><b>--><style>body{}</style><p>Down <b>now</b></p>", "Down now"),
    "never closed": (b"<title>Half", "Half"),
}


@pytest.mark.parametrize(("page", "words"), PAGES.values(), ids=PAGES)
def test_a_page_becomes_its_title_or_first_words(page, words):
    """An HTML error page is one readable line without tags."""
    error = status_error(502, page)

    assert error.message.split(": ", 1)[1] == words


@pytest.mark.parametrize("words", ["404 page not found", "404: page not found", "404 - page not found"])
def test_a_status_that_the_server_repeats_is_written_once(words):
    """Go's servers answer "404 page not found"; numbers that only begin like the status stay."""
    assert status_error(404, words.encode()).message.startswith("404: page not found")
    assert status_error(404, b"4040 is taken").message.startswith("404: 4040 is taken")
    assert status_error(404, b"404").message.startswith("404: 404")


def test_not_found_names_the_next_step():
    """A 404 says which option to look at."""
    error = status_error(404, {"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}})

    assert type(error) is NotFoundError
    assert "model=" in str(error)


def test_a_gateway_that_wants_another_header_is_answered_with_the_option():
    """gemini-balance looks at x-goog-api-key only; the advice is the option that sends it."""
    error = status_error(401, {"error": {"message": "Invalid key and missing x-goog-api-key header"}})

    assert 'auth_header="x-goog-api-key"' in str(error)


def test_an_absurd_wait_is_kept():
    """`Retry-After: 1000000000` means not to come back, so it must not count as no hint at all."""
    error = status_error(503, {"error": {"message": "x"}}, {"retry-after": "1000000000"})

    assert error.retry_after == 1e9


STRANGE = {
    "huge number as code": {"error": {"code": 10**400, "message": "x"}},
    "digits that are no ASCII": {"error": {"code": "²²²", "message": "x"}},
    "5000 digits": {"error": {"code": "4" * 5000, "message": "x"}},
    "half a surrogate": b'{"error": {"message": "x {\\"error\\": \\ud83d"}}',
    "details that are no objects": {"error": {"message": "x", "details": [1, None, {"reason": []}]}},
    "violations that are none": {"error": {"code": 429, "message": "x", "details": [{"violations": [1, {}]}]}},
    "lists in lists": {"error": [[[[[["x"]]]]]]},
}


@pytest.mark.parametrize("payload", STRANGE.values(), ids=STRANGE)
def test_a_strange_body_keeps_the_status(payload):
    """Whatever is in the body of a 429, it is a rate limit."""
    assert type(status_error(429, payload)) is RateLimitError


TEXTS = {
    "spaces": " ",
    "request ids": "(request id: ",
    "retry in digits": "retry in 1",
    "digits": "1",
    "daily": "daily ",
    "tokens": "input token count ",
    "tags": "<",
    "titles": "<title",
    "comments": "<!--",
    "braces": '{"error"',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_time_for_an_error_text_is_linear(text):
    """Twice the text takes about twice the time, never four times: error texts come from strangers."""
    short, long = (text * (size // len(text)) for size in (15_000, 60_000))

    def seconds(words):
        start = time.process_time()
        for _ in range(3):
            status_error(400, {"error": {"message": words}})
        return time.process_time() - start

    seconds(short)

    assert seconds(long) < 10 * seconds(short) + 0.05


@pytest.mark.parametrize("kind", [ContentBlockedError, EmptyResponseError])
def test_refusals_are_value_errors(kind):
    """Extractors of frameworks catch `ValueError` and go on with the next document."""
    assert issubclass(kind, ValueError)


def test_an_empty_balance_is_asked_once(server):
    """Over HTTP, too: one request, although retries are allowed."""
    server.script(default=failure(402, "Insufficient credits"))

    with pytest.raises(QuotaExceededError):
        Client(api_key="k", base_url=server.base_url, max_retries=2).generate_content("m", QUESTION)

    assert len(server.requests) == 1
