"""Errors that are gemway's and LangChain's at once, so that either kind of `except` catches them.

LangChain's retry, fallback and summarisation middleware look at `langchain_core.exceptions.Model*Error` and its
`is_retryable`; people who use the core catch `gemway.RateLimitError`. Each class here is both and keeps the
attributes (`status_code`, `request_id`, `retry_after`, ...) and the retryability of the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import gemway
from langchain_core import exceptions as langchain
from langchain_core.exceptions import OutputParserException

if TYPE_CHECKING:
    from langchain_core.exceptions import (
        ModelAPIError,
        ModelAuthenticationError,
        ModelConnectionError,
        ModelInvalidRequestError,
        ModelNotFoundError,
        ModelPermissionDeniedError,
        ModelRateLimitError,
        ModelTimeoutError,
    )
else:

    def _langchain_error(name: str) -> type[Exception]:
        """Return LangChain's class of this name, or a class of ours: the first releases of 1.6 have fewer of them."""
        base = getattr(langchain, "ModelError", langchain.LangChainException)
        return getattr(langchain, name, None) or type(name, (base,), {})

    ModelAPIError = _langchain_error("ModelAPIError")
    ModelAuthenticationError = _langchain_error("ModelAuthenticationError")
    ModelConnectionError = _langchain_error("ModelConnectionError")
    ModelInvalidRequestError = _langchain_error("ModelInvalidRequestError")
    ModelNotFoundError = _langchain_error("ModelNotFoundError")
    ModelPermissionDeniedError = _langchain_error("ModelPermissionDeniedError")
    ModelRateLimitError = _langchain_error("ModelRateLimitError")
    ModelTimeoutError = _langchain_error("ModelTimeoutError")


class APIConnectionError(gemway.APIConnectionError, ModelConnectionError):
    """No answer arrived: the connection was refused, reset, cut off or not trusted."""


class APITimeoutError(gemway.APITimeoutError, ModelTimeoutError, ModelConnectionError):
    """No answer arrived in time."""


class StreamInterruptedError(gemway.StreamInterruptedError, ModelConnectionError):
    """A stream broke off before its end."""


class StreamTimeoutError(gemway.StreamTimeoutError, ModelTimeoutError, ModelConnectionError):
    """A stream fell silent."""


class ResponseValidationError(gemway.ResponseValidationError, ModelAPIError):
    """The gateway sent 200 with a body that is not a Gemini response."""


class BadRequestError(gemway.BadRequestError, ModelInvalidRequestError):
    """400: the request is not valid."""


class ContextOverflowError(gemway.ContextOverflowError, langchain.ContextOverflowError, ModelInvalidRequestError):
    """The prompt is larger than the model's window."""


class AuthenticationError(gemway.AuthenticationError, ModelAuthenticationError):
    """401: the gateway does not know the key."""


class PermissionDeniedError(gemway.PermissionDeniedError, ModelPermissionDeniedError):
    """403: the key does not have permission for this."""


class QuotaExceededError(gemway.QuotaExceededError, ModelPermissionDeniedError):
    """The balance or the daily quota is used up."""


class NotFoundError(gemway.NotFoundError, ModelNotFoundError):
    """404: no such model or route."""


class ConflictError(gemway.ConflictError, ModelInvalidRequestError):
    """409."""


class RequestTooLargeError(gemway.RequestTooLargeError, ModelInvalidRequestError):
    """413: the body is larger than the gateway accepts."""


class UnprocessableEntityError(gemway.UnprocessableEntityError, ModelInvalidRequestError):
    """422."""


class RateLimitError(gemway.RateLimitError, ModelRateLimitError):
    """429: too many requests. Retry later."""


class InternalServerError(gemway.InternalServerError, ModelAPIError):
    """5xx: the gateway or the model behind it failed."""


class APIStatusError(gemway.APIStatusError, ModelInvalidRequestError):
    """Any other failure status."""


class EmptyResponseError(gemway.EmptyResponseError, ModelAPIError):
    """An answer arrived, but it contains nothing usable."""


class ConfigurationError(gemway.ConfigurationError, ModelInvalidRequestError):
    """The configuration or the options of a call are wrong. The same call will fail again."""


class UnsupportedContentError(gemway.UnsupportedContentError, ModelInvalidRequestError):
    """A message contains something that cannot be sent. The same call will fail again."""


class ContentBlockedError(gemway.ContentBlockedError, ModelInvalidRequestError):
    """The prompt or the answer was blocked. The same call will fail again."""


if TYPE_CHECKING:

    class ModelRefusalError(OutputParserException):
        """The model or a filter refused to answer."""

        def __init__(self, message: str, *, raw_message: Any = None) -> None: ...

else:
    # From 1.7.5 on langchain-core has a class for refusals. Ours is that one and the parser's as well, so that code
    # written for either version catches it.
    _refusal = getattr(langchain, "ModelRefusalError", None)

    class ModelRefusalError(*((_refusal, OutputParserException) if _refusal else (OutputParserException,))):
        """The model or a filter refused to answer."""

        def __init__(self, message: str, *, raw_message: Any = None) -> None:
            OutputParserException.__init__(self, message)
            self.raw_message = raw_message


# By the class of gemway's, which each of these names first.
_BOTH: dict[type[Exception], type[Exception]] = {
    both.__mro__[1]: both
    for both in (
        APIConnectionError,
        APITimeoutError,
        StreamInterruptedError,
        StreamTimeoutError,
        ResponseValidationError,
        BadRequestError,
        ContextOverflowError,
        AuthenticationError,
        PermissionDeniedError,
        QuotaExceededError,
        NotFoundError,
        ConflictError,
        RequestTooLargeError,
        UnprocessableEntityError,
        RateLimitError,
        InternalServerError,
        APIStatusError,
        EmptyResponseError,
        ConfigurationError,
        UnsupportedContentError,
        ContentBlockedError,
    )
}


def to_langchain(error: gemway.GemwayError) -> gemway.GemwayError:
    """Return *error* as the class that is also LangChain's, with all its attributes."""
    both = next((_BOTH[kind] for kind in type(error).__mro__ if kind in _BOTH), None)
    if both is None or isinstance(error, both):
        return error
    # Not through the constructors, which would need all that the first one was given; some hold a whole response.
    twin = both.__new__(both, *error.args)
    twin.args = error.args
    twin.__dict__.update(error.__dict__)
    return cast("gemway.GemwayError", twin)


@contextmanager
def langchain_errors() -> Iterator[None]:
    """Raise the core's errors as errors of both kinds."""
    try:
        yield
    except gemway.GemwayError as error:
        twin = to_langchain(error)
        if twin is error:
            raise
        cause = error.__cause__
    else:
        return
    # Outside the handler: raised inside, the core's error would be the context of its own twin, printed twice.
    raise twin from cause
