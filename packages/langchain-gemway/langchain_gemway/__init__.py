"""LangChain for Gemini-native gateways with Bearer auth.

from langchain_gemway import ChatGemway

model = ChatGemway(model="gemini-2.5-flash")  # GEMWAY_API_KEY and GEMWAY_BASE_URL say where
"""

from langchain_gemway._register import register
from langchain_gemway.chat_models import ChatGemway
from langchain_gemway.tools import GenerateImage

__all__ = ["ChatGemway", "GenerateImage", "register"]
