"""A file of JSON Lines that survives `kill -9`: it is only appended to, and a torn last line is cut at the next start."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

from pydantic_core import to_json

from gemway import ConfigurationError

OutputLine: TypeAlias = Mapping[str, Any]
"""A row of the output, as JSON."""

_BEGINNINGS: Final = (b'{"id":"', b'{"id": "')


class StoredLine(NamedTuple):
    """A line of a file, and where it stands there."""

    offset: int
    size: int
    line: OutputLine


class LineFile:
    """An open file of answers.

    Attributes:
        path: the file.
        size: its length in bytes.
    """

    def __init__(self, path: Path) -> None:
        """Open *path*, or make it. Call `load` before anything is appended.

        Raises `ConfigurationError` for a device or a pipe, which has no end or cannot be read again.
        """
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"{path} is not a regular file; give another name for the output")
        self.path = path
        self.size = 0
        # Without a buffer of Python's, a line is the kernel's as soon as `append` returns, and outlives the process.
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)

    def load(self) -> Iterator[StoredLine]:
        """Yield all lines; at the end, cut a torn last one. Raises `ConfigurationError` if no batch has written the file."""
        end = 0
        with self.path.open("rb") as reader:
            for stored in read_lines(reader, self.path):
                end = stored.offset + stored.size
                yield stored
        self._file.truncate(end)
        if end:
            self._file.seek(end - 1)
            if self._file.read(1) != b"\n":  # all but the line break was written
                end += self._file.write(b"\n")
        self._file.seek(end)
        self.size = end

    def append(self, data: bytes) -> None:
        """Write all of *data* or nothing. It is on the disk after the next `sync`."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            # A full disk may have taken half a line, and more lines may follow when the reserve is given back.
            self._file.truncate(self.size)
            self._file.seek(self.size)
            raise
        self.size += len(data)

    def read(self, offset: int, size: int) -> bytes:
        """Return a line without its break."""
        self._file.seek(offset)
        return self._file.read(size).rstrip(b"\n")

    def fileno(self) -> int:
        """Return the file's descriptor, so that it can be locked."""
        return self._file.fileno()

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(file: BinaryIO, path: Path) -> Iterator[StoredLine]:
    """Yield each line of an output; a torn last one is left out.

    Raises `ConfigurationError` for a file that no batch has written: a user's own file must not be cut.
    """
    offset = 0
    for number, data in enumerate(file, 1):
        try:
            line = json.loads(data)
        except ValueError:
            # Zeros at the end are what some file systems leave of a line after a power cut.
            is_torn = any(data.startswith(text[: len(data)]) for text in _BEGINNINGS) or not data.strip(b"\0\n")
            if is_torn and not file.read(1):
                return
            line = None
        # A file of questions has ids, too; given as the output by mistake, it must not be taken for answers.
        if not isinstance(line, dict) or "id" not in line or "hash" not in line:
            raise ConfigurationError(
                f"{path}, line {number}: not an answer of a batch; give another name for the output"
            )
        yield StoredLine(offset, len(data), line)
        offset += len(data)


def encode_line(line: OutputLine) -> bytes:
    """Return *line* as it stands in the file."""
    try:
        return encode_text(line)
    except ValueError:  # half a surrogate pair
        return json.dumps(line).encode() + b"\n"


def encode_text(line: OutputLine) -> bytes:
    """Return *line* without escapes. Raises `ValueError` for half a surrogate pair, which UTF-8 cannot hold."""
    # Python's encoder takes 7 microseconds for a short answer and 3 milliseconds for a vector; this one 1 and 0.1.
    return to_json(line) + b"\n"
