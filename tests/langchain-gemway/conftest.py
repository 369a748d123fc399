"""What the LangChain tests share: models of the emulator, and files that langchain-tests loads from the internet."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from gemway_emulator import Emulator
from langchain_gemway import ChatGemway


@pytest.fixture
def chat(emulator: Emulator) -> Iterator[Callable[..., ChatGemway]]:
    """Make a model of the emulator; keyword arguments are the model's options."""
    made: list[ChatGemway] = []

    def make(model: str = "gemini-2.5-flash", **options: Any) -> ChatGemway:
        given = {"base_url": emulator.base_url, "api_key": emulator.api_key, **options}
        made.append(ChatGemway(model=model, **given))
        return made[-1]

    yield make
    for model in made:
        model.close()


@pytest.fixture
def local_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the picture, the PDF and the recording that langchain-tests loads with httpx.get."""
    files = {".png": _png, ".pdf": lambda: b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n", ".wav": _wav}

    def get(url: str, **_: Any) -> httpx.Response:
        return httpx.Response(200, content=files[url[-4:]](), request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "gemway-tests")


def _png() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def _wav() -> bytes:
    samples = bytes(3200)
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVE" + head + b"data" + struct.pack("<I", 3200) + samples
