"""Turn requests into bytes for the wire. Pure. `_response.py` reads the answers.

A `Call` is one request, ready to send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from gemway._body import LargeBody, encode
from gemway._capabilities import capabilities
from gemway._config import Settings
from gemway._exceptions import ConfigurationError, ResponseValidationError
from gemway._json import JsonMapping, JsonObject, merge_deep
from gemway._request_forms import is_request_form, to_request
from gemway._tools import unique_declarations
from gemway.types import GenerateContentRequest

MAX_PAGES: Final = 100
"""The most pages of a list of models. A gateway that repeats its page token would keep a client busy for ever."""

# One segment of a model name. Gateways add brackets, commas and words of any language to names ("[vip]gemini-2.5-pro",
# "gemini-2.5-pro(8192)"): everything is sent percent-encoded, except text that would mean something else in a path even
# so (nothing, dots alone) or in a line of HTTP (control characters, half surrogates).
_SEGMENT = re.compile(r"(?![.\s]+$)[^\x00-\x1f\x7f\ud800-\udfff]+")


# https://ai.google.dev/api/generate-content, Modality: 1 is TEXT, 2 IMAGE, 3 AUDIO.
_IMAGE_NUMBER = 2


class WireRequest(dict[str, Any]):
    """A request that already is wire JSON (camelCase): sent as it is, without validation.

    For adapters that build the JSON themselves; everyone else passes a `types.GenerateContentRequest`
    or a plain dict, whose spelling is checked and unified.
    """


@dataclass(frozen=True)
class Call:
    """One request, ready to send.

    Attributes:
        path: the part of the URL after the base URL, with the query.
        method: the HTTP method.
        body: the JSON, or None for a GET.
        streaming: whether the request asks for server-sent events.
        makes_pictures: whether repeating the call may make and bill a picture twice.
        slow: whether long silence is normal.
        text_chunks: whether chunks that only add text may come as `TextChunk`.
        seeks_pictures: whether texts of the answer are searched for embedded images. Not if the request asks for JSON:
            an image in one of its strings is part of the JSON.
        headers: header lines of this call that are no secrets, by lower-case names.
    """

    model: str
    path: str
    body: bytes | LargeBody | None
    streaming: bool = False
    makes_pictures: bool = False
    slow: bool = False
    wire: JsonMapping | None = None
    text_chunks: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    seeks_pictures: bool = True
    method: str = "POST"

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.path}>"


def generate_content(
    model: str,
    request: object,
    settings: Settings,
    *,
    stream: bool = False,
    text_chunks: bool = False,
    config: object = None,
) -> Call:
    """Return the call that asks *model* once, or for a stream.

    *config* is google-genai's flat `GenerateContentConfig` in addition to *request*, or None.

    Raises `ConfigurationError` for a model name that could leave the path, and for a request that is
    no JSON or has no contents.
    """
    # The name is checked first: it decides which members the request may have, and must not lead out of the path.
    path = model_path(model)
    wire = to_wire(request, settings, model, config)
    # Without alt=sse Google answers with one JSON array instead of events. new-api streams on either of the two.
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    # Nearly all requests of chats have no configuration; for them the model alone answers all three questions.
    has_config = "generationConfig" in wire or "generation_config" in wire
    makes_pictures = asks_for_pictures(model, wire) if has_config else capabilities(model).image_model
    return Call(
        model=model,
        path=f"/v1beta/models/{path}:{verb}",
        body=encode(wire),
        streaming=stream,
        makes_pictures=makes_pictures,
        slow=makes_pictures or (thinks_long(model, wire) if has_config else capabilities(model).slow),
        wire=wire,
        text_chunks=text_chunks and not settings.max_continuations,  # follow-up requests need the usage of every chunk
        seeks_pictures=not (has_config and asks_for_json(wire)),
    )


def without_stream(call: Call) -> Call:
    """Return the same call as one unary request, for gateways without a stream route."""
    # `alt=sse` must go, too: new-api streams whenever it sees it, whatever the method is.
    path = call.path.replace(":streamGenerateContent?alt=sse", ":generateContent")
    return replace(call, path=path, streaming=False)


def with_wire(call: Call, wire: JsonMapping) -> Call:
    """Return the same call with another body."""
    return replace(call, wire=wire, body=encode(wire))


def count_tokens(model: str, request: object, settings: Settings) -> Call:
    """Return the call that counts tokens. Some gateways answer it with a billed generation."""
    path = model_path(model)
    wire = to_wire(request, settings, model)
    if set(wire) - {"contents"}:
        # https://ai.google.dev/api/tokens: everything but contents counts only inside the wrapper.
        wire = {"generateContentRequest": {"model": f"models/{model.removeprefix('models/')}", **wire}}
    return Call(model, f"/v1beta/models/{path}:countTokens", encode(wire))


def list_models() -> Call:
    """Return the call that lists models."""
    return Call("", "/v1beta/models", None, method="GET")


def list_models_at_once() -> Call:
    """Return the call that lists models in pages as large as Google makes them (ai.google.dev/api/models: 1,000)."""
    return Call("", "/v1beta/models?pageSize=1000", None, method="GET")


def under_v1(call: Call) -> Call:
    """Return the same call under /v1 (LiteLLM lists models only there)."""
    return replace(call, path=call.path.replace("/v1beta/", "/v1/", 1))


def model_path(model: str) -> str:
    """Return *model* as it stands in the path, percent-encoded; `models/` in front is dropped.

    Raises:
        ConfigurationError: *model* is not text, or has a segment that is empty, dots alone or not printable.
    """
    if not isinstance(model, str):
        raise ConfigurationError(f"model must be a name such as 'gemini-2.5-flash', not {type(model).__name__}")
    return _encode_model_path(model)


@lru_cache(maxsize=256)
def _encode_model_path(model: str) -> str:
    segments = model.removeprefix("models/").split("/")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ConfigurationError(
            f"{model!r} is not a model name: between its slashes there is nothing, only dots, or a control character"
        )
    return "/".join(quote(segment, safe="._-~@+") for segment in segments)


def to_wire(request: object, settings: Settings, model: str, config: object = None) -> JsonObject:
    """Return the JSON of a request in the wire's spelling, extra body merged last."""
    if isinstance(request, WireRequest) and config is None:
        wire: JsonObject = request
    else:
        wire = _validate_request(request, model, config)
    # Google and new-api answer 400 "contents is required"; here the error names the next step.
    if not wire.get("contents"):
        raise ConfigurationError("contents is empty: pass at least one message with at least one part")
    config = wire.get("generationConfig")
    if config is not None and not isinstance(config, Mapping):
        raise ConfigurationError(f"generationConfig must be an object, not {type(config).__name__}")
    # Last, so that users can override everything, also fields that gemway does not know yet.
    if settings.extra_body:
        wire = merge_deep(wire, settings.extra_body)
    if tools := wire.get("tools"):
        wire = _with_unique_tools(wire, tools)
    # For gateways that read only `inline_data`, the spelling of Google's curl examples.
    if settings.inline_data_casing == "snake":
        wire = {**wire, "contents": [with_snake_inline_data(content) for content in wire["contents"]]}
    return wire


def _with_unique_tools(wire: JsonObject, tools: object) -> JsonObject:
    if not isinstance(tools, list | tuple):
        raise ConfigurationError(f"tools must be a list of tools, not {type(tools).__name__}")
    try:
        unique = unique_declarations(tools)
    except (AttributeError, TypeError, RecursionError):
        unique = None
    if unique is None:
        raise ConfigurationError("tools: each function declaration must be an object with a name")
    return wire if unique is tools else {**wire, "tools": unique}


def _validate_request(request: object, model: str, config: object) -> JsonObject:
    # Null means "not set" in ProtoJSON, so leaving it out changes nothing and keeps requests small.
    if isinstance(request, GenerateContentRequest) and config is None:
        return request.model_dump(exclude_none=True)
    if isinstance(request, Mapping) and config is None and "config" not in request:
        try:
            return GenerateContentRequest.model_validate({"contents": [], **request}).model_dump(exclude_none=True)
        except (ValidationError, RecursionError):
            pass  # Google's objects or Python functions may be in it
    elif not is_request_form(request):
        raise ConfigurationError(
            "request must be a types.GenerateContentRequest, its JSON as a dict, or contents as objects of"
            f" google.genai.types, not {type(request).__name__}"
        )
    try:
        converted = to_request(request, config, model)
        return GenerateContentRequest.model_validate(converted).model_dump(exclude_none=True)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        message = f"the request is not valid at {where}: {problem['msg']}"
    except (RecursionError, PydanticSerializationError):
        message = "the request is nested too deeply, or contains itself"
    raise ConfigurationError(message)


def with_snake_inline_data(content: JsonMapping) -> JsonObject:
    """Spell inline data as in some gateways' documentation: `inline_data.mime_type`."""
    parts = []
    for part in content.get("parts") or []:
        blob = part.get("inlineData")
        if blob is not None:
            renamed = {"mime_type" if key == "mimeType" else key: value for key, value in blob.items()}
            others = {key: value for key, value in part.items() if key != "inlineData"}
            parts.append({**others, "inline_data": renamed})
        else:
            parts.append(part)
    return {**content, "parts": parts}


def asks_for_pictures(model: str, wire: JsonMapping) -> bool:
    """Whether *wire* asks for pictures, so that repeating it may make and bill one twice.

    `extra_body` goes out as it is, so the modality may be in either spelling, in any case, or a number.
    """
    modalities: list[Any] = []
    for config in (wire.get("generationConfig"), wire.get("generation_config")):
        if isinstance(config, Mapping):
            if config.get("imageConfig") or config.get("image_config"):
                return True
            for name in ("responseModalities", "response_modalities"):
                value = config.get(name) or ()
                modalities += value if isinstance(value, (list, tuple, set)) else [value]
    if modalities:
        return any(modality == _IMAGE_NUMBER or "IMAGE" in str(modality).upper() for modality in modalities)
    return capabilities(model).image_model


def asks_for_json(wire: JsonMapping) -> bool:
    """Whether a request wants JSON as its answer, in whichever spelling an extra body gave that."""
    config = wire.get("generationConfig") or wire.get("generation_config")
    if not isinstance(config, Mapping):
        return False
    for key, value in config.items():
        name = str(key).replace("_", "").lower()
        if value and name in ("responseschema", "responsejsonschema"):
            return True
        if name == "responsemimetype" and "json" in str(value).lower():
            return True
        # {"text": {"mimeType": "APPLICATION_JSON", "schema": ...}} and OpenAI's {"type": "json_schema", ...}
        if name == "responseformat" and value and "json" in str(value)[:_SHOWN_FORMAT].lower():
            return True
    return False


_SHOWN_FORMAT = 1000


def thinks_long(model: str, wire: JsonMapping) -> bool:
    """Whether *model* may think for a minute without a byte."""
    thinking = (wire.get("generationConfig") or {}).get("thinkingConfig")
    if not isinstance(thinking, Mapping):
        return capabilities(model).slow
    level, budget = str(thinking.get("thinkingLevel", "")).upper(), thinking.get("thinkingBudget") or 0
    return capabilities(model).slow or level in ("HIGH", "XHIGH") or (isinstance(budget, int) and budget > 8192)


def to_token_count(payload: object) -> int | None:
    """Return the count of a countTokens answer, or None if it is none (a billed generation, a zero)."""
    if not isinstance(payload, dict) or payload.get("candidates"):
        return None
    count = payload.get("totalTokens", payload.get("total_tokens"))
    return count if isinstance(count, int) and count > 0 else None


def to_models(call: Call, payload: Any) -> tuple[list[str], Call | None]:
    """Return the model names of one page and the call for the next, if there is one."""
    entries = payload.get("models", payload.get("data")) if isinstance(payload, dict) else None
    if not isinstance(entries, list):
        raise ResponseValidationError("the gateway's list of models has neither `models` nor `data`", body=payload)
    # Google: {"models": [{"name": "models/..."}]}; OpenAI's form, which LiteLLM sends: {"data": [{"id": "..."}]}.
    names = [entry.get("name") or entry.get("id") for entry in entries if isinstance(entry, dict)]
    token = payload.get("nextPageToken")
    following = None
    if isinstance(token, str) and token and names:
        following = replace(call, path=f"{call.path.split('?')[0]}?pageToken={quote(token, safe='')}")
    return [str(name).removeprefix("models/") for name in names if name], following
