"""Answer prompts that rewrite questions: standalone ones, variants, steps, passages to search with. Pure."""

from __future__ import annotations

import json
import re

from gemway_emulator._language import (
    joined,
    keywords,
    names,
    sentences,
    stand_alone,
)
from gemway_emulator._prompt import Prompt
from gemway_emulator._template_text import after, between


def condense(text: str, prompt: Prompt) -> str:
    """History and follow-up in one text."""
    question = between(text, r"<Follow Up Message>", "<Standalone") or after(
        text, r"Follow[ -]Up (?:Input|Message|question)"
    )
    history = between(text, r"(?:<Chat History>|Chat History:)", r"<Follow|Follow[ -]Up")
    return stand_alone(question or sentences(text)[-1], history)


def standalone_from_chat(text: str, prompt: Prompt) -> str:
    """History in the turns, instruction in the system message."""
    return stand_alone(text, "\n".join(said for role, said in prompt.earlier if role == "user"))


def query_variants(text: str, prompt: Prompt) -> str:
    """One search query per line, the question itself first."""
    number = re.search(r"(?i)generate\s+(\d+|two|three|four|five)\b", text)
    words = {"two": 2, "three": 3, "four": 4, "five": 5}
    count = (words.get(number.group(1).lower()) or int(number.group(1))) if number else 3
    query = (after(text, "Query|Original question|Question") or sentences(text)[-1]).rstrip("?")
    forms = ("{}?", "{} explained", "facts about {}", "details on {}", "background of {}", "overview of {}")
    about = " ".join(keywords(query, 4)) or query
    return "\n".join([forms[0].format(query), *(form.format(about) for form in forms[1:])][:count])


def new_question(text: str, prompt: Prompt) -> str:
    """The next step of a multi-step engine: the question, then None."""
    question = after(text, "Question") or after(text, "The original question is as follows")
    reasoning = between(text + "\x00", r"Previous reasoning:", r"\nNew question:|\x00")
    return "None" if "- " in reasoning else question


def same_query(text: str, prompt: Prompt) -> str:
    """A query with feedback: kept as it is."""
    return between(text, r"original query:\n", r"\nHere is the response")


def hyde(text: str, prompt: Prompt) -> str:
    """A passage in the words of the question."""
    question = between(text + '"""', r"key details as possible\.", r"Passage:|\"\"\"")
    about = joined(keywords(question, 4)) or question
    return f"{question.rstrip('?.!')}: this passage is about {about}. It names the facts that answer the question about {about}."


def sub_questions(text: str, prompt: Prompt) -> str:
    """One question per tool, as JSON in fences."""
    example = text.rpartition("<Tools>")[2]
    tools = json.loads(between(example, "```json", "```") or "{}")
    question = between(example, "<User Question>", "<Output>")
    items = [{"sub_question": _about(question, name, text), "tool_name": name} for name, text in tools.items()]
    return f"```json\n{json.dumps({'items': items}, indent=4)}\n```"


def _about(question: str, name: str, description: str) -> str:
    subject = joined(names(description)[:1]) or name.replace("_", " ")
    return f"{question.rstrip('?')} (about {subject})?"
