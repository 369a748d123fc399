"""Make an instance of a JSON Schema (either dialect), with values taken from a prompt where it has them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gemway_emulator._hints import Hints
from gemway_emulator._language import grounded, words
from gemway_emulator._pattern_text import matching

Json = dict[str, Any]
_DEEPEST = 6
_MOST_ITEMS = 10
_MISSING = object()
# Fields that want a sentence, not a value.
_SPOKEN = {"answer", "response", "summary", "output", "reply", "result"}
_EXPLAINED = {"explanation", "reason", "reasoning", "description", "justification"}

_FORMAT_DEFAULTS = {
    "date-time": "2026-01-15T09:30:00Z",
    "date": "2026-01-15",
    "time": "09:30:00Z",
    "email": "person@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "3f2b8c4e-9d1a-4b7c-8e6f-0a1b2c3d4e5f",
    **{f"uuid{version}": f"3f2b8c4e-9d1a-{version}b7c-8e6f-0a1b2c3d4e5f" for version in range(1, 9)},
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.com",
    "duration": "PT1H",
    "byte": "ZXhhbXBsZQ==",
}
_TOLD_FORMAT = re.compile(r"\bFormat:\s*([\w-]+)", re.IGNORECASE)


def instance(schema: Json, text: str, background: str = "") -> Any:
    """Return a value that is valid for *schema*; the words and numbers of *text* go where they fit.

    Fields that want a sentence (`answer`, `summary`) get the one of *text*, or else of *background*, that answers *text*.
    """
    return _Maker(schema, Hints(text), background).make(schema, "", 0)


class _Maker:
    """One instance in the making: the root schema for references and the values not used yet."""

    def __init__(self, root: Json, hints: Hints, background: str) -> None:
        self._root = root
        self._hints = hints
        self._background = background
        self._makers: dict[str, Callable[[Json, str, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
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
            found = self._hints.choice(options)
            return options[0] if found is None else found
        return self._makers[_kind(schema)](schema, key, depth)

    def _resolved(self, schema: Any) -> Json:
        """Follow references, merge allOf, and choose an alternative of anyOf/oneOf."""
        found: Json = schema if isinstance(schema, dict) else {}
        for _ in range(20):
            if ref := found.get("$ref") or found.get("ref"):
                found = {**self._referenced(ref), **{k: v for k, v in found.items() if k not in ("$ref", "ref")}}
            elif options := found.get("anyOf") or found.get("oneOf"):
                rest = {name: value for name, value in found.items() if name not in ("anyOf", "oneOf")}
                found = {**rest, **self._alternative(options)}
            elif parts := found.get("allOf"):
                found = _merged(
                    {k: v for k, v in found.items() if k != "allOf"}, [self._resolved(part) for part in parts]
                )
            else:
                break
        return _with_told_format(found)

    def _alternative(self, options: list[Any]) -> Json:
        real = [option for option in options if isinstance(option, dict) and _kind(option) != "null"]
        said = [option for option in real if self._is_said(self._named(option))]
        return (said or real or [{"type": "null"}])[0]

    def _named(self, option: Json) -> Json:
        ref = option.get("$ref") or option.get("ref")
        return {**self._referenced(ref), "name": ref.rsplit("/", 1)[-1]} if ref else option

    def _is_said(self, option: Json) -> bool:
        consts = [p.get("const") for p in (option.get("properties") or {}).values() if isinstance(p, dict)]
        options = [*(option.get("enum") or []), *filter(None, [*consts, option.get("const")])]
        label = option.get("title") or option.get("name")
        return self._hints.choice([*options, *([label] if label else [])]) is not None

    def _referenced(self, ref: str) -> Json:
        target: Any = self._root
        for step in ref.lstrip("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) else None
        return target if isinstance(target, dict) else {}

    def _object(self, schema: Json, key: str, depth: int) -> Json:
        properties = schema.get("properties") or {}
        required = set(schema.get("required") or [])
        order = [name for name in schema.get("propertyOrdering") or [] if name in properties]
        made: Json = {}
        for name in dict.fromkeys([*order, *properties]):
            value = self._property(properties[name], name, depth, required=name in required)
            if value is not _MISSING:
                made[name] = value
        least, extra = schema.get("minProperties") or 0, schema.get("additionalProperties")
        missing = [name for name in schema.get("required") or [] if name not in made]
        spare = [name for name in properties if name not in made][: max(least - len(made) - len(missing), 0)]
        for name in (*missing, *spare):
            made[name] = self.make(properties.get(name, extra), name, depth + 1)
        while len(made) < least and extra is not False:
            made[f"key{len(made) + 1}"] = self.make(extra, "value", depth + 1)
        return made

    def _property(self, schema: Any, name: str, depth: int, *, required: bool) -> Any:
        resolved = self._resolved(schema)
        optional = not required and (_admits_null(schema) or (isinstance(schema, dict) and "default" in schema))
        if required and (depth < _DEEPEST or not _admits_null(schema)):
            return self.make(schema, name, depth + 1)
        if depth >= _DEEPEST // 2 and _kind(resolved) in ("object", "array"):
            return _MISSING
        if optional or not required:
            return self._if_said(resolved, name, depth, plain=not optional)
        return None

    def _if_said(self, schema: Json, name: str, depth: int, *, plain: bool) -> Any:
        """An optional field: filled when the prompt has a value for it, or when it is a small *plain* one."""
        kind = _kind(schema)
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            found = self._hints.choice(options)
            return _MISSING if found is None else found
        if kind == "string":
            said = self._said_string(schema, name)
            return _MISSING if said is None else said
        if kind in ("integer", "number"):
            low, high = _bounds(schema)
            value = self._hints.number(name, integer=kind == "integer", low=low, high=high)
            return _MISSING if value is None else _stepped(value, schema, low, high)
        return self.make(schema, name, depth + 1) if plain and kind in ("object", "array") else _MISSING

    def _array(self, schema: Json, key: str, depth: int) -> list[Any]:
        low = schema.get("minItems") or 0
        high = min(schema.get("maxItems") or _MOST_ITEMS, _MOST_ITEMS) if schema.get("maxItems") != 0 else 0
        if prefix := schema.get("prefixItems"):
            return [self.make(item, key, depth + 1) for item in prefix]
        item = self._resolved(schema.get("items"))
        if depth >= _DEEPEST:
            return [self.make(item, _singular(key), depth + 1) for _ in range(low)]
        values = self._items(item, key, depth, high)
        if schema.get("uniqueItems"):
            values = [value for index, value in enumerate(values) if value not in values[:index]]
        while len(values) < low:
            values.append(self._another(item, key, depth, values))
        return values[: max(high, low)]

    def _items(self, item: Json, key: str, depth: int, high: int) -> list[Any]:
        kind = _kind(item)
        if "const" in item:
            return [item["const"]]
        if options := item.get("enum"):
            return [option for option in options if self._hints.choice([option]) is not None][:high] or options[:1]
        if kind == "string" and not item.get("format") and not item.get("pattern"):
            found = self._hints.listing(key) or [self.make(item, _singular(key), depth + 1)]
            return [_fitted(text, item) for text in found[:high]]
        if kind in ("integer", "number"):
            return self._numbers(item, key, high)
        count = len(self._hints.names()) if kind == "object" and "name" in (item.get("properties") or {}) else 1
        return [self.make(item, _singular(key), depth + 1) for _ in range(max(1, min(count, high, 5)))][:high]

    def _numbers(self, item: Json, key: str, high: int) -> list[Any]:
        low_value, high_value = _bounds(item)
        integer = _kind(item) == "integer"
        found: list[Any] = []
        while len(found) < high:
            value = self._hints.number(key, integer=integer, low=low_value, high=high_value)
            if value is None:
                break
            found.append(_stepped(value, item, low_value, high_value))
        return found or [self.make(item, key, 0)]

    def _another(self, item: Json, key: str, depth: int, values: list[Any]) -> Any:
        value = self.make(item, _singular(key), depth + 1)
        if value in values and isinstance(value, str) and not item.keys() & {"enum", "const", "format", "pattern"}:
            value = _fitted(f"{value} {len(values) + 1}", item)
        options = item.get("enum") or []
        return next((option for option in options if option not in values), value)

    def _string(self, schema: Json, key: str, depth: int) -> str:
        form = (schema.get("format") or "").lower()
        said = self._said_string(schema, key)
        if said is not None:
            return said
        if pattern := schema.get("pattern"):
            return _matching(pattern, self._hints.text)
        if form in _FORMAT_DEFAULTS:
            return _FORMAT_DEFAULTS[form]
        if set(words(key)[-1:]) & _SPOKEN:
            return _fitted(grounded(self._hints.text, self._background), schema)
        if set(words(key)[-1:]) & _EXPLAINED:
            return _fitted(self._hints.text.strip() or key, schema)
        return _fitted(next(filter(None, (*self._hints.names(), self._hints.topic(), key)), "text"), schema)

    def _said_string(self, schema: Json, key: str) -> str | None:
        form = (schema.get("format") or "").lower()
        if pattern := schema.get("pattern"):
            found = re.search(_unanchored(pattern), self._hints.text)
            return found.group() if found and re.search(pattern, found.group()) else None
        said = self._hints.string(key, form)
        if said is not None and form in ("date-time", "time"):
            said = _full_time(said)
        return None if said is None else _fitted(said, schema)

    def _integer(self, schema: Json, key: str, depth: int) -> Any:
        return self._numeric(schema, key, integer=True)

    def _number(self, schema: Json, key: str, depth: int) -> Any:
        return self._numeric(schema, key, integer=False)

    def _numeric(self, schema: Json, key: str, *, integer: bool) -> Any:
        low, high = _bounds(schema)
        said = self._hints.number(key, integer=integer, low=low, high=high)
        value = _default(schema, low, high) if said is None else said
        value = _stepped(value, schema, low, high)
        return int(value) if integer else value

    def _boolean(self, schema: Json, key: str, depth: int) -> bool:
        name = re.escape(key.replace("_", " "))
        denied = re.search(
            rf"\b(?:not|no|never|without|isn't|is not|non)[ -]+(?:\w+ )?{name}|{name}\W+(?:false|no|off)\b",
            self._hints.text,
            re.I,
        )
        return not denied


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


def _with_told_format(schema: Json) -> Json:
    """*schema* with the format its description tells: clients put what Google refuses into words (`Format: uuid.`)."""
    if "format" in schema or _kind(schema) != "string":
        return schema
    told = _TOLD_FORMAT.search(str(schema.get("description") or ""))
    form = told.group(1).lower() if told else ""
    return {**schema, "format": form} if form in _FORMAT_DEFAULTS else schema


def _full_time(said: str) -> str:
    """A time of day, with or without its date, as RFC 3339 wants it: two-digit hours, seconds, an offset."""
    said = re.sub(r"^(?=\d:)", "0", said).replace(" ", "T")
    if re.search(r"(?:Z|[+-]\d\d:?\d\d)$", said):
        return said
    return said + ("Z" if said.count(":") == 2 else ":00Z")


def _admits_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    kind = schema.get("type")
    listed = isinstance(kind, list) and "null" in [str(name).lower() for name in kind]
    options = schema.get("anyOf") or schema.get("oneOf") or []
    return bool(schema.get("nullable")) or listed or any(isinstance(o, dict) and _kind(o) == "null" for o in options)


def _merged(schema: Json, parts: list[Json]) -> Json:
    properties: Json = {}
    required: list[str] = []
    for part in (*parts, schema):
        properties |= part.get("properties") or {}
        required += part.get("required") or []
    whole: Json = {}
    for part in parts:
        whole |= part
    whole |= schema
    return whole | ({"properties": properties, "required": required} if properties else {})


def _bounds(schema: Json) -> tuple[float, float]:
    integer = _kind(schema) == "integer"
    nudge = 1 if integer else 1e-6
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    lows = [low if low is not None else float("-inf")]
    highs = [high if high is not None else float("inf")]
    if isinstance(above, (int, float)):
        lows.append(low + nudge if above is True and low is not None else above + nudge)
    if isinstance(below, (int, float)):
        highs.append(high - nudge if below is True and high is not None else below - nudge)
    return max(lows), min(highs)


def _default(schema: Json, low: float, high: float) -> float:
    """The declared default if it fits, else the number nearest to 1."""
    default = schema.get("default")
    if isinstance(default, (int, float)) and not isinstance(default, bool) and low <= default <= high:
        return default
    return _nearest(1, low, high)


def _stepped(value: float, schema: Json, low: float, high: float) -> float:
    """*value*, moved to a multiple of `multipleOf`."""
    step = schema.get("multipleOf")
    if not step or value % step == 0:
        return value
    near = _nearest(round(value / step) * step, low, high)
    return near if near % step == 0 else -(-low // step) * step


def _nearest(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _fitted(text: str, schema: Json) -> str:
    """*text*, cut or padded to the length *schema* asks for."""
    high, low = schema.get("maxLength"), schema.get("minLength") or 0
    text = text if high is None else text[:high]
    return text if len(text) >= low else (text + "." * low)[:low]


def _singular(key: str) -> str:
    return key[:-1] if key.endswith("s") and not key.endswith("ss") else key


def _unanchored(pattern: str) -> str:
    return pattern.removeprefix("^").removesuffix("$")


def _matching(pattern: str, text: str) -> str:
    """A word of *text* that matches *pattern*, else one written for it."""
    found = next((word for word in text.split() if re.search(pattern, word)), None)
    return found or matching(pattern) or ""
