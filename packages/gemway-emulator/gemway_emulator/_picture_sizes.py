"""Pixel sizes per aspect ratio and image size, as documented at ai.google.dev (image generation). A table."""

from __future__ import annotations

import math

from gemway_emulator._errors import invalid_argument
from gemway_emulator._models import Model

Size = tuple[int, int]

# The 1K sizes; 2K and 4K are two and four times as large, 512 has a column of its own.
_ONE_K = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (384, 3072),
    "8:1": (3072, 384),
}
_512 = {
    "1:1": (512, 512),
    "2:3": (424, 632),
    "3:2": (632, 424),
    "3:4": (448, 600),
    "4:3": (600, 448),
    "4:5": (464, 576),
    "5:4": (576, 464),
    "9:16": (384, 688),
    "16:9": (688, 384),
    "21:9": (792, 168),  # documented so, and what the API returns
    "1:4": (256, 1024),
    "4:1": (1024, 256),
    "1:8": (192, 1536),
    "8:1": (1536, 192),
}
_FLASH_25 = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
_SCALE = {"1K": 1, "2K": 2, "4K": 4}
_CLASSIC_RATIOS = frozenset(_FLASH_25)


def picture_size(model: Model, ratio: str | None, image_size: str | None) -> Size:
    """(width, height) in pixels of the picture *model* makes; 1:1 and 1K unless asked otherwise.

    Raises a 400 for a ratio or size the model does not have. gemini-2.5-flash-image has no imageSize: it ignores a known one.
    """
    wanted_ratio, wanted_size = ratio or "1:1", image_size or "1K"
    if wanted_ratio not in _ONE_K or (_classic_only(model) and wanted_ratio not in _CLASSIC_RATIOS):
        raise _refusal("aspect_ratio", wanted_ratio)
    if wanted_size not in _sizes(model):
        raise _refusal("image_size", wanted_size)
    if _is_25(model):
        return _FLASH_25[wanted_ratio]
    if wanted_size == "512":
        return _512[wanted_ratio]
    width, height = _ONE_K[wanted_ratio]
    return width * _SCALE[wanted_size], height * _SCALE[wanted_size]


def nearest_ratio(model: Model, size: Size) -> str:
    """The aspect ratio of *model* that is nearest to a picture of *size*: an edit keeps the form of its source."""
    ratios = _FLASH_25 if _classic_only(model) else _ONE_K
    wanted = math.log(size[0] / size[1])
    return min(ratios, key=lambda ratio: abs(math.log(ratios[ratio][0] / ratios[ratio][1]) - wanted))


def _is_25(model: Model) -> bool:
    return 0 < model.generation < 3


def _classic_only(model: Model) -> bool:
    return _is_25(model) or "3-pro-image" in model.name


def _sizes(model: Model) -> tuple[str, ...]:
    if "flash-lite-image" in model.name:
        return ("1K",)
    return ("1K", "2K", "4K") if "3-pro-image" in model.name else ("512", "1K", "2K", "4K")


def _refusal(field: str, value: str) -> Exception:
    path = f"generation_config.image_config.{field}"
    return invalid_argument(f"Invalid value at '{path}': \"{value}\" is not supported by this model.", field=path)
