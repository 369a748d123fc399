"""Python functions as tools: their declarations, from signature and docstring, and their calls. Pure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, PydanticUserError, ValidationError, create_model
from pydantic_core import to_jsonable_python

from gemway._exceptions import ConfigurationError
from gemway._json import JsonMapping, JsonObject
from gemway._schema import function_declaration
from gemway._tools import restore_arguments, sanitize_tool_name
from gemway.types import FunctionCall

# The heading of a docstring's part about arguments or results, in Google's, NumPy's and Sphinx's manner.
_SECTION = re.compile(r"^\s*(?:(Args|Arguments|Parameters)|Returns?|Yields?|Raises|Examples?|Notes?):?\s*$")
_ARGUMENT = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.+)$")
_SPHINX = re.compile(r"^\s*:(?:param\s+(?:\w+\s+)?(\w+)|\w+(?: \w+)*):\s*(.*)$")


class PythonFunction:
    """A function that a model may call.

    Raises:
        ConfigurationError: a function without a name, or with parameters that JSON cannot fill.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.name = sanitize_tool_name(getattr(function, "__name__", "") or type(function).__name__)
        description, arguments = _read_docstring(inspect.getdoc(function) or "")
        self._model = _parameters_of(function, self.name, arguments)
        self._schema = self._model.model_json_schema() if self._model.model_fields else None
        schema = {key: value for key, value in (self._schema or {}).items() if key != "title"} or None
        self.declaration: JsonObject = function_declaration(self.name, description, schema)

    def __call__(self, args: JsonMapping) -> object:
        """Call the function with the arguments of a model's call, converted to its annotations, and return its result."""
        # Only arguments that the model gave are passed on, so the function's own defaults apply to the others.
        filled = self._model.model_validate(restore_arguments(dict(args), self._schema))
        names = filled.model_fields_set
        return self._function(**{name: getattr(filled, name) for name in type(filled).model_fields if name in names})


def python_functions(tools: Iterable[Any] | None) -> dict[str, PythonFunction]:
    """Return the Python functions among *tools*, by the names under which they are declared."""
    functions = [PythonFunction(tool) for tool in tools or () if is_python_function(tool)]
    return {function.name: function for function in functions}


def is_python_function(tool: object) -> bool:
    """Whether *tool* is a function of the user, and not the description of one."""
    return callable(tool) and not isinstance(tool, type) and not hasattr(tool, "model_dump")


def sync_outcome(functions: Mapping[str, PythonFunction], call: FunctionCall) -> JsonObject:
    """Run *call* and return its result as a part to send back. If the function raises, the model gets the error."""
    try:
        result = functions[call.name or ""](call.args or {})
        if inspect.isawaitable(result):
            getattr(result, "close", bool)()  # a coroutine that nobody will await
            raise ConfigurationError(f"{call.name} is an async function: use AsyncClient.chat")
    # The program is wrong, not the call: the model could not do anything about it.
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - the model reads it, and may call again
        return _to_function_response(call, {"error": _words_of(error)})
    return _to_function_response(call, {"result": result})


async def async_outcome(functions: Mapping[str, PythonFunction], call: FunctionCall) -> JsonObject:
    """Run *call* and return its result as a part to send back. If the function raises, the model gets the error."""
    try:
        result = functions[call.name or ""](call.args or {})
        if isinstance(result, Awaitable):
            result = await result
    except Exception as error:  # noqa: BLE001 - the model reads it, and may call again
        return _to_function_response(call, {"error": _words_of(error)})
    return _to_function_response(call, {"result": result})


def _to_function_response(call: FunctionCall, content: JsonObject) -> JsonObject:
    # The key names are Google's: `result` for any value, `error` for a failure (Function calling, FunctionResponse).
    response: JsonObject = {"name": call.name, "response": to_jsonable_python(content, fallback=str)}
    if call.id is not None:
        response["id"] = call.id
    return {"functionResponse": response}


def _words_of(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problems = error.errors(include_input=False, include_url=False)
        return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
    return str(error) or type(error).__name__


def _parameters_of(function: Callable[..., Any], name: str, descriptions: Mapping[str, str]) -> type[BaseModel]:
    """Return a class with a field for each parameter."""
    try:
        parameters = inspect.signature(function).parameters.values()
        hints = get_type_hints(
            function if inspect.isroutine(function) else type(function).__call__, include_extras=True
        )
    except (TypeError, ValueError, NameError) as error:
        message = f"the signature of {name} cannot be read: {error}; annotate its parameters, or pass a declaration"
        raise ConfigurationError(message) from error
    fields: JsonObject = {}
    for parameter in parameters:
        # A call carries a JSON object, so every parameter needs a name.
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigurationError(f"{name}({parameter}): a model can only fill parameters that have a name")
        default = ... if parameter.default is parameter.empty else parameter.default
        described = Field(default, description=descriptions.get(parameter.name))
        fields[parameter.name] = (hints.get(parameter.name, Any), described)
    try:
        return create_model(name, **fields)
    except PydanticUserError as error:
        raise ConfigurationError(f"{name} has a parameter without a JSON Schema: {error.message}") from error


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the descriptions of the function and of each argument in a docstring."""
    summary: list[str] = []
    arguments: dict[str, str] = {}
    section, last = "", ""
    for line in text.splitlines():
        if match := _SECTION.match(line):
            section, last = match[1] or "other", ""
        elif match := _SPHINX.match(line):
            section, last = ("Args", match[1]) if match[1] else ("other", "")
            if last:
                arguments[last] = match[2]
        elif not section:
            summary.append(line)
        elif section != "other" and (match := _ARGUMENT.match(line)):
            last = match[1]
            arguments[last] = match[2]
        elif last and line.strip():
            arguments[last] += f" {line.strip()}"
    return "\n".join(summary).strip(), arguments
