"""`gemway batch`: ask for every row of a file, show how far it is, and go on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from gemway.batch import BatchReport, BatchStoppedError, duration, read_report, run
from gemway.cli._screen import failed, notes, plain, plain_failures, screen

_PLAIN_SECONDS = 10.0
_SOME_FAILED, _STOPPED, _INTERRUPTED = 3, 4, 130


def batch(  # noqa: PLR0913 - the options of a command, named once
    rows: Annotated[Path | None, typer.Argument(metavar="IN", help="JSON Lines, CSV or Parquet.")] = None,
    out: Annotated[
        str | None,
        typer.Argument(metavar="OUT", help="JSON Lines, or a folder of Parquet parts: NAME.parquet or NAME/."),
    ] = None,
    *,
    model: Annotated[str | None, typer.Option("--model", "-m", envvar="GEMWAY_MODEL", help="Model to use.")] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", help='A template for rows with other columns: "Summarize: {text}".')
    ] = None,
    task: Annotated[str, typer.Option("--task", help="The kind of answer: text, image or embed.")] = "text",
    config: Annotated[
        str | None, typer.Option("--config", help='JSON with options of each request: {"temperature": 0}.')
    ] = None,
    concurrency: Annotated[
        str, typer.Option("--concurrency", "-c", help="Calls in flight at most; adaptive finds out.")
    ] = "adaptive",
    requests_per_minute: Annotated[float | None, typer.Option("--rpm", help="Requests a minute at most.")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option("--tpm", help="Tokens a minute at most.")] = None,
    max_retries: Annotated[int, typer.Option("--max-retries", help="How often one row may fail.")] = 5,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds to wait for an answer.")] = None,
    ordered: Annotated[bool, typer.Option("--ordered", help="Sort the answers as the input, at the end.")] = False,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Ask for rows with errors, no others.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Ask again for rows that have changed.")] = False,
    prices: Annotated[
        tuple[float, float] | None, typer.Option("--prices", help="Of a million tokens in, and out.")
    ] = None,
    status: Annotated[
        str | None, typer.Option("--status", metavar="OUT", help="Print how far an output is, and end.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one line of JSON.")] = False,
    base_url: Annotated[str | None, typer.Option("--base-url", help="Default: GEMWAY_BASE_URL.")] = None,
) -> None:
    """Ask for every row of a file. Run it again to go on where it stopped, for whatever reason.

    gemway batch questions.jsonl answers.jsonl --model gemini-2.5-flash

    Exit code 0: all rows are answered; 3: some have errors; 4: stopped, as all rows fail alike or the gateway is out of
    reach; 130: stopped by Ctrl-C; 1: bad input or output.
    """
    if status is not None:
        with plain_failures():
            _print_report(read_report(status, prices=prices), as_json=as_json)
        return
    if rows is None or out is None or model is None:
        missing = "IN and OUT" if rows is None or out is None else "--model (or GEMWAY_MODEL)"
        raise typer.BadParameter(f"give {missing}, or --status OUT")
    options: dict[str, Any] = {"prompt": prompt, "task": task, "max_retries": max_retries, "ordered": ordered}
    options |= {"retry_errors": retry_errors, "force": force, "prices": prices, "config": _to_config(config)}
    options |= {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
    options |= {"concurrency": _to_concurrency(concurrency), "base_url": base_url, "timeout": timeout}
    with plain_failures():
        raise typer.Exit(run_and_show(rows, out, model, options, as_json=as_json))


def run_and_show(rows: Any, out: str | Path, model: str, options: dict[str, Any], *, as_json: bool = False) -> int:
    """Run a batch, show its progress and its report, and return the exit code."""
    report = BatchReport()

    def show(now: BatchReport) -> None:
        nonlocal report
        report = now
        display(now)

    try:
        with _display() as display:
            run(rows, out, model=model, on_progress=show, **options)
    except BatchStoppedError as error:
        _print_report(report, as_json=as_json)
        failed(" ".join(str(error).split()))
        return _STOPPED
    except KeyboardInterrupt:
        _print_report(report, as_json=as_json)
        failed("stopped; the calls in flight are finished and written. Run the same command again to go on.")
        return _INTERRUPTED
    _print_report(report, as_json=as_json)
    if report.failed:
        plain(notes, "Rows with errors: ask for them again with --retry-errors.")
    return _SOME_FAILED if report.failed or report.refused else 0


def _print_report(report: BatchReport, *, as_json: bool) -> None:
    if not as_json:
        plain(screen, str(report))
        return
    names = ("total", "rows", "done", "refused", "failed", "errors", "images", "calls", "seconds", "cost")
    figures = {name: getattr(report, name) for name in names}
    plain(screen, json.dumps({**figures, "usage": vars(report.usage)}))


@contextmanager
def _display() -> Iterator[Callable[[BatchReport], None]]:
    """Give a function that shows a report: a live display in a terminal, a line every ten seconds elsewhere."""
    if notes.is_terminal:
        with Live(console=notes, transient=True, auto_refresh=False) as live:
            yield lambda report: live.update(_picture(report), refresh=True)
        return
    last_line = time.monotonic()

    def show(report: BatchReport) -> None:
        nonlocal last_line
        if time.monotonic() - last_line >= _PLAIN_SECONDS:
            last_line = time.monotonic()
            plain(notes, ", ".join(f"{name} {value}" for name, value in _figures(report)))

    yield show


def _picture(report: BatchReport) -> Table:
    """The display: a bar, and all figures below it."""
    table = Table.grid(padding=(0, 2))
    table.add_row("rows", ProgressBar(total=report.total, completed=report.rows, width=40, pulse=report.total is None))
    for name, value in _figures(report):
        table.add_row(name, value)
    return table


def _figures(report: BatchReport) -> list[tuple[str, str]]:
    total = f" of {report.total:,}" if report.total is not None else ""
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in report.errors.most_common(3))
    left = duration(report.seconds_left) if report.seconds_left is not None else "unknown"
    return [
        ("done", f"{report.rows:,}{total}"),
        ("errors", kinds or "none"),
        ("rate", f"{report.rate:,.1f} rows a second, {report.in_flight:,} in flight"),
        ("tokens", f"{report.usage.input_tokens:,} in, {report.usage.output_tokens:,} out"),
        *([("cost", f"{report.cost:,.2f}")] if report.cost is not None else []),
        ("time left", left),
    ]


def _to_concurrency(text: str) -> int | str:
    if text == "adaptive":
        return text
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"--concurrency is a number or adaptive, not {text}") from None


def _to_config(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        config = json.loads(text)
    except ValueError:
        raise typer.BadParameter("--config is not JSON") from None
    if not isinstance(config, dict):
        raise typer.BadParameter('--config is a JSON object, such as {"temperature": 0}')
    return config
