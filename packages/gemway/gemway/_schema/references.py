"""References inside a schema that is read: which ones are needed, and which ones Google refuses. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gemway._json_objects import JsonObject
from gemway._schema.json_types import types_of
from gemway._schema.notes import joined, sentences


def spelled_out(root: JsonObject, definitions: Mapping[str, JsonObject]) -> JsonObject:
    """Return *root* as an object, not as a reference to one: the parameters of a function must be an object."""
    seen: set[str] = set()
    while name := _referred(root):
        description = root.get("description", "")
        root = {} if name in seen else dict(definitions[name])  # a reference to itself says nothing
        seen.add(name)
        if description:
            root["description"] = joined(description, root.get("description", ""))
    return root


def _referred(node: JsonObject) -> str | None:
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
        yield target_of(node["$ref"]), owner, key
    branches = node.get("anyOf", ())
    if "null" in types_of(node) or {"type": "null"} in branches:
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
    child["description"] = sentences(child.get("description", ""), "Always given.")
    owner["properties"][key] = with_refs_alone(child)


def with_refs_alone(converted: JsonObject) -> JsonObject:
    """Move a reference into an `anyOf` of its own: beside `$ref` no other keyword may stand."""
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
