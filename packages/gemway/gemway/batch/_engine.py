"""Keep as many calls of a batch in flight as its pace allows, and hand on what becomes of each row."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gemway import APIError, GemwayError
from gemway.batch._calls import Outcome, may_repeat, to_error, to_signal
from gemway.batch._options import BatchOptions
from gemway.batch._pace import Pace, Ticket
from gemway.batch._report import BatchReport, duration
from gemway.batch._rows import Row

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
_LONGEST_HINT: Final = 300.0
"""Seconds: if the gateway asks for a longer wait, the row has failed."""
_FIRST_PATIENCE: Final = 20.0
"""Seconds that a gateway may be out of reach before it has ever answered: it is probably the wrong address."""
_MOST_SKIPPED = 1000
_MOST_FED = 100
_MOST_EARLY = 500


class BatchStoppedError(GemwayError):
    """The batch stopped, because the next rows would have failed like the last ones. Run it again to go on.

    Attributes:
        report: what had been done.
    """

    report: BatchReport


@dataclass
class _Call:
    """A row to ask for, and how often it has failed."""

    row: Row
    failures: int = 0


class Engine:
    """Asks for rows, repeating what may be repeated.

    Args:
        rows: the rows; None for one that is to be skipped, so that skipping many does not block the event loop.
        ask: sends one row.
        pace: how fast.
        report: what is counted: `calls` and `in_flight`.
        options: `max_retries` and `patience`.
        in_order: hand rows on in their order; at most a few hundred wait for an earlier one.
    """

    def __init__(
        self,
        rows: Iterator[Row | None] | AsyncIterator[Row | None],
        ask: Callable[[Row], Awaitable[Outcome]],
        pace: Pace,
        report: BatchReport,
        options: BatchOptions,
        *,
        in_order: bool = False,
    ) -> None:
        self._rows = rows
        self._ask = ask
        self._pace = pace
        self._report = report
        self._options = options
        self._open: deque[int] | None = deque() if in_order else None  # numbers of rows that were not handed on
        self._early: dict[int, Outcome] = {}  # what ended before an earlier row
        self._again: list[tuple[float, int, _Call]] = []  # a heap: when, in which order, what
        self._order = itertools.count()
        self._ended: deque[tuple[_Call, Ticket, Outcome]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._fed: deque[Row | None] = deque()
        self._is_exhausted = False
        self._is_stopped = False
        self._failure: Exception | None = None
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._now = asyncio.get_running_loop().time

    def stop(self) -> None:
        """Start no more calls. Those in flight are finished and handed on."""
        self._is_stopped = True
        self._wake.set()

    async def outcomes(self) -> AsyncGenerator[list[Outcome], None]:
        """Yield what became of the rows, in the order of arrival: all together that ended while the last ones were handled.

        Raises what reading the rows raises, after all calls in flight have ended, and `BatchStoppedError` if the gateway is
        out of reach for too long.
        """
        if isinstance(self._rows, AsyncIterator):
            self._start_task(self._feed(self._rows))
        try:
            while True:
                seconds = self._start_calls()
                if not self._pace.in_flight and (self._is_stopped or (self._is_exhausted and not self._again)):
                    break
                await self._sleep(seconds)
                outcomes: list[Outcome] = []
                while self._ended:
                    outcomes += self._next_outcomes(self._take(*self._ended.popleft()))
                if outcomes:
                    yield outcomes
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    def _next_outcomes(self, outcome: Outcome | None) -> list[Outcome]:
        """Return what can be handed on now that a call has ended."""
        if outcome is None:
            return []
        if self._open is None:
            return [outcome]
        self._early[outcome.row.number] = outcome
        outcomes = []
        while self._open and self._open[0] in self._early:
            outcomes.append(self._early.pop(self._open.popleft()))
        return outcomes

    async def _sleep(self, seconds: float | None) -> None:
        """Wait until a call has ended, or the next one may start."""
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()

    # Before a call

    def _start_calls(self) -> float | None:
        """Start what may start. Return the seconds until more may, or None: not before a call has ended."""
        while not self._is_stopped:
            now = self._now()
            seconds = self._pace.delay(now)
            if seconds is None or seconds > 0:
                return seconds
            call = self._next_call(now)
            if call is None:
                return self._seconds_to_next_call(now)
            self._report.calls += 1
            self._report.in_flight = self._pace.in_flight + 1
            self._start_task(self._call(call, self._pace.start(now)))
        return None

    def _next_call(self, now: float) -> _Call | None:
        if self._again and self._again[0][0] <= now:
            return heapq.heappop(self._again)[2]
        # Where every row fails, the rows to ask again must not pile up.
        if len(self._again) > 2 * self._pace.limit or len(self._early) > _MOST_EARLY:
            return None
        row = self._next_row()
        if row is None:
            return None
        if self._open is not None:
            self._open.append(row.number)
        return _Call(row)

    def _next_row(self) -> Row | None:
        """Return the next row, or None if there is none now."""
        row = None
        for _ in range(_MOST_SKIPPED):
            try:
                row = self._fed.popleft() if isinstance(self._rows, AsyncIterator) else next(self._rows)
            except IndexError:
                self._room.set()
                break
            except StopIteration:
                self._is_exhausted = True
                break
            except Exception as error:  # noqa: BLE001 - the user's own iterable may raise anything; raised at the end
                self._fail(error)
                break
            if row is not None:
                break
        return row

    def _seconds_to_next_call(self, now: float) -> float | None:
        if self._again:
            return max(0.0, self._again[0][0] - now)
        is_waiting = self._is_exhausted or isinstance(self._rows, AsyncIterator) or len(self._early) > _MOST_EARLY
        return None if is_waiting else 0.0

    async def _feed(self, rows: AsyncIterator[Row | None]) -> None:
        """Read a few rows ahead."""
        try:
            async for row in rows:
                self._fed.append(row)
                self._wake.set()
                if len(self._fed) >= _MOST_FED:
                    self._room.clear()
                    await self._room.wait()
            while self._fed:
                self._room.clear()
                await self._room.wait()
            self._is_exhausted = True
            self._wake.set()
        except Exception as error:  # noqa: BLE001 - as in _next_row
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self.stop()

    def _start_task(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, call: _Call, ticket: Ticket) -> None:
        try:
            outcome = await self._ask(call.row)
        except Exception as error:  # noqa: BLE001 - whatever happens to a row is the row's, and loses no other one
            outcome = to_error(call.row, error.with_traceback(None))
        self._ended.append((call, ticket, outcome))
        self._wake.set()

    # After a call

    def _take(self, call: _Call, ticket: Ticket, outcome: Outcome) -> Outcome | None:
        """Return what became of a call, or None if its row will be asked again."""
        now, error, pace = self._now(), outcome.error, self._pace
        hint = error.retry_after if isinstance(error, APIError) and error.is_retryable else None
        is_too_long = hint is not None and hint > _LONGEST_HINT
        is_outage = pace.outage_since is not None
        pace.end(
            ticket,
            now,
            to_signal(error),
            retry_after=None if is_too_long else hint,
            tokens=(outcome.columns.get("usage") or {}).get("total_tokens", 0),
        )
        self._report.in_flight = pace.in_flight
        if error is None or is_too_long or not may_repeat(call.row, error) or self._options.max_retries == 0:
            return outcome
        self._check_patience(error, now)
        if to_signal(error) == "trouble" and not is_outage and pace.outage_since is None:
            call.failures += 1
        if call.failures > self._options.max_retries:
            return outcome
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**call.failures) * pace.random.uniform(0.5, 1.0)
        heapq.heappush(self._again, (now + max(wait, hint or 0.0), next(self._order), call))
        return None

    def _check_patience(self, error: Exception, now: float) -> None:
        """Raise if the gateway has answered nothing for too long."""
        since = self._pace.failing_since
        patience = self._options.patience if self._pace.has_answered else min(self._options.patience, _FIRST_PATIENCE)
        if since is not None and now - since > patience:
            raise BatchStoppedError(
                f"stopped: the gateway has answered nothing for {duration(now - since)}, last with"
                f" {type(error).__name__}: {error}"
            )
