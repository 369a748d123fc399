"""Check the rules that no table of fields can express: the order of turns, signatures, options that exclude each other. Pure.

Every rule raises the 400 Google sends, with Google's words where they are known.
"""

from __future__ import annotations

import re
from itertools import groupby

from gemway_emulator._errors import invalid_argument
from gemway_emulator._messages import to_snake
from gemway_emulator._request import Json, Request, is_question, text_of
from gemway_emulator._signatures import Signatures

# What a part may hold, exactly one of these, and the fields that must not be empty in it.
_PART_DATA: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("text", "executableCode", "codeExecutionResult", "toolCall", "toolResponse"), ()),
    "inlineData": ("mimeType", "data"),
    "fileData": ("fileUri",),
    "functionCall": ("name",),
    "functionResponse": ("name",),
}
# ai.google.dev/gemini-api/docs/function-calling names these; sounds, films and gif were refused when it was recorded.
_RESULT_MEDIA = frozenset(("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"))
_FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_MOST_DECLARATIONS = 512
_MOST_STOPS = 5
_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "maxOutputTokens": (1, float("inf")),
    "candidateCount": (1, 8),
    "logprobs": (0, 20),
}


def check_request(request: Request, signatures: Signatures, *, strict: bool) -> None:
    """Raise Google's 400 for a request that is well formed but not valid."""
    _refuse_field("contents", not request.contents, "contents is not specified")
    question = ""
    for turn, content in enumerate(request.contents):
        is_foreign = content.get("role") not in (None, "user", "model", "function")
        _refuse_if(is_foreign, "Please use a valid role: user, model.", f"contents[{turn}].role")
        _refuse_field(f"contents[{turn}].parts", not content.get("parts"), "contents.parts must not be empty.")
        if is_question(content):
            question = text_of(content)
        for place, part in enumerate(content["parts"]):
            path = f"contents[{turn}].parts[{place}]"
            _check_part(part, path)
            if problem := signatures.find_problem(part, question, strict=strict):
                raise invalid_argument(problem, field=f"{path}.thought_signature")
            is_unsigned = "inlineData" in part and not part.get("thoughtSignature") and not part.get("thought")
            if is_unsigned and content.get("role") == "model" and request.model.signs_images:
                where = f"content position {turn + 1}, part position {place + 1}"
                raise invalid_argument(f"Image part is missing a thought_signature in {where}.")
    _check_config(request)
    _check_output(request)
    _check_functions(request)
    _check_turn_order(request)
    # ai.google.dev/gemini-api/docs/thought-signatures; image models insist on signed pictures alone.
    if request.model.signs_calls and not request.model.makes_images:
        _check_call_signatures(request)


def _refuse_if(is_wrong: object, message: str, field: str | None = None) -> None:
    if is_wrong:
        raise invalid_argument(message, field=field)


def _refuse_field(path: str, is_wrong: object, text: str) -> None:
    """Raise the 400 in which Google names the field at *path*."""
    _refuse_if(is_wrong, f"* GenerateContentRequest.{path}: {text}", path)


def _check_part(part: Json, path: str) -> None:
    kinds = [name for name in _PART_DATA if name in part]
    is_empty = not kinds and "videoMetadata" not in part
    _refuse_field(f"{path}.data", is_empty, "required oneof field 'data' must have one initialized field")
    if len(kinds) > 1:
        text = f"Invalid value at '{path}' (oneof), oneof field 'data' is already set. Cannot set '{kinds[1]}'"
        raise invalid_argument(text, field=path)
    for kind in kinds:
        for name in _PART_DATA[kind]:
            is_missing = not part[kind].get(name)
            _refuse_field(f"{path}.{to_snake(kind)}.{to_snake(name)}", is_missing, f"{name} must not be empty.")
    for index, nested in enumerate((part.get("functionResponse") or {}).get("parts") or []):
        mime_type = (nested.get("inlineData") or nested.get("fileData") or {}).get("mimeType") or ""
        is_refused, where = mime_type and mime_type not in _RESULT_MEDIA, f"{path}.function_response.parts[{index}]"
        _refuse_if(is_refused, f"Unsupported MIME type in function response: {mime_type}", where)


def _check_config(request: Request) -> None:
    config, thinking = request.config, request.config.get("thinkingConfig") or {}
    for name, (low, high) in _RANGES.items():
        is_outside = name in config and not low <= config[name] <= high
        _refuse_field(f"generation_config.{to_snake(name)}", is_outside, f"must be in the range [{low}, {high}].")
    has_many_stops = len(config.get("stopSequences") or []) > _MOST_STOPS
    _refuse_if(has_many_stops, f"At most {_MOST_STOPS} stop_sequences are supported.")
    is_alone = "logprobs" in config and not config.get("responseLogprobs")
    _refuse_if(is_alone, "logprobs is set without response_logprobs.")
    has_both = {"thinkingLevel", "thinkingBudget"} <= thinking.keys()
    _refuse_if(has_both, "You can only set only one of thinking budget and thinking level.")
    _refuse_if(
        request.body.get("cachedContent") and request.body.keys() & {"systemInstruction", "tools", "toolConfig"},
        "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config."
        "\n\nProposed fix: move those values to CachedContent from GenerateContent request.",
    )


def _check_output(request: Request) -> None:
    """JSON and pictures. A model's name decides what it generates; models added with `models=` may generate anything."""
    config, model, modalities = request.config, request.model, request.modalities
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    mime = config.get("responseMimeType") or "text/plain"
    _refuse_if(len(schemas) > 1, "Only one of response_schema and response_json_schema may be set.")
    _refuse_field(
        "generation_config.response_mime_type",
        mime not in ("text/plain", "application/json", "text/x.enum"),
        "allowed mimetypes are `text/plain`, `application/json` and `text/x.enum`.",
    )
    if schemas and mime == "text/plain":
        raise invalid_argument(f"{to_snake(schemas[0])} needs response_mime_type application/json or text/x.enum.")
    is_refused = request.wants_json and request.tools and 0 < model.generation < 3
    _refuse_if(is_refused, f"Function calling with a response mime type: '{mime}' is unsupported")
    if model.generation > 0 and (("IMAGE" in modalities and not model.makes_images) or "VIDEO" in modalities):
        allowed = "AUDIO" if model.speaks else "TEXT, IMAGE" if model.makes_images else "TEXT"
        raise invalid_argument(
            f"The requested combination of response modalities ({', '.join(modalities)}) is not supported by the model. "
            f"models/{model.name} accepts the following combination of response modalities:\n* {allowed}\n"
        )
    image = config.get("imageConfig") or {}
    if model.makes_images or image:
        model.picture_size(image.get("aspectRatio"), image.get("imageSize"))
    has_many = model.makes_images and config.get("candidateCount", 1) > 1
    _refuse_if(has_many, "Multiple candidates is not enabled for this model")


def _check_functions(request: Request) -> None:
    entries, calling = request.declarations, (request.body.get("toolConfig") or {}).get("functionCallingConfig")
    names = [entry.get("name", "") for entry in entries]
    for index, name in enumerate(names):
        if not _FUNCTION_NAME.fullmatch(name):
            raise invalid_argument(
                "* GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function name. Must start with a "
                "letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or "
                f"dashes (-), with a maximum length of 128. Got: {name!r}"
            )
        _refuse_if(name in names[:index], f"Duplicate function declaration found: {name}")
    has_many = len(names) > _MOST_DECLARATIONS
    _refuse_if(has_many, f"At most {_MOST_DECLARATIONS} function declarations are supported.")
    for one, other in (("parameters", "parametersJsonSchema"), ("response", "responseJsonSchema")):
        has_both = any(one in entry and other in entry for entry in entries)
        _refuse_if(has_both, f"Only one of {one} and {other} may be set in a function declaration.")
    if calling is not None:
        _refuse_if(not names, "Function calling config is set without function_declarations.")
        allowed = calling.get("allowedFunctionNames") or []
        is_misplaced = allowed and calling.get("mode") not in ("ANY", "VALIDATED")
        _refuse_if(is_misplaced, "Allowed function names are only supported in mode ANY or VALIDATED.")
        unknown = next((name for name in allowed if name not in names), None)
        _refuse_if(unknown, f"allowed_function_names names a function that is not declared: {unknown}")


def _check_turn_order(request: Request) -> None:
    """Calls follow a user or function-response turn; the next turn answers every one of them.

    Consecutive contents of one role count as one turn: Google accepts parallel responses in several user contents.
    """
    contents, model = request.contents, request.model
    # The texts below are Google's, word for word, since clients and their tests search errors for them.
    is_prefill = model.refuses_prefill and contents[-1].get("role") == "model"
    _refuse_if(is_prefill, f"Please ensure that the last turn is a user turn: {model.name} takes no prefill.")
    turns = [
        [part for content in group for part in content["parts"]]
        for _, group in groupby(contents, key=lambda content: content.get("role") == "model")
    ]
    for before, parts, after in zip([[], *turns], turns, [*turns[1:], []], strict=False):
        calls, answered = _count_parts(parts, "functionCall"), _count_parts(after, "functionResponse")
        _refuse_if(
            calls and not before,
            "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
        )
        _refuse_if(
            _count_parts(parts, "functionResponse") and not _count_parts(before, "functionCall"),
            "Please ensure that function response turn comes immediately after a function call turn.",
        )
        _refuse_if(
            calls and answered != calls and (answered or not model.forgives_unanswered_calls),
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn.",
        )


def _count_parts(parts: list[Json], kind: str) -> int:
    return sum(kind in part for part in parts)


def _check_call_signatures(request: Request) -> None:
    """Gemini 3 and later: the first call of every step in the current turn is signed."""
    start = max((index for index, turn in enumerate(request.contents) if is_question(turn)), default=0)
    is_in_step = False
    for position, content in enumerate(request.contents[start:], start + 1):
        calls = [part for part in content["parts"] if "functionCall" in part]
        is_model = content.get("role") == "model"
        if is_model and calls and not is_in_step and not calls[0].get("thoughtSignature"):
            raise invalid_argument(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
                "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
                f"function call `default_api:{calls[0]['functionCall'].get('name', '')}`, position {position}."
            )
        is_in_step = is_model and (is_in_step or bool(calls))
