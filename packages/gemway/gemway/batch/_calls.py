"""Ask for one row, and turn what comes back into the columns of an answer or of a typed error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gemway import (
    APIError,
    AsyncClient,
    ContentBlockedError,
    EmptyResponseError,
    Image,
    types,
)
from gemway.adapters import raise_if_blocked, surely_not_begun
from gemway.batch._pace import Signal
from gemway.batch._rows import Row, to_images, to_request


@dataclass
class Outcome:
    """What became of a row.

    Attributes:
        columns: `answer` (or `embedding`), `finish_reason`, `usage` and `function_calls`, or `error`, and `usage` if
            something was billed.
        images: the pictures of the answer.
        error: why there is no answer, or None.
    """

    row: Row
    columns: dict[str, Any]
    images: list[Image] = field(default_factory=list)
    error: Exception | None = None


async def ask(client: AsyncClient, row: Row, model: str, config: Mapping[str, Any] | None) -> Outcome:
    """Send the request of *row* once. Raises what the client raises."""
    if row.task == "embed":
        result = await client.embed_content(model, row.body["prompt"], max_retries=0, **(config or {}))
        columns = {"embedding": list(map(float, result.vectors[0])), "usage": to_usage(result.usage_metadata)}
        return Outcome(row, columns)
    if row.task == "image":
        options = {**(config or {}), **row.body, "images": to_images(row.body)}
        prompt = options.pop("prompt")
        return to_outcome(row, await client.generate_image(prompt, model=model, max_retries=0, **options))
    return to_outcome(row, await client.generate_content(model, to_request(row.body), config=config, max_retries=0))


def to_outcome(row: Row, response: types.GenerateContentResponse) -> Outcome:
    """Return the columns of an answer. Raises `ContentBlockedError` if prompt or answer were blocked."""
    raise_if_blocked(response)
    columns: dict[str, Any] = {
        "answer": response.text,
        "finish_reason": response.finish_reason,
        "usage": to_usage(response.usage_metadata),
    }
    if calls := response.function_calls:
        columns["function_calls"] = [{"name": call.name, "args": call.args} for call in calls]
    return Outcome(row, columns, response.images)


def to_error(row: Row, error: Exception) -> Outcome:
    """Return the columns of a row that failed."""
    columns: dict[str, Any] = {"error": error_columns(error)}
    if isinstance(error, ContentBlockedError | EmptyResponseError) and error.response is not None:
        columns["usage"] = to_usage(error.response.usage_metadata)
    return Outcome(row, columns, error=error)


def error_columns(error: Exception) -> dict[str, Any]:
    """Return an error as JSON: type, HTTP status, message, and whether the same row may succeed later."""
    return {
        "type": type(error).__name__,
        "status": error.status_code if isinstance(error, APIError) else None,
        "message": str(error),
        "retryable": isinstance(error, APIError) and bool(error.is_retryable),
    }


def to_usage(usage: types.UsageMetadata | None) -> dict[str, int] | None:
    """Return the tokens of an answer, or None if the gateway did not count them. The output includes thoughts."""
    if usage is None:
        return None
    thoughts = usage.thoughts_token_count or 0
    prompt, output = usage.prompt_token_count or 0, (usage.candidates_token_count or 0) + thoughts
    return {
        "input_tokens": prompt,
        "output_tokens": output,
        "thought_tokens": thoughts,
        "total_tokens": usage.total_token_count or prompt + output,
    }


def may_repeat(row: Row, error: Exception) -> bool:
    """Whether *row* may be asked again by itself after *error*.

    A picture may have been made and billed although no answer came, so it is repeated only if the gateway surely did not
    begin with it; `retry_errors` repeats the others on request.
    """
    if not isinstance(error, APIError) or not error.is_retryable:
        return False
    return row.task != "image" or surely_not_begun(error)


def to_signal(error: Exception | None) -> Signal:
    """Return what *error* means for the gateway's load; if only the row is wrong, the gateway is well."""
    if not isinstance(error, APIError) or not error.is_retryable:
        return "ok"
    return "refused" if error.status_code == 429 else "trouble"
