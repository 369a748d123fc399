"""Remember every row of a batch in little memory: in a database of its own that spills to the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
CREATE TABLE written (
    key BLOB PRIMARY KEY, fingerprint TEXT, outcome TEXT, place INTEGER, size INTEGER, number INTEGER
) WITHOUT ROWID;
CREATE TABLE seen (key BLOB PRIMARY KEY, number INTEGER, times INTEGER) WITHOUT ROWID;
"""


class WrittenRow(NamedTuple):
    """A row of the output: of which request, how it ended, where it stands."""

    fingerprint: str
    outcome: str
    place: int
    size: int
    number: int


class RowIndex:
    """Which rows are in the output, and which were seen in the input.

    An id takes about 100 bytes, in memory at most 16 MB together: the empty name is SQLite's for a temporary database
    that goes to the disk when its cache is full.
    """

    def __init__(self) -> None:
        # The rows of a file are checked in a thread; no two threads use the index at the same time.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")
        self.superseded = 0

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM written").fetchone()[0])

    def find(self, row_id: str) -> WrittenRow | None:
        """Return the newest line of a row, or None."""
        select = "SELECT fingerprint, outcome, place, size, number FROM written WHERE key = ?"
        values = self._database.execute(select, (_hash_id(row_id),)).fetchone()
        return None if values is None else WrittenRow(*values)

    def add_written(self, row_id: str, row: WrittenRow) -> str | None:
        """Note a row of the output; return the outcome of an older line of the same row, or None."""
        values = (_hash_id(row_id), *row)
        if self._database.execute("INSERT OR IGNORE INTO written VALUES (?, ?, ?, ?, ?, ?)", values).rowcount:
            return None
        older = self.find(row_id)
        self.superseded += 1
        self._database.execute("REPLACE INTO written VALUES (?, ?, ?, ?, ?, ?)", values)
        return None if older is None else older.outcome

    def add_seen(self, row_id: str, number: int) -> tuple[int, int]:
        """Note a row of the input; return where it was first seen, and how often it has been seen by now."""
        key = _hash_id(row_id)
        if self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, 1)", (key, number)).rowcount:
            return number, 1
        self._database.execute("UPDATE seen SET times = times + 1 WHERE key = ?", (key,))
        first, times = self._database.execute("SELECT number, times FROM seen WHERE key = ?", (key,)).fetchone()
        return first, times

    def forget_seen(self) -> None:
        """Read the input from its beginning."""
        self._database.execute("DELETE FROM seen")

    def places(self, *, in_input_order: bool) -> Iterator[tuple[int, int]]:
        """Yield place and size of the newest line of every row."""
        if not in_input_order:
            return self._database.execute("SELECT place, size FROM written ORDER BY place")
        # The input may have grown since a row was written, so the order is that in which this run has seen the rows.
        return self._database.execute(
            "SELECT place, size FROM written LEFT JOIN seen USING (key) ORDER BY coalesce(seen.number, written.number), place"
        )

    def close(self) -> None:
        """Give the database's space back."""
        self._database.close()


def _hash_id(row_id: str) -> bytes:
    # As Parquet parts escape halves of surrogate pairs: an id must be found again by what was written.
    return blake2b(row_id.encode("utf-8", "backslashreplace"), digest_size=16).digest()
