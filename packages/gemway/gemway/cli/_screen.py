"""What the commands print and how they fail: one readable line, exit code 1, never a traceback."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gemway import APIConnectionError, APITimeoutError, GemwayError

screen = Console()
"""Results: what a script would read."""

notes = Console(stderr=True)
"""Everything else: progress, warnings, errors."""


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn what can go wrong into one line and exit code 1; 130 if the user stopped it."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            yield
        except (typer.Exit, typer.Abort, click.ClickException):
            raise
        except (GemwayError, OSError) as error:
            failed(one_line(error))
            raise typer.Exit(1) from None
        except Exception as error:  # noqa: BLE001 - a user gets one line, whatever it is
            failed(f"{type(error).__name__}: {one_line(error)}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            failed("stopped")
            raise typer.Exit(130) from None


def failed(message: str) -> None:
    """Say what went wrong."""
    notes.print("error:", style="bold red", end=" ")
    plain(notes, message)


def warn(message: str) -> None:
    """Say what to look out for."""
    notes.print("warning:", style="bold yellow", end=" ")
    plain(notes, message)


# All of C0 and C1 but the tab and the line feed, and DEL.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])


def printable(text: str) -> str:
    """Return *text* without control characters: an escape sequence of a model could write to the clipboard."""
    return text.translate(_CONTROLS)


def plain(console: Console, message: str, end: str = "\n") -> None:
    """Print *message* as it is, but for control characters: no markup, no colours or line breaks of our own."""
    console.print(printable(message), markup=False, highlight=False, emoji=False, soft_wrap=True, end=end)


def one_line(error: BaseException) -> str:
    """Return the message of *error* and the next step, on one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = str(error) or type(error).__name__
    if isinstance(error, APIConnectionError) and not isinstance(error, APITimeoutError):
        text = _with_next_step(error, text)
    return _advice_for_the_shell(" ".join(text.split()))


def _with_next_step(error: APIConnectionError, text: str) -> str:
    """Ask about the address behind the reason and before the address itself; a proxy that failed is named already."""
    if error.message.startswith("the proxy"):
        return text
    question = "; is the address right (GEMWAY_BASE_URL or --base-url), and is the gateway running?"
    return error.message.rstrip(".") + question + text.removeprefix(error.message)


# Advice for people who write programs, and what it is here.
_ADVICE_HERE = (
    (re.compile(r"client\.list_models\(\) returns"), "`gemway models` prints"),
    (re.compile(r"Check model=:"), "Check --model:"),
    (re.compile(r"\bmodel='([^']+)'"), r"--model \1"),
    (re.compile(r"; pass auth_header=.*?looks(?= \(|$)"), ", and this command cannot send it in another header"),
    (re.compile(r"; raise \w+=(?: or \w+=)?(?: if that is expected)?"), ""),
    (re.compile(r"\bpass \w+= or set (?=GEMWAY_)"), "set "),
    (re.compile(r",? or pass \w+=(?:\w+)?"), ""),
    (re.compile(r"\bpass overwrite=True"), "add --overwrite"),
    (re.compile(r"\bforce=True \(--force\)"), "--force"),
    (re.compile(r"\bbase_url\b=?"), "--base-url"),
)


def _advice_for_the_shell(message: str) -> str:
    """Return *message* with advice that can be followed on the command line."""
    for pattern, here in _ADVICE_HERE:
        message = pattern.sub(here, message)
    return message


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something is under way, and for how long; nothing where nobody watches."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        progress.add_task(printable(what), total=None)
        yield


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        warn(" ".join(str(message).split()))
