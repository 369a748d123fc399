"""`gemway chat`: a conversation in the terminal, streamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from gemway import Client, GemwayError, capabilities, types
from gemway.adapters import Accumulator, arrange
from gemway.cli._keeping import Keeper, measured
from gemway.cli._screen import failed, notes, one_line, plain, screen

_COMMAND_HELP = "/exit ends, /history shows the conversation, /clear starts a new one; Ctrl-C stops an answer."


class Chat:
    """A conversation and where it is shown."""

    def __init__(self, client: Client, model: str, system: str | None = None, console: Console = screen) -> None:
        self._client = client
        self._model = model
        self._system = system
        self._console = console
        self._contents: list[dict[str, Any]] = []
        self._commands = {"/help": self._print_help, "/history": self._print_history, "/clear": self._contents.clear}

    def run(self) -> None:
        """Ask and answer until /exit or the end of the input."""
        _enable_line_editing()
        plain(notes, f"{self._model} at {self._client.base_url}. {_COMMAND_HELP}")
        while (line := self._read_question()) not in (None, "/exit", "/quit"):
            if line in self._commands:
                self._commands[line]()
            elif line and line.startswith("/"):
                failed(f"there is no {line.split()[0]}. {_COMMAND_HELP}")
            elif line:
                self._ask_and_keep(line)

    def _read_question(self) -> str | None:
        """Return the next line of the user; None at the end of the input, or on Ctrl-C."""
        try:
            return self._console.input("[bold cyan]you>[/] ").strip()
        except (EOFError, KeyboardInterrupt):
            self._console.print()
            return None

    def _ask_and_keep(self, line: str) -> None:
        """Show the answer as it comes, and keep it; a question without answer is forgotten."""
        contents = [*self._contents, {"role": "user", "parts": [{"text": line}]}]
        answer = Accumulator()
        try:
            self._print_stream(contents, answer)
        except GemwayError as error:
            self._console.print()
            failed(one_line(error))
            return
        except KeyboardInterrupt:
            # The words that came are worth keeping: the next question may be about them.
            plain(self._console, " [stopped]")
        response = answer.response()
        parts = [part.to_dict() for part in response.parts]
        if not self._write_pictures(response):
            # A part that is no picture would be refused when it is sent back, and so would every question after it.
            parts = [part for part in parts if "inlineData" not in part]
        if parts:
            self._contents[:] = [*contents, {"role": "model", "parts": parts}]
        else:
            failed(f"no answer ({response.block_reason or response.finish_reason or 'stopped'}); rephrase the question")

    def _print_stream(self, asked: list[dict[str, Any]], answer: Accumulator) -> None:
        with self._client.stream_generate_content(self._model, self._build_request(asked)) as chunks:
            for chunk in chunks:
                answer.add(chunk)
                plain(self._console, chunk.text, end="")
        self._console.print()

    def _build_request(self, asked: list[dict[str, Any]]) -> dict[str, Any]:
        request: dict[str, Any] = {"contents": arrange(asked, model=self._model)}
        if self._system:
            request["systemInstruction"] = {"parts": [{"text": self._system}]}
        # Both, because a conversation about pictures needs words, too, and Gemini 2.0's image models refuse any other
        # choice (ai.google.dev/gemini-api/docs/image-generation).
        if capabilities(self._model).image_model:
            request["generationConfig"] = {"responseModalities": ["TEXT", "IMAGE"]}
        return request

    def _write_pictures(self, response: types.GenerateContentResponse) -> bool:
        """Write the pictures of an answer; return whether all of them were pictures that could be written."""
        keeper = Keeper(response)
        for image in response.images:
            if (path := keeper.keep(image, Path("picture"))) is not None:
                plain(self._console, f"{path}  ({measured(image)})")
        return not keeper.has_failed

    def _print_history(self) -> None:
        for content in self._contents:
            name = "you" if content["role"] == "user" else self._model
            # Thoughts were never printed, so they are no part of the conversation that the user has seen.
            text = "".join(part.get("text", "[picture]") for part in content["parts"] if not part.get("thought"))
            plain(self._console, f"{name}> {text}")

    def _print_help(self) -> None:
        plain(self._console, _COMMAND_HELP)


def answer(client: Client, model: str, question: str, *, system: str | None, as_json: bool) -> None:
    """Ask once, and print the answer as it arrives or as one line of JSON; exit code 1 if there is none."""
    request: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": question}]}]}
    if system:
        request["systemInstruction"] = {"parts": [{"text": system}]}
    accumulator = Accumulator()
    with client.stream_generate_content(model, request) as chunks:
        for chunk in chunks:
            accumulator.add(chunk)
            if not as_json:
                plain(screen, chunk.text, end="")
    response = accumulator.response()
    usage = response.usage_metadata
    if as_json:
        facts = {"model": model, "answer": response.text, "finish_reason": response.finish_reason}
        tokens = usage.total_token_count if usage else None
        plain(
            screen, json.dumps({**facts, "block_reason": response.block_reason, "tokens": tokens}, ensure_ascii=False)
        )
    elif response.text:
        screen.print()
    if not response.text:
        failed(f"no answer ({response.block_reason or response.finish_reason}); rephrase the question")
        raise typer.Exit(1)


def _enable_line_editing() -> None:
    """Let the arrow keys bring earlier lines back, where Python was built with it."""
    try:
        import readline  # noqa: F401 - importing it is all that is needed
    except ImportError:
        pass
