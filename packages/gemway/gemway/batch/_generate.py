"""One picklable callable, batch in, batch out: for Ray Data, Dask, Spark and whatever else maps batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gemway import AsyncClient
from gemway.adapters import hide_secrets
from gemway.batch._arrow import answer_types, import_pyarrow
from gemway.batch._calls import Outcome, RowSender, to_error
from gemway.batch._engine import Engine
from gemway.batch._interrupts import run_in_own_loop
from gemway.batch._options import OPTIONS, open_client, split_options
from gemway.batch._report import BatchReport
from gemway.batch._rows import Row, RowError, RowReader
from gemway.batch._selection import AlikeGuard

COLUMNS: Final = ("answer", "error", "usage", "finish_reason", "images")
"""The columns that a batch gains."""

SPARK_SCHEMA: Final = (
    "answer string, error struct<type:string,status:bigint,message:string,retryable:boolean>,"
    " usage struct<input_tokens:bigint,output_tokens:bigint,thought_tokens:bigint,total_tokens:bigint>,"
    " finish_reason string, images array<binary>"
)
"""The types of these columns, in Spark's words."""

_IN_FLIGHT: Final = 32


class Generate:
    """Answers each row of a batch, many at a time; the batch comes back with the columns `answer`, `error`, `usage`,
    `finish_reason` and `images`.

        generate = Generate(model="gemini-2.5-flash", prompt="Summarize: {text}")
        generate({"text": ["...", "..."]})["answer"]

    A batch is a mapping of columns, a pandas DataFrame, an Arrow table or record batch, a list of rows, or an iterator of
    batches (Spark). It comes back in the same form. `error` is None or has `type`, `status`, `message` and `retryable`; `images`
    are the bytes of pictures.

    Holds settings only, so it can be pickled. The client is made in the worker, at each batch; the key comes from the worker's
    environment, or travels in the pickle if you give one.

    Args:
        model: who answers.
        prompt: a template that the columns fill, such as `"{question}"`. Without it a batch needs a column `prompt`, `request`
            or `image`.
        options: `task`, `config`, `concurrency` (default 32), `max_retries`, `requests_per_minute`, `tokens_per_minute`,
            `patience` of `BatchOptions`, and those of `AsyncClient`.

    Raises:
        BatchStoppedError: 20 rows of a batch failed alike, or the gateway is out of reach. All other errors are rows.
    """

    def __init__(self, model: str, *, prompt: str | None = None, **options: Any) -> None:
        hide_secrets(options, known=OPTIONS)
        self._model = model
        self._options = {"concurrency": _IN_FLIGHT, **options, "prompt": prompt}
        # Mistakes show here, on the driver, which may have neither key nor address.
        AsyncClient(**{"api_key": "none", "base_url": "http://localhost", **split_options(self._options)[1]})

    def __call__(self, batch: Any) -> Any:
        """Return *batch* with the columns of the answers."""
        if isinstance(batch, Iterator):
            return map(self, batch)
        return run_in_own_loop(lambda: self._answered(batch))

    async def _answered(self, batch: Any) -> Any:
        return _with_columns(batch, await self._answers(_to_records(batch)))

    async def _answers(self, records: Sequence[Any]) -> dict[str, list[Any]]:
        """Return the new columns for *records*."""
        chosen, client_options = split_options(self._options)
        reader = RowReader(self._model, chosen.prompt, chosen.task, chosen.config)
        outcomes: dict[int, Outcome] = {}
        guard, report = AlikeGuard(), BatchReport()

        def rows() -> Iterator[Row]:
            for number, record in enumerate(records):
                try:
                    yield reader.to_row(record, number)
                except RowError as error:  # noqa: PERF203 - each row fails alone
                    outcomes[number] = to_error(Row("", number, "", "text", {}, False, ""), error)

        async with open_client(chosen, client_options) as client:
            engine = Engine(rows(), RowSender(client, self._model, chosen.config), chosen.to_pace(), report, chosen)
            async for arrived in engine.outcomes():
                outcomes.update({admitted.row.number: admitted for admitted in guard.admit(arrived)})
                if guard.is_sure:
                    engine.stop()
        outcomes.update({held.row.number: held for held in guard.rest(report)})
        return _to_columns([outcomes[number] for number in range(len(records))], chosen.task == "embed")


class AsyncGenerate(Generate):
    """The same as a coroutine function, for async actors of Ray: `map_batches(AsyncGenerate, ...)`."""

    async def __call__(self, batch: Any) -> Any:
        """Return *batch* with the columns of the answers."""
        return await self._answered(batch)


def _to_columns(outcomes: list[Outcome], has_vectors: bool) -> dict[str, list[Any]]:
    columns = {name: [outcome.columns.get(name) for outcome in outcomes] for name in COLUMNS}
    columns["images"] = [[image.data for image in outcome.images] for outcome in outcomes]
    if has_vectors:
        columns["embedding"] = [outcome.columns.get("embedding") for outcome in outcomes]
    return columns


def _library(batch: Any) -> str:
    return type(batch).__module__.split(".")[0]


def _to_records(batch: Any) -> Sequence[Any]:
    """Return the rows of a batch."""
    if isinstance(batch, Mapping):
        return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    if _library(batch) == "pandas":
        return list(batch.to_dict("records"))
    if _library(batch) == "pyarrow":
        return list(batch.to_pylist())
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return batch
    raise TypeError(
        f"a batch is a mapping of columns, a DataFrame, an Arrow table or a list, not {type(batch).__name__}"
    )


def _with_columns(batch: Any, columns: dict[str, list[Any]]) -> Any:
    """Return a batch of the same kind with more columns."""
    if isinstance(batch, Mapping):
        if all(_library(values) == "numpy" for values in batch.values()):
            return {**batch, **{name: _to_numpy(values) for name, values in columns.items()}}
        return {**batch, **columns}
    if _library(batch) == "pandas":
        import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]  # the user's

        series = {name: pandas.Series(values, index=batch.index, dtype=object) for name, values in columns.items()}
        return batch.assign(**series)
    if _library(batch) == "pyarrow":
        return _with_arrow_columns(batch, columns)
    records = [{"prompt": record} if isinstance(record, str) else record for record in batch]
    added = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [{**record, **more} for record, more in zip(records, added, strict=True)]


def _to_numpy(values: list[Any]) -> Any:
    import numpy

    array = numpy.empty(len(values), dtype=object)
    array[:] = values
    return array


def _with_arrow_columns(batch: Any, columns: dict[str, list[Any]]) -> Any:
    """Return a table or record batch with columns of fixed types, so that a batch without errors fits one with errors."""
    types = answer_types()
    for name, values in columns.items():
        batch = batch.append_column(name, import_pyarrow().array(values, types[name]))
    return batch
