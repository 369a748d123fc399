"""The page that the demo leaves behind: prompts, answers, pictures and token counts in one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1f2330; --soft: #667085; --line: #e2e5ee; --card: #fff; --page: #f5f6fa;
  --code: #f2f4f9; --accent: #4f46e5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ef; --soft: #98a1b3; --line: #2a3040; --card: #171b25;
  --page: #0e1118; --code: #1f2532; --accent: #a5b4fc; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 2.5rem 1rem 4rem;
  color: var(--ink); background: var(--page); }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -.02em; }
.about { color: var(--soft); margin: .25rem 0 1rem; overflow-wrap: anywhere; }
.note { border-left: 4px solid var(--accent); background: var(--card); padding: .75rem 1rem; border-radius: .4rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem 1.5rem;
  margin: 1.5rem 0; box-shadow: 0 1px 3px rgb(0 0 0 / .06); }
h2 { margin: 0 0 .75rem; font-size: 1.15rem; color: var(--accent); }
h3 { margin: 1rem 0 .3rem; font-size: .75rem; text-transform: uppercase; letter-spacing: .06em; color: var(--soft); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; background: var(--code); padding: .75rem 1rem;
  border-radius: .5rem; margin: 0; }
img { max-width: 100%; height: auto; border-radius: .5rem; display: block; }
figure { margin: 1rem 0 0; } figcaption, .tokens { color: var(--soft); font-size: .85rem; }
figcaption { margin-top: .35rem; } .tokens { margin: 1rem 0 0; } ul { margin: 0; padding-left: 1.2rem; }
"""
# On the page where no language model answered.
EMULATED = (
    "An emulator on this machine answered. It has no language model: it picks sentences from the prompt, calls the tools"
    " that the prompt names, and draws its pictures itself. Set GEMWAY_BASE_URL and GEMWAY_API_KEY to see your gateway's"
    " answers here."
)


@dataclass(frozen=True)
class Picture:
    """A picture in its file."""

    path: Path
    mime_type: str
    width: int
    height: int


@dataclass
class Exchange:
    """One question with its answer; token counts add up over the calls that it took."""

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

    def __init__(self, folder: Path, *, address: str, models: tuple[str, str], is_emulated: bool) -> None:
        self._folder = folder
        self._note = EMULATED if is_emulated else ""
        self._about = f"{address}, models {models[0]} and {models[1]}"
        self.exchanges: list[Exchange] = []

    def exchange(self, title: str, prompt: str) -> Exchange:
        """Begin an exchange."""
        self.exchanges.append(Exchange(title, prompt))
        return self.exchanges[-1]

    def keep(self, exchange: Exchange, image: Any, name: str) -> Picture:
        """Save *image* (a `gemway.Image`) under *name*, or a free name like it, and put it on the page."""
        path = image.save(self._folder / name, rename=True)
        picture = Picture(path, image.mime_type, image.width, image.height)
        exchange.pictures.append(picture)
        return picture

    def write(self) -> Path:
        """Write the page, which needs no other file, and return its path."""
        page = self._folder / "index.html"
        sections = "\n".join(_section_html(exchange) for exchange in self.exchanges)
        page.write_text(
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>gemway demo</title>\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style></head>\n'
            f'<body><h1>gemway demo</h1><p class="about">{escape(self._about)}</p>\n'
            + (f'<p class="note">{escape(self._note)}</p>\n' if self._note else "")
            + f"{sections}\n</body></html>\n",
            encoding="utf-8",
        )
        return page


def _section_html(exchange: Exchange) -> str:
    steps = "".join(f"<li>{escape(step)}</li>" for step in exchange.steps)
    return (
        f"<section><h2>{escape(exchange.title)}</h2>"
        f"<h3>Prompt</h3><pre>{escape(exchange.prompt)}</pre>"
        + (f"<h3>Steps</h3><ul>{steps}</ul>" if steps else "")
        + (f"<h3>Answer</h3><pre>{escape(exchange.answer)}</pre>" if exchange.answer else "")
        + "".join(_figure_html(picture) for picture in exchange.pictures)
        + f'<p class="tokens">{exchange.tokens_in:,} tokens in, {exchange.tokens_out:,} out</p></section>'
    )


def _figure_html(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    caption = f"{picture.path.name}, {picture.width} x {picture.height} pixels"
    return (
        f'<figure><img src="data:{picture.mime_type};base64,{data}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
