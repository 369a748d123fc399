"""`gemway image`: make a picture, keep it, and put it into a gallery."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from gemway import Client, Image, types
from gemway.cli import _gallery
from gemway.cli._keeping import Keeper, measured, tell_renamed
from gemway.cli._screen import plain, screen, warn, working
from gemway.gallery import exhibits

_MOST_LETTERS = 48


@dataclass(frozen=True)
class Order:
    """The pictures that the user ordered."""

    prompt: str
    model: str
    aspect_ratio: str | None = None
    image_size: str | None = None
    edit: tuple[Path, ...] = ()
    output: Path | None = None
    gallery: Path | None = None
    with_text: bool = False
    overwrite: bool = False
    as_json: bool = False


def make(client: Client, order: Order) -> None:
    """Make the pictures of *order*, write them and print where they are."""
    if order.output is not None:
        _check_target_file(order.output, overwrite=order.overwrite)
    if order.gallery is not None:
        order.gallery.mkdir(parents=True, exist_ok=True)
    sources = [Image(path.read_bytes()) for path in order.edit]
    began = time.perf_counter()
    with working(f"{order.model} is at work"):
        response = client.generate_image(
            order.prompt,
            model=order.model,
            aspect_ratio=order.aspect_ratio,
            image_size=order.image_size,
            images=sources,
            with_text=order.with_text,
        )
    seconds = time.perf_counter() - began
    if response.text and not order.as_json:
        plain(screen, response.text)
    keeper = Keeper(response)
    if order.output is not None or order.gallery is None:
        for image in response.images:
            path_to_try = image.fitting(order.output or Path(slug(order.prompt)))
            if (path := keeper.keep(image, path_to_try, overwrite=order.overwrite)) is not None:
                if order.output is not None and not order.overwrite:
                    tell_renamed(path, order.output, image)
                _print_picture_line(path, image, order, response, seconds)
    if order.gallery is not None:
        _add_to_gallery(order, response, keeper, seconds)
    if keeper.has_failed:
        raise typer.Exit(1)


def _add_to_gallery(order: Order, response: types.GenerateContentResponse, keeper: Keeper, seconds: float) -> None:
    """Keep the pictures in the gallery's folder and write its page anew."""
    folder = Path(order.gallery or ".")
    exhibited = exhibits(
        response,
        order.prompt,
        model=order.model,
        aspect_ratio=order.aspect_ratio,
        image_size=order.image_size,
        seconds=round(seconds, 2),
        created=datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
    )
    for path, exhibit in _gallery.keep(folder, exhibited, keeper, sources=order.edit, name=slug(order.prompt)):
        _print_picture_line(path, exhibit.image, order, response, seconds)
    page = _gallery.write_page(folder)
    if page.name != _gallery.PAGE:
        warn(f"{_gallery.PAGE} is not one of ours and was left alone: written to {page.name}")
    plain(screen, json.dumps({"gallery": str(page)}) if order.as_json else str(page))


def _check_target_file(path: Path, *, overwrite: bool) -> None:
    """Refuse, before anything is billed, a place where the picture could not be written."""
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder; name a file in it, or use --gallery", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "there is no such folder; make it first", str(path.parent))
    if path.exists() and not overwrite:
        raise FileExistsError(17, "already exists; choose another name or add --overwrite", str(path))


def slug(prompt: str) -> str:
    """Return a file name made of *prompt*: `a-neon-fox-cinematic`."""
    words = re.sub(r"[^\w]+", "-", prompt.lower()).strip("-")
    if len(words) > _MOST_LETTERS:
        words = words[: _MOST_LETTERS + 1].rpartition("-")[0] or words[:_MOST_LETTERS]
    return words.strip("-") or "picture"


def _print_picture_line(
    path: Path, image: Image, order: Order, response: types.GenerateContentResponse, seconds: float
) -> None:
    usage = response.usage_metadata
    tokens = usage.total_token_count if usage else None
    if order.as_json:
        facts = {"picture": str(path), "prompt": order.prompt, "model": order.model, "mime_type": image.mime_type}
        numbers = {"bytes": len(image.data), "tokens": tokens, "seconds": round(seconds, 2)}
        plain(screen, json.dumps({**facts, **numbers, "text": response.text or None}, ensure_ascii=False))
        return
    counted = f", {tokens:,} tokens" if tokens else ""
    plain(screen, f"{path}  ({measured(image)}, {len(image.data):,} bytes{counted}, {seconds:.1f} s)")
