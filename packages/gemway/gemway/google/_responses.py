"""Translate a gateway's answer for Google's client. Pure: it is fed with the bytes as they arrive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Final, Protocol, cast

from pydantic_core import to_json

from gemway._accumulate import fold
from gemway._config import Settings
from gemway._error_bodies import (
    KEPT_BODY_BYTES,
    error_from_payload,
    is_error,
    is_missing_stream_route,
    parse_json,
    read_error_body,
    to_status_error,
)
from gemway._exceptions import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestTooLargeError,
    ResponseValidationError,
    UnprocessableEntityError,
)
from gemway._json import JsonObject
from gemway._protocol import Call
from gemway._redaction import Redactor
from gemway._response import Inflater, UnreadableEncodingError
from gemway._sse import EventDecoder, EventTooLargeError
from gemway.google._requests import GoogleCall, model_resource, under_v1
from gemway.types import GenerateContentResponse

if TYPE_CHECKING:
    import httpx

JSON_HEADERS: Final = {"content-type": "application/json; charset=UTF-8"}
STREAM_HEADERS: Final = {"content-type": "text/event-stream"}

# Google's client cuts lines where Python's str.splitlines does, which is also at three characters that JSON strings may
# contain. An event that is cut there is no JSON any more.
_UNICODE_LINE_ENDS: Final = {
    b"\xe2\x80\xa8": b"\\u2028",
    b"\xe2\x80\xa9": b"\\u2029",
    b"\xc2\x85": b"\\u0085",
}
# Bytes are searched for words in steps of this size, from one quotation mark to the next.
_STEP: Final = 2**12
_RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"
_ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
# HTTP status and word for each of our errors (https://cloud.google.com/apis/design/errors#error_codes).
_CLIENTS_WORDS: Final[tuple[tuple[type[APIStatusError], int, str], ...]] = (
    (AuthenticationError, 401, "UNAUTHENTICATED"),
    (QuotaExceededError, 429, "RESOURCE_EXHAUSTED"),
    (PermissionDeniedError, 403, "PERMISSION_DENIED"),
    (NotFoundError, 404, "NOT_FOUND"),
    (ConflictError, 409, "ABORTED"),
    (RateLimitError, 429, "RESOURCE_EXHAUSTED"),
    (BadRequestError, 400, "INVALID_ARGUMENT"),
    (RequestTooLargeError, 413, "INVALID_ARGUMENT"),
    (UnprocessableEntityError, 422, "INVALID_ARGUMENT"),
)
# An empty balance is no reason to ask again in a moment, as those who retry do at 429.
_OTHER_STATUSES: Final[dict[type[APIStatusError], tuple[int, ...]]] = {QuotaExceededError: (402, 403)}
_SERVERS_WORDS: Final = {500: "INTERNAL", 501: "UNIMPLEMENTED", 504: "DEADLINE_EXCEEDED", 524: "DEADLINE_EXCEEDED"}


class Exchange(Protocol):
    """The open response of a gateway, blocking or asyncio."""

    status: int
    headers: Mapping[str, str]
    url: str
    arrived: float
    redact: Redactor


class ResponseTranslator:
    """The response of one call, fed with its bytes.

    If Google's client asked for a stream, `feed` and `finish` return whole events as they arrive, and otherwise the
    one body at the end. They raise the typed error for a response without any answer. An error behind the first event
    becomes an event itself, in Google's form.

    Args:
        call: the request that was sent to the gateway.
        exchange: the gateway's response.
        wants_stream: whether Google's client reads events, even if the gateway was asked for a whole answer.

    Attributes:
        ended: whether nothing that comes now matters, because an error was handed on.
        complete: whether `finish` was reached.
    """

    def __init__(self, call: Call, exchange: Exchange, settings: Settings, *, wants_stream: bool) -> None:
        self.ended = self.complete = False
        self._call = cast(GoogleCall, call)
        self._status = exchange.status
        self._headers = exchange.headers
        self._url = exchange.url
        self._arrived = exchange.arrived
        self._redact = exchange.redact
        self._wants_stream = wants_stream
        self._limit = settings.max_response_bytes
        self._body: list[bytes] = []
        self._size = 0
        self._has_begun = False
        reads_events = call.streaming and self._status < 300
        self._decoder = EventDecoder(self._limit) if reads_events else None
        encoding = self._headers.get("content-encoding", "identity").strip().lower()
        self._inflater = None if encoding in ("", "identity") else Inflater(encoding)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The header lines for Google's client."""
        # The body is decompressed and written anew here, so header lines about its length and encoding would be wrong.
        replacements = {} if self._is_verbatim else STREAM_HEADERS if self._wants_stream else JSON_HEADERS
        hidden = {"content-encoding", "content-length", "transfer-encoding", "connection", *replacements}
        return [(name, value) for name, value in self._headers.items() if name.lower() not in hidden] + [
            *replacements.items()
        ]

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return the events that they complete."""
        if self._inflater is None:
            return self._take_piece(data)
        return b"".join(map(self._take_piece, self._inflated(self._inflater, data)))

    def _take_piece(self, data: bytes) -> bytes:
        if self._decoder is None:
            self._keep_piece(data)
            return b""
        # Nearly every read holds one event as Google writes it. It is handed on without being
        # decoded, but for the first one: some gateways answer 200 and send an error as the only event.
        if self._has_begun and _is_googles_event(data) and not (self._decoder.pending or self.ended):
            return data
        return self._to_frames(self._decoder.feed, data)

    def _inflated(self, inflater: Inflater, data: bytes) -> Iterator[bytes]:
        try:
            yield from inflater.feed(data)
            return
        except UnreadableEncodingError as error:
            message = f"the gateway {error}"
        raise self._invalid_answer(message)

    def finish(self) -> bytes:
        """The response is complete: return the rest of it."""
        self.complete = True
        if self._decoder is None:
            return self._check_body(b"".join(self._body))
        frames = self._to_frames(self._decoder.finish)
        if not self._has_begun and not frames:
            raise self._no_answer(self._decoder.head)
        return frames

    @property
    def _is_verbatim(self) -> bool:
        """Whether the body is a downloaded file, which stays as it is."""
        kind = self._headers.get("content-type", "")
        return self._call.method == "GET" and not self._call.model and not re.search("json|text/|^$", kind)

    def _keep_piece(self, data: bytes) -> None:
        # Error pages of proxies may be megabytes: of an error, only the beginning is kept.
        self._size += len(data)
        limit = self._limit if self._status < 300 else KEPT_BODY_BYTES
        if self._size > limit and self._status < 300:
            raise self._invalid_answer(
                f"the answer is larger than {limit:,} bytes; raise max_response_bytes= of google_options()"
            )
        if self._size - len(data) < limit:
            self._body.append(data)

    def _to_frames(self, step: Callable[..., list[bytes]], *data: bytes) -> bytes:
        """Return the events of one step of the decoder as Google writes them, up to the first error among them."""
        # One read of compressed bytes becomes several pieces, and an error may be in the first of them.
        if self.ended:
            return b""
        try:
            events = step(*data)
        except EventTooLargeError as error:
            return self._end_with_error(
                self._invalid_answer(f"{error}; raise max_response_bytes= of google_options()"), []
            )
        frames: list[bytes] = []
        for event in events:
            if (failure := self._error_in(event)) is not None:
                return self._end_with_error(failure, frames)
            self._has_begun = True
            frames.append(to_frame(event))
        return b"".join(frames)

    def _end_with_error(self, failure: APIError, frames: list[bytes]) -> bytes:
        """Raise *failure*, or return it behind *frames* if answers were handed on: by then the status has been sent."""
        if not self._has_begun:
            raise failure
        self.ended = True
        return b"".join((*frames, to_frame(to_json(to_google_error(failure)[1]))))

    def _error_in(self, event: bytes) -> APIError | None:
        """Return the error in an event, or None for an answer, which Google's client parses itself."""
        if _is_answer(event):
            return None
        payload = parse_json(event)
        if payload is not None:
            return self._to_error(payload) if is_error(payload) else None
        if self._has_begun and event.lstrip()[:1] == b"{":
            return self._invalid_answer("the stream ended in the middle of an event")
        return self._no_answer(event)

    def _check_body(self, body: bytes) -> bytes:
        """Return a complete body, if it is an answer."""
        if self._status >= 400:
            raise to_status_error(
                self._status, self._headers, body, url=self._url, now=self._arrived, redact=self._redact
            )
        if self._status >= 300:
            raise self._invalid_answer(
                "the gateway redirects, and redirects are never followed, so that neither key nor prompt travels."
                " Set base_url to the final address"
            )
        # A deletion may be answered with an empty body.
        if self._is_verbatim or (not body and self._call.method == "DELETE"):
            return body
        body = self._check_json(body.strip())
        return to_frame(body) if self._wants_stream else body

    def _check_json(self, body: bytes) -> bytes:
        if body[:1] != b"{":
            return self._fold_events(body)
        # Short bodies are read: some errors have no such word in them, as {"code": 429, "message": "slow down"}.
        is_short_error = len(body) <= KEPT_BODY_BYTES and b'"candidates"' not in body
        if is_short_error or _contains_word(body, b'"error"', b'"success"'):
            payload = parse_json(body)
            if is_error(payload):
                raise self._to_error(payload)
        if self._call.lists_models and b'"models"' not in body:
            return _with_googles_models(body)
        return body

    def _fold_events(self, body: bytes) -> bytes:
        """Return the answer of a gateway that answers with an array or with events where one object was asked for."""
        is_answer = body[:1] == b"[" or body.startswith((b"data:", b":", b"event:"))
        if not is_answer or not self._call.action.endswith("enerateContent"):
            raise self._no_answer(body)
        decoder = EventDecoder(self._limit)
        events = [*decoder.feed(body), *decoder.finish()]
        for event in events:
            if (failure := self._error_in(event)) is not None:
                raise failure
        if len(events) == 1:
            return events[0]
        folded = fold(GenerateContentResponse.model_validate_json(event) for event in events)
        return to_json(folded.model_dump(exclude_none=True))

    def _no_answer(self, body: bytes) -> APIError:
        payload = parse_json(body) if len(body) <= KEPT_BODY_BYTES else None
        if is_error(payload):
            return self._to_error(payload)
        text = self._redact(body[:KEPT_BODY_BYTES].decode("utf-8", "replace")).strip()
        if not text:
            return self._invalid_answer("the gateway answered with an empty body", is_retryable=True)
        if text[:1] == "<":
            advice = "an HTML page; is the base URL right? It must lead to the gateway's API, without /v1beta"
            return self._invalid_answer(f"the gateway answered with {advice}", body=text)
        return self._invalid_answer(f"the gateway answered with no Gemini answer: {text[:200]}", body=text)

    def _to_error(self, payload: object) -> APIStatusError:
        return error_from_payload(payload, None, self._headers, url=self._url, now=self._arrived, redact=self._redact)

    def _invalid_answer(
        self, message: str, *, body: object = None, is_retryable: bool = False
    ) -> ResponseValidationError:
        error = ResponseValidationError(message, status_code=self._status, body=body, is_retryable=is_retryable)
        error.url = self._redact(self._url)
        return error


def to_frame(event: bytes) -> bytes:
    """Return one event as Google writes it: a line of data and an empty one."""
    if b"\n" in event or b"\r" in event:
        # RFC 8259: strings hold no bare line ends, so these are white space between members.
        event = event.replace(b"\r", b" ").replace(b"\n", b" ")
    if _has_unicode_line_ends(event):
        for line_end, escaped in _UNICODE_LINE_ENDS.items():
            event = event.replace(line_end, escaped)
    return b"data: %b\n\n" % event


def _has_unicode_line_ends(event: bytes) -> bool:
    return not event.isascii() and any(line_end in event for line_end in _UNICODE_LINE_ENDS)


def _is_googles_event(data: bytes) -> bool:
    """Whether *data* is one whole answer exactly as Google writes it: a line that any client can read, and an empty one.

    Some gateways cut an event in two with an empty line; then its braces do not match.
    """
    return (
        data.startswith(b'data: {"candidates"')
        and data.endswith((b"}\n\n", b"}\r\n\r\n"))
        and data.count(b"{") == data.count(b"}")
        and b'"error"' not in data
        and data.find(b"\n", 0, -3) < 0
        and data.find(b"\r", 0, -4) < 0
        and not _has_unicode_line_ends(data)
    )


def _is_answer(event: bytes) -> bool:
    """Whether the bytes show that an event is an answer, so that its JSON need not be parsed."""
    return b'"candidates"' in event and not _contains_word(event, b'"error"')


def _contains_word(data: bytes, *words: bytes) -> bool:
    """Whether one of *words*, which begin with a quotation mark, is in *data*.

    Each step of the search begins at a quotation mark. To find one is a search for a single byte, which passes
    pictures at 30 times the speed of a search for a word.
    """
    at = 0
    while at >= 0:
        end = at + _STEP
        for word in words:
            if data.find(word, at, end + len(word)) >= 0:
                return True
        at = data.find(b'"', end)
    return False


def local_response(library: ModuleType, answer: bytes | None, error: APIError) -> httpx.Response:
    """Return a response of *library*: an *answer* that was made here, or else the *error* in Google's form."""
    status, body = (200, answer) if answer is not None else to_google_error(error)
    response: httpx.Response = library.Response(
        status, headers=JSON_HEADERS, content=body if isinstance(body, bytes) else to_json(body)
    )
    return response


def answer_without_route(call: GoogleCall, error: APIError) -> GoogleCall | bytes | None:
    """Return another call, or an answer made here, if the gateway has no route for *call*; None for a real error."""
    # A gateway with a web interface answers unknown paths with its page and status 200.
    web_page = isinstance(error, ResponseValidationError) and not error.is_retryable
    if not (web_page or is_missing_stream_route(error)):
        return None
    # LlamaIndex asks for its model at construction, and would fail before its first question.
    if call.names_one_model:
        return to_json(model_resource(call.model))
    # LiteLLM serves its list under /v1 only.
    if call.lists_models and call.path.startswith("/v1beta/"):
        return under_v1(call)
    return None


def to_google_error(error: APIError) -> tuple[int, JsonObject]:
    """Return HTTP status and JSON of an error as Google sends it, so that Google's client reads all of it.

    An error in Google's form keeps its words. The gateway's Retry-After is added as RetryInfo, and a code of its own
    as the reason of an ErrorInfo (https://google.aip.dev/193).
    """
    payload = error.body[0] if isinstance(error.body, list) and error.body else error.body
    member = payload.get("error") if isinstance(payload, dict) else None
    inner: JsonObject = member if isinstance(member, dict) else {}
    status, word = _status_and_word(error)
    if inner.get("code") == error.status_code and isinstance(inner.get("status"), str):
        status, word = inner["code"], inner["status"]
    details = [detail for detail in inner.get("details") or () if isinstance(detail, dict)]
    kinds = {detail.get("@type") for detail in details}
    if error.retry_after is not None and _RETRY_INFO not in kinds:
        details.append({"@type": _RETRY_INFO, "retryDelay": f"{error.retry_after:g}s"})
    if error.code and error.code not in (word, str(status)) and _ERROR_INFO not in kinds:
        details.append({"@type": _ERROR_INFO, "reason": error.code, "domain": "gateway"})
    body = {"code": status, "message": _words_of(error), "status": word}
    return status, {"error": {**body, "details": details} if details else body}


def _status_and_word(error: APIError) -> tuple[int, str]:
    """Return the HTTP status for Google's client, and Google's name of the error."""
    sent = error.status_code or 0
    if not isinstance(error, APIStatusError):
        # No error answer but no answer at all. Those who retry repeat a 502, but no 501.
        return (502, "UNAVAILABLE") if error.is_retryable else (501, "UNIMPLEMENTED")
    if isinstance(error, InternalServerError):
        return (sent, _SERVERS_WORDS.get(sent, "UNAVAILABLE")) if sent >= 500 else (500, "INTERNAL")
    for kind, status, word in _CLIENTS_WORDS:
        if isinstance(error, kind):
            return (sent if sent in _OTHER_STATUSES.get(kind, ()) else status), word
    return (sent, "UNKNOWN") if sent >= 400 else (500, "UNKNOWN")


def _words_of(error: APIError) -> str:
    """Return the gateway's own words, or ours if it sent a web page or nothing."""
    if isinstance(error.body, str):
        text = error.body.strip()
        return str(error) if not text or text[:1] == "<" else text
    return read_error_body(error.body).message or str(error)


def _with_googles_models(body: bytes) -> bytes:
    """Return a list of models in OpenAI's form as Google's."""
    payload = parse_json(body)
    entries = payload.get("data") if isinstance(payload, dict) else None
    if not isinstance(entries, list):
        return body
    names = [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    return to_json({"models": [model_resource(name) for name in names]})


def failure_in(library: ModuleType, error: APIConnectionError) -> Exception:
    """Return *error* as an exception of *library*: Google's client and its retries know no others."""
    # The cause is one of httpcore's exceptions, and httpx and httpx2 give theirs the same names.
    name = type(error.__cause__).__name__
    kind = getattr(library, name, None)
    if not (isinstance(kind, type) and issubclass(kind, library.TransportError)):
        kind = library.ReadTimeout if isinstance(error, TimeoutError) else library.ReadError
    failure: Exception = kind(str(error))
    return failure
