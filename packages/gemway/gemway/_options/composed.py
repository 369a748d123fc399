"""Read the options that hold several others: Anthropic's, OpenAI's and Google's, as canonical options. Pure.

Members that are not known yet go to the wire as they are, in what is left of `generation_config`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from gemway._exceptions import ConfigurationError
from gemway._json_objects import JsonObject, camelised, members, snake
from gemway._warn_once import warn_once


def _from_thinking(value: Any) -> JsonObject:
    """Read Anthropic's `thinking={"type": "enabled" | "adaptive" | "disabled", "budget_tokens": n}`."""
    options = members(value, "thinking")
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
    options = members(value, "reasoning")
    found = _renamed(options, {"effort": "thinking_level", "maxTokens": "thinking_budget"})
    if options.get("summary") or options.get("generateSummary"):
        found["include_thoughts"] = True
    return found


def _from_thinking_config(value: Any) -> JsonObject:
    """Read Google's ThinkingConfig."""
    fields = members(value, "thinking_config")
    found = _renamed(fields, _OF_THINKING_CONFIG)
    unknown = {name: member for name, member in fields.items() if name not in _OF_THINKING_CONFIG}
    return {**found, "generation_config": {"thinkingConfig": unknown}} if unknown else found


_OF_THINKING_CONFIG: Final = {
    "includeThoughts": "include_thoughts",
    "thinkingBudget": "thinking_budget",
    "thinkingLevel": "thinking_level",
}


def _from_output_config(value: Any) -> JsonObject:
    """Read Anthropic's `output_config={"effort": "low", "format": {...}}`."""
    return _renamed(members(value, "output_config"), {"effort": "thinking_level", "format": "response_format"})


def _from_client_options(value: Any) -> JsonObject:
    """Read ChatGoogleGenerativeAI's `client_options`: an address, or a dict with `api_endpoint`."""
    if isinstance(value, str):
        return {"base_url": value}
    address = members(value, "client_options").get("apiEndpoint")
    return {"base_url": address} if address else {}


def _from_http_options(value: Any) -> JsonObject:
    """Read google-genai's HttpOptions: address, headers and timeout (there in milliseconds)."""
    found: JsonObject = {}
    for name, member in members(value, "http_options").items():
        if name == "timeout":
            if not isinstance(member, int | float):
                raise ConfigurationError(f"http_options: the timeout is a number of milliseconds, not {member!r}")
            found["timeout"] = member / 1000
        elif target := {"baseUrl": "base_url", "headers": "default_headers", "extraBody": "extra_body"}.get(name):
            found[target] = member
        elif name == "retryOptions":
            if (attempts := members(member, "retry_options").get("attempts")) is not None:
                found["max_retries"] = max(attempts - 1, 0)
        elif name not in {"apiVersion", "baseUrlResourceScope"}:
            raise ConfigurationError(
                f"http_options: {name!r} cannot be used here; use timeout=, http_client=, proxy= or default_headers="
            )
    return found


def from_generation_config(value: Any) -> JsonObject:
    """Read a generationConfig: a dict in either spelling, or Google's GenerationConfig / GenerateContentConfig."""
    found: JsonObject = {}
    unknown: JsonObject = {}
    for name, member in members(value, "generation_config").items():
        if advice := _NOT_IN_GENERATION_CONFIG.get(name):
            raise ConfigurationError(f"generation_config cannot hold {name!r} here: {advice}")
        if name == "thinkingConfig":
            parts = _from_thinking_config(member)
            unknown.update(parts.pop("generation_config", {}))
            found.update(parts)
        elif target := _OF_GENERATION_CONFIG.get(name):
            found[target] = member
        elif name in _OF_THE_REQUEST:
            found.setdefault("extra_body", {})[name] = camelised(member)
        elif name in _NOT_FOR_THE_WIRE:
            warn_once(("ignored", name), f"generation_config: {name!r} has no meaning here and is ignored")
        else:
            unknown[name] = camelised(member)
    return {**found, "generation_config": unknown} if unknown else found


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


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> JsonObject:
    """Return those of *fields* that have a canonical name in *names*, under it."""
    return {names[name]: member for name, member in fields.items() if name in names}
