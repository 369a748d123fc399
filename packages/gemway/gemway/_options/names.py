"""What every option is called, for both adapters. Pure.

Options are named once, here: the names that users of LangChain, LlamaIndex, OpenAI, Anthropic and Google write are
turned into one canonical name each. What an option says on the wire is in `generation_config` and `tool_choice`.

Sources: the page "OpenAI compatibility" of ai.google.dev/gemini-api/docs, and the constructors of ChatOpenAI,
ChatAnthropic, ChatGoogleGenerativeAI and LlamaIndex's OpenAI and GoogleGenAI.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from pydantic import SecretStr

from gemway._exceptions import ConfigurationError
from gemway._json_objects import members, merge_deep
from gemway._options.composed import COMPOSED
from gemway._redaction import MaskedUrl, SecretMapping, Unreadable
from gemway._warn_once import warn_once

OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                *("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "n", "presence_penalty"),
                *("frequency_penalty", "logprobs", "top_logprobs", "response_modalities", "image_config"),
                *("aspect_ratio", "image_size", "thinking_budget", "thinking_level", "include_thoughts"),
                *("media_resolution", "speech_config", "response_mime_type", "response_schema"),
                *("response_json_schema", "response_format", "generation_config"),
            ),
            "generationConfig",
        ),
        **dict.fromkeys(("safety_settings", "cached_content", "labels", "extra_body"), "request"),
        **dict.fromkeys(("tools", "tool_choice", "tool_config", "parallel_tool_calls", "strict"), "tools"),
        **dict.fromkeys(
            (
                *("model", "api_key", "base_url", "auth", "default_headers", "extra_headers", "timeout"),
                *("max_retries", "deadline", "http_client", "http_async_client", "proxy", "verify"),
                *("inline_data_casing", "retry_budget", "retry_image_timeouts", "max_connections"),
                *("max_response_bytes", "max_continuations", "auth_header", "auth_scheme", "on_retry", "media_fetcher"),
            ),
            "client",
        ),
    }
)
"""Canonical option names, each with the place that it goes to: generationConfig, request, tools or client."""

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "model_name": "model",
        "model_id": "model",
        **dict.fromkeys(("google_api_key", "gemini_api_key", "openai_api_key", "anthropic_api_key"), "api_key"),
        **dict.fromkeys(("api_base", "openai_api_base", "anthropic_api_url"), "base_url"),
        **dict.fromkeys(("headers", "additional_headers"), "default_headers"),
        **dict.fromkeys(("model_kwargs", "additional_kwargs"), "extra_body"),
        "async_http_client": "http_async_client",
        **dict.fromkeys(("openai_proxy", "anthropic_proxy"), "proxy"),
        **dict.fromkeys(("request_timeout", "default_request_timeout"), "timeout"),
        "retries": "max_retries",
        **dict.fromkeys(("max_output_tokens", "max_completion_tokens", "max_tokens_to_sample"), "max_tokens"),
        "stop_sequences": "stop",
        "candidate_count": "n",
        "response_logprobs": "logprobs",
        "modalities": "response_modalities",
        **dict.fromkeys(("reasoning_effort", "effort"), "thinking_level"),
        "function_call": "tool_choice",
    }
)
"""Names that people write for a canonical option. Options that hold several others are in `COMPOSED`."""

IGNORED: Final = frozenset(
    {
        # OpenAI
        *("organization", "openai_organization", "service_tier", "user", "store", "metadata", "logit_bias"),
        *("use_responses_api", "use_previous_response_id", "previous_response_id", "include", "truncation"),
        *("include_response_headers", "disabled_params", "default_query", "extra_query", "verbosity"),
        *("tiktoken_model_name", "prediction", "safety_identifier"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
        *("stream_options", "stream_usage", "allowed_openai_params", "http_socket_options", "stream_chunk_timeout"),
        # Anthropic
        *("betas", "context_management", "reuse_last_container", "container", "inference_geo", "cache_control"),
        *("mid_conversation_system", "user_profile_id", "task_budget"),
        # Google
        *("vertexai", "project", "location", "transport", "credentials", "api_version", "client", "debug_config"),
        *("convert_system_message_to_human", "automatic_function_calling", "should_return_http_response"),
        *("vertexai_config", "file_mode", "use_file_api"),
        # LlamaIndex
        *("reuse_client", "is_chat_model", "engine", "deployment_name", "azure_deployment"),
    }
)
"""Options of other providers that mean nothing here: accepted, left out, warned about once each."""

REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "client_args": "http_client= (an httpx.Client), timeout=, proxy= or verify=",
        "openai_client": "http_client= (an httpx.Client)",
        "async_openai_client": "http_async_client= (an httpx.AsyncClient)",
        "async_client": "http_async_client= (an httpx.AsyncClient)",
        "root_client": "http_client= (an httpx.Client)",
        "root_async_client": "http_async_client= (an httpx.AsyncClient)",
        "default_metadata": "default_headers=",
        "default_metadata_input": "default_headers=",
        "functions": "tools=",
        "built_in_tool": 'tools=, such as tools=[{"googleSearch": {}}]',
        "code_execution": 'tools=[{"codeExecution": {}}]',
        "web_search_options": 'tools=[{"googleSearch": {}}]',
        "mcp_servers": 'tools=[{"mcpServers": [...]}]',
        "audio": "speech_config=",
        "audio_config": "speech_config=",
        "text": "response_format=",
        "stream": "the model's stream methods",
    }
)
"""Options that mean something here too, but are said in another way: the advice for each."""


def hide_secrets(options: dict[str, Any], *, known: Collection[str] = ()) -> None:
    """Put an object that masks itself in the place of every value of *options* that may be a secret.

    The first line of every constructor and call that takes options: debuggers and error trackers show the local
    variables of all frames of a traceback. What has an unknown name may be a misspelt key, so it is masked too.
    Never raises; whatever cannot be read is refused later, when the options are checked.

    Args:
        options: changed in place, because the dict itself is a local variable of the caller's.
        known: further names that the caller handles itself; they hold no secret.
    """
    for name, value in options.items():
        if value is None or (name in known and name not in SECRET_OPTIONS):
            continue
        hide = _HIDING.get(ALIASES.get(name, name))
        if hide is not None:
            options[name] = hide(value)
        elif name not in OPTIONS and name not in ALIASES and name not in COMPOSED:
            options[name] = _hidden_unknown(value)


def _hidden_key(value: Any) -> Any:
    if isinstance(value, str):
        return SecretStr(value)
    return value if callable(value) or hasattr(value, "get_secret_value") else _hidden_unknown(value)


def _hidden_headers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _hidden_key(header) for name, header in value.items()}
    return _hidden_unknown(value)


def _hidden_address(value: Any) -> Any:
    return MaskedUrl(value) if type(value) is str and ("@" in value or "?" in value) else value


def _hidden_body(value: Any) -> Any:
    return SecretMapping(value) if isinstance(value, Mapping) else _hidden_unknown(value)


def _hidden_members(value: Any) -> Any:
    """Return a dict, or one of Google's objects, that may hold headers and addresses with passwords."""
    if isinstance(value, str):
        return _hidden_address(value)
    try:
        held = members(value, "options")
    except ConfigurationError:
        return _hidden_unknown(value)
    return SecretMapping({name: _HIDING_MEMBERS.get(name, _as_it_is)(member) for name, member in held.items()})


def _hidden_unknown(value: Any) -> Any:
    is_secret = isinstance(value, SecretStr | SecretMapping | Unreadable | MaskedUrl) or hasattr(value, "reveal")
    return value if is_secret or isinstance(value, bool | int | float) else Unreadable(value)


def _as_it_is(value: Any) -> Any:
    return value


_HIDING: Final[Mapping[str, Callable[[Any], Any]]] = {
    "api_key": _hidden_key,
    "default_headers": _hidden_headers,
    "extra_headers": _hidden_headers,
    "extra_body": _hidden_body,
    "proxy": _hidden_address,
    "base_url": _hidden_address,
    "http_options": _hidden_members,
    "client_options": _hidden_members,
}
_HIDING_MEMBERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "headers": _hidden_headers,
    "extraBody": _hidden_body,
    "apiEndpoint": _hidden_address,
    "baseUrl": _hidden_address,
    "apiKey": _hidden_key,
}
SECRET_OPTIONS: Final = frozenset({*_HIDING, *(alias for alias, name in ALIASES.items() if name in _HIDING)})
"""Every name under which an option may hold a secret."""


def canonical(options: Mapping[str, Any], *, known: Collection[str] = (), where: str) -> dict[str, Any]:
    """Return *options* under their canonical names; None means "not given" and is left out.

    Args:
        options: what the user wrote, at construction or at a call.
        known: further names that the caller handles itself; they pass unchanged.
        where: who was called, for messages: `"ChatGemway"`.

    Raises:
        TypeError: an unknown option; the message names the nearest one.
        ConfigurationError: two names of one option with different values, or a value that cannot be read.
    """
    result: dict[str, Any] = {}
    implied: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in known:
            _put(result, name, value, name, where)
        elif (compose := COMPOSED.get(name)) is not None:
            _put_all(result, implied, compose(value), name, where)
        elif name in OPTIONS:
            _put(result, name, value, name, where)
        elif (target := ALIASES.get(name)) is not None:
            _put(result, target, value, name, where)
        elif name in IGNORED:
            warn_once(("ignored", name), f"{where}: {name!r} has no meaning for Gemini and is ignored")
        else:
            raise TypeError(_unexpected(name, known, where))
    return {**implied, **result} if implied else result


def override(options: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return canonical *options* with canonical *changes* made on top, as a call's options go over a model's.

    A new thinking level replaces an old budget, and the other way round; so do the ways to say a response schema.
    `extra_body`, `default_headers` and what is left of `generation_config` are merged.
    """
    outdated = {old for causes, group in _REPLACED if not causes.isdisjoint(changes) for old in group}
    kept = {name: value for name, value in options.items() if name not in outdated}
    merged = {name: _merged(kept[name], changes[name]) for name in _MERGED if name in kept and name in changes}
    return {**kept, **changes, **merged}


_SCHEMAS: Final = frozenset({"response_schema", "response_json_schema", "response_format"})
_REPLACED: Final = (
    (frozenset({"thinking_level", "thinking_budget"}), frozenset({"thinking_level", "thinking_budget"})),
    (_SCHEMAS, _SCHEMAS | {"response_mime_type"}),
    (frozenset({"image_config"}), frozenset({"aspect_ratio", "image_size"})),
    (frozenset({"logprobs"}), frozenset({"top_logprobs"})),
)
_MERGED: Final = frozenset({"extra_body", "default_headers", "generation_config"})


def _merged(old: Any, new: Any) -> Any:
    """Return two values of one option merged; what was masked stays masked."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    merged = merge_deep(old, new)
    return SecretMapping(merged) if isinstance(old, SecretMapping) or isinstance(new, SecretMapping) else merged


def _put(result: dict[str, Any], target: str, value: Any, name: str, where: str) -> None:
    if target in _MERGED and target in result:
        value = _merged(result[target], value)
    elif target in result and result[target] != value:
        raise ConfigurationError(f"{where}: {name!r} and another name of {target!r} have different values; give one")
    result[target] = value


def _put_all(result: dict[str, Any], implied: dict[str, Any], parts: Mapping[str, Any], name: str, where: str) -> None:
    for target, value in parts.items():
        if target == "include_thoughts" and name in {"thinking", "reasoning"}:
            implied[target] = value  # what the other provider does anyway; an explicit include_thoughts wins
        else:
            _put(result, target, value, name, where)


def _unexpected(name: str, known: Collection[str], where: str) -> str:
    if advice := REFUSED.get(name):
        return f"{where} got an unexpected option {name!r}; use {advice} instead"
    names = [*OPTIONS, *ALIASES, *COMPOSED, *known]
    if close := get_close_matches(name, names, n=1):
        return f"{where} got an unexpected option {name!r}; did you mean {close[0]!r}?"
    nearest = get_close_matches(name, names, n=1, cutoff=0)[0]
    return f"{where} got an unexpected option {name!r}; the nearest option is {nearest!r}"
