"""Looking for pictures in texts takes linear time, whatever a stranger writes."""

from __future__ import annotations

import time

import pytest
from gemway._embedded_images import extract_embedded_images
from gemway.types import GenerateContentResponse

URL = "![a](data:image/png;base64," + "A" * 64
TEXTS = {
    "openings": ("![", ""),
    "exclamations": ("!", ""),
    "links": ("![a](", ""),
    "URLs never closed": (URL + " ", ""),
    "spaces behind one URL": (" ", URL),
    "quotes behind one URL": ('"', URL),
    "a long URL": ("A", URL),
    "spaces before a data: URL": (" ", ""),
}


@pytest.mark.parametrize(("repeated", "before"), TEXTS.values(), ids=TEXTS)
def test_the_time_is_linear(repeated, before):
    """Four times the text takes about four times as long, never sixteen times."""

    def seconds(size):
        text = f"data:image {before}{repeated * (size // len(repeated))}x"
        response = GenerateContentResponse.model_validate({"candidates": [{"content": {"parts": [{"text": text}]}}]})
        start = time.process_time()
        extract_embedded_images(response)
        return time.process_time() - start

    short = min(seconds(20_000) for _ in range(3))

    assert min(seconds(80_000) for _ in range(3)) < 10 * short + 0.05
