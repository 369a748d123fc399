"""Recorded Gemini traffic through `chat` and `stream_chat`: what LlamaIndex shows equals what was on the wire."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import wire_recordings as wire
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    ChatResponse,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.llms.gemway import Gemway
from wire_comparison import assert_answers_equal, assert_errors_are_typed, brief

pytestmark = pytest.mark.skipif(not wire.recordings(), reason=wire.ABSENT)

QUESTION = ChatMessage(content="Hello")


@pytest.fixture(scope="module", params=[(), ("--chunk-bytes", "7")], ids=["whole", "seven-byte-pieces"])
def gateway(request: pytest.FixtureRequest) -> Iterator[str]:
    """The replay server: with bodies as recorded, and with stream bodies cut inside characters."""
    with wire.replay(*request.param) as address:
        yield address


@pytest.mark.timeout(300)
def test_every_recorded_answer_equals_the_wire(gateway: str, request: pytest.FixtureRequest) -> None:
    """Text, thoughts, calls, media, usage, finish reason and the number of signatures are those of the wire."""
    assert_answers_equal(
        lambda record: _ask(record, gateway),
        _facts,
        in_pieces="pieces" in request.node.callspec.id,
        also=_deltas_differ,
    )


def test_every_recorded_error_is_typed() -> None:
    """A recorded error answer raises the class of its status, which it carries."""
    with wire.replay() as gateway:
        assert_errors_are_typed(lambda record: _ask(record, gateway))


def _deltas_differ(record: dict[str, Any], facts: wire.Facts, responses: list[ChatResponse]) -> list[str]:
    deltas = "".join(response.delta or "" for response in responses)
    if record["endpoint"] != "streamGenerateContent" or deltas == facts.text:
        return []
    return [f"deltas: {brief(deltas)} instead of {brief(facts.text)}"]


def test_every_recorded_signature_goes_back(gemway_emulator: Emulator) -> None:
    """A received message, as it is and after a journey through JSON, puts its signatures on the wire again."""
    faults = []
    llm = Gemway("gemini-2.5-pro", api_key=gemway_emulator.api_key, base_url=gemway_emulator.base_url)
    with wire.replay() as gateway:
        for record in wire.answers():
            expected = Counter(wire.facts_of(record).signatures)
            if not expected or expected.total() and sum(map(len, expected)) > 500_000:
                continue
            message = _ask(record, gateway)[-1].message
            for journey in (message, ChatMessage.model_validate_json(message.model_dump_json())):
                sent = Counter(_signatures_sent(llm, gemway_emulator, journey))
                if sent != expected:
                    faults.append(f"{record['id']}: {sent.total()} signatures instead of {expected.total()}")

    assert not faults, f"{len(faults)}:\n" + "\n".join(faults[:40])


def _signatures_sent(llm: Gemway, emulator: Emulator, message: ChatMessage) -> list[str]:
    emulator.enqueue(
        reply.raw(200, '{"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}')
    )
    llm.chat([QUESTION, message, ChatMessage(content="Go on")])
    parts = [part for content in emulator.requests[-1].json["contents"] for part in content["parts"]]
    return [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]


def _ask(record: dict[str, Any], gateway: str) -> list[ChatResponse]:
    model = record["model"] or "gemini-2.5-flash"
    llm = Gemway(model, api_key=wire.KEY, base_url=f"{gateway}/r/{record['id']}", max_retries=0)
    with llm, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # empty answers warn
        if record["endpoint"] == "streamGenerateContent":
            return list(llm.stream_chat([QUESTION]))
        return [llm.chat([QUESTION])]


def _facts(responses: list[ChatResponse]) -> wire.Facts:
    last = responses[-1]
    blocks = last.message.blocks
    return wire.Facts(
        text="".join(block.text for block in blocks if isinstance(block, TextBlock)),
        thoughts="".join(block.content or "" for block in blocks if isinstance(block, ThinkingBlock)),
        calls=[(block.tool_name, block.tool_kwargs) for block in blocks if isinstance(block, ToolCallBlock)],
        media=[found for block in blocks if (found := _media(block))],
        total_tokens=last.additional_kwargs.get("total_tokens"),
        finish=last.additional_kwargs.get("finish_reason"),
        signatures=_signatures_kept(last.message),
    )


def _media(block: Any) -> tuple[str, str] | None:
    if isinstance(block, ImageBlock):
        return block.image_mimetype or "", block.image.decode()
    if isinstance(block, AudioBlock):
        return block.format if "/" in block.format else f"audio/{block.format}", block.audio.decode()
    if isinstance(block, VideoBlock):
        return block.video_mimetype or "", block.video.decode()
    if isinstance(block, DocumentBlock):
        return block.document_mimetype or "", block.data.decode()
    return None


def _signatures_kept(message: ChatMessage) -> list[str]:
    """Return the signatures as the documented form keeps them: in the thinking blocks, some under `gemway_parts`."""
    thoughts = [block.additional_information for block in message.blocks if isinstance(block, ThinkingBlock)]
    record = [entry for information in thoughts for entry in information.get("gemway_parts", [])]
    rests = [entry.get("rest", entry.get("part", {})) for entry in record]
    kept = [rest.get("thoughtSignature") for rest in rests] + [info.get("thought_signature") for info in thoughts]
    return [signature for signature in kept if signature]
