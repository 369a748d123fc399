"""A picture, edited twice in one conversation: 3.x image models demand every signature back."""

from __future__ import annotations

import pytest
from gemway_emulator import Emulator
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.gemway import Gemway

MODEL = "gemini-3.1-flash-image-preview"
PROMPTS = ("a neon fox, cinematic", "make it blue", "add a full moon")


@pytest.mark.parametrize("streamed", [False, True], ids=["chat", "stream_chat"])
def test_each_turn_sends_every_signature_back(streamed: bool) -> None:
    """Three turns with a JSON round trip between them: the emulator compares each signature as text."""
    with Emulator(strict_signatures=True) as emulator:
        llm = Gemway(
            model=MODEL, base_url=emulator.base_url, api_key=emulator.api_key, response_modalities=["TEXT", "IMAGE"]
        )
        history: list[ChatMessage] = []
        for prompt in PROMPTS:
            history.append(ChatMessage(role="user", content=prompt))
            answer = list(llm.stream_chat(history))[-1] if streamed else llm.chat(history)
            history = [ChatMessage.model_validate_json(one.model_dump_json()) for one in (*history, answer.message)]

        contents = emulator.requests[-1].json["contents"]

    answers = [content["parts"] for content in contents if content["role"] == "model"]
    pictures = [part for parts in answers for part in parts if "inlineData" in part]
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user"]
    assert len(pictures) == 2
    assert all(part.get("thoughtSignature") for part in pictures)
