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
    # The first releases of langchain-core 1.6 have fewer of these; what is missing is stood in for by its base.
    _base = getattr(langchain, "ModelError", langchain.LangChainException)
    ModelAPIError = getattr(langchain, "ModelAPIError", type("ModelAPIError", (_base,), {}))
    ModelAuthenticationError = getattr(
        langchain, "ModelAuthenticationError", type("ModelAuthenticationError", (_base,), {})
    )
    ModelConnectionError = getattr(langchain, "ModelConnectionError", type("ModelConnectionError", (_base,), {}))
    ModelInvalidRequestError = getattr(
        langchain, "ModelInvalidRequestError", type("ModelInvalidRequestError", (_base,), {})
    )
    ModelNotFoundError = getattr(langchain, "ModelNotFoundError", type("ModelNotFoundError", (_base,), {}))
    ModelPermissionDeniedError = getattr(
        langchain, "ModelPermissionDeniedError", type("ModelPermissionDeniedError", (_base,), {})
    )
    ModelRateLimitError = getattr(langchain, "ModelRateLimitError", type("ModelRateLimitError", (_base,), {}))
    ModelTimeoutError = getattr(langchain, "ModelTimeoutError", type("ModelTimeoutError", (_base,), {}))


class APIConnectionError(gemway.APIConnectionError, ModelConnectionError):
    """No answer came: refused, reset, cut off or not trusted."""


class APITimeoutError(gemway.APITimeoutError, ModelTimeoutError, ModelConnectionError):
    """No answer came in time."""


class StreamInterruptedError(gemway.StreamInterruptedError, ModelConnectionError):
    """A stream broke off before its end."""


class StreamTimeoutError(gemway.StreamTimeoutError, ModelTimeoutError, ModelConnectionError):
    """A stream fell silent."""


class ResponseValidationError(gemway.ResponseValidationError, ModelAPIError):
    """The gateway answered 200 with something that is no Gemini answer."""


class BadRequestError(gemway.BadRequestError, ModelInvalidRequestError):
    """400: the request is not valid."""


class ContextOverflowError(gemway.ContextOverflowError, langchain.ContextOverflowError, ModelInvalidRequestError):
    """The prompt is larger than the model's window."""


class AuthenticationError(gemway.AuthenticationError, ModelAuthenticationError):
    """401: the gateway does not know the key."""


class PermissionDeniedError(gemway.PermissionDeniedError, ModelPermissionDeniedError):
    """403: the key may not do this."""


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
    """429: later requests will be served."""


class InternalServerError(gemway.InternalServerError, ModelAPIError):
    """5xx: the gateway or the model behind it failed."""


class APIStatusError(gemway.APIStatusError, ModelInvalidRequestError):
    """Another status that means failure."""


class EmptyResponseError(gemway.EmptyResponseError, ModelAPIError):
    """An answer came, and nothing usable is in it."""


class ConfigurationError(gemway.ConfigurationError, ModelInvalidRequestError):
    """The set-up or the options of a call cannot work: the same call will fail again."""


class UnsupportedContentError(gemway.UnsupportedContentError, ModelInvalidRequestError):
    """A message holds something that cannot be sent: the same call will fail again."""


class ContentBlockedError(gemway.ContentBlockedError, ModelInvalidRequestError):
    """The prompt or the answer was blocked: the same call will fail again."""


if TYPE_CHECKING:

    class ModelRefusalError(OutputParserException):
        """The model or a filter refused to answer."""

        def __init__(self, message: str, *, raw_message: Any = None) -> None: ...

else:
    # Where langchain-core has it (1.7.5), its class and the parser's: code for either version catches it.
    _refusal = getattr(langchain, "ModelRefusalError", None)

    class ModelRefusalError(*((_refusal, OutputParserException) if _refusal else (OutputParserException,))):
        """The model or a filter refused to answer."""

        def __init__(self, message: str, *, raw_message: Any = None) -> None:
            OutputParserException.__init__(self, message)
            self.raw_message = raw_message


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
    """Return *error* as the class that is LangChain's too, with everything it carries."""
    both = next((_BOTH[kind] for kind in type(error).__mro__ if kind in _BOTH), None)
    if both is None or isinstance(error, both):
        return error
    twin = both.__new__(both, *error.args)
    twin.args = error.args
    twin.__dict__.update(error.__dict__)
    return cast("gemway.GemwayError", twin)


@contextmanager
def langchain_errors() -> Iterator[None]:
    """Raise what the core raises inside as errors of both kinds."""
    try:
        yield
    except gemway.GemwayError as error:
        twin = to_langchain(error)
        if twin is error:
            raise
        cause = error.__cause__
    else:
        return
    raise twin from cause
