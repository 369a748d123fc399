"""The page that the demo leaves behind: prompts, answers, pictures and token counts in one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
section { border: 1px solid #ddd; border-radius: .5rem; padding: 1rem 1.25rem; margin: 1.5rem 0; }
h2 { margin: 0 0 .5rem; font-size: 1.15rem; } h3 { margin: 1rem 0 .25rem; font-size: .9rem; color: #666; }
pre { white-space: pre-wrap; background: #f6f6f6; padding: .75rem; border-radius: .4rem; margin: 0; }
img { max-width: 100%; border-radius: .4rem; display: block; } figure { margin: .75rem 0; }
figcaption, .tokens { color: #666; font-size: .85rem; } ul { margin: 0; padding-left: 1.2rem; }
"""


@dataclass(frozen=True)
class Picture:
    """A picture in its file."""

    path: Path
    mime_type: str
    width: int
    height: int


@dataclass
class Exchange:
    """One question and what came of it; usage adds up over the calls that it took."""

    title: str
    prompt: str
    answer: str = ""
    steps: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tokens_in: int = 0
    tokens_out: int = 0

    def count(self, usage: Mapping[str, Any] | None) -> None:
        """Add the tokens of one call: `input_tokens` and `output_tokens`."""
        self.tokens_in += (usage or {}).get("input_tokens", 0)
        self.tokens_out += (usage or {}).get("output_tokens", 0)


class Report:
    """Collects exchanges, keeps their pictures in *folder* and writes the page."""

    def __init__(self, folder: Path, *, address: str, models: tuple[str, str]) -> None:
        self._folder = folder
        self._about = f"{address}, models {models[0]} and {models[1]}"
        self.exchanges: list[Exchange] = []

    def exchange(self, title: str, prompt: str) -> Exchange:
        """Begin an exchange."""
        self.exchanges.append(Exchange(title, prompt))
        return self.exchanges[-1]

    def keep(self, exchange: Exchange, image: Any, name: str) -> Picture:
        """Save *image* (a `gemway.Image`) under *name* and put it on the page."""
        path = image.save(self._folder / name, overwrite=True)
        picture = Picture(path, image.mime_type, image.width, image.height)
        exchange.pictures.append(picture)
        return picture

    def write(self) -> Path:
        """Write the page, which needs no other file, and return where it is."""
        page = self._folder / "index.html"
        sections = "\n".join(_section(exchange) for exchange in self.exchanges)
        page.write_text(
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>gemway demo</title>\n'
            f"<style>{STYLE}</style></head>\n<body><h1>gemway demo</h1><p>{escape(self._about)}</p>\n"
            f"{sections}\n</body></html>\n",
            encoding="utf-8",
        )
        return page


def _section(exchange: Exchange) -> str:
    steps = "".join(f"<li>{escape(step)}</li>" for step in exchange.steps)
    return (
        f"<section><h2>{escape(exchange.title)}</h2>"
        f"<h3>Prompt</h3><pre>{escape(exchange.prompt)}</pre>"
        + (f"<h3>Steps</h3><ul>{steps}</ul>" if steps else "")
        + (f"<h3>Answer</h3><pre>{escape(exchange.answer)}</pre>" if exchange.answer else "")
        + "".join(_figure(picture) for picture in exchange.pictures)
        + f'<p class="tokens">{exchange.tokens_in:,} tokens in, {exchange.tokens_out:,} out</p></section>'
    )


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    caption = f"{picture.path.name}, {picture.width} x {picture.height} pixels"
    return (
        f'<figure><img src="data:{picture.mime_type};base64,{data}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
