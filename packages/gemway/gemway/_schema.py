"""Turn JSON Schemas into the two dialects that Gemini reads. Pure; the caller's objects are never changed.

`json_schema` is what `parametersJsonSchema` and `responseJsonSchema` take, `openapi` what `parameters` and
`responseSchema` take. Whatever a dialect has no word for moves into the description, in English; a converted
schema never refuses what the original allowed, as far as the dialect can say so. Nothing here validates values.

Sources: the pages "Structured output", "Function calling" and the `Schema` message of ai.google.dev/gemini-api/docs.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import unquote

from gemway._exceptions import ConfigurationError

Dialect = Literal["json_schema", "openapi"]
JsonObject = dict[str, Any]

_NOTES: Final = "$notes"  # sentences for the description, while a schema is being read
_INLINED: Final = "$inlined"  # the references that were replaced by what they stand for, likewise
_DEEPEST: Final = 4  # such replacements inside one another
_LONGEST_NAME: Final = 64  # 128 in the current docs; 64 in older ones and for other providers' models


class SchemaError(ConfigurationError):
    """A schema says something that the dialect cannot say at all: recursion, in the OpenAPI dialect."""


def to_schema(schema: Mapping[str, Any], dialect: Dialect = "json_schema") -> JsonObject:
    """Return a copy of *schema* in the dialect's words.

    Raises:
        SchemaError: a recursive schema in the `openapi` dialect.
    """
    converted = _Reader(schema).read()
    return converted if dialect == "json_schema" else _to_openapi(converted)


def function_declaration(
    name: str, description: str, parameters: Mapping[str, Any] | None, *, dialect: Dialect = "json_schema"
) -> JsonObject:
    """Return the wire's FunctionDeclaration for a tool. *parameters* is a JSON Schema; None means no arguments."""
    declaration: JsonObject = {"name": sanitize_tool_name(name)}
    if description:
        declaration["description"] = description
    if parameters is None:
        return declaration
    converted = to_schema(parameters, dialect)
    if dialect == "json_schema":
        declaration["parametersJsonSchema"] = {"type": "object", **converted}
    elif any("properties" in schema for schema in (converted, *converted.get("anyOf", ()))):
        declaration["parameters"] = converted  # an object without properties is refused there
    return declaration


def response_schema(schema: Mapping[str, Any], *, dialect: Dialect = "json_schema") -> JsonObject:
    """Return the entries of generationConfig that bind the answer to *schema*.

    Objects get a `propertyOrdering`, so that the answer keeps the schema's order even where a gateway sorts keys.
    """
    field = "responseJsonSchema" if dialect == "json_schema" else "responseSchema"
    return {"responseMimeType": "application/json", field: _ordered(to_schema(schema, dialect))}


@lru_cache(maxsize=1024)
def sanitize_tool_name(name: str) -> str:
    """Return *name* if Gemini takes it as a function's name, else the nearest name that it takes.

    A changed name ends in a hash of the original, so that two tools never meet in one name.
    """
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]*", name) and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.blake2s(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    legal = re.sub(r"[^A-Za-z0-9_.:-]+", "_", name).strip("_")
    if not re.match(r"[A-Za-z_]", legal):
        legal = f"tool_{legal}" if legal else "tool"
    return f"{legal[: _LONGEST_NAME - len(digest) - 1]}_{digest}"


# ---------------------------------------------------------------------------------------------------------------------
# JSON Schema, any draft -> the json_schema dialect


class _Reader:
    """Reads one schema with all it refers to. Each definition is read once, when something refers to it."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._names: dict[str, str] = {}  # pointer as written -> name in $defs
        self._targets: dict[str, Any] = {}  # name in $defs -> what it stands for
        self._flat: dict[str, JsonObject] = {}
        self._inside: frozenset[str] = frozenset()
        self._index: dict[str, Any] | None = None

    def read(self) -> JsonObject:
        root = self._convert(self._root)
        definitions: dict[str, JsonObject] = {}
        while len(definitions) < len(self._targets):
            for name in list(self._targets)[len(definitions) :]:
                definitions[name] = self._convert(self._targets[name])
        root = _spelled_out(root, definitions)
        _break_required_loops(root, definitions)
        if used := _reachable(root, definitions):
            root["$defs"] = used
        return root

    def _convert(self, schema: Any) -> JsonObject:
        """Return one schema, with all below it, in the dialect's words."""
        node = _split_by_type(self._flattened(_upgraded(schema)))
        outside, self._inside = self._inside, self._inside | node.pop(_INLINED, frozenset())
        converted: JsonObject = {}
        for keyword, value in node.items():
            if say := _SAID_IN_WORDS.get(keyword):
                node[_NOTES] = (*node[_NOTES], *say(value))
            elif convert := _CONVERT.get(keyword):
                converted[keyword] = convert(self, value)
        self._inside = outside
        _set_bounds(node, converted)
        _set_text_rules(node, converted)
        if description := _described(node):
            converted["description"] = description
        if "array" in _types(converted) and "prefixItems" not in converted:
            converted.setdefault("items", {})  # a list without items is refused
        return _with_refs_alone(converted)

    # -- references

    def _reference(self, pointer: str) -> str:
        """Return the reference in the form `#/$defs/Name`."""
        name = self._names.get(pointer)
        if name is None:
            name = self._names[pointer] = self._free_name(pointer)
            self._targets[name] = self._resolve(pointer)
        return f"#/$defs/{name}"

    def _free_name(self, pointer: str) -> str:
        last = unquote(pointer).rsplit("/", 1)[-1].lstrip("#")
        name = legal = re.sub(r"[^A-Za-z0-9_.-]+", "_", last.replace("~1", "_").replace("~0", "_")) or "Root"
        number = 2
        while name in self._targets:
            name, number = f"{legal}_{number}", number + 1
        return name

    def _resolve(self, pointer: str) -> Any:
        """Return what *pointer* stands for; `{}` (anything goes) for what is not in this document."""
        if pointer == "#" or pointer.startswith("#/"):
            target = self._root
            for step in pointer.split("/")[1:]:
                target = _child(target, unquote(step).replace("~1", "/").replace("~0", "~"))
            if target is not None:
                return target
        if self._index is None:
            self._index = dict(_named(self._root))
        return self._index.get(pointer, self._index.get(pointer.rsplit("/", 1)[-1], {}))

    # -- allOf

    def _flattened(self, node: JsonObject) -> JsonObject:
        """Return *node* without `allOf`: Gemini has no word for it."""
        members = [_upgraded(member) for member in node.pop("allOf", ())]
        if "$ref" in node and (members or "anyOf" in node):
            members.append({_NOTES: (), "$ref": node.pop("$ref")})
        for member in members:
            node = self._merged(node, self._flattened(member), alone=len(members) == 1)
        return node

    def _merged(self, node: JsonObject, member: JsonObject, *, alone: bool) -> JsonObject:
        """Return both schemas as one. References are replaced by what they stand for, unless one stands alone."""
        if "$ref" not in member or (alone and _only_annotations(node)):
            return _both(node, member)
        pointer = member.pop("$ref")
        target = self._looked_up(pointer)
        if target is not None:
            return _both(_both(node, member), target)
        if "anyOf" in node or "$ref" in node:
            return _both(node, {**member, _NOTES: (*member[_NOTES], f"Also matches {pointer}.")})
        return {**_both(node, member), "$ref": pointer}

    def _looked_up(self, pointer: str) -> JsonObject | None:
        """Return what *pointer* stands for, without `allOf`; None where schemas inside one another would not end."""
        if pointer in self._inside or len(self._inside) >= _DEEPEST:
            return None
        if pointer not in self._flat:
            self._flat[pointer] = _upgraded({})  # until it is known: a schema that includes itself adds nothing
            target = self._flattened(_upgraded(self._resolve(pointer)))
            if "$ref" in target:
                target = self._merged({_NOTES: ()}, target, alone=False)
            self._flat[pointer] = {**target, _INLINED: target.get(_INLINED, frozenset()) | {pointer}}
        return dict(self._flat[pointer])


def _child(node: Any, step: str) -> Any:
    if isinstance(node, Mapping):
        return node.get(step)
    if isinstance(node, list) and step.isdigit() and int(step) < len(node):
        return node[int(step)]
    return None


def _named(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a reference may mean that is no path from the root: anchors, ids, and definitions deeper inside."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        if not isinstance(node, Mapping):
            continue
        pending += node.values()
        for keyword, prefix in (("$anchor", "#"), ("$dynamicAnchor", "#"), ("$id", "")):
            if isinstance(name := node.get(keyword), str):
                yield prefix + name, node
        for keyword in ("$defs", "definitions"):
            if isinstance(definitions := node.get(keyword), Mapping):
                yield from definitions.items()


# -- spellings: whatever the draft, the author or Google's own Schema class wrote, as JSON Schema 2020-12

_SNAKE_CASE: Final[dict[str, str]] = {
    re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", word): word
    for word in (
        *("anyOf", "oneOf", "allOf", "prefixItems", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength"),
        *("minProperties", "maxProperties", "additionalProperties", "propertyOrdering", "multipleOf"),
        *("exclusiveMinimum", "exclusiveMaximum"),
    )
}
_SHAPES: Final[dict[str, Any]] = {
    "$ref": str,
    "description": str,
    "enum": list | tuple | set | frozenset,
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems", "required", "propertyOrdering"), list | tuple),
    **dict.fromkeys(("properties", "patternProperties"), Mapping),
    **dict.fromkeys(("items", "additionalProperties"), bool | list | Mapping),
}


def _upgraded(schema: Any) -> JsonObject:
    """Return a copy of *schema* that uses one spelling for each thing. True, False and nonsense allow anything."""
    node: JsonObject = {_NOTES: ()}
    if not isinstance(schema, Mapping):
        return node
    for written, value in schema.items():
        keyword = _SNAKE_CASE.get(str(written), str(written))
        if isinstance(value, _SHAPES.get(keyword, object)) and (value is not None or keyword == "const"):
            node[keyword] = value
    for upgrade in _UPGRADES:
        upgrade(node)
    return node


def _upgrade_type(node: JsonObject) -> None:
    declared = _plain(node.pop("type", None))
    words = [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else []
    types = list(dict.fromkeys(str(_plain(word)).lower() for word in words))
    types = [word for word in types if word != "type_unspecified"]
    if "number" in types and "integer" in types:
        types.remove("integer")
    if types:
        node["type"] = types[0] if len(types) == 1 else types


def _upgrade_const(node: JsonObject) -> None:
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if "enum" in node:
        node["enum"] = [_plain(value) for value in node["enum"]]


def _upgrade_one_of(node: JsonObject) -> None:
    if "oneOf" in node:
        branches = node.pop("oneOf")
        if "anyOf" in node:
            node["allOf"] = [*node.get("allOf", ()), {"anyOf": branches}]
        else:
            node["anyOf"] = branches
    if "anyOf" in node:
        node["anyOf"] = [branch for branch in node["anyOf"] if branch is not False]
        if not node["anyOf"]:
            del node["anyOf"]


def _upgrade_nullable(node: JsonObject) -> None:
    """Say OpenAPI's `nullable: true` as a type."""
    if node.pop("nullable", None) is not True:
        return
    if "enum" in node and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    if "type" in node:
        node["type"] = list(dict.fromkeys([*_types(node), "null"]))
    if "anyOf" in node:
        node["anyOf"] = [*node["anyOf"], {"type": "null"}]
    elif "$ref" in node:
        node["anyOf"] = [{"$ref": node.pop("$ref")}, {"type": "null"}]


def _upgrade_tuple(node: JsonObject) -> None:
    """Say draft 7's `items: [...]` as `prefixItems`, and a closed tuple as a length."""
    if isinstance(node.get("items"), list):
        node["prefixItems"] = node.pop("items")
        if "additionalItems" in node:
            node["items"] = node["additionalItems"]
    if not node.get("prefixItems"):
        node.pop("prefixItems", None)
    if node.get("items") is False:
        del node["items"]
        node["maxItems"] = min(len(node.get("prefixItems", ())), node.get("maxItems", math.inf))


def _upgrade_exclusive(node: JsonObject) -> None:
    """Say draft 4's boolean `exclusiveMinimum` as a number."""
    for exclusive, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and inclusive in node:
            node[exclusive] = node.pop(inclusive)


def _upgrade_pattern_properties(node: JsonObject) -> None:
    """Say "keys of this form have such values" as additionalProperties, the form of the keys in words."""
    patterns = node.pop("patternProperties", None)
    if not patterns or not isinstance(patterns, Mapping):
        return
    others = node.get("additionalProperties")
    if others is None or others is True:
        node[_NOTES] += tuple(
            f"Keys that match {key} have values {_compact(value)}." for key, value in patterns.items()
        )
        return
    if others is False:
        node[_NOTES] += (f"Keys match {' or '.join(patterns)}.",)
    allowed = [*patterns.values(), *([others] if isinstance(others, Mapping) else [])]
    node["additionalProperties"] = allowed[0] if len(allowed) == 1 else {"anyOf": allowed}


def _upgrade_required(node: JsonObject) -> None:
    """Give every required property an entry: a required name that is not in `properties` is refused."""
    names = [name for name in dict.fromkeys(node.pop("required", ())) if isinstance(name, str)]
    if not names:
        return
    others = node.get("additionalProperties")
    anything = others if isinstance(others, Mapping) else {}
    node["properties"] = {**node.get("properties", {})}
    for name in names:
        node["properties"].setdefault(name, anything)
    node["required"] = names


_UPGRADES: Final = (
    _upgrade_type,
    _upgrade_const,
    _upgrade_one_of,
    _upgrade_nullable,
    _upgrade_tuple,
    _upgrade_exclusive,
    _upgrade_pattern_properties,
    _upgrade_required,
)


def _types(node: Mapping[str, Any]) -> list[str]:
    declared = node.get("type", [])
    return [declared] if isinstance(declared, str) else list(declared)


def _plain(value: Any) -> Any:
    """Return JSON for a value that an author wrote as a Python enumeration, tuple or set."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple | set | frozenset) else value


# -- allOf: two schemas as one, loosened where one schema cannot say it


def _both(one: JsonObject, other: JsonObject) -> JsonObject:
    """Return a schema for the values that fit both."""
    merged = dict(one)
    for keyword, value in other.items():
        if keyword not in merged:
            merged[keyword] = value
        elif merged[keyword] == value:
            continue
        elif combine := _COMBINE.get(keyword):
            merged[keyword] = combine(merged[keyword], value)
        elif say := {**_SAID_IN_WORDS, **_ALSO}.get(keyword):
            merged[_NOTES] = (*merged[_NOTES], *say(value))
    return merged


def _united(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys([*one, *other]))


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    return [value for value in one if value in other] or one


def _common_types(one: str | list[str], other: str | list[str]) -> str | list[str]:
    ours, theirs = _types({"type": one}), _types({"type": other})
    common = [word for word in ours if word in theirs or (word == "integer" and "number" in theirs)]
    if "integer" in theirs and "number" in ours and "integer" not in common:
        common.append("integer")
    return common[0] if len(common) == 1 else common or one


def _both_children(one: Any, other: Any) -> Any:
    """Return the conjunction of two schemas that are not read yet."""
    if one is True or other is False:
        return other
    return one if other is True or one is False else {"allOf": [one, other]}


def _both_properties(one: Mapping[str, Any], other: Mapping[str, Any]) -> JsonObject:
    shared = {
        name: _both_children(one[name], other[name]) for name in one if name in other and one[name] != other[name]
    }
    return {**other, **one, **shared}


def _both_items(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    shared = [_both_children(mine, theirs) for mine, theirs in zip(one, other, strict=False)]
    return [*shared, *one[len(shared) :], *other[len(shared) :]]


_COMBINE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    _NOTES: lambda one, other: tuple(_united(one, other)),
    _INLINED: lambda one, other: one | other,
    "description": lambda one, other: f"{one}\n{other}",
    "type": _common_types,
    "enum": _common,
    "required": _united,
    "propertyOrdering": _united,
    "properties": _both_properties,
    "prefixItems": _both_items,
    **dict.fromkeys(("items", "additionalProperties"), _both_children),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


def _only_annotations(node: JsonObject) -> bool:
    return node.keys() <= {
        _NOTES,
        _INLINED,
        "description",
        "title",
        "default",
        "examples",
        "$schema",
        "$defs",
        "definitions",
    }


# -- one type per schema: `enum` holds strings or numbers only, and `type` one word beside "null"

_OF_TYPE: Final = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties", "propertyOrdering"},
}
_OF_TYPE["integer"] = _OF_TYPE["number"]


def _split_by_type(node: JsonObject) -> JsonObject:
    """Return *node* with several types, or values of several types, as alternatives of one type each."""
    types = _types(node)
    if "enum" in node:
        branches = _enum_branches(node["enum"], types)
        rest = {keyword: value for keyword, value in node.items() if keyword not in {"enum", "type"}}
        if len(branches) == 1:
            return {**rest, **branches[0], _NOTES: (*rest[_NOTES], *branches[0].get(_NOTES, ()))}
        return {**rest, "anyOf": branches} if branches else rest
    if len(types) - ("null" in types) < 2 or "anyOf" in node or "$ref" in node:
        return node
    typed = set[str]().union({"type"}, *(_OF_TYPE.get(word, ()) for word in types))
    rest = {keyword: value for keyword, value in node.items() if keyword not in typed}
    return {**rest, "anyOf": [_of_type(node, word) for word in types]}


def _of_type(node: JsonObject, word: str) -> JsonObject:
    owned = _OF_TYPE.get(word, set())
    return {"type": word, **{keyword: value for keyword, value in node.items() if keyword in owned}}


def _enum_branches(values: list[Any], types: list[str]) -> list[JsonObject]:
    """Return one schema per type of the values; values that the declared types rule out are left out."""
    by_type: dict[str, list[Any]] = {}
    for value in values:
        word = _type_of(value, types)
        if word and value not in by_type.setdefault(word, []):
            by_type[word].append(value)
    return [_enum_branch(word, allowed) for word, allowed in by_type.items()]


def _type_of(value: Any, types: list[str]) -> str | None:
    for word, kinds in _PYTHON_TYPES.items():
        if isinstance(value, kinds) and not (isinstance(value, bool) and word != "boolean"):
            if word == "integer" and "number" in types:
                return "number"
            return word if not types or word in types else None
    if isinstance(value, float):
        if "integer" in types and value.is_integer():
            return "integer"
        return "number" if not types or "number" in types else None
    return None


_PYTHON_TYPES: Final[dict[str, Any]] = {
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "object": Mapping,
    "array": list,
}


def _enum_branch(word: str, values: list[Any]) -> JsonObject:
    if word in {"string", "integer", "number"}:
        return {"type": word, "enum": values}
    if word == "null" or (word == "boolean" and len(values) == 2):
        return {"type": word}
    return {"type": word, _NOTES: (_one_of(values),)}


def _one_of(values: list[Any]) -> str:
    return f"{'Always' if len(values) == 1 else 'One of:'} {', '.join(_compact(value) for value in values)}."


# -- what Gemini has no word for, in English


def _said(text: str) -> Callable[[Any], tuple[str, ...]]:
    return lambda value: (f"{text} {_compact(value)}.",)


_SAID_IN_WORDS: Final[dict[str, Callable[[Any], tuple[str, ...]]]] = {
    "uniqueItems": lambda unique: ("Items are unique.",) if unique is True else (),
    "unevaluatedProperties": lambda allowed: ("No other properties.",) if allowed is False else (),
    "unevaluatedItems": lambda allowed: ("No other items.",) if allowed is False else (),
    "multipleOf": _said("A multiple of"),
    "default": lambda value: (f"Default: {_compact(value)}.",) if value not in ({}, []) else (),
    "not": _said("Does not match"),
    "if": _said("If it matches"),
    "then": _said("then it matches"),
    "else": _said("otherwise it matches"),
    "contains": _said("Contains items that match"),
    "minContains": _said("At least so many of them:"),
    "maxContains": _said("At most so many of them:"),
    "propertyNames": _said("Keys match"),
    "dependentRequired": _said("Keys that require others:"),
    "dependentSchemas": _said("Keys that require more:"),
    "dependencies": _said("Keys that require others:"),
    "contentEncoding": _said("Encoded as"),
    "contentMediaType": _said("Holds"),
    "contentSchema": _said("Holds what matches"),
}
_ALSO: Final[dict[str, Callable[[Any], tuple[str, ...]]]] = {
    "anyOf": _said("Also matches one of"),
    "pattern": _said("Also matches the regular expression"),
    "format": _said("Format:"),
}


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _described(node: JsonObject) -> str:
    """Return the description with all notes as sentences after it."""
    return _sentences(node.get("description", ""), *node[_NOTES])


def _sentences(description: str, *notes: str) -> str:
    text = description.rstrip()
    if text and notes and text[-1] not in ".!?:;)\n":
        text += "."
    return " ".join([text, *notes] if text else notes) if notes else description


def _joined(description: str, more: str) -> str:
    return _sentences(description, more) if more and more != description else description


def _set_bounds(node: JsonObject, converted: JsonObject) -> None:
    """Turn exclusive bounds into inclusive ones: the next integer, or the bound itself and a note."""
    whole = set(_types(node)) - {"null"} == {"integer"}
    for exclusive, inclusive, tighter, following, word in _EXCLUSIVE:
        bound = node.get(exclusive)
        if not isinstance(bound, int | float) or not math.isfinite(bound):
            continue
        if not whole:
            node[_NOTES] = (*node[_NOTES], f"{word} than {_compact(bound)}.")
        limit = following(bound) if whole else bound
        converted[inclusive] = tighter(limit, converted.get(inclusive, limit))


_EXCLUSIVE: Final[tuple[tuple[str, str, Callable[..., Any], Callable[[float], int], str], ...]] = (
    ("exclusiveMinimum", "minimum", max, lambda bound: math.floor(bound) + 1, "Greater"),
    ("exclusiveMaximum", "maximum", min, lambda bound: math.ceil(bound) - 1, "Less"),
)

# Google's constrained decoding reads RE2, which has no look-around and no back references.
_BEYOND_RE2: Final = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9]|\\k<")
_FORMATS: Final = {"date-time", "date", "time", "int32", "int64", "float", "double"}


def _set_text_rules(node: JsonObject, converted: JsonObject) -> None:
    """Keep the patterns and formats that Gemini reads, and describe the others."""
    pattern, form = node.get("pattern"), node.get("format")
    if isinstance(pattern, str) and _BEYOND_RE2.search(pattern):
        node[_NOTES] = (*node[_NOTES], f"Matches the regular expression {pattern}")
    elif isinstance(pattern, str):
        converted["pattern"] = pattern
    if form in _FORMATS:
        converted["format"] = form
    elif isinstance(form, str) and form != "enum":
        node[_NOTES] = (*node[_NOTES], f"Format: {form}.")


# -- what is left


def _same(_: _Reader, value: Any) -> Any:
    return value


def _converted(reader: _Reader, schema: Any) -> JsonObject:
    return reader._convert(schema)


def _converted_list(reader: _Reader, schemas: Iterable[Any]) -> list[JsonObject]:
    return [reader._convert(schema) for schema in schemas]


_CONVERT: Final[dict[str, Callable[[_Reader, Any], Any]]] = {
    **dict.fromkeys(("type", "enum", "required", "minimum", "maximum", "minLength", "maxLength"), _same),
    **dict.fromkeys(("minItems", "maxItems", "minProperties", "maxProperties"), _same),
    "$ref": lambda reader, pointer: reader._reference(pointer),
    "properties": lambda reader, schemas: {name: reader._convert(schema) for name, schema in schemas.items()},
    "additionalProperties": lambda reader, schema: schema if isinstance(schema, bool) else reader._convert(schema),
    "items": _converted,
    "prefixItems": _converted_list,
    "anyOf": _converted_list,
    "propertyOrdering": lambda _, names: list(names),
}


def _with_refs_alone(converted: JsonObject) -> JsonObject:
    """Move a reference into an `anyOf` of its own: beside `$ref` no other keyword may stand."""
    if "$ref" not in converted or len(converted) == 1:
        return converted
    reference = {"$ref": converted.pop("$ref")}
    return converted if "anyOf" in converted else {"anyOf": [reference], **converted}


def _spelled_out(root: JsonObject, definitions: Mapping[str, JsonObject]) -> JsonObject:
    """Return *root* as an object, not as a reference to one: the parameters of a function must be an object."""
    seen: set[str] = set()
    while name := _referred(root):
        description = root.get("description", "")
        root = {} if name in seen else dict(definitions[name])  # a reference to itself says nothing
        seen.add(name)
        if description:
            root["description"] = _joined(description, root.get("description", ""))
    return root


def _referred(node: JsonObject) -> str | None:
    """Return the definition that *node* is, apart from its description."""
    if node.keys() <= {"anyOf", "description"} and len(node.get("anyOf", ())) == 1:
        node = node["anyOf"][0]
    return _target(node["$ref"]) if "$ref" in node else None


def _target(reference: str) -> str:
    return reference.removeprefix("#/$defs/")


def _children(node: JsonObject) -> Iterator[JsonObject]:
    yield from node.get("properties", {}).values()
    yield from node.get("anyOf", ())
    yield from node.get("prefixItems", ())
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            yield node[keyword]


def _reachable(root: JsonObject, definitions: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
    """Return the definitions that *root* refers to, directly or not."""
    used: dict[str, JsonObject] = {}
    pending = [root]
    while pending:
        node = pending.pop()
        name = _target(node.get("$ref", ""))
        if name and name not in used:
            used[name] = definitions[name]
            pending.append(used[name])
        pending += _children(node)
    return {name: used[name] for name in definitions if name in used}


def _break_required_loops(root: JsonObject, definitions: Mapping[str, JsonObject]) -> None:
    """Make the properties optional that close a loop of required ones, and say so in words.

    Google answers 400 "ref loops are only supported if they include optional or nullable property values, or a
    potentially-zero-length array items" (quoted in juspay/juspay-mcp#132).
    """
    entered: set[str] = set()
    finished: set[str] = set()

    def visit(name: str, last_owner: JsonObject | None, last_key: str) -> None:
        entered.add(name)
        for target, owner, key in _unavoidable(definitions[name], last_owner, last_key):
            if target not in entered:
                visit(target, owner, key)
            elif target not in finished and owner is not None:
                _make_optional(owner, key)
        finished.add(name)

    for name in definitions:
        if name not in entered:
            visit(name, None, "")


def _unavoidable(node: JsonObject, owner: JsonObject | None, key: str) -> Iterator[tuple[str, JsonObject | None, str]]:
    """Yield the references that every value follows, each with the object and the required property it hangs on."""
    if "$ref" in node:
        yield _target(node["$ref"]), owner, key
    branches = node.get("anyOf", ())
    if "null" in _types(node) or {"type": "null"} in branches:
        return
    for branch in branches:
        yield from _unavoidable(branch, owner, key)
    for name in node.get("required", ()):
        yield from _unavoidable(node["properties"][name], node, name)
    if node.get("minItems", 0) > 0:
        for item in (*node.get("prefixItems", ()), node.get("items", {})):
            yield from _unavoidable(item, owner, key)


def _make_optional(owner: JsonObject, key: str) -> None:
    owner["required"] = [name for name in owner["required"] if name != key]
    if not owner["required"]:
        del owner["required"]
    child = dict(owner["properties"][key])
    child["description"] = _sentences(child.get("description", ""), "Always given.")
    owner["properties"][key] = _with_refs_alone(child)


def _ordered(schema: JsonObject) -> JsonObject:
    """Name the order of the properties in every object of our own *schema*; return it."""
    pending, seen = [schema, *schema.get("$defs", {}).values()], set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if len(node.get("properties", ())) > 1:
            node.setdefault("propertyOrdering", list(node["properties"]))
        pending += _children(node)
    return schema


# ---------------------------------------------------------------------------------------------------------------------
# the json_schema dialect -> the openapi dialect

_ANY_VALUE: Final[JsonObject] = {"anyOf": [{"type": word} for word in ("string", "number", "boolean", "object")]}
_OPENAPI_FORMATS: Final = _FORMATS - {"date", "time"}
_STRUCTURE: Final = {"properties", "items", "prefixItems", "additionalProperties"}
_OPENAPI_KEYWORDS: Final = {
    *("type", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "format", "description"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "propertyOrdering", "nullable"),
}


def _to_openapi(schema: JsonObject) -> JsonObject:
    return _Lowering(schema.get("$defs", {})).lower(schema)


class _Lowering:
    """Puts definitions in the place of references. Each definition is lowered once and shared."""

    def __init__(self, definitions: Mapping[str, JsonObject]) -> None:
        self._definitions = definitions
        self._lowered: dict[str, JsonObject | None] = {}

    def lower(self, node: JsonObject) -> JsonObject:
        if "$ref" in node:
            return self._inlined(_target(node["$ref"]))
        lowered = {keyword: value for keyword, value in node.items() if keyword in _OPENAPI_KEYWORDS}
        _lower_type(lowered)
        _lower_enum(lowered)
        if lowered.get("format") not in {None, *_OPENAPI_FORMATS}:
            _note(lowered, f"Format: {lowered.pop('format')}.")
        self._lower_object(node, lowered)
        self._lower_array(node, lowered)
        lowered = self._lower_any_of(node, lowered)
        if "type" not in lowered and "anyOf" not in lowered:
            return {**_ANY_VALUE, **_remarks(lowered)}
        return lowered

    def _inlined(self, name: str) -> JsonObject:
        if name not in self._lowered:
            self._lowered[name] = None
            self._lowered[name] = self.lower(self._definitions[name])
        lowered = self._lowered[name]
        if lowered is None:
            raise SchemaError(
                f"the schema's definition {name!r} contains itself, which the OpenAPI dialect cannot say; "
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
            kind = _compact(self.lower(others)) if others else "any JSON value"
            _note(lowered, f"{'Any other' if properties else 'Any'} key is allowed; the values are {kind}.")

    def _lower_array(self, node: JsonObject, lowered: JsonObject) -> None:
        positions = [self.lower(item) for item in node.get("prefixItems", ())]
        if positions:
            lowered["items"] = _alternatives([*positions, *([self.lower(node["items"])] if node.get("items") else [])])
            lowered.setdefault("minItems", len(positions))
            if not node.get("items"):
                lowered.setdefault("maxItems", len(positions))
            _note(lowered, f"In this order: {', '.join(map(_compact, positions))}.")
        elif "items" in node:
            lowered["items"] = self.lower(node["items"])
        if "items" in lowered:
            lowered.setdefault("type", "array")

    def _lower_any_of(self, node: JsonObject, lowered: JsonObject) -> JsonObject:
        """Return the alternatives with the description only: beside `anyOf` Gemini refuses or ignores other keys."""
        if "anyOf" not in node:
            return lowered
        branches = [self.lower(branch) for branch in node["anyOf"] if branch.get("type") != "null"]
        if len(branches) < len(node["anyOf"]):
            lowered["nullable"] = True
        if lowered.keys() & _STRUCTURE:
            _note(lowered, f"Also matches one of {', '.join(map(_compact, branches))}.")
            return lowered
        kept = _remarks(lowered)
        alternatives = _alternatives(branches)
        text = _joined(kept.get("description", ""), alternatives.get("description", ""))
        return {**alternatives, **kept, **({"description": text} if text else {})}


def _remarks(lowered: JsonObject) -> JsonObject:
    return {word: value for word, value in lowered.items() if word in {"description", "nullable"}}


def _lower_type(lowered: JsonObject) -> None:
    """Say "or null" as `nullable`, and leave out several types: their alternatives stand beside them."""
    types = _types(lowered)
    if "null" in types:
        lowered["nullable"] = True
        types.remove("null")
        if not types:
            types = ["string"]
            _note(lowered, "Always null.")
    if len(types) == 1:
        lowered["type"] = types[0]
    else:
        lowered.pop("type", None)


def _lower_enum(lowered: JsonObject) -> None:
    """Describe a choice of numbers, and give its bounds: `enum` holds strings only."""
    values = lowered.get("enum")
    if values and not isinstance(values[0], str):
        del lowered["enum"]
        _note(lowered, _one_of(values))
        lowered["minimum"] = max(min(values), lowered.get("minimum", min(values)))
        lowered["maximum"] = min(max(values), lowered.get("maximum", max(values)))


def _alternatives(branches: list[JsonObject]) -> JsonObject:
    distinct = [branch for place, branch in enumerate(branches) if branch not in branches[:place]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct} if distinct else {"type": "string"}


def _note(lowered: JsonObject, sentence: str) -> None:
    lowered["description"] = _sentences(lowered.get("description", ""), sentence)
