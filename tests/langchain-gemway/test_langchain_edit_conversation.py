"""A picture, edited twice in one conversation: 3.x image models demand every signature back."""

from __future__ import annotations

import pytest
from gemway_emulator import Emulator
from langchain_core.messages import BaseMessage, HumanMessage, messages_from_dict, messages_to_dict
from langchain_gemway import ChatGemway

MODEL = "gemini-3.1-flash-image-preview"
PROMPTS = ("a neon fox, cinematic", "make it blue", "add a full moon")


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("streamed", [False, True], ids=["invoke", "stream"])
def test_each_turn_sends_every_signature_back(version: str, streamed: bool) -> None:
    """Three turns with a JSON round trip between them: the emulator compares each signature as text."""
    with Emulator(strict_signatures=True) as emulator:
        model = ChatGemway(
            model=MODEL,
            base_url=emulator.base_url,
            api_key=emulator.api_key,
            response_modalities=["TEXT", "IMAGE"],
            output_version=version,
        )
        history: list[BaseMessage] = []
        for prompt in PROMPTS:
            history.append(HumanMessage(prompt))
            if streamed:
                first, *rest = model.stream(history)
                answer: BaseMessage = sum(rest, first)
            else:
                answer = model.invoke(history)
            history = messages_from_dict(messages_to_dict([*history, answer]))

        contents = emulator.requests[-1].json["contents"]

    answers = [content["parts"] for content in contents if content["role"] == "model"]
    pictures = [part for parts in answers for part in parts if "inlineData" in part]
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user"]
    assert len(pictures) == 2
    assert all(part.get("thoughtSignature") for part in pictures)
