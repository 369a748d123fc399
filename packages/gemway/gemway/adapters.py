"""The names that people need who write an adapter for a framework. They are as stable as those of `gemway` itself."""

from gemway._accumulate import Accumulator
from gemway._checks import refuse_invalid
from gemway._config import environment_key, resolve_base_url, resolve_model
from gemway._conversation import arrange
from gemway._embeddings import split_embedding_options
from gemway._json_objects import merge_deep
from gemway._media import inline_part, remote_urls, to_part, with_media
from gemway._model_options import CallChanges, ClientHolder, ModelOptions
from gemway._option_reader import SECRET_OPTIONS, canonical, hide_secrets, override
from gemway._options import OPTIONS, OtherNames, accepts, option
from gemway._protocol import WireRequest
from gemway._redaction import SecretMapping, fingerprint
from gemway._requests import BLOCKED, refuse_blocked
from gemway._sniff import decode_base64, sniff_mime_type
from gemway._text_chunks import TextChunk
from gemway._tools import sanitize_tool_name
from gemway._warn_once import warn
from gemway._wire_options import to_generation_config, to_safety_settings, to_tool_config

__all__ = [
    "Accumulator",
    "BLOCKED",
    "CallChanges",
    "ClientHolder",
    "ModelOptions",
    "OPTIONS",
    "OtherNames",
    "SECRET_OPTIONS",
    "SecretMapping",
    "TextChunk",
    "WireRequest",
    "accepts",
    "arrange",
    "canonical",
    "decode_base64",
    "environment_key",
    "fingerprint",
    "hide_secrets",
    "inline_part",
    "merge_deep",
    "option",
    "override",
    "refuse_blocked",
    "refuse_invalid",
    "remote_urls",
    "resolve_base_url",
    "resolve_model",
    "sanitize_tool_name",
    "sniff_mime_type",
    "split_embedding_options",
    "to_generation_config",
    "to_part",
    "to_safety_settings",
    "to_tool_config",
    "warn",
    "with_media",
]
