"""What counts as a structured answer: one rule for whole answers and for streams."""

from __future__ import annotations

import pytest
from gemway import ConfigurationError
from gemway_emulator import Emulator, reply
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.gemway import Gemway
from pydantic import BaseModel, Field, RootModel

PROMPT = PromptTemplate("Read {document}.")
WHOLE = '{"customer": "Ada", "total": 7, "lines": ["a"]}'


class Invoice(BaseModel):
    customer: str
    total: float | None = None
    lines: list[str] = Field(default_factory=list)


class Settings(BaseModel):
    """A class that any object satisfies."""

    verbose: bool = False


ADA = Invoice(customer="Ada", total=7, lines=["a"])


async def _ask(llm: Gemway, method: str, output_cls=Invoice):
    if method == "structured_predict":
        return llm.structured_predict(output_cls, PROMPT, document="it")
    if method == "astructured_predict":
        return await llm.astructured_predict(output_cls, PROMPT, document="it")
    if method == "stream_structured_predict":
        return list(llm.stream_structured_predict(output_cls, PROMPT, document="it"))[-1]
    if method == "astream_structured_predict":
        return [item async for item in await llm.astream_structured_predict(output_cls, PROMPT, document="it")][-1]
    return list(llm.as_structured_llm(output_cls).stream_chat([ChatMessage(content="it")]))[-1].raw


METHODS = [f"{prefix}structured_predict" for prefix in ("", "a", "stream_", "astream_")] + ["structured_llm"]

AROUND = {
    "nothing": WHOLE,
    "white space": f"\n {WHOLE}\n",
    "byte order mark": f"\ufeff{WHOLE}",
    "words before": f"Here it is: {WHOLE}",
    "words after": f"{WHOLE}\n\nI hope this helps!",
    "braces in the words before": f"As {{schema}} and [1] ask: {WHOLE}",
    "a fence": f"```json\n{WHOLE}\n```",
    "an upper-case fence and words": f"Sure!\n```JSON\n{WHOLE}\n```\nDone.",
    "a closing fence only": f"{WHOLE}\n```",
    "an opening fence only": f"```json\n{WHOLE}",
    "a second copy": WHOLE + WHOLE,
    "a second copy on a line of its own": f"{WHOLE}\n{WHOLE}",
    "a list of one": f"[{WHOLE}]",
}


# In these modes the answer is text: in JSON mode, or asked for in words.
TEXT_MODES = pytest.mark.parametrize("mode", ["default", "llm"])


@pytest.mark.parametrize("text", AROUND.values(), ids=AROUND.keys())
@pytest.mark.parametrize("method", METHODS)
@TEXT_MODES
async def test_json_is_read_whatever_surrounds_it(
    emulator: Emulator, gemway, mode: str, method: str, text: str
) -> None:
    """Words, fences and copies around the JSON change nothing, in whole answers and in streams alike."""
    emulator.enqueue(reply.text(text, chunks=[text[:20], text[20:]]))

    assert await _ask(gemway(pydantic_program_mode=mode), method) == ADA


UNFINISHED = {
    "in a string": (['{"customer": "Ada Love', "lace Lim"], "MAX_TOKENS"),
    "in a list": (['{"customer": "Ada", "lines": ["a", "b"', ', "c'], "MAX_TOKENS"),
    "in a number": (['{"customer": "Ada", "total": 12', "34"], "MAX_TOKENS"),
    "before a value": (['{"customer": "Ada", ', '"total": '], "MAX_TOKENS"),
    "by a filter": (['{"customer": "Ada Love', "lace"], "SAFETY"),
    "by the model's own end": (['{"customer": "Ada", "lines": ["a"]', ', "total": 7'], "STOP"),
    "by words": (['{"customer": "Ada", "lines": ["a"],', ' "total": oops}'], "STOP"),
    "by a wrong type": (['{"customer": "Ada", "lines": ["a"],', ' "total": "seven"}'], "STOP"),
    "before it begins": (["I cannot ", "do that."], "STOP"),
}


@pytest.mark.parametrize(("pieces", "reason"), UNFINISHED.values(), ids=UNFINISHED.keys())
@pytest.mark.parametrize("method", METHODS)
@TEXT_MODES
async def test_an_unfinished_answer_is_no_object(
    emulator: Emulator, gemway, mode: str, method: str, pieces: list[str], reason: str
) -> None:
    """An answer that ends too early raises; the object read so far is not the result (mastra-ai/mastra#24442)."""
    emulator.enqueue(reply.text("".join(pieces), chunks=pieces, finish_reason=reason))

    with pytest.raises(ValueError, match="is not a valid Invoice"):
        await _ask(gemway(pydantic_program_mode=mode), method)


@pytest.mark.parametrize("mode", ["openai", "guidance", "lm-format-enforcer"])
def test_modes_for_other_providers_are_errors(gemway, mode: str) -> None:
    """A mode that needs another provider's model is an error that names the modes that work."""
    with pytest.raises(ConfigurationError, match="use default, function or llm"):
        gemway(pydantic_program_mode=mode).structured_predict(Invoice, PROMPT, document="it")


def test_the_schema_in_words_leaves_the_prompt_alone(emulator: Emulator, gemway) -> None:
    """In mode "llm" the request holds the schema, and the user's prompt is the same as before."""
    emulator.enqueue(reply.text(WHOLE))

    gemway(pydantic_program_mode="llm").structured_predict(Invoice, PROMPT, document="it")

    assert "customer" in emulator.requests[-1].json["contents"][0]["parts"][0]["text"]
    assert PROMPT.output_parser is None


@pytest.mark.parametrize("method", METHODS[:4])
@pytest.mark.parametrize(
    "text",
    ['{"note": "cut", "inner": {"verbose": true}, "more": ', '{"broken": oops, "inner": {"verbose": true}}'],
    ids=["cut", "broken"],
)
async def test_a_piece_of_an_answer_is_not_the_answer(emulator: Emulator, gemway, method: str, text: str) -> None:
    """An object inside an unfinished one is not taken for it, even where it would satisfy the class."""
    emulator.enqueue(reply.text(text, finish_reason="MAX_TOKENS"))

    with pytest.raises(ValueError, match="is not a valid Settings"):
        await _ask(gemway(), method, Settings)


@pytest.mark.parametrize("method", METHODS[:4])
async def test_a_bare_number_that_was_cut_raises(emulator: Emulator, gemway, method: str) -> None:
    """12 may have been the beginning of 1234."""
    emulator.enqueue(reply.text("12", finish_reason="MAX_TOKENS"), reply.text("12"))

    with pytest.raises(ValueError, match="cut off by max_tokens"):
        await _ask(gemway(), method, RootModel[int])
    assert await _ask(gemway(), method, RootModel[int]) == RootModel[int](12)


@pytest.mark.parametrize("method", METHODS[:4])
async def test_a_cut_call_is_no_object(emulator: Emulator, gemway, method: str) -> None:
    """Arguments of a call that ran into max_tokens raise, whole answer or stream."""
    emulator.enqueue(reply.tool_call("Invoice", {"customer": "Ada Love"}, finish_reason="MAX_TOKENS"))

    with pytest.raises(ValueError, match="unfinished"):
        await _ask(gemway(pydantic_program_mode=PydanticProgramMode.FUNCTION), method)


def test_many_braces_are_looked_at_in_bounded_time(emulator: Emulator, gemway) -> None:
    """A hostile answer costs no more than a look at its first braces, and nesting without end is no RecursionError."""
    emulator.enqueue(reply.text('{"a' * 50_000), reply.text("[" * 200_000), reply.text("{ x" * 50_000))

    for _ in range(3):
        with pytest.raises(ValueError, match="is not a valid Invoice"):
            gemway().structured_predict(Invoice, PROMPT, document="it")
