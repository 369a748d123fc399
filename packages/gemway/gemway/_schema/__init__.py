"""Turn JSON Schemas into the two dialects that Gemini reads. Pure; the caller's objects are never changed.

`json_schema` is the dialect of `parametersJsonSchema` and `responseJsonSchema`, `openapi` that of `parameters` and
`responseSchema`. Whatever a dialect has no word for moves into the description, in English; a converted
schema never refuses a value that the original allowed, as far as the dialect can express that. Nothing here validates values.

Sources: the pages "Structured output", "Function calling" and the `Schema` message of ai.google.dev/gemini-api/docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gemway._json import JsonMapping, JsonObject
from gemway._schema.openapi import SchemaError, to_openapi
from gemway._schema.reading import children_of, read
from gemway._tools import sanitize_tool_name

__all__ = ["Dialect", "SchemaError", "function_declaration", "inline_root_reference", "response_schema", "to_schema"]

Dialect = Literal["json_schema", "openapi"]


def to_schema(schema: JsonMapping, dialect: Dialect = "json_schema") -> JsonObject:
    """Return a copy of *schema* in the dialect's words.

    Raises:
        SchemaError: a recursive schema in the `openapi` dialect, or one that is no JSON Schema or nested too deeply.
    """
    _check_is_mapping(schema)
    try:
        converted = read(schema)
        return converted if dialect == "json_schema" else to_openapi(converted)
    except RecursionError:
        message = "the schema is nested too deeply, or contains itself; use $ref for recursion"
    raise SchemaError(message)


def function_declaration(
    name: str, description: str, parameters: JsonMapping | None, *, dialect: Dialect = "json_schema"
) -> JsonObject:
    """Return the wire's FunctionDeclaration for a tool. *parameters* is a JSON Schema; None means no arguments.

    A schema's own description describes the tool where *description* is empty, and is not sent twice.

    Raises:
        SchemaError: a schema that cannot be converted.
    """
    declaration: JsonObject = {"name": sanitize_tool_name(name)}
    if parameters is not None:
        # The root must have the type object: `{"$ref": ...}` alone is refused as parameters.
        parameters = inline_root_reference(parameters)
        # Pydantic puts a class's docstring into the schema, where frameworks look for the description of the tool.
        description = description or str(parameters.get("description") or "").strip()
        if description and parameters.get("description") == description:
            parameters = {keyword: value for keyword, value in parameters.items() if keyword != "description"}
    if description:
        declaration["description"] = description
    if parameters is None:
        return declaration
    converted = to_schema(parameters, dialect)
    if dialect == "json_schema":
        declaration["parametersJsonSchema"] = {"type": "object", **converted}
    # The OpenAPI dialect refuses an object without properties, so a tool without arguments declares none.
    elif any("properties" in schema for schema in (converted, *converted.get("anyOf", ()))):
        declaration["parameters"] = converted  # an object without properties is refused there
    return declaration


def inline_root_reference(schema: JsonMapping) -> JsonMapping:
    """Return *schema* with the definition that its root refers to in the root itself.

    Pydantic writes recursive models as `{"$defs": {"Node": {...}}, "$ref": "#/$defs/Node"}`: title and description are
    inside the definition.
    """
    _check_is_mapping(schema)
    entered: set[str] = set()
    while isinstance(pointer := schema.get("$ref"), str) and pointer not in entered:
        entered.add(pointer)
        holder, _, name = pointer.removeprefix("#/").partition("/")
        definitions = schema.get(holder)
        target = definitions.get(name) if isinstance(definitions, Mapping) else None
        if not isinstance(target, Mapping):
            break
        schema = {**target, **{keyword: value for keyword, value in schema.items() if keyword != "$ref"}}
    return schema


def _check_is_mapping(schema: object) -> None:
    if not isinstance(schema, Mapping):
        raise SchemaError(f"a schema must be a JSON Schema as a dict, not {type(schema).__name__}")


def response_schema(schema: JsonMapping, *, dialect: Dialect = "json_schema") -> JsonObject:
    """Return the entries of generationConfig that bind the answer to *schema*.

    Objects get a `propertyOrdering`, so that the answer keeps the schema's order even where a gateway sorts keys.
    """
    field = "responseJsonSchema" if dialect == "json_schema" else "responseSchema"
    return {"responseMimeType": "application/json", field: _with_property_order(to_schema(schema, dialect))}


def _with_property_order(schema: JsonObject) -> JsonObject:
    """Name the order of the properties in every object of our own *schema*; return it."""
    pending, seen = [schema, *schema.get("$defs", {}).values()], set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if len(node.get("properties", ())) > 1:
            node.setdefault("propertyOrdering", list(node["properties"]))
        pending += children_of(node)
    return schema
