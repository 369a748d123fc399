"""Ways to deviate from Google's protocol, each with a name. All are off by default; each was seen at a real gateway.

`MISBEHAVIOURS` is the whole list. Content deviations are functions on the chunks of an answer; framing and gateway
deviations are read by name where the stream is written and the request is admitted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from gemway_emulator._framing import Framing

Chunk = dict[str, Any]

MISBEHAVIOURS: dict[str, str] = {
    # the gateway
    "key_header_wins": "x-goog-api-key or ?key= replaces the Bearer token, as on new-api",
    "no_v1_route": "/v1/ answers 404; only /v1beta/ is served",
    "no_stream_route": "streamGenerateContent answers 404",
    "no_model_routes": "GET models and GET models/{model} answer 404",
    "no_count_route": "countTokens answers 404",
    "count_tokens_zero": "countTokens answers totalTokens 0",
    "no_embed_routes": "embedContent and batchEmbedContents answer 404",
    "no_batch_embed_route": "batchEmbedContents answers 404",
    "no_openai_embed_route": "/v1/embeddings answers 404",
    "unknown_verbs_generate": "countTokens and the embedding verbs are answered by a generation, as on one-hub",
    "empty_embeddings": "embedding routes answer 200 with an empty body, as on CLIProxyAPI",
    "merged_embeddings": "several texts are merged into one vector",
    "truncated_embeddings": "embedding answers break off in the middle",
    "drop_snake_case": "snake_case request fields are silently dropped (inline_data and mime_type excepted)",
    "arrays_required": "one object in place of a list (contents, parts, tools) is refused, as typed gateways do",
    "error_with_200": "errors keep their body but come with status 200",
    "openai_errors": "errors come in OpenAI's shape, with a string code",
    "plain_text_errors": "errors come as plain text",
    # the content
    "snake_case_response": "response fields are written in snake_case",
    "explicit_nulls": "absent fields are written as null",
    "no_usage": "no usageMetadata",
    "no_finish_reason": "no finishReason",
    "no_role": "no content.role",
    "no_response_ids": "no responseId and no modelVersion",
    "no_signatures": "thought signatures are dropped",
    "no_call_ids": "function call ids are dropped",
    "stop_in_every_chunk": "every chunk of a stream has finishReason STOP",
    "unknown_finish_reason": "finishReason is a word no client knows",
    "unknown_part": "an extra part of a kind no client knows",
    "unknown_fields": "extra fields at every level",
    "args_as_json_string": "functionCall.args is a JSON string",
    "urlsafe_base64_images": "pictures in the URL-safe alphabet",
    "unpadded_base64_images": "pictures without base64 padding",
    "data_url_images": "pictures as data: URLs",
    "signature_not_base64": "thought signatures that are not base64",
    "empty_last_chunk": "the stream ends with a chunk without parts, as Google's often do",
    "usage_only_last_chunk": "the stream ends with a chunk that holds only usageMetadata",
    "usage_on_last_chunk_only": "only the last chunk has usageMetadata",
    # the framing
    "ping_comments": ": PING comments between events",
    "done_marker": "data: [DONE] at the end",
    "no_space_after_data": "data:{...} without the space",
    "event_lines": "event: message lines",
    "multi_line_data": "one event over several data: lines",
    "json_array_stream": "a JSON array instead of server-sent events",
    "lf_newlines": "LF instead of CRLF",
    "cr_newlines": "CR instead of CRLF",
    "byte_order_mark": "the stream begins with a byte order mark",
    "no_final_newline": "no blank line after the last event",
    "json_content_type": "streams are sent as application/json",
    "cut_stream": "the stream ends before its last chunk, cleanly",
}


def checked(names: Iterable[str]) -> frozenset[str]:
    """Return *names* as a set; raise ValueError naming the known ones if one is unknown."""
    wanted = frozenset([names] if isinstance(names, str) else names)
    if unknown := sorted(wanted - MISBEHAVIOURS.keys()):
        raise ValueError(f"unknown misbehaviour {', '.join(unknown)}; known: {', '.join(sorted(MISBEHAVIOURS))}")
    return wanted


def framing(names: frozenset[str], *, as_array: bool) -> Framing:
    """How a stream is written under *names*; *as_array* is Google's answer without `alt=sse`."""
    newline = "\n" if "lf_newlines" in names else "\r" if "cr_newlines" in names else "\r\n"
    as_array = as_array or "json_array_stream" in names
    is_json = as_array or "json_content_type" in names
    return Framing(
        newline=newline,
        space="no_space_after_data" not in names,
        comments="ping_comments" in names,
        done="done_marker" in names,
        event_lines="event_lines" in names,
        multi_line="multi_line_data" in names,
        bom="byte_order_mark" in names,
        final_newline="no_final_newline" not in names,
        as_array=as_array,
        content_type="application/json; charset=UTF-8" if is_json else "text/event-stream",
    )


def deviate(chunks: list[Chunk], names: frozenset[str], *, streamed: bool) -> list[Chunk]:
    """Apply the content deviations in *names* to the chunks of one answer."""
    copies: list[Chunk] = json.loads(json.dumps(chunks)) if names else chunks
    for name, change in _CHANGES.items():
        if name in names:
            for chunk in copies:
                change(chunk)
    if streamed:
        for name, rearrange in _REARRANGEMENTS.items():
            copies = rearrange(copies) if name in names else copies
    if "explicit_nulls" in names:
        for chunk in copies:
            _write_nulls(chunk)
    return [_snake(chunk) for chunk in copies] if "snake_case_response" in names else copies


def embeddings_error(code: int, message: str) -> dict[str, Any]:
    """The body of an error on OpenAI's embedding route."""
    name = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(code)
    kind = "server_error" if code >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": name}}


def openai_error(error: dict[str, Any]) -> dict[str, Any]:
    """The body new-api would send for Google's *error*."""
    inner = error["error"]
    code = str(inner.get("status", "")).lower()
    return {"error": {"message": inner["message"], "type": "new_api_error", "param": "", "code": code}}


def _candidates(chunk: Chunk) -> list[Chunk]:
    return chunk.get("candidates") or []


def parts_of(chunk: Chunk) -> list[Chunk]:
    return [part for candidate in _candidates(chunk) for part in (candidate.get("content") or {}).get("parts") or []]


def _drop(*names: str) -> Callable[[Chunk], None]:
    def change(chunk: Chunk) -> None:
        for name in names:
            chunk.pop(name, None)

    return change


def _each_candidate(change: Callable[[Chunk], Any]) -> Callable[[Chunk], None]:
    def apply(chunk: Chunk) -> None:
        for candidate in _candidates(chunk):
            change(candidate)

    return apply


def _each_part(field: str, change: Callable[[Chunk], Any]) -> Callable[[Chunk], None]:
    def apply(chunk: Chunk) -> None:
        for part in parts_of(chunk):
            if field in part:
                change(part)

    return apply


def _unknown_reason(candidate: Chunk) -> None:
    if candidate.get("finishReason"):
        candidate["finishReason"] = "TIRED_OF_TALKING"


def _unknown_part(candidate: Chunk) -> None:
    parts = (candidate.get("content") or {}).get("parts")
    if parts and candidate.get("finishReason"):
        parts.insert(0, {"hologram": {"hue": 7}})


def _unknown_fields(chunk: Chunk) -> None:
    chunk["gatewayNote"] = {"billing": 1}
    for nested in (*_candidates(chunk), *parts_of(chunk)):
        nested["gatewayNote"] = "extra"


def _args_as_text(part: Chunk) -> None:
    part["functionCall"]["args"] = json.dumps(part["functionCall"].get("args") or {})


def _reencode(change: Callable[[str], str]) -> Callable[[Chunk], None]:
    def apply(part: Chunk) -> None:
        part["inlineData"]["data"] = change(part["inlineData"]["data"])

    return _each_part("inlineData", apply)


def _data_url(part: Chunk) -> None:
    blob = part["inlineData"]
    blob["data"] = f"data:{blob['mimeType']};base64,{blob['data']}"


_CHANGES: dict[str, Callable[[Chunk], None]] = {
    "no_usage": _drop("usageMetadata"),
    "no_response_ids": _drop("responseId", "modelVersion"),
    "no_finish_reason": _each_candidate(_drop("finishReason")),
    "no_role": _each_candidate(lambda candidate: (candidate.get("content") or {}).pop("role", None)),
    "no_signatures": _each_part("thoughtSignature", _drop("thoughtSignature")),
    "no_call_ids": _each_part("functionCall", lambda part: part["functionCall"].pop("id", None)),
    "unknown_finish_reason": _each_candidate(_unknown_reason),
    "unknown_part": _each_candidate(_unknown_part),
    "args_as_json_string": _each_part("functionCall", _args_as_text),
    "urlsafe_base64_images": _reencode(lambda data: data.replace("+", "-").replace("/", "_")),
    "unpadded_base64_images": _reencode(lambda data: data.rstrip("=")),
    "data_url_images": _each_part("inlineData", _data_url),
    "signature_not_base64": _each_part("thoughtSignature", lambda part: part.update(thoughtSignature="sig: nature!")),
    "unknown_fields": _unknown_fields,
    "stop_in_every_chunk": _each_candidate(lambda candidate: candidate.setdefault("finishReason", "STOP")),
}


def _empty_last(chunks: list[Chunk]) -> list[Chunk]:
    if not parts_of(chunks[-1]):
        return chunks
    ending = json.loads(json.dumps(chunks[-1]))
    for candidate in _candidates(ending):
        candidate["content"] = {"role": "model"}
    for candidate in _candidates(chunks[-1]):
        candidate.pop("finishReason", None)
    return [*chunks, ending]


def _usage_last(chunks: list[Chunk]) -> list[Chunk]:
    ending = {name: value for name, value in chunks[-1].items() if name != "candidates"}
    chunks[-1].pop("usageMetadata", None)
    return [*chunks, ending]


def _usage_once(chunks: list[Chunk]) -> list[Chunk]:
    for chunk in chunks[:-1]:
        chunk.pop("usageMetadata", None)
    return chunks


_REARRANGEMENTS: dict[str, Callable[[list[Chunk]], list[Chunk]]] = {
    "empty_last_chunk": _empty_last,
    "usage_only_last_chunk": _usage_last,
    "usage_on_last_chunk_only": _usage_once,
    "cut_stream": lambda chunks: chunks[:-1],
}


def _write_nulls(chunk: Chunk) -> None:
    chunk.setdefault("promptFeedback", None)
    chunk.setdefault("candidates", None)
    for candidate in _candidates(chunk):
        for name in ("finishReason", "safetyRatings", "citationMetadata", "groundingMetadata", "content"):
            candidate.setdefault(name, None)
    for part in parts_of(chunk):
        for name in ("text", "functionCall", "inlineData", "thought", "thoughtSignature"):
            part.setdefault(name, None)


def _snake(value: Any) -> Any:
    if isinstance(value, list):
        return [_snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    # What the user named (args of a call) keeps its spelling.
    return {_snake_name(name): item if name == "args" else _snake(item) for name, item in value.items()}


def _snake_name(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
