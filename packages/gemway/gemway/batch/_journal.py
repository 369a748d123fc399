"""The output of a batch: JSON Lines that survive `kill -9`, and pictures beside them.

One line is one row, written in one piece and never changed. If a row was asked again (`retry_errors`, `force`), its last line
counts, and the older ones are left out when the batch ends. A file is valid JSON Lines at every moment but for a torn last
line, which the next run mends.
"""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from gemway import ConfigurationError, Image
from gemway.batch._index import RowIndex, Written
from gemway.batch._report import BatchReport, outcome_of

try:
    import fcntl
except ImportError:  # Windows: nothing keeps two processes from writing one file
    fcntl = None  # type: ignore[assignment]  # a module is no Optional

_BEGINNING: Final = b'{"id": '
# Room that is given back when the disk is full, so that the answers still under way can be kept.
_RESERVE: Final = 256 * 1024


class Journal:
    """The open output of one batch.

    Attributes:
        path: the file.
        index: which rows are in it.
        report: the figures of all its rows.
        problem: why nothing more should be asked, or None: the disk is full, say. Answers under way are still kept.
        rescued: the file that holds answers for which there was no room.
    """

    def __init__(self, path: Path) -> None:
        """Open *path*, mend a torn last line and read what is in it.

        Raises:
            ConfigurationError: it is no output of a batch, or another process writes it.
            OSError: it cannot be written.
        """
        self.path = path
        self.index = RowIndex()
        self.report = BatchReport()
        self.problem: OSError | None = None
        self.rescued: Path | None = None
        self._reserve = path.with_name(f".{path.name}.reserve")
        self._images = path.with_name(f"{path.stem}-images")
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        try:
            self._lock()
            self._end = self._load()
            self._reserve.write_bytes(bytes(_RESERVE))
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise OSError(error.errno, "no room for answers; nothing was asked", str(path)) from None
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(f"{self.path}: another batch is writing this file") from None

    def _load(self) -> int:
        """Read all rows, mend the end, and return where the file ends."""
        end = 0
        with self.path.open("rb") as file:
            for offset, size, line in read_lines(file, self.path):
                self._note(
                    line, Written(str(line.get("hash")), outcome_of(line), offset, size, int(line.get("row", 0)))
                )
                end = offset + size
        self.report.earlier = len(self.index)
        self._file.truncate(end)
        if end:
            self._file.seek(end - 1)
            if self._file.read(1) != b"\n":  # all but the line break was written
                end += self._file.write(b"\n")
        self._file.seek(end)
        return end

    def _note(self, line: Mapping[str, Any], written: Written) -> None:
        self.report.count(line, self.index.note(str(line["id"]), written))

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write rows. They are in the file when this returns, and on the disk after the next `sync`."""
        encoded, offset = [_encode(line) for line in lines], self._end
        try:
            self._write(b"".join(encoded))
        except OSError as error:
            self._keep_elsewhere(encoded, error)
        for line, data in zip(lines, encoded, strict=True):
            self._note(line, Written(line["hash"], outcome_of(line), offset, len(data), line["row"]))
            offset += len(data)

    def _write(self, data: bytes) -> None:
        """Write all of *data* or nothing."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            raise
        self._end += len(data)

    def _keep_elsewhere(self, encoded: list[bytes], error: OSError) -> None:
        """Use the reserve, and if that is not enough a file in the folder for temporary files."""
        self.problem = self.problem or OSError(error.errno, error.strerror, str(self.path))
        self._reserve.unlink(missing_ok=True)
        for data in encoded:
            try:
                self._write(data)
            except OSError:  # noqa: PERF203 - a shorter line may still have room
                if self.rescued is None:
                    handle, name = tempfile.mkstemp(prefix="gemway-batch-", suffix=".jsonl")
                    os.close(handle)
                    self.rescued = Path(name)
                with self.rescued.open("ab") as file:
                    file.write(data)

    def save_images(self, row_id: str, images: list[Image]) -> list[str]:
        """Write the pictures of a row and return their paths, relative to the folder of the output."""
        name = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', row_id)[:60]}-{blake2b(row_id.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
        paths = []
        for number, image in enumerate(images, 1):
            target = image.fitting(self._images / (name if number == 1 else f"{name}-{number}"))
            try:
                self._images.mkdir(exist_ok=True)
                _write_file(target, image.data)
                paths.append(target.relative_to(self.path.parent).as_posix())
            except OSError as error:
                self.problem = self.problem or OSError(error.errno, error.strerror, str(target))
                target = Path(tempfile.mkdtemp(prefix="gemway-batch-")) / target.name
                _write_file(target, image.data)
                paths.append(str(target))
        return paths

    def sync(self) -> None:
        """Wait until the rows are on the disk."""
        os.fsync(self._file.fileno())

    def finish(self, *, in_input_order: bool) -> None:
        """Leave out lines that newer ones replace, and sort if asked to. The file is replaced in one step."""
        self.sync()
        if (not self.index.superseded and not in_input_order) or self.rescued is not None:
            return
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            with new.open("wb") as file:
                for offset, size in self.index.lines(in_input_order=in_input_order):
                    self._file.seek(offset)
                    file.write(self._file.read(size).rstrip(b"\n") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError:
            new.unlink(missing_ok=True)
            if in_input_order:
                raise

    def close(self) -> None:
        """Close the file; it can be opened again."""
        self._reserve.unlink(missing_ok=True)
        self.index.close()
        self._file.close()


def read_lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield offset, size and content of each line of an output; a torn last one is left out.

    Raises `ConfigurationError` for what no batch has written: a user's own file must not be cut.
    """
    offset = 0
    for number, data in enumerate(file, 1):
        try:
            line = json.loads(data)
            is_row = isinstance(line, dict) and "id" in line
        except ValueError:
            is_row = False
        if not is_row:
            is_torn = data[: len(_BEGINNING)] == _BEGINNING[: len(data)] or not data.strip(b"\0\n")
            if is_torn and not file.read(1):
                return
            raise ConfigurationError(
                f"{path}, line {number}: not an answer of a batch; give another name for the output"
            )
        yield offset, len(data), line
        offset += len(data)


def read_report(out: str | Path, *, prices: tuple[float, float] | None = None) -> BatchReport:
    """Return the figures of an output, also while another process writes it.

    `seconds` and `rate` are those of the last minute in which rows were written.
    """
    path, index, report = Path(out), RowIndex(), BatchReport(prices=prices)
    times: deque[float] = deque([0.0])
    try:
        with path.open("rb") as file:
            for offset, size, line in read_lines(file, path):
                written = Written(str(line.get("hash")), outcome_of(line), offset, size, 0)
                report.count(line, index.note(str(line["id"]), written))
                times.append(max(times[-1], line.get("time") or 0.0))
                while times[0] < times[-1] - 60:
                    times.popleft()
    finally:
        index.close()
    report.earlier = report.rows - len(times) + 1
    report.seconds = times[-1] - times[0]
    return report


def _encode(line: Mapping[str, Any]) -> bytes:
    try:
        return _ENCODER.encode(line).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(line).encode() + b"\n"


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


def _write_file(target: Path, data: bytes) -> None:
    """Write a file so that it is complete or not there."""
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
