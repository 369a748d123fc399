"""Decide which declared functions a prompt calls for, and with which arguments. Pure."""

from __future__ import annotations

import re
from typing import Any

from gemway_emulator._choice_shapes import selection
from gemway_emulator._hints import Hints
from gemway_emulator._language import content_words, stem, words
from gemway_emulator._prompt import Prompt, Tool
from gemway_emulator._schema_instances import instance
from gemway_emulator._turns import Part, call_part

# What people write for what tools are called.
_SYNONYMS = {
    "+": ("add", "sum", "plus"),
    "plus": ("add", "sum"),
    "sum": ("add",),
    "-": ("subtract", "minus"),
    "minus": ("subtract",),
    "*": ("multiply", "product", "times"),
    "\u00d7": ("multiply", "product", "times"),
    "times": ("multiply", "product"),
    "/": ("divide", "quotient"),
    "÷": ("divide", "quotient"),
    "picture": ("image",),
    "photo": ("image", "picture"),
    "draw": ("image", "generate"),
    "paint": ("image", "generate"),
    "temperature": ("weather",),
    "forecast": ("weather",),
    "email": ("mail",),
    "mail": ("email",),
}
# Words every second tool is named with: they say nothing about whether a tool fits ...
_EMPTY_WORDS = {
    stem(word)
    for word in [
        "get",
        "set",
        "do",
        "run",
        "tool",
        "function",
        "call",
        "fetch",
        "find",
        "return",
        "given",
        "use",
        "current",
    ]
}
# ... and these say little: `generate a poem` is no case for generate_image.
_WEAK_VERBS = {
    stem(word)
    for word in [
        "create",
        "generate",
        "write",
        "make",
        "send",
        "update",
        "delete",
        "read",
        "open",
        "list",
        "show",
        "edit",
        "build",
    ]
}
_LOOKUP_WORDS = {
    stem(word)
    for word in ["search", "retrieve", "retriever", "lookup", "look", "knowledge", "documents", "wikipedia", "wiki"]
}
# Calls that pass the task to another agent, as LlamaIndex, LangGraph and swarms name them.
_HANDOFF = re.compile(r"(?i)hand_?off|transfer_(?:back_)?to")
_LOOKUP_KEYS = {"query", "question", "q", "input", "topic", "search_query"}


def calls(prompt: Prompt) -> list[Part]:
    """The function calls that answer *prompt*, none if it asks for text."""
    if prompt.mode == "NONE" or not prompt.tools:
        return []
    chosen = _forced(prompt) if prompt.mode == "ANY" else _wanted(prompt)
    return [part for tool in chosen for part in _call(tool, prompt, alone=len(chosen) == 1)]


def _forced(prompt: Prompt) -> list[Tool]:
    """Mode ANY: always a call, of functions not called since the newest user text if there are any."""
    fresh = [tool for tool in prompt.tools if tool.name not in prompt.called] or prompt.tools
    named = [] if _worked(prompt) else _named(prompt, fresh)
    if len(named) > 1:
        return named
    ranked = sorted(fresh, key=lambda tool: -_fit(tool, prompt.question))
    return named or ranked[:1]


def _wanted(prompt: Prompt) -> list[Tool]:
    """Mode AUTO: what the prompt names; failing that, and before any result, what fits it best."""
    fresh = [
        tool for tool in prompt.tools if tool.name not in prompt.called and not _denied(tool.name, prompt.question)
    ]
    if named := _named(prompt, fresh):
        return named
    if _worked(prompt) or _named(prompt, [tool for tool in prompt.tools if not _handed_over(tool.name, prompt)]):
        return []
    ranked = sorted(fresh, key=lambda tool: -_fit(tool, prompt.question))
    fitting = [tool for tool in ranked if _fit(tool, prompt.question) >= 2]
    return (fitting or [tool for tool in fresh if _looks_up(tool, prompt.question)])[:1]


def _worked(prompt: Prompt) -> bool:
    """Whether something was done since the newest user text; handing the task over does nothing of it."""
    return any(not _HANDOFF.search(name) for name in (*prompt.called, *(name for name, _ in prompt.results)))


def _handed_over(name: str, prompt: Prompt) -> bool:
    """Whether *name* is the call that passed the task to the agent that is asked now."""
    return name in prompt.called and _HANDOFF.search(name) is not None


def _named(prompt: Prompt, tools: list[Tool]) -> list[Tool]:
    """The tools the question names, in its order; only the first if the question says `then`."""
    text = prompt.question.lower()
    places = {tool.name: _place(tool.name, text) for tool in tools}
    named = sorted((tool for tool in tools if places[tool.name] >= 0), key=lambda tool: places[tool.name])
    in_steps = re.search(r"\b(?:then|after that|afterwards|followed by|finally)\b", text) is not None
    return named[:1] if in_steps else named


def _place(name: str, text: str) -> int:
    """Where *text* names the tool, as `get_weather` or (for names of several words) as `get weather`; -1 if nowhere."""
    found = re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", text)
    spaced = " ".join(words(name))
    if found is None and " " in spaced:
        found = re.search(rf"(?<!\w){re.escape(spaced)}(?!\w)", text)
    if found is None:
        return -1
    if "_" not in name and name.islower() and not _is_instructed(name, text):
        return -1  # `add` in "add salt" is a verb; `the add tool` is a name
    return found.start()


def _denied(name: str, text: str) -> bool:
    """Whether *text* forbids the tool: `do not use get_weather`."""
    before = r"(?:don't|do not|never|without)\s+(?:use|call|using|calling)\s+(?:the\s+)?\W?"
    return re.search(rf"{before}{re.escape(name.lower())}(?!\w)", text.lower()) is not None


def _is_instructed(name: str, text: str) -> bool:
    bare = re.escape(name.lower())
    return (
        re.search(rf"\b(?:use|call|using|invoke|run)\s+(?:the\s+)?\W?{bare}\b|\b{bare}\W?\s+(?:tool|function)", text)
        is not None
    )


def _fit(tool: Tool, text: str) -> int:
    """How much *tool* has to do with *text*: words of its name count more than those of its description; 2 is enough."""
    signs = {stem(word) for sign, means in _SYNONYMS.items() if _is_said(sign, text) for word in means}
    said = set(content_words(text)) | {stem(word) for word in words(text)} | signs
    name = {stem(word) for word in words(tool.name)} - _EMPTY_WORDS
    described = (set(content_words(tool.description)) - _EMPTY_WORDS - name) & said
    # Long descriptions share two words with anything.
    if 3 * len(described) < len(set(content_words(text))):
        described &= signs
    return 2 * len(name & said - _WEAK_VERBS) + len(name & said & _WEAK_VERBS) + len(described) + len(described & signs)


def _looks_up(tool: Tool, text: str) -> bool:
    """Whether *tool* searches for things and *text* is a question about a thing."""
    required = tool.schema.get("required") or []
    about = set(content_words(f"{tool.name} {tool.description}"))
    asks = text.rstrip().endswith("?") and bool(content_words(text))
    return asks and len(required) == 1 and required[0] in _LOOKUP_KEYS and bool(about & _LOOKUP_WORDS)


def _is_said(sign: str, text: str) -> bool:
    if sign.isalpha():
        return re.search(rf"\b{sign}\w?\b", text.lower()) is not None
    return re.search(rf"\d\s*{re.escape(sign)}\s*\(?-?\d", text) is not None


def _call(tool: Tool, prompt: Prompt, *, alone: bool) -> list[Part]:
    """One call; or one per place when the question lists several for a tool that takes one."""
    text = prompt.material
    key = _place_key(tool)
    places = Hints(prompt.question).places() if key and alone and prompt.mode != "ANY" else []
    if key and len(places) > 1:
        return [call_part(tool.name, {**instance(tool.schema, text), key: place}) for place in places]
    schema = _schema(tool)
    said = text if alone else _clause(tool, prompt) or text
    args = selection(schema, prompt) or instance(schema, said, prompt.background)
    return [call_part(tool.name, args if isinstance(args, dict) else {})]


def _schema(tool: Tool) -> dict[str, Any]:
    """The schema of *tool*; the agents its description lists become the choices of a field named after an agent."""
    agents = re.findall(r"['\"](\w+)['\"]\s*:", tool.description)
    properties = tool.schema.get("properties") or {}
    named = {key: {**value, "enum": agents} for key, value in properties.items() if "agent" in key and agents}
    return {**tool.schema, "properties": {**properties, **named}} if named else tool.schema


def _place_key(tool: Tool) -> str | None:
    required = tool.schema.get("required") or []
    key = required[0] if len(required) == 1 else ""
    return key if key in ("city", "location", "place", "destination", "town") else None


def _clause(tool: Tool, prompt: Prompt) -> str | None:
    """The sentence or clause that names *tool*, for its own arguments."""
    clauses = re.split(
        r"(?<=[.;!?])\s+|\n|,?\s+and\s+(?=(?:also\s+)?(?:use|call)\b)|,\s+(?=(?:use|call)\b)", prompt.question
    )
    return next((clause for clause in clauses if _place(tool.name, clause.lower()) >= 0), None)
