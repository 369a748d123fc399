"""Recognise the prompts RAG frameworks send, and answer in the form they parse. Pure.

Each shape is a pattern that only its template has, and a function that answers it. Patterns are tried in order on the newest
user text; the wording is that of llama-index-core's and LangChain's default templates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from gemway_emulator import _agent_shapes
from gemway_emulator._language import (
    best_sentences,
    content_words,
    grounded,
    joined,
    keywords,
    names,
    overlap,
    sentences,
    stand_alone,
    summary,
    triplet,
)
from gemway_emulator._prompt import Prompt
from gemway_emulator._schema_instances import instance

Answer = Callable[[str, Prompt], str]
# A question about the whole context rather than about something in it.
_ABOUT_ALL = re.compile(
    r"(?i)\bsummar|\bmain (?:topic|point|idea)|what (?:is )?(?:this|the) (?:provided )?(?:text|document|section)\b"
)


def answer(prompt: Prompt) -> str | None:
    """The answer to a prompt of a known shape, or None."""
    if (acted := _agent_shapes.answer(prompt)) is not None:
        return acted
    text = prompt.question
    found = next((reply for pattern, reply in _SHAPES if pattern.search(text)), None)
    if found is None:
        found = next((reply for pattern, reply in _SYSTEM_SHAPES if pattern.search(prompt.system)), None)
    return found(text, prompt) if found is not None else None


def _between(text: str, start: str, end: str) -> str:
    """What stands between the last *start* that has an *end* after it, and that end."""
    found = re.findall(rf"{start}(.*?)(?:{end})", text, re.DOTALL)
    return found[-1].strip() if found else ""


def _ruled(text: str) -> str:
    """What stands between the last two rules of dashes."""
    blocks = re.split(r"-{7,}", text)
    return blocks[-2].strip() if len(blocks) > 2 else blocks[0].strip()


def _after(text: str, label: str) -> str:
    """The rest of the line after the last *label*."""
    found = re.findall(rf"(?im)^\s*(?:{label})[ \t]*:?[ \t]*(.+)$", text)
    return found[-1].strip() if found else ""


def _quoted_question(text: str) -> str:
    found = re.search(r"relevant to the\s+question: '(.*?)'\n", text, re.DOTALL)
    return found.group(1) if found else _after(text, "Question|Query")


# -- questions about a context -----------------------------------------------------------------------------------------


def _context_question(text: str, prompt: Prompt) -> str:
    query = _between(text + "\x00", r"\n(?:Query|Question|User Query):", r"\nAnswer:|\nHelpful Answer|\x00")
    return _from_context(query or _after(text, "Query|Question"), _ruled(text))


def _inline_context(text: str, prompt: Prompt) -> str:
    query = _after(text, "Question|Query|User question") or prompt.question
    return _from_context(
        query, _between(text + "\x00", r"(?i)\bcontext(?: information)?\s*:", r"\n(?:Question|Query)|\x00")
    )


def _from_context(query: str, context: str) -> str:
    if _ABOUT_ALL.search(query):
        return summary(context)
    found = best_sentences(query, context)
    return " ".join(found) if found else "The context does not say."


def _refine(text: str, prompt: Prompt) -> str:
    query = _after(text, "The original query is as follows") or prompt.question
    existing = _between(text, r"existing answer\s*:", r"\n\s*We have the opportunity|\n\s*Instruction|\nGiven the new")
    context = _ruled(text) if "-------" in text else _between(text, "documents for the context:", "Existing Answer")
    return _better(query, existing, context)


def _refine_chat(text: str, prompt: Prompt) -> str:
    query = _between(text, r"\nQuery:", r"\nOriginal Answer:")
    existing = _between(text + "\x00", r"\nOriginal Answer:", r"\nNew Answer:|\x00")
    return _better(query, existing, _between(text, r"New Context:", r"\nQuery:"))


def _better(query: str, existing: str, context: str) -> str:
    """The answer that shares more with the query; the existing one on a tie."""
    found = " ".join(best_sentences(query, context))
    return (
        found
        if found and overlap(query, found) > overlap(query, existing)
        else existing or found or "The context does not say."
    )


def _summarise(text: str, prompt: Prompt) -> str:
    body = re.sub(
        r"(?is)^.*?(?:summary of the following|content of the section:|following text|conversation)[^\n]*\n",
        "",
        text,
        count=1,
    )
    body = re.sub(r"(?is)\n\s*(?:SUMMARY|CONCISE SUMMARY|Summarize the key topics|Summary)\b.*$", "", body)
    spoken = "\n".join(said for _, said in prompt.earlier)
    return summary(body if len(content_words(body)) > 5 else spoken or body)


def _title(text: str, prompt: Prompt) -> str:
    body = re.sub(r"^Context:\s*", "", text.partition("Give a title")[0].partition("Based on the above")[0])
    return joined(names(body)[:3]) or " ".join(keywords(body, 4)) or "Untitled"


def _keywords(text: str, prompt: Prompt) -> str:
    number = re.search(r"(?:up to|Give)\s+(\d+)", text)
    body = _ruled(text) if "-------" in text else text.partition("Give ")[0]
    found = ", ".join(word.lower() for word in keywords(body, int(number.group(1)) if number else 5))
    return f"KEYWORDS: {found}" if "KEYWORDS:" in text else found


def _questions_from_context(text: str, prompt: Prompt) -> str:
    number = re.search(r"(?i)(?:generate|setup)\s+(\d+)\s", text)
    body = re.sub(r"(?s)(?:Given the context|Higher-level).*$", "", _ruled(text) if "-------" in text else text)
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


def _cited(text: str, prompt: Prompt) -> str:
    """The best sentence of the best source, with its number."""
    body = re.split(r"Below are several numbered sources", text)[-1]
    query = _after(body, "Query")
    found = re.findall(r"(?ms)^Source (\d+):\s*(.*?)(?=^Source \d+:|^-{3,}|\Z)", body.partition("Query:")[0])
    options = {int(number): source for number, source in found}
    if not options:
        return _from_context(query, body)
    number = _ranked(query, options)[0]
    said = " ".join(best_sentences(query, options[number], 1)) or summary(options[number], 1)
    return f"{said} [{number}]"


def _sql_response(text: str, prompt: Prompt) -> str:
    query, rows = _after(text, "Query"), _between(text + "\x00", r"SQL Response:", r"\nResponse:|\x00")
    return f"The answer to {query!r} is {rows}."


# -- rewriting questions -----------------------------------------------------------------------------------------------


def _condense(text: str, prompt: Prompt) -> str:
    question = _between(text, r"<Follow Up Message>", "<Standalone") or _after(
        text, r"Follow[ -]Up (?:Input|Message|question)"
    )
    history = _between(text, r"(?:<Chat History>|Chat History:)", r"<Follow|Follow[ -]Up")
    return stand_alone(question or sentences(text)[-1], history)


def _standalone_from_chat(text: str, prompt: Prompt) -> str:
    return stand_alone(text, "\n".join(said for role, said in prompt.earlier if role == "user"))


def _query_variants(text: str, prompt: Prompt) -> str:
    number = re.search(r"(?i)generate\s+(\d+|two|three|four|five)\b", text)
    words = {"two": 2, "three": 3, "four": 4, "five": 5}
    count = (words.get(number.group(1).lower()) or int(number.group(1))) if number else 3
    query = (_after(text, "Query|Original question|Question") or sentences(text)[-1]).rstrip("?")
    forms = ("{}?", "{} explained", "facts about {}", "details on {}", "background of {}", "overview of {}")
    about = " ".join(keywords(query, 4)) or query
    return "\n".join([forms[0].format(query), *(form.format(about) for form in forms[1:])][:count])


def _new_question(text: str, prompt: Prompt) -> str:
    question = _after(text, "Question") or _after(text, "The original question is as follows")
    reasoning = _between(text + "\x00", r"Previous reasoning:", r"\nNew question:|\x00")
    return "None" if "- " in reasoning else question


def _same_query(text: str, prompt: Prompt) -> str:
    return _between(text, r"original query:\n", r"\nHere is the response")


def _hyde(text: str, prompt: Prompt) -> str:
    question = _between(text + '"""', r"key details as possible\.", r"Passage:|\"\"\"")
    about = joined(keywords(question, 4)) or question
    return f"{question.rstrip('?.!')}: this passage is about {about}. It names the facts that answer the question about {about}."


def _sub_questions(text: str, prompt: Prompt) -> str:
    example = text.rpartition("<Tools>")[2]
    tools = json.loads(_between(example, "```json", "```") or "{}")
    question = _between(example, "<User Question>", "<Output>")
    items = [{"sub_question": _about(question, name, text), "tool_name": name} for name, text in tools.items()]
    return f"```json\n{json.dumps({'items': items}, indent=4)}\n```"


def _about(question: str, name: str, description: str) -> str:
    subject = joined(names(description)[:1]) or name.replace("_", " ")
    return f"{question.rstrip('?')} (about {subject})?"


# -- choosing and ranking ----------------------------------------------------------------------------------------------


def _choices(text: str) -> dict[int, str]:
    block = re.split(r"-{7,}", text)[1] if text.count("-------") else text
    found = re.findall(r"(?ms)^\((\d+)\)\s*(.*?)(?=^\(\d+\)|\Z)", block.strip())
    return {int(number): body.strip() for number, body in found} or {1: block}


def _ranked(query: str, options: dict[int, str]) -> list[int]:
    return sorted(options, key=lambda number: (-overlap(query, options[number]), number))


def _select(text: str, prompt: Prompt) -> str:
    most = re.search(r"no more than (\d+)", text)
    query, options = _quoted_question(text), _choices(text)
    order = _ranked(query, options)
    best = [number for number in order if overlap(query, options[number])][
        : int(most.group(1)) if most else 1
    ] or order[:1]
    chosen = [
        {"choice": number, "reason": f"Choice {number} is about {joined(keywords(options[number], 3))}."}
        for number in best
    ]
    return json.dumps(chosen, ensure_ascii=False)


def _tree_select(text: str, prompt: Prompt) -> str:
    most = re.search(r"no more than (\d+)", text)
    order = _ranked(_quoted_question(text), _choices(text))[: int(most.group(1)) if most else 1]
    return f"ANSWER: {', '.join(map(str, order))}\nThis choice shares most words with the question."


def _tree_insert(text: str, prompt: Prompt) -> str:
    return str(
        _ranked(_after(text, "Given the context information, here is a new piece of information"), _choices(text))[0]
    )


def _rerank(text: str, prompt: Prompt) -> str:
    body = text.rpartition("Let's try this now:")[2]
    query = _after(body, "Question")
    found = re.findall(r"(?ms)^Document (\d+):\n(.*?)(?=^Document \d+:|^Question:)", body)
    options = {int(number): passage for number, passage in found}
    order = _ranked(query, options)
    lines = [
        f"Doc: {number}, Relevance: {max(9 - place, 1)}"
        for place, number in enumerate(order)
        if overlap(query, options[number])
    ]
    return "\n".join(lines or [f"Doc: {number}, Relevance: 1" for number in order[:1]])


def _rank_gpt(text: str, prompt: Prompt) -> str:
    query = _between(text, "Search Query:", r"\.?\s*\n?Rank the")
    found = [re.match(r"\[(\d+)\]\s*(.*)", said, re.DOTALL) for role, said in prompt.earlier if role == "user"]
    options = {int(match.group(1)): match.group(2) for match in found if match}
    return " > ".join(f"[{number}]" for number in _ranked(query, options)) or "[1]"


# -- judging -----------------------------------------------------------------------------------------------------------


def _is_supported(claim: str, context: str) -> bool:
    said = set(content_words(claim))
    return bool(said) and len(said & set(content_words(context))) / len(said) >= 0.5


def _faithful(text: str, prompt: Prompt) -> str:
    claim = _between(text, r"\nInformation:", r"\nContext:")
    context = text.rpartition("\nContext:")[2].rpartition("\nAnswer:")[0]
    return "YES" if _is_supported(claim, context) else "NO"


def _yes_refine(text: str, prompt: Prompt) -> str:
    existing = _between(text, r"existing YES/NO answer:", r"\n\s*We have")
    claim = _between(text, r"(?:piece of information|context information):", r"\n\s*We have provided")
    return "YES" if "YES" in existing.upper() or _is_supported(claim, _ruled(text)) else "NO"


def _relevant(text: str, prompt: Prompt) -> str:
    claim = _between(text, r"Query and Response:", r"\nContext:")
    response = claim.rpartition("Response:")[2] or claim
    return "YES" if _is_supported(response, _between(text + "\x00", r"\nContext:", r"\nAnswer:|\x00")) else "NO"


def _score_result(text: str, prompt: Prompt) -> str:
    query = _between(text, r"Query:", r"\n\s*(?:Response|Context):")
    other = _between(text, r"(?:Response|Context):", r"\n\s*Feedback:")
    top = "4.0" if "2 points" in text else "2"
    fits = bool(set(content_words(query)) & set(content_words(other)))
    feedback = "It matches the subject of the query." if fits else "It does not match the subject of the query."
    return f"{feedback} [RESULT] {top if fits else '0'}"


def _context_score_refine(text: str, prompt: Prompt) -> str:
    return _between(text, r"existing evaluation score:", r"\n\s*We have") or "4.0"


def _correctness(text: str, prompt: Prompt) -> str:
    query, reference = (
        _between(text, "## User Query", "## Reference"),
        _between(text, "## Reference Answer", "## Generated"),
    )
    generated = text.rpartition("## Generated Answer")[2]
    right = _is_supported(generated, query if "NO REFERENCE" in reference else reference)
    fits = right or bool(set(content_words(query)) & set(content_words(generated)))
    score = "4.5" if right else "2.5" if fits else "1.0"
    return f"{score}\nThe generated answer {'agrees with the reference' if right else 'differs from the reference'}."


def _pairwise(text: str, prompt: Prompt) -> str:
    query = _between(text, r"\[User Question\]", r"\[The Start of Reference\]")
    first = _between(text, r"Assistant A.s Answer\]", r"\[The End of Assistant A")
    second = _between(text, r"Assistant B.s Answer\]", r"\[The End of Assistant B")
    one, two = overlap(query, first), overlap(query, second)
    verdict = "C" if one == two else "A" if one > two else "B"
    return f"Both answers were compared with the question. [[{verdict}]]"


# -- extraction --------------------------------------------------------------------------------------------------------


def _triplets(text: str, prompt: Prompt) -> str:
    number = re.search(r"(?i)up to\s+(\d+)", text)
    body = _between(text + "\x00", r"\nText:", r"\n(?:Triplets|Output):\s*\x00|\x00")
    body = body.rpartition("Text:")[2] if "Text:" in body else body
    found = [triple for sentence in sentences(body) if (triple := triplet(sentence))][
        : int(number.group(1)) if number else 10
    ]
    if "JSON format" not in text:
        return "\n".join(f"({', '.join(triple)})" for triple in found)
    rows: list[dict[str, object]] = [
        {"head": a, "head_type": "ENTITY", "relation": b.upper().replace(" ", "_"), "tail": c, "tail_type": "ENTITY"}
        for a, b, c in found
    ]
    if "head_props" in text:
        rows = [row | {"head_props": {}, "relation_props": {}, "tail_props": {}} for row in rows]
    return json.dumps(rows, ensure_ascii=False)


def _facts(text: str, prompt: Prompt) -> str:
    known = re.findall(r"<fact>(.*?)</fact>", _between(text, "<existing_facts>", "</existing_facts>"))
    said = (
        []
        if "condensing" in text
        else [s for role, spoken in prompt.earlier if role == "user" for s in sentences(spoken)]
    )
    kept = known if "condensing" in text else [fact for fact in said if not fact.endswith("?") and fact not in known]
    return "<facts>\n" + "".join(f"  <fact>{fact}</fact>\n" for fact in kept) + "</facts>"


def _fields(text: str, prompt: Prompt) -> str:
    body, schema = _between(text, "-text-+", "-+schema-"), _between(text, "-schema-+", "-{7,}")
    found = instance(
        {"type": "object", "properties": {name: {"type": "string"} for name in re.findall(r"(\w+)\s*:", schema)}}, body
    )
    return "\n".join(f"{name}: {value}" for name, value in found.items())


def _json_for_schema(text: str, prompt: Prompt) -> str:
    """Prompts that carry a JSON Schema in their text (pydantic output parsers)."""
    unescaped = text.replace("{{", "{").replace("}}", "}")  # LlamaIndex sends its braces doubled
    objects = [*_json_objects(unescaped), *_json_objects(text)]
    schemas = [value for value in objects if "properties" in value or "$defs" in value]
    if not schemas:
        return json.dumps({"answer": grounded(text, "")}, ensure_ascii=False)
    body = re.split(r"(?i)Here's a JSON schema|The output should be formatted|Return a JSON|```", text)[0]
    made = instance(schemas[-1], body if len(body) > 20 else text)
    return json.dumps(made, ensure_ascii=False)


def _json_objects(text: str) -> list[dict[str, object]]:
    decoder, found, position = json.JSONDecoder(), [], 0
    while (position := text.find("{", position)) >= 0:
        try:
            value, position = decoder.raw_decode(text, position)
            found.append(value)
        except ValueError:  # noqa: PERF203 - the decoder has no other way to say "not here"
            position += 1
    return found


def _store_query(text: str, prompt: Prompt) -> str:
    example = text.rpartition("<< Example")[2]
    source = next(iter(_json_objects(example)), {})
    query = _between(example, "User Query:", "Structured Request")
    columns = source.get("metadata_info")
    filters = [
        {"key": column["name"], "value": value, "operator": "=="}
        for column in (columns if isinstance(columns, list) else [])
        for value in names(query)
        if column.get("type") == "str" and value.lower() in str(column.get("description")).lower()
    ]
    return f"```json\n{json.dumps({'query': query, 'filters': filters, 'top_k': None})}\n```"


def _json_path(text: str, prompt: Prompt) -> str:
    task = _after(text, "Task")
    keys = [
        key
        for key in re.findall(r"[\"'](\w+)[\"']\s*:", text)
        if key not in ("type", "properties", "items", "required")
    ]
    best = max(keys, key=lambda key: overlap(task, key), default="")
    return f"JSONPath: $..{best}" if best else "JSONPath: $"


def _passage_context(text: str, prompt: Prompt) -> str:
    body = "\n".join(said for _, said in prompt.earlier) + text
    return f"This chunk is about {joined(keywords(body, 4))}."


def _shape(pattern: str, reply: Answer) -> tuple[re.Pattern[str], Answer]:
    return re.compile(pattern, re.DOTALL), reply


_SHAPES: tuple[tuple[re.Pattern[str], Answer], ...] = (
    _shape(r"supported by the context\.\n.*YES or NO", _faithful),
    _shape(r"existing YES/NO answer", _yes_refine),
    _shape(r"is in line with the context information provided", _relevant),
    _shape(r"existing evaluation score", _context_score_refine),
    _shape(r"SQL Response:", _sql_response),
    _shape(r"numbered sources of information", _cited),
    _shape(r"\[RESULT\] followed by the", _score_result),
    _shape(r"## Generated Answer", _correctness),
    _shape(r"\[The Start of Assistant A", _pairwise),
    _shape(r"match the request schema provided below", _store_query),
    _shape(r"list of relevant sub-questions in json markdown", _sub_questions),
    _shape(r"Some choices are given below.*ANSWER: <numbers?>", _tree_select),
    _shape(r"Some choices are given below", _select),
    _shape(r"number corresponding to the summary that should be updated", _tree_insert),
    _shape(r"Doc: \d+, Relevance: \d+|documents you should consult|documents \nyou should consult", _rerank),
    _shape(r"Rank the \d+ passages above", _rank_gpt),
    _shape(r"JSONPath:", _json_path),
    _shape(r"knowledge triplets", _triplets),
    _shape(r"<existing_facts>", _facts),
    _shape(r"-schema-+.*extract the relevant fields", _fields),
    _shape(r"return a (?:new )?question that can be answered from the context", _new_question),
    _shape(r"please return the modified query below", _same_query),
    _shape(r"write a passage to answer the question", _hyde),
    _shape(r"(?i)generate(?:s)? (?:\w+ )*(?:search queries|different versions of the given)", _query_variants),
    _shape(r"(?i)standalone question|standalone query", _condense),
    _shape(r"New Context:.*Original Answer:", _refine_chat),
    _shape(r"refine the original answer|Refine the existing answer", _refine),
    _shape(
        r"Given the contextual information, generate|[Gg]enerate \d+ questions|setup \d+ questions",
        _questions_from_context,
    ),
    _shape(r"Give a title that|comprehensive title for this document", _title),
    _shape(r"KEYWORDS: <keywords>|unique keywords for this document", _keywords),
    _shape(r"situate this chunk|describing the main topics, entities", _passage_context),
    _shape(r"Here's a JSON schema to follow|conforms to the JSON schema below", _json_for_schema),
    _shape(r"(?i)-{7,}.*\n(?:Query|Question):", _context_question),
    _shape(r"(?i)\bcontext\s*:.*\b(?:question|query)\s*:|\b(?:question|query)\s*:.*\bcontext\s*:", _inline_context),
    _shape(
        r"(?i)summary of the following|concise summary|summarize the key topics|\bsummari[sz]e (?:the|this)", _summarise
    ),
)

_SYSTEM_SHAPES: tuple[tuple[re.Pattern[str], Answer], ...] = (
    _shape(r"(?i)formulate a standalone question", _standalone_from_chat),
    _shape(r"(?i)concise summary about the contents of this conversation", _summarise),
    _shape(
        r"Here's a JSON schema to follow|conforms to the JSON schema below",
        lambda text, prompt: _json_for_schema(text + prompt.system, prompt),
    ),
)
