"""Build a request from messages, a model's options and a call's options. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.gemway._messages import to_contents
from llama_index.llms.gemway._responses import AnswerContext
from llama_index.llms.gemway._structured import ResponseFormat, response_format
from llama_index.llms.gemway._tools import WireTools, to_wire_tools

from gemway import Dialect
from gemway.adapters import (
    WireRequest,
    arrange,
    canonical,
    merge_deep,
    override,
    to_generation_config,
    to_safety_settings,
    to_tool_config,
    warn,
)

REQUEST_OPTIONS: Final = (
    *("temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "n", "presence_penalty", "frequency_penalty"),
    *("logprobs", "top_logprobs", "response_modalities", "image_config", "aspect_ratio", "image_size"),
    *("thinking_budget", "thinking_level", "include_thoughts", "media_resolution", "speech_config"),
    *("response_mime_type", "response_schema", "response_json_schema", "response_format", "generation_config"),
    *("safety_settings", "cached_content", "labels", "extra_body", "tools", "tool_choice", "tool_config"),
    *("parallel_tool_calls", "strict"),
)
CALL_OPTIONS: Final = frozenset({*REQUEST_OPTIONS, "model", "timeout", "max_retries", "deadline", "extra_headers"})
CLIENT_CALL_OPTIONS: Final = (
    ("timeout", "timeout"),
    ("max_retries", "max_retries"),
    ("deadline", "deadline"),
    ("extra_headers", "headers"),
)


@dataclass(frozen=True)
class PreparedRequest:
    """One request, ready to send.

    Attributes:
        client_options: timeout, retries, deadline and headers of this call, where it changes them.
        context: what reading the answer takes.
    """

    model: str
    body: WireRequest
    client_options: dict[str, Any]
    context: AnswerContext


def prepare_request(
    messages: Sequence[ChatMessage], settings: Mapping[str, Any], changes: Mapping[str, Any]
) -> PreparedRequest:
    """Return the request for *messages*, under a model's *settings* and the *changes* of one call.

    Raises:
        TypeError: an unknown option, or one that only the constructor takes.
        ConfigurationError: options that cannot work.
        UnsupportedContentError: messages that cannot be sent.
    """
    options = {name: value for name in REQUEST_OPTIONS if (value := settings[name]) is not None}
    model, client_options = settings["model"], {}
    if changes:
        changes = _checked_changes(changes)
        client_options = {ours: changes.pop(name) for name, ours in CLIENT_CALL_OPTIONS if name in changes}
        model = changes.pop("model", model)
        options = override(options, changes)
    contents, system = to_contents(messages, model=model, tool_result_media=settings["tool_result_media"])
    body = WireRequest(contents=arrange(contents, model=model))
    if system:
        body["systemInstruction"] = system
    if not options:
        return PreparedRequest(model, body, client_options, AnswerContext())
    tools = _add_options(body, options, model, settings["schema_dialect"])
    if extra := options.get("extra_body"):
        body = WireRequest(merge_deep(body, extra))
    context = AnswerContext(tools, options.get("parallel_tool_calls") is not False, options.get("max_tokens"))
    return PreparedRequest(model, body, client_options, context)


def _checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of one call under their canonical names."""
    named = canonical(changes, where="Gemway.chat")
    if headers := named.pop("default_headers", None):
        named["extra_headers"] = {**headers, **named.get("extra_headers", {})}
    for name in named:
        if name not in CALL_OPTIONS:
            raise TypeError(f"Gemway.chat got {name!r}, which only the constructor takes: Gemway({name}=...)")
    return named


def _add_options(body: WireRequest, options: dict[str, Any], model: str, dialect: Dialect) -> WireTools | None:
    """Write *options* into *body*; return the tools among them."""
    tools = to_wire_tools(options["tools"], dialect=dialect) if options.get("tools") else None
    if tools:
        body["tools"] = tools
    if tool_config := to_tool_config(
        options.get("tool_choice") if tools else None,
        names=tools.names if tools else (),
        strict=options.get("strict"),
        tool_config=options.get("tool_config"),
    ):
        body["toolConfig"] = tool_config
    answer_format, schema_entries = options.get("response_format"), {}
    if isinstance(answer_format, type):
        answer_format = response_format(answer_format, dialect)
    if isinstance(answer_format, ResponseFormat):
        # Its schema is converted already, once for all calls.
        schema_entries = answer_format.entries
        options = {name: value for name, value in options.items() if name != "response_format"}
    config = to_generation_config(options, model=model, dialect=dialect)
    if config or schema_entries:
        body["generationConfig"] = {**config, **schema_entries}
    if "safety_settings" in options:
        body["safetySettings"] = to_safety_settings(options["safety_settings"])
    if "labels" in options:
        body["labels"] = options["labels"]
    if "cached_content" in options:
        _use_cached_content(body, options["cached_content"])
    return tools or None


def _use_cached_content(body: WireRequest, name: str) -> None:
    """Refer to cached content. It holds the instruction and the tools; a request that repeats them is a 400."""
    body["cachedContent"] = name
    if repeated := [member for member in ("systemInstruction", "tools", "toolConfig") if body.pop(member, None)]:
        warn(f"with cached_content, {' and '.join(repeated)} must be in the cache and are not sent again")
