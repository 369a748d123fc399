"""LangChain for Gemini-native gateways with Bearer auth.

from langchain_gemway import ChatGemway

model = ChatGemway(model="gemini-2.5-flash")  # GEMWAY_API_KEY and GEMWAY_BASE_URL say where
"""

from typing import TYPE_CHECKING, Any

# LangChain before all else: the other way round, the garbage collector walks our classes once more for it (60 ms).
import langchain_core.language_models.chat_models as _first  # noqa: F401 - only to have it loaded

from langchain_gemway._register import register
from langchain_gemway.chat_models import ChatGemway

if TYPE_CHECKING:
    from langchain_gemway.embeddings import GemwayEmbeddings
    from langchain_gemway.tools import GenerateImage

__all__ = ["ChatGemway", "GemwayEmbeddings", "GenerateImage", "register"]


def __getattr__(name: str) -> Any:
    if name == "GenerateImage":  # chat alone needs no tools, and LangChain's cost 15 ms
        from langchain_gemway.tools import GenerateImage

        return GenerateImage
    if name == "GemwayEmbeddings":
        from langchain_gemway.embeddings import GemwayEmbeddings

        return GemwayEmbeddings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
