"""Find the filled-in parts of a prompt template: between labels, between rules, after a label. Pure."""

from __future__ import annotations

import re


def between(text: str, start: str, end: str) -> str:
    """What stands between the last *start* that has an *end* after it, and that end."""
    found = re.findall(rf"{start}(.*?)(?:{end})", text, re.DOTALL)
    return found[-1].strip() if found else ""


def ruled(text: str) -> str:
    """What stands between the last two rules of dashes."""
    blocks = re.split(r"-{7,}", text)
    return blocks[-2].strip() if len(blocks) > 2 else blocks[0].strip()


def after(text: str, label: str) -> str:
    """The rest of the line after the last *label*."""
    found = re.findall(rf"(?im)^\s*(?:{label})[ \t]*:?[ \t]*(.+)$", text)
    return found[-1].strip() if found else ""


def quoted_question(text: str) -> str:
    """The question a list of choices is for."""
    found = re.search(r"relevant to the\s+question: '(.*?)'\n", text, re.DOTALL)
    return found.group(1) if found else after(text, "Question|Query")
