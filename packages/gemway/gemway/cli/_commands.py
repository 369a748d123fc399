"""The commands and their options. What they do stands in the modules beside this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gemway import IMAGE_MODEL, Client, __version__
from gemway.cli._batch import batch
from gemway.cli._chat import Chat
from gemway.cli._doctor import Plan, examine
from gemway.cli._picture import Order, make
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


def _version(asked: bool) -> None:
    if asked:
        plain(screen, f"gemway {__version__}")
        raise typer.Exit


@app.callback()
def _gemway(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command()
def image(  # noqa: PLR0913 - the options of a command, named once
    prompt: Annotated[list[str], typer.Argument(help="What the picture is to show, or how to change --edit.")],
    *,
    edit: Annotated[
        list[Path] | None,
        typer.Option("--edit", "-e", help="A picture to start from; may be given several times."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it; default: a name made of the prompt."),
    ] = None,
    aspect_ratio: Annotated[str | None, typer.Option("--aspect-ratio", "-a", help="Such as 16:9.")] = None,
    size: Annotated[str | None, typer.Option("--size", "-s", help="512, 1K, 2K or 4K.")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Who makes it.")] = IMAGE_MODEL,
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", help="Keep it in this folder, and write all pictures there as one gallery.html."),
    ] = None,
    with_text: Annotated[bool, typer.Option("--with-text", help="Let the model write, too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that already exists.")] = False,
    base_url: Address = None,
) -> None:
    """Make a picture, or change one.

    gemway image "a neon fox, cinematic" --aspect-ratio 16:9 --size 2K -o fox.png

    gemway image --edit fox.png "make it blue"
    """
    order = Order(
        prompt=" ".join(prompt),
        model=model,
        aspect_ratio=aspect_ratio,
        image_size=size,
        edit=tuple(edit or ()),
        output=output,
        gallery=gallery,
        with_text=with_text,
        overwrite=overwrite,
    )
    with plain_failures(), Client(base_url=base_url) as client:
        make(client, order)


@app.command()
def chat(
    model: Annotated[str, typer.Option("--model", "-m", envvar="GEMWAY_MODEL", help="Who answers.")] = TEXT_MODEL,
    system: Annotated[str | None, typer.Option("--system", help="How the model is to behave.")] = None,
    base_url: Address = None,
) -> None:
    """Talk to a model. /exit ends, /help tells the rest."""
    with plain_failures(), Client(base_url=base_url) as client:
        Chat(client, model, system).run()


@app.command()
def doctor(
    model: Annotated[str, typer.Option("--model", "-m", envvar="GEMWAY_MODEL", help="For text.")] = TEXT_MODEL,
    image_model: Annotated[str, typer.Option("--image-model", help="For pictures.")] = IMAGE_MODEL,
    embedding_model: Annotated[str, typer.Option("--embedding-model", help="For embeddings.")] = EMBEDDING_MODEL,
    pictures: Annotated[bool, typer.Option(help="Generate one small picture (about 750 tokens).")] = True,
    count_tokens: Annotated[
        bool, typer.Option("--count-tokens", help="Try countTokens, too: some gateways bill it as a generation.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each answer.")] = 60.0,
    as_json: AsJson = False,
    base_url: Address = None,
) -> None:
    """Find out what a gateway supports. Sends about nine small requests and generates one picture.

    Each finding is printed as it is made. Exit code 1 if the gateway does not answer at all.
    """
    plan = Plan(model, image_model, embedding_model, pictures=pictures, count_tokens=count_tokens)
    with plain_failures():
        raise typer.Exit(0 if examine(plan, base_url=base_url, timeout=timeout, as_json=as_json) else 1)


@app.command()
def models(as_json: AsJson = False, base_url: Address = None) -> None:
    """List the models that the gateway names, one in a line."""
    with plain_failures(), Client(base_url=base_url) as client:
        for name in client.list_models():
            plain(screen, json.dumps({"model": name}) if as_json else name)
