"""What is known about model names: generation, modality, windows. A table, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_MILLION = 1_048_576

# name: (input tokens, output tokens); the list GET /models answers with.
_WINDOWS = {
    "gemini-2.5-pro": (_MILLION, 65_536),
    "gemini-2.5-flash": (_MILLION, 65_536),
    "gemini-2.5-flash-lite": (_MILLION, 65_536),
    "gemini-2.5-flash-image": (32_768, 32_768),
    "gemini-3-flash-preview": (_MILLION, 65_536),
    "gemini-3-pro-preview": (_MILLION, 65_536),
    "gemini-3-pro-image": (65_536, 32_768),
    "gemini-3-pro-image-preview": (131_072, 32_768),
    "gemini-3.1-pro-preview": (_MILLION, 65_536),
    "gemini-3.1-flash-lite": (_MILLION, 65_536),
    "gemini-3.1-flash-image": (131_072, 32_768),
    "gemini-3.1-flash-image-preview": (65_536, 65_536),
    "gemini-3.1-flash-lite-image": (65_536, 4_096),
    "gemini-3.5-flash": (_MILLION, 65_536),
    "gemini-3.5-flash-lite": (_MILLION, 65_536),
    "gemini-3.6-flash": (_MILLION, 65_536),
    "gemini-3.7-flash": (_MILLION, 65_536),
    "gemini-3.8-flash": (_MILLION, 65_536),
    "gemini-4-argon": (_MILLION, 65_536),
    "gemini-flash-latest": (_MILLION, 65_536),
    "gemini-flash-lite-latest": (_MILLION, 65_536),
    "gemma-4-26b-a4b-it": (262_144, 32_768),
    "gemma-4-31b-it": (262_144, 32_768),
}

# These refuse a conversation that ends with a model turn (no prefill).
_NO_PREFILL = re.compile(r"gemini-3\.5-flash-lite|gemini-3\.6-flash")
_NEWEST = 4.0


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
        window = _WINDOWS.get(self.name, (_MILLION, 65_536))
        methods = ["generateContent", "streamGenerateContent", "countTokens"]
        return {
            "name": f"models/{self.name}",
            "baseModelId": self.name,
            "version": "001",
            "displayName": self.name.replace("-", " ").title(),
            "description": "Answered by the gemway emulator, without a language model.",
            "inputTokenLimit": window[0],
            "outputTokenLimit": window[1],
            "supportedGenerationMethods": methods,
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "maxTemperature": 2,
            "thinking": not self.name.startswith("gemini-2.5-flash-image"),
        }


def find(name: str, also: Iterable[str] = ()) -> Model | None:
    """Return the model called *name*, or None if this gateway would not serve it.

    Every `gemini*` and `gemma*` name is served (gateways add models every week), and the names in *also*.
    """
    bare = name.removeprefix("models/")
    known = re.fullmatch(r"(gemini|gemma)[\w.\-]*", bare) or bare in also
    return Model(bare) if known else None


def listed(also: Iterable[str] = ()) -> list[Model]:
    """All models of the list endpoint."""
    return [Model(name) for name in (*_WINDOWS, *also)]
