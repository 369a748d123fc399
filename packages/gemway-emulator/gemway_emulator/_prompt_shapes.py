"""Recognise the prompts RAG frameworks send, and answer in the form they parse. Pure.

Each shape is a pattern that only its template has, and a function that answers it. Patterns are tried in order on the newest
user text; the wording is that of llama-index-core's and LangChain's default templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gemway_emulator import (
    _agent_shapes,
    _choice_shapes,
    _context_shapes,
    _extraction_shapes,
    _judge_shapes,
    _question_shapes,
)
from gemway_emulator._prompt import Prompt

Answer = Callable[[str, Prompt], str]


def answer(prompt: Prompt) -> str | None:
    """The answer to a prompt of a known shape, or None; one that only looks like a template counts as unknown."""
    try:
        return _shaped(prompt)
    except (LookupError, ValueError):
        return None


def _shaped(prompt: Prompt) -> str | None:
    if (acted := _agent_shapes.answer(prompt)) is not None:
        return acted
    text = prompt.question
    found = next((reply for pattern, reply in _SHAPES if pattern.search(text)), None)
    if found is None:
        found = next((reply for pattern, reply in _SYSTEM_SHAPES if pattern.search(prompt.system)), None)
    return found(text, prompt) if found is not None else None


def _shape(pattern: str, reply: Answer) -> tuple[re.Pattern[str], Answer]:
    return re.compile(pattern, re.DOTALL), reply


_SHAPES: tuple[tuple[re.Pattern[str], Answer], ...] = (
    _shape(r"supported by the context\.\n.*YES or NO", _judge_shapes.faithful),
    _shape(r"existing YES/NO answer", _judge_shapes.yes_refine),
    _shape(r"is in line with the context information provided", _judge_shapes.relevant),
    _shape(r"existing evaluation score", _judge_shapes.context_score_refine),
    _shape(r"SQL Response:", _context_shapes.sql_response),
    _shape(r"numbered sources of information", _context_shapes.cited),
    _shape(r"\[RESULT\] followed by the", _judge_shapes.score_result),
    _shape(r"## Generated Answer", _judge_shapes.correctness),
    _shape(r"\[The Start of Assistant A", _judge_shapes.pairwise),
    _shape(r"match the request schema provided below", _extraction_shapes.store_query),
    _shape(r"list of relevant sub-questions in json markdown", _question_shapes.sub_questions),
    _shape(r"Some choices are given below.*ANSWER: <numbers?>", _choice_shapes.tree_select),
    _shape(r"Some choices are given below", _choice_shapes.select),
    _shape(r"number corresponding to the summary that should be updated", _choice_shapes.tree_insert),
    _shape(
        r"Doc: \d+, Relevance: \d+|documents you should consult|documents \nyou should consult", _choice_shapes.rerank
    ),
    _shape(r"Rank the \d+ passages above", _choice_shapes.rank_gpt),
    _shape(r"JSONPath:", _extraction_shapes.json_path),
    _shape(r"knowledge triplets", _extraction_shapes.triplets),
    _shape(r"<existing_facts>", _extraction_shapes.facts),
    _shape(r"-schema-+.*extract the relevant fields", _extraction_shapes.fields),
    _shape(r"return a (?:new )?question that can be answered from the context", _question_shapes.new_question),
    _shape(r"please return the modified query below", _question_shapes.same_query),
    _shape(r"write a passage to answer the question", _question_shapes.hyde),
    _shape(
        r"(?i)generate(?:s)? (?:\w+ )*(?:search queries|different versions of the given)",
        _question_shapes.query_variants,
    ),
    _shape(r"(?i)standalone question|standalone query", _question_shapes.condense),
    _shape(r"New Context:.*Original Answer:", _context_shapes.refine_chat),
    _shape(r"refine the original answer|Refine the existing answer", _context_shapes.refine),
    _shape(
        r"Given the contextual information, generate|[Gg]enerate \d+ questions|setup \d+ questions",
        _context_shapes.questions_from_context,
    ),
    _shape(r"Give a title that|comprehensive title for this document", _context_shapes.title),
    _shape(r"KEYWORDS: <keywords>|unique keywords for this document", _context_shapes.keyword_list),
    _shape(r"situate this chunk|describing the main topics, entities", _extraction_shapes.passage_context),
    _shape(r"Here's a JSON schema to follow|conforms to the JSON schema below", _extraction_shapes.json_for_schema),
    _shape(r"(?i)-{7,}.*\n(?:Query|Question):", _context_shapes.context_question),
    _shape(
        r"(?i)\bcontext\s*:.*\b(?:question|query)\s*:|\b(?:question|query)\s*:.*\bcontext\s*:",
        _context_shapes.inline_context,
    ),
    _shape(
        r"(?i)summary of the following|concise summary|summarize the key topics|\bsummari[sz]e (?:the|this)",
        _context_shapes.summarise,
    ),
)

_SYSTEM_SHAPES: tuple[tuple[re.Pattern[str], Answer], ...] = (
    _shape(r"(?i)formulate a standalone question", _question_shapes.standalone_from_chat),
    _shape(r"(?i)concise summary about the contents of this conversation", _context_shapes.summarise),
    _shape(
        r"Here's a JSON schema to follow|conforms to the JSON schema below",
        lambda text, prompt: _extraction_shapes.json_for_schema(text + prompt.system, prompt),
    ),
)
