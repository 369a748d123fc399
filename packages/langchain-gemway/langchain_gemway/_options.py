"""From a model's settings and a call's options to one request. Pure, but for the warnings of the core.

Options are named once, in the core; here they are gathered, put together, and turned into the wire's body.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

import gemway
import gemway.adapters
from gemway import Dialect, capabilities
from gemway.adapters import (
    SECRET_OPTIONS,
    WireRequest,
    fingerprint,
    hide_secrets,
    merge_deep,
    to_generation_config,
    to_safety_settings,
)
from langchain_core.messages import BaseMessage

from langchain_gemway._messages import LateSystem, to_request
from langchain_gemway._tools import BoundTools, to_bound_tools

CLIENT_OPTIONS: Final = (
    *("api_key", "base_url", "timeout", "max_retries", "deadline", "default_headers", "auth"),
    *("inline_data_casing", "max_connections", "max_response_bytes", "max_continuations", "proxy", "verify"),
    *("auth_header", "auth_scheme", "retry_budget", "retry_image_timeouts", "on_retry"),
)
"""Options of the core's client that are fields of the model under the same name."""

REQUEST_OPTIONS: Final = (
    *("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "n", "presence_penalty", "frequency_penalty"),
    *("logprobs", "top_logprobs", "response_modalities", "image_config", "aspect_ratio", "image_size"),
    *("thinking_budget", "thinking_level", "include_thoughts", "media_resolution", "speech_config"),
    *("response_mime_type", "response_schema", "response_json_schema", "response_format", "generation_config"),
    *("safety_settings", "cached_content", "labels", "tool_config", "tool_choice", "parallel_tool_calls", "strict"),
    *("extra_body", "tools"),
)
"""Options of a request that are fields of the model under the same name."""

_CALL_ONLY: Final = frozenset({"late_system", "schema_dialect"})
# What LangChain itself puts among the options of a call, for itself.
_LANGCHAINS: Final = frozenset({"stream", "stream_usage", "ls_structured_output_format", "structured_output_format"})
_HANDLED: Final = frozenset({"tools", "tool_choice", "tool_config", "strict", "parallel_tool_calls"})
_BODY: Final = frozenset({"safety_settings", "cached_content", "labels", "extra_body"})
_PER_CALL: Final = {"timeout": "timeout", "max_retries": "max_retries", "deadline": "deadline"}
_UNTRACED: Final = SECRET_OPTIONS | {"auth", "http_client", "http_async_client", "on_retry", "media_fetcher"}


def hide_call_secrets(kwargs: dict[str, Any]) -> None:
    """Mask the secrets among the options of a call, in place; the first line of whatever takes such options."""
    hide_secrets(kwargs, known=_LANGCHAINS | _CALL_ONLY)


def cache_key_options(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call for the key of LangChain's cache: secrets as digests that tell them apart."""
    return {name: fingerprint(value) if name in SECRET_OPTIONS else value for name, value in kwargs.items()}


def to_changes(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call under their canonical names."""
    changes = gemway.adapters.canonical(
        {name: value for name, value in kwargs.items() if name not in _LANGCHAINS}, known=_CALL_ONLY, where="ChatGemway"
    )
    if changes.get("parallel_tool_calls") is False:
        _warn_about_parallel_calls()
    return changes


@cache
def _warn_about_parallel_calls() -> None:
    warnings.warn("parallel_tool_calls=False cannot be said to Gemini and is ignored", stacklevel=2)


def traced(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call without what traces must not hold."""
    return {name: value for name, value in kwargs.items() if name not in _UNTRACED}


def call_options(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the core's client takes for one call."""
    options = {target: changes[name] for name, target in _PER_CALL.items() if name in changes}
    headers = {**(changes.get("default_headers") or {}), **(changes.get("extra_headers") or {})}
    return {**options, "headers": headers} if headers else options


class ConfigMemory:
    """The last generationConfig, kept as long as the options stay the same."""

    def __init__(self) -> None:
        self._last: tuple[str, str, dict[str, Any], dict[str, Any]] | None = None

    def config(self, options: Mapping[str, Any], model: str, dialect: Dialect) -> dict[str, Any]:
        """Return the generationConfig for *options*. It is shared: not to be changed."""
        wanted = {name: value for name, value in options.items() if name not in _HANDLED and name not in _BODY}
        last = self._last
        if last and last[0] == model and last[1] == dialect and last[2] == wanted:
            return last[3]
        config = to_generation_config(wanted, model=model, dialect=dialect)
        kept = {name: _frozen(value) for name, value in wanted.items()}
        self._last = (model, dialect, kept, config)
        return config

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfigMemory, ()

    def __deepcopy__(self, memo: Any) -> ConfigMemory:
        return ConfigMemory()


def _frozen(value: Any) -> Any:
    """Return a copy of what the user could change in place."""
    return copy.deepcopy(value) if isinstance(value, dict | list) else value


def to_body(
    messages: Sequence[BaseMessage],
    options: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    model: str,
    late_system: LateSystem,
    dialect: Dialect,
) -> tuple[WireRequest, BoundTools | None]:
    """Return the request body and the tools that it offers."""
    contents, system = to_request(messages, model=model, late_system=late_system)
    body = WireRequest(contents=contents)
    if system:
        body["systemInstruction"] = {"parts": system}
    tools = to_bound_tools(options.get("tools"), dialect)
    if tools:
        body["tools"] = tools.wire
    if tool_config := _tool_config(options, tools, model):
        body["toolConfig"] = tool_config
    if config:
        body["generationConfig"] = config
    if (settings := options.get("safety_settings")) is not None:
        body["safetySettings"] = to_safety_settings(settings)
    if labels := options.get("labels"):
        body["labels"] = labels
    if cached := options.get("cached_content"):
        _use_cache(body, cached)
    if extra := options.get("extra_body"):
        body = WireRequest(merge_deep(body, extra))
    return body, tools


def _tool_config(options: Mapping[str, Any], tools: BoundTools | None, model: str) -> dict[str, Any] | None:
    given = options.get("tool_config")
    if tools is None:
        return gemway.adapters.to_tool_config(None, names=(), tool_config=given) if given is not None else None
    config = gemway.adapters.to_tool_config(
        options.get("tool_choice"), names=tools.names, strict=options.get("strict"), tool_config=given
    )
    if tools.names and tools.server_tools and capabilities(model).tools_with_server_tools:
        return {"includeServerSideToolInvocations": True, **(config or {})}
    return config


def _use_cache(body: dict[str, Any], name: str) -> None:
    """Point to cached content. What belongs in it must not be said again: Google answers 400."""
    body["cachedContent"] = name
    said = [field for field in ("systemInstruction", "tools", "toolConfig") if body.pop(field, None) is not None]
    if said:
        import warnings

        warnings.warn(f"with cached_content, {' and '.join(said)} must be in the cache; not sent again", stacklevel=2)


def media_dialect(value: str) -> Dialect:
    """Return the schema dialect, checked."""
    if value not in {"json_schema", "openapi"}:
        raise gemway.ConfigurationError(f'schema_dialect must be "json_schema" or "openapi", not {value!r}')
    return cast("Dialect", value)
