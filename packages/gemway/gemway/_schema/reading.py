"""Read any JSON Schema, whatever its draft, into the `json_schema` dialect. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from gemway._json import JsonMapping, JsonObject
from gemway._schema.normalising import (
    INLINED,
    KEYWORD_SENTENCES,
    NOTES,
    compact,
    description_of,
    intersection,
    join_descriptions,
    normalised,
    refuses_nothing,
    sentences,
    split_by_type,
    take_notes,
    types_of,
)

_DEEPEST: Final = 4  # nested references that are replaced by their targets


def read(schema: JsonMapping) -> JsonObject:
    """Return a copy of *schema* in the words of the `json_schema` dialect."""
    return _SchemaReader(schema).read()


class _SchemaReader:
    """Reads one schema with all it refers to. Each definition is read once, when something refers to it."""

    def __init__(self, schema: JsonMapping) -> None:
        self._root = schema
        self._names: dict[str, str] = {}  # pointer as written -> name in $defs
        self._targets: JsonObject = {}  # name in $defs -> target
        self._flat: dict[str, JsonObject] = {}
        self._inside: frozenset[str] = frozenset()
        self._index: JsonObject | None = None

    def read(self) -> JsonObject:
        # Definitions are converted when something refers to them: unused ones would only cost tokens.
        root = self._convert_schema(self._root)
        definitions: dict[str, JsonObject] = {}
        while len(definitions) < len(self._targets):
            for name in list(self._targets)[len(definitions) :]:
                definitions[name] = self._convert_schema(self._targets[name])
        root = resolve_root(root, definitions)
        break_required_loops(definitions)
        if used := reachable(root, definitions):
            root["$defs"] = used
        return root

    def _convert_schema(self, schema: object) -> JsonObject:
        """Return one schema, with all below it, in the dialect's words."""
        node = split_by_type(self._without_all_of(normalised(schema)))
        outside, self._inside = self._inside, self._inside | node.pop(INLINED, frozenset())
        converted: JsonObject = {}
        for keyword, value in node.items():
            if describe := KEYWORD_SENTENCES.get(keyword):
                take_notes(node, *describe(value))
            elif convert := _CONVERT.get(keyword):
                converted[keyword] = convert(self, value)
        self._inside = outside
        _set_inclusive_bounds(node, converted)
        _set_text_rules(node, converted)
        if description := description_of(node):
            converted["description"] = description
        if "array" in types_of(converted) and "prefixItems" not in converted:
            converted.setdefault("items", {})  # a list without items is refused
        return isolate_references(converted)

    # -- references

    def _local_reference(self, pointer: str) -> str:
        """Return the reference in the form `#/$defs/Name`."""
        name = self._names.get(pointer)
        if name is None:
            name = self._names[pointer] = self._free_definition_name(pointer)
            self._targets[name] = self._resolve_pointer(pointer)
        return f"#/$defs/{name}"

    def _free_definition_name(self, pointer: str) -> str:
        # Generators write `#/components/schemas/Pet` or `#/$defs/a.b[int]`; Google's references take plain names only.
        last = unquote(pointer).rsplit("/", 1)[-1].lstrip("#")
        name = legal = re.sub(r"[^A-Za-z0-9_.-]+", "_", last.replace("~1", "_").replace("~0", "_")) or "Root"
        number = 2
        while name in self._targets:
            name, number = f"{legal}_{number}", number + 1
        return name

    def _resolve_pointer(self, pointer: str) -> Any:
        """Return the target of *pointer*, or `{}` (anything goes) if it is not in this document."""
        if pointer == "#" or pointer.startswith("#/"):
            target = self._root
            for step in pointer.split("/")[1:]:
                target = _child_schema_at(target, unquote(step).replace("~1", "/").replace("~0", "~"))
            if target is not None:
                return target
        # Searched only if the path leads nowhere: anchors and ids are rare, and the search visits the whole schema.
        if self._index is None:
            self._index = dict(_named_schemas(self._root))
        return self._index.get(pointer, self._index.get(pointer.rsplit("/", 1)[-1], {}))

    # -- allOf

    def _without_all_of(self, node: JsonObject) -> JsonObject:
        """Return *node* without `allOf`: Gemini has no word for it."""
        # Pydantic and OpenAPI generators write inheritance and descriptions of references as `allOf`.
        members = [normalised(member) for member in node.pop("allOf", ())]
        if "$ref" in node and (members or "anyOf" in node):
            members.append({NOTES: (), "$ref": node.pop("$ref")})
        for member in members:
            node = self._merge_member(node, self._without_all_of(member), alone=len(members) == 1)
        return node

    def _merge_member(self, node: JsonObject, member: JsonObject, *, alone: bool) -> JsonObject:
        """Return both schemas as one. References are replaced by their targets, unless one stands alone."""
        if "$ref" not in member or (alone and refuses_nothing(node)):
            return intersection(node, member)
        pointer = member.pop("$ref")
        target = self._inline_target(pointer)
        if target is not None:
            return intersection(intersection(node, member), target)
        if "anyOf" in node or "$ref" in node:
            return intersection(node, {**member, NOTES: (*member[NOTES], f"Also matches {pointer}.")})
        return {**intersection(node, member), "$ref": pointer}

    def _inline_target(self, pointer: str) -> JsonObject | None:
        """Return the target of *pointer* without `allOf`, or None if nested schemas would never end."""
        # A schema that includes itself has no finite form; beyond a few levels the reference itself must do.
        if pointer in self._inside or len(self._inside) >= _DEEPEST:
            return None
        if pointer not in self._flat:
            self._flat[pointer] = normalised({})  # until it is known: a schema that includes itself adds nothing
            target = self._without_all_of(normalised(self._resolve_pointer(pointer)))
            if "$ref" in target:
                target = self._merge_member({NOTES: ()}, target, alone=False)
            self._flat[pointer] = {**target, INLINED: target.get(INLINED, frozenset()) | {pointer}}
        return dict(self._flat[pointer])


def _child_schema_at(node: object, step: str) -> Any:
    if isinstance(node, Mapping):
        return node.get(step)
    if isinstance(node, list) and step.isdigit() and int(step) < len(node):
        return node[int(step)]
    return None


def _named_schemas(node: object) -> Iterator[tuple[str, Any]]:
    """Yield targets of references that are no path from the root: anchors, ids, and nested definitions."""
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


def _set_inclusive_bounds(node: JsonObject, converted: JsonObject) -> None:
    """Turn exclusive bounds into inclusive ones: the next integer, or the bound itself and a note."""
    whole = set(types_of(node)) - {"null"} == {"integer"}
    for exclusive, inclusive, tighter, following, word in _EXCLUSIVE:
        bound = node.get(exclusive)
        if not isinstance(bound, int | float) or not math.isfinite(bound):
            continue
        # Gemini has inclusive bounds only. For integers the next one is exact; for numbers a sentence adds the rest.
        if not whole:
            take_notes(node, f"{word} than {compact(bound)}.")
        limit = following(bound) if whole else bound
        converted[inclusive] = tighter(limit, converted.get(inclusive, limit))


_EXCLUSIVE: Final[tuple[tuple[str, str, Callable[..., Any], Callable[[float], int], str], ...]] = (
    ("exclusiveMinimum", "minimum", max, lambda bound: math.floor(bound) + 1, "Greater"),
    ("exclusiveMaximum", "maximum", min, lambda bound: math.ceil(bound) - 1, "Less"),
)

# Google's constrained decoding reads RE2, which has no look-around and no back references.
_BEYOND_RE2: Final = r"\(\?(?:[=!>]|<[=!])|\\[1-9]|\\k<"
_FORMATS: Final = {"date-time", "date", "time", "int32", "int64", "float", "double"}


def _set_text_rules(node: JsonObject, converted: JsonObject) -> None:
    """Keep the patterns and formats that Gemini reads, and describe the others."""
    # An unknown format is a 400, and so is a pattern that RE2 cannot compile.
    pattern, form = node.get("pattern"), node.get("format")
    if isinstance(pattern, str) and re.search(_BEYOND_RE2, pattern):
        take_notes(node, f"Matches the regular expression {pattern}")
    elif isinstance(pattern, str):
        converted["pattern"] = pattern
    if form in _FORMATS:
        converted["format"] = form
    elif isinstance(form, str) and form != "enum":
        take_notes(node, f"Format: {form}.")


_CONVERT: Final[dict[str, Callable[[_SchemaReader, Any], Any]]] = {
    **dict.fromkeys(
        (
            *("type", "enum", "required", "minimum", "maximum", "minLength", "maxLength"),
            *("minItems", "maxItems", "minProperties", "maxProperties"),
        ),
        lambda _, value: value,
    ),
    "$ref": lambda reader, pointer: reader._local_reference(pointer),
    "properties": lambda reader, schemas: {name: reader._convert_schema(schema) for name, schema in schemas.items()},
    "additionalProperties": lambda reader, schema: (
        schema if isinstance(schema, bool) else reader._convert_schema(schema)
    ),
    "items": _SchemaReader._convert_schema,
    **dict.fromkeys(
        ("prefixItems", "anyOf"), lambda reader, schemas: [reader._convert_schema(schema) for schema in schemas]
    ),
    "propertyOrdering": lambda _, names: list(names),
}


# References inside a schema that is read: which ones are needed, and which ones Google refuses


def resolve_root(root: JsonObject, definitions: Mapping[str, JsonObject]) -> JsonObject:
    """Return *root* as an object, not as a reference to one: the parameters of a function must be an object."""
    seen: set[str] = set()
    while name := _definition_behind(root):
        description = root.get("description", "")
        root = {} if name in seen else dict(definitions[name])  # a reference to itself allows anything
        seen.add(name)
        if description:
            root["description"] = join_descriptions(description, root.get("description", ""))
    return root


def _definition_behind(node: JsonObject) -> str | None:
    """Return the definition that *node* is, apart from its description."""
    if node.keys() <= {"anyOf", "description"} and len(node.get("anyOf", ())) == 1:
        node = node["anyOf"][0]
    return target_of(node["$ref"]) if "$ref" in node else None


def reachable(root: JsonObject, definitions: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
    """Return the definitions that *root* refers to, directly or not."""
    used: dict[str, JsonObject] = {}
    pending = [root]
    while pending:
        node = pending.pop()
        name = target_of(node.get("$ref", ""))
        if name and name not in used:
            used[name] = definitions[name]
            pending.append(used[name])
        pending += children_of(node)
    return {name: used[name] for name in definitions if name in used}


def break_required_loops(definitions: Mapping[str, JsonObject]) -> None:
    """Make the properties optional that close a loop of required ones, and note that in the description.

    Google answers 400 "ref loops are only supported if they include optional or nullable property values, or a
    potentially-zero-length array items" (quoted in juspay/juspay-mcp#132).
    """
    entered: set[str] = set()
    finished: set[str] = set()

    def visit(name: str, last_owner: JsonObject | None, last_key: str) -> None:
        entered.add(name)
        for target, owner, key in _unavoidable_references(definitions[name], last_owner, last_key):
            if target not in entered:
                visit(target, owner, key)
            elif target not in finished and owner is not None:
                _make_optional(owner, key)
        finished.add(name)

    for name in definitions:
        if name not in entered:
            visit(name, None, "")


def _unavoidable_references(
    node: JsonObject, owner: JsonObject | None, key: str
) -> Iterator[tuple[str, JsonObject | None, str]]:
    """Yield the references that every value follows, each with the object and the required property it hangs on."""
    if "$ref" in node:
        yield target_of(node["$ref"]), owner, key
    branches = node.get("anyOf", ())
    if "null" in types_of(node) or {"type": "null"} in branches:
        return
    for branch in branches:
        yield from _unavoidable_references(branch, owner, key)
    for name in node.get("required", ()):
        yield from _unavoidable_references(node["properties"][name], node, name)
    if node.get("minItems", 0) > 0:
        for item in (*node.get("prefixItems", ()), node.get("items", {})):
            yield from _unavoidable_references(item, owner, key)


def _make_optional(owner: JsonObject, key: str) -> None:
    owner["required"] = [name for name in owner["required"] if name != key]
    if not owner["required"]:
        del owner["required"]
    child = dict(owner["properties"][key])
    child["description"] = sentences(child.get("description", ""), "Always given.")
    owner["properties"][key] = isolate_references(child)


def isolate_references(converted: JsonObject) -> JsonObject:
    """Move a reference into an `anyOf` of its own: next to `$ref` Google allows no other keyword."""
    if "$ref" not in converted or len(converted) == 1:
        return converted
    reference = {"$ref": converted.pop("$ref")}
    return converted if "anyOf" in converted else {"anyOf": [reference], **converted}


def children_of(node: JsonObject) -> Iterator[JsonObject]:
    """Yield the schemas right inside *node*."""
    yield from node.get("properties", {}).values()
    yield from node.get("anyOf", ())
    yield from node.get("prefixItems", ())
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            yield node[keyword]


def target_of(reference: str) -> str:
    """Return the name of the definition that *reference* stands for."""
    return reference.removeprefix("#/$defs/")
