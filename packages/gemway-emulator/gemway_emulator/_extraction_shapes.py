"""Answer prompts that extract structure from text: triplets, facts, fields, JSON for a schema. Pure."""

from __future__ import annotations

import json
import re

from gemway_emulator._language import (
    grounded,
    joined,
    keywords,
    names,
    overlap,
    sentences,
    triplet,
)
from gemway_emulator._prompt import Prompt
from gemway_emulator._schema_instances import instance
from gemway_emulator._template_text import after, between


def triplets(text: str, prompt: Prompt) -> str:
    """`(subject, predicate, object)` lines, or JSON where the template wants that."""
    number = re.search(r"(?i)up to\s+(\d+)", text)
    body = between(text + "\x00", r"\nText:", r"\n(?:Triplets|Output):\s*\x00|\x00")
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


def facts(text: str, prompt: Prompt) -> str:
    """What the user said that is no question, in `<fact>` tags."""
    known = re.findall(r"<fact>(.*?)</fact>", between(text, "<existing_facts>", "</existing_facts>"))
    said = (
        []
        if "condensing" in text
        else [s for role, spoken in prompt.earlier if role == "user" for s in sentences(spoken)]
    )
    kept = known if "condensing" in text else [fact for fact in said if not fact.endswith("?") and fact not in known]
    return "<facts>\n" + "".join(f"  <fact>{fact}</fact>\n" for fact in kept) + "</facts>"


def fields(text: str, prompt: Prompt) -> str:
    """`name: value` lines for a schema in the text."""
    body, schema = between(text, "-text-+", "-+schema-"), between(text, "-schema-+", "-{7,}")
    found = instance(
        {"type": "object", "properties": {name: {"type": "string"} for name in re.findall(r"(\w+)\s*:", schema)}}, body
    )
    return "\n".join(f"{name}: {value}" for name, value in found.items())


def json_for_schema(text: str, prompt: Prompt) -> str:
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


def store_query(text: str, prompt: Prompt) -> str:
    """A query and filters for a vector store, as JSON in fences."""
    example = text.rpartition("<< Example")[2]
    source = next(iter(_json_objects(example)), {})
    query = between(example, "User Query:", "Structured Request")
    columns = source.get("metadata_info")
    filters = [
        {"key": column["name"], "value": value, "operator": "=="}
        for column in (columns if isinstance(columns, list) else [])
        for value in names(query)
        if column.get("type") == "str" and value.lower() in str(column.get("description")).lower()
    ]
    return f"```json\n{json.dumps({'query': query, 'filters': filters, 'top_k': None})}\n```"


def json_path(text: str, prompt: Prompt) -> str:
    """A JSONPath to the key the task names."""
    task = after(text, "Task")
    keys = [
        key
        for key in re.findall(r"[\"'](\w+)[\"']\s*:", text)
        if key not in ("type", "properties", "items", "required")
    ]
    best = max(keys, key=lambda key: overlap(task, key), default="")
    return f"JSONPath: $..{best}" if best else "JSONPath: $"


def passage_context(text: str, prompt: Prompt) -> str:
    """One sentence that places a chunk in its document."""
    body = "\n".join(said for _, said in prompt.earlier) + text
    return f"This chunk is about {joined(keywords(body, 4))}."
