"""The functions of a request: their names, their declarations, and the arguments that a model gives them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2s
from operator import attrgetter
from typing import Any, Final, Literal

from gemway._capabilities import capabilities
from gemway._exceptions import ConfigurationError
from gemway._json import JsonMapping, JsonObject

_DESCRIPTION: Final = attrgetter("description")
_STAMPED: Final = "__gemway_stamped_schema__"
_LONGEST: Final = 64  # 128 in the current docs; 64 in older ones and for other providers' models


@lru_cache(maxsize=1024)
def sanitize_tool_name(name: str) -> str:
    """Return *name* if Gemini accepts it as a function name, else the nearest name that it accepts.

    A changed name ends in a hash of the original, so that two tools never end up with the same name.

    Raises:
        ConfigurationError: *name* is not text.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"the name of a tool must be text, not {type(name).__name__}")
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]*", name) and len(name) <= _LONGEST:
        return name
    # A hash of the whole original: cutting alone would give two long names the same beginning.
    digest = blake2s(name.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    legal = re.sub(r"[^A-Za-z0-9_.:-]+", "_", name).strip("_")
    if not re.match(r"[A-Za-z_]", legal):
        legal = f"tool_{legal}" if legal else "tool"
    return f"{legal[: _LONGEST - len(digest) - 1]}_{digest}"


# Declarations


def stamp_class(schema: object) -> tuple[object, ...]:
    """Return a value that changes when a pydantic class is changed in place.

    Programs patch descriptions, or add fields before `model_rebuild()`, which makes a new core schema. The value holds
    that schema's id, since a reference to the schema would keep the class alive.
    """
    # `model_rebuild()` drops the old schema before it makes the new one, which may then get the same id. So the class
    # itself keeps the schema that was stamped: both are collected together, and no other schema can have its id.
    fields = getattr(schema, "model_fields", None)
    if not isinstance(fields, Mapping):
        return getattr(schema, "__doc__", None), repr(fields)
    built = getattr(schema, "__pydantic_core_schema__", None)
    if isinstance(schema, type) and vars(schema).get(_STAMPED) is not built:
        setattr(schema, _STAMPED, built)
    return (schema.__doc__, id(built), *fields, *map(_DESCRIPTION, fields.values()))


def unique_declarations(tools: Sequence[object]) -> Sequence[Any]:
    """Return the wire's *tools* with each function declared once.

    Middleware and agents often add a tool that is already there, and Google answers 400 "Duplicate function
    declaration found". Equal declarations become one.

    Raises:
        ConfigurationError: two different functions have the same name.
    """
    first: dict[object, JsonMapping] = {}
    has_copies = False
    for tool in tools:
        for declaration in _declarations_of(tool):
            name = declaration.get("name")
            if name not in first:
                first[name] = declaration
                continue
            # Sending either of them would let the model call a tool that is described by the other.
            if first[name] != declaration:
                raise ConfigurationError(
                    f"two different tools are named {name!r}: one is described as {_quoted_description(first[name])}, the"
                    f" other as {_quoted_description(declaration)}; rename one of them"
                )
            has_copies = True
    return _without_copies(tools) if has_copies else tools


def _declarations_of(tool: object) -> Sequence[Any]:
    declared = tool.get("functionDeclarations") if isinstance(tool, Mapping) else None
    return declared if isinstance(declared, list | tuple) else ()


def _quoted_description(declaration: JsonMapping) -> str:
    text = str(declaration.get("description") or "")
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _without_copies(tools: Sequence[Any]) -> list[Any]:
    seen: set[object] = set()
    unique: list[Any] = []
    for tool in tools:
        declarations = _declarations_of(tool)
        if not declarations:
            unique.append(tool)
            continue
        new = []
        for declaration in declarations:
            if declaration.get("name") not in seen:
                new.append(declaration)
                seen.add(declaration.get("name"))
        others = {field: value for field, value in tool.items() if field != "functionDeclarations"}
        if new or others:
            unique.append({**others, "functionDeclarations": new} if new else others)
    return unique


# Results


_INSIDE_RESULTS: Final = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})


def split_result_media(
    media: Iterable[JsonObject], *, model: str, where: Literal["auto", "parts", "beside"] = "auto"
) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return which *media* of a tool's result go inside its functionResponse, and which follow it as parts of their own.

    *where* puts all of them in one place, for gateways that know better: `"parts"` inside, `"beside"` behind.

    From Gemini 3 on a functionResponse takes PNG, JPEG, WebP, PDF and plain text (ai.google.dev, Function calling,
    "Multimodal function responses"). Audio, video and every other type are parts of the same turn, as all media are
    for older models. A file whose type nobody named goes inside.
    """
    inside: list[JsonObject] = []
    behind: list[JsonObject] = []
    takes_media = where == "parts" or (where == "auto" and capabilities(model).function_response_parts)
    for part in media:
        kind = next((kind for kind in ("inlineData", "fileData") if kind in part), None)
        if takes_media and kind and (where == "parts" or _may_be_inside(part[kind])):
            inside.append({kind: part[kind]})  # modifiers such as mediaResolution have no place there
        else:
            behind.append(part)
    return inside, behind


def _may_be_inside(blob: JsonMapping) -> bool:
    mime_type = str(blob.get("mimeType") or "").partition(";")[0].strip().lower()
    return not mime_type or mime_type in _INSIDE_RESULTS


# Arguments


def restore_arguments(arguments: JsonObject, schema: JsonMapping | None) -> JsonObject:
    """Return the *arguments* of a call with the types that the tool's JSON Schema declares.

    Models and gateways blur two things that JSON Schema distinguishes. Integers arrive as `1.0`: JSON has one kind of
    number. Lists and objects arrive as JSON text, where the model wrote the value into a string
    (langchain-ai/langchain-google#1819). Both are undone wherever *schema* leaves no doubt: a float with a fraction,
    a text where text is allowed, and text that is not JSON of a declared type stay unchanged.
    """
    if not schema:
        return arguments
    try:
        restored = _ArgumentRestorer(schema).restore(arguments, [schema])
    except RecursionError:  # nested deeper than any tool's arguments
        return arguments
    return restored if isinstance(restored, type(arguments)) else arguments


class _ArgumentRestorer:
    """Restores values by a schema; its references point into *root*."""

    def __init__(self, root: JsonMapping) -> None:
        self._root = root

    def restore(self, value: object, schemas: Iterable[object]) -> object:
        """Return *value* with the types that any of *schemas* declares for it."""
        if isinstance(value, bool | int) or value is None:
            return value
        leaves = [leaf for schema in schemas for leaf in self._leaf_schemas(schema, frozenset())]
        if not leaves:
            return value
        if isinstance(value, str):
            value = _parse_json_text(value, leaves)
        if isinstance(value, float):
            is_whole = value.is_integer() and "integer" in (types := _types_of_leaves(leaves))
            return int(value) if is_whole and types.isdisjoint(_FRACTIONS) else value
        if isinstance(value, dict):
            # In a union of objects only the branch whose constants match may decide about the types of the members.
            fitting = [leaf for leaf in leaves if _matches_constants(leaf, value)]
            return {key: self.restore(item, _member_schemas(fitting, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.restore(item, _item_schemas(leaves, at)) for at, item in enumerate(value)]
        return value

    def _leaf_schemas(self, schema: object, entered: frozenset[str]) -> Iterator[JsonMapping]:
        """Yield the alternatives of *schema*, after following references and unions.

        A branch that allows anything yields an empty schema. If one is among the alternatives, nothing is certain.
        """
        if not isinstance(schema, Mapping):
            return
        pointer = schema.get("$ref")
        if isinstance(pointer, str) and pointer not in entered:
            yield from self._leaf_schemas(_resolve_pointer(self._root, pointer), entered | {pointer})
        for keyword in ("anyOf", "oneOf"):
            for branch in schema.get(keyword) or ():
                yield from self._leaf_schemas(branch, entered) if branch else ({},)
        for member in schema.get("allOf") or ():
            yield from (leaf for leaf in self._leaf_schemas(member, entered) if _types_of_leaf(leaf))
        if not _COMBINING.isdisjoint(schema) and not _types_of_leaf(schema):
            return
        yield schema


_COMBINING: Final = frozenset({"$ref", "anyOf", "oneOf", "allOf"})
_ANYTHING: Final = "anything"
_FRACTIONS: Final = frozenset({"number", _ANYTHING})
_JSON_TYPES: Final[dict[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


def _types_of_leaves(leaves: Iterable[JsonMapping]) -> set[str]:
    """Return the JSON types that *leaves* allow; `_ANYTHING` is among them if one leaf names no type."""
    return {word for leaf in leaves for word in _types_of_leaf(leaf) or (_ANYTHING,)}


def _types_of_leaf(leaf: JsonMapping) -> Iterable[str]:
    declared = leaf.get("type")
    if isinstance(declared, str):
        return (declared.lower(),)  # Google's own Schema spells them in capitals
    if isinstance(declared, list | tuple):
        return [str(word).lower() for word in declared]
    values = leaf["enum"] if isinstance(leaf.get("enum"), list) else [leaf["const"]] if "const" in leaf else ()
    if values:
        return {_JSON_TYPES.get(type(value), _ANYTHING) for value in values}
    if "properties" in leaf or "additionalProperties" in leaf:
        return ("object",)
    return ("array",) if "items" in leaf or "prefixItems" in leaf else ()


def _parse_json_text(text: str, leaves: list[JsonMapping]) -> object:
    """Return the list or object that *text* spells where one is declared and text is not, else the text."""
    types = _types_of_leaves(leaves)
    # Where text is allowed, `"[1]"` may be meant as text, so it must not become a list.
    if "string" in types or _ANYTHING in types:
        return text
    if not any(word in types and text.lstrip()[:1] == opening for word, opening in _OPENINGS.items()):
        return text
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


_OPENINGS: Final = {"array": "[", "object": "{"}


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is not JSON")


def _matches_constants(leaf: JsonMapping, value: JsonMapping) -> bool:
    """Whether *value* may be of this branch of a union: its discriminating constants are the branch's own."""
    properties = leaf.get("properties")
    if not isinstance(properties, Mapping):
        return True
    for name, schema in properties.items():
        if isinstance(schema, Mapping) and "const" in schema and name in value and value[name] != schema["const"]:
            return False
    return True


def _member_schemas(leaves: Iterable[JsonMapping], key: str) -> Iterator[object]:
    for leaf in leaves:
        properties = leaf.get("properties")
        if isinstance(properties, Mapping) and key in properties:
            yield properties[key]
            continue
        patterns = leaf.get("patternProperties")
        matching = [one for pattern, one in patterns.items() if _matches_pattern(pattern, key)] if patterns else []
        yield from matching or [leaf.get("additionalProperties")]


def _matches_pattern(pattern: Any, key: str) -> bool:
    try:
        return bool(re.search(pattern, key))
    except (re.error, TypeError):
        return False


def _item_schemas(leaves: Iterable[JsonMapping], at: int) -> Iterator[object]:
    for leaf in leaves:
        items = leaf.get("items")
        positions = items if isinstance(items, list | tuple) else leaf.get("prefixItems") or ()  # draft 7 and 2020-12
        if at < len(positions):
            yield positions[at]
        else:
            yield leaf.get("additionalItems") if isinstance(items, list | tuple) else items


def _resolve_pointer(root: JsonMapping, pointer: str) -> object:
    """Return the schema behind a reference such as `#/$defs/Name`, or None if it leads out of the schema."""
    target: Any = root
    for step in pointer.removeprefix("#").split("/")[1:]:
        if not isinstance(target, Mapping):
            return None
        target = target.get(step.replace("~1", "/").replace("~0", "~"))
    return target if pointer.startswith("#") else None
