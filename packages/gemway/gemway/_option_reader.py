"""Read the options that a user wrote: mask the secrets among them, and give each its canonical name. Pure.

Options that hold several others (Anthropic's, OpenAI's and Google's) are taken apart. Members of these that nobody knows
yet go to the wire unchanged, in the rest of `generation_config`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import SecretStr

from gemway._exceptions import ConfigurationError
from gemway._json import JsonObject, camelised, members, merge_deep, snake
from gemway._options import ALIASES, IGNORED, OPTIONS, ROWS, Mask, OptionMapping, OptionValues, unexpected
from gemway._redaction import MaskedUrl, SecretMapping, Unreadable
from gemway._warnings import warn_once


def hide_secrets(options: OptionValues, *, known: Collection[str] = ()) -> None:
    """Put an object that masks itself in the place of every value of *options* that may be a secret.

    The first line of every constructor and call that takes options: debuggers and error trackers show the local
    variables of all frames of a traceback. An option with an unknown name may be a misspelt key, so it is masked too.
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


def _hidden_key(value: object) -> object:
    if isinstance(value, str):
        return SecretStr(value)
    return value if callable(value) or hasattr(value, "get_secret_value") else _hidden_unknown(value)


def _hidden_headers(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _hidden_key(header) for name, header in value.items()}
    return _hidden_unknown(value)


def _hidden_address(value: object) -> object:
    # Only an address with a user or a query can hold a secret. Others stay plain text, which frameworks compare and store.
    return MaskedUrl(value) if type(value) is str and ("@" in value or "?" in value) else value


def _hidden_signer(value: object) -> object:
    """Return an `httpx.Auth`; anything else, such as a pair of user name and password, masked."""
    return value if hasattr(value, "auth_flow") else _hidden_unknown(value)


def _hidden_body(value: object) -> object:
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


def _hidden_unknown(value: object) -> object:
    # Numbers and switches are no secrets, and a masked `temperatur=0.2` would make the error about the misspelling useless.
    is_secret = isinstance(value, SecretStr | SecretMapping | Unreadable | MaskedUrl) or hasattr(value, "reveal")
    return value if is_secret or isinstance(value, bool | int | float) else Unreadable(value)


def _as_it_is(value: object) -> object:
    return value


_HIDE_KIND: Final[Mapping[Mask, Callable[[object], object]]] = {
    "key": _hidden_key,
    "headers": _hidden_headers,
    "body": _hidden_body,
    "address": _hidden_address,
    "signer": _hidden_signer,
}
_HIDING: Final[Mapping[str, Callable[[object], object]]] = {
    **{name: _HIDE_KIND[row.masked_as] for name, row in ROWS.items() if row.masked_as},
    **dict.fromkeys(("http_options", "client_options"), _hidden_members),
}
_HIDING_MEMBERS: Final[Mapping[str, Callable[[object], object]]] = {
    "headers": _hidden_headers,
    "extraBody": _hidden_body,
    "apiEndpoint": _hidden_address,
    "baseUrl": _hidden_address,
    "apiKey": _hidden_key,
}
SECRET_OPTIONS: Final = frozenset({*_HIDING, *(alias for alias, name in ALIASES.items() if name in _HIDING)})
"""Every name under which an option may hold a secret."""


def canonical_options(options: OptionMapping, *, known: Collection[str] = (), where: str) -> OptionValues:
    """Return *options* under their canonical names; None means "not given" and is left out.

    Args:
        options: the user's options, at construction or at a call.
        known: further names that the caller handles itself; they pass unchanged.
        where: who was called, for messages: `"ChatGemway"`.

    Raises:
        TypeError: an unknown option; the message names the nearest one.
        ConfigurationError: two names of one option with different values, or a value that cannot be read.
    """
    result: OptionValues = {}
    implied: OptionValues = {}
    for name, value in options.items():
        # Both frameworks pass every option that a user left alone as None, so None means "not given". The exceptions are
        # rows for which None is a value, such as `timeout=None` (no limit).
        if value is None and not (name in ROWS and ROWS[name].accepts_none):
            continue
        if name in known:
            _put_option(result, name, value, name, where)
        elif (compose := COMPOSED.get(name)) is not None:
            _put_all(result, implied, compose(value), name, where)
        elif name in OPTIONS:
            _put_option(result, name, value, name, where)
        elif (target := ALIASES.get(name)) is not None:
            _put_option(result, target, value, name, where)
        elif name in IGNORED:
            warn_once(("ignored", name), f"{where}: {name!r} has no meaning for Gemini and is ignored")
        else:
            raise unexpected(name, [*OPTIONS, *ALIASES, *COMPOSED, *known], where)
    # Last, so that an option that the user wrote himself wins over one that another option implies.
    return {**implied, **result} if implied else result


def merge_options(options: OptionMapping, changes: OptionMapping) -> OptionValues:
    """Return canonical *options* with canonical *changes* made on top, as a call's options go over a model's.

    A new thinking level replaces an old budget, and the other way round; so do the ways to say a response schema.
    `extra_body`, `default_headers` and the rest of `generation_config` are merged.
    """
    # Gemini 3 answers 400 to a request with both a thinking level and a budget, and a schema next to another one is a
    # contradiction: so the new option does not join the model's, it takes its place.
    outdated = {old for causes, group in _REPLACED if not causes.isdisjoint(changes) for old in group}
    remaining = {name: value for name, value in options.items() if name not in outdated}
    merged = {
        name: _merge_values(remaining[name], changes[name]) for name in _MERGED if name in remaining and name in changes
    }
    return {**remaining, **changes, **merged}


_SCHEMAS: Final = frozenset({"response_schema", "response_json_schema", "response_format"})
_REPLACED: Final = (
    (frozenset({"thinking_level", "thinking_budget"}), frozenset({"thinking_level", "thinking_budget"})),
    (_SCHEMAS, _SCHEMAS | {"response_mime_type"}),
    (frozenset({"image_config"}), frozenset({"aspect_ratio", "image_size"})),
    (frozenset({"logprobs"}), frozenset({"top_logprobs"})),
)
_MERGED: Final = frozenset({"extra_body", "default_headers", "generation_config"})


def _merge_values(old: object, new: object) -> Any:
    """Return two values of one option merged; masked values stay masked."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    merged = merge_deep(old, new)
    return SecretMapping(merged) if isinstance(old, SecretMapping) or isinstance(new, SecretMapping) else merged


def _put_option(result: OptionValues, target: str, value: object, name: str, where: str) -> None:
    if target in _MERGED and target in result:
        value = _merge_values(result[target], value)
    elif target in result and result[target] != value:
        raise ConfigurationError(f"{where}: {name!r} and another name of {target!r} have different values; give one")
    result[target] = value


def _put_all(result: OptionValues, implied: OptionValues, parts: OptionMapping, name: str, where: str) -> None:
    for target, value in parts.items():
        if target == "include_thoughts" and name in {"thinking", "reasoning"}:
            implied[target] = value  # as the other provider does anyway; an explicit include_thoughts wins
        else:
            _put_option(result, target, value, name, where)


# Options that hold several others


def _from_thinking(value: object) -> JsonObject:
    """Read Anthropic's `thinking={"type": "enabled" | "adaptive" | "disabled", "budget_tokens": n}`."""
    options = members(value, "thinking")
    kind = options.get("type")
    # docs.claude.com, Extended thinking: `enabled` comes with a budget, `adaptive` leaves it to the model, which is
    # Gemini's dynamic budget, -1.
    if kind == "disabled":
        return {"thinking_budget": 0}
    if kind not in {"enabled", "adaptive"}:
        raise ConfigurationError(f"thinking={value!r} cannot be read; its type is enabled, adaptive or disabled")
    includes_thoughts = options.get("display") != "omitted"
    budget = options.get("budgetTokens", -1) if kind == "enabled" else -1
    return {"thinking_budget": budget, "include_thoughts": includes_thoughts}


def _from_reasoning(value: object) -> JsonObject:
    """Read OpenAI's `reasoning={"effort": "low", "summary": "auto"}`."""
    options = members(value, "reasoning")
    named = _rename_fields(options, {"effort": "thinking_level", "maxTokens": "thinking_budget"})
    # OpenAI shows no reasoning, only summaries of it on request. Gemini's thoughts are such summaries.
    if options.get("summary") or options.get("generateSummary"):
        named["include_thoughts"] = True
    return named


def _from_thinking_config(value: object) -> JsonObject:
    """Read Google's ThinkingConfig."""
    fields = members(value, "thinking_config")
    options = _rename_fields(fields, _OF_THINKING_CONFIG)
    unknown = {name: member for name, member in fields.items() if name not in _OF_THINKING_CONFIG}
    return {**options, "generation_config": {"thinkingConfig": unknown}} if unknown else options


_OF_THINKING_CONFIG: Final = {
    "includeThoughts": "include_thoughts",
    "thinkingBudget": "thinking_budget",
    "thinkingLevel": "thinking_level",
}


def _from_output_config(value: object) -> JsonObject:
    """Read Anthropic's `output_config={"effort": "low", "format": {...}}`."""
    return _rename_fields(members(value, "output_config"), {"effort": "thinking_level", "format": "response_format"})


def _from_client_options(value: object) -> JsonObject:
    """Read ChatGoogleGenerativeAI's `client_options`: an address, or a dict with `api_endpoint`."""
    if isinstance(value, str):
        return {"base_url": value}
    address = members(value, "client_options").get("apiEndpoint")
    return {"base_url": address} if address else {}


def _from_http_options(value: object) -> JsonObject:
    """Read google-genai's HttpOptions: address, headers and timeout (there in milliseconds)."""
    options: JsonObject = {}
    for name, member in members(value, "http_options").items():
        if name == "timeout":
            if not isinstance(member, int | float):
                raise ConfigurationError(f"http_options: the timeout is a number of milliseconds, not {member!r}")
            options["timeout"] = member / 1000
        elif target := {"baseUrl": "base_url", "headers": "default_headers", "extraBody": "extra_body"}.get(name):
            options[target] = member
        elif name == "retryOptions":
            # Google counts the first request among the attempts; we count only those after it.
            if (attempts := members(member, "retry_options").get("attempts")) is not None:
                options["max_retries"] = max(attempts - 1, 0)
        # The two mean nothing here: we know the version, and Vertex's resource scope is an address of Google's own.
        elif name not in {"apiVersion", "baseUrlResourceScope"}:
            raise ConfigurationError(
                f"http_options: {name!r} cannot be used here; use timeout=, http_client=, proxy= or default_headers="
            )
    return options


def from_generation_config(value: object) -> JsonObject:
    """Read a generationConfig: a dict in either spelling, or Google's GenerationConfig / GenerateContentConfig."""
    options: JsonObject = {}
    unknown: JsonObject = {}
    for name, member in members(value, "generation_config").items():
        if advice := _NOT_IN_GENERATION_CONFIG.get(name):
            raise ConfigurationError(f"generation_config cannot hold {name!r} here: {advice}")
        if name == "thinkingConfig":
            parts = _from_thinking_config(member)
            unknown.update(parts.pop("generation_config", {}))
            options.update(parts)
        elif target := _OF_GENERATION_CONFIG.get(name):
            options[target] = member
        elif name in _OF_THE_REQUEST:
            # extra_body is merged into the body last, which puts these next to generationConfig instead of into it.
            options.setdefault("extra_body", {})[name] = camelised(member)
        elif name in _NOT_FOR_THE_WIRE:
            warn_once(("ignored", name), f"generation_config: {name!r} has no meaning here and is ignored")
        else:
            unknown[name] = camelised(member)
    return {**options, "generation_config": unknown} if unknown else options


_NOT_IN_GENERATION_CONFIG: Final = {
    "systemInstruction": "give it as a system message",
    "tools": "bind the tools to the model (bind_tools, or the tools of the agent)",
    "httpOptions": "use base_url=, timeout=, max_retries= and default_headers=",
}
# google-genai's GenerateContentConfig holds them; on the wire they are members of the request
# (ai.google.dev/api/generate-content), and generationConfig with them is a 400.
_OF_THE_REQUEST: Final = frozenset({"serviceTier", "store", "continuationToken"})
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
        name: snake(name)
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
        "generation_config": from_generation_config,
    }
)
"""Options that hold several others, each with its reader: value -> canonical options."""


def _rename_fields(fields: OptionMapping, names: Mapping[str, str]) -> JsonObject:
    """Return those of *fields* that have a canonical name in *names*, under it."""
    return {names[name]: member for name, member in fields.items() if name in names}
