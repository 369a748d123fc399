"""Answers to the default prompts of llama-index-core, for tests of its components: `Emulator(respond=respond)`.

The emulator recognises no framework's prompts. Where a component parses the answer (a choice, a rank, triplets), its test
needs one in that form; each function here gives one, from the words of the prompt. A verdict of an evaluator is never made
here: the tests of evaluators script it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from gemway_emulator import Request, reply
from gemway_emulator.reply import Reply


def respond(request: Request) -> Reply | None:
    """The answer of the first row of the table that fits, or None for the emulator's own."""
    if request.schema and list(request.schema.get("properties", {})) == ["answer"]:
        return fact(request)
    whole = f"{request.system}\n{request.prompt}"
    function = next((function for pattern, function in _ROWS if re.search(pattern, whole, re.DOTALL)), None)
    return function(request) if function else None


def select(request: Request) -> Reply:
    """A selector's choice, as text, as JSON of its schema, or as a call of its tool."""
    asked = re.findall(r"question: '(.*?)'", request.prompt)[-1]
    number = _best(asked, _numbered(request.prompt))
    chosen = {"index": number, "reason": "It shares words with the question."}
    schema = request.tools[0].schema if request.tools else request.schema
    arguments = {"selections": [chosen]} if "selections" in (schema or {}).get("properties", {}) else chosen
    if request.tools:
        return reply.tool_call(request.tools[0].name, arguments)
    if request.schema:
        return _json(arguments)
    return reply.text(json.dumps([{"choice": number, "reason": chosen["reason"]}]))


def tree_select(request: Request) -> Reply:
    asked = re.findall(r"question: '(.*?)'", request.prompt)[-1]
    return reply.text(f"ANSWER: {_best(asked, _numbered(request.prompt))}\nIt shares words with the question.")


def rerank(request: Request) -> Reply:
    body = request.prompt.rpartition("Let's try this now:")[2]
    documents = dict(re.findall(r"(?ms)^Document (\d+):\n(.*?)(?=^Document \d+:|^Question:)", body))
    best = _best(_after(body, "Question"), {int(number): text for number, text in documents.items()})
    if request.schema:
        return _json({"documents": [{"document_number": best, "relevance": 9}]})
    return reply.text(f"Doc: {best}, Relevance: 9")


def rank_passages(request: Request) -> Reply:
    passages = re.findall(r"\[(\d+)\]\s*([^\[]*)", "\n".join(text for role, text in request.earlier if role == "user"))
    best = _best(_after(request.prompt, "Search Query"), {int(number): text for number, text in passages})
    return reply.text(" > ".join(f"[{number}]" for number in dict.fromkeys([best, *map(int, dict(passages))])))


def title(request: Request) -> Reply:
    return reply.text("The Eiffel Tower")


def keywords(request: Request) -> Reply:
    found = dict.fromkeys(
        word.lower() for word in re.findall(r"\b[A-Z][a-z]{3,}", _passage(request.prompt) or request.prompt)
    )
    mark = "KEYWORDS: " if "KEYWORDS:" in request.prompt else ""
    return reply.text(mark + ", ".join(list(found)[:10]))


def questions(request: Request) -> Reply:
    return reply.text("1. When was it built?\n2. Where does it stand?")


def summary(request: Request) -> Reply:
    spoken = "\n".join(text for _, text in request.earlier)
    return reply.text(" ".join(_passage(f"{spoken}\n{request.prompt}").split())[:400])


def triplets(request: Request) -> Reply:
    if "JSON format" not in request.prompt:
        return reply.text("(Eiffel Tower, stands in, Paris)\n(Eiffel Tower, built by, Gustave Eiffel)")
    row = {
        "head": "Eiffel Tower",
        "head_type": "BUILDING",
        "relation": "STANDS_IN",
        "tail": "Paris",
        "tail_type": "CITY",
    }
    return _json([row])


def facts(request: Request) -> Reply:
    said = "\n".join(text for _, text in request.earlier) + request.prompt
    return reply.text(f"<facts><fact>{' and '.join(dict.fromkeys(re.findall(r'My name is Ann', said)))}</fact></facts>")


def object_of_schema(request: Request) -> Reply:
    """The object that `Ann is 5 years old` describes, for output parsers that put the schema into the prompt."""
    return _json({"name": "Ann", "age": int(re.findall(r"is (\d+)", f"{request.prompt}")[0])})


def fact(request: Request) -> Reply:
    """`answer: str` from a context: the sentence with the year of the question's building."""
    return _json({"answer": re.findall(r"[^.\n]*built in \d{4}[^.\n]*\.", request.prompt)[0].strip()})


def sub_questions(request: Request) -> Reply:
    asked = request.prompt.rpartition("<User Question>")[2].strip().partition("\n")[0]
    items = [{"sub_question": asked, "tool_name": "rivers"}]
    return reply.text(f"```json\n{json.dumps({'items': items})}\n```")


def next_question(request: Request) -> Reply:
    reasoning = request.prompt.rpartition("Previous reasoning:")[2].partition("New question:")[0]
    return reply.text("None" if "- " in reasoning else re.findall(r"(?m)^Question: (.+)$", request.prompt)[-1])


def standalone(request: Request) -> Reply:
    """The newest message, with the river that the conversation is about in place of `it`."""
    question = re.findall(r"<Follow Up Message>\s*(.*?)\s*<Stand", request.prompt, re.DOTALL)
    asked = question[-1] if question else request.prompt
    return reply.text(re.sub(r"\bit\b", "the Danube", asked))


def sql(request: Request) -> Reply:
    return reply.text("SELECT name, population FROM cities WHERE name = 'Vienna'")


def sql_answer(request: Request) -> Reply:
    return reply.text(f"It is {re.findall(r'SQL Response: (.+)', request.prompt)[-1]}.")


def react(request: Request) -> Reply:
    observed = re.findall(r"Observation: (.+)", request.prompt)
    if observed:
        return reply.text(f"Thought: I can answer without using any more tools.\nAnswer: {observed[-1]}")
    return reply.text('Thought: I need a tool.\nAction: multiply\nAction Input: {"a": 6, "b": 7}')


def code(request: Request) -> Reply:
    if request.turn or any(role == "model" for role, _ in request.earlier):
        return reply.text(f"The result is {re.findall(r'[0-9]+', request.prompt)[-1]}.")
    return reply.text("<execute>\nprint(multiply(6, 7))\n</execute>")


def hand_over(request: Request) -> Reply | None:
    """The first agent can only hand over; the second one multiplies."""
    if "handoff" not in [tool.name for tool in request.tools]:
        return reply.tool_call("multiply", {"a": 6, "b": 7}) if "multiply" not in request.called else None
    return reply.tool_call("handoff", {"to_agent": "calculator", "reason": "It multiplies."})


def ask_engine(request: Request) -> Reply | None:
    """A tool that is a query engine is asked the question itself."""
    return None if request.called else reply.tool_call("rivers", {"input": request.prompt})


def _json(value: object) -> Reply:
    return reply.text(json.dumps(value))


def _numbered(text: str) -> dict[int, str]:
    found = re.findall(r"(?ms)^\((\d+)\)\s*(.*?)(?=^\(\d+\)|^-{7,}|\Z)", text)
    return {int(number): body for number, body in found}


def _best(asked: str, options: dict[int, str]) -> int:
    """The option that shares most words of four letters and more with *asked*."""
    wanted = set(re.findall(r"\w{4,}", asked.lower()))
    return max(options, key=lambda number: len(wanted & set(re.findall(r"\w{4,}", options[number].lower()))))


def _after(text: str, label: str) -> str:
    found = re.findall(rf"{label}:?\s*(.+)", text)
    return found[-1].strip() if found else ""


def _passage(text: str) -> str:
    """The sentences of the prompt that come from the documents."""
    found = re.findall(r"[^.\n]*(?:Eiffel|Danube|bees)[^.\n]*\.", text)
    return " ".join(piece.strip() for piece in found)


_ROWS: tuple[tuple[str, Callable[[Request], Reply | None]], ...] = (
    (r"<execute>", code),
    (r"Action Input:", react),
    (r"Some choices are given below.*ANSWER: <number", tree_select),
    (r"Some choices are given below", select),
    (r"Let's try this now:", rerank),
    (r"Rank the \d+ passages above", rank_passages),
    (r"sub-questions in json markdown", sub_questions),
    (r"return a (?:new )?question that can be answered from the context", next_question),
    (r"SQL Response:", sql_answer),
    (r"SQLQuery:", sql),
    (r"Follow Up Message", standalone),
    (r"Give a title that|comprehensive title for this document", title),
    (r"KEYWORDS:|unique keywords for this document", keywords),
    (r"generate \d+ questions", questions),
    (r"(?i)concise summary|Summarize the key topics|Describe what the provided text is about|[Ss]ummar(?:y|ize|ise) (?:of )?the (?:following|contents)", summary),
    (r"knowledge triplets", triplets),
    (r"<existing_facts>", facts),
    (r"JSON schema to follow|conforms to the JSON schema", object_of_schema),
    (r"Hand off to the agent calculator", hand_over),
    (r"How long is the Danube river\?\Z", ask_engine),
)  # fmt: skip
