"""Ways to deviate from Google's protocol, each with a name. All are off by default; each was seen at a real gateway.

`MISBEHAVIOURS` is the whole list. Content deviations are functions on the chunks of an answer; framing and gateway
deviations are read by name where the stream is written and the request is admitted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from gemway_emulator._envelope import Chunk, candidates_of, parts_of
from gemway_emulator._messages import to_snake

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


def check_names(names: Iterable[str]) -> frozenset[str]:
    """Return *names* as a set; raise ValueError naming the known ones if one is unknown."""
    requested = frozenset([names] if isinstance(names, str) else names)
    if unknown := sorted(requested - MISBEHAVIOURS.keys()):
        raise ValueError(f"unknown misbehaviour {', '.join(unknown)}; known: {', '.join(sorted(MISBEHAVIOURS))}")
    return requested


def deviate(chunks: list[Chunk], names: frozenset[str], *, streamed: bool) -> list[Chunk]:
    """Apply the content deviations in *names* to the chunks of one answer."""
    if not names:
        return chunks
    # Scripted turns may be served again, so changes are made on a copy.
    copies: list[Chunk] = json.loads(json.dumps(chunks))
    for field, change in [row for name, row in _CHANGES.items() if name in names]:
        for chunk in copies:
            contents = [candidate.get("content") or {} for candidate in candidates_of(chunk)]
            for holder in (chunk, *candidates_of(chunk), *contents, *parts_of(chunk)):
                if field in holder:
                    change(holder)
    # Rearranged after all changes, so that a new last chunk has them too.
    for rearrange in [row for name, row in _REARRANGEMENTS.items() if streamed and name in names]:
        copies = rearrange(copies)
    if "explicit_nulls" in names:
        for chunk in copies:
            _write_nulls(chunk)
    return _spell_in_snake_case(copies) if "snake_case_response" in names else copies


def _drop_field(field: str) -> tuple[str, Callable[[Chunk], Any]]:
    return field, lambda holder: holder.pop(field)


def _write_picture_data(write: Callable[[Chunk], str]) -> tuple[str, Callable[[Chunk], Any]]:
    return "inlineData", lambda part: part["inlineData"].update(data=write(part["inlineData"]))


def _write_args_as_text(part: Chunk) -> None:
    part["functionCall"]["args"] = json.dumps(part["functionCall"].get("args") or {})


def _add_part(candidate: Chunk) -> None:
    if parts := (candidate.get("content") or {}).get("parts"):
        parts.insert(0, {"hologram": {"hue": 7}})


def _add_fields(chunk: Chunk) -> None:
    chunk["gatewayNote"] = {"billing": 1}
    for nested in (*candidates_of(chunk), *parts_of(chunk)):
        nested["gatewayNote"] = "extra"


# A field, and the change of everything that has it: the chunk, a candidate, its content, or a part.
_CHANGES: dict[str, tuple[str, Callable[[Chunk], Any]]] = {
    "unknown_fields": ("usageMetadata", _add_fields),
    "no_usage": _drop_field("usageMetadata"),
    "no_response_ids": ("responseId", lambda chunk: [chunk.pop(name) for name in ("responseId", "modelVersion")]),
    "no_role": _drop_field("role"),
    "no_signatures": _drop_field("thoughtSignature"),
    "no_call_ids": ("functionCall", lambda part: part["functionCall"].pop("id", None)),
    "unknown_part": ("finishReason", _add_part),
    "args_as_json_string": ("functionCall", _write_args_as_text),
    "urlsafe_base64_images": _write_picture_data(lambda blob: blob["data"].replace("+", "-").replace("/", "_")),
    "unpadded_base64_images": _write_picture_data(lambda blob: blob["data"].rstrip("=")),
    "data_url_images": _write_picture_data(lambda blob: f"data:{blob['mimeType']};base64,{blob['data']}"),
    "signature_not_base64": ("thoughtSignature", lambda part: part.update(thoughtSignature="sig: nature!")),
    "no_finish_reason": _drop_field("finishReason"),
    "unknown_finish_reason": ("finishReason", lambda candidate: candidate.update(finishReason="TIRED_OF_TALKING")),
    "stop_in_every_chunk": ("index", lambda candidate: candidate.setdefault("finishReason", "STOP")),
}


def _leave_out_field(chunk: Chunk, name: str) -> Chunk:
    return {key: value for key, value in chunk.items() if key != name}


def _end_with_empty_chunk(chunks: list[Chunk]) -> list[Chunk]:
    last = chunks[-1]
    if not parts_of(last):
        return chunks
    ending = [candidate | {"content": {"role": "model"}} for candidate in candidates_of(last)]
    spoken_candidates = [_leave_out_field(candidate, "finishReason") for candidate in candidates_of(last)]
    return [*chunks[:-1], last | {"candidates": spoken_candidates}, last | {"candidates": ending}]


# What streams are made of.
_REARRANGEMENTS: dict[str, Callable[[list[Chunk]], list[Chunk]]] = {
    "empty_last_chunk": _end_with_empty_chunk,
    "usage_only_last_chunk": lambda chunks: [
        *chunks[:-1],
        _leave_out_field(chunks[-1], "usageMetadata"),
        _leave_out_field(chunks[-1], "candidates"),
    ],
    "usage_on_last_chunk_only": lambda chunks: [
        *(_leave_out_field(chunk, "usageMetadata") for chunk in chunks[:-1]),
        chunks[-1],
    ],
    "cut_stream": lambda chunks: chunks[:-1],
}


def _write_nulls(chunk: Chunk) -> None:
    chunk |= {"promptFeedback": None, "candidates": None} | chunk
    for candidate in candidates_of(chunk):
        for name in ("finishReason", "safetyRatings", "citationMetadata", "groundingMetadata", "content"):
            candidate.setdefault(name, None)
    for part in parts_of(chunk):
        for name in ("text", "functionCall", "inlineData", "thought", "thoughtSignature"):
            part.setdefault(name, None)


def _spell_in_snake_case(value: Any) -> Any:
    if isinstance(value, list):
        return [_spell_in_snake_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    # What the user named (args of a call) keeps its spelling.
    return {to_snake(name): item if name == "args" else _spell_in_snake_case(item) for name, item in value.items()}
