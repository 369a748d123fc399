"""A LangChain chain that streams its answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from examples.demo.report import Exchange, Report
from examples.demo.screen import Screen
from examples.gateway import MODEL

TITLE = "A LangChain chain, streaming"
FABLE = Path(__file__).parents[1] / "data" / "the-north-wind-and-the-sun.txt"
QUESTION = "What did the Traveler do when he was overcome with heat?"


def run(screen: Screen, report: Report) -> None:
    """Ask about a text and show the answer while it arrives."""
    with screen.working("loading LangChain"):
        from langchain_core.prompts import ChatPromptTemplate
        from langchain_gemway import ChatGemway

    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from this text only:\n\n{text}"), ("human", "{question}")]
    )
    chain = prompt | ChatGemway(model=MODEL)
    exchange = report.exchange(TITLE, QUESTION)
    screen.prompt(QUESTION)
    chunks = chain.stream({"text": FABLE.read_text(encoding="utf-8"), "question": QUESTION})
    exchange.answer = screen.stream(_count_and_yield(chunks, exchange))
    screen.note(f"{exchange.tokens_in} tokens in, {exchange.tokens_out} out")


def _count_and_yield(chunks: Iterator, exchange: Exchange) -> Iterator[str]:
    """Yield the text of each chunk, and count the tokens that the last ones report."""
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
        yield chunk.text
    exchange.count(whole.usage_metadata if whole else None)
