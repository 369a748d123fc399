"""The program's output in the terminal. Knows rich, and nothing of models."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from examples.rag.answering import Citation
    from examples.rag.evaluation import Verdict
    from examples.rag.ingestion import Outcome

T = TypeVar("T")


class Screen:
    """Answers as they arrive, their sources, and progress where something takes long."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def note(self, text: str) -> None:
        """Show a remark that is no part of the answer."""
        self._console.print(text, style="dim", markup=False, soft_wrap=True)

    def track(self, items: list[T], description: str) -> Generator[T, None, None]:
        """Yield *items* while a bar shows how many of them are done."""
        if not items:
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self._console) as progress:
            yield from progress.track(items, description=description)

    def outcome(self, outcome: Outcome, pieces: int) -> None:
        """Summarise an ingestion."""
        for name, reason in outcome.skipped.items():
            self._print_line(f"skipped {name}: {reason}", "yellow")
        counts = {"embedded": outcome.embedded, "unchanged": outcome.unchanged, "removed": outcome.removed}
        done = ", ".join(f"{len(names)} {state}" for state, names in counts.items())
        self._print_line(
            f"{done}, {len(outcome.skipped)} skipped; the library has {pieces} pieces, {outcome.pieces} embedded now",
            "bold",
        )
        if outcome.left:
            self._print_line(f"stopped: {outcome.left} still to embed; run ingest again to continue", "yellow")

    def question(self) -> str | None:
        """Return the line that the user types, or None at the end of the input."""
        try:
            return self._console.input("[bold cyan]you> [/]").strip()
        except EOFError:
            self._console.print()
            return None

    def piece(self, text: str) -> None:
        """Show the next piece of an answer."""
        self._console.print(text, end="", markup=False, soft_wrap=True)

    def stream(self, pieces: Iterable[str]) -> str:
        """Show an answer while it arrives, and return all of it."""
        whole = ""
        try:
            for piece in pieces:
                self.piece(piece)
                whole += piece
        finally:
            self._console.print()
        return whole

    def sources(self, sources: list[Citation], cited: set[int]) -> None:
        """List the sources of an answer, those that it cites in bright."""
        for source in sources:
            style = "green" if source.number in cited else "dim"
            self._print_line(
                f"[{source.number}] {source.place}  {source.score:.3f}  {_shorten(source.text, 60)}", style
            )

    def chat_sources(self, sources: list[Citation]) -> None:
        """Name the sources of a chat's answer in one line, below it."""
        self._console.print()
        self.note("from: " + ", ".join(f"{source.place} ({source.score:.3f})" for source in sources))

    def verdicts(self, verdicts: list[Verdict], shares: dict[str, float]) -> None:
        """Show the verdicts of an evaluation."""
        texts = [Column(name, overflow="fold") for name in ("question", "answer", "best source")]
        table = Table(*texts, Column("faithful", no_wrap=True), Column("relevant", no_wrap=True), show_lines=True)
        for verdict in verdicts:
            cells = (verdict.question, _shorten(verdict.answer, 120), verdict.sources[0])
            table.add_row(*map(Text, cells), _yes_or_no(verdict.faithful), _yes_or_no(verdict.relevant))
        self._console.print(table)
        self._print_line(", ".join(f"{name} {share:.0%}" for name, share in shares.items()), "bold")

    def error(self, text: str) -> None:
        """Show an error, on the error output."""
        Console(stderr=True, highlight=False).print(f"error: {text}", style="red", markup=False, soft_wrap=True)

    def _print_line(self, text: str, style: str) -> None:
        self._console.print(text, style=style, markup=False, soft_wrap=True)


def _shorten(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length]}..."


def _yes_or_no(good: bool) -> Text:
    return Text("yes", "green") if good else Text("no", "red")
