"""Bind an answer to a form: response_format, response_schema and their kin, as entries of generationConfig. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gemway._exceptions import ConfigurationError
from gemway._json_objects import JsonObject
from gemway._schema import Dialect, response_schema

_WAYS: Final = ("response_format", "response_schema", "response_json_schema")
RESPONSE: Final = frozenset({"response_mime_type", *_WAYS})


def to_response_entries(options: Mapping[str, Any], dialect: Dialect) -> JsonObject:
    """Return the entries of generationConfig for the `RESPONSE` among *options*."""
    given = [name for name in _WAYS if options.get(name) is not None]
    if len(given) > 1:
        raise ConfigurationError(f"{' and '.join(given)} exclude each other; give one")
    entries: JsonObject = {}
    if "response_format" in given:
        entries = to_response_format(options["response_format"], dialect=dialect)
    elif given:
        own: Dialect = "openapi" if given[0] == "response_schema" else "json_schema"
        entries = response_schema(_to_json_schema(options[given[0]], given[0]), dialect=own)
    if (mime_type := options.get("response_mime_type")) is not None:
        entries["responseMimeType"] = mime_type
    return entries


def to_response_format(value: Any, *, dialect: Dialect = "json_schema") -> JsonObject:
    """Return the entries of generationConfig for a `response_format`.

    Args:
        value: OpenAI's `{"type": "text" | "json_object" | "json_schema", ...}` in the Chat Completions, Responses or
            Anthropic shape, a class (pydantic, dataclass, TypedDict), or a JSON Schema.
        dialect: in which words to send a schema.

    Raises:
        ConfigurationError: a value of another form.
    """
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return {}
    if kind in {"json_object", "json"}:
        return {"responseMimeType": "application/json"}
    if kind == "json_schema":
        inner = value.get("json_schema", value)
        if not isinstance(inner, Mapping) or inner.get("schema") is None:
            raise ConfigurationError(
                'response_format={"type": "json_schema", ...} needs {"json_schema": {"schema": ...}}'
            )
        schema = _to_json_schema(inner["schema"], "response_format")
        if inner.get("description"):
            schema = {"description": inner["description"], **schema}
        return response_schema(schema, dialect=dialect)
    return response_schema(_to_json_schema(value, "response_format"), dialect=dialect)


def _to_json_schema(value: Any, name: str) -> Mapping[str, Any]:
    """Return the JSON Schema of *value*: a schema, a class, or Google's Schema object."""
    if isinstance(value, Mapping):
        return value
    schema: Mapping[str, Any]
    if callable(describe := getattr(value, "model_json_schema", None)) and isinstance(value, type):
        schema = describe()
        return schema
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        schema = dump(mode="json", exclude_none=True)
        return schema
    if isinstance(value, str | bytes | int | float | list):
        raise ConfigurationError(f"{name} must be a JSON Schema, a class or a response_format dict, not {value!r}")
    return _schema_of_class(value, name)


def _schema_of_class(value: Any, name: str) -> Mapping[str, Any]:
    if isinstance(value, type) and hasattr(value, "__fields__") and callable(legacy := getattr(value, "schema", None)):
        schema: Mapping[str, Any] = legacy()  # pydantic v1
        return schema
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(value).json_schema()
    except PydanticUserError as error:
        raise ConfigurationError(f"{name}: {value!r} has no JSON Schema: {error.message}") from error
