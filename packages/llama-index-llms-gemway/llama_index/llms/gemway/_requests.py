"""Build a request from messages, a model's options and a call's options. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.gemway._drafts import Expected
from llama_index.llms.gemway._messages import to_contents
from llama_index.llms.gemway._structured import ResponseFormat, response_format
from llama_index.llms.gemway._tools import WireTools, to_wire_tools

from gemway import (
    WireRequest,
    arrange,
    canonical,
    merge_deep,
    override,
    to_generation_config,
    to_safety_settings,
    to_tool_config,
)

_OF_THE_ANSWER: Final = (
    *("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "n", "presence_penalty", "frequency_penalty"),
    *("logprobs", "top_logprobs", "response_modalities", "image_config", "aspect_ratio", "image_size"),
    *("thinking_budget", "thinking_level", "include_thoughts", "media_resolution", "speech_config"),
    *("response_mime_type", "response_schema", "response_json_schema", "response_format", "generation_config"),
    *("safety_settings", "cached_content", "labels", "extra_body", "tools", "tool_choice", "tool_config"),
    *("parallel_tool_calls", "strict"),
)
_OF_A_CALL: Final = frozenset({*_OF_THE_ANSWER, "model", "timeout", "max_retries", "deadline", "extra_headers"})
_FOR_THE_CLIENT: Final = (
    ("timeout", "timeout"),
    ("max_retries", "max_retries"),
    ("deadline", "deadline"),
    ("extra_headers", "headers"),
)


@dataclass(frozen=True)
class Ask:
    """One question, ready to send.

    Attributes:
        options: what the client is to do otherwise than usual: timeout, retries, deadline, headers.
        expected: what the reader of the answer has to know.
    """

    model: str
    body: WireRequest
    options: dict[str, Any]
    expected: Expected


def to_ask(messages: Sequence[ChatMessage], settings: Mapping[str, Any], changes: Mapping[str, Any]) -> Ask:
    """Return the question for *messages*, under a model's *settings* and the *changes* of one call.

    Raises:
        TypeError: an unknown option, or one that only the constructor takes.
        ConfigurationError: options that cannot work.
        UnsupportedContentError: messages that cannot be sent.
    """
    options = {name: value for name in _OF_THE_ANSWER if (value := settings[name]) is not None}
    called: dict[str, Any] = {}
    model = settings["model"]
    if changes:
        changes = _of_a_call(changes)
        called = {ours: changes.pop(name) for name, ours in _FOR_THE_CLIENT if name in changes}
        model = changes.pop("model", model)
        options = override(options, changes)
    contents, system = to_contents(messages, model=model, tool_result_media=settings["tool_result_media"])
    body = WireRequest(contents=arrange(contents, model=model))
    if system:
        body["systemInstruction"] = system
    tools = _add_tools(body, options, settings)
    _add_config(body, options, settings, model)
    if extra := options.get("extra_body"):
        body = WireRequest(merge_deep(body, extra))
    expected = Expected(tools, options.get("parallel_tool_calls") is not False, options.get("max_tokens"))
    return Ask(model, body, called, expected)


def _of_a_call(changes: Mapping[str, Any]) -> dict[str, Any]:
    named = canonical(changes, where="Gemway.chat")
    if headers := named.pop("default_headers", None):
        named["extra_headers"] = {**headers, **named.get("extra_headers", {})}
    for name in named:
        if name not in _OF_A_CALL:
            raise TypeError(f"Gemway.chat got {name!r}, which only the constructor takes: Gemway({name}=...)")
    return named


def _add_tools(body: dict[str, Any], options: Mapping[str, Any], settings: Mapping[str, Any]) -> WireTools | None:
    tools = options.get("tools")
    if tools:
        tools = to_wire_tools(tools, dialect=settings["schema_dialect"])
        body["tools"] = tools
    config = to_tool_config(
        options.get("tool_choice") if tools else None,
        names=tools.names if tools else (),
        strict=options.get("strict"),
        tool_config=options.get("tool_config"),
    )
    if config:
        body["toolConfig"] = config
    return tools or None


def _add_config(body: dict[str, Any], options: dict[str, Any], settings: Mapping[str, Any], model: str) -> None:
    entries: dict[str, Any] = {}
    wanted = options.get("response_format")
    if isinstance(wanted, type):
        wanted = response_format(wanted, settings["schema_dialect"])
    if isinstance(wanted, ResponseFormat):
        entries = wanted.entries
        options = {name: value for name, value in options.items() if name != "response_format"}
    config = to_generation_config(options, model=model, dialect=settings["schema_dialect"])
    if config or entries:
        body["generationConfig"] = {**config, **entries}
    if "safety_settings" in options:
        body["safetySettings"] = to_safety_settings(options["safety_settings"])
    if "cached_content" in options:
        _use_cache(body, options["cached_content"])
    if "labels" in options:
        body["labels"] = options["labels"]


def _use_cache(body: dict[str, Any], name: str) -> None:
    """Point to cached content. It holds the instruction and the tools; a request that repeats them is a 400."""
    body["cachedContent"] = name
    repeated = [member for member in ("systemInstruction", "tools", "toolConfig") if body.pop(member, None)]
    if repeated:
        warnings.warn(
            f"with cached_content, {' and '.join(repeated)} must be in the cache and are not sent again", stacklevel=2
        )
