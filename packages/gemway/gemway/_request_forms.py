"""Requests in the forms that people write: text, Google's objects, Python functions. Pure.

Google's objects (`google.genai.types`) are recognised by their method `model_dump` and never imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gemway._exceptions import ConfigurationError
from gemway._functions import PythonFunction, is_python_function
from gemway._json import JsonMapping, JsonObject, camel, members, merge_deep
from gemway._media import to_part
from gemway._wire_options import to_generation_config, to_safety_settings
from gemway.types import Content, GenerateContentRequest, GenerationConfig, Part, WireType

# Members of a request as REST has it; google-genai has them, and those of generationConfig, in one flat config.
_OF_THE_REQUEST: Final = ("toolConfig", "safetySettings", "cachedContent", "labels", "serviceTier", "store")
CONFIG_FIELDS: Final = (
    *map(camel, GenerationConfig.model_fields),
    *("systemInstruction", "tools", *_OF_THE_REQUEST),
    *("automaticFunctionCalling", "httpOptions"),
)
"""Fields of google-genai's `GenerateContentConfig` that are read here, or refused with the place where they belong."""
_REFUSED: Final = {"httpOptions": "pass timeout=, max_retries=, deadline= and headers= to the call instead"}
_PART_NAMES: Final = frozenset({"text", "inlineData", "fileData", "functionCall", "functionResponse"})


def is_request_form(request: object) -> bool:
    """Whether *request* is something that `to_request` reads: a request, or contents as objects. Bare text is none."""
    return isinstance(request, Mapping | WireType | list | tuple) or _is_google_object(request)


def to_request(request: Any, config: object, model: str) -> JsonObject:
    """Return *request* as something that can be validated: Google's objects are dumped, functions declared.

    Args:
        request: a request in REST's form whose members may be Google's objects, or contents alone: a part, a
            content, or a list of them and of texts.
        config: google-genai's `GenerateContentConfig`, or a dict with its fields; None for none.
    """
    # From here on there is one form, so that every rule below is written once.
    if isinstance(request, GenerateContentRequest):
        request = request.model_dump(exclude_none=True)
    wire: JsonObject = dict(request) if _is_whole_request(request) else {"contents": request}
    settings = wire.pop("config", None) if config is None else config
    body = {camel(name): member for name, member in wire.items()}
    # Members of the request itself win over those of the config, because they stand next to the contents.
    if settings is not None:
        body = merge_deep(_members_from_config(settings, model), body)
    body["contents"] = to_contents(body.get("contents"))
    if body.get("systemInstruction") is not None:
        body["systemInstruction"] = to_content(body["systemInstruction"], role=None)
    if body.get("tools") is not None:
        body["tools"] = to_tools(body["tools"])
    return {name: _dump_google_object(member) for name, member in body.items()}


def _is_google_object(value: object) -> bool:
    return hasattr(value, "model_dump") and not isinstance(value, WireType | type)


def _is_whole_request(request: object) -> bool:
    """Whether *request* is a whole request, and not one content or part."""
    if not isinstance(request, Mapping):
        return False
    return "contents" in request or not any(name in _PART_NAMES or name == "parts" for name in map(camel, request))


def _members_from_config(config: object, model: str) -> JsonObject:
    """Return the members of a request that google-genai's flat *config* stands for."""
    fields = members(config, "config")
    # A gateway would drop these silently, so the error names the place where they belong.
    for name, advice in _REFUSED.items():
        if name in fields:
            raise ConfigurationError(f"config cannot hold {name!r} here: {advice}")
    body: JsonObject = {
        name: fields.pop(name) for name in ("systemInstruction", "tools", *_OF_THE_REQUEST) if name in fields
    }
    fields.pop("automaticFunctionCalling", None)  # read already, where functions are called
    if "safetySettings" in body:
        settings = body["safetySettings"]
        body["safetySettings"] = to_safety_settings(settings if isinstance(settings, Mapping) else list(settings))
    if fields:
        body["generationConfig"] = to_generation_config({"generation_config": fields}, model=model)
    return body


def to_contents(contents: object) -> list[Any]:
    """Return *contents* as a list of contents; parts and texts that follow each other are one turn of the user.

    Raises:
        ConfigurationError: something that is neither a content nor a part.
    """
    items = contents if isinstance(contents, list | tuple) else [] if contents is None else [contents]
    turns: list[Any] = []
    parts: list[Any] | None = None
    for item in items:
        # google-genai's rule: loose parts that follow each other are one turn of the user.
        if _is_content_form(item):
            turns.append(to_content(item, role="user"))
            parts = None
        elif parts is None:
            parts = [_to_wire_part(item)]
            turns.append({"role": "user", "parts": parts})
        else:
            parts.append(_to_wire_part(item))
    return turns


def to_content(value: object, *, role: str | None) -> Any:
    """Return one content; text and parts get the role *role*."""
    if isinstance(value, Content):
        return value
    if _is_content_form(value):
        dumped = _dump_google_object(value)
        parts = dumped.get("parts")
        parts = [] if parts is None else parts if isinstance(parts, list | tuple) else [parts]
        return {**dumped, "parts": [_to_wire_part(part) for part in parts]}
    parts = [_to_wire_part(item) for item in (value if isinstance(value, list | tuple) else [value])]
    return {"parts": parts} if role is None else {"role": role, "parts": parts}


def to_tools(tools: Any) -> list[Any]:
    """Return *tools* as REST has them: Python functions, declarations and Google's objects become such."""
    declarations: list[Any] = []
    others: list[Any] = []
    for tool in tools if isinstance(tools, list | tuple) else [tools]:
        if is_python_function(tool):
            declarations.append(PythonFunction(tool).declaration)
            continue
        dumped = _dump_google_object(tool)
        is_declaration = isinstance(dumped, Mapping) and "name" in dumped
        (declarations if is_declaration else others).append(dumped)
    return [*([{"functionDeclarations": declarations}] if declarations else []), *others]


def _is_content_form(value: object) -> bool:
    if isinstance(value, Mapping):
        return "parts" in value or "role" in value
    return hasattr(value, "parts") and hasattr(value, "role") and hasattr(value, "model_dump")


def _to_wire_part(value: object) -> Any:
    """Return one part: text, a part in REST's form or Google's, or whatever `to_part` makes one of."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, Part | Mapping):
        return value
    if hasattr(value, "model_dump"):
        dumped = _dump_google_object(value)
        return (
            {"fileData": {"fileUri": dumped["uri"], "mimeType": dumped.get("mime_type")}} if "uri" in dumped else dumped
        )
    return to_part(value)


def _dump_google_object(value: object) -> Any:
    """Return one of Google's objects as plain data: bytes stay bytes, since Google would write them for URLs."""
    if isinstance(value, WireType):
        return value
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(exclude_none=True)
    return value


def config_with(config: object, more: JsonMapping) -> Any:
    """Return *config* with *more* of its fields set."""
    if not more:
        return config
    return {**({} if config is None else members(config, "config")), **{camel(name): it for name, it in more.items()}}


def tools_of(config: object) -> list[Any]:
    """Return the tools of a *config*, as they were given."""
    tools = None if config is None else members(config, "config").get("tools")
    return [*tools] if isinstance(tools, Iterable) and not isinstance(tools, Mapping) else [tools] if tools else []


def calls_automatically(config: object) -> bool:
    """Whether a *config* leaves automatic function calling on."""
    switch = None if config is None else members(config, "config").get("automaticFunctionCalling")
    return switch is None or not members(switch, "automatic_function_calling").get("disable")
