"""A client for Gemini-native gateways that authenticate with a Bearer token.

from gemway import Client

client = Client(base_url="https://gateway.example", api_key="sk-...")
print(client.generate_content("gemini-2.5-flash", {"contents": [{"parts": [{"text": "Hello"}]}]}).text)
"""

from gemway import types
from gemway._accumulate import fold
from gemway._async_client import AsyncChat, AsyncClient, AsyncStream
from gemway._capabilities import Capabilities, capabilities
from gemway._client import Chat, Client, Stream
from gemway._embeddings import EmbeddingResult
from gemway._exceptions import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ContentBlockedError,
    ContextOverflowError,
    EmptyResponseError,
    GemwayError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestTooLargeError,
    ResponseValidationError,
    StreamInterruptedError,
    StreamTimeoutError,
    UnprocessableEntityError,
    UnsupportedContentError,
)
from gemway._fetcher import MediaFetcher
from gemway._image import Image
from gemway._image_requests import IMAGE_MODEL
from gemway._retry import RetryEvent
from gemway._schema import Dialect, SchemaError, function_declaration, response_schema, to_schema
from gemway._version import __version__

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncChat",
    "AsyncClient",
    "AsyncStream",
    "AuthenticationError",
    "BadRequestError",
    "Capabilities",
    "Chat",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "ContentBlockedError",
    "ContextOverflowError",
    "Dialect",
    "EmbeddingResult",
    "EmptyResponseError",
    "GemwayError",
    "IMAGE_MODEL",
    "Image",
    "InternalServerError",
    "MediaFetcher",
    "NotFoundError",
    "PermissionDeniedError",
    "QuotaExceededError",
    "RateLimitError",
    "RequestTooLargeError",
    "ResponseValidationError",
    "RetryEvent",
    "SchemaError",
    "Stream",
    "StreamInterruptedError",
    "StreamTimeoutError",
    "UnprocessableEntityError",
    "UnsupportedContentError",
    "__version__",
    "capabilities",
    "fold",
    "function_declaration",
    "response_schema",
    "to_schema",
    "types",
]

# Where they were in the first versions. They can be imported from there until 0.2.
_MOVED_TO_ADAPTERS = frozenset(
    {
        *("Accumulator", "FINISH_PROBLEMS", "OPTIONS", "TextChunk", "WireRequest", "arrange", "decode_base64"),
        *("environment_key", "from_store", "inline_part", "inline_root_reference", "merge_deep", "remote_urls"),
        *("resolve_base_url", "resolve_model", "restore_arguments", "sanitize_tool_name", "sniff_mime_type"),
        *(
            "split_result_media",
            "to_generation_config",
            "to_part",
            "to_safety_settings",
            "to_tool_config",
            "with_media",
        ),
    }
)
_RENAMED = {
    "BLOCKED": "BLOCKED_FINISH_REASONS",
    "canonical": "canonical_options",
    "override": "merge_options",
    "refuse_blocked": "raise_if_blocked",
}


def __getattr__(name: str) -> object:
    """Return a name that moved to `gemway.adapters`, with a DeprecationWarning."""
    import warnings
    from importlib import import_module

    if name not in _MOVED_TO_ADAPTERS and name not in _RENAMED:
        raise AttributeError(f"module 'gemway' has no attribute {name!r}")
    new_name = _RENAMED.get(name, name)
    message = f"import {new_name} from gemway.adapters; gemway.{name} will be removed in 0.2"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    moved: object = getattr(import_module("gemway.adapters"), new_name)
    return moved
