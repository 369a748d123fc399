"""The output of the demo in the terminal. Knows rich, and nothing of models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from examples.demo.report import Report

T = TypeVar("T")


class Screen:
    """Headings, prompts, answers as they arrive, and progress where something takes long."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def title(self, address: str, what: str, models: tuple[str, str]) -> None:
        """Show the gateway and the models."""
        text = f"gateway   {address} ({what})\nmodel     {models[0]}\npictures  {models[1]}"
        self._console.print(Panel(text, title="gemway", expand=False))

    def part(self, number: int, of: int, title: str) -> None:
        """Begin a part."""
        self._console.print()
        self._console.rule(f"[bold]{number}/{of}  {title}", align="left")

    def prompt(self, text: str) -> None:
        """Show a question."""
        self._console.print("> ", style="bold cyan", end="")
        self._console.print(text, style="cyan", markup=False)

    def answer(self, text: str) -> None:
        """Show a whole answer."""
        self._console.print(text, markup=False)

    def stream(self, pieces: Iterable[str]) -> str:
        """Show an answer while it arrives, and return all of it."""
        whole = ""
        for piece in pieces:
            self._console.print(piece, end="", markup=False, soft_wrap=True)
            whole += piece
        self._console.print()
        return whole

    def note(self, text: str) -> None:
        """Show a remark that is no part of the answer."""
        self._console.print(f"  {text}", style="dim", markup=False)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show that something takes long, and how long it has taken."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(what, total=1)
            yield
            progress.update(task, completed=1)

    def track(self, items: Iterable[T], what: str, total: int) -> Iterator[T]:
        """Yield *items* while a bar shows how many of them are done."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self._console) as progress:
            yield from progress.track(items, description=what, total=total)

    def end(self, report: Report, page: Path, seconds: float) -> None:
        """Say where everything is."""
        table = Table("part", "tokens in", "tokens out", "pictures", box=None, pad_edge=False)
        for exchange in report.exchanges:
            files = ", ".join(str(picture.path) for picture in exchange.pictures)
            table.add_row(exchange.title, f"{exchange.tokens_in:,}", f"{exchange.tokens_out:,}", files)
        self._console.print()
        self._console.rule(f"[bold]Done in {seconds:.0f} s", align="left")
        self._console.print(table)
        self._console.print()
        for picture in (picture for exchange in report.exchanges for picture in exchange.pictures):
            self._console.print(f"picture  {picture.path.resolve()}", markup=False, soft_wrap=True)
        self._console.print(f"page     {page.resolve()}", style="bold", markup=False, soft_wrap=True)
