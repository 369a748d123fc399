"""Options of the constructor reach the wire, and answers report their cost."""

from __future__ import annotations

from gemway_emulator import reply
from llama_index.llms.gemway import Gemway

MODEL = "gemini-2.5-flash"


def llm_of(emulator, **options) -> Gemway:
    return Gemway(model=MODEL, base_url=emulator.base_url, api_key=emulator.api_key, **options)


def test_extra_headers_of_the_constructor_are_sent(gemway_emulator):
    """`extra_headers=`, as OpenAI's users write it, joins `default_headers=` and is as secret."""
    llm = llm_of(gemway_emulator, default_headers={"x-a": "1"}, extra_headers={"x-b": "hidden"})

    llm.complete("hi")

    headers = gemway_emulator.requests[0].headers
    assert (headers["x-a"], headers["x-b"]) == ("1", "hidden")
    assert "hidden" not in f"{llm!r} {llm.to_dict()}"


def test_attempts_are_told(gemway_emulator):
    """An answer that took a retry reports it, streamed or not; others do not."""
    gemway_emulator.enqueue(reply.error(503), reply.text("a"), reply.error(503), reply.text("b"), reply.text("c"))
    llm = llm_of(gemway_emulator)

    whole = llm.complete("hi").additional_kwargs
    *_, last = llm.stream_complete("hi")
    plain = llm.complete("hi").additional_kwargs

    assert whole["attempts"] == last.additional_kwargs["attempts"] == 2
    assert whole["waited"] > 0.2
    assert "attempts" not in plain


def test_a_long_answer_is_gone_on_with(gemway_emulator):
    """`max_continuations=` goes on where the model stopped with CONTINUATION."""

    def hop(text: str, **candidate):
        content = {"content": {"role": "model", "parts": [{"text": text}]}, **candidate}
        return reply.stream([{"candidates": [content], "usageMetadata": {"totalTokenCount": 5}}])

    gemway_emulator.enqueue(
        hop("one ", finishReason="CONTINUATION", continuationToken="dDE="), hop("two", finishReason="STOP")
    )

    answer = llm_of(gemway_emulator, max_continuations=3).complete("hi")

    assert (answer.text, answer.additional_kwargs["total_tokens"]) == ("one two", 10)
