"""Make `init_chat_model("gemway:...")` and `create_agent("gemway:...")` find ChatGemway."""

from __future__ import annotations


def register() -> bool:
    """Enter ChatGemway among LangChain's providers under the name `gemway`; return whether LangChain is there.

    LangChain has no public registry (its table of providers is private), so this is asked for, never done at import.
    """
    try:
        from langchain.chat_models import base
    except ImportError:
        return False
    providers = getattr(base, "_BUILTIN_PROVIDERS", None)
    if not isinstance(providers, dict):
        return False
    providers.setdefault("gemway", ("langchain_gemway", "ChatGemway", _create))
    return True


def _create(cls: type, **kwargs: object) -> object:
    return cls(**kwargs)
