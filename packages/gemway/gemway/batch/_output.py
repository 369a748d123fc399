"""The output of a batch: rows that survive `kill -9`, pictures next to them, and figures of both.

`open_output` chooses between a file of JSON Lines and a folder of Parquet parts (`_parts.py`). In both, a row is written as one
line in one piece and never changed. If a row was asked again (`retry_errors`, `force`), its last line counts, and the older
ones are left out when the batch ends.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from gemway import ConfigurationError, Image
from gemway.batch._index import RowIndex, WrittenRow
from gemway.batch._lines import LineFile, OutputLine, encode_line, read_lines
from gemway.batch._report import BatchReport, outcome_of

if TYPE_CHECKING:
    from typing_extensions import Self

try:
    import fcntl
except ImportError:  # Windows: nothing keeps two processes from writing one file
    fcntl = None  # type: ignore[assignment]  # a module is no Optional

# Room that is given back when the disk is full, so that the answers still under way can be kept.
_RESERVE: Final = 256 * 1024


class Output(ABC):
    """The open output of one batch.

    Attributes:
        path: the file or folder.
        index: which rows are in it.
        report: the figures of all its rows.
        problem: why nothing more should be asked, or None: the disk is full, for example. Answers under way are still kept.
        rescued: the file that holds answers for which there was no room.
        lines: the file that new rows are appended to.
    """

    lines: LineFile

    def __init__(self, path: Path) -> None:
        """Open *path*, remove a torn end, and index the rows.

        Raises:
            ConfigurationError: it is no output of a batch, or another process writes it.
            OSError: it cannot be written.
        """
        self.path = path
        self.index = RowIndex()
        self.report = BatchReport()
        self.problem: OSError | None = None
        self.rescued: Path | None = None
        self._images = path.with_name(f"{path.stem}-images")
        self._open_files = ExitStack()
        self._open_files.callback(self.index.close)
        try:
            self._open_and_index()
            self.report.earlier = len(self.index)
            self._open_files.callback(self._reserve.unlink, missing_ok=True)
            self._reserve.write_bytes(bytes(_RESERVE))
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise OSError(error.errno, "no room for answers; nothing was asked", str(path)) from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _reserve(self) -> Path:
        return self.path.with_name(f".{self.path.name}.reserve")

    @abstractmethod
    def _open_and_index(self) -> None:
        """Open the files, index their rows, and note in `_open_files` how to close them."""

    @abstractmethod
    def _next_place(self, offset: int, size: int) -> tuple[int, int]:
        """Return where the index finds the line that is appended at *offset*: a position that grows, and a size."""

    @abstractmethod
    def sync(self) -> None:
        """Wait until the rows are on the disk. Called in a thread."""

    @abstractmethod
    def finish(self, *, in_input_order: bool) -> None:
        """Leave out rows that newer ones replace, and sort if asked to. Readers see the old rows or the new ones."""

    def close(self) -> None:
        """Close all files; the output can be opened again."""
        self._open_files.close()

    def append(self, rows: Sequence[OutputLine]) -> None:
        """Write rows. A killed process does not lose them when this returns, a power cut not after the next `sync`."""
        encoded, offset = [self._encode_row(row) for row in rows], self.lines.size
        try:
            self.lines.append(b"".join(encoded))
        except OSError as error:
            self._keep_elsewhere(encoded, error)
        for row, data in zip(rows, encoded, strict=True):
            self._index_row(row, *self._next_place(offset, len(data)))
            offset += len(data)

    def _encode_row(self, row: OutputLine) -> bytes:
        return encode_line(row)

    def _index_row(self, row: OutputLine, place: int, size: int) -> None:
        written = WrittenRow(str(row.get("hash")), outcome_of(row), place, size, row.get("row") or 0)
        self.report.count(row, self.index.add_written(str(row["id"]), written))

    def _keep_elsewhere(self, encoded: list[bytes], error: OSError) -> None:
        """Use the reserve, and if that is not enough a file in the folder for temporary files.

        These answers are paid for, and the calls in flight will bring a few more.
        """
        self.problem = self.problem or OSError(error.errno, error.strerror, str(self.path))
        self._reserve.unlink(missing_ok=True)
        for data in encoded:
            try:
                self.lines.append(data)
            except OSError:  # noqa: PERF203 - a shorter line may still have room
                if self.rescued is None:
                    handle, name = tempfile.mkstemp(prefix="gemway-batch-", suffix=".jsonl")
                    os.close(handle)
                    self.rescued = Path(name)
                with self.rescued.open("ab") as file:
                    file.write(data)

    def raise_problem(self) -> None:
        """Raise the error of an output that could not be written, if there is one; it names where the answers are."""
        if self.problem is None:
            return
        where = f"; answers that had no room there are in {self.rescued}: append them to {self.lines.path}"
        advice = f"{where if self.rescued else ''}; make room and run it again"
        raise OSError(self.problem.errno, f"{self.problem.strerror}{advice}", self.problem.filename)

    def save_images(self, row_id: str, images: list[Image]) -> list[str]:
        """Write the pictures of a row and return their paths, relative to the folder of the output.

        A picture never replaces another: if a row is asked again (`force`, or a kill between picture and line), the older one
        has been paid for, too, and the new one gets the next free number.
        """
        name = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', row_id)[:60]}-{blake2b(row_id.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
        paths = []
        for image in images:
            target = _free_name(image, self._images / name)
            try:
                self._images.mkdir(exist_ok=True)
                write_whole_file(target, image.data)
                paths.append(target.relative_to(self.path.parent).as_posix())
            except OSError as error:
                self.problem = self.problem or OSError(error.errno, error.strerror, str(target))
                target = Path(tempfile.mkdtemp(prefix="gemway-batch-")) / target.name
                write_whole_file(target, image.data)
                paths.append(str(target))
        return paths


class JsonLinesOutput(Output):
    """One file of JSON Lines. It is valid at every moment but for a torn last line, which the next run cuts."""

    def _open_and_index(self) -> None:
        self.lines = LineFile(self.path)
        self._open_files.callback(self.lines.close)
        lock(self.lines.fileno(), self.path)
        for stored in self.lines.load():
            self._index_row(stored.line, stored.offset, stored.size)

    def _next_place(self, offset: int, size: int) -> tuple[int, int]:
        return offset, size

    def sync(self) -> None:
        """Wait until the rows are on the disk."""
        self.lines.sync()

    def finish(self, *, in_input_order: bool) -> None:
        """Leave out lines that newer ones replace, and sort if asked to. The file is replaced in one step."""
        self.sync()
        if not self.index.superseded and not in_input_order:
            return
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            with new.open("wb") as file:
                for offset, size in self.index.places(in_input_order=in_input_order):
                    file.write(self.lines.read(offset, size) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError:
            new.unlink(missing_ok=True)
            if in_input_order:
                raise


def open_output(out: str | Path) -> Output:
    """Open *out*: a folder of Parquet parts if its name ends with `.parquet` or a slash or it is a folder, else a file."""
    if not is_parquet(out):
        return JsonLinesOutput(Path(out))
    from gemway.batch._parts import ParquetOutput

    return ParquetOutput(Path(out))


def is_parquet(out: str | Path) -> bool:
    """Whether *out* is, or is to become, a folder of Parquet parts."""
    return str(out).endswith(("/", os.sep)) or Path(out).suffix.lower() == ".parquet" or Path(out).is_dir()


def lock(descriptor: int, path: Path) -> None:
    """Keep other processes from writing *path* as long as *descriptor* is open."""
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError(f"{path}: another batch is writing this file") from None


def read_report(out: str | Path, *, prices: tuple[float, float] | None = None) -> BatchReport:
    """Return the figures of an output, also while another process writes it.

    `seconds` and `rate` are those of the last minute in which rows were written.
    """
    index, report = RowIndex(), BatchReport(prices=prices)
    times: deque[float] = deque([0.0])
    try:
        for place, row in enumerate(_read_rows(out)):
            written = WrittenRow(str(row.get("hash")), outcome_of(row), place, 0, 0)
            report.count(row, index.add_written(str(row["id"]), written))
            times.append(max(times[-1], row.get("time") or 0.0))
            while times[0] < times[-1] - 60:
                times.popleft()
    finally:
        index.close()
    report.earlier = report.rows - len(times) + 1
    report.seconds = times[-1] - times[0]
    return report


def _read_rows(out: str | Path) -> Iterator[OutputLine]:
    if is_parquet(out):
        from gemway.batch._parts import read_part_rows

        yield from read_part_rows(Path(out))
        return
    with Path(out).open("rb") as file:
        for stored in read_lines(file, Path(out)):
            yield stored.line


def _free_name(image: Image, path: Path) -> Path:
    """Return the first of `fox.png`, `fox-2.png`, ... that no picture has."""
    target, number = image.fitting(path), 1
    while target.exists():
        number += 1
        target = image.fitting(path.with_name(f"{path.name}-{number}"))
    return target


def write_whole_file(target: Path, data: bytes) -> None:
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
