"""What the programs for the clients share: where the emulator is, pictures, and how results are told to `run.py`."""

from __future__ import annotations

import io
import json
import os
import traceback
from collections.abc import Callable

from PIL import Image

BASE_URL = os.environ["GEMWAY_BASE_URL"]
KEY = os.environ["GEMWAY_API_KEY"]
HEADERS = {"Authorization": f"Bearer {KEY}"}
# Google's clients do not start without a key of their own, and send it beside the Bearer token.
DUMMY = "dummy"
MODELS = ("gemini-2.5-flash", "gemini-3-flash-preview")
PAINTER = "gemini-3.1-flash-image-preview"
OSLO = "Oslo is the capital of Norway. Riga is the capital of Latvia. What is the capital of Norway?"
WEATHER = "What is the weather in Paris? Use the get_weather tool."


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"21 degrees in {city}"


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a picture."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.size


def fails(call: Callable[[], object], *words: str) -> None:
    """Raise AssertionError unless *call* raises an error whose text has all *words*."""
    try:
        call()
    except Exception as error:
        text = f"{type(error).__name__} {error} {vars(error)}"
        assert all(word in text for word in words), f"{words} expected in {text[:300]}"
    else:
        raise AssertionError("no error was raised")


def run(checks: dict[str, Callable[[], None]]) -> None:
    """Run *checks* and print one JSON object: "ok" or the failure, by name."""
    results = {}
    for name, check in checks.items():
        try:
            check()
            results[name] = "ok"
        except Exception as error:
            results[name] = f"{type(error).__name__}: {error}"[:300]
            traceback.print_exc()
    print(json.dumps(results))
