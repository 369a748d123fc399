"""Make the smallest instance of a JSON Schema (either dialect), filled with values of a text where it has them. Pure."""

from __future__ import annotations

import re
from typing import Any

from gemway_emulator._pattern_text import matching
from gemway_emulator._values import FORMATS, Values

Json = dict[str, Any]
_DEEPEST = 6
_ENDLESS = 30  # a schema that requires itself again and again has no instance
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
        self._root, self._values = root, values

    def make(self, schema: Any, key: str, depth: int) -> Any:
        """A value for *schema*, which describes the field *key*."""
        if depth > _ENDLESS:
            return None
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            paired = self._values.pair(key)
            return paired if paired in options else (self._values.mentioned(options) or options)[0]
        kind = _type_of(schema)
        if kind in ("object", "array"):
            return self._make_object(schema, depth) if kind == "object" else self._make_array(schema, key, depth)
        if kind in ("integer", "number"):
            return self._make_number(schema, key, is_integer=kind == "integer")
        if kind == "boolean":
            paired = (self._values.pair(key) or str(schema.get("default", True))).lower()
            return paired not in ("false", "no", "off", "0")
        return None if kind == "null" else self._make_string(schema, key)

    def _resolved(self, schema: Any) -> Json:
        """Follow references, and choose an alternative of anyOf or oneOf."""
        resolved: Json = schema if isinstance(schema, dict) else {}
        for _ in range(20):
            if ref := resolved.get("$ref") or resolved.get("ref"):
                resolved = {**self._referenced(ref), **_without(resolved, "$ref", "ref")}
            elif options := resolved.get("anyOf") or resolved.get("oneOf"):
                resolved = {**_without(resolved, "anyOf", "oneOf"), **self._alternative(options)}
            else:
                break
        # Clients put formats that Google refuses into words (`Format: uuid.`).
        described = _FORMAT_IN_WORDS.search(str(resolved.get("description") or ""))
        if (
            described
            and "format" not in resolved
            and _type_of(resolved) == "string"
            and described[1].lower() in FORMATS
        ):
            return {**resolved, "format": described[1]}
        return resolved

    def _alternative(self, options: list[Any]) -> Json:
        """The alternative whose constant or title the text mentions, else the first that is not null."""
        real = [option for option in options if isinstance(option, dict) and _type_of(option) != "null"]
        labels = {label: option for option in reversed(real) if (label := self._label_of(option)) is not None}
        for label in self._values.mentioned([*reversed(labels)]):
            return labels[label]
        return real[0] if real else {"type": "null"}

    def _label_of(self, option: Json) -> str | None:
        ref = option.get("$ref") or option.get("ref")
        target = self._referenced(ref) if ref else option
        consts = [p["const"] for p in (target.get("properties") or {}).values() if isinstance(p, dict) and "const" in p]
        label = next(iter(consts), None) or target.get("title") or (ref.rsplit("/", 1)[-1] if ref else None)
        return None if label is None else str(label)

    def _referenced(self, ref: str) -> Json:
        target: Any = self._root
        for step in ref.lstrip("#/").split("/"):
            target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
        return target if isinstance(target, dict) else {}

    def _make_object(self, schema: Json, depth: int) -> Json:
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        described = {name: value for name, value in properties.items() if value and isinstance(value, dict)}
        plain = [name for name, value in described.items() if not _admits_null(value) and "default" not in value]
        required = schema.get("required") or ([] if depth >= _DEEPEST else plain)
        made: Json = {}
        for name in dict.fromkeys([*(schema.get("propertyOrdering") or []), *properties, *required]):
            value, is_deep = properties.get(name, extra), depth >= _DEEPEST
            if name in required:
                # Null where the schema goes on without an end, or where no value is named for a field that may be null.
                is_null = _admits_null(value) and (is_deep or self._values.pair(name) is None)
                made[name] = None if is_null else self.make(value, name, depth + 1)
            elif not is_deep and name in properties and self._has_value_for(name, value):
                made[name] = self.make(value, name, depth + 1)
        least = schema.get("minProperties") or 0
        spare = [name for name in properties if name not in made] + [f"key{number + 1}" for number in range(least)]
        for name in spare[: max(least - len(made), 0)]:
            made[name] = self.make(properties.get(name, extra), name, depth + 1)
        return made

    def _has_value_for(self, name: str, schema: Any) -> bool:
        return self._values.pair(name) is not None or bool(
            self._values.mentioned(self._resolved(schema).get("enum") or [])
        )

    def _make_array(self, schema: Json, key: str, depth: int) -> list[Any]:
        if prefix := schema.get("prefixItems"):
            return [self.make(item, key, depth + 1) for item in prefix]
        item, low, high = self._resolved(schema.get("items")), schema.get("minItems") or 0, schema.get("maxItems")
        high = _MOST_ITEMS if high is None else high
        made: list[Any] = []
        if _type_of(item) == "string" and not item.keys() & {"pattern", "format"}:
            options = item.get("enum")
            made = [_fit_length(text, item) for text in self._values.listing(key) if not options or text in options]
        while len(made) < max(low, 0 if depth >= _DEEPEST else min(1, high)):
            made.append(self._make_another(item, key, depth, made if schema.get("uniqueItems") else []))
        return made[: max(high, low)]

    def _make_another(self, item: Json, key: str, depth: int, taken: list[Any]) -> Any:
        """One more item, other than those *taken*."""
        value = self.make(item, key, depth + 1)
        if value not in taken:
            return value
        if "enum" in item:
            return next((option for option in item["enum"] if option not in taken), value)
        if isinstance(value, str):
            return _fit_length(f"{value} {len(taken) + 1}", item)
        return value + len(taken) if isinstance(value, (int, float)) else value

    def _make_string(self, schema: Json, key: str) -> str:
        if pattern := schema.get("pattern"):
            candidates = [self._values.pair(key) or "", *self._values.quoted, matching(pattern) or ""]
            return next((text for text in candidates if re.search(pattern, text)), "")
        form = str(schema.get("format") or "").lower()
        return self._values.of_format(form, key) if form in FORMATS else _fit_length(self._values.string(key), schema)

    def _make_number(self, schema: Json, key: str, *, is_integer: bool) -> float:
        low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
        value = self._values.number(key, integer=is_integer, low=low, high=high)
        if value is None:
            default = schema.get("default")
            is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
            value = min(max(default if is_number else 1, low), high)
        return int(value) if is_integer else value


def _type_of(schema: Json) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if str(name).lower() != "null"), "null")
    if kind:
        return str(kind).lower() if str(kind).lower() != "type_unspecified" else "string"
    if schema.keys() & {"properties", "additionalProperties", "required"}:
        return "object"
    if schema.keys() & {"items", "prefixItems"}:
        return "array"
    return "integer" if schema.keys() & {"minimum", "maximum"} else "string"


def _admits_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kinds = schema["type"] if isinstance(schema.get("type"), list) else []
    options = schema.get("anyOf") or schema.get("oneOf") or []
    return (
        bool(schema.get("nullable"))
        or "null" in [str(kind).lower() for kind in kinds]
        or any(isinstance(option, dict) and _type_of(option) == "null" for option in options)
    )


def _without(schema: Json, *names: str) -> Json:
    return {name: value for name, value in schema.items() if name not in names}


def _fit_length(text: str, schema: Json) -> str:
    """*text*, cut or padded to the length that *schema* asks for."""
    high, low = schema.get("maxLength"), schema.get("minLength") or 0
    text = text if high is None else text[:high]
    return text if len(text) >= low else (text + "." * low)[:low]
