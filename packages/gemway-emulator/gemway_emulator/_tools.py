"""Decide which declared functions a request calls for, and with which arguments. Pure."""

from __future__ import annotations

import re

from gemway_emulator._instances import instance
from gemway_emulator._language import content_words
from gemway_emulator._request import Request, Tool
from gemway_emulator._turns import Part, call_part

# Every second tool is named with one of these: they do not count when a name is looked for among the words of a text.
_EMPTY_WORDS = frozenset(content_words("set run tool function call fetch find return current"))


def calls(request: Request) -> list[Part]:
    """The function calls that answer *request*, none if it asks for text.

    A tool that the newest user text names is called, several side by side unless the text says `then`. Mode ANY calls the
    first allowed one otherwise. No tool is called twice for one user text, so that every loop over calls ends.
    """
    fresh = [tool for tool in request.tools if tool.name not in request.called]
    if request.mode == "NONE" or not fresh:
        return []
    chosen = _named(request, fresh) or (fresh[:1] if request.mode == "ANY" else [])
    return [_call(tool, request, chosen) for tool in chosen]


def _named(request: Request, tools: list[Tool]) -> list[Tool]:
    text = request.prompt
    places = {tool.name: place for tool in request.tools if (place := _place(tool.name, text)) >= 0}
    if not places and not request.called:
        return [tool for tool in tools if _is_meant(tool, text)][:1]
    named = sorted((tool for tool in tools if tool.name in places), key=lambda tool: places[tool.name])
    return named[:1] if re.search(r"(?i)\bthen\b", text) else named


def _place(name: str, text: str) -> int:
    """Where *text* has *name* as a word of its own, -1 if nowhere or if it forbids the tool."""
    if re.search(
        rf"(?i)\b(?:not|never|don't|without)\s+(?:us\w+|call\w*)\s+(?:the\s+)?\W?{re.escape(name)}(?!\w)", text
    ):
        return -1
    found = re.search(rf"(?i)(?<!\w){re.escape(name)}(?!\w)", text)
    return found.start() if found else -1


def _is_meant(tool: Tool, text: str) -> bool:
    """Whether *text* has all the words of the tool's name that mean something: `the weather in Oslo` means get_weather."""
    wanted = set(content_words(tool.name)) - _EMPTY_WORDS
    denied = re.search(rf"(?i)\b(?:not|never|don't|without)\b.*{re.escape(tool.name)}", text)
    return bool(wanted) and wanted <= set(content_words(text)) and not denied


def _call(tool: Tool, request: Request, chosen: list[Tool]) -> Part:
    args = instance(tool.schema, request.material if len(chosen) == 1 else _clause(tool, request.prompt, chosen))
    return call_part(tool.name, args if isinstance(args, dict) else {})


def _clause(tool: Tool, text: str, chosen: list[Tool]) -> str:
    """The text from the name of *tool* to the name of the next one, for arguments of its own."""
    start = _place(tool.name, text)
    ends = [place for other in chosen if (place := _place(other.name, text)) > start]
    return text[start : min(ends, default=len(text))]
