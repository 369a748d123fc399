"""A folder of pictures with a page that shows them all. Each picture has a JSON file that records how it was made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gemway import Image
from gemway.cli._keeping import Keeper
from gemway.gallery import Exhibit, is_gallery, to_html

PAGE = "gallery.html"
_RECORDED_FIELDS = ("prompt", "model", "aspect_ratio", "image_size", "tokens", "seconds", "created")


def page_of(folder: Path) -> Path:
    """Return where the page of *folder* is or goes: a `gallery.html` of somebody else is left alone."""
    number, page = 1, folder / PAGE
    while page.exists() and not _is_gallery_of_ours(page):
        number += 1
        page = folder / f"gallery-{number}.html"
    return page


def _is_gallery_of_ours(page: Path) -> bool:
    try:
        return is_gallery(page.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def keep(
    folder: Path, shown: Iterable[Exhibit], keeper: Keeper, *, sources: Iterable[Path], name: str
) -> list[tuple[Path, Exhibit]]:
    """Keep pictures in *folder* under *name*, each with its record; return those that could be written."""
    inside = [path.name for path in sources if path.resolve().parent == folder.resolve()]
    written = []
    for exhibit in shown:
        if (path := keeper.keep(exhibit.image, folder / name)) is not None:
            write_record(path, exhibit, sources=inside)
            written.append((path, exhibit))
    return written


def write_record(path: Path, exhibit: Exhibit, *, sources: Iterable[str] = ()) -> None:
    """Write how the picture *path* was made to a file of the same name with `.json` at its end."""
    record = {field: getattr(exhibit, field) for field in _RECORDED_FIELDS} | {"sources": list(sources)}
    text = json.dumps(record, ensure_ascii=False, indent=1)
    path.with_name(path.name + ".json").write_text(text, encoding="utf-8")


def write_page(folder: Path, pictures: Path | None = None) -> Path:
    """Write the page of *folder* anew, with the pictures in it or in *pictures*, and return where it is."""
    page = page_of(folder)
    page.write_text(to_html(read(pictures or folder), title=folder.resolve().name), encoding="utf-8")
    return page


def read(folder: Path) -> list[Exhibit]:
    """Return the pictures of *folder* that this program put there, oldest first."""
    records = {path.with_suffix(""): _read_picture_record(path) for path in sorted(folder.glob("*.json"))}
    ours = {path: record for path, record in records.items() if record is not None and path.is_file()}
    images = {path.name: Image(path.read_bytes()) for path in ours}
    exhibits = [_restore_exhibit(images, path.name, record) for path, record in ours.items()]
    return sorted(exhibits, key=lambda exhibit: exhibit.created or "")


def _read_picture_record(path: Path) -> dict[str, Any] | None:
    """Return the record of a picture in *path*, or None if it is somebody else's file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("prompt"), str):
        return None
    # People edit such files by hand, and the page must not fail for a number that became a text.
    types: dict[str, Any] = {**dict.fromkeys(_RECORDED_FIELDS, str), "tokens": int, "seconds": (int, float)}
    is_ours = all(record.get(name) is None or isinstance(record[name], kind) for name, kind in types.items())
    return record if is_ours and isinstance(record.get("sources") or [], list) else None


def _restore_exhibit(images: dict[str, Image], name: str, record: dict[str, Any]) -> Exhibit:
    fields: dict[str, Any] = {field: record.get(field) for field in _RECORDED_FIELDS}
    sources = tuple(
        images[source] for source in record.get("sources") or () if isinstance(source, str) and source in images
    )
    return Exhibit(images[name], **fields, sources=sources)
