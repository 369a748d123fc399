"""Conversations that are stored: signatures survive any store, weigh nothing in a memory and show up in no prompt."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from gemway_emulator import Emulator, reply
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, ThinkingBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import Memory

PRO = "gemini-3-pro-preview"
PICTURES = "gemini-3-pro-image-preview"
SIGNATURE = "QUJD" * 20_000
PNG = b"\x89PNG\r\n\x1a\nthe rest of a picture"
ASK = ChatMessage(content="a red fox")
MORE = ChatMessage(content="make it blue")

SIGNED = {
    "text": [{"text": "Paris.", "thoughtSignature": SIGNATURE}],
    "thought": [{"text": "hm", "thought": True, "thoughtSignature": SIGNATURE}, {"text": "Paris."}],
    "call": [{"functionCall": {"name": "add", "args": {"x": 1}, "id": "s1"}, "thoughtSignature": SIGNATURE}],
    "code": [{"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": SIGNATURE}, {"text": "1"}],
}


def _scripted(parts: list[dict[str, Any]]):
    return reply.raw(200, json.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}))


@pytest.mark.parametrize("parts", SIGNED.values(), ids=SIGNED.keys())
@pytest.mark.parametrize("stored", [False, True], ids=["fresh", "stored"])
async def test_signatures_weigh_nothing(
    emulator: Emulator, gemway, memory: Memory, parts: list[dict[str, Any]], stored: bool
) -> None:
    """`Memory` counts the words of an answer; 80,000 characters of signature are none (run-llama/llama_index#21950)."""
    emulator.enqueue(_scripted(parts))
    message = gemway(PRO).chat([ASK]).message

    if stored:
        await memory.aput_messages([ASK, message])
        message = (await memory.aget_all())[-1]

    assert memory._estimate_token_count(message) < 200
    assert message.estimate_tokens() < 200
    assert SIGNATURE[:40] in message.model_dump_json()


async def test_a_picture_stays_in_a_memory_at_its_default_size(emulator: Emulator, gemway, memory: Memory) -> None:
    """The second request of an image conversation holds the picture, signed, whatever its signature's size."""
    emulator.enqueue(reply.image(PNG, signature=SIGNATURE))
    llm = gemway(PICTURES)
    await memory.aput(ASK)

    await memory.aput((await llm.achat(await memory.aget())).message)
    await memory.aput(MORE)
    await llm.achat(await memory.aget())

    parts = [part for content in emulator.requests[-1].json["contents"] for part in content["parts"]]
    assert [part["thoughtSignature"] for part in parts if "inlineData" in part] == [SIGNATURE]


def test_a_chat_engine_changes_the_picture_it_made(emulator: Emulator, gemway) -> None:
    """The plainest way to hold a conversation keeps its pictures, too."""
    emulator.enqueue(reply.image(PNG, signature=SIGNATURE))
    engine = SimpleChatEngine.from_defaults(llm=gemway(PICTURES))

    engine.chat("a red fox")
    engine.chat("make it blue")

    assert any("inlineData" in part for part in emulator.requests[-1].json["contents"][1]["parts"])


JOURNEYS = {
    "model_dump": lambda message: ChatMessage(**message.model_dump()),
    "JSON": lambda message: ChatMessage.model_validate_json(message.model_dump_json()),
    "numbers as Decimals": lambda message: ChatMessage(**_with_decimals(message.model_dump())),
    "record as text": lambda message: ChatMessage(**_with_record_as_text(message.model_dump())),
    "as version 0.1.0 stored it": lambda message: ChatMessage(**_with_record_in_kwargs(message.model_dump())),
}


def _with_decimals(value: Any) -> Any:
    """Return *value* as DynamoDB gives it back."""
    if isinstance(value, dict):
        return {key: _with_decimals(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_decimals(member) for member in value]
    return Decimal(str(value)) if type(value) in (int, float) else value


def _with_record_as_text(dumped: dict[str, Any]) -> dict[str, Any]:
    for block in dumped["blocks"]:
        if information := block.get("additional_information"):
            block["additional_information"] = {
                key: value if isinstance(value, str) else json.dumps(value) for key, value in information.items()
            }
    return dumped


def _with_record_in_kwargs(dumped: dict[str, Any]) -> dict[str, Any]:
    for block in dumped["blocks"]:
        if record := block.get("additional_information", {}).pop("gemway_parts", None):
            dumped["additional_kwargs"]["gemway_parts"] = record
    return dumped


@pytest.mark.parametrize("journey", JOURNEYS.values(), ids=JOURNEYS.keys())
@pytest.mark.parametrize("parts", SIGNED.values(), ids=SIGNED.keys())
def test_a_stored_answer_goes_back_as_it_came(emulator: Emulator, gemway, parts: list[dict[str, Any]], journey) -> None:
    """The request after a journey through a store is the request without it, byte for byte."""
    emulator.enqueue(_scripted(parts))
    llm = gemway(PRO)
    message = llm.chat([ASK]).message

    sent = []
    for answer in (message, journey(message)):
        before = len(emulator.requests)
        llm.chat([ASK, answer, MORE])
        # The emulator did not issue the signature and refuses it; a second try without it follows.
        sent.append(json.dumps(emulator.requests[before].json["contents"]))

    fresh, travelled = sent
    assert travelled == fresh
    assert SIGNATURE in fresh


@pytest.mark.parametrize(
    "record",
    [
        "not JSON",
        "[1]",
        7,
        [7],
        [{}],
        [{"kind": "text", "index": "one"}],
        [{"kind": "text", "index": 9}],
        {"kind": "x"},
    ],
    ids=str,
)
def test_a_damaged_record_costs_the_signatures_and_nothing_else(emulator: Emulator, gemway, record: Any) -> None:
    """Blocks are sent without what a store has made unreadable."""
    damaged = ThinkingBlock(content="", additional_information={"gemway_parts": record})
    message = ChatMessage(role="assistant", content="Paris.")
    message.blocks = [*message.blocks, damaged]

    gemway(PRO).chat([ASK, message, MORE])

    assert emulator.requests[-1].json["contents"][1]["parts"] == [{"text": "Paris."}]


@pytest.mark.parametrize("mode", ["condense_question", "condense_plus_context"])
@pytest.mark.parametrize("journey", [lambda message: message, JOURNEYS["JSON"]], ids=["fresh", "stored"])
def test_signatures_are_no_words_of_a_condense_prompt(emulator: Emulator, gemway, mode: str, journey) -> None:
    """Chat engines write the history into a prompt; signatures are not among its words (google-gemini/gemini-cli#25808)."""
    emulator.enqueue(_scripted(SIGNED["text"]))
    llm = gemway(PRO)
    history = [ASK, journey(llm.chat([ASK]).message)]
    index = VectorStoreIndex.from_documents([Document(text="a b c")], embed_model=MockEmbedding(embed_dim=4))

    index.as_chat_engine(chat_mode=mode, llm=llm, chat_history=history).chat("and then?")

    prompts = [
        part["text"] for request in emulator.requests[1:] for c in request.json["contents"] for part in c["parts"]
    ]
    assert any("Paris." in prompt for prompt in prompts)
    assert not any(SIGNATURE[:40] in prompt for prompt in prompts)


def test_a_picture_survives_a_journey(emulator: Emulator, gemway) -> None:
    """The bytes of a picture are the same after it was stored, however its base64 came over the wire."""
    data = "data:image/png;base64,iVBORw0KGgp0aGUgcmVzdCBvZiBhIHBpY3R1cmU"  # no padding
    emulator.enqueue(_scripted([{"inlineData": {"data": data}}]))
    llm = gemway("gemini-2.5-flash-image")

    message = JOURNEYS["JSON"](llm.chat([ASK]).message)
    llm.chat([ASK, message, MORE])

    picture = next(block for block in message.blocks if isinstance(block, ImageBlock))
    assert picture.resolve_image().read() == PNG
    sent = emulator.requests[-1].json["contents"][1]["parts"][0]["inlineData"]
    assert sent == {"mimeType": "image/png", "data": data.partition(",")[2] + "="}
