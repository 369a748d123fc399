"""Turn canonical options into Gemini's generationConfig and safetySettings. Pure.

Source: ai.google.dev/api/generate-content (GenerationConfig, ImageConfig, SafetySetting).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from gemway._capabilities import capabilities
from gemway._exceptions import ConfigurationError
from gemway._json_objects import JsonObject, camelised_members, merge_deep, wire_word
from gemway._options.composed import from_generation_config
from gemway._options.response_format import RESPONSE, to_response_entries
from gemway._options.thinking import THINKING, to_thinking_config
from gemway._schema import Dialect
from gemway._warn_once import warn_once


def to_generation_config(options: Mapping[str, Any], *, model: str, dialect: Dialect = "json_schema") -> JsonObject:
    """Return the wire's generationConfig for canonical *options*; options that are not given are not there.

    Options that *model* does not take are left out with one warning; unknown models, picture ratios and sizes pass.

    Raises:
        ConfigurationError: options that exclude each other, or a value that cannot be sent.
    """
    unknown: JsonObject = {}
    if options.get("generation_config") is not None:
        given = from_generation_config(options["generation_config"])
        unknown = given.pop("generation_config", {})
        options = {**given, **{name: value for name, value in options.items() if value is not None}}
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
            warn_once(("sampling", model), f"{model} has fixed sampling: temperature, top_p and top_k are left out")

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
    return [str(wire_word(modality)).upper() for modality in modalities] or None


def _to_media_resolution(value: Any) -> Any:
    word = wire_word(value)
    if not isinstance(word, str):
        return word
    word = word.upper()
    return word if word.startswith("MEDIA_RESOLUTION_") else f"MEDIA_RESOLUTION_{word}"


def _to_speech_config(value: Any) -> JsonObject:
    if isinstance(value, str):
        return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": value}}}
    return camelised_members(value, "speech_config")


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

_PICTURES: Final = frozenset({"image_config", "aspect_ratio", "image_size"})
_TAKES_EVERY_PICTURE: Final = "gemini-3.1-flash-image"
_OTHER_SIZES: Final = {"512PX": "512", "0.5K": "512", "1024": "1K", "2048": "2K", "4096": "4K"}


def _to_image_config(options: Mapping[str, Any], model: str) -> JsonObject:
    """Return the imageConfig; `aspect_ratio` and `image_size` win over the same in `image_config`."""
    given = options.get("image_config")
    config = {} if given is None else camelised_members(given, "image_config")
    for option, field in (("aspect_ratio", "aspectRatio"), ("image_size", "imageSize")):
        if options.get(option) is not None:
            config[field] = wire_word(options[option])
    capable = capabilities(model)
    documented = capable if capable.image_model else capabilities(_TAKES_EVERY_PICTURE)
    if (ratio := config.get("aspectRatio")) is not None:
        _expect("aspect ratio", ratio, documented.aspect_ratios, model)
    if (size := config.get("imageSize")) is not None:
        word = str(size).strip().upper()
        config["imageSize"] = _OTHER_SIZES.get(word, word)
        _expect("image size", config["imageSize"], documented.image_sizes, model)
    return config


def _expect(what: str, value: Any, known: Sequence[str], model: str) -> None:
    """Warn about a value that is not documented; it is sent all the same, since the gateway decides."""
    if value not in known:
        documented = f"documented: {', '.join(known)}" if known else "none is documented"
        warn_once((what, str(value), model), f"unusual {what} {value!r} for {model} ({documented}); sent as it is")


def to_safety_settings(value: Any) -> list[JsonObject]:
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
