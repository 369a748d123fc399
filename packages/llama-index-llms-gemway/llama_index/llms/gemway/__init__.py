"""LlamaIndex LLM for Gemini-native gateways with Bearer auth: `from llama_index.llms.gemway import Gemway`."""

from llama_index.llms.gemway.base import Gemway

__all__ = ["Gemway"]
