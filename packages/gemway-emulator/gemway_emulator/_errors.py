"""Errors in Google's JSON: `{"error": {"code", "message", "status", "details"}}`. Knows no HTTP framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Google's name for each HTTP status, and its words where no others are given.
_STATUSES = {
    400: ("INVALID_ARGUMENT", ""),
    401: (
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected an API key as Bearer token.",
    ),
    403: ("PERMISSION_DENIED", ""),
    404: ("NOT_FOUND", ""),
    405: ("NOT_FOUND", ""),
    408: ("DEADLINE_EXCEEDED", ""),
    409: ("ABORTED", ""),
    413: ("INVALID_ARGUMENT", ""),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    499: ("CANCELLED", ""),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    501: ("UNIMPLEMENTED", ""),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
}


class GoogleError(Exception):
    """A failure with the HTTP status *code* and the body Google would send for it, or *replaced* in its place.

    It is an answer too, and can be scripted: *delay* seconds pass before it.
    """

    def __init__(
        self,
        code: int,
        message: str | None = None,
        *,
        status: str | None = None,
        details: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        replaced: bytes | None = None,
        delay: float = 0.0,
    ) -> None:
        name, words = _STATUSES.get(code, ("UNKNOWN", ""))
        self.code, self.status = code, status or name
        self.message = message or words or f"The request failed with status {code}."
        self.details = [dict(detail) for detail in details]
        self.headers, self.replaced, self.delay = dict(headers or {}), replaced, delay
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The JSON body, `details` only where there are some."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return {"error": error}


def invalid_argument(message: str, *, field: str | None = None) -> GoogleError:
    """A 400 about the request; *field* becomes a `google.rpc.BadRequest` violation."""
    return bad_request([(field, message)] if field else [], message)


def bad_request(violations: Sequence[tuple[str, str]], message: str | None = None) -> GoogleError:
    """A 400 that lists (field, description) pairs, as Google does."""
    text = message or "\n".join(description for _, description in violations)
    detail = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": description} for field, description in violations],
    }
    return GoogleError(400, text, details=[detail] if violations else [])


def unauthenticated() -> GoogleError:
    """The 401 for a missing or wrong Bearer token; it never repeats what was sent."""
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "CREDENTIALS_MISSING",
        "domain": "googleapis.com",
    }
    return GoogleError(401, details=[detail])


def unknown_model(model: str, action: str, version: str) -> GoogleError:
    """The 404 for a model that this gateway does not serve, or not with this method."""
    return GoogleError(
        404,
        f"models/{model} is not found for API version {version}, or is not supported for {action}. "
        "Call ListModels to see the list of available models and their supported methods.",
    )


def unknown_route(method: str, path: str) -> GoogleError:
    """The 404 for a path or method outside the API."""
    return GoogleError(404, f"The requested URL was not found on this server: {method} {path}")


def openai_error(error: GoogleError) -> dict[str, Any]:
    """The body new-api would send for *error*."""
    inner = {"message": error.message, "type": "new_api_error", "param": "", "code": error.status.lower()}
    return {"error": inner}


def openai_embeddings_error(error: GoogleError) -> dict[str, Any]:
    """The body of *error* on OpenAI's embedding route."""
    code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(error.code)
    kind = "server_error" if error.code >= 500 else "invalid_request_error"
    return {"error": {"message": error.message, "type": kind, "param": None, "code": code}}
