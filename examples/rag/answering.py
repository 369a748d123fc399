"""Answer from a library: vectors and words (BM25) fused, a query engine that cites, a chat engine that remembers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from llama_index.core import QueryBundle
from llama_index.core.chat_engine import CondensePlusContextChatEngine
from llama_index.core.llms import LLM
from llama_index.core.memory import Memory
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import NodeWithScore
from sqlalchemy.ext.asyncio import create_async_engine

from examples.rag.errors import RagError, one_line
from examples.rag.library import Library, WordRetriever
from examples.rag.pieces import splitter
from examples.rag.settings import HISTORY_TOKENS, PIECES


@dataclass(frozen=True)
class Citation:
    """A piece that an answer was made from."""

    number: int
    file_name: str
    page: int | None
    score: float
    text: str

    @property
    def place(self) -> str:
        """Where it stands: the file, and the page if there are pages."""
        return f"{self.file_name}, page {self.page}" if self.page else self.file_name


def query_engine(library: Library, llm: LLM, *, streaming: bool = False) -> CitationQueryEngine:
    """Return an engine whose answers cite the numbers of their sources: `... [1]`."""
    return CitationQueryEngine.from_args(
        library.index,
        llm=llm,
        retriever=retriever(library, llm),
        # Pieces have the size to be cited already.
        text_splitter=splitter(library.recipe.chunk_size),
        streaming=streaming,
    )


def retriever(library: Library, llm: LLM) -> QueryFusionRetriever:
    """Return a retriever that finds pieces by meaning and by words, without asking the model."""
    wide = min(2 * PIECES, library.count())
    retrievers = [library.index.as_retriever(similarity_top_k=wide), WordRetriever(library, wide)]
    return _Fused(
        retrievers, llm=llm, num_queries=1, mode="reciprocal_rerank", similarity_top_k=PIECES, use_async=False
    )


class _Fused(QueryFusionRetriever):
    """Turns errors of the embedding model, which may be of any class, into one line."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        with _searching():
            return super()._retrieve(query_bundle)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        # Embedded stores search in the process; not all of them have a second interface for event loops.
        return await asyncio.to_thread(self._retrieve, query_bundle)


@contextmanager
def _searching() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise RagError(f"searching the library failed: {one_line(error)}") from error


def citations(nodes: Sequence[NodeWithScore]) -> list[Citation]:
    """Return the sources of an answer, numbered as the model saw them."""
    return [
        Citation(
            number=number,
            file_name=source.metadata["file_name"],
            page=source.metadata.get("page"),
            score=source.score or 0.0,
            text=re.sub(r"\ASource \d+:\n", "", source.text).strip(),
        )
        for number, source in enumerate(nodes, 1)
    ]


def cited(answer: str) -> set[int]:
    """Return the numbers that an answer names in brackets: [2], [1, 3]."""
    groups = re.findall(r"\[(\d+(?:\s*,\s*\d+)*)\]", answer)
    return {int(number) for group in groups for number in group.split(",")}


class Conversation:
    """A chat about the library: each question is made to stand alone, then answered from the pieces that match it."""

    def __init__(self, library: Library, llm: LLM) -> None:
        # The engine's own memory may fill the whole window, and leave no room for the sources.
        limit = min(HISTORY_TOKENS, llm.metadata.context_window // 2)
        self._database = create_async_engine("sqlite+aiosqlite:///:memory:")
        self._memory = Memory.from_defaults(token_limit=limit, async_engine=self._database)
        self._engine = CondensePlusContextChatEngine.from_defaults(
            retriever=retriever(library, llm), llm=llm, memory=self._memory
        )
        self.sources: list[Citation] = []

    async def ask(self, question: str) -> AsyncIterator[str]:
        """Yield the answer while it is written. One that fails leaves no trace in the conversation."""
        before = await self._memory.aget_all()
        try:
            # The engine's stream for threads prints a traceback when an answer fails; this one raises the error here.
            answer = await self._engine.astream_chat(question)
            self.sources = citations(answer.source_nodes)
            async for piece in answer.async_response_gen():
                yield piece
        except Exception:
            await self._memory.aset(before)
            raise

    def clear(self) -> None:
        """Forget the conversation."""
        self._engine.reset()

    async def aclose(self) -> None:
        """End the conversation; the database of the memory would stay open otherwise."""
        await self._database.dispose()
