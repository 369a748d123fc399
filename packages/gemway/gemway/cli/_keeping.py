"""Write pictures that were paid for: whatever goes wrong while writing, the answer of the gateway is kept somewhere."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from gemway import Image, types
from gemway.adapters import sniff_mime_type
from gemway.cli._screen import failed, warn


class Keeper:
    """Writes the pictures of one answer, and knows whether all went well."""

    def __init__(self, response: types.GenerateContentResponse) -> None:
        self._response = response
        self._kept_answer: Path | None = None
        self.has_failed = False

    def keep(self, image: Image, wanted: Path, *, overwrite: bool = False) -> Path | None:
        """Write *image* to *wanted* or to a free name next to it; return where it is, None if it could not be written.

        Data that is no picture is written as `.bin`. A picture that cannot be written there goes to the folder for
        temporary files, and if it cannot be decoded, the gateway's whole answer is kept.
        """
        try:
            data = image.data
        except ValueError as error:
            self._report_and_keep_answer(f"the picture cannot be read ({error})")
            return None
        if not is_picture(image, data):
            self.has_failed = True
            path = self._write_somewhere(lambda target: _write_new_file(target, data), wanted.with_suffix(".bin"))
            failed(f"the gateway sent {len(data):,} bytes that are no picture{f': kept in {path}' if path else ''}")
            return None
        target = image.fitting(wanted)
        if overwrite:
            return self._write_somewhere(lambda place: image.save(place, overwrite=True), target, exactly=True)
        return self._write_somewhere(image.save, target)

    def _write_somewhere(self, write: Callable[[Path], Path], target: Path, *, exactly: bool = False) -> Path | None:
        try:
            return write(target if exactly else free(target))
        except OSError as error:
            # A full disk or a folder without permission. The picture is paid for, and /tmp is often another disk.
            problem = f"{target}: {error.strerror or error}"
        try:
            path = write(free(Path(tempfile.mkdtemp(prefix="gemway-")) / target.name))
        except OSError:
            self._report_and_keep_answer(problem)
            return None
        self.has_failed = True
        failed(f"{problem}; written to {path} instead")
        return path

    def _report_and_keep_answer(self, problem: str) -> None:
        """Report the problem, and keep the answer itself, once."""
        self.has_failed = True
        if self._kept_answer is None:
            answer = json.dumps(self._response.to_dict(), ensure_ascii=False).encode("utf-8", "replace")
            for folder in (Path(), Path(tempfile.gettempdir())):
                try:
                    self._kept_answer = _write_new_file(free(folder / "gemway-answer.json"), answer)
                    break
                except OSError:
                    continue
        failed(f"{problem}{f'; the whole answer is kept in {self._kept_answer}' if self._kept_answer else ''}")


def is_picture(image: Image, data: bytes) -> bool:
    """Whether *data* begins as pictures do. A server's word for it is not enough: some send an error as `image/png`."""
    if image.mime_type == "image/svg+xml":
        return data.lstrip()[:1] == b"<"
    return (sniff_mime_type(data) or "").startswith("image/")


def measured(image: Image) -> str:
    """Return the size of *image* in words, or its type where its header does not tell the size."""
    try:
        return f"{image.width}x{image.height} pixels"
    except ValueError:
        return image.mime_type


def free(path: Path) -> Path:
    """Return *path*, or `name-2`, `name-3`, ... if it is taken."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def tell_renamed(path: Path, wanted: Path, image: Image) -> None:
    """Warn that a picture has another name than was asked for."""
    if path != wanted and path.parent == wanted.parent:
        warn(f"the picture is {image.mime_type}: written to {path}")


def _write_new_file(path: Path, data: bytes) -> Path:
    # "x": another run may have taken the free name in the meantime, and its picture must not be lost.
    with path.open("xb") as file:
        file.write(data)
    return path
