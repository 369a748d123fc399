"""Compose the answer to a request without a language model: pictures, calls, JSON or text, whatever is asked for. Pure.

Nothing here knows a framework's prompts.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gemway_emulator import _media, _usage
from gemway_emulator._envelope import Part, Turn, call_part, medium_part, text_part, thought_part
from gemway_emulator._instances import make_instance
from gemway_emulator._language import content_words, nearest_sentence, topic
from gemway_emulator._request import Request, Tool, to_text

# Every second tool is named with one of these: they do not count when a name is looked for among the words of a text.
_EMPTY_WORDS = frozenset(content_words("set run tool function call fetch find return current"))
_THOUGHT = "**Considering the request**\n\nThe user asks about"
_DENIAL = r"(?i)\b(?:not|never|don't|without)"


def compose_answer(request: Request, *, thought_images: bool = False) -> Turn:
    """The neutral answer to *request*."""
    thoughts: list[Part] = []
    if request.thinks_aloud:
        # A summary of its thoughts ends with the budget of the answer, as Google's do.
        units = _usage.tokens(f"{_THOUGHT} {topic(request.prompt) or 'something'}.\n")
        thoughts = [thought_part("".join(units[: request.config.get("maxOutputTokens")]))]
    if "IMAGE" in request.modalities:
        return Turn([*thoughts, *_draw_pictures(request, thought_images=thought_images)])
    if "AUDIO" in request.modalities:
        return Turn([medium_part(_media.speak(request.prompt), _media.SPEECH_TYPE, False)])
    if calls := _choose_calls(request):
        return Turn([*thoughts, *calls])
    first, *others = [
        _compose_text_turn(request, thoughts, number) for number in range(request.config.get("candidateCount") or 1)
    ]
    first.alternatives = others
    return first


def _compose_text_turn(request: Request, thoughts: list[Part], number: int) -> Turn:
    config, text = request.config, _compose_json(request) if request.wants_json else _compose_text(request)
    if number and not request.wants_json:
        text = f"{text} (version {number + 1})"
    stops = [text.find(stop) for stop in config.get("stopSequences") or [] if stop and stop in text]
    text = text[: min(stops, default=None)]
    # maxOutputTokens is a budget for thinking and text together (ai.google.dev/gemini-api/docs/thinking).
    thought = "".join(part["text"] for part in thoughts) or (_THOUGHT if request.thinks else "")
    spent, units, most = _usage.count(thought), _usage.tokens(text), config.get("maxOutputTokens")
    reason = "STOP"
    if most is not None and len(units) + spent > most:
        text, reason = "".join(units[: max(most - spent, 0)]), "MAX_TOKENS"
    turn = Turn([*thoughts, *([text_part(text, None)] if text else [])], reason)
    if not thoughts:
        turn.hidden_thoughts = min(spent, most or spent)
    if config.get("responseLogprobs"):
        turn.candidate_fields |= _make_logprobs(text, config.get("logprobs") or 0)
    if text and any("googleSearch" in tool for tool in request.body.get("tools") or []):
        turn.candidate_fields |= _make_grounding(request.prompt, text)
    return turn


def _compose_json(request: Request) -> str:
    """JSON for the schema; without one, the keys that the prompt spells as `"key":`, else one `answer`."""
    schema = request.schema
    if schema is None:
        keys = list(dict.fromkeys(re.findall(r"[\"'`](\w+)[\"'`]\s*:", request.prompt)))
        if not keys:
            return json.dumps({"answer": nearest_sentence(request.prompt, request.background)}, ensure_ascii=False)
        schema = {"type": "object", "properties": {key: {} for key in keys}, "required": keys}
    value = make_instance(schema, request.material)
    if request.schema is not None and request.config.get("responseMimeType") == "text/x.enum":
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _compose_text(request: Request) -> str:
    received = [
        f"I received a file of type {medium.mime_type or 'unknown'} at {medium.uri}."
        if medium.uri
        else f"I received {medium.mime_type} data of {len(medium.data)} bytes."
        for medium in request.media
    ]
    if request.awaits_results:
        # An agent may have made dozens of calls by now; the newest ones are enough to see that they arrived.
        results = [f"{name}: {to_text(response)}" for name, response in request.results[-8:]]
        return " ".join([f"According to the tools: {'; '.join(results)}.", *received])
    if received:
        return " ".join([*received, f"You asked: {request.prompt or 'nothing more'}"])
    return nearest_sentence(request.prompt, request.background)


def _choose_calls(request: Request) -> list[Part]:
    """The function calls that answer *request*, none if it asks for text.

    A tool that the newest user text names is called, several in parallel unless the text contains `then`. Mode ANY calls the
    first allowed one otherwise. No tool is called twice for one user text, so that every loop over calls ends.
    """
    fresh = [tool for tool in request.tools if tool.name not in request.called]
    if request.mode == "NONE" or not fresh:
        return []
    selected = _find_named_tools(request, fresh) or (fresh[:1] if request.mode == "ANY" else [])
    material, calls = request.material, []
    for tool in selected:
        # Two tools named in one text would otherwise both take its first number and its first name.
        if len(selected) > 1:  # so each has the text from its name to the name of the next one
            start = _find_tool_name(tool.name, request.prompt)
            ends = [place for other in selected if (place := _find_tool_name(other.name, request.prompt)) > start]
            material = re.sub(r",?\s+and\s*$", "", request.prompt[start : min(ends, default=None)])
        args = make_instance(tool.schema, material)
        calls.append(call_part(tool.name, args if isinstance(args, dict) else {}))
    return calls


def _find_named_tools(request: Request, tools: list[Tool]) -> list[Tool]:
    text = request.prompt
    places = {tool.name: place for tool in request.tools if (place := _find_tool_name(tool.name, text)) >= 0}
    if places or request.called:
        named = sorted((tool for tool in tools if tool.name in places), key=lambda tool: places[tool.name])
        return named[:1] if re.search(r"(?i)\bthen\b", text) else named
    # A text with all the words of a name that mean something means it: `the weather in Oslo` is for get_weather.
    spoken, denied = set(content_words(text)), " ".join(re.findall(rf"{_DENIAL}\b.*", text)).lower()
    for tool in tools:
        meaning = set(content_words(tool.name)) - _EMPTY_WORDS
        if meaning and meaning <= spoken and tool.name.lower() not in denied:
            return [tool]
    return []


def _find_tool_name(name: str, text: str) -> int:
    """Where *text* has *name* as a word of its own, -1 if nowhere or if it forbids the tool."""
    word = rf"{re.escape(name)}(?!\w)"
    is_forbidden = re.search(rf"{_DENIAL}\s+(?:us\w+|call\w*)\s+(?:the\s+)?\W?{word}", text)
    match = re.search(rf"(?i)(?<!\w){word}", text)
    return match.start() if match and not is_forbidden else -1


def _make_logprobs(text: str, top: int) -> dict[str, Any]:
    candidates = [
        {"token": unit, "tokenId": 1000 + index, "logProbability": -0.1}
        for index, unit in enumerate(_usage.tokens(text))
    ]
    result: dict[str, Any] = {"chosenCandidates": candidates, "logProbabilitySum": round(-0.1 * len(candidates), 6)}
    if top:
        result["topCandidates"] = [{"candidates": [entry]} for entry in candidates]
    return {"logprobsResult": result, "avgLogprobs": -0.1}


def _make_grounding(question: str, text: str) -> dict[str, Any]:
    """The fields that Google Search adds to an answer: the query, one source, and the bytes of the text it supports."""
    segment = {"startIndex": 0, "endIndex": len(text.encode()), "text": text}
    metadata = {
        "webSearchQueries": [question],
        "searchEntryPoint": {"renderedContent": "<div>search suggestions</div>"},
        "groundingChunks": [{"web": {"uri": "https://example.com/", "title": "example.com"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
    }
    return {"groundingMetadata": metadata}


def _draw_pictures(request: Request, *, thought_images: bool) -> list[Part]:
    """An edit of the newest picture in the conversation, or a new one, at one of the model's sizes; with a line of text."""
    config, model, newest = request.config.get("imageConfig") or {}, request.model, request.newest_picture
    ratio, image_size = config.get("aspectRatio"), config.get("imageSize")
    source = _media.open_picture(newest.data) if newest else None
    if source is None:  # a model that cannot read the picture draws a new one, too
        picture = _media.draw(request.prompt or "untitled", model.picture_size(ratio, image_size))
    else:
        pixels = model.picture_size(ratio or model.nearest_ratio(source.size), image_size)
        picture = _media.edit(request.prompt, source, pixels)
    parts = [medium_part(picture, "image/png")]
    if "TEXT" in request.modalities:
        made = "the edited picture" if newest else "a picture"
        parts.insert(0, text_part(f"Here is {made}: {request.prompt[:200] or 'untitled'}", None))
    # gemini-3-pro-image sends drafts as thought parts; clients must not take them for the answer.
    if thought_images and request.thinks_aloud:
        draft = medium_part(_media.draw(f"draft: {request.prompt}", (256, 256)), "image/png", False)
        parts.insert(0, draft | {"thought": True})
    return parts
