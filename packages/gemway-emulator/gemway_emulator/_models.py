"""What is known about model names: generation, modality, windows. A table, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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
_UNITS = {"K": 1024, "M": 1_048_576}
_DEFAULT_WINDOW = "1M/65536"
_WINDOW_OF = {name: window for window, *names in map(str.split, _WINDOWS.split("\n")[1:-1]) for name in names}

# These refuse a conversation that ends with a model turn (no prefill).
_NO_PREFILL = re.compile(r"gemini-3\.5-flash-lite|gemini-3\.6-flash")
_NEWEST = 4.0
_DIMENSIONS = {"gemini-embedding": 3072, "text-embedding-3-large": 3072, "text-embedding-3-small": 1536}


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
    def dimensions(self) -> int:
        """The length of its whole vectors."""
        return next((length for name, length in _DIMENSIONS.items() if name in self.name), 768)

    @property
    def embeds_text_only(self) -> bool:
        """Whether it refuses pictures and other media, as all of Google's did before gemini-embedding-2."""
        return self.name in _WINDOW_OF and "embedding-2" not in self.name

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
        """Whether a trailing model turn is an error."""
        return _NO_PREFILL.match(self.name) is not None

    @property
    def forgives_unanswered_calls(self) -> bool:
        """Gemini 2.0 and older answer a user text that follows a function call without its response."""
        return 0 < self.generation < 2.5

    def describe(self) -> dict[str, Any]:
        """The model resource, as `GET models/{model}` answers."""
        limit, most = _WINDOW_OF.get(self.name, _DEFAULT_WINDOW).split("/")
        methods = (
            ["embedContent", "countTokens"]
            if self.embeds
            else ["generateContent", "streamGenerateContent", "countTokens"]
        )
        return {
            "name": f"models/{self.name}",
            "baseModelId": self.name,
            "version": "001",
            "displayName": self.name.replace("-", " ").title(),
            "description": "Answered by the gemway emulator, without a language model.",
            "inputTokenLimit": int(limit[:-1]) * _UNITS[limit[-1]],
            "outputTokenLimit": int(most),
            "supportedGenerationMethods": methods,
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
