"""Every documented ratio and size, asked for through the core, comes in the documented pixels. Prints the table."""

from __future__ import annotations

import warnings

import pytest
from gemway import capabilities

# ai.google.dev, image generation (copy of 2026-02-28): width and height in pixels at 512, 1K, 2K, 4K.
FLASH_31 = {
    "1:1": "512x512 1024x1024 2048x2048 4096x4096",
    "2:3": "424x632 848x1264 1696x2528 3392x5056",
    "3:2": "632x424 1264x848 2528x1696 5056x3392",
    "3:4": "448x600 896x1200 1792x2400 3584x4800",
    "4:3": "600x448 1200x896 2400x1792 4800x3584",
    "4:5": "464x576 928x1152 1856x2304 3712x4608",
    "5:4": "576x464 1152x928 2304x1856 4608x3712",
    "9:16": "384x688 768x1376 1536x2752 3072x5504",
    "16:9": "688x384 1376x768 2752x1536 5504x3072",
    "21:9": "792x168 1584x672 3168x1344 6336x2688",
    "1:4": "256x1024 512x2048 1024x4096 2048x8192",
    "4:1": "1024x256 2048x512 4096x1024 8192x2048",
    "1:8": "192x1536 384x3072 768x6144 1536x12288",
    "8:1": "1536x192 3072x384 6144x768 12288x1536",
}
FLASH_25 = {
    "1:1": "1024x1024",
    "2:3": "832x1248",
    "3:2": "1248x832",
    "3:4": "864x1184",
    "4:3": "1184x864",
    "4:5": "896x1152",
    "5:4": "1152x896",
    "9:16": "768x1344",
    "16:9": "1344x768",
    "21:9": "1536x672",
}
SIZES = {"gemini-3.1-flash-image-preview": ("512", "1K", "2K", "4K"), "gemini-2.5-flash-image": (None,)}
TABLES = {"gemini-3.1-flash-image-preview": FLASH_31, "gemini-2.5-flash-image": FLASH_25}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("model", TABLES)
def test_every_ratio_and_size(client, emulator, model):
    """The pixels are those of the table, the wire says what was asked and nothing else, and nothing is warned about."""
    print(f"\n{model}\n{'ratio':>6}" + "".join(f"{size or '(none)':>12}" for size in SIZES[model]))
    wrong = []
    for ratio, documented in TABLES[model].items():
        row = []
        for size, pixels in zip(SIZES[model], documented.split(), strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                image = client.generate_image("a dot", model=model, aspect_ratio=ratio, image_size=size).images[0]
            row.append(f"{image.width}x{image.height}")
            config = {"aspectRatio": ratio} | ({"imageSize": size} if size else {})
            asked = emulator.requests[-1].json["generationConfig"]
            if row[-1] != pixels or asked != {"responseModalities": ["IMAGE"], "imageConfig": config}:
                wrong.append((ratio, size, row[-1], pixels, asked))
            emulator.requests.clear()
        print(f"{ratio:>6}" + "".join(f"{pixels:>12}" for pixels in row))

    assert wrong == []


@pytest.mark.parametrize("model", TABLES)
def test_the_table_of_capabilities_is_the_documented_one(model):
    """What the core takes for known are the ratios and sizes of the table."""
    known = capabilities(model)

    assert set(known.aspect_ratios) == TABLES[model].keys()
    assert known.image_sizes == tuple(size for size in SIZES[model] if size)
