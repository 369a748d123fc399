"""What comes back: the bytes of a response become messages, or the error that they mean. Pure.

An `Answer` is fed with a response as it arrives. It knows no socket and no clock.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

from gemway._accumulate import Accumulator, fold
from gemway._config import Settings
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
    EmptyResponseError,
    ResponseValidationError,
    StreamInterruptedError,
    StreamTimeoutError,
)
from gemway._hidden_pictures import PictureSeeker, may_hide_pictures, with_pictures_revealed
from gemway._json_repairs import repaired
from gemway._protocol import Call
from gemway._sse import EventDecoder, EventTooLargeError, JsonBalance
from gemway._text_chunks import TextChunk, to_text_chunk
from gemway._warn_once import warn
from gemway.types import Candidate, Exchange, GenerateContentResponse

# An event that is still arriving counts as data only if it grows: a byte now and then is silence.
_SIGN_OF_LIFE = 1024
_INFLATED_AT_ONCE = 2**16
# Bytes of a stream that are read at once: what they amount to as messages is in memory at the same time.
_READ_AT_ONCE = 2**16
# An object of JSON becomes up to 1 kB of objects of Python, any other value up to 100 bytes. Answers may hold as many
# as fit into about four times `max_response_bytes`, and so many in any case.
_BYTES_PER_OBJECT, _FEWEST_OBJECTS = 256, 4096
_BYTES_PER_VALUE, _FEWEST_VALUES = 32, 32768
# Real objects have names in them: `{"token":"a"}` is among the shortest. Emptier ones are an attack.
_SHORTEST_OBJECT = 12
# Below this size nothing can hold enough values to matter.
_HARMLESS_SIZE = 4096
_COUNTED_AT_A_GLANCE = 2**16
_HEARTBEATS = frozenset({b"{}", b"[]", b"null", b'""'})
# What a chunk may hold that says nothing: `{"type": "ping"}`, `{"createTime": ...}`.
_SAYING_NOTHING = frozenset(
    {"type", "createTime", "candidates", "promptFeedback", "modelVersion", "model", "responseId"}
)


@dataclass
class Opened:
    """An answer that has begun: its exchange, its parser, its first message, and more that came with it."""

    exchange: Any
    answer: Answer
    first: Any
    rest: Iterable[Any] = ()


class Answer:
    """The response of one call, fed with its bytes.

    `feed` and `finish` yield the messages that became complete: chunks of a stream as they arrive, or
    the one message of a unary call at the end. They raise the typed error that the response means, behind
    the messages that came before it. Nothing is read before it is asked for, so that a compressed stream
    is never in memory as a whole.

    Args:
        call: what was asked.
        exchange: what came back: `.status`, `.headers`, `.url`, `.arrived` (seconds since the epoch), and
            `.redact(text)`, which takes the key out.
        silence: seconds without data after which a stream is given up (comments are no data).
        expires: the moment at which the call must have an answer, or None.

    Attributes:
        complete: whether `finish` was reached.
        how: how the exchange went, once the answer has begun.
    """

    def __init__(self, call: Call, exchange: Any, settings: Settings, *, silence: float, expires: float | None) -> None:
        self.complete = False
        self.how: Exchange | None = None
        self._past = _Past()
        self._seeker = PictureSeeker(settings.max_response_bytes)
        self._seeks = call.seeks_pictures
        self._reads_text_chunks = call.text_chunks
        self._call = call
        self._status: int = exchange.status
        self._headers: Mapping[str, str] = exchange.headers
        self._url: str = exchange.url
        self._arrived: float = exchange.arrived
        self._redact: Callable[[str], str] = exchange.redact
        self._silence = silence
        self._expires = expires
        self._limit = settings.max_response_bytes
        self._most_objects = max(_FEWEST_OBJECTS, self._limit // _BYTES_PER_OBJECT)
        self._most_values = max(_FEWEST_VALUES, self._limit // _BYTES_PER_VALUE)
        self._body = BytesIO()  # grows without copies, and hands its bytes over without one
        self._size = 0
        self._heard: float | None = None
        self._pending = 0
        found = request_id_of(self._headers)
        self.request_id = self._redact(found) if found else None
        streams = call.streaming and self._status < 300
        self._decoder = EventDecoder(self._limit) if streams else None
        self._encoding: str | None = self._headers.get("content-encoding")
        self._inflater: Inflater | None = None
        self._is_plain = False

    def feed(self, data: bytes, now: float) -> Iterator[Any]:
        """Take the next bytes at time *now* and yield the messages that they complete."""
        if self._expires is not None and not self._past.count:
            self._check_deadline(now)
        if self._decoder is None:
            for piece in self._pieces(data):
                self._keep(piece)
            return
        count = self._past.count
        for piece in self._pieces(data):
            self._size += len(piece)
            if self._size > self._limit:  # a stream is as limited as a body
                raise self._too_large()
            for at in range(0, len(piece), _READ_AT_ONCE):
                yield from self._messages(self._events(self._decoder.feed, piece[at : at + _READ_AT_ONCE]))
        self._listen(self._decoder, now, heard=self._past.count > count)

    def finish(self) -> Iterator[Any]:
        """The body is complete: yield what is left, or raise what the whole means."""
        self.complete = True
        if self._inflater is not None and self._inflater.start:
            self._keep(self._inflater.start)  # a body of one byte
        if self._decoder is None:
            yield self._unary(self._body.getvalue())
            return
        yield from self._messages(self._events(self._decoder.finish))
        self._check_stream_end(self._decoder)

    def interrupted(self, cause: APIError) -> APIError:
        """Return the error for a stream that broke off because of *cause*, with what had arrived.

        What the server said keeps its class; silence and lost connections are interruptions.
        """
        if isinstance(cause, APIConnectionError):
            timed_out = isinstance(cause, APITimeoutError)
            kind = StreamTimeoutError if timed_out else StreamInterruptedError
            error: APIError = kind(
                f"the stream broke off after {self._past.count} events: {cause.message}", request_id=self.request_id
            )
            error.__cause__ = cause.__cause__
        else:
            error = cause
        error.partial = fold(self._past.messages()).came_by(self.how)
        return error

    def _pieces(self, data: bytes) -> Iterable[bytes]:
        """Return *data* decompressed, if it is compressed."""
        if self._is_plain:
            return (data,)
        if not self._encoding and self._inflater is None and len(data) > 1 and not data.startswith(_GZIP):
            self._is_plain = True
            return (data,)
        if self._inflater is None:
            self._inflater = Inflater(self._encoding)
        return self._decoded(self._inflater, data)

    def _decoded(self, inflater: Inflater, data: bytes) -> Iterator[bytes]:
        """Yield *data* decompressed, piece by piece. An error keeps its meaning although nobody can read its words."""
        try:
            yield from inflater.feed(data)
            return
        except UnreadableEncodingError as error:
            problem = str(error)
        if self._status >= 300:
            raise self._status_error(self._body.getvalue())
        raise self._invalid(f"{self._url} {problem}", is_retryable=inflater.has_begun)

    def _listen(self, decoder: EventDecoder, now: float, *, heard: bool) -> None:
        """Note signs of life, and give a stream up that had none for too long."""
        if heard or self._heard is None or decoder.pending - self._pending >= _SIGN_OF_LIFE:
            self._heard, self._pending = now, decoder.pending
        elif now - self._heard > self._silence:
            raise _timed_out(f"no data from {self._url} for {self._silence:g} s, only comments", "read")

    def _keep(self, data: bytes) -> None:
        if self._status >= 300 and self._size + len(data) > KEPT_BODY_BYTES:
            self._body.write(data[: max(0, KEPT_BODY_BYTES - self._size)])
            raise self._status_error(self._body.getvalue())
        self._size += len(data)
        if self._size > self._limit:
            raise self._too_large()
        self._body.write(data)

    def _too_large(self) -> APIError:
        return self._invalid(
            f"the answer is larger than {self._limit:,} bytes; raise max_response_bytes= if that is expected"
        )

    def _check_density(self, data: bytes) -> None:
        """Refuse JSON that would take many times its size in memory, before anything is made of it."""
        if len(data) <= _COUNTED_AT_A_GLANCE:
            objects, values = data.count(b"{"), data.count(b"[") + data.count(b",")
            if self._is_bearable(len(data), objects, values):
                return
        balance = JsonBalance()
        for at in range(0, len(data), _COUNTED_AT_A_GLANCE):
            balance.feed(data[at : at + _COUNTED_AT_A_GLANCE])
            if not self._is_bearable(len(data), balance.objects, balance.values):
                raise self._invalid(
                    f"the answer of {self._url} holds more objects or values than {self._limit:,} bytes allow;"
                    " raise max_response_bytes= if that is expected"
                )

    def _is_bearable(self, size: int, objects: int, values: int) -> bool:
        if objects > self._most_objects or values > self._most_values:
            return False
        return objects <= _FEWEST_OBJECTS or objects * _SHORTEST_OBJECT <= size

    def _check_deadline(self, now: float) -> None:
        if self._expires is not None and now > self._expires:
            raise _timed_out(f"the deadline passed while {self._url} was still answering", "deadline")

    def _unary(self, body: bytes) -> Any:
        if self._status >= 300:
            raise self._status_error(body)
        if self._inflater is not None and not self._inflater.complete:
            raise self._invalid(f"the compressed answer of {self._url} was cut short", is_retryable=True)
        if not body or body.isspace():
            raise self._invalid(f"{self._url} answered {self._status} with an empty body", is_retryable=True)
        if self._call.wire is None:
            return self._plain(body)
        message = self._message(body) if body[:1] == b"{" else self._folded(body)
        if not message.candidates and message.block_reason is None:
            raise EmptyResponseError(
                f"{self._url} answered with neither candidates nor a reason for their lack", response=message
            )
        if message.candidates and not message.candidates[0].finish_reason and message.block_reason is None:
            warn(
                "the gateway's answer has no finishReason, so it may not be whole: some gateways hand on only the tail"
                " of a stream"
            )
        return fold([message]) if self._call.wire.get("tools") and _has_nameless_call(message) else message

    def _folded(self, body: bytes) -> GenerateContentResponse:
        """Return the message of a gateway that answers a unary call with an array or with events."""
        decoder = EventDecoder(self._limit)
        accumulator, messages = Accumulator(), 0
        steps = range(0, len(body), _READ_AT_ONCE)
        pieces = (self._events(decoder.feed, body[at : at + _READ_AT_ONCE]) for at in steps)
        for events in chain(pieces, (self._events(decoder.finish) for _ in range(1))):
            for event in events:
                for message in self._read_event(event):
                    accumulator.add(message)
                    messages += 1
        if not messages:
            raise self._not_an_answer(body)
        if decoder.is_cut_array:
            raise self._invalid(f"the list of answers from {self._url} was cut short", is_retryable=True)
        return accumulator.response()

    def _plain(self, body: bytes) -> Any:
        """Return the JSON of an answer that is no generation."""
        self._check_density(body)
        payload = parse_json(body)
        if not isinstance(payload, dict) or is_error(payload):
            raise self._not_an_answer(body)
        return payload

    def _status_error(self, body: bytes) -> APIError:
        if self._status < 400:
            return self._redirect()
        return to_status_error(self._status, self._headers, body, url=self._url, now=self._arrived, redact=self._redact)

    def _redirect(self) -> APIError:
        target = self._redact(self._headers.get("location", ""))
        return self._invalid(
            f"{self._status} from {self._url}: the gateway redirects to {target or 'nowhere'}; redirects are never"
            " followed, so that neither key nor prompt travels. Set base_url to the final address."
        )

    def _events(self, step: Callable[..., list[bytes]], *data: bytes) -> list[bytes]:
        try:
            return step(*data)
        except EventTooLargeError as error:
            message = f"{error}; raise max_response_bytes= if that is expected"
        raise self._invalid(message)

    def _messages(self, events: list[bytes]) -> Iterator[GenerateContentResponse | TextChunk]:
        """Yield the messages of *events*, and note them. Empties *events*."""
        # An event may be a picture of 25 MB. While the caller works on its message, this generator waits at `yield`,
        # so nothing here may still refer to the event's bytes.
        events.reverse()
        while events:
            event = events.pop()
            message: GenerateContentResponse | TextChunk | None
            if self._reads_text_chunks and (chunk := self._text_chunk(event)) is not None:
                message = self._past.add(event, chunk)
            elif event[:1] == b"{":
                whole = self._message(event, is_chunk=True)
                message = None if whole is None else self._noted(event, whole)
            else:
                for each in self._read_event(event):
                    yield self._noted(event, each)
                continue
            event = b""
            if message is not None:
                yield message

    def _noted(self, event: bytes, message: GenerateContentResponse) -> GenerateContentResponse | TextChunk:
        if self._seeks and self._seeker.concerns(event):
            message = self._seeker.passed(message)
        if self._reads_text_chunks and any(part.function_call is not None for part in message.parts):
            # The call may go on in the next message, which is to be seen by whoever holds it back.
            self._reads_text_chunks = False
        return self._past.add(event, message)

    def _text_chunk(self, event: bytes) -> TextChunk | None:
        """Return *event* as a text chunk, where those may be used. The first one tells how it came, so it is a message."""
        if not self._past.count:
            return None
        if len(event) > _HARMLESS_SIZE or (self._seeks and self._seeker.concerns(event)):
            return None
        return to_text_chunk(event, seeks_pictures=self._seeks)

    def _read_event(self, event: bytes) -> Iterator[GenerateContentResponse]:
        """Yield the messages of one event: nearly always one, none if it is a heartbeat, several if it is a list."""
        if (len(event) < 3 and event in _HEARTBEATS) or event == b"null":
            return
        if event[:1] == b"[":
            self._check_density(event)
            payload = parse_json(event)
            if isinstance(payload, list) and not is_error(payload):
                for item in payload:
                    yield from self._read_event(to_json(item))
                return
        message = self._message(event, is_chunk=True)
        if message is not None:
            yield message

    def _message(self, data: bytes, *, is_chunk: bool = False) -> Any:
        """Return the message that *data* is the JSON of; None for a chunk that says nothing."""
        if len(data) > _HARMLESS_SIZE:
            self._check_density(data)
        problem: ValidationError | None = None
        try:
            message = _read(data)
        except ValidationError as error:
            problem = error
            message = repaired(data, error)
        if message is not None:
            extra = message.model_extra
            if message.candidates or (_is_known(message) and not is_error(extra)):
                return with_pictures_revealed(message) if self._seeks and may_hide_pictures(data) else message
            if is_chunk and _says_nothing(message):
                # Before the first chunk it is no beginning of an answer; after it, it is a harmless chunk.
                return message if self._past.count and message.model_fields_set else None
        raise self._not_an_answer(data, problem)

    def _not_an_answer(self, data: bytes, problem: ValidationError | None = None) -> APIError:
        text = self._redact(data[:KEPT_BODY_BYTES].decode("utf-8", "replace"))
        payload = parse_json(text.encode()) if len(data) <= KEPT_BODY_BYTES else None
        if is_error(payload):
            return error_from_payload(
                payload, None, self._headers, url=self._url, now=self._arrived, text=text, redact=self._redact
            )
        if text.lstrip()[:1] == "<":
            advice = "an HTML page; is the base URL right? It must lead to the gateway's API, without /v1beta"
            return self._invalid(f"{self._url} answered {self._status} with {advice}", body=text)
        what = problem.errors(include_input=False, include_url=False)[0] if problem else None
        if what is None or (what["type"] != "json_invalid" and not what["loc"]):
            return self._invalid(f"{self._url} answered {self._status} with JSON that is no Gemini answer", body=text)
        cut = "EOF while parsing" in what["msg"]
        if cut and self._past.count:
            return StreamInterruptedError(
                f"the stream from {self._url} ended in the middle of an event, after {self._past.count} whole ones",
                request_id=self.request_id,
            )
        where = ".".join(map(str, what["loc"]))
        return self._invalid(
            f"{self._url} answered {self._status} with no valid answer ({where}{': ' if where else ''}{what['msg']})",
            body=text,
            is_retryable=cut,
        )

    def _check_stream_end(self, decoder: EventDecoder) -> None:
        if not self._past.count:
            if decoder.said_nothing:
                raise self._invalid(f"{self._url} answered {self._status} with an empty stream", is_retryable=True)
            raise self._not_an_answer(decoder.head)
        if not self._past.has_end or (self._past.has_content_after_end and not decoder.is_done):
            raise StreamInterruptedError(
                f"the stream from {self._url} ended after {self._past.count} events without a finishReason"
                f"{' behind its last content' if self._past.has_end else ''}, so the answer is not complete",
                request_id=self.request_id,
            )
        if self._past.began_anew:
            warn(
                "the gateway began its answer anew in the middle of the stream (another responseId), so that text may be"
                " there twice"
            )

    def _invalid(self, message: str, *, body: Any = None, is_retryable: bool = False) -> ResponseValidationError:
        return ResponseValidationError(
            message, status_code=self._status, request_id=self.request_id, body=body, is_retryable=is_retryable
        )


def _is_known(message: GenerateContentResponse) -> bool:
    """Whether a message without candidates is Gemini's all the same: a blocked prompt, usage, an id."""
    known = (message.candidates, message.prompt_feedback, message.usage_metadata, message.response_id)
    return any(field is not None for field in known)


def _says_nothing(message: GenerateContentResponse) -> bool:
    """Whether a message is a heartbeat: `{"type": "ping"}`, only a version, only a time."""
    extra = message.model_extra or {}
    return not is_error(extra) and _SAYING_NOTHING.issuperset(
        (*extra, *map(to_camel, message.model_fields_set - {"usage_metadata"}))
    )


def _has_nameless_call(message: GenerateContentResponse) -> bool:
    """Whether a call has no name: a fragment of the call before it (new-api's converter)."""
    return any(part.function_call is not None and not part.function_call.name for part in message.parts)


def _read(data: bytes) -> GenerateContentResponse:
    """Return the message that *data* is the JSON of."""
    # The documented validator itself: the class method around it costs 0.5 us per chunk.
    return cast("GenerateContentResponse", GenerateContentResponse.__pydantic_validator__.validate_json(data))


class _Past:
    """What had arrived of a stream, for `partial`.

    Small events are kept as bytes and read again if they are wanted: 1,000 messages kept cost the garbage
    collector 6 us for each chunk of a stream, more where a framework is loaded.

    Attributes:
        count: how many events there were.
        has_end: whether one of them said why the answer ended.
        has_content_after_end: whether content came behind the last of those.
        began_anew: whether the answer changed its id on the way.
    """

    def __init__(self) -> None:
        self.count = 0
        self.has_end = False
        self.has_content_after_end = False
        self._events: list[bytes | GenerateContentResponse] = []
        self._id: str | None = None
        self._ids = 0
        self._changes = 0

    @property
    def began_anew(self) -> bool:
        # Some converters give every chunk an id of its own.
        return self._changes > 0 and not (self._ids > 2 and self._changes == self._ids - 1)

    def add(self, event: bytes, message: GenerateContentResponse | TextChunk) -> GenerateContentResponse | TextChunk:
        """Note one event, and return its message."""
        self.count += 1
        if isinstance(message, TextChunk):
            self._events.append(event)
            self.has_content_after_end = self.has_end
            if response_id := message.wire.get("responseId"):
                self._note_id(response_id)
            return message
        self._events.append(event if len(event) < _LARGE_EVENT else message)
        if _is_final(message):
            self.has_end, self.has_content_after_end = True, False
        elif self.has_end and not self.has_content_after_end:
            self.has_content_after_end = any(map(_has_content, message.candidates or ()))
        if message.response_id:
            self._note_id(message.response_id)
        return message

    def _note_id(self, response_id: Any) -> None:
        self._ids += 1
        if response_id != self._id:
            self._changes += self._id is not None
            self._id = response_id

    def messages(self) -> Iterator[GenerateContentResponse]:
        """Return all messages."""
        for event in self._events:
            message = _read_again(event) if isinstance(event, bytes) else event
            if message is not None:
                yield message


_LARGE_EVENT: Final = 2**20


def _read_again(event: bytes) -> GenerateContentResponse | None:
    try:
        return _read(event)
    except ValidationError as error:
        return repaired(event, error)


def _is_final(chunk: GenerateContentResponse) -> bool:
    for candidate in chunk.candidates or ():
        if candidate.finish_reason:
            return True
    return chunk.prompt_feedback is not None and chunk.block_reason is not None


def _has_content(candidate: Candidate) -> bool:
    """Whether a candidate brings anything but the signature of what came before."""
    parts = (candidate.content and candidate.content.parts) or ()
    return any(part.text or part.model_fields_set - {"text", "thought", "thought_signature"} for part in parts)


def _timed_out(message: str, phase: str) -> APITimeoutError:
    error = APITimeoutError(message)
    error.phase = phase
    return error


class UnreadableEncodingError(ValueError):
    """The bytes of an answer are compressed in a way that cannot be undone."""


class Inflater:
    """Undoes gzip and deflate in small steps, so that a bomb costs no more memory than the limit of the answer.

    Gateways label plain JSON as gzip and send gzip without a label: the first bytes tell, not the header.

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
        """Whether anything was decompressed, so that what failed is the data and not the method."""
        return self._machine is not None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* amounts to, 64 kB at most at a time if it was compressed."""
        if not self._is_decided:
            data = self.start + data
            if len(data) < len(_GZIP):
                self.start = data
                return
            self.start, self._is_decided = b"", True
            self._machine = self._machine_for(data)
        if self._machine is None:
            yield data
            return
        while data:
            if self._machine.eof:  # gzip may consist of several members
                self._machine = zlib.decompressobj(zlib.MAX_WBITS | 32)
            yield self._step(data)
            data = self._machine.unconsumed_tail or self._machine.unused_data

    def _machine_for(self, start: bytes) -> Any:
        if start.startswith(_GZIP):
            return zlib.decompressobj(zlib.MAX_WBITS | 32)
        if self._label in ("", "identity") or start[:1] in _TEXT_STARTS:
            return None
        if self._label in ("gzip", "x-gzip"):
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # it will complain
        if self._label == "deflate":
            has_header = start[0] & 15 == 8 and int.from_bytes(start[:2], "big") % 31 == 0
            return zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        raise UnreadableEncodingError(
            f"compressed its answer with {self._label!r}, which was not asked for; known: gzip, deflate"
        )

    def _step(self, data: bytes) -> bytes:
        try:
            return cast("bytes", self._machine.decompress(data, _INFLATED_AT_ONCE))
        except zlib.error as error:
            message = f"sent a compressed answer that is corrupt ({error})"
        raise UnreadableEncodingError(message)


_GZIP: Final = b"\x1f\x8b"
# JSON, events, pages: no compression that is in use begins with one of these, but raw deflate may.
_TEXT_STARTS: Final = frozenset((b"{", b"[", b"<", b"d", b":", b" ", b"\n", b"\r", b"e", b"\xef"))
