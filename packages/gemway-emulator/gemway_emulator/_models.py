"""What is known about model names: generation, modality, windows, vectors, sizes of pictures. Tables, no I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gemway_emulator._errors import invalid_argument

Size = tuple[int, int]

# What Google serves, or served until lately: `input tokens/output tokens` and the names; K is 1,024, M is 1,048,576.
_WINDOWS = """
1M/65536 gemini-2.5-pro gemini-2.5-flash gemini-2.5-flash-lite gemini-3-flash-preview gemini-3-pro-preview gemini-3.1-pro-preview
1M/65536 gemini-3.1-pro-preview-customtools gemini-3.1-flash-lite gemini-3.1-flash-lite-preview gemini-3.5-flash
1M/65536 gemini-3.5-flash-lite gemini-3.6-flash gemini-3.7-flash gemini-3.8-flash gemini-4-argon gemini-flash-latest
1M/65536 gemini-flash-lite-latest gemini-pro-latest gemini-2.5-flash-preview-05-20 gemini-2.5-pro-preview-05-06
1M/65536 gemini-2.5-pro-preview-06-05 gemini-2.5-flash-lite-preview-06-17 gemini-2.5-flash-preview-09-2025
1M/65536 gemini-robotics-er-1.5-preview gemini-2.5-computer-use-preview-10-2025
1M/8192 gemini-1.5-flash gemini-2.0-flash gemini-2.0-flash-001 gemini-2.0-flash-lite gemini-2.0-flash-lite-001 gemini-2.0-flash-exp
2M/8192 gemini-1.5-pro
8K/16384 gemini-2.5-flash-preview-tts gemini-2.5-pro-preview-tts
2K/1 gemini-embedding-001 text-embedding-004
8K/1 gemini-embedding-2 gemini-embedding-2-preview
32K/32768 gemini-2.5-flash-image gemini-2.5-flash-image-preview gemini-2.0-flash-preview-image-generation
64K/32768 gemini-3-pro-image
128K/32768 gemini-3-pro-image-preview gemini-3.0-pro-image gemini-3.1-flash-image
64K/65536 gemini-3.1-flash-image-preview
64K/4096 gemini-3.1-flash-lite-image
128K/8192 gemma-3-1b-it gemma-3-4b-it gemma-3-12b-it gemma-3-27b-it
256K/32768 gemma-4-26b-a4b-it gemma-4-31b-it
"""
_WINDOW_OF = {name: window for window, *names in map(str.split, _WINDOWS.split("\n")[1:-1]) for name in names}
_UNITS = {"K": 1024, "M": 1_048_576}
_NEWEST = 4.0
_DIMENSIONS = {"gemini-embedding": 3072, "text-embedding-3-large": 3072, "text-embedding-3-small": 1536}

# Pixels per aspect ratio, as documented at ai.google.dev (image generation): 1K, 512, and those of Gemini 2.5, which has no
# other size and fewer ratios. 2K and 4K are two and four times 1K. 21:9 at 512 is documented so, and what the API returns.
_SIZES = """
1:1 1024x1024 512x512 1024x1024
2:3 848x1264 424x632 832x1248
3:2 1264x848 632x424 1248x832
3:4 896x1200 448x600 864x1184
4:3 1200x896 600x448 1184x864
4:5 928x1152 464x576 896x1152
5:4 1152x928 576x464 1152x896
9:16 768x1376 384x688 768x1344
16:9 1376x768 688x384 1344x768
21:9 1584x672 792x168 1536x672
1:4 512x2048 256x1024
4:1 2048x512 1024x256
1:8 384x3072 192x1536
8:1 3072x384 1536x192
"""


def _parse_size(text: str) -> Size:
    width, height = text.split("x")
    return int(width), int(height)


_PIXELS = {ratio: tuple(map(_parse_size, sizes)) for ratio, *sizes in map(str.split, _SIZES.split("\n")[1:-1])}
_SCALE = {"1K": 1, "2K": 2, "4K": 4}


@dataclass(frozen=True)
class Model:
    """One model name and what follows from it."""

    name: str

    @property
    def generation(self) -> float:
        """2.5, 3.1, ...; unknown `gemini-*` names count as the newest, other families as 0."""
        if found := re.match(r"gemini-(\d+(?:\.\d+)?)", self.name):
            return float(found.group(1))
        return _NEWEST if self.name.startswith("gemini") else 0.0

    @property
    def makes_images(self) -> bool:
        """Whether pictures are its default output."""
        return self.name.startswith("gemini") and "image" in self.name

    @property
    def embeds(self) -> bool:
        """Whether it turns text into vectors and does nothing else."""
        return "embedding" in self.name

    @property
    def embeds_text_only(self) -> bool:
        """Whether it refuses pictures and other media, as all of Google's did before gemini-embedding-2."""
        return self.name in _WINDOW_OF and "embedding-2" not in self.name

    @property
    def dimensions(self) -> int:
        """The length of its whole vectors."""
        return next((length for name, length in _DIMENSIONS.items() if name in self.name), 768)

    def serves(self, action: str) -> bool:
        """Whether it has the method *action*; what `models=` adds may have all."""
        return self.name not in _WINDOW_OF or action == "countTokens" or self.embeds == ("mbed" in action)

    @property
    def speaks(self) -> bool:
        """Whether sound is its output."""
        return "tts" in self.name

    @property
    def signs_calls(self) -> bool:
        """Gemini 3 and later sign function calls, give them ids, and insist on the signature."""
        return self.generation >= 3

    @property
    def signs_images(self) -> bool:
        """Image models of Gemini 3 and later sign pictures and insist on the signature."""
        return self.makes_images and self.generation >= 3

    @property
    def refuses_prefill(self) -> bool:
        """Whether a conversation that ends with a model turn is an error."""
        return self.name.startswith(("gemini-3.5-flash-lite", "gemini-3.6-flash"))

    @property
    def forgives_unanswered_calls(self) -> bool:
        """Gemini 2.0 and older answer a user text that follows a function call without its response."""
        return 0 < self.generation < 2.5

    def picture_size(self, ratio: str | None, image_size: str | None) -> Size:
        """(width, height) in pixels of the picture it makes; 1:1 and 1K unless asked otherwise.

        Raises a 400 for a ratio or size it does not have. gemini-2.5-flash-image has no imageSize: it ignores a known one.
        """
        ratio, image_size = ratio or "1:1", image_size or "1K"
        small = () if "3-pro-image" in self.name or "3.0-pro-image" in self.name else ("512",)
        valid_sizes = ("1K",) if "flash-lite-image" in self.name else (*small, *_SCALE)
        for field, value, values in (
            ("aspect_ratio", ratio, self._known_ratios()),
            ("image_size", image_size, valid_sizes),
        ):
            if value not in values:
                path = f"generation_config.image_config.{field}"
                text = f"Invalid value at '{path}': \"{value}\" is not supported by this model."
                raise invalid_argument(text, field=path)
        if 0 < self.generation < 3 or image_size == "512":
            return _PIXELS[ratio][1 if self.generation >= 3 or not self.generation else 2]
        width, height = _PIXELS[ratio][0]
        return width * _SCALE[image_size], height * _SCALE[image_size]

    def nearest_ratio(self, size: Size) -> str:
        """The aspect ratio that is nearest to a picture of *size*: an edit keeps the form of its source."""
        logarithm = math.log(size[0] / size[1])
        shapes = {ratio: math.log(_PIXELS[ratio][0][0] / _PIXELS[ratio][0][1]) for ratio in self._known_ratios()}
        return min(shapes, key=lambda ratio: abs(shapes[ratio] - logarithm))

    def _known_ratios(self) -> list[str]:
        classic = 0 < self.generation < 3 or "-pro-image" in self.name
        return [ratio for ratio, sizes in _PIXELS.items() if not classic or len(sizes) == 3]

    def describe(self) -> dict[str, Any]:
        """The model resource, as `GET models/{model}` answers."""
        limit, most = _WINDOW_OF.get(self.name, "1M/65536").split("/")
        methods = ["embedContent"] if self.embeds else ["generateContent", "streamGenerateContent"]
        return {
            "name": f"models/{self.name}",
            "baseModelId": self.name,
            "version": "001",
            "displayName": self.name.replace("-", " ").title(),
            "description": "Answered by the gemway emulator, without a language model.",
            "inputTokenLimit": int(limit[:-1]) * _UNITS[limit[-1]],
            "outputTokenLimit": int(most),
            "supportedGenerationMethods": [*methods, "countTokens"],
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "maxTemperature": 2,
            "thinking": not self.name.startswith("gemini-2.5-flash-image"),
        }


def find(name: str, also: Iterable[str] = (), *, any_model: bool = False) -> Model | None:
    """Return the model called *name*: one of Google's or one of *also*, every one if *any_model*; else None."""
    bare = name.removeprefix("models/")
    return Model(bare) if bare and (any_model or bare in _WINDOW_OF or bare in also) else None


def listed(also: Iterable[str] = ()) -> list[Model]:
    """All models of the list endpoint."""
    return [Model(name) for name in dict.fromkeys((*_WINDOW_OF, *also))]
