"""Turn LlamaIndex tools into function declarations, each once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from llama_index.core.tools import BaseTool, FunctionTool

from gemway import Dialect, UnsupportedContentError, function_declaration, sanitize_tool_name

_Declaration = dict[str, Any]


class WireTools(list[dict[str, Any]]):
    """The wire's `tools`, ready to send, with the names that the tools have here.

    Attributes:
        names: the functions' own names, in order.
        renamed: own names by the names on the wire, where these differ.
    """

    def __init__(self, declarations: list[_Declaration], names: list[str], others: Iterable[Any]) -> None:
        functions = [{"functionDeclarations": declarations}] if declarations else []
        super().__init__([*functions, *others])
        self.names = names
        self.renamed = {wire: name for name in names if (wire := sanitize_tool_name(name)) != name}


def to_wire_tools(tools: Any, *, dialect: Dialect = "json_schema") -> WireTools:
    """Return the wire's tools for LlamaIndex tools, functions, models, OpenAI's dicts and Google's own.

    Raises:
        UnsupportedContentError: something that is no tool.
    """
    if isinstance(tools, WireTools):
        return tools
    declarations: list[_Declaration] = []
    names: list[str] = []
    others: list[Any] = []
    for tool in [tools] if isinstance(tools, Mapping | BaseTool) else tools:
        found = _declared(tool, dialect)
        if found is None:
            others.append(_others(tool, declarations, names))
        else:
            names.append(found[0])
            declarations.append(found[1])
    return WireTools(declarations, names, [other for other in others if other])


def _declared(tool: Any, dialect: Dialect) -> tuple[str, _Declaration] | None:
    """Return name and declaration of a function, or None for a tool in Google's own form."""
    if isinstance(tool, BaseTool):
        return _of_tool(tool, dialect)
    if isinstance(tool, Mapping):
        function = tool.get("function", tool)
        if not isinstance(function, Mapping) or "name" not in function:
            return None
        schema = function.get("parameters") or function.get("parametersJsonSchema") or function.get("input_schema")
        name = str(function["name"])
        return name, function_declaration(name, function.get("description") or "", schema, dialect=dialect)
    if isinstance(tool, type) and hasattr(tool, "model_json_schema"):
        schema = tool.model_json_schema()
        name = schema.get("title", tool.__name__)
        return name, function_declaration(name, schema.get("description", ""), schema, dialect=dialect)
    if callable(tool):
        return _of_tool(FunctionTool.from_defaults(fn=tool), dialect)
    if hasattr(tool, "model_dump"):
        return None
    raise UnsupportedContentError(
        f"cannot use a {type(tool).__name__} as a tool; pass a FunctionTool, a function, a pydantic model or a dict"
    )


def _others(tool: Any, declarations: list[_Declaration], names: list[str]) -> Any:
    """Return a tool in Google's own form; its function declarations join the others."""
    wire = dict(tool) if isinstance(tool, Mapping) else tool.model_dump(by_alias=True, exclude_none=True, mode="json")
    given = wire.pop("functionDeclarations", None) or wire.pop("function_declarations", None) or ()
    declarations += given
    names += [declaration["name"] for declaration in given]
    return wire


# A declaration lives as long as the class that holds the tool's arguments; tools that share one differ by name.
_declarations: Final[WeakKeyDictionary[type, dict[tuple[str, str, Dialect], _Declaration]]] = WeakKeyDictionary()


def _of_tool(tool: BaseTool, dialect: Dialect) -> tuple[str, _Declaration]:
    metadata = tool.metadata
    name, description = metadata.get_name(), metadata.description or ""
    schema = metadata.fn_schema
    if schema is None:
        parameters = metadata.get_parameters_dict()
        return name, function_declaration(name, description, parameters, dialect=dialect)
    known = _declarations.setdefault(schema, {})
    declaration = known.get((name, description, dialect))
    if declaration is None:
        declaration = function_declaration(name, description, metadata.get_parameters_dict(), dialect=dialect)
        known[name, description, dialect] = declaration
    return name, declaration
