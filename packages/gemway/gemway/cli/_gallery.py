"""A folder of pictures with a page that shows them all. Beside each picture lies how it came about, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gemway import Image
from gemway.gallery import Exhibit, to_html

PAGE = "gallery.html"
_TOLD = ("prompt", "model", "aspect_ratio", "image_size", "tokens", "seconds", "created")


def add(folder: Path, shown: Iterable[Exhibit], *, sources: Iterable[Path], name: str) -> tuple[list[Path], Path]:
    """Keep pictures in *folder* under *name*, and write the page anew; return the pictures' paths and the page's."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = [path.name for path in sources if path.resolve().parent == folder.resolve()]
    pictures = [_keep(folder, exhibit, name, inside) for exhibit in shown]
    page = folder / PAGE
    page.write_text(to_html(read(folder), title=folder.resolve().name), encoding="utf-8")
    return pictures, page


def read(folder: Path) -> list[Exhibit]:
    """Return the pictures of *folder* that this program put there, oldest first."""
    told = {path.with_suffix(""): _told(path) for path in sorted(folder.glob("*.json"))}
    known = {path: record for path, record in told.items() if record is not None and path.is_file()}
    images = {path.name: Image(path.read_bytes()) for path in known}
    found = [_exhibit(images, path.name, record) for path, record in known.items()]
    return sorted(found, key=lambda exhibit: exhibit.created or "")


def _keep(folder: Path, exhibit: Exhibit, name: str, sources: list[str]) -> Path:
    number = 1
    while True:
        path = exhibit.image.fitting(folder / (name if number == 1 else f"{name}-{number}"))
        try:
            exhibit.image.save(path)
            break
        except FileExistsError:
            number += 1
    record = {field: getattr(exhibit, field) for field in _TOLD} | {"sources": sources}
    text = json.dumps(record, ensure_ascii=False, indent=1)
    path.with_name(path.name + ".json").write_text(text, encoding="utf-8")
    return path


def _told(path: Path) -> dict[str, Any] | None:
    """Return what *path* tells of a picture, or None if it is somebody else's file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("prompt"), str) else None


def _exhibit(images: dict[str, Image], name: str, record: dict[str, Any]) -> Exhibit:
    told: dict[str, Any] = {field: record.get(field) for field in _TOLD}
    sources = tuple(images[source] for source in record.get("sources") or () if source in images)
    return Exhibit(images[name], **told, sources=sources)
