"""Check what the field table cannot say: the order of turns, signatures, options that exclude each other. Pure.

Every rule raises the 400 Google sends, with Google's words where they are known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from gemway_emulator._errors import invalid_argument
from gemway_emulator._fields import PART_DATA
from gemway_emulator._picture_sizes import picture_size
from gemway_emulator._request import Request, text_of
from gemway_emulator._signatures import Signatures

Json = dict[str, Any]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_MOST_DECLARATIONS = 512
_MOST_STOPS = 5
# What Google documents for JSON Schemas, and what all its clients send. `not`, `allOf`, `if` and their kin are refused.
_WORDS = """type format title description enum const default nullable items prefixItems minItems maxItems uniqueItems minimum maximum anyOf oneOf
properties additionalProperties required propertyOrdering minProperties maxProperties minLength maxLength pattern definitions"""
_SCHEMA_WORDS = frozenset(_WORDS.split())
_RESULT_MEDIA = frozenset(("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"))
_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "maxOutputTokens": (1, float("inf")),
    "candidateCount": (1, 8),
    "logprobs": (0, 20),
}


def check(request: Request, signatures: Signatures, *, strict: bool) -> None:
    """Raise Google's 400 for a request that is well formed but not valid."""
    for rule in _RULES:
        rule(request)
    _check_returned_signatures(request, signatures, strict=strict)


def _contents(request: Request) -> None:
    if not request.contents:
        raise invalid_argument("* GenerateContentRequest.contents: contents is not specified", field="contents")
    for index, content in enumerate(request.contents):
        if content.get("role") not in (None, "user", "model", "function"):
            raise invalid_argument("Please use a valid role: user, model.", field=f"contents[{index}].role")
        if not content.get("parts"):
            path = f"contents[{index}].parts"
            raise invalid_argument(f"* GenerateContentRequest.{path}: contents.parts must not be empty.", field=path)


def _parts(request: Request) -> None:
    for path, part in _each_part(request):
        present = [name for name in PART_DATA if name in part]
        if not present and "videoMetadata" not in part:
            text = f"* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field"
            raise invalid_argument(text, field=f"{path}.data")
        if len(present) > 1:
            text = f"Invalid value at '{path}' (oneof), oneof field 'data' is already set. Cannot set '{present[1]}'"
            raise invalid_argument(text, field=path)
        _part_data(path, part)


def _part_data(path: str, part: Json) -> None:
    required = {
        "inlineData": ("mimeType", "data"),
        "fileData": ("fileUri",),
        "functionCall": ("name",),
        "functionResponse": ("name",),
    }
    for kind, names in required.items():
        missing = [name for name in names if kind in part and not part[kind].get(name)]
        if missing:
            where = f"{path}.{_snake(kind)}.{_snake(missing[0])}"
            raise invalid_argument(f"* GenerateContentRequest.{where}: {missing[0]} must not be empty.", field=where)


def _turn_order(request: Request) -> None:
    """Calls follow a user or function-response turn; the next turn answers every one of them.

    Consecutive contents of one role count as one turn: Google accepts parallel responses in several user contents.
    """
    turns = _turns(request)
    for index, parts in enumerate(turns):
        before, after = turns[index - 1] if index else [], turns[index + 1] if index + 1 < len(turns) else []
        calls, responses = _count(parts, "functionCall"), _count(parts, "functionResponse")
        if calls and not before:
            raise invalid_argument(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
            )
        if responses and not _count(before, "functionCall"):
            raise invalid_argument(
                "Please ensure that function response turn comes immediately after a function call turn."
            )
        answered = _count(after, "functionResponse")
        if calls and answered != calls and (answered or not request.model.forgives_unanswered_calls):
            raise invalid_argument(
                "Please ensure that the number of function response parts is equal to the number of function call parts "
                "of the function call turn."
            )


def _prefill(request: Request) -> None:
    if request.model.refuses_prefill and request.contents[-1].get("role") == "model":
        raise invalid_argument(
            f"Please ensure that the last turn is a user turn: {request.model.name} takes no prefill."
        )


def _call_signatures(request: Request) -> None:
    """Gemini 3 and later: the first call of every step in the current turn is signed."""
    if not request.model.signs_calls or request.model.makes_images:
        return
    step_open = False
    for position in range(_current_turn(request), len(request.contents)):
        content = request.contents[position]
        calls = [part for part in content.get("parts", []) if "functionCall" in part]
        is_first, step_open = (
            bool(calls) and not step_open,
            content.get("role") == "model" and (step_open or bool(calls)),
        )
        if is_first and content.get("role") == "model" and not calls[0].get("thoughtSignature"):
            name = calls[0]["functionCall"].get("name", "")
            raise invalid_argument(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
                "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
                f"function call `default_api:{name}`, position {position + 1}."
            )


def _image_signatures(request: Request) -> None:
    """Image models of Gemini 3 and later: every picture in a model turn is signed."""
    if not request.model.signs_images:
        return
    for turn, content in enumerate(request.contents, start=1):
        for place, part in enumerate(content.get("parts", []), start=1):
            missing = "inlineData" in part and not part.get("thoughtSignature") and not part.get("thought")
            if content.get("role") == "model" and missing:
                text = f"Image part is missing a thought_signature in content position {turn}, part position {place}."
                raise invalid_argument(text)


def _declarations(request: Request) -> None:
    declared = _declared(request)
    for name in declared:
        if not _NAME.fullmatch(name):
            raise invalid_argument(
                "* GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function name. Must start with a "
                "letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or "
                f"dashes (-), with a maximum length of 128. Got: {name!r}"
            )
    repeated = [name for name, number in Counter(declared).items() if number > 1]
    if repeated:
        raise invalid_argument(f"Duplicate function declaration found: {repeated[0]}")
    if len(declared) > _MOST_DECLARATIONS:
        raise invalid_argument(f"At most {_MOST_DECLARATIONS} function declarations are supported.")
    for entry in _entries(request):
        for one, other in (("parameters", "parametersJsonSchema"), ("response", "responseJsonSchema")):
            if one in entry and other in entry:
                raise invalid_argument(f"Only one of {one} and {other} may be set in a function declaration.")


def _calling_config(request: Request) -> None:
    config = (request.body.get("toolConfig") or {}).get("functionCallingConfig")
    if config is None:
        return
    declared = _declared(request)
    if not declared:
        raise invalid_argument("Function calling config is set without function_declarations.")
    allowed = config.get("allowedFunctionNames") or []
    if allowed and config.get("mode") not in ("ANY", "VALIDATED"):
        raise invalid_argument("Allowed function names are only supported in mode ANY or VALIDATED.")
    unknown = [name for name in allowed if name not in declared]
    if unknown:
        raise invalid_argument(f"allowed_function_names names a function that is not declared: {unknown[0]}")


def _config(request: Request) -> None:
    config = request.config
    for name, (low, high) in _RANGES.items():
        if name in config and not low <= config[name] <= high:
            path = f"generation_config.{_snake(name)}"
            raise invalid_argument(
                f"* GenerateContentRequest.{path}: must be in the range [{low}, {high}].", field=path
            )
    if len(config.get("stopSequences") or []) > _MOST_STOPS:
        raise invalid_argument(f"At most {_MOST_STOPS} stop_sequences are supported.")
    if "logprobs" in config and not config.get("responseLogprobs"):
        raise invalid_argument("logprobs is set without response_logprobs.")
    thinking = config.get("thinkingConfig") or {}
    if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
        raise invalid_argument("You can only set only one of thinking budget and thinking level.")


def _response_format(request: Request) -> None:
    config = request.config
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    if len(schemas) > 1:
        raise invalid_argument("Only one of response_schema and response_json_schema may be set.")
    mime = config.get("responseMimeType") or "text/plain"
    if mime not in ("text/plain", "application/json", "text/x.enum"):
        raise invalid_argument(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, "
            "`application/json` and `text/x.enum`."
        )
    if schemas and mime == "text/plain":
        raise invalid_argument(f"{_snake(schemas[0])} needs response_mime_type application/json or text/x.enum.")


def _response_schema_beside_tools(request: Request) -> None:
    if request.wants_json and request.tools and 0 < request.model.generation < 3:
        raise invalid_argument(
            f"Function calling with a response mime type: '{request.config['responseMimeType']}' is unsupported"
        )


def _json_schemas(request: Request) -> None:
    """The words of JSON Schemas are checked too; those of the other dialect are fields of a message (see `_fields`)."""
    schemas = {"generation_config.response_json_schema": request.config.get("responseJsonSchema")}
    for index, entry in enumerate(_entries(request)):
        for name in ("parametersJsonSchema", "responseJsonSchema"):
            schemas[f"tools[0].function_declarations[{index}].{_snake(name)}"] = entry.get(name)
    for path, schema in schemas.items():
        _check_words(schema, path)


def _check_words(schema: Any, path: str) -> None:
    if not isinstance(schema, dict):
        return
    for word in schema:
        if word not in _SCHEMA_WORDS and not word.startswith("$"):
            text = f"Invalid JSON payload received. Unknown name \"{word}\" at '{path}': Cannot find field."
            raise invalid_argument(text, field=path)
    for word in ("properties", "$defs", "definitions"):
        named = schema.get(word)
        for name, nested in named.items() if isinstance(named, dict) else ():
            _check_words(nested, f"{path}.{word}[{name}]")
    for word in ("items", "additionalProperties", "prefixItems", "anyOf", "oneOf"):
        value = schema.get(word)
        for nested in value if isinstance(value, list) else [value]:
            _check_words(nested, f"{path}.{word}")


def _cached_content(request: Request) -> None:
    if request.body.get("cachedContent") and request.body.keys() & {"systemInstruction", "tools", "toolConfig"}:
        raise invalid_argument(
            "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config."
            "\n\nProposed fix: move those values to CachedContent from GenerateContent request."
        )


def _media_in_results(request: Request) -> None:
    for path, part in _each_part(request):
        for index, nested in enumerate((part.get("functionResponse") or {}).get("parts") or []):
            blob = nested.get("inlineData") or nested.get("fileData") or {}
            mime_type = blob.get("mimeType") or ""
            if mime_type and mime_type not in _RESULT_MEDIA:
                where = f"{path}.function_response.parts[{index}]"
                raise invalid_argument(f"Unsupported MIME type in function response: {mime_type}", field=where)


def _modalities(request: Request) -> None:
    """A model makes what its name says; what `models=` adds may be anything."""
    model, wanted = request.model, request.modalities
    known = model.generation > 0
    if known and (("IMAGE" in wanted and not model.makes_images) or "VIDEO" in wanted):
        allowed = "AUDIO" if model.speaks else "TEXT, IMAGE" if model.makes_images else "TEXT"
        raise invalid_argument(
            f"The requested combination of response modalities ({', '.join(wanted)}) is not supported by the model. "
            f"models/{model.name} accepts the following combination of response modalities:\n* {allowed}\n"
        )


def _pictures(request: Request) -> None:
    image = request.config.get("imageConfig") or {}
    if request.model.makes_images or image:
        picture_size(request.model, image.get("aspectRatio"), image.get("imageSize"))
    if request.model.makes_images and request.config.get("candidateCount", 1) > 1:
        raise invalid_argument("Multiple candidates is not enabled for this model")


_RULES: tuple[Callable[[Request], None], ...] = (
    _contents,
    _parts,
    _config,
    _response_format,
    _modalities,
    _pictures,
    _cached_content,
    _media_in_results,
    _json_schemas,
    _response_schema_beside_tools,
    _declarations,
    _calling_config,
    _turn_order,
    _prefill,
    _call_signatures,
    _image_signatures,
)


def _check_returned_signatures(request: Request, signatures: Signatures, *, strict: bool) -> None:
    asked = ""
    for index, content in enumerate(request.contents):
        if content.get("role") != "model" and not _count(content.get("parts", []), "functionResponse"):
            asked = text_of(content)
        for place, part in enumerate(content.get("parts", [])):
            if problem := signatures.problem(part, asked, strict=strict):
                raise invalid_argument(problem, field=f"contents[{index}].parts[{place}].thought_signature")


def _each_part(request: Request) -> Iterator[tuple[str, Json]]:
    for turn, content in enumerate(request.contents):
        for place, part in enumerate(content.get("parts", [])):
            yield f"contents[{turn}].parts[{place}]", part


def _turns(request: Request) -> list[list[Json]]:
    """The parts of each turn, consecutive contents of one role joined."""
    turns: list[list[Json]] = []
    speaker = None
    for content in request.contents:
        role = "model" if content.get("role") == "model" else "user"
        if role != speaker:
            turns.append([])
        turns[-1].extend(content.get("parts", []))
        speaker = role
    return turns


def _count(parts: list[Json], kind: str) -> int:
    return sum(kind in part for part in parts)


def _current_turn(request: Request) -> int:
    """Index of the last user turn with text or media of its own."""
    starts = [
        index
        for index, turn in enumerate(request.contents)
        if turn.get("role") != "model" and not _count(turn.get("parts", []), "functionResponse")
    ]
    return starts[-1] if starts else 0


def _entries(request: Request) -> list[Json]:
    return [entry for tool in request.body.get("tools") or [] for entry in tool.get("functionDeclarations") or []]


def _declared(request: Request) -> list[str]:
    return [entry.get("name", "") for entry in _entries(request)]


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()
