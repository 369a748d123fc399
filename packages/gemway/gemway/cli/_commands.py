"""The commands and their options. The other modules of this package do the work."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gemway import IMAGE_MODEL, Client, __version__
from gemway.cli._batch import batch
from gemway.cli._chat import Chat, answer
from gemway.cli._doctor import Plan, examine
from gemway.cli._picture import Order, make
from gemway.cli._picture_list import make_list
from gemway.cli._screen import plain, plain_failures, screen

app = typer.Typer(
    help="Text and pictures from a Gemini-native gateway. Reads GEMWAY_BASE_URL and GEMWAY_API_KEY.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(batch)

TEXT_MODEL = "gemini-2.5-flash"
EMBEDDING_MODEL = "gemini-embedding-001"

AsJson = Annotated[bool, typer.Option("--json", help="Print lines of JSON, for programs.")]
Address = Annotated[
    str | None,
    typer.Option("--base-url", help="The gateway's address without /v1beta; default: GEMWAY_BASE_URL."),
]


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        plain(screen, f"gemway {__version__}")
        raise typer.Exit


@app.callback()
def _declare_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def image(  # noqa: PLR0913 - the options of a command, named once
    prompt: Annotated[
        list[str] | None, typer.Argument(help="A description of the picture, or how to change the one of --edit.")
    ] = None,
    *,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", help="A file with many prompts, one a line or JSON Lines; - reads standard input."),
    ] = None,
    edit: Annotated[
        list[Path] | None,
        typer.Option("--edit", "-e", help="A picture to start from; you can repeat the option."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; default: a name made of the prompt."),
    ] = None,
    aspect_ratio: Annotated[str | None, typer.Option("--aspect-ratio", "-a", help="Such as 16:9.")] = None,
    size: Annotated[str | None, typer.Option("--size", "-s", help="512, 1K, 2K or 4K.")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Model to use.")] = IMAGE_MODEL,
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", help="Keep the picture in this folder, and write one page with all pictures in it."),
    ] = None,
    with_text: Annotated[bool, typer.Option("--with-text", help="Also allow text in the answer.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that already exists.")] = False,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="With --prompts: ask again for those that failed, and no others.")
    ] = False,
    as_json: AsJson = False,
    base_url: Address = None,
) -> None:
    """Generate a picture, or edit one. With --prompts, generate many; the same command again makes those that are missing.

    gemway image "a neon fox, cinematic" --aspect-ratio 16:9 --size 2K -o fox.png

    gemway image --edit fox.png "make it blue"

    gemway image --prompts foxes.txt --gallery foxes
    """
    if bool(prompt) is (prompts is not None):
        raise typer.BadParameter("give a prompt, or a file of them with --prompts")
    order = Order(
        prompt=" ".join(prompt or ()),
        model=model,
        aspect_ratio=aspect_ratio,
        image_size=size,
        edit=tuple(edit or ()),
        output=output,
        gallery=gallery,
        with_text=with_text,
        overwrite=overwrite,
        as_json=as_json,
    )
    if prompts is not None:
        with plain_failures():
            make_list(prompts, order, base_url=base_url, retry_errors=retry_errors, as_json=as_json)
    with plain_failures(), Client(base_url=base_url) as client:
        make(client, order)


@app.command()
def chat(
    model: Annotated[str, typer.Option("--model", "-m", envvar="GEMWAY_MODEL", help="Model to use.")] = TEXT_MODEL,
    system: Annotated[
        str | None, typer.Option("--system", help="A system instruction: how the model should behave.")
    ] = None,
    base_url: Address = None,
) -> None:
    """Talk to a model. /exit ends the conversation, /help lists the other commands."""
    with plain_failures(), Client(base_url=base_url) as client:
        Chat(client, model, system).run()


@app.command()
def ask(
    question: Annotated[list[str], typer.Argument(help="Your question; - reads standard input.")],
    model: Annotated[str, typer.Option("--model", "-m", envvar="GEMWAY_MODEL", help="Model to use.")] = TEXT_MODEL,
    system: Annotated[str | None, typer.Option("--system", help="A system instruction.")] = None,
    as_json: AsJson = False,
    base_url: Address = None,
) -> None:
    """Ask one question and print the answer as it arrives.

    gemway ask "Why is the sky blue?"
    """
    text = sys.stdin.read() if question == ["-"] else " ".join(question)
    with plain_failures(), Client(base_url=base_url) as client:
        answer(client, model, text, system=system, as_json=as_json)


@app.command()
def embed(
    texts: Annotated[
        list[str], typer.Argument(help="The texts, each an argument; - reads one a line from standard input.")
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Model to use.")] = EMBEDDING_MODEL,
    dimensions: Annotated[int | None, typer.Option("--dimensions", help="The width of the vectors.")] = None,
    as_json: AsJson = False,
    base_url: Address = None,
) -> None:
    """Embed texts, and print a vector a line: numbers with spaces between them, or JSON.

    gemway embed "a tin robot" --dimensions 256
    """
    inputs = [line for line in sys.stdin.read().splitlines() if line.strip()] if texts == ["-"] else texts
    with plain_failures(), Client(base_url=base_url) as client:
        result = client.embed_content(model, inputs, output_dimensionality=dimensions)
        for text, vector in zip(inputs, result.vectors, strict=True):
            row = (
                json.dumps({"text": text, "vector": vector}, ensure_ascii=False)
                if as_json
                else " ".join(map(str, vector))
            )
            plain(screen, row)


@app.command()
def doctor(
    model: Annotated[str, typer.Option("--model", "-m", envvar="GEMWAY_MODEL", help="Model for text.")] = TEXT_MODEL,
    image_model: Annotated[str, typer.Option("--image-model", help="Model for pictures.")] = IMAGE_MODEL,
    embedding_model: Annotated[str, typer.Option("--embedding-model", help="Model for embeddings.")] = EMBEDDING_MODEL,
    pictures: Annotated[bool, typer.Option(help="Generate one small picture (about 750 tokens).")] = True,
    count_tokens: Annotated[
        bool, typer.Option("--count-tokens", help="Also try countTokens; some gateways bill it as a generation.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each answer.")] = 60.0,
    as_json: AsJson = False,
    base_url: Address = None,
) -> None:
    """Find out which features a gateway supports. Sends about nine small requests and generates one picture.

    Each finding is printed as it is made. Exit code 1 if the gateway does not answer at all.
    """
    plan = Plan(model, image_model, embedding_model, pictures=pictures, count_tokens=count_tokens)
    with plain_failures():
        raise typer.Exit(0 if examine(plan, base_url=base_url, timeout=timeout, as_json=as_json) else 1)


@app.command()
def models(as_json: AsJson = False, base_url: Address = None) -> None:
    """List the gateway's models, one per line."""
    with plain_failures(), Client(base_url=base_url) as client:
        for name in client.list_models():
            plain(screen, json.dumps({"model": name}) if as_json else name)
