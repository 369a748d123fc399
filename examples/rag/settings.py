"""Settings that you may want to change."""

from __future__ import annotations

from pathlib import Path

from examples.gateway import EMBEDDING_MODEL

# An embedding model of the gateway, or any other embedding of LlamaIndex as `module:Class`, which is called without
# arguments. Put yours here, or pass --embedding.
EMBEDDING = EMBEDDING_MODEL

CHUNK_SIZE = 256  # tokens in one piece of a document, at most
PIECES = 3  # pieces that an answer is made from
HISTORY_TOKENS = 16_000  # the most that a chat remembers; half of the model's window if that is less

DOCUMENTS = Path(__file__).parents[1] / "data"
STORAGE = Path("out/rag")
QUESTIONS = Path(__file__).with_name("questions.txt")
