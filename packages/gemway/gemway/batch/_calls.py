"""Send the request of one row, or of many texts to embed, and turn the answer into columns or a typed error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from gemway import (
    APIError,
    AsyncClient,
    BadRequestError,
    ContentBlockedError,
    EmptyResponseError,
    Image,
    RequestTooLargeError,
    ResponseValidationError,
    UnprocessableEntityError,
    types,
)
from gemway.adapters import raise_if_blocked, surely_not_begun
from gemway.batch._pace import Signal
from gemway.batch._rows import Row, to_embedding_input, to_images, to_request

Columns: TypeAlias = dict[str, Any]
"""The columns that a row gains, as JSON."""

# Google refuses more than 100 texts in one batchEmbedContents; the client splits a request above 8 MB, and a character
# takes up to four bytes.
_MOST_TEXTS: Final = 100
_MOST_CHARACTERS: Final = 2_000_000

# One text of a request may be the cause of these; all others concern the whole request.
_OF_ONE_TEXT: Final = (BadRequestError, UnprocessableEntityError, RequestTooLargeError)


@dataclass
class Outcome:
    """How a row ended.

    Attributes:
        columns: `answer` (or `embedding`), `finish_reason`, `usage` and `function_calls`, or `error`, and `usage` if
            something was billed.
        images: the pictures of the answer.
        error: why there is no answer, or None.
    """

    row: Row
    columns: Columns
    images: list[Image] = field(default_factory=list)
    error: Exception | None = None


class RowSender:
    """Sends rows once each, through one client.

    Args:
        save_images: stores the pictures of a row and returns their paths; without it they stay in the outcome.
    """

    def __init__(
        self,
        client: AsyncClient,
        model: str,
        config: Mapping[str, Any] | None,
        save_images: Callable[[str, list[Image]], list[str]] | None = None,
    ) -> None:
        self._client = client
        self._model = model
        self._config = config
        self._options: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
        self._save_images = save_images
        self._most_texts = min(_MOST_TEXTS, int(self._options.get("batch_size") or _MOST_TEXTS))
        self._group_size = self._most_texts

    async def send(self, rows: Sequence[Row]) -> list[Outcome]:
        """Send one request for *rows*: a single row, or texts to embed. Raises the client's errors.

        Texts that are missing in the result were not refused: they are to be sent again in smaller groups.
        """
        row = rows[0]
        if row.task == "embed":
            return await self._embed_texts(rows)
        if row.task == "image":
            options = {**self._options, **row.body, "images": to_images(row.body)}
            prompt = options.pop("prompt")
            response = await self._client.generate_image(prompt, model=self._model, max_retries=0, **options)
        else:
            response = await self._client.generate_content(
                self._model, to_request(row.body), config=self._config, max_retries=0
            )
        outcome = to_outcome(row, response)
        if outcome.images and self._save_images is not None:
            outcome.columns["images"] = await asyncio.to_thread(self._save_images, row.id, outcome.images)
        return [outcome]

    def has_room(self, rows: Sequence[Row]) -> bool:
        """Whether another text to embed may travel in the request for *rows*."""
        return (
            is_text_to_embed(rows[0])
            and len(rows) < self._group_size
            and sum(len(row.body["prompt"]) for row in rows) < _MOST_CHARACTERS
        )

    async def _embed_texts(self, rows: Sequence[Row]) -> list[Outcome]:
        inputs = [to_embedding_input(row.body) for row in rows]
        try:
            result = await self._client.embed_content(self._model, inputs, max_retries=0, **self._options)
        except APIError as error:
            return self._to_partial_outcomes(rows, error)
        if result.route == "single":
            self._group_size = 1  # the gateway takes one text a request, and the pace must count each of them
        elif len(rows) > 1:
            self._group_size = min(self._most_texts, self._group_size + 10)
        return _to_vectors(rows, result.vectors, result.usage_metadata)

    def _to_partial_outcomes(self, rows: Sequence[Row], error: APIError) -> list[Outcome]:
        """Return the texts that were embedded before *error*, and those that it concerns."""
        place = error.input_index or 0
        error.message = error.message.removeprefix(f"input {place} of {len(rows)}: ")
        partial, error.partial = error.partial, None
        if partial is None:
            raise error
        outcomes = _to_vectors(rows, partial.vectors, partial.usage_metadata)
        embedded = [outcome for outcome in outcomes if outcome.columns["embedding"] is not None]
        if isinstance(error, ResponseValidationError) and len(rows) > 1:
            # A gateway that merges several texts into one vector, or a text whose vector is not finite.
            self._group_size = max(1, len(rows) // 2)
            return embedded
        if isinstance(error, _OF_ONE_TEXT):
            return [*embedded, to_error(rows[place], error)]
        missing = [outcome.row for outcome in outcomes if outcome.columns["embedding"] is None]
        return [*embedded, *(to_error(row, error) for row in missing)]


def is_text_to_embed(row: Row) -> bool:
    """Whether *row* may share a request with others. Pictures travel alone: not every route takes them."""
    return row.task == "embed" and "images" not in row.body


def _to_vectors(rows: Sequence[Row], vectors: Sequence[Any], usage: types.UsageMetadata | None) -> list[Outcome]:
    """Return an outcome for each row; the tokens of the request are shared out by the length of the texts.

    The gateway counts the tokens of a request only. Shares are cut from a running total, so rounding errors do not add up and the sum is exact.
    """
    embedded = [row for row, vector in zip(rows, vectors, strict=True) if vector is not None]
    shares = _share_usage(to_usage(usage), [len(row.body["prompt"]) for row in embedded])
    usages = {row.number: share for row, share in zip(embedded, shares, strict=True)}
    return [
        Outcome(
            row, {"embedding": None if vector is None else list(map(float, vector)), "usage": usages.get(row.number)}
        )
        for row, vector in zip(rows, vectors, strict=True)
    ]


def _share_usage(usage: dict[str, int] | None, lengths: list[int]) -> list[dict[str, int] | None]:
    if usage is None:
        return [None] * len(lengths)
    total, before, shares = sum(lengths), 0, []
    for length in lengths:
        after = before + length
        shares.append({name: count * after // total - count * before // total for name, count in usage.items()})
        before = after
    return list(shares)


def to_outcome(row: Row, response: types.GenerateContentResponse) -> Outcome:
    """Return the columns of an answer. Raises `ContentBlockedError` if prompt or answer were blocked."""
    raise_if_blocked(response)
    columns: Columns = {
        "answer": response.text,
        "finish_reason": response.finish_reason,
        "usage": to_usage(response.usage_metadata),
    }
    if calls := response.function_calls:
        columns["function_calls"] = [{"name": call.name, "args": call.args} for call in calls]
    return Outcome(row, columns, response.images)


def to_error(row: Row, error: Exception) -> Outcome:
    """Return the columns of a row that failed."""
    columns: Columns = {"error": to_error_columns(error)}
    if isinstance(error, ContentBlockedError | EmptyResponseError) and error.response is not None:
        columns["usage"] = to_usage(error.response.usage_metadata)
    return Outcome(row, columns, error=error)


def to_error_columns(error: Exception) -> Columns:
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
    """Return how *error* counts for the gateway's load; if only the row is wrong, the gateway is fine."""
    if not isinstance(error, APIError) or not error.is_retryable:
        return "ok"
    return "refused" if error.status_code == 429 else "trouble"
