"""Lower a schema of the `json_schema` dialect into the `openapi` dialect. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gemway._exceptions import ConfigurationError
from gemway._json import JsonObject
from gemway._schema.normalising import compact, join_descriptions, one_of, sentences, types_of
from gemway._schema.reading import target_of


class SchemaError(ConfigurationError):
    """A schema that a dialect cannot express at all, for example a recursive one in the OpenAPI dialect."""


def to_openapi(schema: JsonObject) -> JsonObject:
    """Return a schema of the `json_schema` dialect in the words of the `openapi` dialect.

    Raises:
        SchemaError: a recursive schema.
    """
    return _OpenAPILowering(schema.get("$defs", {})).lower(schema)


class _OpenAPILowering:
    """Puts definitions in the place of references. Each definition is lowered once and shared."""

    def __init__(self, definitions: Mapping[str, JsonObject]) -> None:
        self._definitions = definitions
        self._lowered: dict[str, JsonObject | None] = {}

    def lower(self, node: JsonObject) -> JsonObject:
        if "$ref" in node:
            return self._inline_definition(target_of(node["$ref"]))
        lowered = {keyword: value for keyword, value in node.items() if keyword in _KEYWORDS}
        _lower_type(lowered)
        _lower_enum(lowered)
        # Google's Schema knows `date-time` and the number formats only.
        if lowered.get("format") in {"date", "time"}:
            _add_sentence(lowered, f"Format: {lowered.pop('format')}.")
        self._lower_object(node, lowered)
        self._lower_array(node, lowered)
        lowered = self._lower_any_of(node, lowered)
        if "type" not in lowered and "anyOf" not in lowered:
            return {**_ANY_VALUE, **_description_and_null(lowered)}
        return lowered

    def _inline_definition(self, name: str) -> JsonObject:
        if name not in self._lowered:
            # Marks the definition as being lowered: meeting it again means recursion, which this dialect cannot
            # express.
            self._lowered[name] = None
            self._lowered[name] = self.lower(self._definitions[name])
        lowered = self._lowered[name]
        if lowered is None:
            raise SchemaError(
                f"the schema's definition {name!r} contains itself, which the OpenAPI dialect cannot express; "
                "use the json_schema dialect, or a schema without recursion"
            )
        return lowered

    def _lower_object(self, node: JsonObject, lowered: JsonObject) -> None:
        properties = node.get("properties")
        if properties:
            lowered["properties"] = {name: self.lower(schema) for name, schema in properties.items()}
            if "required" in node:
                lowered["required"] = node["required"]
            lowered.setdefault("type", "object")
        others = node.get("additionalProperties")
        if isinstance(others, dict):
            lowered.setdefault("type", "object")
            kind = compact(self.lower(others)) if others else "any JSON value"
            _add_sentence(lowered, f"{'Any other' if properties else 'Any'} key is allowed; the values are {kind}.")

    def _lower_array(self, node: JsonObject, lowered: JsonObject) -> None:
        # No tuples either: one schema for all items, the length, and a sentence about the order.
        positions = [self.lower(item) for item in node.get("prefixItems", ())]
        if positions:
            lowered["items"] = _to_alternatives(
                [*positions, *([self.lower(node["items"])] if node.get("items") else [])]
            )
            lowered.setdefault("minItems", len(positions))
            if not node.get("items"):
                lowered.setdefault("maxItems", len(positions))
            _add_sentence(lowered, f"In this order: {', '.join(map(compact, positions))}.")
        elif "items" in node:
            lowered["items"] = self.lower(node["items"])
        if "items" in lowered:
            lowered.setdefault("type", "array")

    def _lower_any_of(self, node: JsonObject, lowered: JsonObject) -> JsonObject:
        """Return the alternatives with the description only: next to `anyOf` Gemini refuses or ignores other keys."""
        if "anyOf" not in node:
            return lowered
        branches = [self.lower(branch) for branch in node["anyOf"] if branch.get("type") != "null"]
        # OpenAPI 3.0 has no type "null", only the keyword nullable.
        if len(branches) < len(node["anyOf"]):
            lowered["nullable"] = True
        # The structure is worth more than the alternatives, and both together are refused.
        if lowered.keys() & _STRUCTURE:
            _add_sentence(lowered, f"Also matches one of {', '.join(map(compact, branches))}.")
            return lowered
        remarks = _description_and_null(lowered)
        alternatives = _to_alternatives(branches)
        text = join_descriptions(remarks.get("description", ""), alternatives.get("description", ""))
        return {**alternatives, **remarks, **({"description": text} if text else {})}


def _description_and_null(lowered: JsonObject) -> JsonObject:
    return {word: value for word, value in lowered.items() if word in {"description", "nullable"}}


def _lower_type(lowered: JsonObject) -> None:
    """Write "or null" as `nullable`, and leave out several types, since `anyOf` has the alternatives."""
    types = types_of(lowered)
    if "null" in types:
        lowered["nullable"] = True
        types.remove("null")
        if not types:
            types = ["string"]
            _add_sentence(lowered, "Always null.")
    if len(types) == 1:
        lowered["type"] = types[0]
    else:
        lowered.pop("type", None)


def _lower_enum(lowered: JsonObject) -> None:
    """Describe a choice of numbers, and give its bounds: `enum` holds strings only."""
    values = lowered.get("enum")
    # `enum` of Google's Schema message is a list of strings: numbers there are a 400.
    if values and not isinstance(values[0], str):
        del lowered["enum"]
        _add_sentence(lowered, one_of(values))
        lowered["minimum"] = max(min(values), lowered.get("minimum", min(values)))
        lowered["maximum"] = min(max(values), lowered.get("maximum", max(values)))


def _to_alternatives(branches: list[JsonObject]) -> JsonObject:
    distinct = [branch for place, branch in enumerate(branches) if branch not in branches[:place]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct} if distinct else {"type": "string"}


def _add_sentence(lowered: JsonObject, sentence: str) -> None:
    lowered["description"] = sentences(lowered.get("description", ""), sentence)


_ANY_VALUE: Final[JsonObject] = {"anyOf": [{"type": word} for word in ("string", "number", "boolean", "object")]}
_STRUCTURE: Final = {"properties", "items", "prefixItems", "additionalProperties"}
_KEYWORDS: Final = {
    *("type", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "format", "description"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "propertyOrdering", "nullable"),
}
