"""Load the embedding model that the user names."""

from __future__ import annotations

from importlib import import_module

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.embeddings.gemway import GemwayEmbedding

from examples.rag.errors import RagError, one_line


def load_embedding(name: str) -> BaseEmbedding:
    """Return the embedding called *name*.

    Args:
        name: an embedding model of the gateway, such as `gemini-embedding-001`, or any other embedding of LlamaIndex
            as `module:Class`, `module:function` or `module:instance`. Classes and functions are called without
            arguments.

    Raises:
        RagError: the name leads nowhere, or to something that is not an embedding of LlamaIndex.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        return GemwayEmbedding(model=name)
    try:
        loaded = getattr(import_module(module), attribute)
        model = loaded if isinstance(loaded, BaseEmbedding) else loaded()
    except Exception as error:
        raise RagError(f"cannot load the embedding {name}: {one_line(error)}") from error
    if not isinstance(model, BaseEmbedding):
        raise RagError(f"{name} is a {type(model).__name__}, not an embedding of LlamaIndex")
    return model
