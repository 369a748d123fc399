"""A small embedding that needs no model and no network: words and pieces of words, hashed into a vector.

Good enough to try a retriever; for real work take an embedding model instead.
"""

from __future__ import annotations

import math
import re
from hashlib import blake2b

from llama_index.core.base.embeddings.base import BaseEmbedding

SIZE = 512


class HashEmbedding(BaseEmbedding):
    """Texts that share words, or pieces of words, get similar vectors."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [0.0] * SIZE
        for feature in _features(text):
            digest = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "big")
            vector[digest % SIZE] += 1.0 if digest & (1 << 40) else -1.0
        length = math.sqrt(sum(value * value for value in vector)) or 1.0
        return [value / length for value in vector]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def _features(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    pieces = [f" {word} "[start : start + 3] for word in words for start in range(len(word))]
    return words + pieces
