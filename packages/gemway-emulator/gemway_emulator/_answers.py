"""Compose the answer to a request without a language model: pictures, calls, JSON or text, whatever is asked for. Pure.

Nothing here knows a framework's prompts.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gemway_emulator import _media, _usage
from gemway_emulator._instances import instance
from gemway_emulator._language import content_words, nearest_sentence, topic
from gemway_emulator._request import Request, Tool, encoded, readable
from gemway_emulator._turns import AUTOMATIC, Part, Turn, call_part, medium_part, text_part, thought_part

# Every second tool is named with one of these: they do not count when a name is looked for among the words of a text.
_EMPTY_WORDS = frozenset(content_words("set run tool function call fetch find return current"))
_THOUGHT = "**Considering the request**\n\nThe user asks about"


def answer(request: Request, *, thought_images: bool = False) -> Turn:
    """The neutral answer to *request*."""
    if "IMAGE" in request.modalities:
        return Turn([*_thoughts(request), *_picture_parts(request, thought_images=thought_images)])
    if "AUDIO" in request.modalities:
        return Turn([medium_part(encoded(_media.speak(request.prompt)), _media.SPEECH_TYPE, None)])
    if calls := _choose_calls(request):
        return Turn([*_thoughts(request), *calls])
    turns = [_text_turn(request, number) for number in range(request.config.get("candidateCount") or 1)]
    turns[0].alternatives = turns[1:]
    return turns[0]


def _text_turn(request: Request, number: int) -> Turn:
    text = _compose_json(request) if request.wants_json else _compose_text(request)
    if number and not request.wants_json:
        text = f"{text} (version {number + 1})"
    thoughts = _thoughts(request)
    spent = sum(_usage.count(part["text"]) for part in thoughts) or request.thinks * _usage.count(_THOUGHT)
    text, reason = _limited(text, request.config, spent=spent)
    turn = Turn([*thoughts, *([text_part(text, AUTOMATIC)] if text else [])], finish_reason=reason)
    if not thoughts:
        turn.hidden_thoughts = min(spent, request.config.get("maxOutputTokens") or spent)
    if request.config.get("responseLogprobs"):
        turn.candidate_fields |= _logprobs(text, request.config.get("logprobs") or 0)
    if text and any("googleSearch" in tool for tool in request.body.get("tools") or []):
        turn.candidate_fields |= _grounding(request.prompt, text)
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


def _thoughts(request: Request) -> list[Part]:
    """The thought summary, if one is asked for; it ends with the budget of the answer."""
    if not request.thinks_aloud:
        return []
    units = _usage.tokens(f"{_THOUGHT} {topic(request.prompt) or 'something'}.\n")
    return [thought_part("".join(units[: request.config.get("maxOutputTokens")]))]


def _compose_json(request: Request) -> str:
    """JSON for the schema; without one, the keys that the prompt spells as `"key":`, else one `answer`."""
    if request.schema is not None:
        value = instance(request.schema, request.material)
        if request.config.get("responseMimeType") == "text/x.enum":
            return str(value)
    elif keys := list(dict.fromkeys(re.findall(r"[\"'`](\w+)[\"'`]\s*:", request.prompt))):
        value = instance(
            {"type": "object", "properties": {key: {} for key in keys}, "required": keys}, request.material
        )
    else:
        value = {"answer": nearest_sentence(request.prompt, request.background)}
    return json.dumps(value, ensure_ascii=False)


def _compose_text(request: Request) -> str:
    received = [
        f"a file of type {medium.mime_type or 'unknown'} at {medium.uri}."
        if medium.uri
        else f"{medium.mime_type} data of {len(medium.data)} bytes."
        for medium in request.media
    ]
    if request.awaits_results:
        results = [f"{name}: {readable(response)}" for name, response in request.results[-8:]]
        media = " ".join(f"I received {item}" for item in received)
        return f"According to the tools: {'; '.join(results)}. {media}".strip()
    if received:
        return f"I received {' '.join(received)} You asked: {request.prompt or 'nothing more'}"
    return nearest_sentence(request.prompt, request.background)


def _choose_calls(request: Request) -> list[Part]:
    """The function calls that answer *request*, none if it asks for text.

    A tool that the newest user text names is called, several in parallel unless the text contains `then`. Mode ANY calls the
    first allowed one otherwise. No tool is called twice for one user text, so that every loop over calls ends.
    """
    fresh = [tool for tool in request.tools if tool.name not in request.called]
    if request.mode == "NONE" or not fresh:
        return []
    calls = []
    selected = _named_tools(request, fresh) or (fresh[:1] if request.mode == "ANY" else [])
    for tool in selected:
        material = request.material
        if len(selected) > 1:  # each has the text from its name to the name of the next one
            start = _find_name(tool.name, request.prompt)
            ends = [place for other in selected if (place := _find_name(other.name, request.prompt)) > start]
            material = re.sub(r",?\s+and\s*$", "", request.prompt[start : min(ends, default=None)])
        args = instance(tool.schema, material)
        calls.append(call_part(tool.name, args if isinstance(args, dict) else {}))
    return calls


def _named_tools(request: Request, tools: list[Tool]) -> list[Tool]:
    text = request.prompt
    places = {tool.name: place for tool in request.tools if (place := _find_name(tool.name, text)) >= 0}
    if not places and not request.called:
        # A text with all the words of a name that mean something means it: `the weather in Oslo` is for get_weather.
        words = {tool.name: set(content_words(tool.name)) - _EMPTY_WORDS for tool in tools}
        denied = re.findall(r"(?i)\b(?:not|never|don't|without)\b.*", text)
        spoken = set(content_words(text))
        meant = [tool for tool in tools if words[tool.name] and words[tool.name] <= spoken]
        return [tool for tool in meant if not any(tool.name.lower() in clause.lower() for clause in denied)][:1]
    named = sorted((tool for tool in tools if tool.name in places), key=lambda tool: places[tool.name])
    return named[:1] if re.search(r"(?i)\bthen\b", text) else named


def _find_name(name: str, text: str) -> int:
    """Where *text* has *name* as a word of its own, -1 if nowhere or if it forbids the tool."""
    if re.search(
        rf"(?i)\b(?:not|never|don't|without)\s+(?:us\w+|call\w*)\s+(?:the\s+)?\W?{re.escape(name)}(?!\w)", text
    ):
        return -1
    match = re.search(rf"(?i)(?<!\w){re.escape(name)}(?!\w)", text)
    return match.start() if match else -1


def _logprobs(text: str, top: int) -> dict[str, Any]:
    selected = [
        {"token": unit, "tokenId": 1000 + index, "logProbability": -0.1}
        for index, unit in enumerate(_usage.tokens(text))
    ]
    result: dict[str, Any] = {"chosenCandidates": selected, "logProbabilitySum": round(-0.1 * len(selected), 6)}
    if top:
        result["topCandidates"] = [{"candidates": [entry]} for entry in selected]
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


def _picture_parts(request: Request, *, thought_images: bool) -> list[Part]:
    parts = [medium_part(encoded(_picture(request)), "image/png")]
    if "TEXT" in request.modalities:
        made = "the edited picture" if request.newest_picture else "a picture"
        parts.insert(0, text_part(f"Here is {made}: {request.prompt[:200] or 'untitled'}", AUTOMATIC))
    if thought_images and request.thinks_aloud:
        draft = medium_part(encoded(_media.draw(f"draft: {request.prompt}", (256, 256))), "image/png", None)
        parts.insert(0, draft | {"thought": True})
    return parts


def _picture(request: Request) -> bytes:
    """An edit of the newest picture in the conversation, or a new one, at one of the model's sizes."""
    config = request.config.get("imageConfig") or {}
    ratio, size = config.get("aspectRatio"), config.get("imageSize")
    if request.newest_picture is not None:
        try:
            source = _media.opened(request.newest_picture.data)
        except ValueError:
            pass  # undecodable input: draw afresh, as a model that saw nothing would
        else:
            pixels = request.model.picture_size(ratio or request.model.nearest_ratio(source.size), size)
            return _media.edit(request.prompt, source, pixels)
    return _media.draw(request.prompt or "untitled", request.model.picture_size(ratio, size))
