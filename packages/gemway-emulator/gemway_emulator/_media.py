"""Draw pictures: a background that depends on the prompt, with the prompt written on it; and make sounds. Deterministic; no I/O."""

from __future__ import annotations

import colorsys
import hashlib
import io
import math
import textwrap
from array import array

from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps

SPEECH_TYPE = "audio/L16;codec=pcm;rate=24000"  # raw PCM, as Google sends it
_RATE = 24_000
_SECONDS_PER_WORD = 0.08
_MOST_WORDS = 100

Size = tuple[int, int]
Colour = tuple[int, int, int]

_COLOURS = """red green blue yellow orange purple violet pink brown white gold silver teal cyan magenta turquoise crimson navy lime
olive maroon coral salmon indigo beige"""
_TINTS = frozenset(_COLOURS.split())
_PLAIN_COLOURS = [
    "black",
    "white",
    "gray",
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "purple",
    "pink",
    "brown",
    "teal",
]
_GREY_WORDS = ("black and white", "black-and-white", "monochrome", "grayscale", "greyscale", "gray", "grey")


def draw(prompt: str, size: Size) -> bytes:
    """Return a PNG of *size* pixels that shows *prompt* over a background of its own: a gradient with a soft disc."""
    first, second = _colours(prompt)
    gradient = Image.linear_gradient("L").resize((1, size[1])).resize(size)
    picture = ImageOps.colorize(gradient, first, second)
    radius, digest = min(size) // 3, hashlib.sha256(prompt.encode()).digest()
    centre = (size[0] * (64 + digest[2] // 2) // 256, size[1] * (64 + digest[3] // 2) // 256)
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    ImageDraw.Draw(picture).ellipse(box, fill=_first_colour_word(prompt) or _colour_at(digest[4], 0.55, 0.9))
    _write_caption(picture, prompt)
    return _encode_png(picture)


def opened(source: bytes) -> Image.Image:
    """The picture in *source*; raises ValueError if it is none."""
    try:
        with Image.open(io.BytesIO(source)) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("the input is not a picture") from error


def edit(prompt: str, picture: Image.Image, size: Size) -> bytes:
    """Return *picture* at *size* pixels, tinted with the colour word of *prompt* or a colour of its own, *prompt* written below."""
    if size != picture.size:
        picture = ImageOps.pad(picture, size, color=_colours(prompt)[0])
    if any(word in prompt.lower() for word in _GREY_WORDS):
        picture = ImageOps.grayscale(picture).convert("RGB")
    else:
        colour = _first_colour_word(prompt) or _colours(prompt)[1]
        picture = Image.blend(picture, Image.new("RGB", picture.size, colour), 0.35)
    _write_caption(picture, prompt, at_bottom=True)
    return _encode_png(picture)


def speak(text: str) -> bytes:
    """One short tone per word: signed 16-bit mono samples at 24 kHz; longer words sound higher."""
    samples = array("h")
    for word in (text.split() or ["?"])[:_MOST_WORDS]:
        pitch = 180 + 20 * min(len(word), 20)
        number = int(_RATE * _SECONDS_PER_WORD)
        samples.extend(int(8000 * math.sin(2 * math.pi * pitch * index / _RATE)) for index in range(number))
    return samples.tobytes()


def colour_name(pixel: Colour) -> str:
    """The everyday name of the colour nearest to *pixel*."""
    return min(_PLAIN_COLOURS, key=lambda name: math.dist(pixel, ImageColor.getrgb(name)[:3]))


def _colours(prompt: str) -> tuple[Colour, Colour]:
    digest = hashlib.sha256(prompt.encode()).digest()
    return _colour_at(digest[0], 0.6, 0.35), _colour_at(digest[1], 0.5, 0.85)


def _colour_at(position: int, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(position / 256, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)


def _first_colour_word(prompt: str) -> Colour | None:
    """The first colour word of *prompt*."""
    words = prompt.lower().replace(",", " ").replace(".", " ").split()
    colour = next((word for word in words if word in _TINTS), None)
    return ImageColor.getrgb(colour)[:3] if colour else None


def _write_caption(picture: Image.Image, prompt: str, *, at_bottom: bool = False) -> None:
    """Write *prompt* on a dark band, in letters as large as its length allows."""
    width, height = picture.size
    letters = max(10, min(width, height) // (12 if len(prompt) < 60 else 20))
    try:
        font = ImageFont.load_default(letters)
    except TypeError:  # Pillow 10.0 has one size only
        font = ImageFont.load_default()
    columns = max(8, int(width * 1.7 / letters))
    lines = textwrap.wrap(" ".join(prompt.split()), columns)[: max(1, height // (letters * 2))]
    band = int(letters * 1.35 * len(lines)) + letters
    top = height - band if at_bottom else (height - band) // 2
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, top, width, top + band), fill=(20, 20, 28))
    for row, line in enumerate(lines):
        place = (width // 2, top + letters // 2 + int(letters * 1.35 * row))
        # The built-in font knows Latin letters; anything else would be an error in its bitmap form.
        drawable = line.encode("latin-1", "replace").decode("latin-1")
        pen.text(place, drawable, font=font, fill=(255, 255, 255), anchor="ma")


def _encode_png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()
