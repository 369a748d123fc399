"""Picture tools for LlamaIndex agents: `from llama_index.tools.gemway import GemwayToolSpec`."""

from llama_index.tools.gemway.base import GemwayToolSpec

__all__ = ["GemwayToolSpec"]
