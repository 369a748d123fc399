"""Find the documents in a folder and read them. Knows files, and nothing of models or indices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from examples.rag.errors import RagError, UnreadableError, one_line


@dataclass(frozen=True)
class Source:
    """A document: its path below the folder, which is its name, and the SHA-256 of its bytes."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True)
class Page:
    """Text of a document; *number* counts from 1 where the document has pages."""

    text: str
    number: int | None = None


def find(folder: Path) -> list[Source]:
    """Return the documents in *folder* and the folders below, hidden ones left out, by name."""
    if not folder.is_dir():
        raise RagError(f"{folder} is no folder")
    paths = {path.relative_to(folder): path for path in folder.rglob("*") if path.suffix.lower() in _READERS}
    return [
        Source(name.as_posix(), path, sha256(path.read_bytes()).hexdigest())
        for name, path in sorted(paths.items())
        if path.is_file() and not any(part.startswith(".") for part in name.parts)
    ]


def read(source: Source) -> list[Page]:
    """Return the pages of a document that have text.

    Raises:
        UnreadableError: it is broken, or what it takes to read it is not installed.
    """
    pages = _READERS[source.path.suffix.lower()](source.path)
    return [page for page in pages if page.text.strip()]


def _read_text(path: Path) -> list[Page]:
    try:
        return [Page(path.read_text(encoding="utf-8-sig"))]
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8 text") from None


def _read_pdf(path: Path) -> list[Page]:
    try:
        from pypdf import PdfReader
    except ImportError:
        raise UnreadableError("PDFs are read by pypdf, which is not installed: pip install pypdf") from None
    try:
        return [Page(page.extract_text(), number) for number, page in enumerate(PdfReader(path).pages, 1)]
    except Exception as error:  # pypdf raises all kinds of errors on broken files
        raise UnreadableError(f"pypdf cannot read it: {one_line(error)}") from error


_READERS: dict[str, Callable[[Path], list[Page]]] = {".md": _read_text, ".txt": _read_text, ".pdf": _read_pdf}
