"""Keep the pieces of documents and their vectors on disk, so that nothing is embedded twice.

    library.db   SQLite: the recipe, the documents with the digest of their content, their pieces, and an index of words
    vectors/     the vector store

A document is on disk as soon as it is embedded. Its pieces are listed in the database before their vectors are stored
and counted afterwards, so a run that is killed in between leaves no vector that nobody knows of.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from llama_index.core import QueryBundle, VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import NodeWithScore, TextNode

from examples.rag.embedding import load_embedding
from examples.rag.errors import RagError
from examples.rag.pieces import to_nodes
from examples.rag.store import open_store

_DATABASE = "library.db"
_TABLES = """
CREATE TABLE IF NOT EXISTS recipe (json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pieces (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, document TEXT NOT NULL, page INTEGER, stored INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS pieces_of_documents ON pieces (document);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text, tokenize = 'porter unicode61');
"""


@dataclass(frozen=True)
class Recipe:
    """How a library is made. With another one, all of it has to be made anew."""

    documents: str
    embedding: str
    chunk_size: int


class Library:
    """The pieces on disk, searched by vectors and by words."""

    def __init__(self, folder: Path, recipe: Recipe, *, outdated: bool = False) -> None:
        self.recipe = recipe
        self._folder = folder
        # A library of another recipe stays on disk until there are vectors to take its place: a mistyped name of a
        # model must not cost the library.
        self._outdated = outdated

    @classmethod
    def open(cls, folder: Path) -> Library:
        """Return the library in *folder*, to be asked."""
        recipe = _read_recipe(folder)
        if recipe is None:
            raise RagError(f"there is no library in {folder}; make one: python -m examples.rag ingest FOLDER")
        library = cls(folder, recipe)
        if not library.count():
            raise RagError(f"the library in {folder} is empty; put documents in {recipe.documents}")
        return library

    @classmethod
    def continued(cls, folder: Path, recipe: Recipe) -> Library:
        """Return the library to put documents in, with everything that the same recipe made before."""
        before = _read_recipe(folder)
        if before and before.documents != recipe.documents:
            raise RagError(f"{folder} holds {before.documents}; name another folder with --storage")
        return cls(folder, recipe, outdated=before != recipe)

    @cached_property
    def embedding(self) -> BaseEmbedding:
        """The model that makes the vectors."""
        return load_embedding(self.recipe.embedding)

    @cached_property
    def index(self) -> VectorStoreIndex:
        """The vector store, as LlamaIndex asks it."""
        return VectorStoreIndex.from_vector_store(open_store(self._folder / "vectors"), embed_model=self.embedding)

    @cached_property
    def _database(self) -> sqlite3.Connection:
        # LlamaIndex may search in a thread; it never searches in two at once.
        return sqlite3.connect(self._folder / _DATABASE, check_same_thread=False)

    def digests(self) -> dict[str, str]:
        """Return the names of the documents in the library, with the SHA-256 of their content."""
        return {} if self._outdated else dict(self._database.execute("SELECT name, digest FROM documents"))

    def count(self) -> int:
        """Return the number of pieces."""
        return 0 if self._outdated else int(self._database.execute("SELECT count(*) FROM pieces").fetchone()[0])

    def texts(self, name: str, page: int | None) -> list[str]:
        """Return the pieces of a document, or of one page of it, that have their vectors."""
        if self._outdated:
            return []
        query = "SELECT text FROM words JOIN pieces ON number = words.rowid WHERE document = ? AND page IS ? AND stored"
        return [text for (text,) in self._database.execute(query, [name, page])]

    def put(self, name: str, digest: str, pieces: Sequence[TextNode]) -> int:
        """Put a document in, in place of its earlier state, and return how many of its pieces had to be embedded.

        The document is safe on disk when this returns.
        """
        before = self._stored_pieces(name)
        new = [piece for piece in pieces if not before.get(piece.node_id)]
        embedded = self.embedding(new) if new else []
        if self._outdated and not new:
            return 0
        self._begin_anew_if_outdated()
        self._list_pieces(name, [piece for piece in new if piece.node_id not in before])
        if embedded:
            self.index.insert_nodes(embedded)
        with self._database:
            self._database.executemany("UPDATE pieces SET stored = 1 WHERE id = ?", [[piece.node_id] for piece in new])
        self._forget_pieces(before.keys() - {piece.node_id for piece in pieces})
        with self._database:
            self._database.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", [name, digest])
        return len(new)

    def remove(self, name: str) -> None:
        """Take a document out."""
        self._forget_pieces(self._stored_pieces(name).keys())
        with self._database:
            self._database.execute("DELETE FROM documents WHERE name = ?", [name])

    def search_words(self, question: str, limit: int) -> list[NodeWithScore]:
        """Return the pieces that share most words with a question, the best first (BM25)."""
        words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", question))
        query = """
            SELECT document, page, text, bm25(words) FROM words JOIN pieces ON number = words.rowid
            WHERE words MATCH ? AND stored ORDER BY bm25(words) LIMIT ?
        """
        rows = self._database.execute(query, [words, limit]) if words else []
        # SQLite's scores are negative, so that the best comes first.
        return [
            NodeWithScore(node=to_nodes(document, page, [text])[0], score=-score)
            for document, page, text, score in rows
        ]

    def _stored_pieces(self, name: str) -> dict[str, bool]:
        """Return the ids of a document's pieces, and whether their vectors are known to be stored."""
        if self._outdated:
            return {}
        return dict(self._database.execute("SELECT id, stored FROM pieces WHERE document = ?", [name]))

    def _list_pieces(self, name: str, pieces: Iterable[TextNode]) -> None:
        with self._database:
            for piece in pieces:
                row = self._database.execute(
                    "INSERT INTO pieces (id, document, page) VALUES (?, ?, ?)",
                    [piece.node_id, name, piece.metadata.get("page")],
                )
                self._database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", [row.lastrowid, piece.text])

    def _forget_pieces(self, ids: Iterable[str]) -> None:
        gone = sorted(ids)
        if not gone:
            return
        self.index.vector_store.delete_nodes(gone)
        with self._database:
            for node_id in gone:
                self._database.execute(
                    "DELETE FROM words WHERE rowid = (SELECT number FROM pieces WHERE id = ?)", [node_id]
                )
                self._database.execute("DELETE FROM pieces WHERE id = ?", [node_id])

    def _begin_anew_if_outdated(self) -> None:
        if not self._outdated:
            return
        shutil.rmtree(self._folder / "vectors", ignore_errors=True)
        (self._folder / _DATABASE).unlink(missing_ok=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._database.executescript(_TABLES)
        with self._database:
            self._database.execute("INSERT INTO recipe VALUES (?)", [json.dumps(asdict(self.recipe))])
        self._outdated = False


class WordRetriever(BaseRetriever):
    """Searches a library by words alone."""

    def __init__(self, library: Library, limit: int) -> None:
        super().__init__()
        self._library = library
        self._limit = limit

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._library.search_words(query_bundle.query_str, self._limit)


def _read_recipe(folder: Path) -> Recipe | None:
    path = folder / _DATABASE
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path)) as database:
            row = database.execute("SELECT json FROM recipe").fetchone()
        return Recipe(**json.loads(row[0]))
    except (sqlite3.Error, TypeError, ValueError):
        raise RagError(f"{path} is broken; delete {folder} and ingest again") from None
