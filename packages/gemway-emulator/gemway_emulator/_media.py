"""Draw pictures: a background that depends on the prompt, with the prompt written on it; and make sounds. Deterministic; no I/O."""

from __future__ import annotations

import colorsys
import hashlib
import io
import math
import re
import textwrap
from array import array

from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps

# Google's speech models answer with raw PCM under this type (ai.google.dev/gemini-api/docs/speech-generation).
SPEECH_TYPE = "audio/L16;codec=pcm;rate=24000"
_RATE = 24_000
_SECONDS_PER_WORD = 0.08
_MOST_WORDS = 100

Size = tuple[int, int]
Colour = tuple[int, int, int]

_COLOUR_WORDS = """red green blue yellow orange purple violet pink brown white gold silver teal cyan magenta turquoise crimson navy
lime olive maroon coral salmon indigo beige"""
_COLOUR_WORD = re.compile(rf"(?<![^\s,.])({'|'.join(_COLOUR_WORDS.split())})(?![^\s,.])")
_GREY_WORD = re.compile(r"black[ -]and[ -]white|monochrome|gr[ae]y")
_PLAIN_COLOURS = "black white gray red green blue yellow orange purple pink brown teal"


def draw(prompt: str, size: Size) -> bytes:
    """Return a PNG of *size* pixels that shows *prompt* over a background of its own: a gradient with a soft disc."""
    gradient = Image.linear_gradient("L").resize((1, size[1])).resize(size)
    picture = ImageOps.colorize(gradient, _dark_colour(prompt), _light_colour(prompt))
    radius, digest = min(size) // 3, _hash_prompt(prompt)
    across, down = (size[axis] * (64 + digest[2 + axis] // 2) // 256 for axis in (0, 1))
    box = (across - radius, down - radius, across + radius, down + radius)
    disc = _first_colour_word(prompt) or _to_colour(digest[4], 0.55, 0.9)
    ImageDraw.Draw(picture).ellipse(box, fill=disc)
    return _caption_and_encode(picture, prompt, at_bottom=False)


def open_picture(source: bytes) -> Image.Image | None:
    """The picture in *source*, or None if it is none."""
    try:
        with Image.open(io.BytesIO(source)) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def edit(prompt: str, picture: Image.Image, size: Size) -> bytes:
    """Return *picture* at *size* pixels, tinted with the colour word of *prompt* or a colour of its own, *prompt* written below."""
    if size != picture.size:
        picture = ImageOps.pad(picture, size, color=_dark_colour(prompt))
    if _GREY_WORD.search(prompt.lower()):
        picture = ImageOps.grayscale(picture).convert("RGB")
    else:
        colour = _first_colour_word(prompt) or _light_colour(prompt)
        picture = Image.blend(picture, Image.new("RGB", picture.size, colour), 0.35)
    return _caption_and_encode(picture, prompt, at_bottom=True)


def speak(text: str) -> bytes:
    """One short tone per word: signed 16-bit mono samples at 24 kHz; longer words sound higher."""
    samples = array("h")
    for word in (text.split() or ["?"])[:_MOST_WORDS]:
        pitch = 180 + 20 * min(len(word), 20)
        number = int(_RATE * _SECONDS_PER_WORD)
        samples.extend(int(8000 * math.sin(2 * math.pi * pitch * index / _RATE)) for index in range(number))
    return samples.tobytes()


def name_colour(pixel: Colour) -> str:
    """The everyday name of the colour nearest to *pixel*."""
    return min(_PLAIN_COLOURS.split(), key=lambda name: math.dist(pixel, ImageColor.getrgb(name)[:3]))


def _hash_prompt(prompt: str) -> bytes:
    return hashlib.sha256(prompt.encode()).digest()


def _dark_colour(prompt: str) -> Colour:
    return _to_colour(_hash_prompt(prompt)[0], 0.6, 0.35)


def _light_colour(prompt: str) -> Colour:
    return _to_colour(_hash_prompt(prompt)[1], 0.5, 0.85)


def _to_colour(position: int, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(position / 256, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)


def _first_colour_word(prompt: str) -> Colour | None:
    match = _COLOUR_WORD.search(prompt.lower())
    return ImageColor.getrgb(match[1])[:3] if match else None


def _caption_and_encode(picture: Image.Image, prompt: str, *, at_bottom: bool) -> bytes:
    """*picture* as PNG, with *prompt* on a dark band, in letters as large as its length allows."""
    width, height = picture.size
    letters = max(10, min(width, height) // (12 if len(prompt) < 60 else 20))
    try:
        font = ImageFont.load_default(letters)
    except TypeError:  # Pillow 10.0 has one size only
        font = ImageFont.load_default()
    columns = max(8, int(width * 1.7 / letters))
    lines = textwrap.wrap(" ".join(prompt.split()), columns)[: max(1, height // (letters * 2))]
    # The built-in font knows Latin letters; anything else would be an error in its bitmap form.
    text = "\n".join(lines).encode("latin-1", "replace").decode("latin-1")
    band = int(letters * 1.35 * len(lines)) + letters
    top = height - band if at_bottom else (height - band) // 2
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, top, width, top + band), fill=(20, 20, 28))
    for row, line in enumerate(text.split("\n")):
        place = (width // 2, top + letters // 2 + int(letters * 1.35 * row))
        pen.text(place, line, font=font, fill=(255, 255, 255), anchor="ma")
    stream = io.BytesIO()
    # The fastest level that still compresses: with the default one a picture of 4K takes almost twice as long.
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()
