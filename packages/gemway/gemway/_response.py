"""Turn the bytes of a response into messages, or into the error that they mean. Pure: no socket, no clock.

`ResponseParser` reads a whole answer and every error, `StreamParser` the events of a stream.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from gemway._accumulate import Accumulator, TextChunk, fold
from gemway._config import Settings
from gemway._embedded_images import IMAGE_STARTS, EmbeddedImageBuffer, extract_embedded_images
from gemway._error_bodies import (
    KEPT_BODY_BYTES,
    error_from_payload,
    is_error,
    page_summary,
    parse_json,
    to_status_error,
)
from gemway._exceptions import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    ContentBlockedError,
    EmptyResponseError,
    ResponseValidationError,
    StreamInterruptedError,
    StreamTimeoutError,
)
from gemway._headers import request_id_of
from gemway._json import JsonObject, camel, repair_response
from gemway._protocol import Call
from gemway._rate_limits import read_rate_limits
from gemway._sse import EventDecoder, EventTooLargeError, JsonBalance
from gemway._warnings import warn
from gemway.types import CallRecord, Candidate, GenerateContentResponse

# Comments keep a connection alive, and some gateways send them forever while the model hangs. So an unfinished event
# counts as data only if it grows by this many bytes.
_SIGN_OF_LIFE: Final = 1024
_INFLATED_AT_ONCE: Final = 2**16
# How many bytes of a stream are read at once: all messages that they contain are in memory at the same time.
_READ_AT_ONCE: Final = 2**16
# An object of JSON becomes up to 1 kB of Python objects, any other value up to 100 bytes. An answer may hold as many as
# fit into about four times `max_response_bytes`, and at least as many as no honest small answer exceeds.
_BYTES_PER_OBJECT, _FEWEST_OBJECTS = 256, 4096
_BYTES_PER_VALUE, _FEWEST_VALUES = 32, 32768
# Real objects have names in them: `{"token":"a"}` is among the shortest. Emptier ones are an attack.
_SHORTEST_OBJECT: Final = 12
# Below this size nothing can hold enough values to matter.
_HARMLESS_SIZE: Final = 4096
_COUNTED_AT_A_GLANCE: Final = 2**16
_SHOWN_OF_PAGE: Final = 100
_HEARTBEATS: Final = frozenset({b"{}", b"[]", b"null", b'""'})
# The only fields of a chunk without content, for example `{"type": "ping"}` or `{"createTime": ...}`.
_FIELDS_OF_HEARTBEATS: Final = frozenset(
    {"type", "createTime", "candidates", "promptFeedback", "modelVersion", "model", "responseId"}
)


class ResponseParser:
    """Reads a response that comes in one piece, and every error.

    `feed` takes the bytes as they arrive; `finish` returns the one message that they amount to, or raises the error.

    Args:
        call: the request.
        response: `.status`, `.headers`, `.url`, `.arrived` (seconds since the epoch), and
            `.redact(text)`, which removes the key from a text.
        silence: seconds without data after which a stream is given up (comments are no data).
        expires: the moment at which the call must have an answer, or None.

    Attributes:
        complete: whether `finish` was reached.
        request_id: the gateway's id of the exchange, or None.
        record: attempts, waits and status of the call, once its answer has begun.
    """

    complete = False
    record: CallRecord | None = None
    _size = 0
    _event_count = 0
    _inflater: Inflater | None = None
    _is_plain: bool | None = None  # unknown before the first byte

    def __init__(self, call: Call, response: Any, settings: Settings, *, silence: float, expires: float | None) -> None:
        self._call = call
        self._finds_images = call.seeks_pictures
        self._response = response
        self._silence = silence
        self._expires = expires
        self._limit = settings.max_response_bytes
        self._body = BytesIO()  # grows without copies, and hands its bytes over without one
        request_id = request_id_of(response.headers)
        self.request_id = response.redact(request_id) if request_id else None

    def feed(self, data: bytes, now: float) -> Iterable[Any]:
        """Take the next bytes at time *now*. Nothing is complete before `finish`."""
        # The timeouts of sockets are those of single steps: a server that drips bytes would never meet one.
        if self._expires is not None and now > self._expires:
            raise self._deadline_error()
        if self._is_plain is None:
            self._is_plain = data[:1] in _TEXT_STARTS
        for piece in (data,) if self._is_plain else self._decompress(data):
            self._size += len(piece)
            self._body.write(piece)
            # Error pages of proxies may be megabytes; the first 64 kB hold every error that a gateway sends.
            if self._response.status >= 300 and self._size > KEPT_BODY_BYTES:
                raise self._status_error(self._body.getvalue()[:KEPT_BODY_BYTES])
            if self._size > self._limit:
                raise self._too_large_error()
        return ()

    def finish(self) -> Iterator[Any]:
        """The body is complete: return its one message, or raise the error that it means."""
        self.complete = True
        if self._inflater is not None and self._inflater.start:
            self._body.write(self._inflater.start)  # a body of one byte
        body = self._body.getvalue()
        if self._response.status >= 300:
            raise self._status_error(body)
        # gzip knows its own end, which shows a cut that a body without Content-Length hides.
        if self._inflater is not None and not self._inflater.complete:
            raise self._invalid_answer_error("the compressed answer was cut short", is_retryable=True)
        # Google's own client returns an empty 200 as a successful answer without text.
        if not body or body.isspace():
            raise self._invalid_answer_error("the gateway answered with an empty body", is_retryable=True)
        # Lists of models, counts and embeddings are read by their callers.
        if self._call.wire is None:
            return iter((self._parse_other_json(body),))
        message = self._parse_message(body) if body[:1] == b"{" else self._fold_list_of_answers(body)
        # Not an error only if the prompt was blocked: then Gemini leaves the candidates out and gives the reason.
        if not message.candidates and message.block_reason is None:
            raise EmptyResponseError(
                f"the answer has neither candidates nor a reason for their absence (answer from {self._response.url})",
                response=message,
            )
        if message.candidates and not message.candidates[0].finish_reason and message.block_reason is None:
            warn(
                "the gateway's answer has no finishReason, so it may be incomplete: some gateways pass on only the tail"
                " of a stream"
            )
        # new-api's converter makes a nameless call of each fragment of a call's arguments.
        is_fragmented = self._call.wire.get("tools") and any(
            part.function_call is not None and not part.function_call.name for part in message.parts
        )
        return iter((fold([message]) if is_fragmented else message,))

    def interrupted(self, cause: APIError) -> APIError:
        """Return the error for an answer that broke off because of *cause*."""
        return cause

    def _decompress(self, data: bytes) -> Iterator[bytes]:
        """Yield *data* decompressed. An error status keeps its meaning even if its body cannot be decompressed."""
        inflater = self._inflater = self._inflater or Inflater(self._response.headers.get("content-encoding"))
        try:
            yield from inflater.feed(data)
            return
        except UnreadableEncodingError as error:
            problem = str(error)
        if self._response.status >= 300:
            raise self._status_error(self._body.getvalue())
        raise self._invalid_answer_error(f"the gateway {problem}", is_retryable=inflater.has_begun)

    def _parse_message(self, data: bytes, *, is_chunk: bool = False) -> Any:
        """Return the message that *data* is the JSON of; None for a chunk that is only a heartbeat."""
        # `[[],[],...]` becomes many times its size in Python objects, so dense JSON is refused before it is parsed.
        if len(data) > _HARMLESS_SIZE:
            self._check_density(data)
        problem: ValidationError | None = None
        message: GenerateContentResponse | None
        try:
            message = GenerateContentResponse.model_validate_json(data)
        except ValidationError as error:
            problem = error
            message = repair_response(data, error)
        if message is not None:
            # Gateways put errors into a 200, too: `{"error": ...}` is an unknown field of a message without candidates.
            if message.candidates or (_is_gemini_message(message) and not is_error(message.model_extra)):
                # Base64 has no semicolon, so this one byte spares most pictures of 25 MB the search for an embedded one.
                if self._finds_images and b";" in data and b"data:image" in data:
                    return extract_embedded_images(message)
                return message
            if is_chunk and _is_heartbeat(message):
                # Before the first chunk it is no beginning of an answer; after it, it is a harmless chunk.
                return message if self._event_count and message.model_fields_set else None
        raise self._no_answer_error(data, problem)

    def _fold_list_of_answers(self, body: bytes) -> GenerateContentResponse:
        """Return the message of a gateway that answers a unary call with an array or with events."""
        decoder = EventDecoder(self._limit)
        accumulator, messages = Accumulator(), 0
        steps = range(0, len(body), _READ_AT_ONCE)
        problem = None
        try:
            for events in chain(
                (decoder.feed(body[at : at + _READ_AT_ONCE]) for at in steps), (decoder.finish() for _ in range(1))
            ):
                for event in events:
                    for message in self._parse_event(event):
                        accumulator.add(message)
                        messages += 1
        except EventTooLargeError as error:
            problem = error
        if problem is not None:
            raise self._too_large_event_error(problem)
        if not messages:
            raise self._no_answer_error(body)
        if decoder.is_cut_array:
            raise self._invalid_answer_error("the list of answers was cut short", is_retryable=True)
        return accumulator.response()

    def _parse_event(self, event: bytes) -> Iterator[GenerateContentResponse]:
        """Yield the messages of one event: nearly always one, none if it is a heartbeat, several if it is a list."""
        if (len(event) < 3 and event in _HEARTBEATS) or event == b"null":
            return
        if event[:1] == b"[":
            self._check_density(event)
            payload = parse_json(event)
            if isinstance(payload, list) and not is_error(payload):
                for item in payload:
                    yield from self._parse_event(to_json(item))
                return
        message = self._parse_message(event, is_chunk=True)
        if message is not None:
            yield message

    def _parse_other_json(self, body: bytes) -> object:
        """Return the JSON of an answer that is no generation."""
        self._check_density(body)
        payload = parse_json(body)
        if not isinstance(payload, dict) or is_error(payload):
            raise self._no_answer_error(body)
        return payload

    def _check_density(self, data: bytes) -> None:
        """Refuse JSON that would take many times its size in memory, before any object is made of it."""
        if len(data) <= _COUNTED_AT_A_GLANCE:
            objects, values = data.count(b"{"), data.count(b"[") + data.count(b",")
            if self._fits_into_memory(len(data), objects, values):
                return
        balance = JsonBalance()
        for at in range(0, len(data), _COUNTED_AT_A_GLANCE):
            balance.feed(data[at : at + _COUNTED_AT_A_GLANCE])
            if not self._fits_into_memory(len(data), balance.objects, balance.values):
                raise self._invalid_answer_error(
                    f"the answer holds more objects or values than {self._limit:,} bytes allow;"
                    " raise max_response_bytes= if that is expected"
                )

    def _fits_into_memory(self, size: int, objects: int, values: int) -> bool:
        most_objects = max(_FEWEST_OBJECTS, self._limit // _BYTES_PER_OBJECT)
        most_values = max(_FEWEST_VALUES, self._limit // _BYTES_PER_VALUE)
        if objects > most_objects or values > most_values:
            return False
        return objects <= _FEWEST_OBJECTS or objects * _SHORTEST_OBJECT <= size

    # Errors

    def _too_large_error(self) -> APIError:
        return self._invalid_answer_error(
            f"the answer is larger than {self._limit:,} bytes; raise max_response_bytes= if that is expected"
        )

    def _too_large_event_error(self, problem: EventTooLargeError) -> APIError:
        return self._invalid_answer_error(f"{problem}; raise max_response_bytes= if that is expected")

    def _deadline_error(self) -> APIError:
        return self._timeout_error("the deadline passed while the gateway was still answering", "deadline")

    def _status_error(self, body: bytes) -> APIError:
        if self._response.status < 400:
            return self._redirect_error()
        return to_status_error(
            self._response.status,
            self._response.headers,
            body,
            url=self._response.url,
            now=self._response.arrived,
            redact=self._response.redact,
        )

    def _redirect_error(self) -> APIError:
        target = self._response.redact(self._response.headers.get("location", ""))
        return self._invalid_answer_error(
            f"the gateway redirects to {target or 'nowhere'}; redirects are never followed, so that neither key nor"
            " prompt travels. Set base_url to the final address"
        )

    def _no_answer_error(self, data: bytes, problem: ValidationError | None = None) -> APIError:
        text = self._response.redact(data[:KEPT_BODY_BYTES].decode("utf-8", "replace"))
        payload = parse_json(text.encode()) if len(data) <= KEPT_BODY_BYTES else None
        # The code in the body counts more than the status 200 around it.
        if is_error(payload):
            return error_from_payload(
                payload,
                None,
                self._response.headers,
                url=self._response.url,
                now=self._response.arrived,
                text=text,
                redact=self._response.redact,
            )
        # new-api serves its dashboard with status 200 for every path that it does not know.
        if text.lstrip()[:1] == "<":
            return self._invalid_answer_error(
                f"the gateway answered with an HTML page ({page_summary(text)[:_SHOWN_OF_PAGE]!r}); is the base URL right? It must"
                " lead to the gateway's API, without /v1beta",
                body=text,
            )
        first_error = problem.errors(include_input=False, include_url=False)[0] if problem else None
        if first_error is None or (first_error["type"] != "json_invalid" and not first_error["loc"]):
            return self._invalid_answer_error("the gateway answered with JSON that is no Gemini answer", body=text)
        # Pydantic's only sign that JSON ended too early; such an answer was cut on its way, so a retry may help.
        cut = "EOF while parsing" in first_error["msg"]
        if cut and self._event_count:
            return self._interruption(
                f"the stream ended in the middle of an event, after {self._event_count} whole ones"
            )
        where = ".".join(map(str, first_error["loc"]))
        return self._invalid_answer_error(
            f"the gateway's answer is not valid ({where}{': ' if where else ''}{first_error['msg']})",
            body=text,
            is_retryable=cut,
        )

    def _invalid_answer_error(
        self, message: str, *, body: object = None, is_retryable: bool = False
    ) -> ResponseValidationError:
        error = ResponseValidationError(
            message, status_code=self._response.status, request_id=self.request_id, body=body, is_retryable=is_retryable
        )
        error.url = self._response.redact(self._response.url)
        error.rate_limits = read_rate_limits(self._response.headers, self._response.arrived)
        return error

    def _interruption(self, message: str, kind: type[StreamInterruptedError] = StreamInterruptedError) -> APIError:
        error = kind(message, request_id=self.request_id)
        error.url = self._response.redact(self._response.url)
        return error

    def _timeout_error(self, message: str, phase: str) -> APITimeoutError:
        error = APITimeoutError(message)
        error.url, error.phase = self._response.redact(self._response.url), phase
        return error


class StreamParser(ResponseParser):
    """Reads the events of a stream. `feed` and `finish` yield the messages that became complete.

    Errors come behind the messages that arrived before them. Nothing is read before the caller needs it, so that a
    compressed stream is never in memory as a whole.
    """

    _image_buffer: EmbeddedImageBuffer | None = None  # made for the first text that may begin an image
    _holds_text_back = False
    _has_end = False
    _has_content_after_end = False
    _last_id: str | None = None
    _ids = 0
    _id_changes = 0
    _alive_at: float | None = None
    _pending = 0

    def __init__(
        self, call: Call, response: object, settings: Settings, *, silence: float, expires: float | None
    ) -> None:
        super().__init__(call, response, settings, silence=silence, expires=expires)
        self._decoder = EventDecoder(self._limit)
        self._reads_text_chunks = call.text_chunks
        # Small events are kept as bytes and read again if `partial` needs them: 1,000 messages kept cost the garbage
        # collector 6 us for each chunk of a stream, more where a framework is loaded.
        self._events: list[bytes | GenerateContentResponse] = []

    def feed(self, data: bytes, now: float) -> Iterator[GenerateContentResponse | TextChunk]:
        """Take the next bytes at time *now* and yield the messages that they complete."""
        if self._expires is not None and not self._event_count and now > self._expires:
            raise self._deadline_error()
        if self._is_plain is None:
            self._is_plain = data[:1] in _TEXT_STARTS
        count, problem = self._event_count, None
        try:
            for piece in (data,) if self._is_plain else self._decompress(data):
                room = self._limit - self._size  # a stream is as limited as a body
                self._size += len(piece)
                for at in range(0, min(len(piece), room), _READ_AT_ONCE):
                    yield from self._read_events(self._decoder.feed(piece[at : min(at + _READ_AT_ONCE, room)]))
                if self._size > self._limit:
                    raise self._too_large_error()
        except EventTooLargeError as error:
            problem = error
        if problem is not None:
            raise self._too_large_event_error(problem)
        # Data counts as a sign of life, comments do not: `: PING` lines may go on for ever while the model hangs.
        pending = self._decoder.pending
        if self._event_count > count or self._alive_at is None or pending - self._pending >= _SIGN_OF_LIFE:
            self._alive_at, self._pending = now, pending
        elif now - self._alive_at > self._silence:
            raise self._timeout_error(f"no data for {self._silence:g} s, only comments", "read")

    def finish(self) -> Iterator[GenerateContentResponse | TextChunk]:
        """The stream has ended: yield the rest, and raise an error if that cannot be its end."""
        self.complete = True
        yield from self._read_events(self._decoder.finish())
        if not self._event_count:
            if self._decoder.said_nothing:
                raise self._invalid_answer_error("the gateway answered with an empty stream", is_retryable=True)
            raise self._no_answer_error(self._decoder.head)
        # Gemini ends every answer with a finishReason. new-api closes the stream without one when its upstream times
        # out.
        if not self._has_end or (self._has_content_after_end and not self._decoder.is_done):
            raise self._interruption(
                f"the stream ended after {self._counted_events} without a finishReason"
                f"{' after its last content' if self._has_end else ''}, so the answer is incomplete"
            )
        # Some converters give every chunk an id of its own, which means nothing.
        has_id_per_chunk = self._ids > 2 and self._id_changes == self._ids - 1
        if self._id_changes and not has_id_per_chunk:
            warn(
                "the gateway started its answer again in the middle of the stream (another responseId), so some text may"
                " appear twice"
            )

    def interrupted(self, cause: APIError) -> APIError:
        """Return the error for a stream that broke off because of *cause*, with everything that had arrived.

        Errors from the server keep their class; silence and lost connections are interruptions.
        """
        error = cause
        if isinstance(cause, APIConnectionError):
            kind = StreamTimeoutError if isinstance(cause, APITimeoutError) else StreamInterruptedError
            error = self._interruption(f"the stream broke off after {self._counted_events}: {cause.message}", kind)
            error.__cause__ = cause.__cause__
        error.partial = fold(self._received_messages()).with_call_record(self.record)
        return error

    @property
    def _counted_events(self) -> str:
        return f"{self._event_count} event{'' if self._event_count == 1 else 's'}"

    def _read_events(self, events: list[bytes]) -> Iterator[GenerateContentResponse | TextChunk]:
        """Yield the messages of *events*, and remember them. Empties *events*."""
        # An event may be a picture of 25 MB. While the caller works on its message, this generator waits at `yield`,
        # so nothing here may still refer to the event's bytes.
        events.reverse()
        while events:
            event = events.pop()
            message: GenerateContentResponse | TextChunk | None
            # The first chunk carries the call record, so it is a message; so is text that may become an image.
            may_be_image = self._holds_text_back or _IMAGE_START in event or _CUT_IMAGE_START in event
            may_be_text_chunk = self._reads_text_chunks and self._event_count and len(event) <= _HARMLESS_SIZE
            if (
                may_be_text_chunk
                and not (self._finds_images and may_be_image)
                and (chunk := to_text_chunk(event, finds_images=self._finds_images)) is not None
            ):
                message = self._record_message(event, chunk)
            elif event[:1] == b"{":
                whole = self._parse_message(event, is_chunk=True)
                message = None if whole is None else self._record_message(event, whole)
            else:
                for each in self._parse_event(event):
                    yield self._record_message(event, each)
                continue
            event = b""
            if message is not None:
                yield message

    def _record_message(
        self, event: bytes, message: GenerateContentResponse | TextChunk
    ) -> GenerateContentResponse | TextChunk:
        """Count *event*, keep it for `partial`, and return its message without text that may become a picture."""
        self._event_count += 1
        if isinstance(message, TextChunk):
            self._events.append(event)
            self._has_content_after_end = self._has_end
            response_id = message.wire.get("responseId")
        else:
            if self._finds_images and (self._holds_text_back or b"!" in event):
                message = self._hold_text_back(message)
            if self._reads_text_chunks and any(part.function_call is not None for part in message.parts):
                # The call may go on in the next message, and a reader that holds it back must see that.
                self._reads_text_chunks = False
            self._events.append(event if len(event) < _LARGE_EVENT else message)
            candidates = message.candidates or ()
            if any(one.finish_reason for one in candidates) or (message.prompt_feedback and message.block_reason):
                self._has_end, self._has_content_after_end = True, False
            elif self._has_end and not self._has_content_after_end:
                self._has_content_after_end = any(map(_has_visible_content, candidates))
            response_id = message.response_id
        if response_id:
            self._ids += 1
            if response_id != self._last_id:
                self._id_changes += self._last_id is not None
                self._last_id = response_id
        return message

    def _hold_text_back(self, message: GenerateContentResponse) -> GenerateContentResponse:
        """Return *message* without the end of its text while that may be the beginning of an embedded image."""
        if self._image_buffer is None:
            self._image_buffer = EmbeddedImageBuffer(self._limit)
        released = self._image_buffer.push(message)
        self._holds_text_back = self._image_buffer.holds_text
        return released

    def _received_messages(self) -> Iterator[GenerateContentResponse]:
        for event in self._events:
            if not isinstance(event, bytes):
                yield event
                continue
            try:
                yield GenerateContentResponse.model_validate_json(event)
            except ValidationError as error:
                if (message := repair_response(event, error)) is not None:
                    yield message


# From this size on the message is kept and not its bytes: the text of a picture would be in memory twice.
_LARGE_EVENT: Final = 2**20
_IMAGE_START, _CUT_IMAGE_START = IMAGE_STARTS


# How an answer may end


BLOCKED_FINISH_REASONS: Final = frozenset(
    {
        *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "ESCALATION", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
"""Finish reasons that mean that a filter took the answer (ai.google.dev/api/generate-content, FinishReason)."""

FINISH_PROBLEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MALFORMED_FUNCTION_CALL": "the model wrote a tool call that cannot be read; ask again, or pass strict=True",
        "UNEXPECTED_TOOL_CALL": "the model called a tool that the request does not declare; declare it, or pass"
        " tool_choice='none'",
        "TOO_MANY_TOOL_CALLS": "the server stopped a long series of its own tool calls; ask for less at once",
        "MISSING_THOUGHT_SIGNATURE": "the history has lost a thought signature; send the model's messages back as they"
        " came, with everything that they carry",
        "MALFORMED_RESPONSE": "the model's answer cannot be read; ask again",
    }
)
"""Finish reasons of answers that went wrong, blocked ones aside, each with the problem and the next step."""

_MOST_WORDS: Final = 1000


def raise_if_blocked(response: GenerateContentResponse) -> None:
    """Raise `ContentBlockedError` if the prompt or the answer was blocked."""
    reason = response.block_reason or response.finish_reason
    if response.block_reason or (reason in BLOCKED_FINISH_REASONS and not response.images):
        subject = "prompt" if response.block_reason else "answer"
        raise ContentBlockedError(
            f"the {subject} was blocked ({reason}){words_of(response)}", reason=str(reason), response=response
        )


def words_of(response: GenerateContentResponse) -> str:
    """Return the words of the server or the model about a refusal, as the end of an error message."""
    candidate = response.candidates[0] if response.candidates else None
    feedback = response.prompt_feedback
    texts = (
        candidate.finish_message if candidate else None,
        feedback.block_reason_message if feedback else None,
        response.text.strip(),
    )
    words = next(filter(None, texts), "")
    return f": {words[:_MOST_WORDS].rstrip('.')}" if words else ""


# The shape of messages


def _is_gemini_message(message: GenerateContentResponse) -> bool:
    """Whether a message without candidates is Gemini's all the same: a blocked prompt, usage, an id."""
    return any(
        field is not None
        for field in (message.candidates, message.prompt_feedback, message.usage_metadata, message.response_id)
    )


def _is_heartbeat(message: GenerateContentResponse) -> bool:
    """Whether a message carries nothing, for example `{"type": "ping"}`, only a version or only a time."""
    extra = message.model_extra or {}
    return not is_error(extra) and _FIELDS_OF_HEARTBEATS.issuperset(
        (*extra, *map(camel, message.model_fields_set - {"usage_metadata"}))
    )


def _has_visible_content(candidate: Candidate) -> bool:
    """Whether a candidate brings anything but the signature of earlier parts."""
    parts = (candidate.content and candidate.content.parts) or ()
    return any(part.text or part.model_fields_set - {"text", "thought", "thought_signature"} for part in parts)


_TOP: Final = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
_CANDIDATE: Final = frozenset({"content", "index"})
_CONTENT: Final = frozenset({"parts", "role"})
_COUNTS: Final = frozenset({int, list})
_NOTHING: Final[JsonObject] = {}


def to_text_chunk(event: bytes, *, finds_images: bool = True) -> TextChunk | None:
    """Return *event* as a text chunk, or None if it is anything else.

    Nearly all chunks only add text. Read without validation, one costs 2.5 us where its message costs 7 (two cores of a
    Xeon, CPython 3.11): a validator looks for each of the 50 fields that are not there.
    """
    if finds_images and b";" in event and b"data:image" in event:
        return None
    try:
        wire = from_json(event)
        (candidate,) = wire["candidates"]
        content = candidate["content"]
        (part,) = content["parts"]
        text = part["text"]
        usage = wire.get("usageMetadata", _NOTHING).values()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    is_plain = (
        type(text) is str
        and text
        and len(part) == 1
        and content.get("role", "model") == "model"
        and candidate.get("index", 0) == 0
        and _CONTENT.issuperset(content)
        and _CANDIDATE.issuperset(candidate)
        and _TOP.issuperset(wire)
        and None not in wire.values()
        and _COUNTS.issuperset(map(type, usage))
        # Gateways drop the cached count to 0 late (pydantic-ai issue 5205), which only whole messages undo.
        and "cachedContentTokenCount" not in wire.get("usageMetadata", _NOTHING)
    )
    return TextChunk(text, wire) if is_plain else None


class UnreadableEncodingError(ValueError):
    """The bytes of an answer are compressed in a way that cannot be undone."""


class Inflater:
    """Undoes gzip and deflate in small steps, so that a bomb costs no more memory than the limit of the answer.

    Some gateways label plain JSON as gzip, others send gzip without a label. So the first bytes decide, not the header.

    Attributes:
        start: the first byte, as long as it is the only one.
    """

    def __init__(self, label: str | None) -> None:
        self._label = (label or "").strip().lower()
        self._is_decided = False
        self._machine: Any = None
        self.start = b""

    @property
    def complete(self) -> bool:
        """Whether compressed data came to their own end."""
        return self._machine is None or self._machine.eof

    @property
    def has_begun(self) -> bool:
        """Whether anything was decompressed, so that the data is damaged rather than the method unknown."""
        return self._machine is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield *data* decompressed, 64 kB at most at a time."""
        if not self._is_decided:
            data = self.start + data
            if len(data) < len(_GZIP):
                self.start = data
                return
            self.start, self._is_decided = b"", True
            self._machine = self._choose_decompressor(data)
        if self._machine is None:
            yield data
            return
        while data:
            if self._machine.eof:  # gzip may consist of several members
                self._machine = zlib.decompressobj(zlib.MAX_WBITS | 32)
            yield self._decompress_step(data)
            data = self._machine.unconsumed_tail or self._machine.unused_data

    def _choose_decompressor(self, start: bytes) -> Any:
        if start.startswith(_GZIP):
            return zlib.decompressobj(zlib.MAX_WBITS | 32)
        if self._label in ("", "identity") or start[:1] in _TEXT_STARTS:
            return None
        if self._label in ("gzip", "x-gzip"):
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # it will complain
        if self._label == "deflate":
            # HTTP's "deflate" means zlib (RFC 9110, 8.4.1.2), but some servers send raw deflate: the first bytes show
            # which.
            has_header = start[0] & 15 == 8 and int.from_bytes(start[:2], "big") % 31 == 0
            return zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        raise UnreadableEncodingError(
            f"compressed its answer with {self._label!r}, which was not asked for; known: gzip, deflate"
        )

    def _decompress_step(self, data: bytes) -> bytes:
        try:
            return cast("bytes", self._machine.decompress(data, _INFLATED_AT_ONCE))
        except zlib.error as error:
            message = f"sent a compressed answer that is corrupt ({error})"
        raise UnreadableEncodingError(message)


_GZIP: Final = b"\x1f\x8b"
# JSON, events, pages: no compression that is in use begins with one of these, but raw deflate may.
_TEXT_STARTS: Final = frozenset((b"{", b"[", b"<", b"d", b":", b" ", b"\n", b"\r", b"e", b"\xef"))
