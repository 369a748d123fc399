"""Where a message keeps what has no place in its content: signatures, and ids that the server gave.

Signed parts must go back exactly as they came (ai.google.dev, Thought signatures). Content that is a plain string
has no room for that, so the message's `additional_kwargs` hold, and only where they are needed:

- `CALL_SIGNATURES`: tool call id -> signature; the key that ChatGoogleGenerativeAI uses too.
- `SERVER_IDS`: ids of calls that the server gave; others were made up here and are never sent.
- `PARTS`: the parts in order, as `{"text": length}`, `{"thought": length}`, `{"call": id}` or `{"block": {...}}` (what
  a server did on its side), texts with their `signature`; beside list content only `{"call": id, "at": blocks before}`.
- `REASONING`: thoughts that nobody asked for, where the content stays a string.
"""

from __future__ import annotations

from typing import Any, Final

CALL_SIGNATURES: Final = "__gemini_function_call_thought_signatures__"
SERVER_IDS: Final = "gemway_call_ids"
PARTS: Final = "gemway_parts"
REASONING: Final = "reasoning_content"
PROVIDER: Final = "google_genai"
"""Stamped as `model_provider`, so that LangChain's translators and ChatGoogleGenerativeAI read our messages."""

_GOOGLES: Final = frozenset({"google_genai", "google_vertexai"})


def is_google(metadata: dict[str, Any], extra: dict[str, Any]) -> bool:
    """Tell whether a message came from Gemini, so that its signatures mean something there."""
    if provider := metadata.get("model_provider"):
        return provider in _GOOGLES
    return CALL_SIGNATURES in extra or PARTS in extra
