"""Keep as many calls of a batch in flight as its pace allows, and hand on how each row ended.

The way of a row: `_start_calls` takes it from the input, `_send_call` sends it in a task, `outcomes` wakes up and lets
`_handle_ended_call` decide whether it has ended or is asked again.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from typing import Final

from gemway import APIError, GemwayError
from gemway.batch._calls import Outcome, RowSender, is_text_to_embed, may_repeat, to_error, to_signal
from gemway.batch._options import BatchOptions
from gemway.batch._pace import Pace, Ticket
from gemway.batch._report import BatchReport, duration
from gemway.batch._rows import Row

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
_LONGEST_HINT: Final = 300.0
"""Seconds: if the gateway asks for a longer wait, the row has failed."""
_FIRST_PATIENCE: Final = 20.0
"""Seconds that a gateway may be out of reach before it has ever answered: it is probably the wrong address."""
# Rows that were answered earlier are skipped this many at a time, so that calls in flight are not kept waiting.
_MOST_SKIPPED = 1000
_MOST_READ_AHEAD = 100
_MOST_EARLY = 500


class BatchStoppedError(GemwayError):
    """The batch stopped, because the next rows would have failed like the last ones. Run it again to go on.

    Attributes:
        report: the figures up to then.
    """

    report: BatchReport


@dataclass
class _Call:
    """A request for one row, or for several texts to embed, and how often it has failed."""

    rows: list[Row]
    failures: int = 0


class Engine:
    """Asks for rows, repeating what may be repeated.

    Args:
        rows: the rows; None for one that is to be skipped, so that skipping many does not block the event loop.
        sender: sends one request.
        pace: how fast.
        report: counts `calls` and `in_flight`.
        options: `max_retries` and `patience`.
        in_order: hand rows on in their order; at most a few hundred wait for an earlier one.
    """

    def __init__(
        self,
        rows: Iterator[Row | None] | AsyncIterator[Row | None],
        sender: RowSender,
        pace: Pace,
        report: BatchReport,
        options: BatchOptions,
        *,
        in_order: bool = False,
    ) -> None:
        self._rows = rows
        self._sender = sender
        self._pace = pace
        self._report = report
        self._options = options
        self._open: deque[int] | None = deque() if in_order else None  # numbers of rows that were not handed on
        self._early: dict[int, Outcome] = {}  # rows that ended before an earlier one
        self._again: list[tuple[float, int, _Call]] = []  # a heap: when, in which order, what
        self._order = itertools.count()
        self._ended: deque[tuple[_Call, Ticket, list[Outcome]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._read_ahead: deque[Row | None] = deque()
        self._set_back: Row | None = None  # a row that did not fit into the request before it
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
        """Yield how the rows ended, in the order of arrival: all together that ended while the last ones were handled.

        Raises the exception that reading the rows raised, after all calls in flight have ended, and `BatchStoppedError` if the
        gateway is out of reach for too long.
        """
        if isinstance(self._rows, AsyncIterator):
            self._start_task(self._keep_reading(self._rows))
        try:
            while True:
                seconds = self._start_calls()
                if not self._pace.in_flight and (self._is_stopped or not self._has_more_calls()):
                    break
                await self._wait_for_end_of_call(seconds)
                outcomes: list[Outcome] = []
                while self._ended:
                    outcomes += self._handle_ended_call(*self._ended.popleft())
                if self._open is not None:
                    outcomes = self._put_in_order(self._open, outcomes)
                if outcomes:
                    yield outcomes
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    def _has_more_calls(self) -> bool:
        return bool(self._again) or self._set_back is not None or not self._is_exhausted

    async def _wait_for_end_of_call(self, seconds: float | None) -> None:
        """Wait until a call has ended, or the next one may start."""
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()

    # Before a call

    def _start_calls(self) -> float | None:
        """Start as many calls as may start. Return the seconds until more may, or None: not before a call has ended."""
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
            self._start_task(self._send_call(call, self._pace.start(now)))
        return None

    def _next_call(self, now: float) -> _Call | None:
        """Return the next call, or None if there is none now."""
        if self._again and self._again[0][0] <= now:
            return heapq.heappop(self._again)[2]
        # Where every row fails, the rows to ask again must not pile up.
        if len(self._again) > 2 * self._pace.limit or len(self._early) > _MOST_EARLY:
            return None
        row = self._next_row()
        if row is None:
            return None
        rows = [row]
        while self._sender.has_room(rows) and (following := self._next_row()) is not None:
            if not is_text_to_embed(following):
                self._set_back = following
                break
            rows.append(following)
        if self._open is not None:
            self._open += [row.number for row in rows]
        return _Call(rows)

    def _next_row(self) -> Row | None:
        """Return the next row, or None if there is none now."""
        if self._set_back is not None:
            set_back, self._set_back = self._set_back, None
            return set_back
        for _ in range(_MOST_SKIPPED):
            try:
                row = self._read_ahead.popleft() if isinstance(self._rows, AsyncIterator) else next(self._rows)
            except IndexError:
                self._room.set()
                return None
            except StopIteration:
                self._is_exhausted = True
                return None
            except Exception as error:  # noqa: BLE001 - the user's own iterable may raise anything; raised at the end
                self._stop_with(error)
                return None
            if row is not None:
                return row
        return None

    def _seconds_to_next_call(self, now: float) -> float | None:
        if self._again:
            return max(0.0, self._again[0][0] - now)
        is_waiting = self._is_exhausted or isinstance(self._rows, AsyncIterator) or len(self._early) > _MOST_EARLY
        return None if is_waiting else 0.0

    async def _keep_reading(self, rows: AsyncIterator[Row | None]) -> None:
        """Read a few rows ahead."""
        try:
            async for row in rows:
                self._read_ahead.append(row)
                self._wake.set()
                if len(self._read_ahead) >= _MOST_READ_AHEAD:
                    self._room.clear()
                    await self._room.wait()
            while self._read_ahead:
                self._room.clear()
                await self._room.wait()
            self._is_exhausted = True
            self._wake.set()
        except Exception as error:  # noqa: BLE001 - as in _next_row
            self._stop_with(error)

    def _stop_with(self, error: Exception) -> None:
        self._failure = error
        self.stop()

    def _start_task(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def _send_call(self, call: _Call, ticket: Ticket) -> None:
        try:
            outcomes = await self._sender.send(call.rows)
        except Exception as error:  # noqa: BLE001 - an error is the row's own and must not stop the others
            # Without its traceback: the frames of a million errors would fill the memory, and they hold the request.
            error = error.with_traceback(None)
            outcomes = [to_error(row, error) for row in call.rows]
        self._ended.append((call, ticket, outcomes))
        self._wake.set()
        self._tasks.discard(asyncio.current_task())

    # After a call

    def _handle_ended_call(self, call: _Call, ticket: Ticket, outcomes: list[Outcome]) -> list[Outcome]:
        """Return the rows that have ended, and see to it that the others are asked again."""
        now, pace = self._now(), self._pace
        error = next((outcome.error for outcome in outcomes if outcome.error is not None), None)
        hint = error.retry_after if isinstance(error, APIError) and error.is_retryable else None
        is_too_long = hint is not None and hint > _LONGEST_HINT
        was_outage = pace.outage_since is not None
        pace.end(
            ticket,
            now,
            to_signal(error),
            retry_after=None if is_too_long else hint,
            tokens=sum((outcome.columns.get("usage") or _NO_TOKENS)["total_tokens"] for outcome in outcomes),
        )
        self._report.in_flight = pace.in_flight
        if len(outcomes) < len(call.rows):
            self._ask_in_halves(call, outcomes, now)
        if error is None:
            return outcomes
        again = [outcome.row for outcome in outcomes if outcome.error and may_repeat(outcome.row, outcome.error)]
        if not again or is_too_long or self._options.max_retries == 0:
            return outcomes
        self._check_patience(error, now)
        # An outage is no fault of the row's: neither the calls that revealed it nor its probes are counted.
        is_counted = to_signal(error) == "trouble" and not was_outage and pace.outage_since is None
        failures = call.failures + is_counted
        if failures > self._options.max_retries:
            return outcomes
        # Twice as long after each failure, and not at the same moment as the others.
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**failures) * pace.random.uniform(0.5, 1.0)
        self._ask_again(_Call(again, failures), now + max(wait, hint or 0.0))
        return [outcome for outcome in outcomes if outcome.error is None]

    def _ask_in_halves(self, call: _Call, outcomes: list[Outcome], now: float) -> None:
        """Send the texts again that a request did not come to, so that one that spoils it soon stands alone."""
        ended = {outcome.row.number for outcome in outcomes}
        rows = [row for row in call.rows if row.number not in ended]
        middle = (len(rows) + 1) // 2
        for half in filter(None, (rows[:middle], rows[middle:])):
            self._ask_again(_Call(half, call.failures), now)

    def _ask_again(self, call: _Call, when: float) -> None:
        heapq.heappush(self._again, (when, next(self._order), call))

    def _put_in_order(self, numbers: deque[int], outcomes: list[Outcome]) -> list[Outcome]:
        """Hold back *outcomes* until all rows before them have ended; return those that may be handed on."""
        self._early.update((outcome.row.number, outcome) for outcome in outcomes)
        in_order = []
        while numbers and numbers[0] in self._early:
            in_order.append(self._early.pop(numbers.popleft()))
        return in_order

    def _check_patience(self, error: Exception, now: float) -> None:
        """Raise if the gateway has answered nothing for too long."""
        since = self._pace.failing_since
        patience = self._options.patience if self._pace.has_answered else min(self._options.patience, _FIRST_PATIENCE)
        if since is not None and now - since > patience:
            raise BatchStoppedError(
                f"stopped: the gateway has answered nothing for {duration(now - since)}, last with"
                f" {type(error).__name__}: {error}"
            )


_NO_TOKENS: Final = {"total_tokens": 0}
