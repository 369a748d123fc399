"""Call arguments as models write them, and histories as other programs leave them."""

from __future__ import annotations

import json
from datetime import date
from enum import Enum
from typing import Any

import pytest
from gemway_emulator import Emulator, reply
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, ConfigDict

TOOL = {
    "name": "write",
    "description": "Write.",
    "input_schema": {
        "type": "object",
        "properties": {
            "todos": {"type": "array", "items": {"type": "integer"}},
            "note": {"type": "string"},
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
    },
}
WRITTEN = {"todos": "[1.0, 2]", "note": "[3]", "counts": {"a": 1.0}}
READ = {"todos": [1, 2], "note": "[3]", "counts": {"a": 1}}


async def _ask(model: Any, how: str) -> Any:
    if how == "invoke":
        return model.invoke("go")
    if how == "ainvoke":
        return await model.ainvoke("go")
    whole = None
    if how == "stream":
        for chunk in model.stream("go"):
            whole = chunk if whole is None else whole + chunk
    else:
        async for chunk in model.astream("go"):
            whole = chunk if whole is None else whole + chunk
    return whole


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_arguments_that_came_as_json_text(emulator: Emulator, chat, how, version):
    """Lists and objects that the model wrote into a string are read where the tool declares them (langchain-google#1819)."""
    emulator.enqueue(reply.tool_call("write", WRITTEN))

    answer = await _ask(chat(output_version=version).bind_tools([TOOL]), how)

    assert repr(answer.tool_calls[0]["args"]) == repr(READ)


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_an_unreadable_call_stays_in_the_history_beside_a_good_one(emulator: Emulator, chat, model):
    """What the model tried, and what it was told about it, goes back as text; the good call keeps its result."""
    emulator.enqueue(reply.text("ok"))
    answer = AIMessage(
        "",
        tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c1"}],
        invalid_tool_calls=[{"name": "g", "args": "{bad", "id": "c2", "error": "e"}],
    )

    chat(model).invoke(
        [
            HumanMessage("q"),
            answer,
            ToolMessage("fine", tool_call_id="c1"),
            ToolMessage("cannot read that", tool_call_id="c2", status="error"),
        ]
    )

    _, said, results = emulator.requests[-1].json["contents"]
    assert said["parts"][0] == {"text": "[invalid call of g: {bad]"}
    assert said["parts"][1]["functionCall"]["name"] == "f"
    assert results["parts"][0]["functionResponse"]["response"] == {"output": "fine"}
    assert "cannot read that" in results["parts"][1]["text"]


@pytest.mark.parametrize(
    ("block", "is_inside"),
    [
        ({"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}, True),
        ({"type": "file", "base64": "JVBERi0xLjQ=", "mime_type": "application/pdf"}, True),
        ({"type": "audio", "base64": "SUQzeHh4eHg=", "mime_type": "audio/mpeg"}, False),
        ({"type": "image", "base64": "R0lGODlhMDA=", "mime_type": "image/gif"}, False),
        ({"type": "file", "base64": "YSxi", "mime_type": "text/csv"}, False),
    ],
    ids=["png", "pdf", "mp3", "gif", "csv"],
)
def test_media_of_results_go_where_gemini_3_takes_them(emulator: Emulator, chat, block, is_inside):
    """Types that a functionResponse cannot hold are parts behind it."""
    emulator.enqueue(reply.text("ok"))
    call = AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "c1"}])

    chat("gemini-3-pro-preview").invoke([HumanMessage("q"), call, ToolMessage([block], tool_call_id="c1")])

    result, *others = emulator.requests[-1].json["contents"][-1]["parts"]
    assert ("parts" in result["functionResponse"]) == is_inside
    assert bool(others) != is_inside


class Color(Enum):
    RED = "red"


class Strict(BaseModel):
    """A strict tree."""

    model_config = ConfigDict(strict=True, extra="forbid")

    count: int
    day: date
    color: Color
    pair: tuple[int, str]
    children: list[Strict] = []


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_strict_models_read_answers(emulator: Emulator, chat, method):
    """JSON has no dates, enums, tuples or integers of its own; a strict model takes them from it all the same."""
    values = {"count": 1.0, "day": "2026-01-02", "color": "red", "pair": [2.0, "x"]}
    emulator.enqueue(
        reply.tool_call("Strict", values) if method == "function_calling" else reply.text(json.dumps(values))
    )

    answer = chat().with_structured_output(Strict, method=method).invoke("go")

    assert answer == Strict(count=1, day=date(2026, 1, 2), color=Color.RED, pair=(2, "x"))


def test_a_recursive_model_as_tool_keeps_its_description(emulator: Emulator, chat):
    """Pydantic puts it behind a `$ref` at the top of the schema."""
    emulator.enqueue(reply.text("ok"))

    chat().bind_tools([Strict]).invoke("go")

    [tool] = emulator.requests[-1].json["tools"]
    assert tool["functionDeclarations"][0]["description"] == "A strict tree."


@pytest.mark.parametrize(
    "edit", ["{} And more.", "NOTE: {}", "Hello"], ids=["longer at the end", "in front", "shorter"]
)
@pytest.mark.parametrize("how", ["invoke", "stream"])
async def test_an_edited_text_goes_back_without_the_signature_of_the_old_one(emulator: Emulator, chat, how, edit):
    """A signature vouches for the words it came with, not for a piece of other words that has the same length."""
    part = {"text": "Hello there.", "thoughtSignature": "QUJD"}
    emulator.enqueue(_raw(part, how), reply.text("ok"))
    model = chat("gemini-3-pro-preview")
    answer = await _ask(model, how)

    edited = answer.model_copy(update={"content": edit.format(answer.content)})
    model.invoke([HumanMessage("go"), edited, HumanMessage("on")])

    assert emulator.requests[-1].json["contents"][1]["parts"] == [{"text": edit.format("Hello there.")}]


@pytest.mark.parametrize(
    "edit", ["{} And more.", "NOTE: {}", "Hello"], ids=["longer at the end", "in front", "shorter"]
)
@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("options", [{"output_version": "v1"}, {"include_thoughts": True}], ids=["v1", "v0"])
async def test_an_edited_block_goes_back_without_the_signature_of_the_old_text(chat, options, how, edit):
    """Text in a list is no different from text that is the whole content, signed as a whole or only at its end."""
    thought = {"text": "Hm.", "thought": True, "thoughtSignature": "VEhJTks="}
    for parts in (
        [thought, {"text": "Hello there.", "thoughtSignature": "QUJD"}],
        [thought, {"text": "Hello "}, {"text": "there.", "thoughtSignature": "QUJD"}],
    ):
        with Emulator(validate=False) as gateway:  # which takes any signature
            model = chat("gemini-3-pro-preview", base_url=gateway.base_url, api_key=gateway.api_key, **options)
            gateway.enqueue(_raw(parts, how), reply.text("ok"), reply.text("ok"))
            answer = await _ask(model, how)
            edited = answer.model_copy(deep=True)
            [text] = [block for block in edited.content if block["type"] == "text"]
            text["text"] = edit.format(text["text"])

            model.invoke([HumanMessage("go"), answer, HumanMessage("on")])
            model.invoke([HumanMessage("go"), edited, HumanMessage("on")])

            as_it_came, as_edited = [request.json["contents"][1]["parts"] for request in gateway.requests[1:]]
            assert as_it_came == parts
            assert as_edited == [thought, {"text": edit.format("Hello there.")}]


def _raw(parts: dict[str, Any] | list[dict[str, Any]], how: str) -> Any:
    parts = parts if isinstance(parts, list) else [parts]
    body = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    if how == "stream":
        return reply.stream([body])
    return reply.raw(200, json.dumps(body).encode(), {"content-type": "application/json"})


@pytest.mark.parametrize(
    "reason", ["UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS", "OTHER"]
)
@pytest.mark.parametrize("how", ["invoke", "stream"])
async def test_no_answer_ends_mutely(emulator: Emulator, chat, reason, how):
    """An empty answer warns with its finish reason, whatever that is."""
    body = {"candidates": [{"content": {"role": "model", "parts": []}, "finishReason": reason}]}
    emulator.enqueue(
        reply.stream([body])
        if how == "stream"
        else reply.raw(200, json.dumps(body).encode(), {"content-type": "application/json"})
    )

    with pytest.warns(UserWarning, match=reason):
        await _ask(chat(), how)


def test_members_of_the_request_that_google_keeps_in_its_config(emulator: Emulator, chat):
    """google-genai's config holds `service_tier` and `store`; on the wire they stand beside generationConfig."""
    emulator.enqueue(reply.text("ok"))

    chat(generation_config={"service_tier": "flex", "store": False, "temperature": 0.5}).invoke("go")

    sent = emulator.requests[-1].json
    assert (sent["serviceTier"], sent["store"], sent["generationConfig"]) == ("flex", False, {"temperature": 0.5})
