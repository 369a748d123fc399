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
