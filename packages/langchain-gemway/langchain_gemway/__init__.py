"""LangChain for Gemini-native gateways with Bearer auth.

from langchain_gemway import ChatGemway

model = ChatGemway(model="gemini-2.5-flash")  # GEMWAY_API_KEY and GEMWAY_BASE_URL say where
"""

from typing import TYPE_CHECKING

# LangChain before all else: the other way round, the garbage collector walks our classes once more for it (60 ms).
import langchain_core.language_models.chat_models as _first  # noqa: F401 - only to have it loaded

from langchain_gemway.chat_models import ChatGemway

if TYPE_CHECKING:
    from langchain_gemway.embeddings import GemwayEmbeddings
    from langchain_gemway.tools import GenerateImage

__all__ = ["ChatGemway", "GemwayEmbeddings", "GenerateImage", "register"]


def __getattr__(name: str) -> object:
    if name == "GenerateImage":  # chat alone needs no tools, and LangChain's cost 15 ms
        from langchain_gemway.tools import GenerateImage

        return GenerateImage
    if name == "GemwayEmbeddings":
        from langchain_gemway.embeddings import GemwayEmbeddings

        return GemwayEmbeddings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register() -> bool:
    """Make `init_chat_model("gemway:...")`, `create_agent("gemway:...")` and `init_embeddings("gemway:...")` work.

    Returns whether LangChain is installed; without it nothing happens.
    """
    # LangChain has no public registry: its tables of providers are private. So you have to ask for this, and it never
    # happens at import. A version without those tables is left alone.
    try:
        from langchain.chat_models import base as chat_models
        from langchain.embeddings import base as embeddings
    except ImportError:
        return False
    added = False
    for module, name in ((chat_models, "ChatGemway"), (embeddings, "GemwayEmbeddings")):
        providers = getattr(module, "_BUILTIN_PROVIDERS", None)
        if isinstance(providers, dict):
            providers.setdefault("gemway", ("langchain_gemway", name, _create_model))
            added = True
    return added


def _create_model(cls: type, **kwargs: object) -> object:
    return cls(**kwargs)
