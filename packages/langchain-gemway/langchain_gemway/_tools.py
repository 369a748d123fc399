"""Tools of every form as the wire's tools. Pure; each tool is converted once.

`bind_tools` keeps a `BoundTools`: to LangChain and its tracers a list of tools in OpenAI's form, to us the finished
wire form beside it. Agents bind the same tools for every call, so conversions are kept as long as the tool lives.
"""

from __future__ import annotations

import inspect
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from gemway import ConfigurationError, Dialect, function_declaration
from gemway.adapters import inline_root_reference, restore_arguments, sanitize_tool_name
from langchain_core.utils.function_calling import convert_to_openai_function
from pydantic import BaseModel

JsonObject = dict[str, Any]


class BoundTools(list[Any]):
    """Tools that are ready to be sent.

    Attributes:
        wire: the `tools` of the request.
        names: the names of the declared functions, as the user wrote them.
        server_tools: whether tools are among them that the server runs.

    Raises:
        ConfigurationError: for a tool that cannot be described, and for two different tools of one name.
    """

    wire: list[JsonObject]
    names: list[str]
    server_tools: bool

    def __init__(self, tools: Iterable[Any], dialect: Dialect = "json_schema") -> None:
        self._given = [*tools]
        self._dialect = dialect
        converted = _each_once(one for tool in self._given for one in _to_tools(tool, dialect))
        super().__init__(tool.listed for tool in converted)
        self._listed = [*self]
        functions = [tool for tool in converted if tool.name is not None]
        others = [tool.wire for tool in converted if tool.name is None]
        self.names = [tool.name for tool in functions if tool.name is not None]
        self.wire = [{"functionDeclarations": [tool.wire for tool in functions]}] if functions else []
        self.wire += others
        self.server_tools = bool(others)
        self._sent = {sanitize_tool_name(tool.name): tool for tool in functions if tool.name is not None}

    def restored(self, name: str, args: JsonObject) -> tuple[str, JsonObject]:
        """Return a call's name as the user wrote it, and its arguments with the types that the tool declares."""
        tool = self._sent.get(name)
        if tool is None or tool.name is None:
            return name, args
        return tool.name, restore_arguments(args, tool.parameters)

    def current(self, dialect: Dialect) -> BoundTools:
        """Return these tools in *dialect*, with what was added to the list or taken from it since they were bound."""
        if self != self._listed:
            return BoundTools(self, dialect)
        return self if dialect == self._dialect else BoundTools(self._given, dialect)

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundTools, ([*self], self._dialect)  # not the functions, which cannot all be pickled


def to_bound_tools(tools: Any, dialect: Dialect = "json_schema") -> BoundTools | None:
    """Return *tools* ready to be sent; what `bind_tools` made is returned as it is, unless it was changed."""
    if not tools:
        return None
    if isinstance(tools, BoundTools):
        return tools.current(dialect)
    if isinstance(tools, Mapping) or not isinstance(tools, Iterable):
        tools = [tools]
    return BoundTools(tools, dialect)


def _each_once(tools: Iterable[_Converted]) -> list[_Converted]:
    """Return each tool once: middleware adds tools that are there already, and Google refuses a second declaration."""
    kept: dict[str, _Converted] = {}
    for tool in tools:
        key = repr(tool.wire) if tool.name is None else f"function {sanitize_tool_name(tool.name)}"
        before = kept.setdefault(key, tool)
        if before.wire != tool.wire:
            raise ConfigurationError(f"two different tools have the name {tool.name!r}; rename one of them")
    return [*kept.values()]


class _Converted:
    """One tool. `name` is None for what the server runs."""

    __slots__ = ("listed", "name", "parameters", "wire")

    def __init__(self, wire: JsonObject, name: str | None = None, listed: Any = None, parameters: Any = None) -> None:
        self.wire = wire
        self.name = name
        self.listed = wire if listed is None else listed
        self.parameters = parameters or {}


def _to_tools(tool: Any, dialect: Dialect) -> Sequence[_Converted]:
    if isinstance(tool, Mapping):
        return _from_mapping(tool, dialect)
    if isinstance(tool, str):
        return [_from_type(tool, {"type": tool})]
    if isinstance(tool, BaseModel) and not _is_a(tool, "base", "BaseTool"):
        return _from_google(tool, dialect)
    return [_remembered(tool, dialect)]


def _is_a(tool: Any, module: str, kind: str) -> bool:
    """Tell whether *tool* is one of LangChain's. Only who has one has loaded its module, which takes 12 ms."""
    loaded = sys.modules.get(f"langchain_core.tools.{module}")
    return loaded is not None and isinstance(tool, getattr(loaded, kind))


# Tools that are objects

_known: dict[tuple[int, str], tuple[Any, Any, _Converted]] = {}


def _remembered(tool: Any, dialect: Dialect) -> _Converted:
    """Return the conversion of a tool object, made anew only if the tool has changed."""
    key = (id(tool), dialect)
    stamp = _stamp(tool)
    found = _known.get(key)
    if found and found[0]() is tool and found[1] == stamp:
        return found[2]
    converted = _function(*_described(tool), dialect)

    try:
        _known[key] = (weakref.ref(tool), stamp, converted)
        weakref.finalize(tool, _known.pop, key, None).atexit = False
    except TypeError:  # some callables cannot be referred to weakly
        _known.pop(key, None)
    return converted


def _stamp(tool: Any) -> tuple[Any, ...]:
    """Return what a tool's description is made of, to compare with what it was made of when the tool was converted.

    JSON Schemas are patched in place and classes rebuilt, so their text is compared. Nothing here may hold the tool
    itself (a pydantic core schema does): it would never be collected.
    """
    if _is_a(tool, "base", "BaseTool"):
        schema = tool.args_schema
        of_schema = repr(schema) if isinstance(schema, Mapping) else (schema, *_stamp_of_class(schema))
        return tool.name, tool.description, of_schema
    defaults = repr(getattr(tool, "__defaults__", None))
    return {**getattr(tool, "__annotations__", {})}, defaults, *_stamp_of_class(tool)


def _stamp_of_class(schema: Any) -> tuple[Any, ...]:
    return getattr(schema, "__doc__", None), repr(getattr(schema, "model_fields", None))


def _described(tool: Any) -> tuple[str, str, Any]:
    """Return name, description and JSON Schema of a tool's arguments."""
    if _is_a(tool, "base", "BaseTool") and not (_is_a(tool, "simple", "Tool") and not tool.args_schema):
        return tool.name, tool.description, _schema_of(tool.tool_call_schema)
    if inspect.isfunction(tool) or inspect.ismethod(tool):
        if (schema := _schema_of_function(tool)) is not None:
            return tool.__name__, _summary(tool), schema
    elif isinstance(tool, type) and issubclass(tool, BaseModel):
        schema = inline_root_reference(tool.model_json_schema())
        return schema.get("title", tool.__name__), inspect.cleandoc(str(schema.get("description") or "")), schema
    function = convert_to_openai_function(tool)
    return function["name"], function.get("description", ""), function.get("parameters")


def _schema_of(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return schema
    if hasattr(schema, "model_json_schema"):
        return schema.model_json_schema()
    return schema.schema()  # pydantic v1


def _schema_of_function(function: Callable[..., Any]) -> Any:
    from langchain_core.tools.base import create_schema_from_function

    schema = create_schema_from_function(
        function.__name__,
        function,
        parse_docstring=True,
        error_on_invalid_docstring=False,
        include_injected=False,
    )
    return _schema_of(schema)


def _summary(function: Callable[..., Any]) -> str:
    """Return a docstring up to its sections; the arguments' descriptions are in the schema."""
    text = inspect.getdoc(function) or ""
    return re.split(r"\n\s*(?:Args|Arguments|Parameters|Returns|Raises|Yields|Examples?):", text)[0].strip()


def _function(name: str, description: str, parameters: Any, dialect: Dialect) -> _Converted:
    schema = _without_description(inline_root_reference(parameters)) if parameters else None
    declaration = function_declaration(name, description or "", schema, dialect=dialect)
    function = {"name": name, "description": description or "", "parameters": parameters or {"type": "object"}}
    return _Converted(declaration, name, {"type": "function", "function": function}, parameters)


def _without_description(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema without what the declaration says already."""
    return {key: value for key, value in schema.items() if key not in {"description", "title"}}


# Tools that are dicts

_TYPES: Final = {
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "web_fetch": "urlContext",
    "google_search": "googleSearch",
    "google_search_retrieval": "googleSearchRetrieval",
    "code_interpreter": "codeExecution",
    "code_execution": "codeExecution",
    "url_context": "urlContext",
    "google_maps": "googleMaps",
}


def _from_mapping(tool: Mapping[str, Any], dialect: Dialect) -> Sequence[_Converted]:
    declarations = tool.get("functionDeclarations", tool.get("function_declarations"))
    if declarations is not None:
        rest = {key: value for key, value in tool.items() if _camel(key) != "functionDeclarations"}
        functions = [one for item in declarations for one in _declared(item, dialect)]
        return [*functions, *(_from_mapping(rest, dialect) if rest else ())]
    if tool.get("type") == "function" and isinstance(tool.get("function"), Mapping):
        return [_named(tool["function"], dialect)]
    if isinstance(tool.get("type"), str) and tool["type"] not in {"function", "custom", "object"}:
        return [_from_type(tool["type"], tool)]
    if isinstance(tool.get("name"), str) or "toolSpec" in tool or "title" in tool:
        return [_named(tool, dialect)]
    if "properties" in tool:
        raise ConfigurationError("a JSON Schema is a tool only with a 'title' (its name); add one")
    return [_Converted({_camel(key): camelised(value)}) for key, value in tool.items()]


def _declared(item: Any, dialect: Dialect) -> Sequence[_Converted]:
    if isinstance(item, Mapping) and ("parametersJsonSchema" in item or "parameters_json_schema" in item):
        schema = item.get("parametersJsonSchema", item.get("parameters_json_schema"))
        return [_function(item["name"], item.get("description", ""), schema, dialect)]
    return _to_tools(item, dialect)


def _named(tool: Mapping[str, Any], dialect: Dialect) -> _Converted:
    """Return a function that OpenAI, Anthropic, Bedrock, Google or a JSON Schema describes."""
    spec = tool.get("toolSpec", tool)
    name = spec.get("name") or spec.get("title")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"a tool without a name cannot be called: {dict(tool)!r}")
    if "name" not in spec:  # a JSON Schema
        return _function(name, spec.get("description", ""), spec if "properties" in spec else None, dialect)
    schema = spec.get("input_schema", spec.get("inputSchema", spec.get("parameters")))
    if isinstance(schema, Mapping) and set(schema) == {"json"}:
        schema = schema["json"]
    if isinstance(schema, BaseModel):
        schema = schema.model_dump(mode="json", exclude_none=True)
    return _function(name, spec.get("description", ""), schema or None, dialect)


def _from_type(kind: str, tool: Mapping[str, Any]) -> _Converted:
    """Return a built-in tool that is told by its `type`, of Google or of another provider."""
    known = _TYPES.get(kind) or _TYPES.get(re.sub(r"_(?:preview_)?\d{4}_?\d{2}_?\d{2}$|_\d{8}$", "", kind))
    if known is None:
        raise ConfigurationError(
            f"Gemini has no built-in tool {kind!r}; known: {', '.join(sorted(_TYPES))},"
            ' or a tool in Google\'s form such as {"fileSearch": {...}}'
        )
    return _Converted({known: {}})


def _from_google(tool: BaseModel, dialect: Dialect) -> Sequence[_Converted]:
    """Return a Tool or FunctionDeclaration of google-genai, or one of `gemway.types`."""
    members = tool.model_dump(mode="json", exclude_none=True, by_alias=False)
    return _from_mapping(members, dialect)


def camelised(value: Any) -> Any:
    """Return Google's options in camelCase, all the way down."""
    if isinstance(value, Mapping):
        return {_camel(key): item if key == "headers" else camelised(item) for key, item in value.items()}
    return [camelised(item) for item in value] if isinstance(value, list | tuple) else value


def _camel(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda letter: letter[1].upper(), name)
