"""Answer prompts that choose or rank numbered items. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from gemway_emulator._language import (
    joined,
    keywords,
    overlap,
    ranked,
)
from gemway_emulator._prompt import Prompt
from gemway_emulator._template_text import after, between, quoted_question


def _choices(text: str) -> dict[int, str]:
    block = re.split(r"-{7,}", text)[1] if text.count("-------") else text
    found = re.findall(r"(?ms)^\((\d+)\)\s*(.*?)(?=^\(\d+\)|\Z)", block.strip())
    return {int(number): body.strip() for number, body in found} or {1: block}


def select(text: str, prompt: Prompt) -> str:
    """JSON with choice and reason, for selectors."""
    chosen = [{"choice": number, "reason": reason} for number, reason in _selected(text)]
    return json.dumps(chosen, ensure_ascii=False)


def selection(schema: dict[str, Any], prompt: Prompt) -> dict[str, Any] | None:
    """The choice as an instance of LlamaIndex's SingleSelection or MultiSelection; None for other schemas and prompts."""
    if "Some choices are given below" not in prompt.question:
        return None
    chosen = [{"index": number, "reason": reason} for number, reason in _selected(prompt.question)]
    properties = set(schema.get("properties") or {})
    if properties == {"selections"}:
        return {"selections": chosen}
    return chosen[0] if properties == {"index", "reason"} else None


def _selected(text: str) -> list[tuple[int, str]]:
    """(number, reason) of the choices that share words with the question, as many as it allows; always at least one."""
    most = re.search(r"no more than (\d+)", text)
    query, options = quoted_question(text), _choices(text)
    order = ranked(query, options)
    fitting = [number for number in order if overlap(query, options[number])]
    best = fitting[: int(most.group(1)) if most else 1] or order[:1]
    return [(number, f"Choice {number} is about {joined(keywords(options[number], 3))}.") for number in best]


def tree_select(text: str, prompt: Prompt) -> str:
    """`ANSWER: n`, for tree retrievers."""
    most = re.search(r"no more than (\d+)", text)
    order = ranked(quoted_question(text), _choices(text))[: int(most.group(1)) if most else 1]
    return f"ANSWER: {', '.join(map(str, order))}\nThis choice shares most words with the question."


def tree_insert(text: str, prompt: Prompt) -> str:
    """A bare number."""
    return str(
        ranked(after(text, "Given the context information, here is a new piece of information"), _choices(text))[0]
    )


def rerank(text: str, prompt: Prompt) -> str:
    """`Doc: n, Relevance: m`, most relevant first."""
    body = text.rpartition("Let's try this now:")[2]
    query = after(body, "Question")
    found = re.findall(r"(?ms)^Document (\d+):\n(.*?)(?=^Document \d+:|^Question:)", body)
    options = {int(number): passage for number, passage in found}
    order = ranked(query, options)
    lines = [
        f"Doc: {number}, Relevance: {max(9 - place, 1)}"
        for place, number in enumerate(order)
        if overlap(query, options[number])
    ]
    return "\n".join(lines or [f"Doc: {number}, Relevance: 1" for number in order[:1]])


def rank_gpt(text: str, prompt: Prompt) -> str:
    """`[2] > [1]`; the passages are in earlier turns."""
    query = between(text, "Search Query:", r"\.?\s*\n?Rank the")
    found = [re.match(r"\[(\d+)\]\s*(.*)", said, re.DOTALL) for role, said in prompt.earlier if role == "user"]
    options = {int(match.group(1)): match.group(2) for match in found if match}
    return " > ".join(f"[{number}]" for number in ranked(query, options)) or "[1]"
