"""Facts about models by their names: generation, modality, windows, vectors, sizes of pictures. models.txt lists them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from gemway_emulator._errors import invalid_argument

Size = tuple[int, int]


def _read_tables() -> tuple[dict[str, str], dict[str, list[Size]]]:
    """(windows by model name, sizes of pictures by aspect ratio)."""
    windows: dict[str, str] = {}
    pixels: dict[str, list[Size]] = {}
    text = resources.files("gemway_emulator").joinpath("models.txt").read_text(encoding="utf-8")
    for first, *words in (line.split() for line in text.splitlines() if line and line[0] != "#"):
        if "/" in first:
            windows |= dict.fromkeys(words, first)
        else:
            sizes = [word.split("x") for word in words]
            pixels[first] = [(int(width), int(height)) for width, height in sizes]
    return windows, pixels


_WINDOWS, _PIXELS = _read_tables()
_UNITS = {"K": 1024, "M": 1_048_576}
_SCALES = {"1K": 1, "2K": 2, "4K": 4}
# A name that the table does not have is most likely newer than the table.
_NEWEST = 4.0
_DIMENSIONS = {"gemini-embedding": 3072, "text-embedding-3-large": 3072, "text-embedding-3-small": 1536}


@dataclass
class Model:
    """One model name and what follows from it."""

    name: str

    def __post_init__(self) -> None:
        name, is_gemini = self.name, self.name.startswith("gemini")
        # 2.5, 3.1, ...; unknown `gemini-*` names count as the newest, other families as 0.
        match = re.match(r"gemini-(\d+(?:\.\d+)?)", name)
        self.generation = float(match[1]) if match else _NEWEST if is_gemini else 0.0
        self.speaks = "tts" in name
        self.makes_images = is_gemini and "image" in name  # by default, that is
        self.embeds = "embedding" in name
        # Before gemini-embedding-2 all of Google's refused pictures and other media.
        self.embeds_text_only = name in _WINDOWS and "embedding-2" not in name
        self.dimensions = next((length for known, length in _DIMENSIONS.items() if known in name), 768)
        # Gemini 3 and later sign function calls, give them ids, and insist on the signature; so with pictures.
        self.signs_calls = self.generation >= 3
        self.signs_images = self.makes_images and self.signs_calls
        # These answer a conversation that ends with a model turn with a 400; Gemini 2.0 and older answer
        # a user text that follows a function call without its response, as recorded.
        self.refuses_prefill = name.startswith(("gemini-3.5-flash-lite", "gemini-3.6-flash"))
        self.forgives_unanswered_calls = 0 < self.generation < 2.5

    def serves(self, action: str) -> bool:
        """Whether it has the method *action*; models that `models=` adds may have all."""
        return self.name not in _WINDOWS or action == "countTokens" or self.embeds == ("mbed" in action)

    def picture_size(self, ratio: str | None, image_size: str | None) -> Size:
        """(width, height) in pixels of the picture it makes; 1:1 and 1K unless asked otherwise.

        Raises a 400 for a ratio or size it does not have. gemini-2.5-flash-image has no imageSize: it ignores a known one.
        """
        ratio, image_size = ratio or "1:1", image_size or "1K"
        valid_sizes = ["512", *_SCALES]
        if "flash-lite-image" in self.name:
            valid_sizes = ["1K"]
        elif re.search(r"3(\.0)?-pro-image", self.name):
            valid_sizes = list(_SCALES)
        for field, value, values in (
            ("aspect_ratio", ratio, self._list_ratios()),
            ("image_size", image_size, valid_sizes),
        ):
            if value not in values:
                path = f"generation_config.image_config.{field}"
                text = f"Invalid value at '{path}': \"{value}\" is not supported by this model."
                raise invalid_argument(text, field=path)
        if 0 < self.generation < 3:
            return _PIXELS[ratio][2]
        if image_size == "512":
            return _PIXELS[ratio][1]
        width, height = _PIXELS[ratio][0]
        return width * _SCALES[image_size], height * _SCALES[image_size]

    def nearest_ratio(self, size: Size) -> str:
        """The aspect ratio that is nearest to a picture of *size*: an edit keeps the form of its source."""
        form = math.log(size[0] / size[1])
        forms = {ratio: math.log(_PIXELS[ratio][0][0] / _PIXELS[ratio][0][1]) for ratio in self._list_ratios()}
        return min(forms, key=lambda ratio: abs(forms[ratio] - form))

    def _list_ratios(self) -> list[str]:
        is_classic = 0 < self.generation < 3 or "-pro-image" in self.name
        return [ratio for ratio, sizes in _PIXELS.items() if not is_classic or len(sizes) == 3]

    def describe(self) -> dict[str, Any]:
        """The model resource, as `GET models/{model}` answers."""
        limit, most = _WINDOWS.get(self.name, "1M/65536").split("/")
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


def find_model(name: str, also: Iterable[str] = (), *, any_model: bool = False) -> Model | None:
    """Return the model called *name*: one of Google's or one of *also*, every one if *any_model*; else None."""
    name = name.removeprefix("models/")
    return Model(name) if name and (any_model or name in _WINDOWS or name in also) else None


def list_models(also: Iterable[str] = ()) -> list[Model]:
    """All models of the list endpoint."""
    return [Model(name) for name in dict.fromkeys((*_WINDOWS, *also))]
