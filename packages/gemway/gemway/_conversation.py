"""Arrange a conversation the way Gemini accepts it. Pure: no network, no clock, no framework types.

Frameworks allow histories that generateContent refuses with 400: results far from their calls, calls without
results, several turns of one role in a row, a start or an end with the model. `arrange` takes contents in the
order of the conversation and returns contents that alternate, in which each turn with function calls is followed
at once by one user turn that begins with exactly its results, in call order (ai.google.dev, Function calling;
google-gemini/gemini-cli#3814, #17208, #26486). No text, media, call or result is left out.

A part may carry `call_id` next to its payload: the framework's id of the call that it belongs to. It pairs calls with
results and is never sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, TypeAlias

from gemway._capabilities import Capabilities, capabilities
from gemway._exceptions import ConfigurationError, UnsupportedContentError
from gemway._json import JsonObject
from gemway.types import find_answered_call

SENTINEL: Final = "skip_thought_signature_validator"
"""Takes the place of a signature that does not exist (ai.google.dev/gemini-api/docs/thought-signatures, FAQ)."""

Part: TypeAlias = JsonObject
Content: TypeAlias = JsonObject
_Turn: TypeAlias = tuple[str, list[Part]]

# The result of a call that nobody ran. Gemini shows `error` to the model as a failure.
_NOT_EXECUTED: Final = {"error": "not executed"}
# Texts of ours for the two ends of a conversation, where Gemini wants a turn of the user.
_OPENING: Final = "(No earlier message.)"
_PROMPT: Final = "Continue."
_MODEL_ROLES: Final = frozenset({"model", "assistant"})


def arrange(contents: Iterable[Content], *, model: str) -> list[Content]:
    """Return *contents* in an order and form that *model* accepts, as new objects where anything differs.

    The parts of the arguments are never changed and may be shared between calls. Arranging twice changes
    nothing more.

    Raises:
        ConfigurationError: *model* is not text.
        UnsupportedContentError: a content, a part or a call is not an object. The error names it.
    """
    if not isinstance(model, str):
        raise ConfigurationError(f"model must be a name such as 'gemini-2.5-flash', not {type(model).__name__}")
    accepts = capabilities(model)
    contents = contents if isinstance(contents, list) or not isinstance(contents, Iterable) else list(contents)
    try:
        in_order = None if accepts.image_model else _keep_if_in_order(contents, accepts)
        return _arrange_anything(contents, model, accepts) if in_order is None else in_order
    except (AttributeError, KeyError, TypeError):
        # Checking every part beforehand would slow down every message of a long history, so the fault is searched for
        # afterwards.
        problem = _find_problem(contents)
    raise UnsupportedContentError(problem)


def _keep_if_in_order(contents: Iterable[Content], accepts: Capabilities) -> list[Content] | None:
    """Return *contents* without the framework's ids if they are in order already, as nearly all are; else None.

    They are if user and model take turns, nothing is empty, and the results of calls stand right behind them. The
    general way for all others looks at each turn five times. Both give the same result, which a property test holds.
    """
    arranged: list[Content] = []
    role = "model"
    waiting: list[Part] = []
    may_need_signatures = False
    for content in contents:
        parts = content.get("parts")
        role = "user" if role == "model" else "model"
        if content.get("role") != role or len(content) != len(_TURN) or not parts or not isinstance(parts, list):
            return None
        has_calls = bool(waiting)
        for part in parts:
            if part.get("text") == "" or _MODIFIERS.issuperset(part):
                return None
            if not has_calls and not _OF_CALLS.isdisjoint(part):
                has_calls = True
        if has_calls:
            step = _sendable_step(role, parts, waiting)
            if step is None:
                return None
            parts, waiting = step
            may_need_signatures = True
        arranged.append({"role": role, "parts": parts} if has_calls else content)
    if waiting or not arranged or (role == "model" and not accepts.prefill):
        return None
    if may_need_signatures and accepts.requires_signatures:
        turns = [(content["role"], content["parts"]) for content in arranged]
        _sign_first_calls(turns)
        return [{"role": role, "parts": parts} for role, parts in turns]
    return arranged


_TURN: Final = ("role", "parts")
_OF_CALLS: Final = frozenset({"functionCall", "functionResponse", "call_id"})


def _arrange_anything(contents: Iterable[Content], model: str, accepts: Capabilities) -> list[Content]:
    """Arrange contents of whatever order: merge, pair, sign, and put the user at both ends."""
    turns = _merge_neighbours(
        [("model" if one.get("role") in _MODEL_ROLES else "user", one.get("parts") or []) for one in contents]
    )
    if _wants_signed_text(model):
        turns = [_with_signed_text(turn) for turn in _merge_neighbours(_with_unsigned_pictures_shown(turns))]
    arranged = _with_results_after_calls(turns)
    if accepts.requires_signatures:
        _sign_first_calls(arranged)
    # A conversation that ends with the model is a prefill: older models continue their own text, newer refuse it.
    answer_is_due = not accepts.prefill or (bool(turns) and turns[-1][0] == "user")
    bounded = _start_and_end_with_user(arranged, answer_is_due=answer_is_due)
    return [{"role": role, "parts": parts} for role, parts in bounded]


def _find_problem(contents: object) -> str:
    """Return a message about the first wrong type in *contents*, with its place."""
    if not isinstance(contents, list):
        return f"contents must be a list of contents, not {type(contents).__name__}"
    for at, content in enumerate(contents):
        if not isinstance(content, Mapping):
            return f"contents[{at}] must be an object with role and parts, not {type(content).__name__}"
        parts = content.get("parts") or []
        if not isinstance(parts, list | tuple):
            return f"contents[{at}].parts must be a list of parts, not {type(parts).__name__}"
        for place, part in enumerate(parts):
            where = f"contents[{at}].parts[{place}]"
            if not isinstance(part, Mapping):
                return f"{where} must be an object, not {type(part).__name__}"
            for name in ("functionCall", "functionResponse"):
                if name in part and not isinstance(part[name], Mapping):
                    return f"{where}.{name} must be an object, not {type(part[name]).__name__}"
    return "contents holds a role, an id or a name that is not text"


# Merging


def _merge_neighbours(turns: Iterable[_Turn]) -> list[_Turn]:
    """Join neighbours of the same role, part by part, and leave out turns without parts.

    Turns that stay as they are are not copied: to the garbage collector long histories are many new objects.
    """
    merged: list[_Turn] = []
    role_before, is_own = None, False
    for turn in turns:
        role, parts = turn
        # Two contents of one role in a row are a 400 for some gateways, and confuse the pairing of calls and results.
        if role != role_before:
            has_empty = _has_empty_part(parts)
            own_turn = (role, _extend_parts([], parts)) if has_empty else turn
            if own_turn[1]:
                merged.append(own_turn)
                role_before, is_own = role, has_empty
        elif parts:
            target = merged[-1][1] if is_own else [*merged[-1][1]]
            merged[-1], is_own = (role, _extend_parts(target, parts)), True
    return merged


def _extend_parts(target: list[Part], parts: Iterable[Part]) -> list[Part]:
    for part in parts:
        if _is_empty_part(part):
            _move_signature(target, part)
        else:
            target.append(part)
    return target


def _is_empty_part(part: Part) -> bool:
    """Whether *part* has no content: an empty text, or nothing but a signature."""
    return part.get("text") == "" or _MODIFIERS.issuperset(part)


def _has_empty_part(parts: Iterable[Part]) -> bool:
    for part in parts:  # noqa: SIM110 - all() and any() take twice as long, and this runs for every turn
        if part.get("text") == "" or _MODIFIERS.issuperset(part):
            return True
    return False


_MODIFIERS: Final = frozenset({"thought", "thoughtSignature"})


def _move_signature(target: list[Part], part: Part) -> None:
    """Keep the signature of a part without content, on the part before it if that has none.

    Streams end with such a part, and relays of Claude sign thoughts with one (CLIProxyAPI). Gateways that drop empty
    text would send a signature without a part.
    """
    if "thoughtSignature" not in part:
        return
    before = target[-1] if target else {}
    if _can_be_signed(before, by=part):
        target[-1] = {**before, "thoughtSignature": part["thoughtSignature"]}
    else:
        target.append({"text": "", **part})


def _can_be_signed(part: Part, *, by: Part) -> bool:
    """Whether the signature at the end of an answer can belong to *part*: visible text or a picture."""
    if "thoughtSignature" in part or part.get("thought") != by.get("thought"):
        return False
    return "text" in part or "inlineData" in part


# Pairing calls with results


@dataclass(slots=True, eq=False)
class _CallOrResult:
    """One end of a function call: the call, or its result with the media that belong to it.

    `key` is the framework's id of the call, else the server's.
    """

    part: Part
    payload: JsonObject
    key: str | None
    name: str | None
    media: tuple[Part, ...] = ()
    partner: _CallOrResult | None = None


@dataclass(slots=True, eq=False)
class _ParsedTurn:
    """A turn with its calls and results picked out; among the `items` a result holds its place until it is paired."""

    items: list[Part | _CallOrResult]
    calls: list[_CallOrResult]
    results: list[_CallOrResult]


def _with_results_after_calls(turns: list[_Turn]) -> list[_Turn]:
    """Return merged *turns*, as a new list, with the results of each turn's calls directly behind it."""
    in_order = _keep_order_if_valid(turns)
    return _merge_neighbours(_results_behind_calls(turns)) if in_order is None else in_order


def _keep_order_if_valid(turns: list[_Turn]) -> list[_Turn] | None:
    """Return the turns if each call has its result behind it already, in the same order, as agents' loops leave them.

    None if anything is different. Long histories are of this kind; the way for all others makes several objects more
    for each turn.
    """
    answered: list[_Turn] = []
    waiting: list[Part] = []
    for turn in turns:
        role, parts = turn
        step = _sendable_step(role, parts, waiting)
        if step is None:
            return None
        sendable, waiting = step
        answered.append(turn if sendable is parts else (role, sendable))
    return None if waiting else answered


def _sendable_step(role: str, parts: list[Part], waiting: list[Part]) -> tuple[list[Part], list[Part]] | None:
    """Return a turn's parts without the framework's ids, and the calls in it that wait for results.

    *waiting* are the calls of the turn before. None if their results are not here, in their order.
    """
    if role == "user":
        sendable = _results_in_order(waiting, parts)
        return None if sendable is None else (sendable, [])
    if waiting:
        return None
    if _has_no_functions(parts):
        return parts, []
    sendable, calls = [], []
    for part in parts:
        if "functionResponse" in part:  # in a model turn it is the server's own
            return None
        if "functionCall" in part:
            calls.append(part)
        sendable.append(_without_call_id(part))
    return sendable, calls


def _results_in_order(calls: list[Part], parts: list[Part]) -> list[Part] | None:
    """Return a user's turn that begins with the results of *calls*, or None if it does not, or holds others."""
    count = len(calls)
    if len(parts) < count or (len(parts) > count and not _has_no_functions(parts[count:])):
        return None
    if not calls:
        return parts
    results = []
    # Gateways that drop ids match results to calls by position, so the order must be that of the calls.
    for call, part in zip(calls, parts, strict=False):
        result = part.get("functionResponse")
        if result is None or "call_id" not in part or part["call_id"] != call.get("call_id"):
            return None
        results.append(_response_to_call(call["functionCall"], part, result))
    return [*results, *parts[count:]]


def _results_behind_calls(turns: list[_Turn]) -> Iterator[_Turn]:
    """Yield the turns with each result moved to its call."""
    steps = {at: _parse_turn(role, parts) for at, (role, parts) in enumerate(turns) if not _has_no_functions(parts)}
    _pair_calls_and_results(steps.values())
    for at, turn in enumerate(turns):
        if at not in steps:
            yield turn
        elif turn[0] == "model":
            yield from _model_and_answers(steps[at])
        else:
            yield "user", [part for item in steps[at].items for part in _parts_left_behind(item)]


def _has_no_functions(parts: list[Part]) -> bool:
    for part in parts:  # noqa: SIM110 - all() takes twice as long, and this runs for every turn
        if "functionCall" in part or "functionResponse" in part or "call_id" in part:
            return False
    return True


def _parse_turn(role: str, parts: list[Part]) -> _ParsedTurn:
    step = _ParsedTurn([], [], [])
    served = _answered_by_server(parts) if role == "model" else ()
    media: list[Part] = []
    for at, part in enumerate(parts):
        if at in served:
            step.items.append(part)
        elif "functionCall" in part:
            step.calls.append(_parse_call_or_result(part, part["functionCall"]))
            step.items.append(_without_call_id(part))
        elif "functionResponse" in part:
            result = _parse_call_or_result(part, part["functionResponse"])
            step.results.append(result)
            step.items.append(result)
        elif "call_id" in part:
            media.append(part)
        else:
            step.items.append(part)
    _attach_media_to_results(media, step)
    return step


def _parse_call_or_result(part: Part, payload: JsonObject) -> _CallOrResult:
    return _CallOrResult(part, payload, part.get("call_id") or payload.get("id"), payload.get("name"))


def _answered_by_server(parts: list[Part]) -> Container[int]:
    """Return the places of calls that the server answered itself, and of its answers: pairs inside one model turn."""
    if not any("functionResponse" in part for part in parts):
        return ()
    served: set[int] = set()
    open_calls: list[int] = []
    for at, part in enumerate(parts):
        if "functionCall" in part:
            open_calls.append(at)
        elif result := part.get("functionResponse"):
            keys = [
                (parts[place]["functionCall"].get("name"), parts[place]["functionCall"].get("id"))
                for place in open_calls
            ]
            answered = find_answered_call(result.get("name"), result.get("id"), keys)
            if answered is not None:
                served |= {open_calls.pop(answered), at}
    return served


def _without_call_id(part: Part) -> Part:
    """Return *part* without the framework's id."""
    if "call_id" not in part:
        return part
    part = {**part}
    del part["call_id"]
    return part


def _attach_media_to_results(media: list[Part], step: _ParsedTurn) -> None:
    """Move parts that name a call, for example pictures, to its result in the same turn; others stay in the turn."""
    results = {result.key: result for result in step.results}
    for part in media:
        if result := results.get(part["call_id"]):
            result.media += (_without_call_id(part),)
        else:
            step.items.append(_without_call_id(part))


def _pair_calls_and_results(steps: Collection[_ParsedTurn]) -> None:
    """Pair results with calls: by id, then by name, then by order. A result may also stand before its call."""
    results = [result for step in steps for result in step.results]
    # Stored histories and trimmed ones may hold the result before its call, so a second pass goes backwards.
    _pair_by_key(steps, results, attrgetter("key"))
    if all(result.partner for result in results):
        return
    _pair_by_key(reversed([*steps]), results, attrgetter("key"))
    # A second result for a call that has one already is not the result of another call of the same tool.
    called_keys = {call.key for step in steps for call in step.calls}
    strays = [result for result in results if result.key is None or result.key not in called_keys]
    _pair_by_key(steps, strays, attrgetter("name"))
    _pair_by_key(steps, [result for result in strays if not result.name], lambda end: "any")


def _pair_by_key(
    steps: Iterable[_ParsedTurn], results: Collection[_CallOrResult], key: Callable[[_CallOrResult], str | None]
) -> None:
    """Pair those *results* that are open with an open call of the same key: the first of the latest turn before."""
    eligible = {id(result) for result in results if result.partner is None}
    if not eligible:
        return
    waiting: dict[str | None, list[_CallOrResult]] = {}
    for step in steps:
        for call in reversed(step.calls):
            if call.partner is None:
                waiting.setdefault(key(call), []).append(call)
        for result in step.results:
            name = key(result)
            if name and id(result) in eligible and (calls := waiting.get(name)):
                call = calls.pop()
                call.partner, result.partner = result, call


def _model_and_answers(step: _ParsedTurn) -> Iterator[_Turn]:
    """Yield a model turn, then its results with their media, then results that stood on the wrong side."""
    # Gemini wants the results of all calls in the one user turn behind them, with nothing in between. The turns
    # yielded here are merged into one.
    yield "model", [item for item in step.items if not isinstance(item, _CallOrResult)]
    for call in step.calls:
        result = call.partner
        if result is None:
            # A call without a result is a 400, and happens whenever a user interrupts an agent between the two.
            yield "user", [_response_to_call(call.payload, {}, {"response": _NOT_EXECUTED})]
        else:
            yield "user", [_response_to_call(call.payload, result.part, result.payload)]
    yield "user", [part for call in step.calls if call.partner for part in call.partner.media]
    if step.results:
        yield "user", [part for result in step.results for part in _parts_left_behind(result)]


def _response_to_call(call: JsonObject, part: Part, result: JsonObject) -> Part:
    """Return *part* with its *result* under the call's name and the id that the server gave."""
    # Ids alone do not pair them: new-api drops functionCall.id and keeps functionResponse.id, and older models send
    # none. So the name is always that of the call, and the order that of the calls.
    payload = {**result, "name": call.get("name")}
    # An id that the framework made up would be unknown to the server; only the server's own id goes back.
    payload.pop("id", None)
    if call.get("id"):
        payload["id"] = call["id"]
    response = {**part, "functionResponse": payload}
    response.pop("call_id", None)
    return response


def _parts_left_behind(item: Part | _CallOrResult) -> Iterable[Part]:
    """Return the parts that remain in the place of *item*: none if it is a result that moved to its call.

    A result whose call is not in the conversation becomes text with its media, because Gemini refuses a lone response.
    """
    if not isinstance(item, _CallOrResult):
        return (item,)
    if item.partner:
        return ()
    payload = json.dumps(item.payload.get("response"), ensure_ascii=False, default=str)
    text = f"Result of an earlier call of the tool {item.name or '(name unknown)'}: {payload}"
    return ({"text": text}, *(item.payload.get("parts") or ()), *item.media)


# Signatures


def _with_unsigned_pictures_shown(turns: list[_Turn]) -> Iterator[_Turn]:
    """Hand pictures without signature to the user: image models refuse them as the model's own (vercel/ai#12911)."""
    for role, parts in turns:
        foreign = [part for part in parts if _is_unsigned_picture(part)] if role == "model" else []
        yield role, [part for part in parts if not _is_unsigned_picture(part)] if foreign else parts
        yield "user", foreign


def _wants_signed_text(model: str) -> bool:
    accepts = capabilities(model)
    return accepts.requires_signatures and accepts.image_model


def _with_signed_text(turn: _Turn, *, every_part: bool = False) -> _Turn:
    """Sign the model's own text with the sentinel where no signature came with it.

    Gemini 3 image models answer 400 "Text part is missing a thought_signature" to a greeting that was typed in, to the
    answer of another model, and to text that was edited (googleapis/js-genai#1116). A stream cuts one text into several
    parts of which one is signed, so text next to signed text is left alone, unless *every_part* is True.
    """
    role, parts = turn
    if role != "model":
        return turn
    signed: list[Part] | None = None
    start = 0
    while start < len(parts):
        if not _is_visible_text(parts[start]):
            start += 1
            continue
        end = start + 1
        while end < len(parts) and _is_visible_text(parts[end]) and not every_part:
            end += 1
        if not any(part.get("thoughtSignature") for part in parts[start:end]):
            signed = signed if signed is not None else [*parts]
            signed[start:end] = [{**part, "thoughtSignature": SENTINEL} for part in parts[start:end]]
        start = end
    return turn if signed is None else (role, signed)


def _is_visible_text(part: Part) -> bool:
    return "text" in part and not part.get("thought")


def _is_unsigned_picture(part: Part) -> bool:
    return _is_picture_part(part) and not (part.get("thoughtSignature") or part.get("thought"))


def _is_picture_part(part: Part) -> bool:
    return "inlineData" in part or "fileData" in part


def _sign_first_calls(turns: list[_Turn]) -> None:
    """In each step of the current turn, put the sentinel on the first call if it has no signature.

    Gemini 3 checks no others: parallel calls share the first one's, earlier turns are over.
    """
    for place in range(_current_turn(turns), len(turns)):
        role, parts = turns[place]
        at = _first_client_call(parts) if role == "model" else None
        if at is not None and not parts[at].get("thoughtSignature"):
            signed = {**parts[at], "thoughtSignature": SENTINEL}
            turns[place] = (role, [*parts[:at], signed, *parts[at + 1 :]])


def _current_turn(turns: list[_Turn]) -> int:
    """Return where the current turn starts: at the last user content that is more than function responses.

    Parts in the same turn as a response (a picture, a word after an interrupted call) count with the response: a
    sentinel too many is ignored, one too few is a 400.
    """
    for at in range(len(turns) - 1, -1, -1):
        role, parts = turns[at]
        if role == "user" and not any("functionResponse" in part for part in parts):
            return at
    return 0


def _first_client_call(parts: list[Part]) -> int | None:
    """Return the place of the first call that is the client's to answer."""
    served = _answered_by_server(parts)
    return next((at for at, part in enumerate(parts) if "functionCall" in part and at not in served), None)


def with_sentinels(contents: list[Content], *, model: str = "") -> list[Content]:
    """Return arranged *contents* without the signatures that the server gave, for one more try after it refused them.

    Calls of the current turn carry the sentinel instead, and so does the model's text if *model* is an image model
    that wants text signed; pictures that the model made go to the user's side, where they need no signature. Contents
    without signatures come back equal: another try would be the same.
    """
    # Gateways that change the upstream key or channel make valid signatures fail (docs.apiyi.com).
    turns: list[_Turn] = [(content["role"], content["parts"]) for content in contents]
    # Signatures of earlier turns are not checked, so they are dropped there; only the current turn needs sentinels.
    start = _current_turn(turns)
    bare = [(role, [_without_signature(part, at >= start) for part in parts]) for at, (role, parts) in enumerate(turns)]
    if any(_is_picture_part(part) and "thoughtSignature" in part for _, parts in turns for part in parts):
        bare = _with_results_after_calls(_merge_neighbours(_with_unsigned_pictures_shown(bare)))
        _sign_first_calls(bare)  # pictures on the user's side may have moved the beginning of the current turn
    if _wants_signed_text(model):
        bare = [_with_signed_text(turn, every_part=True) for turn in bare]
    return [{"role": role, "parts": parts} for role, parts in _merge_neighbours(bare)]


def _without_signature(part: Part, is_current: bool) -> Part:
    """Return *part* without the server's signature; a call of the current turn gets the sentinel instead."""
    if part.get("thoughtSignature", SENTINEL) == SENTINEL:
        return part
    if is_current and "functionCall" in part:
        return {**part, "thoughtSignature": SENTINEL}
    return {key: value for key, value in part.items() if key != "thoughtSignature"}


# Both ends


def _start_and_end_with_user(turns: list[_Turn], *, answer_is_due: bool) -> list[_Turn]:
    """Begin with the user, and end with the user if the model should answer rather than continue its own text."""
    if turns and turns[0][0] == "model":
        turns = [("user", [{"text": _OPENING}]), *turns]
    if turns and turns[-1][0] == "model" and answer_is_due:
        turns = [*turns, ("user", [{"text": _PROMPT}])]
    return turns
