"""Run a batch: rows in, answers out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal

from gemway import ConfigurationError
from gemway.adapters import hide_secrets
from gemway.batch._calls import Outcome, RowSender
from gemway.batch._engine import Engine
from gemway.batch._index import RowIndex
from gemway.batch._interrupts import StopRequest, run_to_end
from gemway.batch._options import OPTIONS, BatchOptions, open_client, split_options
from gemway.batch._output import Output, open_output
from gemway.batch._report import BatchReport
from gemway.batch._rows import RowReader
from gemway.batch._selection import AlikeGuard, RowSelector


def run(rows: Any, out: str | Path, *, model: str, **options: Any) -> BatchReport:
    """Ask for all *rows* and write the answers to *out*; return the figures.

    You can run it again at any time: rows that were answered are not asked again. The first Ctrl-C lets the calls in
    flight end, a second one does not.

    Args:
        rows: the path of a JSON Lines, CSV or Parquet file, or an iterable or async iterable of rows. A row is a text, or a
            mapping with `prompt`, `request`, `image` or `embed`, and an `id` if it has one.
        out: the JSON Lines file to write; or, with a name that ends with `.parquet` or a slash, a folder for Parquet parts
            (needs `gemway[parquet]`). Pictures go to a folder next to it.
        model: the model that answers.
        options: see `BatchOptions`; all others are those of `AsyncClient`.

    Raises:
        RowError: a row cannot be used. A file is checked before anything is asked.
        ChangedRowsError: *out* holds answers for another model or other prompts.
        BatchStoppedError: the first 20 rows failed alike, or the gateway was out of reach for too long.
        OSError: *out* cannot be written.
    """
    hide_secrets(options, known=OPTIONS)
    return run_to_end(lambda request: _run_batch(rows, out, model, options, request))


async def arun(rows: Any, out: str | Path, *, model: str, **options: Any) -> BatchReport:
    """Do the same as `run` in an event loop. Cancelling it ends the calls in flight at once."""
    hide_secrets(options, known=OPTIONS)
    return await _run_batch(rows, out, model, options, StopRequest())


async def stream(rows: Any, *, model: str, **options: Any) -> AsyncGenerator[dict[str, Any], None]:
    """Ask for all *rows* and yield each row with its answer or error, as `run` writes them; pictures are `gemway.Image`s.

    Nothing is kept: a program that stops begins anew.
    """
    hide_secrets(options, known=OPTIONS)
    chosen, client_options = split_options(options)
    report, guard = BatchReport(prices=chosen.prices), AlikeGuard()
    reader = RowReader(model, chosen.prompt, chosen.task, chosen.config)
    with closing(RowIndex()) as index:
        selector = RowSelector(reader, index, chosen)
        async with open_client(chosen, client_options) as client:
            engine = Engine(
                selector.select(rows),
                RowSender(client, model, chosen.config),
                chosen.to_pace(),
                report,
                chosen,
                in_order=chosen.ordered,
            )
            async with aclosing(engine.outcomes()) as outcomes:
                async for arrived in outcomes:
                    for admitted in guard.admit(arrived):
                        yield {
                            "id": admitted.row.id,
                            "row": admitted.row.number,
                            **admitted.columns,
                            "images": admitted.images,
                        }
                    if guard.is_sure:
                        engine.stop()
        for held in guard.rest(report):
            yield {"id": held.row.id, "row": held.row.number, **held.columns, "images": []}


async def _run_batch(
    rows: Any, out: str | Path, model: str, options: dict[str, Any], request: StopRequest
) -> BatchReport:
    chosen, client_options = split_options(options)
    _refuse_input_as_output(rows, Path(out))
    reader = RowReader(model, chosen.prompt, chosen.task, chosen.config)
    async with open_client(chosen, client_options) as client:
        with await asyncio.to_thread(open_output, out) as output:
            output.report.prices = chosen.prices
            selector = RowSelector(reader, output.index, chosen)
            if isinstance(rows, str | Path | Sequence):
                output.report.total, output.report.to_ask = await asyncio.to_thread(selector.check, rows)

            sender = RowSender(client, model, chosen.config, output.save_images)
            engine = Engine(selector.select(rows), sender, chosen.to_pace(), output.report, chosen)
            request.bind(engine.stop)
            async with _sync_and_show(output, chosen):
                await _write_answers(engine, output, model)
            output.raise_problem()
            await asyncio.to_thread(output.finish, in_input_order=chosen.ordered)
    return output.report


def _refuse_input_as_output(rows: Any, out: Path) -> None:
    if isinstance(rows, str | Path) and out.resolve() in (Path(rows).resolve(), *Path(rows).resolve().parents[:1]):
        raise ConfigurationError(f"{out} is the input; give another name for the output")


async def _write_answers(engine: Engine, output: Output, model: str) -> None:
    guard = AlikeGuard()
    async with aclosing(engine.outcomes()) as outcomes:
        async for arrived in outcomes:
            output.append([_to_line(outcome, model) for outcome in guard.admit(arrived)])
            if guard.is_sure or output.problem is not None:
                engine.stop()
    output.append([_to_line(outcome, model) for outcome in guard.rest(output.report)])


def _to_line(outcome: Outcome, model: str) -> dict[str, Any]:
    row = outcome.row
    return {
        "id": row.id,
        "row": row.number,
        **outcome.columns,
        "model": model,
        "hash": row.fingerprint,
        "time": round(time.time(), 3),
    }


@asynccontextmanager
async def _sync_and_show(output: Output, options: BatchOptions) -> AsyncIterator[None]:
    """Twice a second, flush the rows to the disk and show the progress.

    A disk flushes a few dozen times a second, so waiting for it after every row would be slower than most gateways.
    """
    began = time.monotonic()
    ended = asyncio.Event()

    async def sync_until_the_end() -> None:
        waiting = asyncio.create_task(ended.wait())
        has_ended: set[asyncio.Task[Literal[True]]] = set()
        while not has_ended:
            has_ended, _ = await asyncio.wait({waiting}, timeout=0.5)
            try:
                await asyncio.to_thread(output.sync)
            except OSError as error:
                output.problem = output.problem or OSError(error.errno, error.strerror, str(output.path))
            show()

    def show() -> None:
        output.report.seconds = time.monotonic() - began
        if options.on_progress is not None:
            options.on_progress(output.report)

    task = asyncio.create_task(sync_until_the_end())
    try:
        yield
    finally:
        ended.set()
        await task
