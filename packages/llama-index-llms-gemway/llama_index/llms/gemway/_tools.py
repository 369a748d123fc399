"""Turn LlamaIndex tools into function declarations, each once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from llama_index.core.tools import BaseTool, FunctionTool
from llama_index.llms.gemway._record import JsonObject

from gemway import Dialect, UnsupportedContentError, function_declaration
from gemway.adapters import from_store, inline_root_reference, restore_arguments, stamp_class


class _Function(NamedTuple):
    """One function: its name here, its declaration on the wire, and the JSON Schema of its arguments."""

    name: str
    declaration: JsonObject
    parameters: Mapping[str, Any] | None


class WireTools(list[JsonObject]):
    """The wire's `tools`, ready to send, with the names that the tools have here.

    Attributes:
        names: the functions' own names, in order.
    """

    def __init__(self, functions: list[_Function], others: Iterable[Any]) -> None:
        declarations = [function.declaration for function in functions]
        super().__init__([*([{"functionDeclarations": declarations}] if declarations else []), *others])
        self.names = list({function.name: None for function in functions})
        self._sent = {function.declaration["name"]: function for function in functions}

    def restored(self, name: str, arguments: JsonObject) -> tuple[str, JsonObject]:
        """Return a call's name as the tool has it here, and its arguments with the types that the tool declares."""
        function = self._sent.get(name)
        if function is None:
            return name, arguments
        return function.name, restore_arguments(arguments, function.parameters)


def to_wire_tools(tools: Any, *, dialect: Dialect = "json_schema") -> WireTools:
    """Return the wire's tools for LlamaIndex tools, functions, models, OpenAI's dicts and Google's own.

    Raises:
        UnsupportedContentError: something that is not a tool.
    """
    if isinstance(tools, WireTools):
        return tools
    functions: list[_Function] = []
    others: list[Any] = []
    for tool in each_tool(tools):
        function = _to_function(tool, dialect)
        if function is not None:
            functions.append(function)
        elif (google_tool := _to_google_tool(tool, functions)) and google_tool not in others:
            others.append(google_tool)
    return WireTools(functions, others)


def each_tool(tools: Any) -> Iterable[Any]:
    """Return the tools of an option, which may be a single one."""
    is_single = isinstance(tools, Mapping | BaseTool | type) or not isinstance(tools, Iterable)
    return [tools] if is_single else tools


def _to_function(tool: Any, dialect: Dialect) -> _Function | None:
    """Return a function, or None for a tool in Google's own form."""
    if isinstance(tool, BaseTool):
        return _function_of_tool(tool, dialect)
    if isinstance(tool, Mapping):
        # OpenAI's form has a "function" inside, Google's and Anthropic's declarations are flat.
        function = tool.get("function", tool)
        if not isinstance(function, Mapping) or "name" not in function:
            return None
        schema = function.get("parameters") or function.get("parametersJsonSchema") or function.get("input_schema")
        return _declare_function(str(function["name"]), function.get("description") or "", schema, dialect)
    if isinstance(tool, type) and hasattr(tool, "model_json_schema"):
        # Pydantic keeps the title and the description of a class that refers to itself in a definition, not at the root.
        schema = inline_root_reference(tool.model_json_schema())
        return _declare_function(schema.get("title", tool.__name__), schema.get("description", ""), schema, dialect)
    if callable(tool):
        return _function_of_tool(FunctionTool.from_defaults(fn=tool), dialect)
    if hasattr(tool, "model_dump"):
        return None
    raise UnsupportedContentError(
        f"cannot use a {type(tool).__name__} as a tool; pass a FunctionTool, a function, a pydantic model or a dict"
    )


def _declare_function(name: str, description: str, schema: Any, dialect: Dialect) -> _Function:
    return _Function(name, function_declaration(name, description, schema, dialect=dialect), schema)


def _to_google_tool(tool: Any, functions: list[_Function]) -> Any:
    """Return a tool in Google's own form; its function declarations join the others."""
    # One tool of Google's may hold a search and functions together. The functions join the others, because
    # `tool_choice` and the model's calls are matched against all of them.
    wire = dict(tool) if isinstance(tool, Mapping) else tool.model_dump(by_alias=True, exclude_none=True, mode="json")
    declarations = wire.pop("functionDeclarations", None) or wire.pop("function_declarations", None) or ()
    for declaration in declarations:
        schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
        functions.append(_Function(declaration["name"], declaration, schema))
    return wire


# Converting a schema takes longer than the rest of a request, so each declaration is made once. It lives as long as the
# class that describes the tool's arguments; tools that share a class differ by name.
_functions_by_schema: Final[WeakKeyDictionary[type, dict[tuple[str, str, Dialect], tuple[object, _Function]]]] = (
    WeakKeyDictionary()
)


def _function_of_tool(tool: BaseTool, dialect: Dialect) -> _Function:
    metadata = tool.metadata
    name, description = metadata.get_name(), metadata.description or ""
    schema = metadata.fn_schema
    if schema is None:
        return _declare_function(name, description, metadata.get_parameters_dict(), dialect)
    stamp = stamp_class(schema)
    made = _functions_by_schema.setdefault(schema, {})
    key = (name, description, dialect)
    if key not in made or made[key][0] != stamp:
        made[key] = (stamp, _declare_function(name, description, metadata.get_parameters_dict(), dialect))
    return made[key][1]


class LegacyCall(NamedTuple):
    """A call in the `tool_calls` list that messages of other classes carry in `additional_kwargs`."""

    call_id: str | None
    name: str
    arguments: Any


def read_legacy_calls(tool_calls: Any) -> list[LegacyCall]:
    """Return the calls of a `tool_calls` list: OpenAI's dicts or objects, or ToolCallBlocks that were written as JSON.

    A chat store may have written the list, or a call, as text. Whatever cannot be read as a call is skipped.
    """
    listed = from_store(tool_calls)
    calls = [_read_legacy_call(from_store(call)) for call in listed] if isinstance(listed, list | tuple) else []
    return [call for call in calls if call is not None]


def _read_legacy_call(call: Any) -> LegacyCall | None:
    members = _call_members(call)
    function = from_store(members.get("function"))
    if function is None:
        name, arguments, call_id = (members.get(name) for name in ("tool_name", "tool_kwargs", "tool_call_id"))
    else:
        name, arguments = (_call_members(function).get(name) for name in ("name", "arguments"))
        call_id = members.get("id")
    return LegacyCall(str(call_id) if call_id else None, str(name), arguments) if name else None


def _call_members(value: Any) -> Mapping[str, Any]:
    # OpenAI's classes keep objects of its SDK here, whose attributes have the names of the JSON.
    names = ("function", "id", "name", "arguments", "tool_name", "tool_kwargs", "tool_call_id")
    return value if isinstance(value, Mapping) else {name: getattr(value, name, None) for name in names}
