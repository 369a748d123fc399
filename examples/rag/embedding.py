"""Bring in the embedding model that the user names."""

from __future__ import annotations

from importlib import import_module

from llama_index.core.base.embeddings.base import BaseEmbedding

from examples.rag.errors import RagError, one_line


def load_embedding(name: str) -> BaseEmbedding:
    """Return the model that `module:Class`, `module:function` or `module:instance` stands for.

    Raises:
        RagError: there is no such thing, it cannot be made without arguments, or it is no embedding of LlamaIndex.
    """
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise RagError(f"{name!r} names no embedding; write it as module:Class")
    try:
        found = getattr(import_module(module), attribute)
        model = found if isinstance(found, BaseEmbedding) else found()
    except Exception as error:
        raise RagError(f"cannot make the embedding {name}: {one_line(error)}") from error
    if not isinstance(model, BaseEmbedding):
        raise RagError(f"{name} makes a {type(model).__name__}, which is no embedding of LlamaIndex")
    return model
