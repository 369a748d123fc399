"""Bring a library up to date with its folder: only pieces that are new or have changed are embedded."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeAlias

from examples.rag.documents import Source, read
from examples.rag.errors import RagError, UnreadableError, one_line
from examples.rag.library import Library
from examples.rag.pieces import cut, to_nodes

Track: TypeAlias = Callable[[list[Source]], Generator[Source, None, None]]


@dataclass
class Outcome:
    """The result of an ingestion, by the names of documents."""

    unchanged: list[str]
    removed: list[str]
    embedded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    pieces: int = 0
    left: int = 0


def ingest(library: Library, sources: list[Source], track: Track) -> Outcome:
    """Embed new and changed pieces, forget deleted documents, and keep all that was done even if this is interrupted.

    Args:
        track: yields the documents that it is given, and may show how far the work is.

    Raises:
        RagError: the embedding failed; documents that were embedded before are kept.
    """
    digests = library.digests()
    unchanged = [source.name for source in sources if digests.get(source.name) == source.digest]
    gone = sorted(digests.keys() - {source.name for source in sources})
    outcome = Outcome(unchanged=unchanged, removed=gone)
    for name in gone:
        library.remove(name)
    waiting = [source for source in sources if digests.get(source.name) != source.digest]
    try:
        with closing(track(waiting)) as tracked:
            for source in tracked:
                _take_document(source, library, outcome)
    except KeyboardInterrupt:
        outcome.left = len(waiting) - len(outcome.embedded) - len(outcome.skipped)
    return outcome


def _take_document(source: Source, library: Library, outcome: Outcome) -> None:
    try:
        pages = read(source)
    except UnreadableError as error:
        outcome.skipped[source.name] = str(error)
        return
    size = library.recipe.chunk_size
    pieces = [
        node
        for page in pages
        for node in to_nodes(source.name, page.number, cut(page.text, size, library.texts(source.name, page.number)))
    ]
    try:
        outcome.pieces += library.put(source.name, source.digest, pieces)
    except Exception as error:
        raise RagError(
            f"embedding {source.name} failed: {one_line(error)} "
            f"({len(outcome.embedded)} embedded before are kept; run ingest again to continue)"
        ) from error
    outcome.embedded.append(source.name)
