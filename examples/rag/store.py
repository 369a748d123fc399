"""Vectors in one SQLite file, behind LlamaIndex's interface for vector stores. Knows no model and no documents.

Every question is compared with every vector: exact, and a matter of milliseconds for the tens of thousands of pieces
that one machine's documents make. See docs/rag.md for measurements and for the stores to take beyond that.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

_TABLE = "CREATE TABLE IF NOT EXISTS vectors (id TEXT PRIMARY KEY, document TEXT, vector BLOB, node TEXT)"


def open_store(folder: Path) -> BasePydanticVectorStore:
    """Return the vector store in *folder*. Any other store of LlamaIndex that keeps texts fits here."""
    folder.mkdir(parents=True, exist_ok=True)
    return SqliteVectorStore(folder / "vectors.db")


class SqliteVectorStore(BasePydanticVectorStore):
    """Vectors and texts in a file; the vectors are read into memory at the first question, as 32-bit numbers."""

    stores_text: bool = True
    flat_metadata: bool = False

    _database: sqlite3.Connection = PrivateAttr()
    _loaded: tuple[list[str], np.ndarray[Any, Any]] | None = PrivateAttr(default=None)

    def __init__(self, path: Path) -> None:
        super().__init__()
        # LlamaIndex may search in a thread; it never searches in two at once.
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute(_TABLE)

    @property
    def client(self) -> sqlite3.Connection:
        """The connection to the file."""
        return self._database

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Store nodes with their vectors, all or none; those with the same ids are replaced."""
        rows = [
            (
                node.node_id,
                node.ref_doc_id,
                np.asarray(node.get_embedding(), dtype=np.float32).tobytes(),
                json.dumps(node_to_metadata_dict(node)),
            )
            for node in nodes
        ]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
        self._loaded = None
        return [row[0] for row in rows]

    def delete(self, ref_doc_id: str, **kwargs: Any) -> None:
        """Delete the nodes of a document."""
        with self._database:
            self._database.execute("DELETE FROM vectors WHERE document = ?", [ref_doc_id])
        self._loaded = None

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **kwargs: Any
    ) -> None:
        """Delete nodes by their ids."""
        if filters is not None:
            raise NotImplementedError("this store has no filters; delete by ids")
        with self._database:
            self._database.executemany("DELETE FROM vectors WHERE id = ?", [[node_id] for node_id in node_ids or []])
        self._loaded = None

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return the nodes whose vectors point most nearly in the direction of the question's (cosine)."""
        if query.filters is not None or query.query_embedding is None:
            raise NotImplementedError("this store compares vectors and has no filters")
        ids, matrix = self._load_vectors()
        if not ids:
            return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
        question = np.asarray(query.query_embedding, dtype=np.float32)
        scores = matrix @ (question / (np.linalg.norm(question) or 1))
        best = np.argsort(-scores)[: query.similarity_top_k]
        return VectorStoreQueryResult(
            nodes=[self._read_node(ids[place]) for place in best],
            similarities=[float(scores[place]) for place in best],
            ids=[ids[place] for place in best],
        )

    def _load_vectors(self) -> tuple[list[str], np.ndarray[Any, Any]]:
        """Return all ids and their vectors, each of length 1, one to a row."""
        if self._loaded is None:
            rows = self._database.execute("SELECT id, vector FROM vectors").fetchall()
            numbers = np.frombuffer(b"".join(vector for _, vector in rows), dtype=np.float32)
            matrix = numbers.reshape(len(rows), -1) if rows else numbers
            lengths = np.linalg.norm(matrix, axis=-1, keepdims=True)
            self._loaded = [node_id for node_id, _ in rows], matrix / np.where(lengths == 0, 1, lengths)
        return self._loaded

    def _read_node(self, node_id: str) -> BaseNode:
        row = self._database.execute("SELECT node FROM vectors WHERE id = ?", [node_id]).fetchone()
        return metadata_dict_to_node(json.loads(row[0]))
