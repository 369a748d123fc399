"""Make `init_chat_model("gemway:...")`, `create_agent("gemway:...")` and `init_embeddings("gemway:...")` work."""

from __future__ import annotations


def register() -> bool:
    """Add `gemway` to LangChain's providers of chat models and embeddings; return whether LangChain is installed.

    LangChain has no public registry (its tables of providers are private), so you have to ask for this; it never happens
    at import.
    """
    try:
        from langchain.chat_models import base as chat_models
        from langchain.embeddings import base as embeddings
    except ImportError:
        return False
    added = False
    for module, name in ((chat_models, "ChatGemway"), (embeddings, "GemwayEmbeddings")):
        providers = getattr(module, "_BUILTIN_PROVIDERS", None)
        if isinstance(providers, dict):
            providers.setdefault("gemway", ("langchain_gemway", name, _create))
            added = True
    return added


def _create(cls: type, **kwargs: object) -> object:
    return cls(**kwargs)
