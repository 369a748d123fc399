"""Recorded Gemini traffic through `invoke` and `stream`: what LangChain shows equals what was on the wire."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import wire_recordings as wire
from gemway.adapters import decode_base64
from gemway_emulator import Emulator, reply
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, HumanMessage, messages_from_dict, messages_to_dict
from langchain_gemway import ChatGemway
from wire_comparison import assert_answers_equal, assert_errors_are_typed

pytestmark = pytest.mark.skipif(not wire.recordings(), reason=wire.ABSENT)

QUESTION = HumanMessage("Hello")


@pytest.fixture(scope="module", params=[(), ("--chunk-bytes", "7")], ids=["whole", "seven-byte-pieces"])
def gateway(request: pytest.FixtureRequest) -> Iterator[str]:
    """The replay server: with bodies as recorded, and with stream bodies cut inside characters."""
    with wire.replay(*request.param) as address:
        yield address


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_every_recorded_answer_equals_the_wire(gateway: str, version: str, request: pytest.FixtureRequest) -> None:
    """Text, thoughts, calls, media, usage, finish reason and the number of signatures are those of the wire."""
    assert_answers_equal(
        lambda record: _ask(record, gateway, version),
        _facts,
        in_pieces="pieces" in request.node.callspec.id,
        medium=_medium,
        also=_content_is_mixed,
    )


def test_every_recorded_error_is_typed() -> None:
    """A recorded error answer raises the class of its status, which it carries."""
    with wire.replay() as gateway:
        assert_errors_are_typed(lambda record: _ask(record, gateway))


def _content_is_mixed(_: Any, __: Any, message: AIMessage) -> list[str]:
    mixed = isinstance(message.content, list) and len({type(block) for block in message.content}) > 1
    return ["content mixes strings and blocks"] if mixed else []


def _as_is(message: AIMessage) -> Any:
    return message


def _through_load(message: AIMessage) -> Any:
    return load(dumpd(message), allowed_objects="core")


def _through_dict(message: AIMessage) -> Any:
    return messages_from_dict(messages_to_dict([message]))[0]


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_every_recorded_signature_goes_back(gemway_emulator: Emulator, version: str) -> None:
    """A received message, as it is and after a journey through JSON, puts its signatures on the wire again."""
    faults = []
    model = ChatGemway(model="gemini-2.5-pro", api_key=gemway_emulator.api_key, base_url=gemway_emulator.base_url)
    with wire.replay() as gateway:
        for record in wire.answers():
            expected = wire.facts_of(record).signatures
            if not expected or sum(map(len, expected)) > 500_000:
                continue
            message = _ask(record, gateway, version)
            for journey in (_as_is, _through_load, _through_dict):
                sent = _signatures_sent(model, gemway_emulator, journey(message))
                if sent != expected:
                    faults.append(f"{record['id']} {journey.__name__}: {len(sent)} of {len(expected)}, or misplaced")

    assert not faults, f"{len(faults)}:\n" + "\n".join(faults[:40])


def _signatures_sent(model: ChatGemway, emulator: Emulator, message: AIMessage) -> list[str]:
    emulator.enqueue(
        reply.raw(200, '{"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}')
    )
    model.invoke([QUESTION, message, HumanMessage("Go on")])
    parts = [part for content in emulator.requests[-1].json["contents"] for part in content["parts"]]
    return [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]


def _ask(record: dict[str, Any], gateway: str, version: str = "v0") -> AIMessage:
    model = ChatGemway(
        model=record["model"] or "gemini-2.5-flash",
        api_key=wire.KEY,
        base_url=f"{gateway}/r/{record['id']}",
        max_retries=0,
        output_version=version,
    )
    with model, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # empty answers warn
        if record["endpoint"] != "streamGenerateContent":
            return model.invoke([QUESTION])
        first, *others = model.stream([QUESTION])
        return first + others


def _medium(mime_type: str, data: str) -> tuple[str, bytes]:
    if mime_type.lower().startswith(("audio/l16", "audio/pcm")):
        return "audio/wav", decode_base64(data)
    return mime_type, decode_base64(data)


def _facts(message: AIMessage) -> wire.Facts:
    """Read a message as programs do: its content blocks, calls, usage and metadata."""
    facts = wire.Facts()
    blocks = message.content_blocks
    facts.text = str(message.text)
    facts.thoughts = "".join(block.get("reasoning", "") for block in blocks if block["type"] == "reasoning")
    facts.calls = [(call["name"], call["args"]) for call in message.tool_calls]
    facts.media = [
        _shown(block) for block in blocks if block["type"] in {"image", "audio", "video", "file"} and "base64" in block
    ]
    facts.total_tokens = (message.usage_metadata or {}).get("total_tokens")
    facts.finish = message.response_metadata.get("finish_reason")
    facts.signatures = list(_signatures(message))
    return facts


def _shown(block: Any) -> tuple[str, bytes]:
    data = base64.b64decode(block["base64"])
    return block["mime_type"], data[44:] if block["mime_type"] == "audio/wav" else data


def _signatures(message: AIMessage) -> Iterator[str]:
    """Yield the signatures that a message keeps, wherever it keeps them."""
    extra = message.additional_kwargs
    yield from extra.get("__gemini_function_call_thought_signatures__", {}).values()
    for entry in extra.get("gemway_parts", ()):
        if found := entry.get("signature") or entry.get("block", {}).get("extras", {}).get("signature"):
            yield found
    for block in message.content if isinstance(message.content, list) else ():
        if isinstance(block, dict) and block.get("type") not in {"tool_call", "tool_call_chunk"}:
            value = block.get("value", {})
            found = block.get("signature") or block.get("extras", {}).get("signature") or value.get("thoughtSignature")
            if found:
                yield found
