"""Turn an error answer of a gateway into the exception that names the next step. Pure.

Gateways remap statuses, so the code in the body is read before the HTTP status: a 403 may mean an empty
balance and a 503 an unknown model (QuantumNous/new-api, service/pre_consume_quota.go, types/error.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeAlias

from pydantic_core import from_json

from gemway._exceptions import (
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContextOverflowError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestTooLargeError,
    UnprocessableEntityError,
)
from gemway._headers import request_id_of
from gemway._json import JsonMapping
from gemway._rate_limits import read_rate_limits, read_retry_after, to_number

Redact: TypeAlias = Callable[[str], str]
"""Takes the key out of a text."""

KEPT_BODY_BYTES = 64 * 1024
SHOWN_CHARACTERS = 2048

_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: RequestTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}
# 408, 425 and 520-523, 529 come from proxies in front of gateways; 524 and 504 may have done the work.
RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})

_BY_CODE: dict[str, type[APIStatusError]] = {
    "insufficient_user_quota": QuotaExceededError,
    "pre_consume_token_quota_failed": QuotaExceededError,
    "insufficient_quota": QuotaExceededError,
    "billing_hard_limit_reached": QuotaExceededError,
    "budget_exceeded": QuotaExceededError,
    "insufficient_credits": QuotaExceededError,
    "insufficient_balance": QuotaExceededError,
    "payment_required": QuotaExceededError,
    "payment_required_error": QuotaExceededError,
    "daily_limit_exceeded": QuotaExceededError,
    "daily_cost_limit_exceeded": QuotaExceededError,
    "model_not_found": NotFoundError,
    "invalid_request": BadRequestError,
    "invalid_request_error": BadRequestError,
    "sensitive_words_detected": BadRequestError,
    "prompt_blocked": BadRequestError,
    "convert_request_failed": BadRequestError,
    "model_price_error": BadRequestError,
    "read_request_body_failed": RequestTooLargeError,
    "invalid_api_key": AuthenticationError,
    "authentication_error": AuthenticationError,
    "API_KEY_INVALID": AuthenticationError,
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "access_denied": PermissionDeniedError,
    "permission_error": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "not_found_error": NotFoundError,
    "RESOURCE_EXHAUSTED": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "rate_limit_error": RateLimitError,
    "too_many_requests": RateLimitError,
    "INVALID_ARGUMENT": BadRequestError,
    "FAILED_PRECONDITION": BadRequestError,
    "UNAVAILABLE": InternalServerError,
    "INTERNAL": InternalServerError,
    "DEADLINE_EXCEEDED": InternalServerError,
    "upstream_error": InternalServerError,
    "overloaded_error": InternalServerError,
    "server_error": InternalServerError,
    "api_error": InternalServerError,
    "internal_error": InternalServerError,
    "internal_server_error": InternalServerError,
    "timeout_error": InternalServerError,
    "stream_error": InternalServerError,
    "context_length_exceeded": ContextOverflowError,
}
# The words of gateways when an account is empty or a day's allowance is spent: one-hub, sub2api, new-api,
# claude-relay-service, OpenRouter. Google's "exceeded your current quota" is not among them: it also means a minute's.
_SPENT = re.compile(
    r"insufficient (?:account |user |token )?(?:balance|credits?|funds|quota)|"
    r"(?:balance|credits?|quota) (?:is |are )?(?:not enough|insufficient|depleted|used up)|"
    r"out of credits?|no credits? (?:left|remaining)|payment required|top.?up your|"
    r"余额不足|额度不足|配额不足|余额已|额度已|预扣费|欠费|额度耗尽|额度用尽",
    re.I,
)
_SPENT_TODAY = re.compile(
    r"\b(?:daily|per.day|24.?hours?)\b.{0,40}\b(?:limit|quota|allowance)\b|"
    r"\b(?:limit|quota)\b.{0,40}\b(?:per.day|daily)\b|(?:每日|每天|今日|当日).{0,20}(?:限|额度|用量|上限)",
    re.I,
)
_BY_MESSAGE: tuple[tuple[re.Pattern[str], type[APIStatusError]], ...] = (
    (re.compile(r"no available channel|无可用渠道", re.I), NotFoundError),
    (
        re.compile(
            r"exceeds the maximum number of tokens|input token count.{0,40}exceed|context.?length|"
            r"maximum context|prompt is too long|too many tokens",
            re.I,
        ),
        ContextOverflowError,
    ),
    (re.compile(r"API key not valid|api key (is )?(invalid|expired)", re.I), AuthenticationError),
)
# Used only if neither status nor code is more specific: an error inside of a 200 that has words alone.
_BY_WORDS: tuple[tuple[re.Pattern[str], type[APIStatusError]], ...] = (
    (re.compile(r"rate.?limit|too many requests|请求过于频繁|限流", re.I), RateLimitError),
    (re.compile(r"unauthori[sz]ed|invalid (?:token|api.?key|key)|无效的令牌|令牌无效", re.I), AuthenticationError),
    (re.compile(r"forbidden|permission denied|无权", re.I), PermissionDeniedError),
    (re.compile(r"model.{0,60}(?:not found|does not exist|not supported)|模型不存在", re.I), NotFoundError),
    (
        re.compile(
            r"overloaded|upstream|unavailable|internal (?:server )?error|timed? ?out|bad gateway|上游|繁忙", re.I
        ),
        InternalServerError,
    ),
)
_LONGEST_CLASSIFIED = 8192
_CHECK_MODEL = (
    "Check model=: client.list_models() returns the names that this gateway knows; if the name is right, check"
    " base_url="
)
# A 404 that means the model, in the words of Google, OpenAI, new-api and others; any other may mean the route.
_UNKNOWN_MODEL = re.compile(
    r"\bmodels?[/ '\"`:][^ ]{0,200} (?:is )?(?:not found|does not exist)|\bmodel not found|unknown model"
    r"|no available channel|无可用渠道|模型.{0,80}不存在",
    re.I,
)
_NEXT_STEP: tuple[tuple[type[APIStatusError], str], ...] = (
    (NotFoundError, _CHECK_MODEL),
    (AuthenticationError, "The gateway expects an API key as Bearer token; set GEMWAY_API_KEY or pass api_key="),
    (QuotaExceededError, "The balance or quota of this key is used up; top it up or use another key"),
    (RequestTooLargeError, "Send less inline data, or send media by reference"),
    (ContextOverflowError, "Shorten the conversation, or use a model with a larger window"),
)
_OTHER_HEADER = (
    'The gateway does not look at the Bearer token; pass auth_header="x-goog-api-key" and auth_scheme="" so that the key'
    " goes where it looks"
)
_SOON = re.compile(
    r"(?:retry|try again) (?:in|after) (\d{1,12}(?:\.\d{1,12})?)\d{0,30} ?(ms|s|m|sec|seconds|minutes)?\b", re.I
)
# White space in front is cut off by hand: `\s*` here takes quadratic time over a text of spaces.
_REQUEST_ID = re.compile(r"\(request id: ([^)\s]{1,200})\)", re.I)
_MESSAGE_KEYS = ("message", "error_message", "error_msg", "msg", "err", "detail", "error", "errors")
# Where relays quote the error of the server behind them, as an object or as text (claude-relay-service).
_QUOTED_KEYS = ("upstreamResponse", "upstreamRaw", "upstream_response", "upstream_raw", "upstream_error")
_LONGEST_CODE = 200


@dataclass
class ErrorBody:
    """The content of an error body, whichever of the usual shapes it has."""

    message: str = ""
    codes: list[str] = field(default_factory=list)
    details: list[JsonMapping] = field(default_factory=list)
    retryable: bool | None = None


def to_status_error(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, now: float, redact: Redact = str
) -> APIStatusError:
    """Return the exception for an error answer.

    Args:
        now: seconds since the epoch, for `Retry-After` dates.
        redact: called on every text of the server before it is kept.
    """
    text = redact(body[:KEPT_BODY_BYTES].decode("utf-8", "replace"))
    parsed = parse_json(text.encode())
    payload = text if parsed is None else parsed
    return error_from_payload(payload, status, headers, url=url, now=now, text=text, redact=redact)


def error_from_payload(
    payload: object,
    status: int | None,
    headers: Mapping[str, str],
    *,
    url: str,
    now: float,
    text: str = "",
    redact: Redact = str,
) -> APIStatusError:
    """Return the exception for an error object, from an error answer or from the inside of a 200."""
    payload = redacted(payload, redact)
    body = read_error_body(payload)
    status = status if status is not None and status >= 300 else _status_in(body, payload)
    kind = _choose_class(status, body)
    message = body.message or text
    if message.lstrip()[:1] == "<":
        message = page_summary(message)
    request_id, message = _request_id(headers, message or "the answer has no body")
    error = kind(
        redact(_compose_message(kind, status, message)),
        status_code=status,
        code=next((code for code in body.codes if not code.isdigit()), None) or next(iter(body.codes), None),
        request_id=redact(request_id) if request_id else None,
        body=payload,
        retry_after=retry_hint(headers, body, now),
        is_retryable=_is_retryable(kind, status, body, headers),
    )
    error.url = redact(url)
    error.rate_limits = read_rate_limits(headers, now)
    return error


def parse_json(data: bytes) -> object:
    """Return the JSON value of *data*, or None if it is none."""
    try:
        return from_json(data)
    except ValueError:
        return None


def redacted(payload: object, redact: Redact) -> object:
    """Return a JSON value with every text in it redacted: escapes may have hidden a secret from the first pass."""
    if isinstance(payload, str):
        return redact(payload)
    if isinstance(payload, list):
        return [redacted(item, redact) for item in payload]
    if isinstance(payload, dict):
        return {redact(key): redacted(value, redact) for key, value in payload.items()}
    return payload


def is_error(payload: object) -> bool:
    """Whether a JSON answer with status 200 is an error in disguise."""
    if isinstance(payload, list):
        return bool(payload) and all(is_error(item) for item in payload)
    if not isinstance(payload, dict) or payload.get("candidates"):
        return False
    if payload.get("error") or payload.get("errors") or payload.get("success") is False:
        return True
    if payload.get("type") == "error":
        return True
    # one-hub writes the inside of Google's error without its wrapper.
    has_code = any(isinstance(payload.get(key), (int, str)) for key in ("code", "status", "type"))
    return has_code and isinstance(payload.get("message"), str)


def read_error_body(payload: object) -> ErrorBody:
    """Read Google's shape, OpenAI's, FastAPI's, a bare message, a list of them, or nested JSON text."""
    body = ErrorBody()
    _read_payload(payload, body, depth=0)
    return body


def _read_payload(payload: object, body: ErrorBody, depth: int) -> None:
    if depth > 4 or payload is None:
        return
    if isinstance(payload, str):
        _read_text(payload, body, depth)
    elif isinstance(payload, list):
        for item in payload[:3]:
            _read_payload(item, body, depth + 1)
    elif isinstance(payload, dict):
        _read_object(payload, body, depth)


def _read_text(text: str, body: ErrorBody, depth: int) -> None:
    # Of "Queue overloaded" and "Queue is overloaded. Estimated wait time ..." the second is more useful.
    if not body.message or body.message.lower() in text.lower():
        body.message = text
    # LiteLLM puts Google's JSON inside the message: "litellm.RateLimitError: ... - {"error": ...}\n\n..."
    start = text.find('{"error"') if '{"error"' in text else text.find('{\n  "error"')
    if start >= 0:
        inner = parse_json(_first_object(text[start:]).encode("utf-8", "replace"))
        if isinstance(inner, dict):
            _prefer_quoted_error(inner, body, depth)


def _prefer_quoted_error(quoted: object, body: ErrorBody, depth: int) -> None:
    """Read an error that another one quotes: its words and codes are the cause and go first."""
    nested = ErrorBody()
    _read_payload(quoted, nested, depth + 1)
    body.message = nested.message or body.message
    body.codes[:0] = nested.codes
    body.details += nested.details


def _read_object(payload: JsonMapping, body: ErrorBody, depth: int) -> None:
    _read_codes(payload, body)
    if (complaint := _field_complaint(payload)) is not None:
        body.message = f"{body.message}; {complaint}" if body.message else complaint
        return
    for key in _MESSAGE_KEYS:
        value = payload.get(key)
        if isinstance(value, str) and value:
            _read_text(value, body, depth)
        elif isinstance(value, (dict, list)):
            _read_payload(value, body, depth + 1)
    for key in ("header", "response"):
        if isinstance(payload.get(key), dict) and not body.message:
            _read_payload(payload[key], body, depth + 1)
    for key in _QUOTED_KEYS:
        value = payload.get(key)
        quoted = parse_json(value.encode("utf-8", "replace")) if isinstance(value, str) else value
        if isinstance(quoted, (dict, list)):
            _prefer_quoted_error(quoted, body, depth)


def _read_codes(payload: JsonMapping, body: ErrorBody) -> None:
    """Note everything in an error object that is no prose: codes, details, whether to try again."""
    body.codes += [code for key in ("status", "code", "type", "reason") if (code := _to_code(payload.get(key)))]
    for key in ("retryable", "is_retryable", "isRetryable"):
        if isinstance(payload.get(key), bool):
            body.retryable = payload[key]
    details = payload.get("details")
    if isinstance(details, list):
        objects = [item for item in details if isinstance(item, dict)]
        body.details += objects
        body.codes += [code for item in objects if (code := _to_code(item.get("reason")))]


def _to_code(value: object) -> str | None:
    """Return a code as text, if *value* may be one."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return str(value)
    return value if isinstance(value, str) and value not in ("", "None") and len(value) <= _LONGEST_CODE else None


def _field_complaint(entry: JsonMapping) -> str | None:
    """Return one entry of a 422 as FastAPI and pydantic write it: the place and the problem."""
    where, message = entry.get("loc"), entry.get("msg")
    if not isinstance(where, list) or not isinstance(message, str):
        return None
    return f"{'.'.join(str(step)[:_LONGEST_CODE] for step in where[:10])}: {message}"


def _first_object(text: str) -> str:
    """Return the JSON object that *text* begins with."""
    level, in_string, escaped = 0, False, False
    for position, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = in_string
        elif char == '"':
            in_string = not in_string
        elif not in_string and char in "{}":
            level += 1 if char == "{" else -1
            if level == 0:
                return text[: position + 1]
    return text


def _status_in(body: ErrorBody, payload: object) -> int | None:
    """Return the HTTP status that a body names, if any."""
    numbers = [int(code) for code in body.codes if re.fullmatch(r"[345][0-9]{2}", code)]
    return numbers[0] if numbers else None


def _choose_class(status: int | None, body: ErrorBody) -> type[APIStatusError]:
    words = body.message[:_LONGEST_CLASSIFIED]
    if _is_spent(status, body, words):
        return QuotaExceededError
    for pattern, error_type in _BY_MESSAGE:
        if pattern.search(words) and not (error_type is ContextOverflowError and status == 429):
            return error_type
    specific = {kind for code in body.codes if (kind := _BY_CODE.get(code))}
    if status == 403 and "permission_error" in body.codes:
        # CLIProxyAPI pastes `insufficient_quota` into every 403: no words of a balance, so no quota.
        specific.discard(QuotaExceededError)
    for kind in (QuotaExceededError, AuthenticationError, ContextOverflowError, RequestTooLargeError):
        if kind in specific:
            return kind
    first = next((_BY_CODE[code] for code in body.codes if _BY_CODE.get(code) in specific), None)
    by_status = _by_status(status)
    # A generic word never overrides a more specific status ("invalid_request_error" with 404).
    if first and (by_status in (None, InternalServerError, APIStatusError) or first is NotFoundError):
        return first
    return by_status or first or _by_words(words)


def _is_spent(status: int | None, body: ErrorBody, words: str) -> bool:
    """Whether a balance or a day's allowance is used up, so that asking again soon is of no use."""
    if status == 429 and any(_is_daily(detail) for detail in body.details):
        return True
    if _SPENT.search(words):
        return True
    return status in (None, 402, 403, 429) and _SPENT_TODAY.search(words) is not None


def _by_words(words: str) -> type[APIStatusError]:
    return next((kind for pattern, kind in _BY_WORDS if pattern.search(words)), APIStatusError)


def _by_status(status: int | None) -> type[APIStatusError] | None:
    if status is None:
        return None
    if status >= 500:
        return InternalServerError
    return _BY_STATUS.get(status, APIStatusError)


def _is_daily(detail: JsonMapping) -> bool:
    violations = detail.get("violations")
    return isinstance(violations, list) and any(
        "PerDay" in str(item.get("quotaId", "")) for item in violations if isinstance(item, dict)
    )


def _is_retryable(kind: type[APIStatusError], status: int | None, body: ErrorBody, headers: Mapping[str, str]) -> bool:
    should_retry = headers.get("x-should-retry", "").lower()
    if should_retry in ("true", "false"):
        return should_retry == "true"
    if body.retryable is not None and kind in (RateLimitError, InternalServerError, APIStatusError):
        return body.retryable
    if kind in (RateLimitError, InternalServerError):
        return status is None or status in RETRYABLE_STATUSES
    return kind is APIStatusError and status in RETRYABLE_STATUSES


def retry_hint(headers: Mapping[str, str], body: ErrorBody, now: float) -> float | None:
    """Return after how many seconds the server wants to be asked again, or None.

    In this order: the headers, google.rpc.RetryInfo, "retry in 1.5s" in the text.
    """
    seconds = read_retry_after(headers, now)
    if seconds is not None:
        return seconds
    for detail in body.details:
        delay = detail.get("retryDelay")
        text = str(delay) if isinstance(delay, float | int) else delay
        if isinstance(text, str) and (seconds := to_number(text[:40].rstrip("s"))) is not None:
            return seconds
    if match := _SOON.search(body.message):
        unit = {"ms": 0.001, "m": 60, "minutes": 60}.get(match[2] or "s", 1)
        return float(match[1]) * unit
    return None


def _request_id(headers: Mapping[str, str], message: str) -> tuple[str | None, str]:
    """Return the request id and the message without it: new-api appends "(request id: ...)"."""
    match = _REQUEST_ID.search(message)
    if match is not None:
        message = message[: match.start()].rstrip() + message[match.end() :]
    return request_id_of(headers) or (match[1] if match else None), message


def page_summary(page: str) -> str:
    """Return the title of an HTML page, or else its first words, on one line. Linear in the size of the page."""
    page = page[:KEPT_BODY_BYTES]
    lower = page.lower()
    start = lower.find("<title")
    start = lower.find(">", start) + 1 if start >= 0 else 0
    end = lower.find("</title", start) if start else -1
    words = " ".join(page[start:end].split()) if end > start else ""
    return (words or " ".join(_without_tags(page, lower).split()))[:SHOWN_CHARACTERS] or "a page without words"


def _without_tags(page: str, lower: str) -> str:
    """Return the text of a page: no tags, comments, scripts and styles."""
    pieces, at = [], 0
    while (tag := page.find("<", at)) >= 0:
        pieces.append(page[at:tag])
        closing = next((end for begin, end in _SKIPPED if lower.startswith(begin, tag)), ">")
        end = lower.find(closing, tag)
        if end < 0:
            return " ".join(pieces)
        at = end + len(closing)
    return " ".join([*pieces, page[at:]])


_SKIPPED = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"))


def is_unknown_model(error: APIError) -> bool:
    """Whether *error* means an unknown model, rather than an unknown route."""
    return isinstance(error, NotFoundError) and (
        error.code == "model_not_found" or _UNKNOWN_MODEL.search(error.message[:_LONGEST_CLASSIFIED]) is not None
    )


def is_missing_stream_route(error: APIError) -> bool:
    """Whether an error of the stream route may mean that the gateway has no such route.

    A 404 that names an unknown model means the model.
    """
    # 405: the path exists for another method, such as a web page; 501: the gateway knows that it cannot stream.
    if error.status_code in (405, 501):
        return True
    if error.status_code != 404 or not isinstance(error, NotFoundError):
        return False
    return not is_unknown_model(error)


def is_signature_error(error: APIError) -> bool:
    """Whether a 400 complains about thought signatures (a gateway changed the channel)."""
    return error.status_code == 400 and bool(re.search(r"thought.?signature", error.message, re.I))


def suggest_models(error: APIError, model: str, names: Iterable[str]) -> None:
    """Let *error* name the models whose names are near *model*, if there are any."""
    wanted, known = model.removeprefix("models/"), list(names)
    near = [] if wanted in known else get_close_matches(wanted, known, n=3)
    if near:
        advice = (
            f"Did you mean {' or '.join(f'model={name!r}' for name in near)}? client.list_models() returns all names"
        )
        error.message = error.message.replace(_CHECK_MODEL, advice)
        error.args = (error.message,)


def _compose_message(kind: type[APIStatusError], status: int | None, message: str) -> str:
    """Return the status, the server's words and the next step."""
    # Go's web server answers "404 page not found", nginx's page is called "502 Bad Gateway".
    words = re.sub(rf"^\s*{status}\b[\s:.-]*(?=\w)", "", message) if status else message
    lines = f"{status or 'error in a 200'}: {words[:SHOWN_CHARACTERS].rstrip()}"
    if kind is AuthenticationError and "x-goog-api-key" in message:
        return f"{lines.rstrip('.')}. {_OTHER_HEADER}"
    for error_type, advice in _NEXT_STEP:
        if issubclass(kind, error_type):
            return f"{lines.rstrip('.')}. {advice}"
    return lines
