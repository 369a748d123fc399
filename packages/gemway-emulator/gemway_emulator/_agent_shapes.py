"""Answer prompts that drive agents by text: ReAct, code in `<execute>` tags, SQL, look-ahead search. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from gemway_emulator._language import content_words, grounded, overlap, sentences, stem, words
from gemway_emulator._prompt import Prompt
from gemway_emulator._schema_instances import instance

_STEP = re.compile(r"(?m)^Action Input:|^Action: the action to take")


def answer(prompt: Prompt) -> str | None:
    """The next step of a text-driven agent, or None if the prompt drives none."""
    whole = f"{prompt.system}\n{prompt.question}"
    for pattern, reply in _SHAPES:
        if pattern.search(whole):
            return reply(whole, prompt)
    return None


def _react(text: str, prompt: Prompt) -> str:
    """One call to the fitting tool, then the answer with what was observed."""
    final = "Final Answer" if "Final Answer:" in text else "Answer"
    observed = _observations(prompt)
    if observed:
        return f"Thought: I can answer without using any more tools.\n{final}: {observed[-1]}"
    question = _react_question(prompt)
    tools = _react_tools(text)
    best = max(tools, key=lambda name: _likeness(question, name, tools[name]), default=None)
    if best is None or not _likeness(question, best, tools[best]):
        return f"Thought: I can answer without using any more tools.\n{final}: {grounded(question, '')}"
    return f"Thought: I need to use a tool to help me answer the question.\nAction: {best}\nAction Input: {_react_input(text, tools[best], question)}"


def _observations(prompt: Prompt) -> list[str]:
    """What tools said since the question: as turns of their own (LlamaIndex) or in the scratchpad (LangChain)."""
    scratchpad = prompt.question.rpartition("Question:")[2] if "Action Input" in prompt.question else prompt.question
    return re.findall(r"(?ms)^\s*Observation:\s*(.+?)(?=\n\s*Thought:|\Z)", scratchpad)


def _react_question(prompt: Prompt) -> str:
    asked = prompt.question.rpartition("Question:")[2] if "Question:" in prompt.question else prompt.question
    return asked.partition("\nThought:")[0].strip()


def _react_tools(text: str) -> dict[str, str]:
    """Tool name to description (with its schema, if it is there)."""
    found = re.findall(r"(?ms)^> Tool Name: (\S+)\n(.*?)(?=^> Tool Name:|^## |\Z)", text)
    if not found:
        block = re.search(r"(?s)following tools:\s*\n(.*?)\n\s*(?:Use the following format|\n)", text)
        found = re.findall(r"(?m)^(\w+)(?:\(.*?\))?\s*[:-]\s*(.+)$", block.group(1)) if block else []
    return dict(found)


def _likeness(question: str, name: str, description: str) -> float:
    described = description.partition("Tool Args:")[0]
    return (
        3 * overlap(question, " ".join(words(name)))
        + overlap(question, described)
        + 5 * (name.lower() in question.lower())
    )


def _react_input(text: str, description: str, question: str) -> str:
    schema = re.search(r"(?s)Tool Args:\s*(\{.*\})", description)
    if schema is None:
        # LangChain's tools take one bare string.
        return question
    try:
        declared = json.loads(schema.group(1))
    except ValueError:
        return json.dumps({"input": question}, ensure_ascii=False)
    return json.dumps(instance({"type": "object"} | declared, question), ensure_ascii=False)


def _code(text: str, prompt: Prompt) -> str:
    """Code that prints the result; once something was executed, the result in words."""
    output = re.search(r"(?is)(?:executed|output|result)\b[^\n]*:\s*(.*)", prompt.question)
    ran = any("<execute>" in said for role, said in prompt.earlier if role == "model")
    if ran:
        said = output.group(1).strip() if output and output.group(1).strip() else prompt.question
        return f"The result is {said.removeprefix('Standard Output:').strip()}"
    expression = re.search(r"\(?-?\d[\d.\s()]*(?:[-+*/%]|\*\*)[-+*/%\d.\s()]*\d\)?", prompt.question)
    called = re.search(r"(?s)following functions:.*?\bdef (\w+)\((.*?)\)", text)
    if called and set(content_words(called.group(1))) & set(content_words(prompt.question)):
        numbers = re.findall(r"-?\d+(?:\.\d+)?", prompt.question)
        value = f"{called.group(1)}({', '.join(numbers)})"
    else:
        value = expression.group().strip() if expression else repr(prompt.question)
    return f"I will compute this.\n<execute>\nresult = {value}\nprint(result)\n</execute>"


def _sql(text: str, prompt: Prompt) -> str:
    """A SELECT from the table and columns that fit the question best."""
    question = (re.findall(r"(?m)^Question: (.+)$", text) or [prompt.question])[-1]
    tables = _tables(text)
    if not tables:
        return "SELECT 1"
    name = max(tables, key=lambda table: (overlap(question, " ".join([table, *tables[table]])), table))
    columns = tables[name]
    condition = _condition(question, columns)
    if re.search(r"(?i)\bhow many\b|\bnumber of\b|\bcount\b", question) and not _measure(question, columns):
        return f"SELECT COUNT(*) FROM {name}{condition}"  # noqa: S608 - an answer, never executed here
    wanted = [column for column in columns if _names_column(question, column)] or columns[:3]
    order = _order(question, columns)
    wanted = list(dict.fromkeys([*([columns[0]] if order else []), *wanted])) or ["*"]
    return f"SELECT {', '.join(wanted)} FROM {name}{condition}{order}"  # noqa: S608 - an answer, never executed here


def _tables(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, columns in re.findall(r"(?is)Table '(\w+)' has columns: (.*?)(?:\.\s|\.$|\n|$)", text):
        found[name] = re.findall(r"(?:^|, )(\w+) \(", columns)
    for name, columns in re.findall(r"(?is)CREATE TABLE [\"`]?(\w+)[\"`]? \((.*?)\n\)", text):
        found[name] = re.findall(r"(?m)^\s*[\"`]?(\w+)[\"`]? [A-Z]", columns)
    named = re.search(r"given a table named: '(\w+)'", text)
    if named:
        schema = re.search(r"(?s)Table schema:\s*(.*?)\nQuestion", text)
        found[named.group(1)] = re.findall(r"[\"'](\w+)[\"']\s*:", schema.group(1)) if schema else []
    return found


def _names_column(question: str, column: str) -> bool:
    return bool({stem(word) for word in words(column)} & set(content_words(question)))


def _measure(question: str, columns: list[str]) -> str:
    return next((column for column in columns[1:] if _names_column(question, column)), "")


def _condition(question: str, columns: list[str]) -> str:
    """`WHERE name = 'Toronto'` for a capitalised name in the question and a column that looks like a name."""
    named = re.findall(r"(?<!^)(?<![.?!] )\b[A-Z]\w+(?: [A-Z]\w+)*", question)
    column = next((name for name in columns if re.search(r"name|city|title|label", name)), "")
    return f" WHERE {column} = '{named[0]}'" if named and column else ""


def _order(question: str, columns: list[str]) -> str:
    direction = re.search(
        r"(?i)\b(?:(highest|most|largest|top|biggest|maximum)|(lowest|least|smallest|minimum))\b", question
    )
    measure = _measure(question, columns) or (columns[-1] if columns else "")
    if not direction or not measure:
        return ""
    return f" ORDER BY {measure} {'DESC' if direction.group(1) else 'ASC'} LIMIT 1"


def _lookahead(text: str, prompt: Prompt) -> str:
    """FLARE: one search, then done."""
    found = re.findall(r"(?s)Query: ([^\n]*)\nExisting Answer:\s*(.*?)\nAnswer:", text)
    query, existing = found[-1] if found else (sentences(text)[-1], "")
    return "done" if existing.strip() else f"[Search({query})]"


def _filled_in(text: str, prompt: Prompt) -> str:
    """FLARE: the look-ahead with each search replaced by its answer."""
    example = text.rpartition("Lookahead Template:")[2]
    template, _, rest = example.partition("Query-Answer Pairs:")
    answers = dict(re.findall(r"(?s)Query: (.*?)\nAnswer: (.*?)(?=\nQuery:|\n\s*(?:Synthesized|Filled)|\Z)", rest))
    return re.sub(r"\[Search\((.*?)\)\]", lambda tag: answers.get(tag.group(1), "not known").strip(), template).strip()


_SHAPES: tuple[tuple[re.Pattern[str], Callable[[str, Prompt], str]], ...] = (
    (re.compile(r"<execute>.*</execute>", re.DOTALL), _code),
    (re.compile(r"Lookahead Template:"), _filled_in),
    (re.compile(r"Existing Answer:.*\nAnswer:", re.DOTALL), _lookahead),
    (re.compile(r"SQLQuery:|(?i:syntactically correct \w+ query|write an? sql query)"), _sql),
    (_STEP, _react),
)
