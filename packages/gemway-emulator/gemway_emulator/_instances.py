"""Make the smallest instance of a JSON Schema (either dialect), filled with values of a text where it has them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gemway_emulator._pattern_text import matching
from gemway_emulator._values import FORMATS, Values

Json = dict[str, Any]
_DEEPEST = 6
_MOST_ITEMS = 10
_FORMAT_IN_WORDS = re.compile(r"\bFormat:\s*([\w-]+)", re.IGNORECASE)


def instance(schema: Json, text: str) -> Any:
    """Return a value that is valid for *schema*; the values of *text* go where they fit.

    Only required properties are made, and those that *text* names as `key: value`. A schema that requires none gets all.
    """
    return _Maker(schema, Values(text)).make(schema, "", 0)


class _Maker:
    """One instance in the making: the root schema for references, and the values not used yet."""

    def __init__(self, root: Json, values: Values) -> None:
        self._root = root
        self._values = values
        self._makers: dict[str, Callable[[Json, str, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
            "boolean": self._boolean,
            "null": lambda schema, key, depth: None,
        }

    def make(self, schema: Any, key: str, depth: int) -> Any:
        """A value for *schema*, which describes the field *key*."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            paired = self._values.pair(key)
            return paired if paired in options else (self._values.mentioned(options) or options)[0]
        return self._makers[_kind(schema)](schema, key, depth)

    def _resolved(self, schema: Any) -> Json:
        """Follow references, merge allOf, and choose an alternative of anyOf or oneOf."""
        found: Json = schema if isinstance(schema, dict) else {}
        for _ in range(20):
            if ref := found.get("$ref") or found.get("ref"):
                found = {**self._referenced(ref), **{k: v for k, v in found.items() if k not in ("$ref", "ref")}}
            elif options := found.get("anyOf") or found.get("oneOf"):
                rest = {name: value for name, value in found.items() if name not in ("anyOf", "oneOf")}
                found = {**rest, **self._alternative(options)}
            elif parts := found.get("allOf"):
                rest = {name: value for name, value in found.items() if name != "allOf"}
                found = _merged(rest, [self._resolved(part) for part in parts])
            else:
                break
        return _with_format(found)

    def _alternative(self, options: list[Any]) -> Json:
        """The alternative whose constant or title the text mentions, else the first that is not null."""
        real = [option for option in options if isinstance(option, dict) and _kind(option) != "null"]
        labels = {index: label for index, option in enumerate(real) if (label := self._label(option)) is not None}
        chosen = next(iter(self._values.mentioned([*labels.values()])), None)
        return next(
            (real[index] for index, label in labels.items() if label == chosen), (real or [{"type": "null"}])[0]
        )

    def _label(self, option: Json) -> str | None:
        ref = option.get("$ref") or option.get("ref")
        target = self._referenced(ref) if ref else option
        consts = [p["const"] for p in (target.get("properties") or {}).values() if isinstance(p, dict) and "const" in p]
        label = next(iter(consts), None) or target.get("title") or (ref.rsplit("/", 1)[-1] if ref else None)
        return None if label is None else str(label)

    def _referenced(self, ref: str) -> Json:
        target: Any = self._root
        for step in ref.lstrip("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) else None
        return target if isinstance(target, dict) else {}

    def _object(self, schema: Json, key: str, depth: int) -> Json:
        properties = schema.get("properties") or {}
        required = schema.get("required") or ([] if depth >= _DEEPEST else _plain(properties))
        order = dict.fromkeys([*(schema.get("propertyOrdering") or []), *properties, *required])
        extra, made = schema.get("additionalProperties"), {}
        for name in order:
            if name in required:
                made[name] = self._required(properties.get(name, extra), name, depth)
            elif depth < _DEEPEST and name in properties and self._is_said(name, properties[name]):
                made[name] = self.make(properties[name], name, depth + 1)
        least = schema.get("minProperties") or 0
        spare = [name for name in properties if name not in made] + [f"key{number + 1}" for number in range(least)]
        for name in spare[: max(least - len(made), 0)]:
            made[name] = self.make(properties.get(name, extra), name, depth + 1)
        return made

    def _is_said(self, name: str, schema: Any) -> bool:
        """Whether the text has a value for an optional property."""
        options = self._resolved(schema).get("enum") or []
        return self._values.pair(name) is not None or bool(self._values.mentioned(options))

    def _required(self, schema: Any, name: str, depth: int) -> Any:
        """A value; null where it may be and the schema calls itself too deep, or where nothing names a nullable field."""
        if _admits_null(schema) and (depth >= _DEEPEST or self._values.pair(name) is None):
            return None
        return self.make(schema, name, depth + 1)

    def _array(self, schema: Json, key: str, depth: int) -> list[Any]:
        if prefix := schema.get("prefixItems"):
            return [self.make(item, key, depth + 1) for item in prefix]
        low, high = schema.get("minItems") or 0, schema.get("maxItems")
        high = _MOST_ITEMS if high is None else high
        item = self._resolved(schema.get("items"))
        texts = self._values.listing(key) if _kind(item) == "string" and not item.keys() & {"pattern", "format"} else []
        if options := item.get("enum"):
            found: list[Any] = [text for text in texts if text in options]
        else:
            found = [_fitted(text, item) for text in texts]
        wanted = max(low, 0 if depth >= _DEEPEST else min(1, high))
        while len(found) < wanted:
            found.append(self._another(item, key, depth, found if schema.get("uniqueItems") else []))
        return found[: max(high, low)]

    def _another(self, item: Json, key: str, depth: int, taken: list[Any]) -> Any:
        """One more item, other than those *taken*."""
        value = self.make(item, key, depth + 1)
        if value not in taken:
            return value
        if isinstance(value, str) and "enum" not in item:
            return _fitted(f"{value} {len(taken) + 1}", item)
        if isinstance(value, (int, float)) and "enum" not in item:
            return value + len(taken)
        return next((option for option in item.get("enum") or [] if option not in taken), value)

    def _string(self, schema: Json, key: str, depth: int) -> str:
        if pattern := schema.get("pattern"):
            candidates = [self._values.pair(key) or "", *self._values.quoted, matching(pattern) or ""]
            return next((text for text in candidates if re.search(pattern, text)), "")
        form = str(schema.get("format") or "").lower()
        return self._values.of_format(form, key) if form in FORMATS else _fitted(self._values.string(key), schema)

    def _number(self, schema: Json, key: str, depth: int) -> Any:
        integer = _kind(schema) == "integer"
        low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
        value = self._values.number(key, integer=integer, low=low, high=high)
        value = _default(schema, low, high) if value is None else value
        return int(value) if integer else value

    def _boolean(self, schema: Json, key: str, depth: int) -> bool:
        paired = (self._values.pair(key) or str(schema.get("default", True))).lower()
        return paired not in ("false", "no", "off", "0")


def _plain(properties: Json) -> list[str]:
    """The names of the properties that have neither a default nor null as a value."""
    return [
        name
        for name, value in properties.items()
        if not _admits_null(value) and "default" not in (value or {"default"})
    ]


def _kind(schema: Json) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if str(name).lower() != "null"), "null")
    if kind:
        return str(kind).lower() if str(kind).lower() != "type_unspecified" else "string"
    if "properties" in schema or "additionalProperties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "integer" if "minimum" in schema or "maximum" in schema else "string"


def _with_format(schema: Json) -> Json:
    """*schema* with the format that its description names: clients put what Google refuses into words (`Format: uuid.`)."""
    if "format" in schema or _kind(schema) != "string":
        return schema
    found = _FORMAT_IN_WORDS.search(str(schema.get("description") or ""))
    return {**schema, "format": found.group(1)} if found and found.group(1).lower() in FORMATS else schema


def _admits_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    listed = isinstance(kind, list) and "null" in [str(name).lower() for name in kind]
    options = schema.get("anyOf") or schema.get("oneOf") or []
    return bool(schema.get("nullable")) or listed or any(isinstance(o, dict) and _kind(o) == "null" for o in options)


def _merged(schema: Json, parts: list[Json]) -> Json:
    whole: Json = {name: value for part in (*parts, schema) for name, value in part.items()}
    if found := [part["properties"] for part in (*parts, schema) if "properties" in part]:
        whole["properties"] = {name: value for properties in found for name, value in properties.items()}
        whole["required"] = [name for part in (*parts, schema) for name in part.get("required") or []]
    return whole


def _default(schema: Json, low: float, high: float) -> float:
    """The declared default if it fits, else the number nearest to 1."""
    default = schema.get("default")
    if isinstance(default, (int, float)) and not isinstance(default, bool) and low <= default <= high:
        return default
    return min(max(1, low), high)


def _fitted(text: str, schema: Json) -> str:
    """*text*, cut or padded to the length that *schema* asks for."""
    high, low = schema.get("maxLength"), schema.get("minLength") or 0
    text = text if high is None else text[:high]
    return text if len(text) >= low else (text + "." * low)[:low]
