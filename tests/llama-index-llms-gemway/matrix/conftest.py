"""The model under test, and the small world that every case plays in."""

from __future__ import annotations

import gc
import hashlib
import importlib
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms.llm import LLM
from llama_index.core.tools import FunctionTool, QueryEngineTool

TEXTS = {
    "towers": "The Eiffel Tower stands in Paris. The Eiffel Tower was built in 1889 by Gustave Eiffel. "
    "The Eiffel Tower is 330 metres high.",
    "rivers": "The Danube flows through Vienna. The Danube is 2850 kilometres long. The Danube ends in the Black Sea.",
    "bees": "Honey bees live in colonies. Honey bees dance to show their sisters where flowers are. "
    "A colony of honey bees has one queen.",
}

# The verdict of the judge that the emulator stands in for. The cases check that evaluators ask and read, not who is right.
VERDICTS = {
    "faithfulness": ["YES"],
    "unfaithful": ["NO"],
    "relevancy": ["YES"],
    "correctness": ["4.5\nIt agrees with the reference."],
    "context_relevancy": ["It fits.\n[RESULT] 4"],
    "answer_relevancy": ["It fits.\n[RESULT] 2"],
    "pairwise": ["It answers.\n[[A]]", "It answers.\n[[B]]"],
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let core's own leftovers pass: it runs coroutines in loops that it closes without closing what is in them."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(scope="session", autouse=True)
def frozen_modules() -> Iterator[None]:
    """Leave what is there already out of the sweeping, which takes a quarter of a second each time otherwise."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def leftovers() -> Iterator[None]:
    """Sweep up behind each case, so that no other test finds what core left."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def llm(request: pytest.FixtureRequest) -> Iterator[LLM]:
    """The model under test: what MATRIX_LLM names (`package.module:function`), else Gemway on the emulator."""
    name = os.environ.get("MATRIX_LLM")
    with _named(name) if name else _gemway(request) as model:
        yield model


@contextmanager
def _named(name: str) -> Iterator[LLM]:
    module, _, attribute = name.partition(":")
    yield getattr(importlib.import_module(module), attribute)()


@contextmanager
def _gemway(request: pytest.FixtureRequest) -> Iterator[LLM]:
    import llama_index_puppet  # of tests/support: answers in the forms that core's components parse
    from gemway_emulator import reply
    from llama_index.llms.gemway import Gemway

    emulator = request.getfixturevalue("gemway_emulator")
    emulator.respond = llama_index_puppet.respond
    case = getattr(request.node, "callspec", None)
    name = getattr(case.params.get("case"), "__name__", "") if case else ""
    emulator.enqueue(*(reply.text(verdict) for verdict in VERDICTS.get(name, ())))
    with Gemway("gemini-2.5-flash", api_key=emulator.api_key, base_url=emulator.base_url) as llm:
        yield llm


@pytest.fixture
def world(llm: LLM) -> Iterator[World]:
    """Documents, indices and tools around the model; nothing falls back to core's global defaults."""
    world = World(llm)
    Settings.llm, Settings.embed_model = llm, world.embed_model
    yield world
    Settings._llm = Settings._embed_model = None


class WordEmbedding(BaseEmbedding):
    """Words, hashed into 256 dimensions: offline, and good enough to find a passage by its words."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [0.0] * 256
        for word in re.findall(r"[a-z]{3,}", text.lower()):
            vector[int.from_bytes(hashlib.blake2b(word.encode(), digest_size=1).digest(), "big")] += 1.0
        length = sum(value * value for value in vector) ** 0.5 or 1.0
        return [value / length for value in vector]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


@dataclass
class World:
    """What the cases share: three documents, and what can be made of them."""

    llm: Any
    embed_model: WordEmbedding = field(default_factory=WordEmbedding)

    @cached_property
    def documents(self) -> list[Document]:
        return [Document(text=text, id_=name, metadata={"topic": name}) for name, text in TEXTS.items()]

    @cached_property
    def index(self) -> VectorStoreIndex:
        return VectorStoreIndex.from_documents(self.documents, embed_model=self.embed_model)

    @cached_property
    def nodes(self) -> list[Any]:
        return self.index.as_retriever(similarity_top_k=3).retrieve("How long is the Danube?")

    def engine_of(self, topic: str) -> Any:
        """Return a query engine that knows one topic."""
        document = next(document for document in self.documents if document.id_ == topic)
        return SummaryIndex.from_documents([document]).as_query_engine(llm=self.llm)

    @cached_property
    def engine_tools(self) -> list[QueryEngineTool]:
        about = {"towers": "Facts about the Eiffel Tower", "rivers": "Facts about the Danube river"}
        return [
            QueryEngineTool.from_defaults(self.engine_of(topic), name=topic, description=text)
            for topic, text in about.items()
        ]

    @property
    def multiply(self) -> FunctionTool:
        def multiply(a: int, b: int) -> int:
            """Multiply two numbers a and b."""
            return a * b

        multiply.__annotations__ = {"a": int, "b": int, "return": int}
        return FunctionTool.from_defaults(multiply)

    @property
    def history(self) -> list[ChatMessage]:
        return [
            ChatMessage(role="user", content="Tell me about the Danube."),
            ChatMessage(role="assistant", content="The Danube is a river in Europe."),
        ]
