"""Embed text without a model: hashed words and letter groups. Texts that share words are near each other. Pure."""

from __future__ import annotations

import hashlib
import math

from gemway_emulator._language import content_words

DIMENSIONS = 768


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A unit vector of *dimensions* numbers, always the same for the same *text*."""
    vector = [0.0] * dimensions
    for feature, weight in _features(text):
        digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
        position = int.from_bytes(digest[:4], "big") % dimensions
        vector[position] += weight if digest[4] % 2 else -weight
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else [1.0, *vector[1:]]


def _features(text: str) -> list[tuple[str, float]]:
    stems = content_words(text) or text.split()
    groups = [stem[start : start + 3] for stem in stems for start in range(max(len(stem) - 2, 0))]
    return [(f"word {stem}", 1.0) for stem in stems] + [(f"group {group}", 0.3) for group in groups]
