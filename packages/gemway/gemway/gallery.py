"""Write pictures as one HTML page that needs nothing else: no server, no script, no other file. Pure.

from gemway.gallery import exhibits, to_html

page = to_html(exhibits(response, "a neon fox", model="gemini-3.1-flash-image-preview", seconds=8.2))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from gemway._image import Image
from gemway.types import GenerateContentResponse


@dataclass(frozen=True)
class Exhibit:
    """A picture and its origin. Fields that are None are left out of the page.

    Attributes:
        tokens: all tokens of the call, prompt and thoughts included.
        seconds: how long the call took.
        created: when, as text.
        sources: the pictures that it was made from.
    """

    image: Image
    prompt: str
    model: str | None = None
    aspect_ratio: str | None = None
    image_size: str | None = None
    tokens: int | None = None
    seconds: float | None = None
    created: str | None = None
    sources: tuple[Image, ...] = ()


def exhibits(
    response: GenerateContentResponse,
    prompt: str,
    *,
    model: str | None = None,
    aspect_ratio: str | None = None,
    image_size: str | None = None,
    seconds: float | None = None,
    created: str | None = None,
    sources: Iterable[Image] = (),
) -> list[Exhibit]:
    """Return the pictures of *response* as exhibits; the tokens are those of its usage."""
    usage = response.usage_metadata
    return [
        Exhibit(
            image=image,
            prompt=prompt,
            model=model or response.model_version,
            aspect_ratio=aspect_ratio,
            image_size=image_size,
            tokens=usage.total_token_count if usage else None,
            seconds=seconds,
            created=created,
            sources=tuple(sources),
        )
        for image in response.images
    ]


def to_html(exhibits: Iterable[Exhibit], *, title: str = "Pictures") -> str:
    """Return a self-contained page that shows *exhibits* in their order; a click shows one of them large."""
    exhibit_list = list(exhibits)
    places = {_identity(exhibit.image): number for number, exhibit in enumerate(exhibit_list, 1)}
    figures = "\n".join(_figure(exhibit, number, places) for number, exhibit in enumerate(exhibit_list, 1))
    return _PAGE.format(
        title=escape(title),
        summary=escape(_summary(exhibit_list)),
        style=_STYLE,
        figures=figures or '<p class="empty">No pictures yet.</p>',
    )


def is_gallery(page: str) -> bool:
    """Whether `to_html` wrote *page*, so that it may be written anew."""
    return _MARK in page[:2000]


def _summary(shown: list[Exhibit]) -> str:
    """Return one line: how many pictures, tokens and seconds."""
    tokens = sum(exhibit.tokens or 0 for exhibit in shown)
    seconds = sum(exhibit.seconds or 0 for exhibit in shown)
    facts = [f"{len(shown)} picture{'' if len(shown) == 1 else 's'}"]
    facts += [f"{tokens:,} tokens"] if tokens else []
    facts += [f"{seconds:.1f} s"] if seconds else []
    return " · ".join(facts)


def _figure(exhibit: Exhibit, number: int, places: Mapping[object, int]) -> str:
    facts = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in _facts(exhibit))
    sources = "".join(_source(image, places.get(_identity(image))) for image in exhibit.sources)
    made_from = f'<div class="sources"><span>made from</span>{sources}</div>' if sources else ""
    return (
        f'<figure id="picture-{number}">'
        f'<label title="larger, and back"><input type="checkbox" aria-label="show picture {number} large">'
        f"{_picture(exhibit.image, exhibit.prompt)}</label>"
        f"<figcaption><p>{escape(exhibit.prompt)}</p>{made_from}<dl>{facts}</dl></figcaption></figure>"
    )


def _source(image: Image, place: int | None) -> str:
    """Return a link to a picture that is on the page itself, else a small picture: each travels only once."""
    return (
        f'<a href="#picture-{place}">picture {place}</a>' if place else _picture(image, "the picture it was made from")
    )


def _identity(image: Image) -> object:
    """Return a value that identifies a picture, even if its bytes cannot be read."""
    try:
        return image.data
    except ValueError:
        return id(image)


def _picture(image: Image, text: str) -> str:
    # Type and base64 come from a gateway, so only data that is certainly a picture gets into the page.
    encoded = image.to_safe_base64()
    if encoded is None:
        return f'<span class="empty">no picture that can be shown ({escape(image.mime_type[:80])})</span>'
    size = "".join(f' {name}="{value}"' for name, value in zip(("width", "height"), _pixels(image), strict=False))
    return f'<img src="data:{escape(image.mime_type)};base64,{encoded}" alt="{escape(text)}"{size}>'


def _pixels(image: Image) -> tuple[int, ...]:
    """Return width and height, or nothing if the file's header does not have them."""
    try:
        return image.width, image.height
    except ValueError:
        return ()


def _facts(exhibit: Exhibit) -> list[tuple[str, str]]:
    pixels = _pixels(exhibit.image)
    facts = (
        ("model", exhibit.model),
        ("ratio", exhibit.aspect_ratio),
        ("size", exhibit.image_size),
        ("pixels", f"{pixels[0]} × {pixels[1]}" if pixels else None),  # noqa: RUF001 - a multiplication sign
        ("tokens", None if exhibit.tokens is None else f"{exhibit.tokens:,}"),
        ("time", None if exhibit.seconds is None else f"{exhibit.seconds:.1f} s"),
        ("made", exhibit.created),
    )
    return [(name, value) for name, value in facts if value]


# The policy lets the page load nothing and run nothing, whatever stands in a prompt.
_MARK: Final = '<meta name="generator" content="gemway gallery">'
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="gemway gallery">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1><p>{summary}</p></header>
<main>
{figures}
</main>
</body>
</html>
"""

_STYLE: Final = """
:root { --page: #f6f5f2; --card: #ffffff; --mat: #eceae4; --ink: #1d1c1a; --quiet: #6d6a63; --line: #e2dfd8; }
@media (prefers-color-scheme: dark) {
  :root { --page: #141416; --card: #1e1e21; --mat: #0e0e10; --ink: #ececee; --quiet: #9c9ca3; --line: #2e2e33; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: clamp(1rem, 4vw, 3rem); background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
header { max-width: 100rem; margin: 0 auto 2rem; display: flex; flex-wrap: wrap; gap: .25rem 1.5rem;
  align-items: baseline; }
h1 { margin: 0; font-size: 1.6rem; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
header p, .empty { margin: 0; color: var(--quiet); }
main { max-width: 100rem; margin: 0 auto; display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
figure { margin: 0; display: flex; flex-direction: column; overflow: hidden; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem; box-shadow: 0 1px 3px rgb(0 0 0 / .08); }
label { display: block; cursor: zoom-in; background: var(--mat); }
label > img { display: block; width: 100%; height: auto; aspect-ratio: 4 / 3; object-fit: contain; }
input { position: absolute; opacity: 0; pointer-events: none; }
input:focus-visible + img { outline: 3px solid #4c8dff; outline-offset: -3px; }
input:checked + img { position: fixed; inset: 0; z-index: 1; width: 100vw; height: 100vh; aspect-ratio: auto;
  padding: 2vmin; background: rgb(10 10 12 / .94); cursor: zoom-out; }
figcaption { padding: 1rem 1.1rem 1.1rem; display: flex; flex-direction: column; gap: .75rem; flex: 1; }
figcaption p { margin: 0; font-size: 1.02rem; font-weight: 550; white-space: pre-line; overflow-wrap: anywhere; }
.sources { display: flex; align-items: center; gap: .5rem; color: var(--quiet); font-size: .8rem; }
.sources a { color: inherit; }
figure:target { border-color: #4c8dff; }
.sources img { width: auto; height: 2.75rem; max-width: 6rem; object-fit: cover; border-radius: .3rem; }
dl { margin: auto 0 0; padding-top: .75rem; border-top: 1px solid var(--line); display: flex; flex-wrap: wrap;
  gap: .4rem 1.1rem; }
dt { color: var(--quiet); font-size: .68rem; letter-spacing: .06em; text-transform: uppercase; }
dd { margin: 0; font-size: .86rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
@media print { body { background: none; } figure { break-inside: avoid; box-shadow: none; } }
"""
