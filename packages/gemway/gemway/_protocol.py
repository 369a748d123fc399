"""What goes over the wire and what comes back. Pure: requests become bytes, bytes become answers or errors.

A `Call` is one request, ready to send. An `Answer` is fed the bytes of its response and returns the
messages they complete; it raises what the response means. Both know no sockets and no clock.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast
from urllib.parse import quote

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from gemway._accumulate import fold
from gemway._capabilities import capabilities
from gemway._error_bodies import (
    KEPT_BODY_BYTES,
    error_from_payload,
    is_error,
    parse_json,
    request_id_of,
    to_status_error,
)
from gemway._exceptions import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    ConfigurationError,
    EmptyResponseError,
    NotFoundError,
    ResponseValidationError,
    StreamInterruptedError,
    StreamTimeoutError,
)
from gemway._settings import Settings
from gemway._sse import EventDecoder, EventTooLargeError
from gemway.types import GenerateContentRequest, GenerateContentResponse

# One segment of a model id. Everything that could leave the path is refused, not escaped:
# dots alone, slashes, question marks, hashes, percent signs, white space.
_SEGMENT = re.compile(r"(?!\.+$)[A-Za-z0-9._~@+:-]+")
_LARGE_EVENT: Final = 2**20


class WireRequest(dict[str, Any]):
    """A request that already is wire JSON (camelCase): sent as it is, without validation.

    For adapters that build the JSON themselves; everyone else passes a `types.GenerateContentRequest`
    or a plain dict, whose spelling is checked and unified.
    """


@dataclass(frozen=True)
class Call:
    """One request, ready to send.

    Attributes:
        path: what follows the base URL, with the query.
        body: the JSON bytes, or None for a GET.
        streaming: whether server-sent events are asked for.
        makes_pictures: whether repeating the call may make and bill a picture twice.
        slow: whether long silence is normal.
    """

    model: str
    path: str
    body: bytes | None
    streaming: bool = False
    makes_pictures: bool = False
    slow: bool = False
    wire: Mapping[str, Any] | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.path}>"


def generate_content(model: str, request: Any, settings: Settings, *, stream: bool = False) -> Call:
    """Return the call that asks *model* once, or for a stream.

    Raises `ConfigurationError` for a model name that could leave the path, and for a request that is
    no JSON or has no contents.
    """
    wire = to_wire(request, settings)
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    pictures = _asks_for_pictures(model, wire)
    return Call(
        model=model,
        path=f"/v1beta/models/{model_path(model)}:{verb}",
        body=encode(wire),
        streaming=stream,
        makes_pictures=pictures,
        slow=pictures or _thinks_long(model, wire),
        wire=wire,
    )


@dataclass
class Opened:
    """An answer that has begun: its exchange, its parser, and the messages that are there already."""

    exchange: Any
    answer: Answer
    first: list[Any]


def without_stream(call: Call) -> Call:
    """Return the same call as one unary request, for gateways without a stream route."""
    path = call.path.replace(":streamGenerateContent?alt=sse", ":generateContent")
    return replace(call, path=path, streaming=False)


def with_wire(call: Call, wire: Mapping[str, Any]) -> Call:
    """Return the same call with another body."""
    return replace(call, wire=wire, body=encode(wire))


def count_tokens(model: str, request: Any, settings: Settings) -> Call:
    """Return the call that counts tokens. Some gateways answer it with a billed generation."""
    wire = to_wire(request, settings)
    if set(wire) - {"contents"}:
        # https://ai.google.dev/api/tokens: everything but contents counts only inside the wrapper.
        wire = {"generateContentRequest": {"model": f"models/{model.removeprefix('models/')}", **wire}}
    return Call(model, f"/v1beta/models/{model_path(model)}:countTokens", encode(wire))


def list_models() -> Call:
    """Return the call that lists models."""
    return Call("", "/v1beta/models", None)


def under_v1(call: Call) -> Call:
    """Return the same call under /v1 (LiteLLM lists models only there)."""
    return replace(call, path=call.path.replace("/v1beta/", "/v1/", 1))


def model_path(model: str) -> str:
    """Return *model* as it stands in the path; `models/` in front is dropped."""
    name = model.removeprefix("models/")
    segments = name.split("/")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ConfigurationError(
            f"{model!r} is not a model name: letters, digits and . _ - ~ @ + : with single slashes between them"
        )
    return "/".join(quote(segment, safe="._-~@+") for segment in segments)


def to_wire(request: Any, settings: Settings) -> dict[str, Any]:
    """Return the JSON of a request in the wire's spelling, extra body merged last."""
    if isinstance(request, WireRequest):
        wire: dict[str, Any] = request
    else:
        wire = _validated(request)
    if not wire.get("contents"):
        raise ConfigurationError("contents is empty: pass at least one message with at least one part")
    if settings.extra_body:
        wire = merged(wire, settings.extra_body)
    if settings.inline_data_casing == "snake":
        wire = {**wire, "contents": [_with_snake_inline_data(content) for content in wire["contents"]]}
    return wire


def _validated(request: Any) -> dict[str, Any]:
    if isinstance(request, GenerateContentRequest):
        return request.model_dump(exclude_none=True)
    if not isinstance(request, Mapping):
        raise ConfigurationError(
            f"request must be a types.GenerateContentRequest or its JSON as a dict, not {type(request).__name__}"
        )
    try:
        return GenerateContentRequest.model_validate({"contents": [], **request}).model_dump(exclude_none=True)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        message = f"the request is not valid at {where}: {problem['msg']}"
    raise ConfigurationError(message)


def merged(body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return *body* with *extra* merged into it, objects key by key, everything else replaced."""
    result = dict(body)
    for key, value in extra.items():
        mine = result.get(key)
        result[key] = merged(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return result


def _with_snake_inline_data(content: Mapping[str, Any]) -> dict[str, Any]:
    """Spell inline data as in some gateways' documentation: `inline_data.mime_type`."""
    parts = []
    for part in content.get("parts") or []:
        blob = part.get("inlineData")
        if blob is not None:
            renamed = {"mime_type" if key == "mimeType" else key: value for key, value in blob.items()}
            others = {key: value for key, value in part.items() if key != "inlineData"}
            parts.append({**others, "inline_data": renamed})
        else:
            parts.append(part)
    return {**content, "parts": parts}


def encode(wire: Mapping[str, Any]) -> bytes:
    """Return the bytes of a JSON body."""
    try:
        return to_json(wire)
    except (PydanticSerializationError, ValueError) as error:
        message = f"the request holds something that is not JSON: {error}"
    raise ConfigurationError(message)


def _asks_for_pictures(model: str, wire: Mapping[str, Any]) -> bool:
    config = wire.get("generationConfig") or {}
    modalities = config.get("responseModalities")
    if modalities:
        return any(str(modality).upper() == "IMAGE" for modality in modalities)
    return capabilities(model).image_model


def _thinks_long(model: str, wire: Mapping[str, Any]) -> bool:
    thinking = (wire.get("generationConfig") or {}).get("thinkingConfig") or {}
    level, budget = str(thinking.get("thinkingLevel", "")).upper(), thinking.get("thinkingBudget") or 0
    return capabilities(model).slow or level in ("HIGH", "XHIGH") or (isinstance(budget, int) and budget > 8192)


class Answer:
    """The response of one call, fed with its bytes.

    `feed` and `finish` return the messages that became complete: chunks of a stream as they arrive, or
    the one message of a unary call at the end. They raise the typed error that the response means.

    Args:
        call: what was asked.
        exchange: what came back: `.status`, `.headers`, `.url`, and `.redact(text)`, which takes the key out.
        silence: seconds without data after which a stream is given up (comments are no data).
        expires: the moment at which the call must have an answer, or None.

    Attributes:
        complete: whether `finish` was reached.
    """

    def __init__(self, call: Call, exchange: Any, settings: Settings, *, silence: float, expires: float | None) -> None:
        self.request_id = request_id_of(exchange.headers)
        self.complete = False
        self._call = call
        self._status: int = exchange.status
        self._headers: Mapping[str, str] = exchange.headers
        self._url: str = exchange.url
        self._redact: Callable[[str], str] = exchange.redact
        self._silence = silence
        self._expires = expires
        self._limit = settings.max_response_bytes
        self._inflate = _decompressor(self._headers.get("content-encoding", ""), self._limit)
        self._body: list[bytes] = []
        self._size = 0
        self._heard: float | None = None
        streams = call.streaming and self._status < 300
        self._decoder = EventDecoder(self._limit) if streams else None
        # The events for `partial`: as bytes, because keeping 1,000 parsed chunks costs the garbage
        # collector 6 us for each (22 % of a stream); large ones as messages, because bytes cost memory.
        self._events: list[bytes | GenerateContentResponse] = []
        self._finished = False

    def feed(self, data: bytes, now: float) -> list[Any]:
        """Take the next bytes at time *now* and return the messages that they complete."""
        if self._inflate is not None:
            data = self._inflate(data)
        if self._decoder is None:
            self._keep(data)
            self._check_deadline(now)
            return []
        if not self._events:
            self._check_deadline(now)
        chunks = self._chunks(self._decoder.feed, data)
        if chunks or self._heard is None:
            self._heard = now
        elif now - self._heard > self._silence:
            raise _timed_out(f"no data from {self._url} for {self._silence:g} s, only comments", "read")
        return chunks

    def finish(self, wall_clock: float = 0.0) -> list[Any]:
        """The body is complete: return what is left, or raise what the whole means."""
        self.complete = True
        if self._decoder is None:
            return [self._unary(b"".join(self._body), wall_clock)]
        chunks = self._chunks(self._decoder.finish)
        self._check_stream_end(self._decoder)
        return chunks

    def interrupted(self, cause: APIError) -> APIError:
        """Return the error for a stream that broke off because of *cause*, with what had arrived.

        What the server said keeps its class; silence and lost connections are interruptions.
        """
        if isinstance(cause, APIConnectionError):
            timed_out = isinstance(cause, APITimeoutError)
            kind = StreamTimeoutError if timed_out else StreamInterruptedError
            error: APIError = kind(
                f"the stream broke off after {len(self._events)} events: {cause.message}", request_id=self.request_id
            )
            error.__cause__ = cause.__cause__
        else:
            error = cause
        error.partial = fold(map(_read, self._events))
        return error

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._status >= 300 and self._size > KEPT_BODY_BYTES:
            data = data[: max(0, KEPT_BODY_BYTES - (self._size - len(data)))]
            self._body.append(data)
            raise self._status_error(b"".join(self._body), 0.0)
        if self._size > self._limit:
            raise self._invalid(
                f"the answer is larger than {self._limit:,} bytes; raise max_response_bytes= if that is expected"
            )
        self._body.append(data)

    def _check_deadline(self, now: float) -> None:
        if self._expires is not None and now > self._expires:
            raise _timed_out(f"the deadline passed while {self._url} was still answering", "deadline")

    def _unary(self, body: bytes, wall_clock: float) -> Any:
        if self._status >= 300:
            raise self._status_error(body, wall_clock)
        if not body.strip():
            raise self._invalid(f"{self._url} answered {self._status} with an empty body", is_retryable=True)
        if self._call.wire is None:
            return self._plain(body)
        message = self._message(body)
        if not message.candidates and message.prompt_feedback is None:
            raise EmptyResponseError(f"{self._url} answered with no candidates and no reason", response=message)
        return message

    def _plain(self, body: bytes) -> Any:
        """Return the JSON of an answer that is no generation."""
        payload = parse_json(body)
        if not isinstance(payload, dict) or is_error(payload):
            raise self._not_an_answer(body)
        return payload

    def _status_error(self, body: bytes, wall_clock: float) -> APIError:
        if self._status < 400:
            return self._redirect()
        error = to_status_error(self._status, self._headers, body, url=self._url, now=wall_clock, redact=self._redact)
        return error

    def _redirect(self) -> APIError:
        target = self._redact(self._headers.get("location", ""))
        return self._invalid(
            f"{self._status} from {self._url}: the gateway redirects to {target or 'nowhere'}; redirects are never"
            " followed, so that neither key nor prompt travels. Set base_url to the final address."
        )

    def _chunks(self, step: Callable[..., Sequence[bytes]], *data: bytes) -> list[GenerateContentResponse]:
        try:
            events = step(*data)
        except EventTooLargeError as error:
            message = f"{error}; raise max_response_bytes= if that is expected"
        else:
            return [self._chunk(event) for event in events]
        raise self._invalid(message)

    def _chunk(self, event: bytes) -> GenerateContentResponse:
        chunk = self._message(event)
        self._events.append(event if len(event) < _LARGE_EVENT else chunk)
        self._finished = self._finished or _is_final(chunk)
        return chunk

    def _message(self, data: bytes) -> GenerateContentResponse:
        try:
            message = _read(data)
        except ValidationError as error:
            problem: ValidationError | None = error
        else:
            if (
                message.candidates is not None
                or message.prompt_feedback is not None
                or message.usage_metadata is not None
            ):
                return message
            problem = None
        raise self._not_an_answer(data, problem)

    def _not_an_answer(self, data: bytes, problem: ValidationError | None = None) -> APIError:
        text = self._redact(data[:KEPT_BODY_BYTES].decode("utf-8", "replace"))
        payload = parse_json(text.encode()) if len(data) <= KEPT_BODY_BYTES else None
        if payload is not None and is_error(payload):
            return error_from_payload(payload, None, self._headers, url=self._url, now=0.0, text=text)
        if text.lstrip()[:1] == "<":
            advice = "an HTML page; is the base URL right? It must lead to the gateway's API, without /v1beta"
            return self._invalid(f"{self._url} answered {self._status} with {advice}", body=text)
        if payload is None and problem is not None:
            what = problem.errors(include_input=False, include_url=False)[0]["msg"]
            return self._invalid(f"{self._url} answered {self._status} with no valid JSON ({what})", body=text)
        return self._invalid(f"{self._url} answered {self._status} with JSON that is no Gemini answer", body=payload)

    def _check_stream_end(self, decoder: EventDecoder) -> None:
        if not self._events:
            head = decoder.head
            if not head.strip():
                raise self._invalid(f"{self._url} answered {self._status} with an empty stream", is_retryable=True)
            raise self._not_an_answer(head)
        if not self._finished:
            raise StreamInterruptedError(
                f"the stream from {self._url} ended after {len(self._events)} events without a finishReason,"
                " so the answer is not complete",
                request_id=self.request_id,
            )

    def _invalid(self, message: str, *, body: Any = None, is_retryable: bool = False) -> ResponseValidationError:
        return ResponseValidationError(
            message, status_code=self._status, request_id=self.request_id, body=body, is_retryable=is_retryable
        )


def _read(data: bytes | GenerateContentResponse) -> GenerateContentResponse:
    """Return the message that *data* is the JSON of."""
    if isinstance(data, GenerateContentResponse):
        return data
    # The documented validator itself: the class method around it costs 0.5 us per chunk.
    return cast("GenerateContentResponse", GenerateContentResponse.__pydantic_validator__.validate_json(data))


def _is_final(chunk: GenerateContentResponse) -> bool:
    for candidate in chunk.candidates or ():
        if candidate.finish_reason:
            return True
    return chunk.prompt_feedback is not None and chunk.block_reason is not None


def _timed_out(message: str, phase: str) -> APITimeoutError:
    error = APITimeoutError(message)
    error.phase = phase
    return error


def to_token_count(payload: Any) -> int | None:
    """Return the count of a countTokens answer, or None if it is none (a billed generation, a zero)."""
    if not isinstance(payload, dict) or payload.get("candidates"):
        return None
    count = payload.get("totalTokens", payload.get("total_tokens"))
    return count if isinstance(count, int) and count > 0 else None


def to_models(call: Call, payload: Any) -> tuple[list[str], Call | None]:
    """Return the model names of one page and the call for the next, if there is one."""
    entries = payload.get("models", payload.get("data")) if isinstance(payload, dict) else None
    if not isinstance(entries, list):
        raise ResponseValidationError("the gateway's list of models has neither `models` nor `data`", body=payload)
    names = [entry.get("name") or entry.get("id") for entry in entries if isinstance(entry, dict)]
    token = payload.get("nextPageToken")
    following = None
    if isinstance(token, str) and token and names:
        following = replace(call, path=f"{call.path.split('?')[0]}?pageToken={quote(token, safe='')}")
    return [str(name).removeprefix("models/") for name in names if name], following


def is_missing_stream_route(error: APIError) -> bool:
    """Whether an error of the stream route may mean that the gateway has no such route.

    A 404 that names an unknown model means the model.
    """
    if error.status_code in (405, 501):
        return True
    if error.status_code != 404 or not isinstance(error, NotFoundError):
        return False
    text = f"{error.code} {error.message}".lower()
    return "model_not_found" not in text and not re.search(
        r"models?[/ '\"][^ ]* (is )?(not found|does not exist)", text
    )


def is_signature_error(error: APIError) -> bool:
    """Whether a 400 complains about thought signatures (a gateway changed the channel)."""
    return error.status_code == 400 and bool(re.search(r"thought.?signature", error.message, re.I))


def _decompressor(encoding: str, limit: int) -> Callable[[bytes], bytes] | None:
    """Return what undoes a Content-Encoding, never expanding beyond *limit* (plus one step) at a time."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ResponseValidationError(
            f"the gateway compressed its answer with {encoding!r}, which was not asked for; known: gzip, deflate"
        )
    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def inflate(data: bytes) -> bytes:
        try:
            return machine.decompress(data, limit + 1)
        except zlib.error as error:
            message = f"the compressed answer of the gateway is corrupt ({error})"
        raise ResponseValidationError(message, is_retryable=True)

    return inflate


def redactor(secrets: Sequence[str]) -> Callable[[str], str]:
    """Return what takes *secrets* out of a text, also where JSON escaped them."""
    shown = [form for secret in secrets if secret for form in {secret, json.dumps(secret)[1:-1]}]

    def redact(text: str) -> str:
        for secret in shown:
            text = text.replace(secret, "**********")
        return text

    return redact
