"""Model profiles: what LangChain's agents and middleware ask about a model, from the core's table. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from gemway import Capabilities, capabilities
from langchain_core.language_models import ModelProfile

_MEDIA = ("text", "image", "audio", "video", "pdf")


def to_profile(model: str) -> ModelProfile:
    """Return the profile of *model*, by its name or the known name inside it."""
    known = _known_keys()
    entries = _entries(model, capabilities(model))
    return cast("ModelProfile", {key: value for key, value in entries.items() if key in known})


@lru_cache(maxsize=1)
def _known_keys() -> frozenset[str]:
    """Return the keys that this langchain-core knows; it warns about others."""
    return frozenset(ModelProfile.__annotations__)


def _entries(model: str, able: Capabilities) -> dict[str, Any]:
    entries: dict[str, Any] = {
        "name": model,
        "max_input_tokens": able.input_tokens,
        "max_output_tokens": able.output_tokens,
        "image_url_inputs": "image" in able.inputs,
        "image_tool_message": able.tools and "image" in able.inputs,
        "pdf_tool_message": able.tools and "pdf" in able.inputs,
        "reasoning_output": able.thinking is not None,
        "tool_calling": able.tools,
        "tool_choice": able.tools,
        "tool_call_streaming": able.tools,
        "structured_output": able.structured_output,
        "attachment": "image" in able.inputs,
        "temperature": able.sampling,
        "mid_conversation_system_messages": False,
        "mid_conversation_tools": False,
    }
    entries.update({f"{medium}_inputs": medium in able.inputs for medium in _MEDIA})
    entries.update({f"{medium}_outputs": medium in able.outputs for medium in _MEDIA[:4]})
    if able.thinking_levels:
        entries["reasoning_effort_levels"] = list(able.thinking_levels)
    if able.default_thinking_level:
        entries["reasoning_effort_default"] = able.default_thinking_level
    return entries
