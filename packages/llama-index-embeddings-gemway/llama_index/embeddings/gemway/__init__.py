"""LlamaIndex embeddings over a gateway: `from llama_index.embeddings.gemway import GemwayEmbedding`."""

from llama_index.embeddings.gemway.base import GemwayEmbedding

__all__ = ["GemwayEmbedding"]
