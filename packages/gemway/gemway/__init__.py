"""A client for Gemini-native gateways that authenticate with a Bearer token.

from gemway import Client

client = Client(base_url="https://gateway.example", api_key="sk-...")
print(client.generate_content("gemini-2.5-flash", {"contents": [{"parts": [{"text": "Hello"}]}]}).text)
"""

from gemway import types
from gemway._accumulate import Accumulator, fold
from gemway._async_client import AsyncChat, AsyncClient, AsyncStream
from gemway._capabilities import Capabilities, capabilities
from gemway._client import Chat, Client, Stream
from gemway._config import environment_key, resolve_base_url, resolve_model
from gemway._conversation import SENTINEL, arrange, with_sentinels
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
from gemway._json_objects import from_store, merge_deep, without_decimals
from gemway._media import data_url, inline_part, remote_urls, split_data_url, to_part, with_media
from gemway._option_reader import COMPOSED, canonical, override
from gemway._options import ALIASES, IGNORED, OPTIONS, REFUSED
from gemway._protocol import WireRequest
from gemway._redaction import Secret
from gemway._requests import BLOCKED, FINISH_PROBLEMS, IMAGE_MODEL, image_request, refuse_blocked, with_pictures
from gemway._retry import RetryEvent
from gemway._schema import Dialect, function_declaration, inline_root_reference, response_schema, to_schema
from gemway._schema.openapi import SchemaError
from gemway._sniff import decode_base64, picture_size, sniff_mime_type
from gemway._text_chunks import TextChunk
from gemway._tools import restore_arguments, sanitize_tool_name, split_result_media
from gemway._version import __version__
from gemway._wire_options import to_generation_config, to_response_format, to_safety_settings, to_tool_config

__all__ = [
    "ALIASES",
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "Accumulator",
    "AsyncChat",
    "AsyncClient",
    "AsyncStream",
    "AuthenticationError",
    "BLOCKED",
    "BadRequestError",
    "COMPOSED",
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
    "FINISH_PROBLEMS",
    "GemwayError",
    "IGNORED",
    "IMAGE_MODEL",
    "Image",
    "InternalServerError",
    "MediaFetcher",
    "NotFoundError",
    "OPTIONS",
    "PermissionDeniedError",
    "QuotaExceededError",
    "REFUSED",
    "RateLimitError",
    "RequestTooLargeError",
    "ResponseValidationError",
    "RetryEvent",
    "SENTINEL",
    "SchemaError",
    "Secret",
    "Stream",
    "StreamInterruptedError",
    "StreamTimeoutError",
    "TextChunk",
    "UnprocessableEntityError",
    "UnsupportedContentError",
    "WireRequest",
    "__version__",
    "arrange",
    "canonical",
    "capabilities",
    "data_url",
    "decode_base64",
    "environment_key",
    "fold",
    "from_store",
    "function_declaration",
    "image_request",
    "inline_part",
    "inline_root_reference",
    "merge_deep",
    "override",
    "picture_size",
    "refuse_blocked",
    "remote_urls",
    "resolve_base_url",
    "resolve_model",
    "response_schema",
    "restore_arguments",
    "sanitize_tool_name",
    "sniff_mime_type",
    "split_data_url",
    "split_result_media",
    "to_generation_config",
    "to_part",
    "to_response_format",
    "to_safety_settings",
    "to_schema",
    "to_tool_config",
    "types",
    "with_media",
    "with_pictures",
    "with_sentinels",
    "without_decimals",
]
