"""Every error that gemway raises.

    GemwayError
    ├── ConfigurationError (also a ValueError)        the set-up or a call's options cannot work
    ├── UnsupportedContentError (also a ValueError)   a message holds something that cannot be sent
    ├── ContentBlockedError (also a ValueError)       the prompt or the answer was blocked
    ├── EmptyResponseError (also a ValueError)        an answer came, and nothing usable is in it
    ├── (ContextOverflowError is a BadRequestError)   the prompt is larger than the model's window
    └── APIError                                      the exchange with the gateway failed
        ├── APIConnectionError                        no answer: refused, reset, cut, TLS
        │   └── APITimeoutError (also a TimeoutError) no answer in time
        ├── APIStatusError                            the gateway answered with an error
        │   ├── BadRequestError            400        ├── RequestTooLargeError     413
        │   ├── AuthenticationError        401        ├── UnprocessableEntityError 422
        │   ├── PermissionDeniedError      403        ├── RateLimitError           429
        │   ├── NotFoundError              404        ├── QuotaExceededError       402, 403, 429: spent
        │   ├── ConflictError              409        └── InternalServerError      5xx
        ├── ResponseValidationError                   a 200 that is no Gemini answer (HTML, empty, not JSON, too large)
        └── StreamInterruptedError                    a stream broke off; `.partial` holds its beginning
            └── StreamTimeoutError                    it fell silent (also an APITimeoutError)

Errors carry no key, no request body and no frames of the transport, and can be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gemway.types import GenerateContentResponse, RateLimits


MAX_HINT: Final = 60.0
"""Seconds: if a server asks for a longer wait, the call is not repeated."""


class GemwayError(Exception):
    """Base of every error of gemway."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_error, (type(self), self.args, self.__dict__)


def _rebuild_error(kind: type[GemwayError], args: tuple[Any, ...], attributes: dict[str, Any]) -> GemwayError:
    """Bring a pickled error back without running its constructor."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ConfigurationError(GemwayError, ValueError):
    """The set-up or the options of a call cannot work; the message names the next step."""


class UnsupportedContentError(GemwayError, ValueError):
    """A message holds something that cannot be sent; the error names the alternatives."""


class ContentBlockedError(GemwayError, ValueError):
    """The prompt or the answer was blocked.

    Attributes:
        reason: Google's word, such as `SAFETY` or `PROHIBITED_CONTENT`.
        response: the whole answer, with ratings and usage.
    """

    def __init__(self, message: str, *, reason: str, response: GenerateContentResponse | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.response = response

    @property
    def ratings(self) -> list[Any]:
        """The safety ratings of the prompt or of the first candidate."""
        if self.response is None:
            return []
        feedback, candidates = self.response.prompt_feedback, self.response.candidates
        ratings = (feedback.safety_ratings if feedback else None) or (
            candidates[0].safety_ratings if candidates else None
        )
        return list(ratings or [])

    @property
    def usage(self) -> object:
        """The usage metadata, if the gateway sent any."""
        return self.response.usage_metadata if self.response else None


class EmptyResponseError(GemwayError, ValueError):
    """An answer came, and nothing usable is in it.

    Attributes:
        finish_reason: Google's word, such as `NO_IMAGE`, or `None`.
        response: the whole answer.
    """

    def __init__(
        self, message: str, *, finish_reason: str | None = None, response: GenerateContentResponse | None = None
    ) -> None:
        super().__init__(message)
        self.finish_reason = finish_reason
        self.response = response


class APIError(GemwayError):
    """The exchange with the gateway failed.

    Attributes:
        message: the problem, in the server's words if it gave any.
        status_code: the HTTP status, or `None` if no answer came.
        code: the error code of the body (`"RESOURCE_EXHAUSTED"`, `"model_not_found"`), if it has one.
        request_id: the gateway's id of the exchange, for its support.
        body: the error body, at most 64 kB, with the key redacted; parsed if it was JSON.
        retry_after: seconds after which the server wants to be asked again, or `None`.
        is_retryable: whether the same call may succeed later.
        attempts: how many requests were sent.
        waited: seconds slept between them.
        budget_exhausted: whether the retry budget stopped further attempts.
        partial: the beginning of a stream, folded into one response; for embeddings the result
            with the vectors that had arrived; or None.
        url: the address that was asked, or None.
        rate_limits: the limits that the gateway's headers state (`types.RateLimits`), or None.
        input_index: the place of the input that an embedding request failed for, or None.
    """

    is_retryable = False
    _came_from = "answer from"
    input_index: int | None = None
    url: str | None = None
    rate_limits: RateLimits | None = None

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        body: object = None,
        retry_after: float | None = None,
        is_retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.code = code
        self.request_id = request_id
        self.body = body
        self.retry_after = retry_after
        if is_retryable is not None:
            self.is_retryable = is_retryable
        self.attempts = 1
        self.waited = 0.0
        self.budget_exhausted = False
        self.partial: Any = None

    def __str__(self) -> str:
        # The reason first and the address last: logs and terminals cut long lines off at their end.
        notes = []
        if self.request_id:
            notes.append(f"request id {self.request_id}")
        if self.attempts > 1:
            notes.append(f"{self.attempts} attempts, {self.waited:.1f} s waited")
        if self.budget_exhausted:
            notes.append("retry budget exhausted")
        # Without this note, a call that failed at once looks as if retries did not work.
        if self.retry_after is not None and self.retry_after > MAX_HINT:
            notes.append(f"not repeated: the gateway asks for a wait of {self.retry_after:,.0f} s")
        if self.url:
            notes.append(f"{self._came_from} {self.url}")
        return f"{self.message} ({'; '.join(notes)})" if notes else self.message


class APIConnectionError(APIError):
    """No answer came: the connection was refused, reset, cut off or not trusted.

    Attributes:
        sent: whether the request may have reached the server.
    """

    is_retryable = True
    _came_from = "request to"
    sent = True


class APITimeoutError(APIConnectionError, TimeoutError):
    """No answer came in time.

    Attributes:
        phase: `"connect"`, `"read"` (silence), `"write"`, `"pool"` or `"deadline"`.
    """

    phase = "read"


class APIStatusError(APIError):
    """The gateway answered with an error."""

    _came_from = "from"


class BadRequestError(APIStatusError):
    """400: the request is not valid."""


class AuthenticationError(APIStatusError):
    """401, or Google's 400 for a bad key: the gateway does not know the key."""


class PermissionDeniedError(APIStatusError):
    """403: the key may not do this."""


class NotFoundError(APIStatusError):
    """404, or a gateway's `model_not_found`: no such model or route."""


class ConflictError(APIStatusError):
    """409."""


class RequestTooLargeError(APIStatusError):
    """413: the request body is larger than the gateway accepts."""


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    """429: too many requests. Retry later."""

    is_retryable = True


class QuotaExceededError(APIStatusError):
    """The balance or the daily quota is used up; waiting a moment does not help."""


class InternalServerError(APIStatusError):
    """5xx: the gateway or the model behind it failed."""

    is_retryable = True


class ContextOverflowError(BadRequestError):
    """The prompt is larger than the model's window."""


class ResponseValidationError(APIError):
    """The gateway answered 200 with something that is no Gemini answer."""


class StreamInterruptedError(APIError):
    """A stream broke off before its end. `.partial` holds everything that had arrived."""

    is_retryable = True


class StreamTimeoutError(StreamInterruptedError, APITimeoutError):
    """A stream fell silent. `.partial` holds everything that had arrived."""
