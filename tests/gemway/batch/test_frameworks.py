"""Thousands of items through the batch methods of LangChain and LlamaIndex: on the pools that all calls of a model share."""

from __future__ import annotations

import asyncio
import time

import pytest

MODEL = "gemini-2.5-flash"
MANY = 1000

pytestmark = pytest.mark.usefixtures("echo", "gateway_environment")


@pytest.fixture
def chat():
    return pytest.importorskip("langchain_gemway").ChatGemway(model=MODEL)


@pytest.fixture
def llm():
    return pytest.importorskip("llama_index.llms.gemway").Gemway(model=MODEL)


async def ask_in_between(call, begin: float) -> float:
    """Make one call while a batch runs; return when it was answered."""
    await asyncio.sleep(0.3)
    await call
    return time.monotonic() - begin


def test_abatch(chat, emulator):
    """Every item is answered in its place, and a single call in between does not wait for the batch."""

    async def run():
        begin = time.monotonic()
        other = asyncio.create_task(ask_in_between(chat.ainvoke("other"), begin))
        answers = await chat.abatch([f"row {n}" for n in range(2 * MANY)], {"max_concurrency": 64})
        return answers, await other, time.monotonic() - begin

    answers, other, whole = asyncio.run(run())

    assert [answer.text for answer in answers] == [f"echo row {n}" for n in range(2 * MANY)]
    assert len(emulator.requests) == 2 * MANY + 1
    assert other < 0.5 * whole


def test_abatch_without_a_limit(chat):
    """All calls at once are carried by as many connections as the pool may have, and none fails."""
    answers = asyncio.run(chat.abatch([f"row {n}" for n in range(MANY)]))

    assert [answer.text for answer in answers] == [f"echo row {n}" for n in range(MANY)]


def test_abatch_as_completed(chat):
    """Each index comes once, with its own answer; an item that fails is an exception in its place."""

    async def run():
        items = [f"row {n}" if n != 7 else "fail" for n in range(MANY)]
        config = {"max_concurrency": 64}
        return [pair async for pair in chat.abatch_as_completed(items, config, return_exceptions=True)]

    answers = dict(asyncio.run(run()))

    assert sorted(answers) == list(range(MANY))
    assert isinstance(answers.pop(7), Exception)
    assert {n: answer.text for n, answer in answers.items()} == {n: f"echo row {n}" for n in answers}


def test_batch(chat):
    """The blocking form does the same on threads."""
    answers = chat.batch([f"row {n}" for n in range(MANY)], {"max_concurrency": 32})

    assert [answer.text for answer in answers] == [f"echo row {n}" for n in range(MANY)]


def test_run_jobs(llm, emulator):
    """LlamaIndex's `run_jobs`: every job is answered in its place, and a single call in between does not wait."""
    run_jobs = pytest.importorskip("llama_index.core.async_utils").run_jobs

    async def run():
        begin = time.monotonic()
        other = asyncio.create_task(ask_in_between(llm.acomplete("other"), begin))
        answers = await run_jobs([llm.acomplete(f"row {n}") for n in range(MANY)], workers=64)
        return answers, await other, time.monotonic() - begin

    answers, other, whole = asyncio.run(run())

    assert [answer.text for answer in answers] == [f"echo row {n}" for n in range(MANY)]
    assert len(emulator.requests) == MANY + 1
    assert other < 0.5 * whole
