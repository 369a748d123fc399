"""Turn an error answer of a gateway into the exception that says what to do. Pure.

Gateways remap statuses, so the code in the body is read before the HTTP status: a 403 may mean an empty
balance and a 503 an unknown model (QuantumNous/new-api, service/pre_consume_quota.go, types/error.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

from pydantic_core import from_json

from gemway._exceptions import (
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

Redact: TypeAlias = Callable[[str], str]
"""Takes the key out of a text."""

KEPT_BODY_BYTES = 64 * 1024
SHOWN_CHARACTERS = 2048

_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
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
    "model_not_found": NotFoundError,
    "invalid_request": BadRequestError,
    "invalid_request_error": BadRequestError,
    "sensitive_words_detected": BadRequestError,
    "prompt_blocked": BadRequestError,
    "convert_request_failed": BadRequestError,
    "model_price_error": BadRequestError,
    "read_request_body_failed": RequestTooLargeError,
    "invalid_api_key": AuthenticationError,
    "API_KEY_INVALID": AuthenticationError,
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "access_denied": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_EXHAUSTED": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "INVALID_ARGUMENT": BadRequestError,
    "FAILED_PRECONDITION": BadRequestError,
    "UNAVAILABLE": InternalServerError,
    "INTERNAL": InternalServerError,
    "DEADLINE_EXCEEDED": InternalServerError,
    "context_length_exceeded": ContextOverflowError,
}
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
_NEXT_STEP: tuple[tuple[type[APIStatusError], str], ...] = (
    (AuthenticationError, "The gateway expects an API key as Bearer token; set GEMWAY_API_KEY or pass api_key="),
    (QuotaExceededError, "The balance or quota of this key is used up; top it up or use another key"),
    (RequestTooLargeError, "Send less inline data, or send media by reference"),
    (ContextOverflowError, "Shorten the conversation, or use a model with a larger window"),
)
_SOON = re.compile(r"(?:retry|try again) (?:in|after) (\d+(?:\.\d+)?) ?(ms|s|m|sec|seconds|minutes)?\b", re.I)
_REQUEST_ID = re.compile(r"\s*\(request id: ([^)\s]+)\)", re.I)
_REQUEST_ID_HEADERS = ("x-request-id", "x-oneapi-request-id", "x-goog-request-id", "x-litellm-call-id", "cf-ray")
_MESSAGE_KEYS = ("message", "error_message", "error_msg", "msg", "err", "detail", "error")


@dataclass
class ErrorBody:
    """What a body says, whichever of the usual shapes it has."""

    message: str = ""
    codes: list[str] = field(default_factory=list)
    details: list[Mapping[str, Any]] = field(default_factory=list)


def to_status_error(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, now: float, redact: Redact = str
) -> APIStatusError:
    """Return the exception for an error answer.

    Args:
        now: seconds since the epoch, for `Retry-After` dates.
        redact: called on every text of the server before it is kept.
    """
    kept = redact(body[:KEPT_BODY_BYTES].decode("utf-8", "replace"))
    parsed = parse_json(kept.encode())
    payload = kept if parsed is None else parsed
    return error_from_payload(payload, status, headers, url=url, now=now, text=kept, redact=redact)


def error_from_payload(
    payload: Any,
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
    kind = _classify(status, body)
    request_id, message = _request_id(headers, body.message or _excerpt(text, status))
    error = kind(
        redact(_compose(kind, status, url, message)),
        status_code=status,
        code=next((code for code in body.codes if not code.isdigit()), None) or next(iter(body.codes), None),
        request_id=redact(request_id) if request_id else None,
        body=payload,
        retry_after=retry_hint(headers, body, now),
        is_retryable=_is_retryable(kind, status, body, headers),
    )
    return error


def parse_json(data: bytes) -> Any:
    """Return the JSON value of *data*, or None if it is none."""
    try:
        return from_json(data)
    except ValueError:
        return None


def redacted(payload: Any, redact: Redact) -> Any:
    """Return a JSON value with every text in it redacted: escapes may have hidden what was to be taken out."""
    if isinstance(payload, str):
        return redact(payload)
    if isinstance(payload, list):
        return [redacted(item, redact) for item in payload]
    if isinstance(payload, dict):
        return {redact(key): redacted(value, redact) for key, value in payload.items()}
    return payload


def is_error(payload: Any) -> bool:
    """Whether a JSON answer with status 200 is an error in disguise."""
    if isinstance(payload, list):
        return bool(payload) and all(is_error(item) for item in payload)
    if not isinstance(payload, dict):
        return False
    return bool(payload.get("error")) or payload.get("success") is False


def read_error_body(payload: Any) -> ErrorBody:
    """Read Google's shape, OpenAI's, FastAPI's, a bare message, a list of them, or nested JSON text."""
    body = ErrorBody()
    _read(payload, body, depth=0)
    return body


def _read(payload: Any, body: ErrorBody, depth: int) -> None:
    if depth > 4 or payload is None:
        return
    if isinstance(payload, str):
        _read_text(payload, body, depth)
    elif isinstance(payload, list):
        for item in payload[:3]:
            _read(item, body, depth + 1)
    elif isinstance(payload, dict):
        _read_object(payload, body, depth)


def _read_text(text: str, body: ErrorBody, depth: int) -> None:
    body.message = body.message or text
    # LiteLLM puts Google's JSON inside the message: "litellm.RateLimitError: ... - {"error": ...}\n\n..."
    start = text.find('{"error"') if '{"error"' in text else text.find('{\n  "error"')
    if start >= 0:
        inner = parse_json(_balanced(text[start:]).encode())
        if isinstance(inner, dict):
            nested = ErrorBody()
            _read(inner, nested, depth + 1)
            body.message = nested.message or body.message
            body.codes += nested.codes
            body.details += nested.details


def _read_object(payload: Mapping[str, Any], body: ErrorBody, depth: int) -> None:
    for key in ("status", "code", "type", "reason"):
        value = payload.get(key)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value) not in ("", "None"):
            body.codes.append(str(value))
    details = payload.get("details")
    if isinstance(details, list):
        body.details += [item for item in details if isinstance(item, dict)]
        body.codes += [item["reason"] for item in body.details if isinstance(item.get("reason"), str)]
    for key in _MESSAGE_KEYS:
        value = payload.get(key)
        if isinstance(value, str) and value:
            _read_text(value, body, depth)
        elif isinstance(value, (dict, list)):
            _read(value, body, depth + 1)
    for key in ("header", "response"):
        if isinstance(payload.get(key), dict) and not body.message:
            _read(payload[key], body, depth + 1)


def _balanced(text: str) -> str:
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


def _status_in(body: ErrorBody, payload: Any) -> int | None:
    """Return the HTTP status that a body names, if any."""
    numbers = [int(code) for code in body.codes if code.isdigit() and 300 <= int(code) < 600]
    return numbers[0] if numbers else None


def _classify(status: int | None, body: ErrorBody) -> type[APIStatusError]:
    if status == 429 and any(_is_daily(detail) for detail in body.details):
        return QuotaExceededError
    for pattern, told in _BY_MESSAGE:
        if pattern.search(body.message) and not (told is ContextOverflowError and status == 429):
            return told
    specific = {kind for code in body.codes if (kind := _BY_CODE.get(code))}
    for kind in (QuotaExceededError, AuthenticationError, ContextOverflowError, RequestTooLargeError):
        if kind in specific:
            return kind
    first = next((_BY_CODE[code] for code in body.codes if code in _BY_CODE), None)
    by_status = _by_status(status)
    # A generic word never overrides a status that says more ("invalid_request_error" with 404).
    if first and (by_status in (None, InternalServerError, APIStatusError) or first is NotFoundError):
        return first
    return by_status or first or APIStatusError


def _by_status(status: int | None) -> type[APIStatusError] | None:
    if status is None:
        return None
    if status >= 500:
        return InternalServerError
    return _BY_STATUS.get(status, APIStatusError)


def _is_daily(detail: Mapping[str, Any]) -> bool:
    violations = detail.get("violations")
    return isinstance(violations, list) and any(
        "PerDay" in str(item.get("quotaId", "")) for item in violations if isinstance(item, dict)
    )


def _is_retryable(kind: type[APIStatusError], status: int | None, body: ErrorBody, headers: Mapping[str, str]) -> bool:
    told = headers.get("x-should-retry", "").lower()
    if told in ("true", "false"):
        return told == "true"
    if kind in (RateLimitError, InternalServerError):
        return status is None or status in RETRYABLE_STATUSES
    return kind is APIStatusError and status in RETRYABLE_STATUSES


def retry_hint(headers: Mapping[str, str], body: ErrorBody, now: float) -> float | None:
    """Return after how many seconds the server wants to be asked again, or None.

    In this order: `retry-after-ms`, `Retry-After` (seconds or a date), LiteLLM's
    `llm_provider-retry-after`, google.rpc.RetryInfo, "retry in 1.5s" in the text.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    for name in ("retry-after", "llm_provider-retry-after"):
        seconds = _seconds(headers.get(name), now)
        if seconds is not None:
            return seconds
    for detail in body.details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (seconds := _number(delay.rstrip("s"))) is not None:
            return seconds
    if found := _SOON.search(body.message):
        unit = {"ms": 0.001, "m": 60, "minutes": 60}.get(found[2] or "s", 1)
        return float(found[1]) * unit
    return None


def _seconds(value: str | None, now: float) -> float | None:
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < 1e9 else None


def _request_id(headers: Mapping[str, str], message: str) -> tuple[str | None, str]:
    """Return the request id and the message without it: new-api appends "(request id: ...)"."""
    found = _REQUEST_ID.search(message)
    message = _REQUEST_ID.sub("", message)
    return request_id_of(headers) or (found[1] if found else None), message


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the gateway's id of an exchange."""
    names = {name.lower() for name in headers}
    return next((headers[name] for name in _REQUEST_ID_HEADERS if name in names and headers[name]), None)


def _excerpt(text: str, status: int | None) -> str:
    """Return something readable of a body that is not JSON."""
    title = re.search(r"<title[^>]*>(.*?)</title>", text[:SHOWN_CHARACTERS], re.I | re.S)
    plain = title[1] if title else re.sub(r"<[^>]*>", " ", text[:SHOWN_CHARACTERS])
    return " ".join(plain.split())[:SHOWN_CHARACTERS] or "the answer has no body"


def _compose(kind: type[APIStatusError], status: int | None, url: str, message: str) -> str:
    lines = f"{status or 'error in a 200'} from {url}: {message[:SHOWN_CHARACTERS].rstrip()}"
    for error_type, advice in _NEXT_STEP:
        if issubclass(kind, error_type):
            return f"{lines.rstrip('.')}. {advice}."
    return lines
