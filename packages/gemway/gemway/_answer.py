"""What comes back: the bytes of a response become messages, or the error that they mean. Pure.

An `Answer` is fed with a response as it arrives. It knows no socket and no clock.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, cast

from pydantic import ValidationError

from gemway._accumulate import fold
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
from gemway._protocol import Call
from gemway._settings import Settings
from gemway._sse import EventDecoder, EventTooLargeError
from gemway._text_chunks import TextChunk, to_text_chunk
from gemway.types import Exchange, GenerateContentResponse

# An event that is still arriving counts as data only if it grows: a byte now and then is silence.
_SIGN_OF_LIFE = 1024
_INFLATED_AT_ONCE = 2**20


@dataclass
class Opened:
    """An answer that has begun: its exchange, its parser, and the messages that are there already."""

    exchange: Any
    answer: Answer
    first: list[Any]


class Answer:
    """The response of one call, fed with its bytes.

    `feed` and `finish` return the messages that became complete: chunks of a stream as they arrive, or
    the one message of a unary call at the end. They raise the typed error that the response means; what
    came in the same bytes before an error is returned first, and `check` raises the error then.

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
        self._call = call
        self._status: int = exchange.status
        self._headers: Mapping[str, str] = exchange.headers
        self._url: str = exchange.url
        self._arrived: float = exchange.arrived
        self._redact: Callable[[str], str] = exchange.redact
        self._silence = silence
        self._expires = expires
        self._limit = settings.max_response_bytes
        self._body = BytesIO()  # grows without copies, and hands its bytes over without one
        self._size = 0
        self._heard: float | None = None
        self._pending = 0
        self._failure: APIError | None = None
        found = request_id_of(self._headers)
        self.request_id = self._redact(found) if found else None
        streams = call.streaming and self._status < 300
        self._decoder = EventDecoder(self._limit) if streams else None
        self._inflater = self._inflater_for(self._headers.get("content-encoding"))

    def feed(self, data: bytes, now: float) -> list[Any]:
        """Take the next bytes at time *now* and return the messages that they complete."""
        if self._decoder is None:
            for piece in self._inflated(data):
                self._keep(piece)
            self._check_deadline(now)
            return []
        has_begun = self._past.count > 0
        chunks: list[Any] = []
        for piece in self._inflated(data):
            chunks += self._decode(self._decoder.feed, piece)
        self._listen(self._decoder, now, heard=bool(chunks))
        if not has_begun:
            self._check_deadline(now)
        return chunks

    def finish(self) -> list[Any]:
        """The body is complete: return what is left, or raise what the whole means."""
        self.check()
        self.complete = True
        if self._decoder is None:
            return [self._unary(self._body.getvalue())]
        chunks = self._decode(self._decoder.finish)
        if self._failure is None:
            self._check_stream_end(self._decoder)
        return chunks

    def check(self) -> None:
        """Raise the error that came behind messages which were handed on by now."""
        if self._failure is not None:
            raise self._failure

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

    def _inflater_for(self, encoding: str | None) -> _Inflater | None:
        name = (encoding or "").strip().lower()
        if name in ("", "identity"):
            return None
        if name in ("gzip", "x-gzip", "deflate"):
            return _Inflater()
        # An error keeps its meaning, although nobody can read what it says.
        raise (
            self._status_error(b"")
            if self._status >= 300
            else self._invalid(
                f"{self._url} compressed its answer with {encoding!r}, which was not asked for; known: gzip, deflate"
            )
        )

    def _inflated(self, data: bytes) -> Iterable[bytes]:
        return (data,) if self._inflater is None else self._inflater.feed(data)

    def _listen(self, decoder: EventDecoder, now: float, *, heard: bool) -> None:
        """Note signs of life, and give a stream up that had none for too long."""
        if heard or self._heard is None or decoder.pending - self._pending >= _SIGN_OF_LIFE:
            self._heard, self._pending = now, decoder.pending
        elif now - self._heard > self._silence:
            raise _timed_out(f"no data from {self._url} for {self._silence:g} s, only comments", "read")

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._status >= 300 and self._size > KEPT_BODY_BYTES:
            self._body.write(data[: max(0, KEPT_BODY_BYTES - (self._size - len(data)))])
            raise self._status_error(self._body.getvalue())
        if self._size > self._limit:
            raise self._invalid(
                f"the answer is larger than {self._limit:,} bytes; raise max_response_bytes= if that is expected"
            )
        self._body.write(data)

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
        return message

    def _folded(self, body: bytes) -> GenerateContentResponse:
        """Return the message of a gateway that answers a unary call with an array or with events."""
        decoder = EventDecoder(self._limit)
        events = [*decoder.feed(body), *decoder.finish()]
        if not events:
            raise self._not_an_answer(body)
        messages = [self._message(event) for event in events]
        return messages[0] if len(messages) == 1 else fold(messages)

    def _plain(self, body: bytes) -> Any:
        """Return the JSON of an answer that is no generation."""
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

    def _decode(self, step: Callable[..., Sequence[bytes]], *data: bytes) -> list[GenerateContentResponse]:
        try:
            events = step(*data)
        except EventTooLargeError as error:
            message = f"{error}; raise max_response_bytes= if that is expected"
        else:
            return self._messages(events)
        raise self._invalid(message)

    def _messages(self, events: Sequence[bytes]) -> list[GenerateContentResponse]:
        """Return the messages up to the first that is an error; that one waits for `check`."""
        messages: list[Any] = []
        try:
            for event in events:
                messages.append(self._past.add(event, self._chunk(event)))  # noqa: PERF401 - those before an error
        except APIError as error:
            if not messages:
                raise
            self._failure = error.with_traceback(None)
        return messages

    def _chunk(self, event: bytes) -> GenerateContentResponse | TextChunk:
        """Return one chunk of a stream. The first one tells how it came, so it is a message."""
        if self._seeker.concerns(event):
            return self._seeker.passed(self._message(event))
        chunk = to_text_chunk(event) if self._call.text_chunks and self._past.count else None
        return self._message(event) if chunk is None else chunk

    def _message(self, data: bytes) -> GenerateContentResponse:
        problem: ValidationError | None = None
        try:
            message = _read(data)
        except ValidationError as error:
            problem = error
        else:
            if message.candidates or (_is_known(message) and not is_error(message.model_extra)):
                return with_pictures_revealed(message) if may_hide_pictures(data) else message
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
        if not self._past.has_end:
            raise StreamInterruptedError(
                f"the stream from {self._url} ended after {self._past.count} events without a finishReason,"
                " so the answer is not complete",
                request_id=self.request_id,
            )

    def _invalid(self, message: str, *, body: Any = None, is_retryable: bool = False) -> ResponseValidationError:
        return ResponseValidationError(
            message, status_code=self._status, request_id=self.request_id, body=body, is_retryable=is_retryable
        )


def _is_known(message: GenerateContentResponse) -> bool:
    """Whether a message without candidates is Gemini's all the same: a blocked prompt, usage, an id."""
    known = (message.candidates, message.prompt_feedback, message.usage_metadata, message.response_id)
    return any(field is not None for field in known)


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
    """

    def __init__(self) -> None:
        self.count = 0
        self.has_end = False
        self._events: list[bytes | GenerateContentResponse] = []

    def add(self, event: bytes, message: GenerateContentResponse | TextChunk) -> GenerateContentResponse | TextChunk:
        """Note one event, and return its message."""
        self.count += 1
        if isinstance(message, TextChunk):
            self._events.append(event)
            return message
        self._events.append(event if len(event) < _LARGE_EVENT else message)
        self.has_end = self.has_end or _is_final(message)
        return message

    def messages(self) -> Iterator[GenerateContentResponse]:
        """Return all messages."""
        return (_read(event) if isinstance(event, bytes) else event for event in self._events)


_LARGE_EVENT: Final = 2**20


def _is_final(chunk: GenerateContentResponse) -> bool:
    for candidate in chunk.candidates or ():
        if candidate.finish_reason:
            return True
    return chunk.prompt_feedback is not None and chunk.block_reason is not None


def _timed_out(message: str, phase: str) -> APITimeoutError:
    error = APITimeoutError(message)
    error.phase = phase
    return error


class _Inflater:
    """Undoes gzip and deflate in small steps, so that a bomb costs no more memory than the limit of the answer."""

    def __init__(self) -> None:
        self._machine = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._begun = False

    @property
    def complete(self) -> bool:
        """Whether the compressed data came to their own end."""
        return self._machine.eof or not self._begun

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* amounts to, a megabyte at most at a time."""
        self._begun = self._begun or bool(data)
        while data:
            if self._machine.eof:  # gzip may consist of several members
                self._machine = zlib.decompressobj(zlib.MAX_WBITS | 32)
            yield self._step(data)
            data = self._machine.unconsumed_tail or self._machine.unused_data

    def _step(self, data: bytes) -> bytes:
        try:
            return self._machine.decompress(data, _INFLATED_AT_ONCE)
        except zlib.error as error:
            message = f"the compressed answer of the gateway is corrupt ({error})"
        raise ResponseValidationError(message, is_retryable=True)
