"""Answer prompts about a context: questions, refinements, summaries, titles, keywords. Pure."""

from __future__ import annotations

import re

from gemway_emulator._language import (
    best_sentences,
    content_words,
    joined,
    keywords,
    names,
    overlap,
    ranked,
    sentences,
    summary,
)
from gemway_emulator._prompt import Prompt
from gemway_emulator._template_text import after, between, ruled

# A question about the whole context rather than about something in it.
_ABOUT_ALL = re.compile(
    r"(?i)\bsummar|\bmain (?:topic|point|idea)|what (?:is )?(?:this|the) (?:provided )?(?:text|document|section)\b"
)


def context_question(text: str, prompt: Prompt) -> str:
    """A context between rules, then `Query:`."""
    query = between(text + "\x00", r"\n(?:Query|Question|User Query):", r"\nAnswer:|\nHelpful Answer|\x00")
    return _from_context(query or after(text, "Query|Question"), ruled(text))


def inline_context(text: str, prompt: Prompt) -> str:
    """`Context:` and `Question:` in either order, without rules."""
    query = after(text, "Question|Query|User question") or prompt.question
    return _from_context(
        query, between(text + "\x00", r"(?i)\bcontext(?: information)?\s*:", r"\n(?:Question|Query)|\x00")
    )


def _from_context(query: str, context: str) -> str:
    if _ABOUT_ALL.search(query):
        return summary(context)
    found = best_sentences(query, context)
    return " ".join(found) if found else "The context does not say."


def refine(text: str, prompt: Prompt) -> str:
    """`existing answer` and `more context` (completion templates)."""
    query = after(text, "The original query is as follows") or prompt.question
    existing = between(text, r"existing answer\s*:", r"\n\s*We have the opportunity|\n\s*Instruction|\nGiven the new")
    context = ruled(text) if "-------" in text else between(text, "documents for the context:", "Existing Answer")
    return _better(query, existing, context)


def refine_chat(text: str, prompt: Prompt) -> str:
    """`New Context` and `Original Answer` (chat templates)."""
    query = between(text, r"\nQuery:", r"\nOriginal Answer:")
    existing = between(text + "\x00", r"\nOriginal Answer:", r"\nNew Answer:|\x00")
    return _better(query, existing, between(text, r"New Context:", r"\nQuery:"))


def _better(query: str, existing: str, context: str) -> str:
    """The answer that shares more with the query; the existing one on a tie."""
    found = " ".join(best_sentences(query, context))
    return (
        found
        if found and overlap(query, found) > overlap(query, existing)
        else existing or found or "The context does not say."
    )


def summarise(text: str, prompt: Prompt) -> str:
    """A text, or the conversation, in a few of its own sentences."""
    body = re.sub(
        r"(?is)^.*?(?:summary of the following|content of the section:|following text|conversation)[^\n]*\n",
        "",
        text,
        count=1,
    )
    body = re.sub(r"(?is)\n\s*(?:SUMMARY|CONCISE SUMMARY|Summarize the key topics|Summary)\b.*$", "", body)
    spoken = "\n".join(said for _, said in prompt.earlier)
    return summary(body if len(content_words(body)) > 5 else spoken or body)


def title(text: str, prompt: Prompt) -> str:
    """The names in a text, or its key words."""
    body = re.sub(r"^Context:\s*", "", text.partition("Give a title")[0].partition("Based on the above")[0])
    return joined(names(body)[:3]) or " ".join(keywords(body, 4)) or "Untitled"


def keyword_list(text: str, prompt: Prompt) -> str:
    """Key words, comma separated, after `KEYWORDS:` where the template wants that."""
    number = re.search(r"(?:up to|Give)\s+(\d+)", text)
    body = ruled(text) if "-------" in text else text.partition("Give ")[0]
    found = ", ".join(word.lower() for word in keywords(body, int(number.group(1)) if number else 5))
    return f"KEYWORDS: {found}" if "KEYWORDS:" in text else found


def questions_from_context(text: str, prompt: Prompt) -> str:
    """Numbered questions a text can answer."""
    number = re.search(r"(?i)(?:generate|setup)\s+(\d+)\s", text)
    body = re.sub(r"(?s)(?:Given the context|Higher-level).*$", "", ruled(text) if "-------" in text else text)
    body = re.sub(r"(?m)^Here is the context:|^\[Excerpt from document\]|^Excerpt:|^-----$|^\w+: ", "", body)
    asked = [
        f"What does the text say about {joined(keywords(sentence, 3))}?"
        for sentence in sentences(body)
        if keywords(sentence, 3)
    ]
    count = int(number.group(1)) if number else 3
    return "\n".join(
        f"{index}. {question}" for index, question in enumerate(asked[:count] or ["What is the text about?"], start=1)
    )


def cited(text: str, prompt: Prompt) -> str:
    """The best sentence of the best source, with its number."""
    body = re.split(r"Below are several numbered sources", text)[-1]
    query = after(body, "Query")
    found = re.findall(r"(?ms)^Source (\d+):\s*(.*?)(?=^Source \d+:|^-{3,}|\Z)", body.partition("Query:")[0])
    options = {int(number): source for number, source in found}
    if not options:
        return _from_context(query, body)
    number = ranked(query, options)[0]
    said = " ".join(best_sentences(query, options[number], 1)) or summary(options[number], 1)
    return f"{said} [{number}]"


def sql_response(text: str, prompt: Prompt) -> str:
    """The result of a query, in words."""
    query, rows = after(text, "Query"), between(text + "\x00", r"SQL Response:", r"\nResponse:|\x00")
    return f"The answer to {query!r} is {rows}."
