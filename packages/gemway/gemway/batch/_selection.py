"""Choose which rows are asked, and hold back errors that would be those of all rows."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, Final

from gemway import AuthenticationError, ConfigurationError, NotFoundError, PermissionDeniedError, QuotaExceededError
from gemway.batch._calls import Outcome
from gemway.batch._engine import BatchStoppedError
from gemway.batch._index import RowIndex
from gemway.batch._options import BatchOptions
from gemway.batch._report import REFUSED, BatchReport, outcome_of
from gemway.batch._rows import Row, RowError, RowReader
from gemway.limits import LimiterError

_ALIKE: Final = 20
_OF_THE_ACCOUNT: Final = (AuthenticationError, PermissionDeniedError, QuotaExceededError, NotFoundError, LimiterError)


class ChangedRowsError(ConfigurationError):
    """The output holds answers for another model, other prompts or another configuration."""


class RowSelector:
    """Chooses the rows that are to be asked: those that the output does not hold.

    Args:
        index: the rows of the output, and those that were seen in the input.
    """

    def __init__(self, reader: RowReader, index: RowIndex, options: BatchOptions) -> None:
        self._reader = reader
        self._index = index
        self._options = options
        self._has_answers = len(index) > 0

    def check(self, rows: Any) -> tuple[int, int]:
        """Read all rows; return how many there are, and how many are to be asked. Raises as `choose`."""
        total = to_ask = 0
        for row in self._reader.read(rows):
            to_ask += self.choose(row) is not None
            total += 1
        self._index.forget_seen()
        return total, to_ask

    def select(self, rows: Any) -> Iterator[Row | None] | AsyncIterator[Row | None]:
        """Return the rows to ask, and None for each one to skip."""
        if isinstance(rows, AsyncIterable):
            return self._select_async(rows)
        return map(self.choose, self._reader.read(rows))

    async def _select_async(self, rows: AsyncIterable[Any]) -> AsyncIterator[Row | None]:
        number = 0
        async for record in rows:
            number += 1
            yield self.choose(self._reader.to_row(record, number))

    def choose(self, row: Row) -> Row | None:
        """Return *row* if it is to be asked, with an id of its own.

        Raises `RowError` for an id that two rows have, and `ChangedRowsError`.
        """
        first, times = self._index.add_seen(row.id, row.number)
        if times > 1:
            if row.has_own_id:
                raise RowError(f"{row.place}: the id {row.id!r} is that of row {first} too")
            row = replace(row, id=f"{row.id}-{times}")
        # Into an empty output goes no row that has been answered, so there is nothing to look up.
        written = self._index.find(row.id) if self._has_answers else None
        if written is None:
            return None if self._options.retry_errors else row
        if written.fingerprint != row.fingerprint:
            if not self._options.force:
                raise ChangedRowsError(
                    f"{row.place}: {row.id!r} was answered for another model, prompt or configuration; give another name"
                    " for the output, or force=True (--force) to ask again for rows that have changed"
                )
            return row
        return row if written.outcome and self._options.retry_errors else None


class AlikeGuard:
    """Holds errors back that would be those of all rows: a wrong key, an unknown model, an empty balance.

    Before the first answer that may be any error, later only those of the account. After 20 of them in a row the batch stops,
    and they are not written, so that the next run asks for these rows again.
    """

    def __init__(self) -> None:
        self._held: list[Outcome] = []
        self._has_answers = False

    @property
    def is_sure(self) -> bool:
        """Whether enough rows have failed alike."""
        return len(self._held) >= _ALIKE

    def admit(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Return the outcomes to write now that *outcomes* have arrived."""
        return [admitted for outcome in outcomes for admitted in self._admit_outcome(outcome)]

    def _admit_outcome(self, outcome: Outcome) -> list[Outcome]:
        kind = outcome_of(outcome.columns)
        if self.is_sure and outcome.error is not None:
            self._held.append(outcome)
            return []
        is_suspect = kind and kind != REFUSED and (not self._has_answers or isinstance(outcome.error, _OF_THE_ACCOUNT))
        self._has_answers = self._has_answers or not kind
        if is_suspect and (not self._held or kind == outcome_of(self._held[0].columns)):
            self._held.append(outcome)
            return []
        released, self._held = self._held, []
        if is_suspect:
            self._held.append(outcome)
            return released
        return [*released, outcome]

    def rest(self, report: BatchReport) -> list[Outcome]:
        """Return the outcomes held back at the end of the input. Raises `BatchStoppedError` if that is the reason of the end."""
        if not self.is_sure:
            return self._held
        error = self._held[0].error
        rows = "the first" if not self._has_answers else "the last"
        stopped = BatchStoppedError(
            f"stopped: {rows} {_ALIKE} rows all failed with {type(error).__name__}: {error}. They were not written;"
            " run it again when the cause is mended"
        )
        stopped.report = report
        raise stopped
