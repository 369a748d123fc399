"""Keep the pieces of documents and their vectors on disk, so that nothing is embedded twice.

    library.json     what is in, by file: the digest of its content and the ids of its pieces; and which index is current
    index-N/         the VectorStoreIndex, as LlamaIndex persists it
    journal.jsonl    documents that were embedded since; gone after an ingestion that came to its end

A document is in the journal as soon as it is embedded, so a run that is killed loses the one it was at. A new index is
written beside the old one and becomes current when library.json is replaced, so there is a whole one at any time.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import BaseNode, TextNode

from examples.rag.embedding import load_embedding
from examples.rag.errors import RagError


@dataclass(frozen=True)
class Recipe:
    """How a library is made. With another one, all of it has to be made anew."""

    documents: str
    embedding: str
    chunk_size: int
    chunk_overlap: int


class Library:
    """The index on disk, and what is in it."""

    def __init__(self, folder: Path, recipe: Recipe, current: str = "", files: dict[str, Any] | None = None) -> None:
        self.recipe = recipe
        self.files: dict[str, dict[str, Any]] = files or {}
        self._folder = folder
        self._current = current
        self._added: dict[str, tuple[str, Sequence[BaseNode]]] = {}
        self._removed: set[str] = set()

    @classmethod
    def open(cls, folder: Path) -> Library:
        """Return the library in *folder*, to be asked."""
        manifest = _manifest(folder)
        if manifest is None:
            raise RagError(f"there is no library in {folder}; make one: python -m examples.rag ingest FOLDER")
        library = cls(folder, Recipe(**manifest["recipe"]), manifest["index"], manifest["files"])
        if not any(entry["pieces"] for entry in library.files.values()):
            raise RagError(f"the library in {folder} is empty; put documents in {library.recipe.documents}")
        return library

    @classmethod
    def continued(cls, folder: Path, recipe: Recipe) -> Library:
        """Return the library to put documents in: what is there of the same recipe, that of a killed run included."""
        manifest = _manifest(folder)
        if manifest is not None and manifest["recipe"]["documents"] != recipe.documents:
            raise RagError(f"{folder} holds {manifest['recipe']['documents']}; name another folder with --storage")
        if manifest is None or manifest["recipe"] != asdict(recipe):
            library = cls(folder, recipe, manifest["index"] if manifest else "")
        else:
            library = cls(folder, recipe, manifest["index"], manifest["files"])
        library._recover()
        return library

    @cached_property
    def embedding(self) -> BaseEmbedding:
        """The model that made the vectors."""
        return load_embedding(self.recipe.embedding)

    @cached_property
    def index(self) -> VectorStoreIndex:
        """The vectors and the pieces."""
        if not self.files:
            return VectorStoreIndex([], embed_model=self.embedding)
        storage = StorageContext.from_defaults(persist_dir=str(self._folder / self._current))
        return load_index_from_storage(storage, embed_model=self.embedding)

    @property
    def pieces(self) -> list[BaseNode]:
        """All pieces of all documents."""
        return list(self.index.docstore.docs.values())

    def add(self, name: str, digest: str, pieces: Sequence[BaseNode]) -> None:
        """Put a document in, in place of what was there under its name. It is safe on disk when this returns."""
        entry = {"name": name, "digest": digest, "pieces": [piece.to_dict() for piece in pieces]}
        new = not self._journal.exists()
        with self._journal.open("a", encoding="utf-8") as journal:
            if new:
                journal.write(json.dumps(asdict(self.recipe)) + "\n")
            journal.write(json.dumps(entry) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self._added[name] = (digest, pieces)

    def remove(self, name: str) -> None:
        """Take a document out."""
        self._removed.add(name)

    def save(self) -> None:
        """Bring the index on disk up to date."""
        if not (self._added or self._removed):
            return
        touched = self._removed | self._added.keys()
        self.index.delete_nodes([piece for name in touched for piece in self._ids(name)], delete_from_docstore=True)
        self.index.insert_nodes([piece for _, pieces in self._added.values() for piece in pieces])
        self.files = {name: entry for name, entry in self.files.items() if name not in self._removed}
        for name, (digest, pieces) in self._added.items():
            self.files[name] = {"digest": digest, "pieces": [piece.node_id for piece in pieces]}
        self._write()
        self._added, self._removed = {}, set()

    def _ids(self, name: str) -> list[str]:
        return self.files.get(name, {}).get("pieces", [])

    def _write(self) -> None:
        self._current = f"index-{int(self._current.rpartition('-')[2] or 0) + 1}"
        self.index.storage_context.persist(persist_dir=str(self._folder / self._current))
        manifest = {"recipe": asdict(self.recipe), "index": self._current, "files": self.files}
        beside = self._folder / "library.json.new"
        beside.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        beside.replace(self._folder / "library.json")
        self._journal.unlink(missing_ok=True)
        for index in self._folder.glob("index-*"):
            if index.name != self._current:
                shutil.rmtree(index, ignore_errors=True)

    @property
    def _journal(self) -> Path:
        return self._folder / "journal.jsonl"

    def _recover(self) -> None:
        """Take in what the journal of a killed run holds, up to the line that it was killed in."""
        self._folder.mkdir(parents=True, exist_ok=True)
        entries = list(_whole_lines(self._journal))
        if entries and entries[0] == asdict(self.recipe):
            for entry in entries[1:]:
                pieces = [TextNode.from_dict(piece) for piece in entry["pieces"]]
                self._added[entry["name"]] = (entry["digest"], pieces)
            self.save()
        self._journal.unlink(missing_ok=True)


def _manifest(folder: Path) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads((folder / "library.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise RagError(f"{folder / 'library.json'} is broken; delete {folder} and ingest again") from None
    return manifest


def _whole_lines(journal: Path) -> list[dict[str, Any]]:
    """Return the entries of a journal; a run that was killed while it wrote left half a line at the end."""
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True) if journal.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]
