"""Bring a library up to date with its folder: only what is new or has changed is read and embedded."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeAlias

from llama_index.core import Document
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import BaseNode

from examples.rag.documents import Page, Source, read
from examples.rag.errors import RagError, UnreadableError, one_line
from examples.rag.library import Library

Track: TypeAlias = Callable[[list[Source]], Generator[Source, None, None]]


@dataclass
class Outcome:
    """What an ingestion did, by the names of documents."""

    unchanged: list[str]
    removed: list[str]
    embedded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    left: int = 0


def ingest(library: Library, sources: list[Source], track: Track) -> Outcome:
    """Embed what is new or changed, forget what is gone, and keep all that was done even if this is interrupted.

    Args:
        track: yields the documents that it is given, and may show how far the work is.

    Raises:
        RagError: the embedding failed; what was embedded before is kept.
    """
    kept = [source.name for source in sources if library.files.get(source.name, {}).get("digest") == source.digest]
    gone = sorted(library.files.keys() - {source.name for source in sources})
    outcome = Outcome(unchanged=kept, removed=gone)
    for name in gone:
        library.remove(name)
    waiting = [source for source in sources if source.name not in kept]
    try:
        with closing(track(waiting)) as tracked:
            for source in tracked:
                _take(source, library, outcome)
    except KeyboardInterrupt:
        outcome.left = len(waiting) - len(outcome.embedded) - len(outcome.skipped)
    finally:
        library.save()
    return outcome


def _take(source: Source, library: Library, outcome: Outcome) -> None:
    try:
        pages = read(source)
    except UnreadableError as error:
        outcome.skipped[source.name] = str(error)
        return
    try:
        pieces = _embedded_pieces([_to_document(source, page) for page in pages], library)
    except Exception as error:
        raise RagError(
            f"embedding {source.name} failed: {one_line(error)} "
            f"({len(outcome.embedded)} embedded before are kept; run ingest again to continue)"
        ) from error
    library.add(source.name, source.digest, pieces)
    outcome.embedded.append(source.name)


def _embedded_pieces(documents: list[Document], library: Library) -> list[BaseNode]:
    pieces = splitter(library).get_nodes_from_documents(documents)
    return list(library.embedding(pieces)) if pieces else []


def splitter(library: Library) -> TokenTextSplitter:
    """Return what cuts texts into pieces of the library's size. LlamaIndex's own default looks for files of nltk."""
    return TokenTextSplitter(chunk_size=library.recipe.chunk_size, chunk_overlap=library.recipe.chunk_overlap)


def _to_document(source: Source, page: Page) -> Document:
    metadata = {"file_name": source.name} | ({"page": page.number} if page.number else {})
    # The name of a file is for people; the model and the embedding see the text alone.
    hidden = list(metadata)
    return Document(
        text=page.text, metadata=metadata, excluded_embed_metadata_keys=hidden, excluded_llm_metadata_keys=hidden
    )
