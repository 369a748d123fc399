"""A folder of Parquet parts as the output of a batch.

    answers.parquet/part-00001.parquet     10,000 rows, never touched again until the batch ends
    answers.parquet/part-00002.parquet
    answers.parquet/_rows-00003.jsonl      the rows of the next part, as they come

A Parquet file can be read only when its end is written, so rows are first kept as lines, which survive `kill -9`. When there
are enough for a part, the lines go on in the next file, and a thread makes the part. File and part have the same number and the
same rows in the same order. Readers of Parquet (pyarrow, pandas, Spark, DuckDB's `*.parquet`) pass over names that begin with
`_` or `.`, so the folder can be read at any time.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import Any, Final

from gemway import ConfigurationError
from gemway.batch._arrow import answer_types, import_pyarrow
from gemway.batch._lines import LineFile, OutputLine, encode_text, read_lines
from gemway.batch._output import Output, lock, write_whole_file

_ROWS_OF_A_PART: Final = 10_000
# Vectors of 3,072 numbers take 60 KB a row as JSON: a part is closed earlier then, so that it fits in memory.
_BYTES_OF_A_PART: Final = 64 * 1024 * 1024
_POSITIONS: Final = 1 << 32  # a place in the index is the part's number and the row's position in it
_FIGURES: Final = ["id", "row", "error", "usage", "images", "hash", "time"]
_PART: Final = re.compile(r"part-(\d{5,})\.parquet")
_LINES: Final = re.compile(r"_rows-(\d{5,})\.jsonl")
_SORTED: Final = re.compile(r"_sorted-(\d{5,})\.parquet")
_COMPLETE: Final = "_sorted-complete"
_OTHERS_OF_OURS: Final = re.compile(rf"{_COMPLETE}|\..*|_torn-.*")


class ParquetOutput(Output):
    """A folder of Parquet parts, and the lines of the next one."""

    def _open_and_index(self) -> None:
        import_pyarrow()
        if self.path.exists() and not self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a file; Parquet output is a folder of parts: give another name")
        self.path.mkdir(exist_ok=True)
        if os.name == "posix":
            folder = os.open(self.path, os.O_RDONLY)
            self._open_files.callback(os.close, folder)
            lock(folder, self.path)
        self._full: deque[tuple[int, LineFile]] = deque()
        self._making_parts = threading.Lock()
        self._refuse_foreign_files()
        self._finish_sorting()
        for torn_part in list(self.path.glob(".*.tmp")):
            torn_part.unlink()  # its lines are still there
        self._load_lines(self._load_parts())
        self._open_files.callback(self._close_lines)

    @property
    def _reserve(self) -> Path:
        return self.path / ".reserve"

    def _refuse_foreign_files(self) -> None:
        for path in self.path.iterdir():
            if not any(pattern.fullmatch(path.name) for pattern in (_PART, _LINES, _SORTED, _OTHERS_OF_OURS)):
                raise ConfigurationError(f"{path}: not written by a batch; give an empty or new folder for the output")

    def _load_parts(self) -> int:
        """Index the rows of all parts, and return the number of the last one."""
        last = 0
        for last, path in _find_numbered(self.path, _PART):
            lines = _lines_path(self.path, last)
            rows = _read_figures(path)
            if rows is None:
                # A kill does not do this, since a part gets its name when all of it is on the disk; a failing disk does.
                path.unlink() if lines.exists() else path.replace(path.with_name(f"_torn-{path.name}"))
                continue
            for position, row in enumerate(rows):
                self._index_row(row, last * _POSITIONS + position, 0)
            lines.unlink(missing_ok=True)  # killed after the part got its name and before the lines were removed
        return last

    def _load_lines(self, last_part: int) -> None:
        """Index the rows that are in no part yet, and go on with the last file of them."""
        self._number = last_part
        for number, path in _find_numbered(self.path, _LINES):
            self.lines, self._number, self._rows = LineFile(path), number, 0
            self._full.append((number, self.lines))
            for stored in self.lines.load():
                self._index_row(stored.line, *self._next_place(stored.offset, stored.size))
        if self._number > last_part:
            self._full.pop()
        else:
            self._begin_lines()

    def _begin_lines(self) -> None:
        self.lines = LineFile(_lines_path(self.path, self._number + 1))
        self._number, self._rows = self._number + 1, 0

    def _next_place(self, offset: int, size: int) -> tuple[int, int]:
        place = self._number * _POSITIONS + self._rows
        self._rows += 1
        return place, 0

    def _encode_row(self, row: OutputLine) -> bytes:
        if calls := row.get("function_calls"):
            row = {**row, "function_calls": json.dumps(calls)}  # arguments have no common schema
        try:
            return encode_text(row)
        except ValueError:
            return encode_text(_without_surrogates(row))

    def append(self, rows: Sequence[OutputLine]) -> None:
        """Write rows, and begin the next part if this one has enough."""
        super().append(rows)
        if self.problem is None and (self._rows >= _ROWS_OF_A_PART or self.lines.size >= _BYTES_OF_A_PART):
            full = (self._number, self.lines)
            try:
                self._begin_lines()
            except OSError as error:
                self.problem = error
            else:
                self._full.append(full)

    def sync(self) -> None:
        """Wait until the rows are on the disk, and make parts of the lines that are enough for one."""
        self.lines.sync()
        with self._making_parts:  # a batch that is cancelled leaves its thread in here
            while self._full:
                number, lines = self._full[0]
                lines.sync()
                self._make_part(number)
                lines.close()
                self._full.popleft()

    def _make_part(self, number: int) -> None:
        """Turn lines into a part. They are removed when the part is on the disk under its name, and no sooner."""
        lines = _lines_path(self.path, number)
        self._write_part(_part_path(self.path, number), _to_table(lines))
        lines.unlink()

    def _write_part(self, path: Path, table: Any) -> None:
        """Write a file of Parquet so that its name appears only when all of it is on the disk."""
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            with temporary.open("wb") as file:
                import_pyarrow().parquet.write_table(table, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(self.path)

    def finish(self, *, in_input_order: bool) -> None:
        """Make a part of the last rows, leave out those that newer ones replace, and sort if asked to."""
        self._close_last_part()
        if in_input_order:
            self._sort_parts()
        elif self.index.superseded:
            self._drop_superseded_rows()

    def _close_last_part(self) -> None:
        if self._rows:
            self._full.append((self._number, self.lines))
            self._begin_lines()
        self.sync()

    def _drop_superseded_rows(self) -> None:
        """Write the parts anew that hold rows which newer ones replace; each is replaced in one step."""
        current = set()
        for number, places in groupby(self._read_places(in_input_order=False), key=lambda place: place // _POSITIONS):
            current.add(number)
            path, kept = _part_path(self.path, number), [place % _POSITIONS for place in places]
            if import_pyarrow().parquet.read_metadata(path).num_rows > len(kept):
                self._write_part(path, _take_rows(_read_table(path), kept))
        for number, path in _find_numbered(self.path, _PART):
            if number not in current:
                path.unlink()

    def _sort_parts(self) -> None:
        """Write all rows in the input's order into new parts, and replace all old parts by them in one step.

        That step is the file `_sorted-complete`. Without it the next start removes the new parts, with it the old ones.
        """
        if not self.index.superseded and all(a < b for a, b in pairwise(self._read_places(in_input_order=True))):
            return
        places, number = self._read_places(in_input_order=True), self._number
        while some := list(islice(places, _ROWS_OF_A_PART)):
            self._write_part(self.path / f"_sorted-{number:05}.parquet", self._collect_rows(some))
            number += 1
        write_whole_file(self.path / _COMPLETE, str(self._number).encode())
        self._finish_sorting()

    def _collect_rows(self, places: list[int]) -> Any:
        """Return the rows at *places* as one table. Rows arrive nearly in order, so they come from two or three parts."""
        by_place = sorted(range(len(places)), key=places.__getitem__)
        tables = [
            _take_rows(_read_table(_part_path(self.path, part)), [places[index] % _POSITIONS for index in indexes])
            for part, indexes in groupby(by_place, key=lambda index: places[index] // _POSITIONS)
        ]
        order = sorted(range(len(places)), key=by_place.__getitem__)
        return _take_rows(import_pyarrow().concat_tables(tables), order)

    def _finish_sorting(self) -> None:
        """Let sorted parts take the place of the old ones if all of them are there; else remove them."""
        complete = self.path / _COMPLETE
        if not complete.exists():
            for _, path in _find_numbered(self.path, _SORTED):
                path.unlink()
            return
        first = int(complete.read_text())
        for number, path in _find_numbered(self.path, _SORTED):
            path.replace(_part_path(self.path, number))
        for number, path in _find_numbered(self.path, _PART):
            if number < first:
                path.unlink()
        _sync_folder(self.path)
        complete.unlink()

    def _read_places(self, *, in_input_order: bool) -> Iterator[int]:
        return (place for place, _ in self.index.places(in_input_order=in_input_order))

    def _close_lines(self) -> None:
        """Make a part of the last rows if that is possible, so that readers see them; else they stay as they are."""
        if self.problem is None:
            with suppress(OSError):
                self._close_last_part()
        self.lines.close()
        if not self._rows:
            self.lines.path.unlink(missing_ok=True)


def _to_table(lines: Path) -> Any:
    """Return the rows of a file as an Arrow table, with the same columns for every part."""
    pyarrow = import_pyarrow()
    text = pyarrow.string()
    types = {
        **{"id": text, "row": pyarrow.int64()},
        **answer_types(),
        **{"images": pyarrow.list_(text), "function_calls": text},
        **{"model": text, "hash": text, "time": pyarrow.float64()},
    }
    # Arrow reads JSON twenty times as fast as Python can make the same table, and without the GIL. One block, since a
    # line must not be longer than a block.
    table = pyarrow.json.read_json(
        lines,
        pyarrow.json.ReadOptions(block_size=lines.stat().st_size + 1),
        pyarrow.json.ParseOptions(
            explicit_schema=pyarrow.schema(list(types.items())), unexpected_field_behavior="ignore"
        ),
    )
    return table.select(list(types))


def _take_rows(table: Any, positions: list[int]) -> Any:
    """Return some rows of a table. A list would do as well, but Arrow imports pandas first to see whether it is a Series."""
    pyarrow = import_pyarrow()
    buffers = [None, pyarrow.py_buffer(array("q", positions))]
    return table.take(pyarrow.Array.from_buffers(pyarrow.int64(), len(positions), buffers))


def _without_surrogates(value: Any) -> Any:
    """Return JSON in which halves of surrogate pairs, which UTF-8 cannot hold, are written as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_without_surrogates(member) for member in value]
    return {name: _without_surrogates(member) for name, member in value.items()} if isinstance(value, dict) else value


def read_part_rows(folder: Path) -> Iterator[OutputLine]:
    """Yield id, outcome and usage of all rows of an output, also while a batch writes it."""
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    numbers = {number for kind in (_PART, _LINES) for number, _ in _find_numbered(folder, kind)}
    if not numbers:
        raise ConfigurationError(f"{folder}: not the output of a batch")
    for number in sorted(numbers):
        try:
            with _lines_path(folder, number).open("rb") as file:
                lines = [stored.line for stored in read_lines(file, _lines_path(folder, number))]
        except FileNotFoundError:
            lines = []
        # While this runs, lines may become a part, which holds the same rows.
        part = _part_path(folder, number)
        yield from (_read_figures(part) or () if part.exists() else lines)


def _read_figures(path: Path) -> list[OutputLine] | None:
    """Return id, outcome and usage of the rows of a part, or None if it is torn."""
    with path.open("rb") as file:
        try:
            return list(import_pyarrow().parquet.read_table(file, columns=_FIGURES).to_pylist())
        except (OSError, ValueError):
            return None


def _read_table(path: Path) -> Any:
    with path.open("rb") as file:
        return import_pyarrow().parquet.read_table(file)


def _sync_folder(folder: Path) -> None:
    """Wait until new names are on the disk. Without it a power cut could undo them and keep later deletions."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _find_numbered(folder: Path, pattern: re.Pattern[str]) -> list[tuple[int, Path]]:
    """Return the files of one kind with their numbers, in their order."""
    matches = [(pattern.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in matches if match)


def _part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05}.parquet"


def _lines_path(folder: Path, number: int) -> Path:
    return folder / f"_rows-{number:05}.jsonl"
