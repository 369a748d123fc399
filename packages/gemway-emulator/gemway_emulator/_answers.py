"""Compose the answer to a request without a language model: pictures, calls, JSON or text, whatever is asked for. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from gemway_emulator import _choice_shapes, _pictures, _prompt_shapes, _tools, _usage
from gemway_emulator._language import grounded, topic
from gemway_emulator._picture_sizes import picture_size
from gemway_emulator._prompt import Medium, Prompt, encoded, readable
from gemway_emulator._schema_instances import instance
from gemway_emulator._sounds import SPEECH_TYPE, speak
from gemway_emulator._turns import AUTOMATIC, Part, Turn, medium_part, text_part, thought_part


def answer(prompt: Prompt, *, thought_images: bool = False) -> Turn:
    """The turn a helpful, literal-minded model would give."""
    if "IMAGE" in prompt.modalities:
        return Turn([*_thoughts(prompt), *_picture_parts(prompt, thought_images=thought_images)])
    if "AUDIO" in prompt.modalities:
        return Turn([medium_part(encoded(speak(prompt.question)), SPEECH_TYPE, None)])
    if calls := _tools.calls(prompt):
        return Turn([*_thoughts(prompt), *calls])
    turns = [_text_turn(prompt, number) for number in range(prompt.config.get("candidateCount") or 1)]
    turns[0].alternatives = turns[1:]
    return turns[0]


def _text_turn(prompt: Prompt, number: int) -> Turn:
    text = _json(prompt) if _wants_json(prompt) else _text(prompt)
    if number and not _wants_json(prompt):
        text = f"{text} (version {number + 1})"
    thoughts = _thoughts(prompt)
    text, reason = _limited(text, prompt.config, spent=sum(_usage.count(part["text"]) for part in thoughts))
    turn = Turn([*thoughts, *([text_part(text, AUTOMATIC)] if text else [])], finish_reason=reason)
    if prompt.config.get("responseLogprobs"):
        turn.candidate_fields |= _logprobs(text, prompt.config.get("logprobs") or 0)
    if text and any("googleSearch" in tool for tool in prompt.body.get("tools") or []):
        turn.candidate_fields |= _grounding(prompt.question, text)
    return turn


def _limited(text: str, config: dict[str, Any], *, spent: int) -> tuple[str, str]:
    """*text* and its finish reason under stopSequences and maxOutputTokens, of which thinking has *spent* some."""
    stops = [text.find(stop) for stop in config.get("stopSequences") or [] if stop and stop in text]
    text = text[: min(stops)] if stops else text
    most = config.get("maxOutputTokens")
    units = _usage.tokens(text)
    if most is None or len(units) + spent <= most:
        return text, "STOP"
    return "".join(units[: max(most - spent, 0)]), "MAX_TOKENS"


def _thoughts(prompt: Prompt) -> list[Part]:
    if not prompt.thinks_aloud:
        return []
    return [
        thought_part(f"**Considering the request**\n\nThe user asks about {topic(prompt.question) or 'something'}.\n")
    ]


def _wants_json(prompt: Prompt) -> bool:
    return prompt.config.get("responseMimeType") in ("application/json", "text/x.enum")


def _json(prompt: Prompt) -> str:
    config = prompt.config
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema is None:
        return json.dumps(_free_json(prompt), ensure_ascii=False)
    value = _choice_shapes.selection(schema, prompt) or instance(schema, prompt.material, prompt.background)
    return str(value) if config.get("responseMimeType") == "text/x.enum" else json.dumps(value, ensure_ascii=False)


def _free_json(prompt: Prompt) -> dict[str, Any]:
    """An object with the keys the prompt names: `{"name": ..., "age": ...}`, `keys name and age`, or one `answer`."""
    text = prompt.material
    named = re.findall(r"[\"'`](\w+)[\"'`]\s*:", text)
    listed = re.search(
        r"(?i)\b(?:keys?|fields?|properties|property)\b\s*:?\s*((?:[\"'`]?\w+[\"'`]?(?:,\s*(?:and\s+)?|\s+and\s+)?)+)",
        text,
    )
    if not named and listed:
        named = re.findall(r"\w+", re.sub(r"\band\b", " ", listed.group(1)))
    if not named:
        return {"answer": grounded(text, prompt.background)}
    made = instance({"type": "object", "properties": {name: {} for name in named}, "required": named}, text)
    return {name: made[name] for name in dict.fromkeys(named)}


def _text(prompt: Prompt) -> str:
    if prompt.awaits_results:
        return _after_tools(prompt)
    shaped = _prompt_shapes.answer(prompt)
    if shaped is not None:
        return shaped
    seen = " ".join(_received(medium) for medium in prompt.media)
    if seen:
        return f"I received {seen} You asked: {prompt.question or 'nothing more'}"
    return grounded(prompt.question, prompt.background)


def _after_tools(prompt: Prompt) -> str:
    said = [f"{name}: {readable(response)}" for name, response in prompt.results[-8:]]
    seen = " ".join(f"I received {_received(medium)}" for medium in prompt.media)
    return f"According to the tools: {'; '.join(said)}. {seen}".strip()


def _received(medium: Medium) -> str:
    if medium.uri:
        return f"a file of type {medium.mime_type or 'unknown'} at {medium.uri}."
    return f"{medium.mime_type} data of {len(medium.data)} bytes."


def _logprobs(text: str, top: int) -> dict[str, Any]:
    chosen = [
        {"token": unit, "tokenId": 1000 + index, "logProbability": -0.1}
        for index, unit in enumerate(_usage.tokens(text))
    ]
    result: dict[str, Any] = {"chosenCandidates": chosen, "logProbabilitySum": round(-0.1 * len(chosen), 6)}
    if top:
        result["topCandidates"] = [{"candidates": [entry]} for entry in chosen]
    return {"logprobsResult": result, "avgLogprobs": -0.1}


def _grounding(question: str, text: str) -> dict[str, Any]:
    """What Google Search adds to an answer: the query, one source, and the bytes of the text it supports."""
    segment = {"startIndex": 0, "endIndex": len(text.encode()), "text": text}
    metadata = {
        "webSearchQueries": [question],
        "searchEntryPoint": {"renderedContent": "<div>search suggestions</div>"},
        "groundingChunks": [{"web": {"uri": "https://example.com/", "title": "example.com"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
    }
    return {"groundingMetadata": metadata}


def _picture_parts(prompt: Prompt, *, thought_images: bool) -> list[Part]:
    config = prompt.config.get("imageConfig") or {}
    size = picture_size(prompt.model, config.get("aspectRatio"), config.get("imageSize"))
    data = _picture(prompt, size, fixed="aspectRatio" in config or "imageSize" in config)
    parts = [medium_part(encoded(data), "image/png")]
    if "TEXT" in prompt.modalities:
        made = "the edited picture" if prompt.newest_picture else "a picture"
        parts.insert(0, text_part(f"Here is {made}: {prompt.question[:200] or 'untitled'}", AUTOMATIC))
    if thought_images and prompt.thinks_aloud:
        draft = medium_part(encoded(_pictures.draw(f"draft: {prompt.question}", (256, 256))), "image/png", None)
        parts.insert(0, draft | {"thought": True})
    return parts


def _picture(prompt: Prompt, size: tuple[int, int], *, fixed: bool) -> bytes:
    """An edit of the newest picture in the conversation, or a new one of *size* pixels."""
    source = prompt.newest_picture
    if source is not None:
        try:
            return _pictures.edit(prompt.question, source.data, size if fixed else None)
        except ValueError:
            pass  # undecodable input: draw afresh, as a model that saw nothing would
    return _pictures.draw(prompt.question or "untitled", size)
