"""The gallery: one page that needs nothing else, and looks right in a real browser."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from gemway import Image
from gemway.gallery import Exhibit, exhibits, to_html
from PIL import Image as pil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# No display, no sandbox (CI runs as root), and no calls home.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def drawn(colour: tuple[int, int, int], size: tuple[int, int] = (320, 240)) -> Image:
    buffer = io.BytesIO()
    pil.new("RGB", size, colour).save(buffer, "PNG")
    return Image(buffer.getvalue())


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_it_tells_everything(client):
    """Picture, prompt, model, ratio, size, pixels, tokens and time; the picture byte for byte."""
    response = client.generate_image("a neon fox", aspect_ratio="16:9", image_size="512")
    model = "gemini-3.1-flash-image-preview"

    shown = exhibits(response, "a neon fox", model=model, aspect_ratio="16:9", image_size="512", seconds=8.24)
    page = Page(to_html(shown, title="Foxes"))

    told = ("Foxes", "a neon fox", model, "16:9", "512", "688 × 384", "8.2 s")
    assert [fact for fact in told if fact not in page.text] == []
    assert f"{response.usage_metadata.total_token_count:,}" in page.text
    assert [picture["src"] for picture in page.all("img")] == [f"data:image/png;base64,{response.images[0].base64}"]


def test_it_needs_nothing_else():
    """No script, no file and no address: what is not in the page is not there."""
    html = to_html([Exhibit(drawn((0, 99, 99)), "a fox"), Exhibit(drawn((99, 0, 99)), "a tin robot")])
    page = Page(html)

    assert page.all("script") == page.all("link") == []
    assert not re.search(r"https?://|url\(|@import", html)
    assert all(picture["src"].startswith("data:image/png;base64,") for picture in page.all("img"))
    assert "default-src 'none'" in html


def test_prompts_are_text():
    """Whatever a prompt says, it is shown and never obeyed."""
    prompt = '<script>alert("1")</script> & <img src=x onerror=alert(1)>'

    page = Page(to_html([Exhibit(drawn((1, 2, 3)), prompt, model="<b>")], title="</title><script>"))

    assert prompt in page.text
    assert page.all("script") == page.all("b") == []
    assert len(page.all("img")) == 1


def test_sources_travel_once():
    """A picture on the page is linked to; another one is shown small."""
    first, other = drawn((9, 9, 9)), drawn((8, 8, 8))
    second = Exhibit(drawn((7, 7, 7)), "both", sources=(first, other))

    page = Page(to_html([Exhibit(Image(first.data), "one"), second]))

    assert [link["href"] for link in page.all("a")] == ["#picture-1"]
    assert [picture["src"].partition(",")[2] for picture in page.all("img")] == [
        first.base64,
        second.image.base64,
        other.base64,
    ]


def test_no_pictures_and_odd_pictures():
    """An empty gallery is a page; a file whose size nobody can read is shown without it."""
    assert "No pictures yet" in to_html([])
    assert "pixels" not in Page(to_html([Exhibit(Image(b"\0" * 40, "image/avif"), "odd")])).text


HOSTILE = '"><form action="http://127.0.0.1:1/"><input name=pw></form><img src="data:image/png;base64,'


@pytest.mark.parametrize("at", [0, 40, 1300, 3000])
@pytest.mark.parametrize("mime_type", ["image/png", None, 'image/png"><form>', "text/html", "image/svg+xml"])
def test_a_picture_cannot_put_html_into_a_page(at, mime_type):
    """Base64 that is only right at its ends, and types that are none, show no picture; the page stays whole."""
    digits = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(2300)).decode()
    image = Image(digits[:at] + HOSTILE + digits[at:], mime_type)

    page = to_html([Exhibit(image, "a fox", sources=(image,)), Exhibit(Image(b"\x89PNG\r\n\x1a\n"), "another")])
    notebook = str(image._repr_mimebundle_())

    assert "<form" not in page + notebook
    assert "127.0.0.1" not in page + notebook
    assert "no picture that can be shown" in page
    assert page.count("<figure") == 2


@pytest.mark.parametrize("mime_type", ["image/svg+xml", "text/html", "application/javascript", "image/x-made-up"])
def test_notebooks_show_known_types_only(mime_type):
    """Jupyter puts SVG and HTML into its page as they are, scripts included."""
    image = Image(b"<svg onload='alert(1)'/>", mime_type)

    assert list(image._repr_mimebundle_()) == ["text/plain"]
    assert "<img" not in to_html([Exhibit(image, "x")])


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH: the gallery was not looked at in a browser")
@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [1280, 500], ids=["wide", "narrow"])
def test_a_browser_shows_it(tmp_path, scheme, width):
    """Opened from disk, each picture is painted in its own colours, beside or below each other, by day and night."""
    colours = [(200, 30, 30), (30, 160, 60), (40, 60, 210)]
    page = tmp_path / "gallery.html"
    page.write_text(to_html([Exhibit(drawn(colour), "a colour") for colour in colours]), encoding="utf-8")

    shot = screenshot(page, scheme=scheme, size=(width, 1700))

    boxes = [box_of(shot, colour) for colour in colours]
    assert all(box and box[2] - box[0] > 250 and box[3] - box[1] > 180 for box in boxes), boxes
    (left, top, *_), (next_left, next_top, *_) = boxes[:2]
    assert (next_left > left and next_top == top) if width > 1000 else (next_left == left and next_top > top)
    brightness = sum(shot.getpixel((3, 3)))
    assert brightness < 120 if scheme == "dark" else brightness > 600


def screenshot(page: Path, *, scheme: str, size: tuple[int, int]) -> pil.Image:
    """Return what chromium paints of *page* in a new profile."""
    target = page.with_suffix(".png")
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={page.parent / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        f"--window-size={size[0]},{size[1]}",
        f"--screenshot={target}",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert target.exists(), done.stderr
    with pil.open(io.BytesIO(target.read_bytes())) as shot:
        return shot.convert("RGB")


def box_of(shot: pil.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """Return where exactly *colour* is in the picture."""
    bands = [
        band.point(lambda value, wanted=wanted: 255 * (value == wanted))
        for band, wanted in zip(shot.split(), colour, strict=True)
    ]
    both = pil.composite(bands[0], pil.new("L", shot.size), bands[1])
    return pil.composite(both, pil.new("L", shot.size), bands[2]).getbbox()


def test_base64_of_the_page_is_the_picture():
    """Saved from the browser, the picture is the one that the model made."""
    image = drawn((5, 6, 7))

    source = Page(to_html([Exhibit(image, "x")])).all("img")[0]["src"]

    assert base64.b64decode(source.partition(",")[2]) == image.data
