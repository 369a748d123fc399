"""Turn LlamaIndex tools into function declarations, each once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from llama_index.core.tools import BaseTool, FunctionTool

from gemway import (
    Dialect,
    UnsupportedContentError,
    function_declaration,
    inline_root_reference,
    restore_arguments,
    sanitize_tool_name,
)

_Declaration = dict[str, Any]


class _Function(NamedTuple):
    """One function: its name here, its declaration on the wire, and the JSON Schema of its arguments."""

    name: str
    declaration: _Declaration
    parameters: Mapping[str, Any] | None


class WireTools(list[dict[str, Any]]):
    """The wire's `tools`, ready to send, with the names that the tools have here.

    Attributes:
        names: the functions' own names, in order.
    """

    def __init__(self, functions: list[_Function], others: Iterable[Any]) -> None:
        declarations = [function.declaration for function in functions]
        super().__init__([*([{"functionDeclarations": declarations}] if declarations else []), *others])
        self.names = [function.name for function in functions]
        self._sent = {sanitize_tool_name(function.name): function for function in functions}

    def restored(self, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return a call's name as the tool has it here, and its arguments with the types that the tool declares."""
        function = self._sent.get(name)
        if function is None:
            return name, arguments
        return function.name, restore_arguments(arguments, function.parameters)


def to_wire_tools(tools: Any, *, dialect: Dialect = "json_schema") -> WireTools:
    """Return the wire's tools for LlamaIndex tools, functions, models, OpenAI's dicts and Google's own.

    Raises:
        UnsupportedContentError: something that is no tool.
    """
    if isinstance(tools, WireTools):
        return tools
    functions: list[_Function] = []
    others: list[Any] = []
    for tool in [tools] if isinstance(tools, Mapping | BaseTool) else tools:
        found = _declared(tool, dialect)
        if found is None:
            others.append(_others(tool, functions))
        else:
            functions.append(found)
    return WireTools(functions, [other for other in others if other])


def _declared(tool: Any, dialect: Dialect) -> _Function | None:
    """Return a function, or None for a tool in Google's own form."""
    if isinstance(tool, BaseTool):
        return _of_tool(tool, dialect)
    if isinstance(tool, Mapping):
        function = tool.get("function", tool)
        if not isinstance(function, Mapping) or "name" not in function:
            return None
        schema = function.get("parameters") or function.get("parametersJsonSchema") or function.get("input_schema")
        return _function(str(function["name"]), function.get("description") or "", schema, dialect)
    if isinstance(tool, type) and hasattr(tool, "model_json_schema"):
        schema = inline_root_reference(tool.model_json_schema())
        return _function(schema.get("title", tool.__name__), schema.get("description", ""), schema, dialect)
    if callable(tool):
        return _of_tool(FunctionTool.from_defaults(fn=tool), dialect)
    if hasattr(tool, "model_dump"):
        return None
    raise UnsupportedContentError(
        f"cannot use a {type(tool).__name__} as a tool; pass a FunctionTool, a function, a pydantic model or a dict"
    )


def _function(name: str, description: str, schema: Any, dialect: Dialect) -> _Function:
    return _Function(name, function_declaration(name, description, schema, dialect=dialect), schema)


def _others(tool: Any, functions: list[_Function]) -> Any:
    """Return a tool in Google's own form; its function declarations join the others."""
    wire = dict(tool) if isinstance(tool, Mapping) else tool.model_dump(by_alias=True, exclude_none=True, mode="json")
    given = wire.pop("functionDeclarations", None) or wire.pop("function_declarations", None) or ()
    for declaration in given:
        schema = declaration.get("parametersJsonSchema") or declaration.get("parameters")
        functions.append(_Function(declaration["name"], declaration, schema))
    return wire


# A declaration lives as long as the class that holds the tool's arguments; tools that share one differ by name.
_functions: Final[WeakKeyDictionary[type, dict[tuple[str, str, Dialect], _Function]]] = WeakKeyDictionary()


def _of_tool(tool: BaseTool, dialect: Dialect) -> _Function:
    metadata = tool.metadata
    name, description = metadata.get_name(), metadata.description or ""
    schema = metadata.fn_schema
    if schema is None:
        return _function(name, description, metadata.get_parameters_dict(), dialect)
    known = _functions.setdefault(schema, {})
    function = known.get((name, description, dialect))
    if function is None:
        function = _function(name, description, metadata.get_parameters_dict(), dialect)
        known[name, description, dialect] = function
    return function
