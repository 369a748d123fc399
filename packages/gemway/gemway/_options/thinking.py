"""Turn options about thinking into the thinkingConfig that a model reads. Pure.

Sources: the pages "Thinking" and "OpenAI compatibility" of ai.google.dev/gemini-api/docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gemway._capabilities import Capabilities, capabilities
from gemway._exceptions import ConfigurationError
from gemway._json_objects import JsonObject, wire_word
from gemway._warn_once import warn_once

THINKING: Final = frozenset({"thinking_level", "thinking_budget", "include_thoughts"})
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


def to_thinking_config(options: Mapping[str, Any], model: str) -> JsonObject:
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


def _level_named(level: Any) -> str | None:
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
        word = level or _level_of(budget)
        return {} if word is None else {"thinkingLevel": _to_level(word, capable, model)}
    if level != "none" and budget != 0:
        warn_once(("thinking", model), f"{model} takes no thinking options: they are left out")
    return {}


def _to_budget(tokens: int, capable: Capabilities, model: str, *, clamp_silently: bool) -> int:
    if tokens == -1 or (tokens == 0 and capable.can_disable_thinking):
        return tokens
    least, most = capable.thinking_budget or (0, 2**31)
    if tokens == 0:
        warn_once(("off", model), f"thinking cannot be switched off in {model}; the least, {least} tokens, is sent")
        return least
    clamped = min(max(tokens, least), most)
    if clamped != tokens and not clamp_silently:
        warn_once(("budget", model, tokens), f"{model} thinks with {least} to {most} tokens: {clamped} are sent")
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
        warn_once(("off", model), f"thinking cannot be switched off in {model}; the level {supported[0]!r} is sent")
        return supported[0]
    wanted = _LEVELS.index(word)
    nearest = min(supported, key=lambda one: (abs(_LEVELS.index(one) - wanted), -_LEVELS.index(one)))
    if nearest != word:
        warn_once(("level", model, word), f"{model} has no thinking level {word!r}; {nearest!r} is sent")
    return nearest
