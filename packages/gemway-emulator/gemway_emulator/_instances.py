"""Make the smallest instance of a JSON Schema (either dialect), filled with values of a text where it has them. Pure.

Values are `key: value` pairs, quoted strings, numbers and capitalised names. Each is used once, so that two fields get two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_lowercase, digits, printable
from typing import Any

from gemway_emulator._language import capitalised_names, topic, words

Json = dict[str, Any]
_DEEPEST_OPTIONAL = 6  # levels down to which optional and nullable fields are filled
_DEEPEST = 30  # a schema that requires itself again and again has no instance
_MOST_ITEMS = 10
_LONGEST_PLAIN = 120  # characters of a text that is a value as a whole
_FORMAT_IN_WORDS = re.compile(r"\bFormat:\s*([\w-]+)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])(?<!\w-)-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"\"([^\"\n]+)\"|(?<!\w)'([^'\n]+)'(?!\w)|`([^`\n]+)`|«([^»\n]+)»|“([^”\n]+)”")
_URL = re.compile(r"https?://[^\s\"'<>)]+")
_HEX = "[0-9a-fA-F]"
# Values of these formats are recognised by their looks, wherever they are; the second is the value if there is none.
_FORMATS: dict[str, tuple[re.Pattern[str] | None, str]] = {
    "date-time": (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"), "2026-01-15T09:30:00Z"),
    "date": (re.compile(r"\d{4}-\d\d-\d\d"), "2026-01-15"),
    "time": (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"), "09:30:00Z"),
    "email": (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "person@example.com"),
    "uri": (_URL, "https://example.com/"),
    "url": (_URL, "https://example.com/"),
    "uuid": (re.compile(rf"\b{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}\b"), "3f2b8c4e-9d1a-4b7c-8e6f-0a1b2c3d4e5f"),
    **{f"uuid{version}": (None, f"3f2b8c4e-9d1a-{version}b7c-8e6f-0a1b2c3d4e5f") for version in range(1, 9)},
    "ipv4": (None, "192.0.2.1"),
    "ipv6": (None, "2001:db8::1"),
    "hostname": (None, "example.com"),
    "duration": (None, "PT1H"),
    "byte": (None, "ZXhhbXBsZQ=="),
}
# An item of a regular expression, and how often it stands there at least.
_PATTERN_ITEM = re.compile(
    r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?:|\?P<\w+>)?|.)(?:([*?])|\+|\{(\d+)(?:,\d*)?\})?[?+]?", re.DOTALL
)


def make_instance(schema: Json, text: str) -> Any:
    """Return a value that is valid for *schema*; the values of *text* go where they fit.

    Only required properties are made, and those that *text* names as `key: value`. A schema that requires none gets all.
    """
    return _InstanceMaker(schema, _TextValues(text)).make(schema, "", 0)


class _InstanceMaker:
    """One instance in the making: the root schema for references, and the values not used yet."""

    def __init__(self, root: Json, values: _TextValues) -> None:
        self._root, self._values = root, values

    def make(self, schema: Any, key: str, depth: int) -> Any:
        """A value for *schema*, which describes the field *key*."""
        if depth > _DEEPEST:
            return None
        schema, paired = self._resolve_schema(schema), self._values.find_pair(key)
        if "const" in schema:
            return schema["const"]
        # A text that names an option means it; without one, the first is as good as any.
        if options := schema.get("enum"):
            return paired if paired in options else (self._values.find_mentioned(options) or options)[0]
        kind = _find_type(schema)
        if kind == "object":
            return self._make_object(schema, depth)
        if kind == "array":
            return self._make_array(schema, key, depth)
        if kind in ("integer", "number"):
            return self._make_number(schema, key, is_integer=kind == "integer")
        if kind == "boolean":
            return (paired or str(schema.get("default", True))).lower() not in ("false", "no", "off", "0")
        return None if kind == "null" else self._make_string(schema, key)

    def _resolve_schema(self, schema: Any) -> Json:
        """Follow references, and choose an alternative of anyOf or oneOf."""
        resolved: Json = schema if isinstance(schema, dict) else {}
        for _ in range(20):
            if ref := resolved.get("$ref") or resolved.get("ref"):
                resolved = {**self._find_reference(ref), **_leave_out_keywords(resolved, "$ref", "ref")}
            elif options := resolved.get("anyOf") or resolved.get("oneOf"):
                resolved = {**_leave_out_keywords(resolved, "anyOf", "oneOf"), **self._choose_alternative(options)}
            else:
                break
        # Google refuses most formats of OpenAPI schemas, so clients put them into the description (`Format: uuid.`).
        described = _FORMAT_IN_WORDS.search(str(resolved.get("description") or ""))
        if described and described[1].lower() in _FORMATS and _find_type(resolved) == "string":
            return {"format": described[1], **resolved}
        return resolved

    def _choose_alternative(self, options: list[Any]) -> Json:
        """The alternative whose constant or title the text mentions, else the first that is not null."""
        real = [option for option in options if isinstance(option, dict) and _find_type(option) != "null"]
        labels: dict[str, Json] = {}
        for option in real:
            ref = option.get("$ref") or option.get("ref") or ""
            target = self._find_reference(ref) if ref else option
            fields = [field for field in (target.get("properties") or {}).values() if isinstance(field, dict)]
            constant = next((field["const"] for field in fields if "const" in field), None)
            labels.setdefault(str(constant or target.get("title") or ref.rpartition("/")[2]), option)
        for label in self._values.find_mentioned(list(labels)):
            return labels[label]
        return real[0] if real else {"type": "null"}

    def _find_reference(self, ref: str) -> Json:
        target: Any = self._root
        for step in ref.lstrip("#/").split("/"):
            target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
        return target if isinstance(target, dict) else {}

    def _make_object(self, schema: Json, depth: int) -> Json:
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        is_deep, made = depth >= _DEEPEST_OPTIONAL, {}
        # Few tools mark what they require; an empty object would then be valid and of no use to a program.
        required = schema.get("required")
        if not required:
            fields = [] if is_deep else [name for name in properties if isinstance(properties[name], dict)]
            required = [name for name in fields if properties[name] and not _is_optional(properties[name])]
        for name in dict.fromkeys([*(schema.get("propertyOrdering") or []), *properties, *required]):
            value, is_named = properties.get(name, extra), self._values.find_pair(name) is not None
            if name in required:
                # Null where the schema goes on without an end, or where no value is named for a field that may be null.
                is_null = _admits_null(value) and (is_deep or not is_named)
                made[name] = None if is_null else self.make(value, name, depth + 1)
            elif name in properties and not is_deep:
                options = self._resolve_schema(value).get("enum") or []
                if is_named or self._values.find_mentioned(options):
                    made[name] = self.make(value, name, depth + 1)
        least = schema.get("minProperties") or 0
        spare = [name for name in properties if name not in made] + [f"key{number + 1}" for number in range(least)]
        for name in spare[: max(least - len(made), 0)]:
            made[name] = self.make(properties.get(name, extra), name, depth + 1)
        return made

    def _make_array(self, schema: Json, key: str, depth: int) -> list[Any]:
        if prefix := schema.get("prefixItems"):
            return [self.make(item, key, depth + 1) for item in prefix]
        item, low, high = self._resolve_schema(schema.get("items")), schema.get("minItems") or 0, schema.get("maxItems")
        high = _MOST_ITEMS if high is None else high
        made: list[Any] = []
        if _find_type(item) == "string" and not item.keys() & {"pattern", "format"}:
            options = item.get("enum")
            made = [_fit_length(text, item) for text in self._values.find_list(key) if not options or text in options]
        while len(made) < max(low, 0 if depth >= _DEEPEST_OPTIONAL else min(1, high)):
            value = self.make(item, key, depth + 1)
            # The same default twice is one item too few for `uniqueItems`.
            if schema.get("uniqueItems") and value in made:
                value = _make_different(value, item, made)
            made.append(value)
        return made[: max(high, low)]

    def _make_string(self, schema: Json, key: str) -> str:
        if pattern := schema.get("pattern"):
            candidates = [self._values.find_pair(key) or "", *self._values.quoted, _write_matching_text(pattern)]
            return next((text for text in candidates if re.search(pattern, text)), "")
        form = str(schema.get("format") or "").lower()
        if form in _FORMATS:
            return self._values.find_of_format(form, key)
        return _fit_length(self._values.take_string(key), schema)

    def _make_number(self, schema: Json, key: str, *, is_integer: bool) -> float:
        low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
        value = self._values.take_number(key, integer=is_integer, low=low, high=high)
        if value is None:
            default = schema.get("default")
            is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
            value = min(max(default if is_number else 1, low), high)
        return int(value) if is_integer else value


class _TextValues:
    """The values in a text. `find_...` looks, `take_...` also uses the value up."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pairs: dict[str, str | None] = {"": None}  # an item of a list has no key
        self.quoted: list[str] = [next(filter(None, groups)) for groups in _QUOTED.findall(text)]
        strings = dict.fromkeys([*self.quoted, *capitalised_names(_QUOTED.sub(" ", text))])
        self._strings = [value for value in strings if len(value) > 1]
        # The parts of dates and addresses are no numbers of their own.
        self._numbers: list[str] = _NUMBER.findall(re.sub(r"\d{4}-\d\d-\d\d|https?://\S+", " ", text))

    def find_pair(self, key: str) -> str | None:
        """The value that `key: value` or `key=value` gives to *key*, quotes removed."""
        # Asked several times for each field, and prompts may be as long as books.
        if key not in self._pairs:
            spelled = "|".join(map(re.escape, {key, key.replace("_", " ")}))
            # After a colon the value goes on to the end of the clause, after `=` it is one word.
            clause, word = r"[^,;\n}\"']+?(?=[.!?](?:\s|$)|[,;\n}]|$)", r"[^\s,;\"')}]+"
            value = rf"(?::\s*|\s+:\s+)(\"[^\"\n]*\"|'[^'\n]*'|{clause})|\s*=\s*(\"[^\"\n]*\"|'[^'\n]*'|{word})"
            match = re.search(rf"(?i:\b(?:{spelled}))\b[\"']?(?:{value})", self._text)
            self._pairs[key] = next(filter(None, match.groups())).strip("\"' ").rstrip(".;!?") if match else None
        return self._pairs[key]

    def find_list(self, key: str) -> list[str]:
        """The items of `key: a, b and c`, else all quoted strings where there are several."""
        match = re.search(rf"(?i)\b{re.escape(key)}\b[\"']?\s*[:=]\s*([^.\n;?!]+)", self._text) if key else None
        if match:
            pieces = re.split(r",\s*(?:and\s+)?|\s+and\s+", match[1].strip("[] "))
            return [text for piece in pieces if (text := piece.strip(" \"'"))]
        return self.quoted if len(self.quoted) > 1 else []

    def find_mentioned(self, options: list[Any]) -> list[Any]:
        """The options that the text contains as words."""
        spoken = f" {' '.join(words(self._text))} "
        spelled = [(option, " ".join(words(str(option)))) for option in options]
        return [option for option, text in spelled if text and f" {text} " in spoken]

    def find_of_format(self, form: str, key: str) -> str:
        """A value with the *form* of a date, an address ..., else a plain one."""
        pattern, default = _FORMATS[form]
        candidates = [self.find_pair(key) or "", *pattern.findall(self._text)] if pattern else []
        match = next((value for value in candidates if pattern and pattern.fullmatch(value)), default)
        return match.rstrip(".,;") if pattern is _URL else match

    def take_string(self, key: str) -> str:
        """The value of *key*, else the next quoted string, else the next name, else the text itself, shortened."""
        paired = self.find_pair(key)
        if paired is not None:
            return paired
        if self._strings:
            return self._strings.pop(0)
        whole = " ".join(self._text.split()) or "text"
        return whole if len(whole) < _LONGEST_PLAIN else topic(self._text)

    def take_number(self, key: str, *, integer: bool, low: float, high: float) -> float | None:
        """The number given to *key*, else the next one from *low* to *high*; None without one."""
        beginning = _NUMBER.match(self.find_pair(key) or "")
        for text in [beginning[0]] if beginning else self._numbers:
            value = float(text)
            if low <= value <= high and (not integer or value == int(value)):
                if text in self._numbers:
                    self._numbers.remove(text)
                return int(value) if "." not in text or integer else value
        return None


def _find_type(schema: Json) -> str:
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


def _is_optional(schema: Json) -> bool:
    return "default" in schema or _admits_null(schema)


def _admits_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kinds = schema["type"] if isinstance(schema.get("type"), list) else []
    options = [option for option in schema.get("anyOf") or schema.get("oneOf") or [] if isinstance(option, dict)]
    return bool(schema.get("nullable")) or "null" in map(str.lower, [*map(str, kinds), *map(_find_type, options)])


def _leave_out_keywords(schema: Json, *names: str) -> Json:
    return {name: value for name, value in schema.items() if name not in names}


def _make_different(value: Any, item: Json, taken: list[Any]) -> Any:
    """Another value for *item*, since *value* is one of those *taken*."""
    if "enum" in item:
        return next((option for option in item["enum"] if option not in taken), value)
    if isinstance(value, str):
        return _fit_length(f"{value} {len(taken) + 1}", item)
    return value + len(taken) if isinstance(value, (int, float)) else value


def _fit_length(text: str, schema: Json) -> str:
    """*text*, cut or padded to the length that *schema* asks for."""
    text, low = text[: schema.get("maxLength")], schema.get("minLength") or 0
    return text if len(text) >= low else (text + "." * low)[:low]


def _write_matching_text(pattern: str) -> str:
    """A short text that matches *pattern*; empty if that takes look-arounds or backreferences."""
    try:
        text, _ = _write_pattern_group(_PATTERN_ITEM.finditer(pattern))
        return text if re.search(pattern, text) else ""
    except re.error:
        return ""


def _write_pattern_group(items: Iterator[re.Match[str]]) -> tuple[str, int]:
    """(the first alternative with the fewest repetitions, how often the group itself must be there)."""
    alternatives = [""]
    for match in items:
        item, least = match[1], 0 if match[2] else int(match[3] or 1)
        if item == ")":
            return alternatives[0], least
        if item == "|":
            alternatives.append("")
        elif item.startswith("("):
            group, least = _write_pattern_group(items)
            alternatives[-1] += group * least
        else:
            # Whatever matches it alone: one character for a letter, many for a class, none for an anchor.
            # A run of different characters reads better than one that is repeated, and is as valid.
            choices = [sign for sign in (*ascii_lowercase, *digits, *printable, *item) if re.fullmatch(item, sign)]
            alternatives[-1] += "".join(choices[number % len(choices)] for number in range(least if choices else 0))
    return alternatives[0], 1
