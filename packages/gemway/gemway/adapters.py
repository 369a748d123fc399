"""The names that people need who write an adapter for a framework. They are as stable as those of `gemway` itself."""

from gemway._accumulate import Accumulator, ModelTemplate, TextChunk
from gemway._checks import refuse_invalid
from gemway._config import environment_key, resolve_base_url, resolve_model
from gemway._conversation import arrange
from gemway._json import from_store, merge_deep
from gemway._media import inline_part, remote_urls, to_part, with_media
from gemway._model_options import CallChanges, ClientHolder, EmbeddingModelOptions, ModelOptions
from gemway._option_reader import SECRET_OPTIONS, canonical_options, hide_secrets, merge_options
from gemway._options import OPTIONS, OtherNames, accepts, option
from gemway._protocol import WireRequest
from gemway._redaction import SecretMapping, fingerprint
from gemway._response import BLOCKED_FINISH_REASONS, FINISH_PROBLEMS, raise_if_blocked
from gemway._retry import surely_not_begun
from gemway._schema import inline_root_reference
from gemway._sniff import decode_base64, sniff_mime_type
from gemway._tools import restore_arguments, sanitize_tool_name, split_result_media, stamp_class
from gemway._warnings import warn, warn_once
from gemway._wire_options import to_generation_config, to_safety_settings, to_tool_config
from gemway.types import find_answered_call

__all__ = [
    "Accumulator",
    "BLOCKED_FINISH_REASONS",
    "CallChanges",
    "ClientHolder",
    "EmbeddingModelOptions",
    "FINISH_PROBLEMS",
    "ModelOptions",
    "ModelTemplate",
    "OPTIONS",
    "OtherNames",
    "SECRET_OPTIONS",
    "SecretMapping",
    "TextChunk",
    "WireRequest",
    "accepts",
    "arrange",
    "canonical_options",
    "decode_base64",
    "environment_key",
    "find_answered_call",
    "fingerprint",
    "from_store",
    "hide_secrets",
    "inline_part",
    "inline_root_reference",
    "merge_deep",
    "merge_options",
    "option",
    "raise_if_blocked",
    "refuse_invalid",
    "remote_urls",
    "resolve_base_url",
    "resolve_model",
    "restore_arguments",
    "sanitize_tool_name",
    "sniff_mime_type",
    "split_result_media",
    "stamp_class",
    "surely_not_begun",
    "to_generation_config",
    "to_part",
    "to_safety_settings",
    "to_tool_config",
    "warn",
    "warn_once",
    "with_media",
]
