"""The options of a batch, named once for `run`, `arun`, `stream` and `Generate`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from random import Random
from typing import Any, Final, Literal, get_args

from gemway import AsyncClient, ConfigurationError
from gemway.batch._pace import Pace
from gemway.batch._report import BatchReport
from gemway.batch._rows import Task


@dataclass(frozen=True)
class BatchOptions:
    """How a batch runs. All other options go to the `AsyncClient` (`api_key`, `base_url`, `timeout`, ...).

    Attributes:
        prompt: a template for rows that have columns of their own, such as `"Summarize: {text}"`.
        task: the kind of answer to a prompt: `"text"`, `"image"` or `"embed"`.
        config: for text, google-genai's `GenerateContentConfig` or a dict with its fields; for pictures and vectors, options
            of `generate_image` and `embed_content`.
        concurrency: calls in flight at most; `"adaptive"` finds out how many the gateway bears.
        requests_per_minute, tokens_per_minute: ceilings.
        max_retries: how often one row may fail by itself. 429s and outages slow the batch down and are not counted;
            with 0 nothing is repeated.
        patience: seconds without any answer after which the batch stops.
        ordered: in the input's order instead of the order of arrival.
        retry_errors: ask again for the rows of the output that have an error, and for no others.
        force: ask again for rows whose request or model has changed since they were answered.
        prices: money per million input and output tokens, for the report.
        on_progress: called twice a second with the report.
        client: an `AsyncClient` to use instead of one of the batch's own; not closed.
    """

    prompt: str | None = None
    task: Task = "text"
    config: Mapping[str, Any] | None = None
    concurrency: int | Literal["adaptive"] = "adaptive"
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_retries: int = 5
    patience: float = 600.0
    ordered: bool = False
    retry_errors: bool = False
    force: bool = False
    prices: tuple[float, float] | None = None
    on_progress: Callable[[BatchReport], object] | None = None
    client: AsyncClient | None = None

    def __post_init__(self) -> None:
        counts = {"concurrency": self.concurrency, "requests_per_minute": self.requests_per_minute}
        for name, value in {**counts, "tokens_per_minute": self.tokens_per_minute}.items():
            if value not in (None, "adaptive") and (isinstance(value, bool | str) or not value > 0):
                raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")
        if self.task not in get_args(Task):
            raise ConfigurationError(f"task must be one of {', '.join(get_args(Task))}, not {self.task!r}")
        if self.prices is not None and min(self.prices) < 0:
            raise ConfigurationError(f"prices must be 0 or more, not {self.prices!r}")
        if self.max_retries < 0:
            raise ConfigurationError(f"max_retries must be 0 or more, not {self.max_retries!r}")

    def to_pace(self) -> Pace:
        """Return the pace of a batch that starts now."""
        return Pace(
            asyncio.get_running_loop().time(),
            Random(),  # noqa: S311 - for jitter
            self.concurrency,
            self.requests_per_minute,
            self.tokens_per_minute,
        )


OPTIONS: Final = frozenset(option.name for option in fields(BatchOptions))


def split_options(options: Mapping[str, Any]) -> tuple[BatchOptions, dict[str, Any]]:
    """Return the options of the batch and those of the client."""
    mine = {name: value for name, value in options.items() if name in OPTIONS}
    return BatchOptions(**mine), {name: value for name, value in options.items() if name not in OPTIONS}


@asynccontextmanager
async def open_client(options: BatchOptions, client_options: dict[str, Any]) -> AsyncIterator[AsyncClient]:
    """The client of a batch; the user's own stays open."""
    if options.client is not None:
        if client_options:
            raise ConfigurationError(f"{', '.join(client_options)}: give this to the client instead")
        yield options.client
        return
    async with AsyncClient(**client_options) as client:
        yield client
