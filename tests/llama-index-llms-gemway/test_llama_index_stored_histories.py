"""Call arguments as models write them, and histories as other programs leave them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.types import AudioBlock, ChatMessage, ImageBlock, ToolCallBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, ConfigDict

IMAGE_MODELS = pytest.mark.parametrize("model", ["gemini-3-pro-image-preview", "gemini-3.1-flash-image-preview"])
SENTINEL = "skip_thought_signature_validator"


def write(todos: list[int], note: str, counts: dict[str, int]) -> str:
    """Write."""
    return "ok"


TOOL = FunctionTool.from_defaults(fn=write)


async def _ask(llm: Any, how: str) -> Any:
    options = {"user_msg": "go"}
    if how == "chat":
        return llm.chat_with_tools([TOOL], **options)
    if how == "achat":
        return await llm.achat_with_tools([TOOL], **options)
    if how == "stream":
        return list(llm.stream_chat_with_tools([TOOL], **options))[-1]
    return [response async for response in await llm.astream_chat_with_tools([TOOL], **options)][-1]


@pytest.mark.parametrize("how", ["chat", "achat", "stream", "astream"])
async def test_arguments_that_came_as_json_text(emulator: Emulator, gemway, how):
    """Lists and objects that the model wrote into a string are read where the tool declares them."""
    emulator.enqueue(reply.tool_call("write", {"todos": "[1.0, 2]", "note": "[3]", "counts": {"a": 1.0}}))
    llm = gemway()

    [call] = llm.get_tool_calls_from_response(await _ask(llm, how))

    assert repr(call.tool_kwargs) == repr({"todos": [1, 2], "note": "[3]", "counts": {"a": 1}})


@IMAGE_MODELS
def test_text_that_no_image_model_signed(emulator: Emulator, gemway, model):
    """A greeting typed in by hand would be a 400 without the sentinel (googleapis/js-genai#1116)."""
    emulator.enqueue(reply.image())

    gemway(model).chat([ChatMessage(role="assistant", content="What shall I draw?"), ChatMessage(content="a cat")])

    sent = next(content for content in emulator.requests[-1].json["contents"] if content["role"] == "model")
    assert sent["parts"] == [{"text": "What shall I draw?", "thoughtSignature": SENTINEL}]


@pytest.mark.parametrize(
    ("block", "is_inside"),
    [
        (ImageBlock(image=b"\x89PNG\r\n\x1a\n" + bytes(20)), True),
        (ImageBlock(image=b"GIF89a" + bytes(20), image_mimetype="image/gif"), False),
        (AudioBlock(audio=b"ID3" + bytes(20), format="mp3"), False),
    ],
    ids=["png", "gif", "mp3"],
)
def test_media_of_results_go_where_gemini_3_takes_them(emulator: Emulator, gemway, block, is_inside):
    """Types that a functionResponse cannot hold are parts behind it."""
    emulator.enqueue(reply.text("ok"))
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="1", tool_name="f", tool_kwargs={})])
    result = ChatMessage(role="tool", blocks=[block], additional_kwargs={"tool_call_id": "1", "name": "f"})

    gemway("gemini-3-pro-preview").chat([ChatMessage(content="q"), call, result])

    answer, *others = emulator.requests[-1].json["contents"][-1]["parts"]
    assert ("parts" in answer["functionResponse"]) == is_inside
    assert bool(others) != is_inside


class Strict(BaseModel):
    """A strict tree."""

    model_config = ConfigDict(strict=True, extra="forbid")

    count: int
    day: date
    pair: tuple[int, str]
    children: list[Strict] = []


def test_strict_models_read_the_arguments_of_a_call(emulator: Emulator, gemway):
    """In FUNCTION mode too, JSON's 1.0, texts and lists are the integers, dates and tuples of a strict class."""
    emulator.enqueue(reply.tool_call("Strict", {"count": 1.0, "day": "2026-01-02", "pair": [2.0, "x"]}))

    answer = gemway(pydantic_program_mode="function").structured_predict(Strict, PromptTemplate("go"))

    assert answer == Strict(count=1, day=date(2026, 1, 2), pair=(2, "x"))
    [tool] = emulator.requests[-1].json["tools"]
    assert tool["functionDeclarations"][0]["description"] == "A strict tree."


def test_a_signature_in_a_part_of_its_own_signs_the_streamed_thought(emulator: Emulator, gemway):
    """Relays of Claude send it so (CLIProxyAPI); without it the next turn would be refused."""
    chunks = [
        [{"text": "I need ", "thought": True}],
        [{"text": "the weather.", "thought": True}],
        [{"thought": True, "thoughtSignature": "QUJD"}],
        [{"text": "Let me look."}],
    ]
    emulator.enqueue(
        reply.stream([{"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]} for parts in chunks]),
        reply.text("ok"),
    )
    llm = gemway(include_thoughts=True)

    answer = list(llm.stream_chat([ChatMessage(content="go")]))[-1].message
    llm.chat([ChatMessage(content="go"), answer, ChatMessage(content="on")])

    assert emulator.requests[-1].json["contents"][1]["parts"] == [
        {"text": "I need the weather.", "thought": True, "thoughtSignature": "QUJD"},
        {"text": "Let me look."},
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: json.loads(json.dumps(record), parse_int=Decimal),
        lambda record: json.dumps(record),
    ],
    ids=["decimals", "JSON text"],
)
def test_a_record_that_a_store_changed_is_still_read(emulator: Emulator, gemway, change):
    """DynamoDB brings numbers back as Decimal, others keep nested values as text: the wire stays the same."""
    part = {"text": "Hello", "thoughtSignature": "QUJD"}
    emulator.enqueue(reply.stream([{"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}]))
    emulator.enqueue(reply.text("ok"))
    llm = gemway("gemini-3-pro-preview")
    answer = list(llm.stream_chat([ChatMessage(content="go")]))[-1].message

    kept = answer.blocks[-1].additional_information
    kept["gemway_parts"] = change(kept["gemway_parts"])
    llm.chat([ChatMessage(content="go"), answer, ChatMessage(content="on")])

    assert emulator.requests[-1].json["contents"][1]["parts"] == [part]


@pytest.mark.parametrize("record", ["nonsense", 5, ["x"], [{"kind": "text"}], [{"kind": "part", "part": 5}]], ids=repr)
def test_a_record_that_nobody_can_read_is_left_out(emulator: Emulator, gemway, record):
    """The blocks hold the conversation."""
    emulator.enqueue(reply.text("ok"))
    answer = ChatMessage(role="assistant", content="Hello", additional_kwargs={"gemway_parts": record})

    gemway().chat([ChatMessage(content="go"), answer, ChatMessage(content="on")])

    assert emulator.requests[-1].json["contents"][1]["parts"] == [{"text": "Hello"}]
