"""Turn canonical options into members of a request: generationConfig, safetySettings, toolConfig. Pure.

Sources: ai.google.dev/api/generate-content (GenerationConfig, ImageConfig, SafetySetting), ai.google.dev/api/caching
(ToolConfig, FunctionCallingConfig), the pages "Thinking" and "OpenAI compatibility" of ai.google.dev/gemini-api/docs, and
`tool_choice` and `response_format` of OpenAI and Anthropic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from gemway._capabilities import Capabilities, capabilities
from gemway._exceptions import ConfigurationError
from gemway._json import JsonObject, camelised_members, members, merge_deep, wire_word
from gemway._option_reader import from_generation_config
from gemway._options import OptionMapping
from gemway._schema import Dialect, response_schema
from gemway._tools import sanitize_tool_name
from gemway._warnings import warn_once


def to_generation_config(options: OptionMapping, *, model: str, dialect: Dialect = "json_schema") -> JsonObject:
    """Return the wire's generationConfig for canonical *options*; options that are not given are not there.

    Options that *model* does not take are left out with one warning; unknown models, picture ratios and sizes pass.

    Raises:
        ConfigurationError: options that exclude each other, or a value that cannot be sent.
    """
    unknown: JsonObject = {}
    if options.get("generation_config") is not None:
        named = from_generation_config(options["generation_config"])
        unknown = named.pop("generation_config", {})
        options = {**named, **{name: value for name, value in options.items() if value is not None}}
    config: JsonObject = {}
    for name, value in options.items():
        if value is not None and (write := _ENTRIES.get(name)) is not None:
            try:
                write(config, value, model)
            except (AttributeError, TypeError) as error:
                raise ConfigurationError(f"{name}={value!r} cannot be used: {error}") from None
    if not THINKING.isdisjoint(options) and (thinking := to_thinking_config(options, model)):
        config["thinkingConfig"] = thinking
    if not _PICTURES.isdisjoint(options) and (image_config := _to_image_config(options, model)):
        config["imageConfig"] = image_config
    if not RESPONSE.isdisjoint(options):
        config.update(to_response_entries(options, dialect))
    return merge_deep(config, unknown) if unknown else config


_Entries = Callable[[JsonObject, Any, str], None]


def _write_to(field: str, convert: Callable[[Any], Any] | None = None) -> _Entries:
    """Return the function that writes an option to *field*; an empty value writes nothing."""

    def write(config: JsonObject, value: object, model: str) -> None:
        written = convert(value) if convert else value
        if written is not None:
            config[field] = written

    return write


def _as_sampling(field: str) -> _Entries:
    """Return the function that writes a sampling option, for models that have such (ai.google.dev, What's new in Gemini 3.6)."""

    def write(config: JsonObject, value: object, model: str) -> None:
        if capabilities(model).sampling:
            config[field] = value
        else:
            warn_once(("sampling", model), f"{model} has fixed sampling: temperature, top_p and top_k are left out")

    return write


def _checked_token_limit(value: object) -> Any:
    if isinstance(value, int | float) and value < 1:
        raise ConfigurationError(f"max_tokens must be at least 1, not {value}; leave it out for the model's limit")
    return value


def _to_stop_sequences(value: str | Iterable[str]) -> list[str] | None:
    sequences = [value] if isinstance(value, str) else list(value)
    return [sequence for sequence in sequences if sequence] or None


def _to_modalities(value: str | Enum | Iterable[object]) -> list[str] | None:
    modalities = [value] if isinstance(value, str | Enum) else value
    return [str(wire_word(modality)).upper() for modality in modalities] or None


def _to_media_resolution(value: object) -> Any:
    word = wire_word(value)
    if not isinstance(word, str):
        return word
    word = word.upper()
    return word if word.startswith("MEDIA_RESOLUTION_") else f"MEDIA_RESOLUTION_{word}"


def _to_speech_config(value: object) -> JsonObject:
    if isinstance(value, str):
        return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": value}}}
    return camelised_members(value, "speech_config")


def _write_logprobs(config: JsonObject, value: object, model: str) -> None:
    """OpenAI's switch, or a number of alternatives as in OpenAI's completions and Google's own config."""
    if value is not False:
        config["responseLogprobs"] = True
    if not isinstance(value, bool):
        _write_top_logprobs(config, value, model)


def _write_top_logprobs(config: JsonObject, value: object, model: str) -> None:
    if value:
        config.update(responseLogprobs=True, logprobs=value)


_ENTRIES: Final[dict[str, _Entries]] = {
    "temperature": _as_sampling("temperature"),
    "top_p": _as_sampling("topP"),
    "top_k": _as_sampling("topK"),
    "max_tokens": _write_to("maxOutputTokens", _checked_token_limit),
    "stop": _write_to("stopSequences", _to_stop_sequences),
    "seed": _write_to("seed"),
    "n": _write_to("candidateCount"),
    "presence_penalty": _write_to("presencePenalty"),
    "frequency_penalty": _write_to("frequencyPenalty"),
    "logprobs": _write_logprobs,
    "top_logprobs": _write_top_logprobs,
    "response_modalities": _write_to("responseModalities", _to_modalities),
    "media_resolution": _write_to("mediaResolution", _to_media_resolution),
    "speech_config": _write_to("speechConfig", _to_speech_config),
}

_PICTURES: Final = frozenset({"image_config", "aspect_ratio", "image_size"})
_TAKES_EVERY_PICTURE: Final = "gemini-3.1-flash-image"
_OTHER_SIZES: Final = {"512PX": "512", "0.5K": "512", "1024": "1K", "2048": "2K", "4096": "4K"}


def _to_image_config(options: OptionMapping, model: str) -> JsonObject:
    """Return the imageConfig; `aspect_ratio` and `image_size` win over the same in `image_config`."""
    fields = options.get("image_config")
    config = {} if fields is None else camelised_members(fields, "image_config")
    for option, field in (("aspect_ratio", "aspectRatio"), ("image_size", "imageSize")):
        if options.get(option) is not None:
            config[field] = wire_word(options[option])
    capable = capabilities(model)
    documented = capable if capable.image_model else capabilities(_TAKES_EVERY_PICTURE)
    if (ratio := config.get("aspectRatio")) is not None:
        _warn_if_undocumented("aspect ratio", ratio, documented.aspect_ratios, model)
    if (size := config.get("imageSize")) is not None:
        word = str(size).strip().upper()
        config["imageSize"] = _OTHER_SIZES.get(word, word)
        _warn_if_undocumented("image size", config["imageSize"], documented.image_sizes, model)
    return config


def _warn_if_undocumented(subject: str, value: object, known: Sequence[str], model: str) -> None:
    """Warn about a value that is not documented; it is sent all the same, since the gateway decides."""
    if value not in known:
        documented = f"documented: {', '.join(known)}" if known else "none is documented"
        warn_once(
            (subject, str(value), model), f"unusual {subject} {value!r} for {model} ({documented}); sent as it is"
        )


def to_service_tier(value: str | None) -> str | None:
    """Return the wire's serviceTier for Google's, OpenAI's or Anthropic's word, or None if nothing is to be sent.

    Google's words are lower case on the wire: flex, standard, priority (ai.google.dev/api/generate-content).
    """
    word = (value or "").lower()
    return {"auto": None, "": None, "default": "standard", "standard_only": "standard"}.get(word, word)


def to_safety_settings(value: object) -> list[JsonObject]:
    """Return the wire's safetySettings from a list of `{category, threshold}` or a mapping category -> threshold."""
    if isinstance(value, Mapping) and "category" not in value:
        return [{"category": wire_word(category), "threshold": wire_word(level)} for category, level in value.items()]
    settings = [value] if isinstance(value, Mapping) else value or ()
    if not isinstance(settings, Iterable):
        raise ConfigurationError(
            "safety_settings must be a mapping of categories to thresholds, or a list of {category, threshold}, not"
            f" {type(value).__name__}"
        )
    return [camelised_members(setting, "safety_settings") for setting in settings]


# Thinking

THINKING: Final = frozenset({"thinking_level", "thinking_budget", "include_thoughts"})
_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")

# ai.google.dev/gemini-api/docs/openai, "Thinking": Google's own reading of reasoning_effort on Gemini 2.5.
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


def to_thinking_config(options: OptionMapping, model: str) -> JsonObject:
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
        config.update(_to_amount(_level_named(level), budget, capable, model))
    elif thoughts and not config:
        warn_once(("thinking", model), f"{model} takes no thinking options: include_thoughts is left out")
    return config


def _level_named(level: object) -> str | None:
    if level is None:
        return None
    name = str(wire_word(level)).lower()
    if name not in _TOKENS:
        raise ConfigurationError(f"unknown thinking level {level!r}; known: {', '.join(_TOKENS)}")
    return name


def _to_amount(level: str | None, budget: Any, capable: Capabilities, model: str) -> JsonObject:
    if level is None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < -1):
        raise ConfigurationError(f"thinking_budget must be a number of tokens, 0 (off) or -1 (dynamic), not {budget!r}")
    if capable.thinking == "budget":
        tokens = _TOKENS[level] if level else budget
        return {"thinkingBudget": _to_budget(tokens, capable, model, clamp_silently=level is not None)}
    if capable.thinking == "level":
        # Gemini 3 has levels; a budget that was written for 2.5 or for another provider becomes the nearest of them.
        word = level or _level_of(budget)
        return {} if word is None else {"thinkingLevel": _to_level(word, capable, model)}
    if level != "none" and budget != 0:
        warn_once(("thinking", model), f"{model} takes no thinking options: they are left out")
    return {}


def _to_budget(tokens: int, capable: Capabilities, model: str, *, clamp_silently: bool) -> int:
    if tokens == -1 or (tokens == 0 and capable.can_disable_thinking):
        return tokens
    # A budget outside the bounds of the model is a 400, so it is moved to the nearer bound.
    least, most = capable.thinking_budget or (0, 2**31)
    if tokens == 0:
        warn_once(("off", model), f"thinking cannot be switched off in {model}; the least, {least} tokens, is sent")
        return least
    clamped = min(max(tokens, least), most)
    if clamped != tokens and not clamp_silently:
        warn_once(("budget", model, tokens), f"{model} thinks with {least} to {most} tokens: {clamped} are sent")
    return clamped


def _level_of(budget: int) -> str | None:
    """Return the level for a number of tokens; None for -1 (dynamic), the default of models with levels."""
    if budget == -1:
        return None
    return "none" if budget == 0 else next(word for most, word in _LEVEL_UP_TO if budget <= most)


def _to_level(word: str, capable: Capabilities, model: str) -> str:
    """Return the supported level nearest to *word*, the higher of two (as Google's OpenAI endpoint does)."""
    supported = capable.thinking_levels or _LEVELS[:4]
    if word == "none":
        warn_once(("off", model), f"thinking cannot be switched off in {model}; the level {supported[0]!r} is sent")
        return supported[0]
    rank = _LEVELS.index(word)
    nearest = min(supported, key=lambda one: (abs(_LEVELS.index(one) - rank), -_LEVELS.index(one)))
    if nearest != word:
        warn_once(("level", model, word), f"{model} has no thinking level {word!r}; {nearest!r} is sent")
    return nearest


# The form of the answer

_WAYS: Final = ("response_format", "response_schema", "response_json_schema")
RESPONSE: Final = frozenset({"response_mime_type", *_WAYS})


def to_response_entries(options: OptionMapping, dialect: Dialect) -> JsonObject:
    """Return the entries of generationConfig for the `RESPONSE` among *options*."""
    ways = [name for name in _WAYS if options.get(name) is not None]
    if len(ways) > 1:
        raise ConfigurationError(f"{' and '.join(ways)} exclude each other; give one")
    entries: JsonObject = {}
    if "response_format" in ways:
        entries = to_response_format(options["response_format"], dialect=dialect)
    elif ways:
        own: Dialect = "openapi" if ways[0] == "response_schema" else "json_schema"
        entries = response_schema(_to_json_schema(options[ways[0]], ways[0]), dialect=own)
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


def _to_json_schema(value: object, name: str) -> OptionMapping:
    """Return the JSON Schema of *value*: a schema, a class, or Google's Schema object."""
    if isinstance(value, Mapping):
        return value
    schema: OptionMapping
    if callable(describe := getattr(value, "model_json_schema", None)) and isinstance(value, type):
        schema = describe()
        return schema
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        schema = dump(mode="json", exclude_none=True)
        return schema
    if isinstance(value, str | bytes | int | float | list):
        raise ConfigurationError(f"{name} must be a JSON Schema, a class or a response_format dict, not {value!r}")
    return _schema_of_class(value, name)


def _schema_of_class(value: object, name: str) -> OptionMapping:
    if isinstance(value, type) and hasattr(value, "__fields__") and callable(legacy := getattr(value, "schema", None)):
        schema: OptionMapping = legacy()  # pydantic v1
        return schema
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(value).json_schema()
    except PydanticUserError as error:
        raise ConfigurationError(f"{name}: {value!r} has no JSON Schema: {error.message}") from error


# The choice of tools

_MODES: Final = {
    **{"auto": "AUTO", "none": "NONE", "any": "ANY", "required": "ANY", "validated": "VALIDATED"},
    "mode_unspecified": "AUTO",
}


def to_tool_config(
    tool_choice: object, *, names: Sequence[str], strict: bool | None = None, tool_config: object = None
) -> JsonObject | None:
    """Return the wire's toolConfig, or None if there is nothing to say.

    Args:
        tool_choice: a mode (`"auto" "none" "any" "required" "validated"`, True, False), a tool's name or several,
            or the dict of OpenAI, Anthropic or Google.
        names: the names of the declared functions. Without declared functions there is no functionCallingConfig.
        strict: True makes the calls of mode AUTO follow their schemas (Gemini's mode VALIDATED).
        tool_config: Google's own toolConfig, as a dict or object; *tool_choice* goes on top of it.

    Raises:
        ConfigurationError: a tool that is not among *names*, or a choice of an unknown form.
    """
    config = {} if tool_config is None else camelised_members(tool_config, "tool_config")
    of_google = config.pop("functionCallingConfig", None)
    calling = {} if of_google is None else _of_google(of_google, names)
    if tool_choice is not None:
        calling |= _to_calling(tool_choice, names)
    if strict and (not calling or calling.get("mode") == "AUTO"):
        calling["mode"] = "VALIDATED"
    if calling and names:
        config["functionCallingConfig"] = calling
    return config or None


def _to_calling(choice: object, names: Sequence[str]) -> JsonObject:
    """Return the functionCallingConfig for a choice."""
    if isinstance(choice, bool):
        return {"mode": "ANY" if choice else "NONE"}
    if isinstance(choice, Enum):
        choice = wire_word(choice)
    if isinstance(choice, str):
        mode = _MODES.get(choice.lower()) if choice not in names else None
        return {"mode": mode} if mode else _force_calls_of([choice], names)
    if isinstance(choice, list | tuple | set | frozenset):
        return _force_calls_of(choice, names)
    fields = members(choice, "tool_choice")
    if "functionCallingConfig" in fields:
        return _of_google(fields["functionCallingConfig"], names)
    if "mode" in fields:
        return _of_google(fields, names)
    return _of_others(fields, names)


def _of_google(value: object, names: Sequence[str]) -> JsonObject:
    calling = camelised_members(value, "tool_choice")
    if "mode" in calling:
        calling["mode"] = str(calling["mode"]).upper()
    if allowed := calling.pop("allowedFunctionNames", None):
        calling["allowedFunctionNames"] = _checked_names(allowed, names)
    return calling


def _of_others(choice: OptionMapping, names: Sequence[str]) -> JsonObject:
    """Read OpenAI's `{"type": "function", ...}` and Anthropic's `{"type": "tool", ...}`."""
    kind = choice.get("type", "function")
    if kind == "allowed_tools":
        inner = choice.get("allowedTools", choice)
        inner = inner if isinstance(inner, Mapping) else choice
        mode = "ANY" if inner.get("mode") == "required" else "VALIDATED"
        tools = inner.get("tools")
        tools = tools if isinstance(tools, list | tuple) else ()
        return {**_force_calls_of([_name_in(tool) for tool in tools if isinstance(tool, Mapping)], names), "mode": mode}
    if name := _name_in(choice):
        return _force_calls_of([name], names)
    if isinstance(kind, str) and kind in _MODES:
        return {"mode": _MODES[kind]}
    raise ConfigurationError(
        f"tool_choice={dict(choice)!r} cannot be read; use 'auto', 'any', 'none', or one of {_list_names(names)}"
    )


def _name_in(choice: OptionMapping) -> str:
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, Mapping) else function
    return name if isinstance(name, str) else ""


def _force_calls_of(chosen: Collection[str], names: Sequence[str]) -> JsonObject:
    """Return the config that forces a call of one of *chosen*."""
    return {"mode": "ANY", "allowedFunctionNames": _checked_names(chosen, names)}


def _checked_names(chosen: Collection[str], names: Sequence[str]) -> list[str]:
    """Return the names on the wire of *chosen*; refuse all that are not among *names*."""
    declared = {sanitize_tool_name(name) for name in names}
    for name in chosen:
        if sanitize_tool_name(str(name)) not in declared:
            raise ConfigurationError(f"tool_choice names an unknown tool {name!r}; the tools are {_list_names(names)}")
    return [sanitize_tool_name(str(name)) for name in chosen]


def _list_names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
