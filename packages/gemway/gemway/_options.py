"""What every option is called and where it goes on the wire, for both adapters. Pure.

Options are named once, here: the names that users of LangChain, LlamaIndex, OpenAI, Anthropic and Google write are
turned into one canonical name each (`canonical`), and the canonical options into Gemini's generationConfig,
safetySettings and toolConfig. Nothing here knows a message, a tool's schema beyond its name, or a framework.

Sources: ai.google.dev/api/generate-content (GenerationConfig, ToolConfig, SafetySetting), the pages "Thinking" and
"OpenAI compatibility" of ai.google.dev/gemini-api/docs, and the constructors of ChatOpenAI, ChatAnthropic,
ChatGoogleGenerativeAI and LlamaIndex's OpenAI and GoogleGenAI.
"""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from gemway._capabilities import Capabilities, capabilities
from gemway._exceptions import ConfigurationError
from gemway._schema import Dialect, response_schema, sanitize_tool_name

JsonObject = dict[str, Any]


# ---------------------------------------------------------------------------------------------------------------------
# names

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
                *("max_response_bytes", "auth_header", "auth_scheme", "on_retry", "media_fetcher"),
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
        *("tiktoken_model_name", "prediction", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
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
            _warn_once(("ignored", name), f"{where}: {name!r} has no meaning for Gemini and is ignored")
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
    merged = {name: merge_deep(kept[name], changes[name]) for name in _MERGED if name in kept and name in changes}
    return {**kept, **changes, **merged}


_SCHEMAS: Final = frozenset({"response_schema", "response_json_schema", "response_format"})
_REPLACED: Final = (
    (frozenset({"thinking_level", "thinking_budget"}), frozenset({"thinking_level", "thinking_budget"})),
    (_SCHEMAS, _SCHEMAS | {"response_mime_type"}),
    (frozenset({"image_config"}), frozenset({"aspect_ratio", "image_size"})),
    (frozenset({"logprobs"}), frozenset({"top_logprobs"})),
)
_MERGED: Final = frozenset({"extra_body", "default_headers", "generation_config"})


def _put(result: dict[str, Any], target: str, value: Any, name: str, where: str) -> None:
    if target in _MERGED and target in result:
        value = merge_deep(result[target], value)
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
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}?" if close else f"the nearest option is {_nearest(name, names)!r}"
    return f"{where} got an unexpected option {name!r}; {hint}"


def _nearest(name: str, names: Iterable[str]) -> str:
    return max(names, key=lambda one: difflib.SequenceMatcher(None, name, one).ratio())


_warned: set[object] = set()


def _warn_once(key: object, message: str) -> None:
    """Warn about one thing once in this process."""
    if key not in _warned:
        _warned.add(key)
        warnings.warn(message, UserWarning, stacklevel=_frames_of_ours())


def _frames_of_ours() -> int:
    """Return the stacklevel of the first caller outside our packages, to whom the warning speaks."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and "gemway" in frame.f_globals.get("__name__", ""):
        frame, level = frame.f_back, level + 1
    return level - 1


# ---------------------------------------------------------------------------------------------------------------------
# options that hold several others


def _from_thinking(value: Any) -> JsonObject:
    """Read Anthropic's `thinking={"type": "enabled" | "adaptive" | "disabled", "budget_tokens": n}`."""
    options = _members(value, "thinking")
    kind = options.get("type")
    if kind == "disabled":
        return {"thinking_budget": 0}
    if kind not in {"enabled", "adaptive"}:
        raise ConfigurationError(f"thinking={value!r} cannot be read; its type is enabled, adaptive or disabled")
    shown = options.get("display") != "omitted"
    budget = options.get("budgetTokens", -1) if kind == "enabled" else -1
    return {"thinking_budget": budget, "include_thoughts": shown}


def _from_reasoning(value: Any) -> JsonObject:
    """Read OpenAI's `reasoning={"effort": "low", "summary": "auto"}`."""
    options = _members(value, "reasoning")
    found: JsonObject = {}
    if options.get("effort") is not None:
        found["thinking_level"] = options["effort"]
    if options.get("maxTokens") is not None:
        found["thinking_budget"] = options["maxTokens"]
    if options.get("summary") or options.get("generateSummary"):
        found["include_thoughts"] = True
    return found


def _from_thinking_config(value: Any) -> JsonObject:
    """Read Google's ThinkingConfig; members that are not known yet go to the wire as they are."""
    found: JsonObject = {}
    unknown: JsonObject = {}
    for name, member in _members(value, "thinking_config").items():
        if name in {"includeThoughts", "thinkingBudget", "thinkingLevel"}:
            found[_snake(name)] = member
        else:
            unknown[name] = member
    return {**found, **({"generation_config": {"thinkingConfig": unknown}} if unknown else {})}


def _from_output_config(value: Any) -> JsonObject:
    """Read Anthropic's `output_config={"effort": "low", "format": {...}}`."""
    options = _members(value, "output_config")
    named = {"thinking_level": options.get("effort"), "response_format": options.get("format")}
    return {name: member for name, member in named.items() if member is not None}


def _from_client_options(value: Any) -> JsonObject:
    """Read ChatGoogleGenerativeAI's `client_options`: an address, or a dict with `api_endpoint`."""
    if isinstance(value, str):
        return {"base_url": value}
    address = _members(value, "client_options").get("apiEndpoint")
    return {"base_url": address} if address else {}


def _from_http_options(value: Any) -> JsonObject:
    """Read google-genai's HttpOptions: address, headers and timeout (there in milliseconds)."""
    found: JsonObject = {}
    for name, member in _members(value, "http_options").items():
        if name == "timeout":
            found["timeout"] = member / 1000
        elif target := {"baseUrl": "base_url", "headers": "default_headers", "extraBody": "extra_body"}.get(name):
            found[target] = member
        elif name == "retryOptions":
            attempts = _members(member, "retry_options").get("attempts")
            found.update({} if attempts is None else {"max_retries": max(attempts - 1, 0)})
        elif name not in {"apiVersion", "baseUrlResourceScope"}:
            raise ConfigurationError(
                f"http_options: {name!r} cannot be used here; use timeout=, http_client=, proxy= or default_headers="
            )
    return found


def _from_generation_config(value: Any) -> JsonObject:
    """Read a generationConfig: a dict in either spelling, or Google's GenerationConfig / GenerateContentConfig."""
    found: JsonObject = {}
    unknown: JsonObject = {}
    for name, member in _members(value, "generation_config").items():
        if advice := _NOT_IN_GENERATION_CONFIG.get(name):
            raise ConfigurationError(f"generation_config cannot hold {name!r} here: {advice}")
        if name == "thinkingConfig":
            parts = _from_thinking_config(member)
            unknown.update(parts.pop("generation_config", {}))
            found.update(parts)
        elif target := _OF_GENERATION_CONFIG.get(name):
            found[target] = member
        elif name in _NOT_FOR_THE_WIRE:
            _warn_once(("ignored", name), f"generation_config: {name!r} has no meaning here and is ignored")
        else:
            unknown[name] = _camelised(member)
    return {**found, **({"generation_config": unknown} if unknown else {})}


_NOT_IN_GENERATION_CONFIG: Final = {
    "systemInstruction": "give it as a system message",
    "tools": "bind the tools to the model (bind_tools, or the tools of the agent)",
    "httpOptions": "use base_url=, timeout=, max_retries= and default_headers=",
}
_NOT_FOR_THE_WIRE: Final = {"automaticFunctionCalling", "shouldReturnHttpResponse", "modelSelectionConfig"}
_OF_GENERATION_CONFIG: Final = {
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "candidateCount": "n",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
    "toolConfig": "tool_config",
    "safetySettings": "safety_settings",
    "cachedContent": "cached_content",
    "labels": "labels",
    **{
        name: re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
        for name in (
            *("temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty", "responseModalities"),
            *("imageConfig", "mediaResolution", "speechConfig", "responseMimeType", "responseSchema"),
            *("responseJsonSchema", "responseFormat"),
        )
    },
}

COMPOSED: Final[Mapping[str, Callable[[Any], JsonObject]]] = MappingProxyType(
    {
        "thinking": _from_thinking,
        "reasoning": _from_reasoning,
        "thinking_config": _from_thinking_config,
        "output_config": _from_output_config,
        "client_options": _from_client_options,
        "http_options": _from_http_options,
        "generation_config": _from_generation_config,
    }
)
"""Options that hold several others, each with its reader: value -> canonical options."""


def _members(value: Any, name: str) -> JsonObject:
    """Return what a dict, a pydantic object or a dataclass holds and is not None, by camelCase names, one level deep."""
    if isinstance(value, Mapping):
        members: Iterable[tuple[str, Any]] = value.items()
    elif isinstance(fields := getattr(type(value), "model_fields", None), Mapping):
        extra = getattr(value, "model_extra", None) or {}
        members = [*((field, getattr(value, field)) for field in fields), *extra.items()]
    elif hasattr(value, "__dataclass_fields__"):
        members = vars(value).items()
    else:
        raise ConfigurationError(f"{name} must be a dict or one of Google's objects, not {type(value).__name__}")
    return {_camel(field): member for field, member in members if member is not None}


def _camelised(value: Any) -> Any:
    """Return *value* as plain JSON data with camelCase names, all the way down."""
    if isinstance(value, Enum):
        return _word(value)
    if isinstance(value, list | tuple):
        return [_camelised(item) for item in value]
    if isinstance(value, Mapping) or hasattr(type(value), "model_fields") or hasattr(value, "__dataclass_fields__"):
        return {name: _camelised(member) for name, member in _members(value, "value").items()}
    return value


@lru_cache(maxsize=1024)
def _camel(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda letter: letter[1].upper(), name)


@lru_cache(maxsize=1024)
def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def _word(value: Any) -> Any:
    """Return the wire's word for a member of an enumeration: its value if that is text, else its name."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name
    return value


# ---------------------------------------------------------------------------------------------------------------------
# generationConfig


def to_generation_config(options: Mapping[str, Any], *, model: str, dialect: Dialect = "json_schema") -> JsonObject:
    """Return the wire's generationConfig for canonical *options*; options that are not given are not there.

    Options that *model* does not take are left out with one warning; unknown models, picture ratios and sizes pass.

    Raises:
        ConfigurationError: options that exclude each other, or a value that cannot be sent.
    """
    unknown: JsonObject = {}
    if options.get("generation_config") is not None:
        given = _from_generation_config(options["generation_config"])
        unknown = given.pop("generation_config", {})
        options = {**given, **{name: value for name, value in options.items() if value is not None}}
    config: JsonObject = {}
    for name, value in options.items():
        if value is not None and (entries := _ENTRIES.get(name)) is not None:
            entries(config, value, model)
    if not _THINKING.isdisjoint(options) and (thinking := _to_thinking_config(options, model)):
        config["thinkingConfig"] = thinking
    if not _PICTURES.isdisjoint(options) and (image_config := _to_image_config(options, model)):
        config["imageConfig"] = image_config
    if not _RESPONSE.isdisjoint(options):
        config.update(_to_response_entries(options, dialect))
    return merge_deep(config, unknown) if unknown else config


_Entries = Callable[[JsonObject, Any, str], None]


def _as(field: str, convert: Callable[[Any], Any] | None = None) -> _Entries:
    """Return what writes an option to *field*; an empty value writes nothing."""

    def write(config: JsonObject, value: Any, model: str) -> None:
        written = convert(value) if convert else value
        if written is not None:
            config[field] = written

    return write


def _as_sampling(field: str) -> _Entries:
    """Return what writes a sampling option, for models that have such (ai.google.dev, What's new in Gemini 3.6)."""

    def write(config: JsonObject, value: Any, model: str) -> None:
        if capabilities(model).sampling:
            config[field] = value
        else:
            _warn_once(("sampling", model), f"{model} has fixed sampling: temperature, top_p and top_k are left out")

    return write


def _positive(value: Any) -> Any:
    if isinstance(value, int | float) and value < 1:
        raise ConfigurationError(f"max_tokens must be at least 1, not {value}; leave it out for the model's limit")
    return value


def _to_stop_sequences(value: str | Iterable[str]) -> list[str] | None:
    sequences = [value] if isinstance(value, str) else list(value)
    return [sequence for sequence in sequences if sequence] or None


def _to_modalities(value: Any) -> list[str] | None:
    modalities = [value] if isinstance(value, str | Enum) else value
    return [str(_word(modality)).upper() for modality in modalities] or None


def _to_media_resolution(value: Any) -> Any:
    word = _word(value)
    if not isinstance(word, str):
        return word
    word = word.upper()
    return word if word.startswith("MEDIA_RESOLUTION_") else f"MEDIA_RESOLUTION_{word}"


def _to_speech_config(value: Any) -> JsonObject:
    if isinstance(value, str):
        return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": value}}}
    config: JsonObject = _camelised(_members(value, "speech_config"))
    return config


def _write_logprobs(config: JsonObject, value: Any, model: str) -> None:
    """OpenAI's switch, or a number of alternatives as in OpenAI's completions and Google's own config."""
    if value is not False:
        config["responseLogprobs"] = True
    if not isinstance(value, bool):
        _write_top_logprobs(config, value, model)


def _write_top_logprobs(config: JsonObject, value: Any, model: str) -> None:
    if value:
        config.update(responseLogprobs=True, logprobs=value)


_ENTRIES: Final[dict[str, _Entries]] = {
    "temperature": _as_sampling("temperature"),
    "top_p": _as_sampling("topP"),
    "top_k": _as_sampling("topK"),
    "max_tokens": _as("maxOutputTokens", _positive),
    "stop": _as("stopSequences", _to_stop_sequences),
    "seed": _as("seed"),
    "n": _as("candidateCount"),
    "presence_penalty": _as("presencePenalty"),
    "frequency_penalty": _as("frequencyPenalty"),
    "logprobs": _write_logprobs,
    "top_logprobs": _write_top_logprobs,
    "response_modalities": _as("responseModalities", _to_modalities),
    "media_resolution": _as("mediaResolution", _to_media_resolution),
    "speech_config": _as("speechConfig", _to_speech_config),
}


# -- thinking

_THINKING: Final = frozenset({"thinking_level", "thinking_budget", "include_thoughts"})
_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")

# ai.google.dev/gemini-api/docs/openai, "Thinking": what Google itself makes of reasoning_effort on Gemini 2.5.
# Efforts that are not in that table ask for the most that the model has.
_TOKENS: Final = {
    "none": 0,
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 2**31,
    "max": 2**31,
}

# The way back, for a budget of another provider on a model with levels: the level whose tokens are nearest.
_LEVEL_UP_TO: Final = ((512, "minimal"), (4_096, "low"), (16_384, "medium"), (2**63, "high"))


def _to_thinking_config(options: Mapping[str, Any], model: str) -> JsonObject:
    """Return the thinkingConfig that *model* reads: a level from Gemini 3 on, a budget for 2.5, else nothing."""
    level, budget = options.get("thinking_level"), options.get("thinking_budget")
    thoughts = options.get("include_thoughts")
    if level is not None and budget is not None:
        raise ConfigurationError(
            "thinking_level (or reasoning_effort) and thinking_budget exclude each other; give one"
        )
    capable = capabilities(model)
    config: JsonObject = {}
    if thoughts is not None and (capable.thinking or capable.requires_signatures):
        config["includeThoughts"] = thoughts
    if level is not None or budget is not None:
        config.update(_to_amount(_level_word(level), budget, capable, model))
    elif thoughts and not config:
        _warn_once(("thinking", model), f"{model} takes no thinking options: include_thoughts is left out")
    return config


def _level_word(level: Any) -> str | None:
    if level is None:
        return None
    word = str(_word(level)).lower()
    if word not in _TOKENS:
        raise ConfigurationError(f"unknown thinking level {level!r}; known: {', '.join(_TOKENS)}")
    return word


def _to_amount(level: str | None, budget: Any, capable: Capabilities, model: str) -> JsonObject:
    if level is None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < -1):
        raise ConfigurationError(f"thinking_budget must be a number of tokens, 0 (off) or -1 (dynamic), not {budget!r}")
    if capable.thinking == "budget":
        tokens = _TOKENS[level] if level else budget
        return {"thinkingBudget": _to_budget(tokens, capable, model, clamp_silently=level is not None)}
    if capable.thinking == "level":
        word = level or _level_of(budget)
        return {} if word is None else {"thinkingLevel": _to_level(word, capable, model)}
    if level != "none" and budget != 0:
        _warn_once(("thinking", model), f"{model} takes no thinking options: they are left out")
    return {}


def _to_budget(tokens: int, capable: Capabilities, model: str, *, clamp_silently: bool) -> int:
    if tokens == -1 or (tokens == 0 and capable.can_disable_thinking):
        return tokens
    least, most = capable.thinking_budget or (0, 2**31)
    if tokens == 0:
        _warn_once(("off", model), f"thinking cannot be switched off in {model}; the least, {least} tokens, is sent")
        return least
    clamped = min(max(tokens, least), most)
    if clamped != tokens and not clamp_silently:
        _warn_once(("budget", model, tokens), f"{model} thinks with {least} to {most} tokens: {clamped} are sent")
    return clamped


def _level_of(budget: int) -> str | None:
    """Return the level for a number of tokens; None for -1, which is what models with levels do anyway."""
    if budget == -1:
        return None
    return "none" if budget == 0 else next(word for most, word in _LEVEL_UP_TO if budget <= most)


def _to_level(word: str, capable: Capabilities, model: str) -> str:
    """Return the supported level nearest to *word*, the higher of two (as Google's OpenAI endpoint does)."""
    supported = capable.thinking_levels or _LEVELS[:4]
    if word == "none":
        _warn_once(("off", model), f"thinking cannot be switched off in {model}; the level {supported[0]!r} is sent")
        return supported[0]
    wanted = _LEVELS.index(word)
    nearest = min(supported, key=lambda one: (abs(_LEVELS.index(one) - wanted), -_LEVELS.index(one)))
    if nearest != word:
        _warn_once(("level", model, word), f"{model} has no thinking level {word!r}; {nearest!r} is sent")
    return nearest


# -- pictures

_PICTURES: Final = frozenset({"image_config", "aspect_ratio", "image_size"})
_EVERY_RATIO: Final = capabilities("gemini-3.1-flash-image").aspect_ratios
_EVERY_SIZE: Final = capabilities("gemini-3.1-flash-image").image_sizes
_OTHER_SIZES: Final = {"512PX": "512", "0.5K": "512", "1024": "1K", "2048": "2K", "4096": "4K"}


def _to_image_config(options: Mapping[str, Any], model: str) -> JsonObject:
    """Return the imageConfig; `aspect_ratio` and `image_size` win over the same in `image_config`."""
    given = options.get("image_config")
    config: JsonObject = {} if given is None else _camelised(_members(given, "image_config"))
    for option, field in (("aspect_ratio", "aspectRatio"), ("image_size", "imageSize")):
        if options.get(option) is not None:
            config[field] = _word(options[option])
    capable = capabilities(model)
    if (ratio := config.get("aspectRatio")) is not None:
        _expect("aspect ratio", ratio, capable.aspect_ratios or _EVERY_RATIO, model)
    if (size := config.get("imageSize")) is not None:
        word = str(size).strip().upper()
        config["imageSize"] = _OTHER_SIZES.get(word, word)
        sizes = capable.image_sizes if capable.image_model else _EVERY_SIZE
        _expect("image size", config["imageSize"], sizes, model)
    return config


def _expect(what: str, value: Any, known: Sequence[str], model: str) -> None:
    """Warn about a value that is not documented; it is sent all the same, since the gateway decides."""
    if value not in known:
        documented = f"documented: {', '.join(known)}" if known else "none is documented"
        _warn_once((what, value, model), f"unusual {what} {value!r} for {model} ({documented}); sent as it is")


# -- the form of the answer

_RESPONSE: Final = frozenset({"response_mime_type", "response_schema", "response_json_schema", "response_format"})


def _to_response_entries(options: Mapping[str, Any], dialect: Dialect) -> JsonObject:
    ways = ("response_format", "response_schema", "response_json_schema")
    given = [name for name in ways if options.get(name) is not None]
    if len(given) > 1:
        raise ConfigurationError(f"{' and '.join(given)} exclude each other; give one")
    entries: JsonObject = {}
    if "response_format" in given:
        entries = to_response_format(options["response_format"], dialect=dialect)
    elif given:
        own: Dialect = "openapi" if given[0] == "response_schema" else "json_schema"
        entries = response_schema(_to_json_schema(options[given[0]], given[0]), dialect=own)
    if (mime_type := options.get("response_mime_type")) is not None:
        entries["responseMimeType"] = mime_type
    return entries


def to_response_format(value: Any, *, dialect: Dialect = "json_schema") -> JsonObject:
    """Return the entries of generationConfig for a `response_format`.

    Args:
        value: OpenAI's `{"type": "text" | "json_object" | "json_schema", ...}` in the Chat Completions, Responses or
            Anthropic shape, a class (pydantic, dataclass, TypedDict), or a JSON Schema.
        dialect: in which words to send a schema.

    Raises:
        ConfigurationError: a value of another form.
    """
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return {}
    if kind in {"json_object", "json"}:
        return {"responseMimeType": "application/json"}
    if kind == "json_schema":
        inner = value.get("json_schema", value)
        if not isinstance(inner, Mapping) or inner.get("schema") is None:
            raise ConfigurationError(
                'response_format={"type": "json_schema", ...} needs {"json_schema": {"schema": ...}}'
            )
        schema = _to_json_schema(inner["schema"], "response_format")
        if inner.get("description"):
            schema = {"description": inner["description"], **schema}
        return response_schema(schema, dialect=dialect)
    return response_schema(_to_json_schema(value, "response_format"), dialect=dialect)


def _to_json_schema(value: Any, name: str) -> Mapping[str, Any]:
    """Return the JSON Schema of *value*: a schema, a class, or Google's Schema object."""
    if isinstance(value, Mapping):
        return value
    if callable(describe := getattr(value, "model_json_schema", None)) and isinstance(value, type):
        schema: Mapping[str, Any] = describe()
        return schema
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        dumped: Mapping[str, Any] = dump(mode="json", exclude_none=True)
        return dumped
    if isinstance(value, str | bytes | int | float | list):
        raise ConfigurationError(f"{name} must be a JSON Schema, a class or a response_format dict, not {value!r}")
    return _schema_of_class(value, name)


def _schema_of_class(value: Any, name: str) -> Mapping[str, Any]:
    if isinstance(value, type) and hasattr(value, "__fields__") and callable(legacy := getattr(value, "schema", None)):
        schema: Mapping[str, Any] = legacy()  # pydantic v1
        return schema
    from pydantic import PydanticSchemaGenerationError, TypeAdapter

    try:
        return TypeAdapter(value).json_schema()
    except PydanticSchemaGenerationError as error:
        raise ConfigurationError(f"{name}: {value!r} has no JSON Schema") from error


# ---------------------------------------------------------------------------------------------------------------------
# safetySettings, toolConfig, and the rest of the body


def to_safety_settings(value: Any) -> list[JsonObject]:
    """Return the wire's safetySettings from a list of `{category, threshold}` or a mapping category -> threshold."""
    if isinstance(value, Mapping) and "category" not in value:
        return [{"category": _word(category), "threshold": _word(level)} for category, level in value.items()]
    settings = [value] if isinstance(value, Mapping) else value or ()
    return [_camelised(_members(setting, "safety_settings")) for setting in settings]


_MODES: Final = {
    **{"auto": "AUTO", "none": "NONE", "any": "ANY", "required": "ANY", "validated": "VALIDATED"},
    "mode_unspecified": "AUTO",
}


def to_tool_config(
    tool_choice: Any, *, names: Sequence[str], strict: bool | None = None, tool_config: Any = None
) -> JsonObject | None:
    """Return the wire's toolConfig, or None if there is nothing to say.

    Args:
        tool_choice: a mode (`"auto" "none" "any" "required" "validated"`, True, False), a tool's name or several,
            or the dict of OpenAI, Anthropic or Google.
        names: the names of the declared functions. Without functions nothing may be said about calling them.
        strict: True makes the calls of mode AUTO follow their schemas (Gemini's mode VALIDATED).
        tool_config: Google's own toolConfig, as a dict or object; *tool_choice* goes on top of it.

    Raises:
        ConfigurationError: a tool that is not among *names*, or a choice of an unknown form.
    """
    config: JsonObject = {} if tool_config is None else _camelised(_members(tool_config, "tool_config"))
    given = config.pop("functionCallingConfig", None)
    calling = None if given is None else _of_google(given, names)
    if tool_choice is not None:
        calling = {**(calling or {}), **_to_calling(tool_choice, names)}
    if strict and (calling or {"mode": "AUTO"}).get("mode") == "AUTO":
        calling = {**(calling or {}), "mode": "VALIDATED"}
    if calling and names:
        config["functionCallingConfig"] = calling
    return config or None


def _to_calling(choice: Any, names: Sequence[str]) -> JsonObject:
    """Return the functionCallingConfig for a choice."""
    if isinstance(choice, bool):
        return {"mode": "ANY" if choice else "NONE"}
    if isinstance(choice, Enum):
        choice = _word(choice)
    if isinstance(choice, str):
        mode = _MODES.get(choice.lower()) if choice not in names else None
        return {"mode": mode} if mode else _only([choice], names)
    if isinstance(choice, list | tuple | set | frozenset):
        return _only(choice, names)
    members = _members(choice, "tool_choice")
    if "functionCallingConfig" in members:
        return _of_google(members["functionCallingConfig"], names)
    if "mode" in members:
        return _of_google(members, names)
    return _of_others(members, names)


def _of_google(value: Any, names: Sequence[str]) -> JsonObject:
    calling: JsonObject = _camelised(_members(value, "tool_choice"))
    if "mode" in calling:
        calling["mode"] = str(calling["mode"]).upper()
    if allowed := calling.pop("allowedFunctionNames", None):
        calling = {**calling, "allowedFunctionNames": _only(allowed, names)["allowedFunctionNames"]}
    return calling


def _of_others(choice: Mapping[str, Any], names: Sequence[str]) -> JsonObject:
    """Read OpenAI's `{"type": "function", ...}` and Anthropic's `{"type": "tool", ...}`."""
    kind = choice.get("type", "function")
    if kind == "allowed_tools":
        inner = choice.get("allowedTools", choice)
        narrowed = _only([_name_in(tool) for tool in inner.get("tools", ())], names)
        return {**narrowed, "mode": "ANY" if inner.get("mode") == "required" else "VALIDATED"}
    if name := _name_in(choice):
        return _only([name], names)
    if kind in _MODES:
        return {"mode": _MODES[kind]}
    raise ConfigurationError(
        f"tool_choice={dict(choice)!r} cannot be read; use 'auto', 'any', 'none', or one of {_listed(names)}"
    )


def _name_in(choice: Mapping[str, Any]) -> str:
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, Mapping) else function
    return name if isinstance(name, str) else ""


def _only(chosen: Iterable[str], names: Sequence[str]) -> JsonObject:
    """Return the config that forces a call of one of *chosen*."""
    known = {sanitize_tool_name(name) for name in names}
    wanted = [sanitize_tool_name(str(name)) for name in chosen]
    for name, sent in zip(chosen, wanted, strict=True):
        if sent not in known:
            raise ConfigurationError(f"tool_choice names an unknown tool {name!r}; the tools are {_listed(names)}")
    return {"mode": "ANY", "allowedFunctionNames": wanted}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def merge_deep(body: Mapping[str, Any], extra: Mapping[str, Any]) -> JsonObject:
    """Return *body* with *extra* merged in: objects member by member, everything else replaced by *extra*'s value."""
    merged = dict(body)
    for key, value in extra.items():
        old = merged.get(key)
        merged[key] = merge_deep(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
