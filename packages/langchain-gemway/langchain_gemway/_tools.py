"""Turn tools of every form into the wire's tools. Pure; each tool is converted once.

`bind_tools` keeps a `BoundTools`: for LangChain and its tracers a list of tools in OpenAI's form, which also carries
the finished wire form. Agents bind the same tools for every call, so conversions are kept as long as the tool lives.
"""

from __future__ import annotations

import inspect
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from gemway import ConfigurationError, Dialect, function_declaration
from gemway.adapters import inline_root_reference, restore_arguments, sanitize_tool_name, stamp_class
from langchain_core.utils.function_calling import convert_to_openai_function
from pydantic import BaseModel

from langchain_gemway._content import camel_case

Tool = Any  # whatever LangChain's `bind_tools` takes
Json = Any
JsonObject = dict[str, Json]
JsonMapping = Mapping[str, Json]


class BoundTools(list[Tool]):
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

    def __init__(self, tools: Iterable[Tool], dialect: Dialect = "json_schema") -> None:
        self._given_tools = [*tools]
        self._dialect = dialect
        converted = _without_repetitions(one for tool in self._given_tools for one in _convert_tool(tool, dialect))
        super().__init__(tool.listed for tool in converted)
        self._listed_when_bound = [*self]
        functions = [tool for tool in converted if tool.name is not None]
        others = [tool.wire for tool in converted if tool.name is None]
        self.names = [tool.name for tool in functions if tool.name is not None]
        self.wire = [{"functionDeclarations": [tool.wire for tool in functions]}] if functions else []
        self.wire += others
        self.server_tools = bool(others)
        self._by_sent_name = {sanitize_tool_name(tool.name): tool for tool in functions if tool.name is not None}

    def restored(self, name: str, args: JsonObject) -> tuple[str, JsonObject]:
        """Return a call's name as the user wrote it, and its arguments with the types that the tool declares."""
        tool = self._by_sent_name.get(name)
        if tool is None or tool.name is None:
            return name, args
        return tool.name, restore_arguments(args, tool.parameters)

    def current(self, dialect: Dialect) -> BoundTools:
        """Return these tools in *dialect*, with all that was added to the list or removed from it since."""
        if self != self._listed_when_bound:
            return BoundTools(self, dialect)
        return self if dialect == self._dialect else BoundTools(self._given_tools, dialect)

    def __reduce__(self) -> tuple[object, ...]:
        # In OpenAI's form, since not every function can be pickled.
        return BoundTools, ([*self], self._dialect)


def to_bound_tools(tools: Tool, dialect: Dialect = "json_schema") -> BoundTools | None:
    """Return one tool or several, ready to be sent. The result of `bind_tools` is reused unless it was changed."""
    if not tools:
        return None
    if isinstance(tools, BoundTools):
        return tools.current(dialect)
    if isinstance(tools, Mapping) or not isinstance(tools, Iterable):
        tools = [tools]
    return BoundTools(tools, dialect)


def _without_repetitions(tools: Iterable[_ConvertedTool]) -> list[_ConvertedTool]:
    """Return each tool once: middleware adds tools a second time, and Google refuses "Duplicate function declaration"."""
    by_key: dict[str, _ConvertedTool] = {}
    for tool in tools:
        key = repr(tool.wire) if tool.name is None else f"function {sanitize_tool_name(tool.name)}"
        before = by_key.setdefault(key, tool)
        if before.wire != tool.wire:
            raise ConfigurationError(f"two different tools have the name {tool.name!r}; rename one of them")
    return [*by_key.values()]


class _ConvertedTool:
    """One tool: in the wire's form, and as it is listed for LangChain. `name` is None for a tool that the server runs."""

    __slots__ = ("listed", "name", "parameters", "wire")

    def __init__(
        self,
        wire: JsonObject,
        name: str | None = None,
        listed: JsonObject | None = None,
        parameters: JsonMapping | None = None,
    ) -> None:
        self.wire = wire
        self.name = name
        self.listed = wire if listed is None else listed
        self.parameters = parameters or {}


def _convert_tool(tool: Tool, dialect: Dialect) -> Sequence[_ConvertedTool]:
    if isinstance(tool, Mapping):
        return _convert_mapping(tool, dialect)
    if isinstance(tool, str):
        return [_convert_built_in(tool)]
    if isinstance(tool, BaseModel) and not _is_langchain_tool(tool, "base", "BaseTool"):
        return _convert_google_model(tool, dialect)
    return [_convert_once(tool, dialect)]


def _is_langchain_tool(tool: object, module: str, kind: str) -> bool:
    """Whether *tool* is of the class *kind* in `langchain_core.tools`."""
    # Importing that module takes 12 ms. Whoever has such a tool has loaded it already.
    loaded = sys.modules.get(f"langchain_core.tools.{module}")
    return loaded is not None and isinstance(tool, getattr(loaded, kind))


# Tools that are objects

_Fingerprint = tuple[object, ...]
# By the id of a tool object, with a weak reference: Python gives the id of a collected tool to another object.
_conversions: dict[tuple[int, str], tuple[weakref.ref[Tool], _Fingerprint, _ConvertedTool]] = {}


def _convert_once(tool: Tool, dialect: Dialect) -> _ConvertedTool:
    """Return the conversion of a tool object, made anew only if the tool has changed."""
    key = (id(tool), dialect)
    fingerprint = _tool_fingerprint(tool)
    earlier = _conversions.get(key)
    if earlier and earlier[0]() is tool and earlier[1] == fingerprint:
        return earlier[2]
    converted = _declare_function(*_describe_tool(tool), dialect)
    try:
        _conversions[key] = (weakref.ref(tool), fingerprint, converted)
        weakref.finalize(tool, _conversions.pop, key, None).atexit = False
    except TypeError:  # some callables cannot be referred to weakly
        _conversions.pop(key, None)
    return converted


def _tool_fingerprint(tool: Tool) -> _Fingerprint:
    """Return all that a tool's description is made of, to notice later that the tool was changed.

    JSON Schemas are patched in place and classes rebuilt, so their text is compared. Nothing here may hold the tool
    itself (a pydantic core schema does): it would never be collected.
    """
    if _is_langchain_tool(tool, "base", "BaseTool"):
        schema = tool.args_schema
        arguments = repr(schema) if isinstance(schema, Mapping) else (schema, *stamp_class(schema))
        return tool.name, tool.description, arguments
    defaults = repr(getattr(tool, "__defaults__", None))
    return {**getattr(tool, "__annotations__", {})}, defaults, *stamp_class(tool)


def _describe_tool(tool: Tool) -> tuple[str, str, JsonMapping | None]:
    """Return name, description and JSON Schema of a tool's arguments."""
    # A `Tool` without a schema takes one string, and only LangChain's own converter knows the name that it gives it.
    if _is_langchain_tool(tool, "base", "BaseTool") and not (
        _is_langchain_tool(tool, "simple", "Tool") and not tool.args_schema
    ):
        return tool.name, tool.description, _model_schema(tool.tool_call_schema)
    if inspect.isfunction(tool) or inspect.ismethod(tool):
        if (schema := _function_schema(tool)) is not None:
            return tool.__name__, _docstring_summary(tool), schema
    elif isinstance(tool, type) and issubclass(tool, BaseModel):
        schema = inline_root_reference(tool.model_json_schema())
        return schema.get("title", tool.__name__), inspect.cleandoc(str(schema.get("description") or "")), schema
    function = convert_to_openai_function(tool)
    return function["name"], function.get("description", ""), function.get("parameters")


def _model_schema(schema: Any) -> JsonMapping:
    if isinstance(schema, Mapping):
        return schema
    json_schema: JsonObject = schema.model_json_schema() if hasattr(schema, "model_json_schema") else schema.schema()
    return json_schema


def _function_schema(function: Callable[..., Any]) -> JsonMapping:
    from langchain_core.tools.base import create_schema_from_function

    schema = create_schema_from_function(
        function.__name__,
        function,
        parse_docstring=True,
        error_on_invalid_docstring=False,
        include_injected=False,
    )
    return _model_schema(schema)


def _docstring_summary(function: Callable[..., Any]) -> str:
    """Return a docstring without its sections: the schema describes the arguments."""
    text = inspect.getdoc(function) or ""
    return re.split(r"\n\s*(?:Args|Arguments|Parameters|Returns|Raises|Yields|Examples?):", text)[0].strip()


def _declare_function(name: str, description: str, parameters: JsonMapping | None, dialect: Dialect) -> _ConvertedTool:
    # LangChain and its tracers see the schema as the user wrote it; the gateway gets the one that Gemini accepts.
    schema = _without_title(inline_root_reference(parameters)) if parameters else None
    declaration = function_declaration(name, description or "", schema, dialect=dialect)
    function = {"name": name, "description": description or "", "parameters": parameters or {"type": "object"}}
    return _ConvertedTool(declaration, name, {"type": "function", "function": function}, parameters)


def _without_title(schema: JsonMapping) -> JsonMapping:
    """Return the schema without its name and description, which the declaration has already."""
    return {key: value for key, value in schema.items() if key not in {"description", "title"}}


# Tools that are dicts

# Server tools of Google, OpenAI and Anthropic by their `type`, without the date that the latter two append.
_BUILT_IN_TOOLS: Final = {
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


def _convert_mapping(tool: JsonMapping, dialect: Dialect) -> Sequence[_ConvertedTool]:
    # From the most certain form to the least: Google's own, OpenAI's, built-in tools by type, then anything with a name.
    declarations = tool.get("functionDeclarations", tool.get("function_declarations"))
    if declarations is not None:
        rest = {key: value for key, value in tool.items() if camel_case(key) != "functionDeclarations"}
        functions = [one for item in declarations for one in _convert_declaration(item, dialect)]
        return [*functions, *(_convert_mapping(rest, dialect) if rest else ())]
    if tool.get("type") == "function" and isinstance(tool.get("function"), Mapping):
        return [_convert_named_function(tool["function"], dialect)]
    if isinstance(tool.get("type"), str) and tool["type"] not in {"function", "custom", "object"}:
        return [_convert_built_in(tool["type"])]
    if isinstance(tool.get("name"), str) or "toolSpec" in tool or "title" in tool:
        return [_convert_named_function(tool, dialect)]
    if "properties" in tool:
        raise ConfigurationError("a JSON Schema is a tool only with a 'title' (its name); add one")
    return [_ConvertedTool({camel_case(key): _camel_case_options(value)}) for key, value in tool.items()]


def _convert_declaration(item: Any, dialect: Dialect) -> Sequence[_ConvertedTool]:
    if isinstance(item, Mapping) and ("parametersJsonSchema" in item or "parameters_json_schema" in item):
        schema = item.get("parametersJsonSchema", item.get("parameters_json_schema"))
        return [_declare_function(item["name"], item.get("description", ""), schema, dialect)]
    return _convert_tool(item, dialect)


def _convert_named_function(tool: JsonMapping, dialect: Dialect) -> _ConvertedTool:
    """Return a function that OpenAI, Anthropic, Bedrock, Google or a JSON Schema describes."""
    spec = tool.get("toolSpec", tool)
    name = spec.get("name") or spec.get("title")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"a tool without a name cannot be called: {dict(tool)!r}")
    # A JSON Schema has a title instead of a name, and is itself the schema of the arguments.
    if "name" not in spec:
        return _declare_function(name, spec.get("description", ""), spec if "properties" in spec else None, dialect)
    # Anthropic, Bedrock, and then OpenAI and Google, who use the same word.
    schema = spec.get("input_schema", spec.get("inputSchema", spec.get("parameters")))
    if isinstance(schema, Mapping) and set(schema) == {"json"}:
        schema = schema["json"]
    if isinstance(schema, BaseModel):
        schema = schema.model_dump(mode="json", exclude_none=True)
    return _declare_function(name, spec.get("description", ""), schema or None, dialect)


def _convert_built_in(kind: str) -> _ConvertedTool:
    """Return a built-in tool, of Google or of another provider, for its `type`."""
    wire_name = _BUILT_IN_TOOLS.get(kind) or _BUILT_IN_TOOLS.get(
        re.sub(r"_(?:preview_)?\d{4}_?\d{2}_?\d{2}$|_\d{8}$", "", kind)
    )
    if wire_name is None:
        raise ConfigurationError(
            f"Gemini has no built-in tool {kind!r}; known: {', '.join(sorted(_BUILT_IN_TOOLS))},"
            ' or a tool in Google\'s form such as {"fileSearch": {...}}'
        )
    return _ConvertedTool({wire_name: {}})


def _convert_google_model(tool: BaseModel, dialect: Dialect) -> Sequence[_ConvertedTool]:
    """Return a Tool or FunctionDeclaration of google-genai, or one of `gemway.types`."""
    # By the fields' own names, which google-genai and our types share; `_convert_mapping` spells them for the wire.
    members = tool.model_dump(mode="json", exclude_none=True, by_alias=False)
    return _convert_mapping(members, dialect)


def _camel_case_options(value: Json) -> Json:
    """Return Google's options in camelCase, all the way down; the names of HTTP headers stay as they are."""
    if isinstance(value, Mapping):
        return {camel_case(key): item if key == "headers" else _camel_case_options(item) for key, item in value.items()}
    return [_camel_case_options(item) for item in value] if isinstance(value, list | tuple) else value
