"""Turn a choice of tools, in whoever's words, into Gemini's toolConfig. Pure.

Sources: ai.google.dev/api/caching (ToolConfig, FunctionCallingConfig), and `tool_choice` of OpenAI and Anthropic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from gemway._exceptions import ConfigurationError
from gemway._json_objects import JsonObject, camelised_members, members, wire_word
from gemway._tools import sanitize_tool_name

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
    config = {} if tool_config is None else camelised_members(tool_config, "tool_config")
    given = config.pop("functionCallingConfig", None)
    calling = {} if given is None else _of_google(given, names)
    if tool_choice is not None:
        calling |= _to_calling(tool_choice, names)
    if strict and (not calling or calling.get("mode") == "AUTO"):
        calling["mode"] = "VALIDATED"
    if calling and names:
        config["functionCallingConfig"] = calling
    return config or None


def _to_calling(choice: Any, names: Sequence[str]) -> JsonObject:
    """Return the functionCallingConfig for a choice."""
    if isinstance(choice, bool):
        return {"mode": "ANY" if choice else "NONE"}
    if isinstance(choice, Enum):
        choice = wire_word(choice)
    if isinstance(choice, str):
        mode = _MODES.get(choice.lower()) if choice not in names else None
        return {"mode": mode} if mode else _only([choice], names)
    if isinstance(choice, list | tuple | set | frozenset):
        return _only(choice, names)
    fields = members(choice, "tool_choice")
    if "functionCallingConfig" in fields:
        return _of_google(fields["functionCallingConfig"], names)
    if "mode" in fields:
        return _of_google(fields, names)
    return _of_others(fields, names)


def _of_google(value: Any, names: Sequence[str]) -> JsonObject:
    calling = camelised_members(value, "tool_choice")
    if "mode" in calling:
        calling["mode"] = str(calling["mode"]).upper()
    if allowed := calling.pop("allowedFunctionNames", None):
        calling["allowedFunctionNames"] = _declared(allowed, names)
    return calling


def _of_others(choice: Mapping[str, Any], names: Sequence[str]) -> JsonObject:
    """Read OpenAI's `{"type": "function", ...}` and Anthropic's `{"type": "tool", ...}`."""
    kind = choice.get("type", "function")
    if kind == "allowed_tools":
        inner = choice.get("allowedTools", choice)
        inner = inner if isinstance(inner, Mapping) else choice
        mode = "ANY" if inner.get("mode") == "required" else "VALIDATED"
        tools = inner.get("tools") if isinstance(inner.get("tools"), list | tuple) else ()
        return {**_only([_name_in(tool) for tool in tools if isinstance(tool, Mapping)], names), "mode": mode}
    if name := _name_in(choice):
        return _only([name], names)
    if isinstance(kind, str) and kind in _MODES:
        return {"mode": _MODES[kind]}
    raise ConfigurationError(
        f"tool_choice={dict(choice)!r} cannot be read; use 'auto', 'any', 'none', or one of {_listed(names)}"
    )


def _name_in(choice: Mapping[str, Any]) -> str:
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, Mapping) else function
    return name if isinstance(name, str) else ""


def _only(chosen: Collection[str], names: Sequence[str]) -> JsonObject:
    """Return the config that forces a call of one of *chosen*."""
    return {"mode": "ANY", "allowedFunctionNames": _declared(chosen, names)}


def _declared(chosen: Collection[str], names: Sequence[str]) -> list[str]:
    """Return the names on the wire of *chosen*; refuse what is not among *names*."""
    known = {sanitize_tool_name(name) for name in names}
    for name in chosen:
        if sanitize_tool_name(str(name)) not in known:
            raise ConfigurationError(f"tool_choice names an unknown tool {name!r}; the tools are {_listed(names)}")
    return [sanitize_tool_name(str(name)) for name in chosen]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
