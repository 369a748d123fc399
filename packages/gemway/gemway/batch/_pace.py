"""Decide when the next call of a batch may start. Pure: clock and random source are arguments.

The limits of a gateway are unknown and change, so a batch finds them out, separately for three things:

    limit   calls in flight: doubled, later increased step by step, while that helps; cut if calls fail or slow down
    rate    calls per second: none until calls are refused (429), then a little below the rate that was answered
    pause   none may start: a `Retry-After` of one call holds all; after an outage one call probes, then all go on

Refusals are judged over windows of at least a second, against the share that is usual: a gateway that refuses one call in
twenty whatever the load would otherwise bring the batch to a halt. The first time that more are refused, a trial at a lower
rate shows whether the load is the cause. If it is not, that share is the usual one from then on, and the rate is free again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import sqrt
from random import Random
from statistics import median
from typing import Literal, TypeAlias

Signal: TypeAlias = Literal["ok", "refused", "trouble"]
"""How a call ended, as the gateway's load is concerned: answered at all, 429, or 5xx, no connection, no answer."""

START, MOST = 8, 512
"""Calls in flight of an adaptive batch: at the beginning, and at most."""

# Seconds. Gateways count calls per second or per minute, so a shorter window would mostly show how their clock ticks.
_WINDOW, _LONGEST_WINDOW, _LONGEST_TRIAL = 1.0, 10.0, 30.0
_ENOUGH = 20  # calls in a window: with fewer, one refusal more or less would decide
_CERTAIN = 0.3  # nobody refuses a larger share of all calls at random
_SIGMAS = 4.0  # a window is judged every second, so three would be reached by chance every few minutes
_MEMORY = 500  # calls over which the usual share of refusals is averaged
_BELOW_LIMIT, _ON_TRIAL = 0.97, 0.7  # shares of the accepted rate: to stay at; surely below what the gateway allows

# TCP's way: double in slow start (RFC 5681), then grow in small steps, and cut by a factor when calls fail. The factor is
# that of CUBIC (RFC 9438), not the half of older TCP: a batch shares the gateway with few others and need not make room.
_CUT_ON_TROUBLE = 0.7
_STEP_OF_LIMIT = 0.05
# Rising latency is the earlier and weaker sign (TCP Vegas): cut less, and never below the level at the beginning.
_CUT_ON_LATENCY = 0.9

_FIRST_TEST = 60.0  # seconds until a usual share of refusals is tested again; twice as long after each test
_SLOWEST = 0.05  # calls a second
# Seconds by which a start may be late and still be made up for. In a simulation of a busy machine, where timers fire 40 ms
# late on average, 0.07 reaches 33 of 40 calls a second and 0.05 only 30. With more than that, starts come in bursts, and a
# gateway with Retry-After holds the batch more often (test_pace.py).
_LATE = 0.07
_PLATEAU = 15.0  # seconds at a rate that works before more is tried: each try costs a few refusals
_FAILURES_OF_AN_OUTAGE = 5.0
_LONGEST_PROBE_WAIT = 30.0
_TOKEN_SECONDS = 5.0  # tokens that were not used are kept for so long


@dataclass
class Ticket:
    """One call that was started."""

    started: float
    tokens: float = 0.0
    is_probe: bool = False


@dataclass
class _Window:
    """How the calls ended that started within one window."""

    began: float
    ok: int = 0
    refused: int = 0
    trouble: int = 0
    started: int = 0
    most_in_flight: int = 0
    durations: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.ok + self.refused + self.trouble


@dataclass(frozen=True)
class _Trial:
    """A cut of the rate that has to show that it helps.

    Attributes:
        refused: the share of refusals before it.
        settled: the rate to go on with if it helps.
        is_first: whether the load is only suspected; later cuts are known to help and are checked in passing.
    """

    refused: float
    settled: float
    is_first: bool


@dataclass
class Pace:
    """How fast a batch may go.

    Attributes:
        most: calls in flight at most.
        limit: calls in flight now.
        rate: calls per second, or None while there is no reason to limit them.
        requests_per_minute, tokens_per_minute: ceilings of the user's.
        in_flight: calls that have started and not ended.
        held_until: when a hint of the gateway ends.
        outage_since: when the gateway stopped answering, or None.
        failing_since: when the first of the latest failures came, or None if the last call was answered.
        has_answered: whether any call was.
    """

    now: float
    random: Random
    concurrency: int | Literal["adaptive"] = "adaptive"
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    rate: float | None = None
    in_flight: int = 0
    held_until: float = 0.0
    outage_since: float | None = None
    _usual: float = 0.0
    _trial: _Trial | None = None
    _cuts_help: bool = False
    _tested_at: float = 0.0
    _test_wait: float = _FIRST_TEST
    _top: float = 0.0
    _is_slow_start: bool = True
    _next_start: float = 0.0
    _cut_at: float = float("-inf")
    _raises: int = 0
    _baseline: float | None = None
    _failures: float = 0.0
    _probe_at: float = 0.0
    _probe_wait: float = 0.0
    _is_probing: bool = False
    _mean_tokens: float = 0.0

    def __post_init__(self) -> None:
        self.most = MOST if self.concurrency == "adaptive" else self.concurrency
        self.limit = float(START if self.concurrency == "adaptive" else self.concurrency)
        self.failing_since: float | None = None
        self.has_answered = False
        self._window = _Window(self.now)
        self._starts: deque[float] = deque(maxlen=MOST)  # when the latest calls started
        self._tokens = (self.tokens_per_minute or 0.0) / 60 * _TOKEN_SECONDS
        self._tokens_at = self.now

    # Before a call

    def delay(self, now: float) -> float | None:
        """Return the seconds until the next call may start, or None: not before one has ended."""
        if self.outage_since is not None:
            return None if self._is_probing else max(0.0, self._probe_at - now, self.held_until - now)
        if self.in_flight >= int(self.limit):
            return None
        return max(0.0, self.held_until - now, self._next_start - now, self._seconds_to_next_tokens(now))

    def start(self, now: float) -> Ticket:
        """Note that a call starts."""
        per_minute = self.requests_per_minute
        rates = [rate for rate in (self.rate, per_minute / 60 if per_minute else None) if rate]
        if rates:
            # Timers fire a little late; what they miss is made up for.
            self._next_start = max(self._next_start, now - _LATE) + 1 / min(rates)
        self.in_flight += 1
        self._starts.append(now)
        self._window.started += 1
        self._window.most_in_flight = max(self._window.most_in_flight, self.in_flight)
        self._is_probing = self.outage_since is not None
        self._tokens -= self._mean_tokens
        return Ticket(now, self._mean_tokens, self._is_probing)

    def _seconds_to_next_tokens(self, now: float) -> float:
        if self.tokens_per_minute is None:
            return 0.0
        if not self._mean_tokens and self.in_flight:
            return _WINDOW  # the first call shows how many tokens one takes
        per_second = self.tokens_per_minute / 60
        self._tokens = min(self._tokens + (now - self._tokens_at) * per_second, per_second * _TOKEN_SECONDS)
        self._tokens_at = now
        return max(0.0, -self._tokens / per_second)

    # After a call

    def end(
        self, ticket: Ticket, now: float, signal: Signal, *, retry_after: float | None = None, tokens: int = 0
    ) -> None:
        """Note how a call ended."""
        self.in_flight -= 1
        self._tokens -= tokens - ticket.tokens
        if signal == "ok":
            self._note_answered_call(tokens)
        else:
            self.failing_since = now if self.failing_since is None else self.failing_since
            # 429s alone rarely mean that nobody is at home, so many of them count as one failure.
            self._failures += 1.0 if signal == "trouble" else 0.1
        if retry_after is not None:
            self.held_until = max(self.held_until, now + retry_after)
        if self.outage_since is not None or self._failures >= max(_FAILURES_OF_AN_OUTAGE, 0.5 * self.limit):
            self._end_call_in_outage(ticket, now, signal)
        elif ticket.started >= self._window.began:
            self._count_ended_call(ticket, now, signal)
            if signal == "refused" and retry_after is not None:
                self._slow_down_at_hint(now)
            else:
                self._judge_window(now)

    def _note_answered_call(self, tokens: int) -> None:
        self._failures, self.failing_since, self.has_answered = 0.0, None, True
        if tokens:
            self._mean_tokens = tokens if not self._mean_tokens else 0.95 * self._mean_tokens + 0.05 * tokens

    def _end_call_in_outage(self, ticket: Ticket, now: float, signal: Signal) -> None:
        """Pause, and let one call after the other probe until one is answered."""
        if self.outage_since is None:
            self.outage_since = now
            self._probe_wait = 0.5
        elif not ticket.is_probe:
            return  # it was in flight when the outage began
        self._is_probing = False
        if signal == "ok":
            self.outage_since = None
            self.limit = max(1.0, min(self.limit / 2, START))
            self._is_slow_start = True
            self._window = _Window(now)
            return
        self._probe_wait = min(_LONGEST_PROBE_WAIT, self._probe_wait * 2)
        self._probe_at = now + self._probe_wait * self.random.uniform(0.8, 1.0)

    def _count_ended_call(self, ticket: Ticket, now: float, signal: Signal) -> None:
        window = self._window
        if signal == "ok":
            window.ok += 1
            window.durations.append(now - ticket.started)
        elif signal == "refused":
            window.refused += 1
        else:
            window.trouble += 1

    def _slow_down_at_hint(self, now: float) -> None:
        """Slow down at once: a gateway that names a time counts calls. A few calls do not show how many it allows."""
        if self.rate is not None or self._window.started >= _ENOUGH:
            self._cut_rate(now)
            self._cut_at += _PLATEAU  # a refusal that holds all calls is dear: feel for more half as often
        else:
            self._window = _Window(max(now, self.held_until))

    def _judge_window(self, now: float) -> None:
        """At the end of a window, adjust rate and limit to how its calls ended."""
        window = self._window
        if window.refused >= 8 and window.refused > _CERTAIN * window.started and now - self._cut_at >= _WINDOW:
            self.held_until = max(self.held_until, now + _WINDOW)  # until the gateway counts anew
            self._cut_rate(now)
        elif not self._is_window_over(window, now):
            return
        elif self._trial is not None:
            self._end_trial(self._trial, now)
        elif window.refused > self._usual * window.total + _SIGMAS * sqrt(max(self._usual, 0.01) * window.total):
            self._cut_rate_on_trial(window.refused / window.total, now)
        elif self._usual and self.rate is None and now - self._tested_at > self._test_wait:
            self._cut_rate_on_trial(self._usual, now)
        else:
            if self.rate is None:  # refusals while feeling for the limit are not the usual ones
                self._usual += (window.refused - self._usual * window.total) / (window.total + _MEMORY)
            self._raise_rate(now, window.started / (now - window.began))
            self._adjust_limit(window)
            self._window = _Window(now)

    def _is_window_over(self, window: _Window, now: float) -> bool:
        """Whether *window* is long enough, and holds enough calls; more on trial, fewer where calls are few."""
        seconds, trial = now - window.began, self._trial
        if trial is not None:
            enough = max(2 * _ENOUGH, 5 / trial.refused) if trial.is_first else 2 * _ENOUGH
            return seconds >= _WINDOW and (window.total >= enough or seconds >= _LONGEST_TRIAL)
        enough = min(_ENOUGH, 5 * self.limit, max(3.0, self.rate or _ENOUGH))
        return seconds >= _WINDOW and (window.total >= enough or seconds >= _LONGEST_WINDOW)

    def _cut_rate_on_trial(self, refused: float, now: float) -> None:
        """Send fewer calls, and see whether a smaller share of them is refused."""
        is_first = not self._cuts_help
        self._cut_rate(now)
        assert self.rate is not None  # noqa: S101 - it was cut
        self._trial = _Trial(refused, self.rate, is_first)
        if is_first:
            self.rate *= _ON_TRIAL

    def _cut_rate(self, now: float) -> None:
        """Send a little less than was accepted."""
        window, seconds = self._window, now - self._window.began
        if seconds >= _WINDOW:
            sent = window.started / seconds
        else:
            sent = sum(start > now - _WINDOW for start in self._starts)
            # Few calls show only that there were too many.
            sent = self.rate if self.rate is not None and sent < _ENOUGH else sent
        # Of all that a window starts, not of all that ended: refusals come back faster than answers.
        accepted = max(0.5, 1 - window.refused / max(window.started, sent * _WINDOW))
        self._top, self._cut_at, self._raises = sent, now, 0
        self.rate = max(_BELOW_LIMIT * accepted * sent, _SLOWEST)
        self._next_start = max(self._next_start, now, self.held_until) + 1 / self.rate
        self._window = _Window(max(now, self.held_until))
        self._is_slow_start, self._trial, self._cuts_help = False, None, True

    def _end_trial(self, trial: _Trial, now: float) -> None:
        """If fewer calls were not refused less often, the load is not the cause: take the cut back."""
        window = self._window
        refused = window.refused / window.total
        self._trial, self._window = None, _Window(now)
        if not trial.is_first:
            self._cuts_help = refused <= 0.5 * trial.refused  # if it does not, the next cut is on trial
        elif refused <= 0.3 * trial.refused:
            self.rate, self._cut_at = trial.settled, now
        else:
            self.rate, self._cuts_help = None, False
            self._usual = max(self._usual, (refused + trial.refused) / 2)
            self._tested_at, self._test_wait = now, 2 * self._test_wait

    def _raise_rate(self, now: float, sent: float) -> None:
        """Climb back to just below where calls were refused, stay for a while, then feel for more.

        A rate that limits nothing is forgotten.
        """
        if self.rate is None:
            return
        if self.rate > 2 * max(1.0, sent):
            self.rate = None
        elif self.rate < 0.85 * self._top:
            self.rate *= 1.1
        elif now - self._cut_at >= _PLATEAU:
            self.rate *= 1 + 0.02 * 2 ** (self._raises // 10)
            self._raises += 1

    def _adjust_limit(self, window: _Window) -> None:
        if window.trouble >= 3 and window.trouble > 0.15 * window.total:
            self.limit = max(1.0, _CUT_ON_TROUBLE * self.limit)
            self._is_slow_start = False
            return
        if not window.durations:
            return
        latency = median(window.durations)  # a mean would take one call that hangs for a busy gateway
        # The baseline rises slowly: models and prompts change, and then twice as long is the new normal.
        self._baseline = latency if self._baseline is None else min(latency, 1.02 * self._baseline)
        if self.concurrency == "adaptive" and latency > 2 * self._baseline + 0.05:
            self.limit = max(min(self.limit, START), _CUT_ON_LATENCY * self.limit)
            self._is_slow_start = False
        elif window.most_in_flight >= int(0.9 * self.limit):
            step = self.limit if self._is_slow_start else max(1.0, _STEP_OF_LIMIT * self.limit)
            self.limit = min(float(self.most), self.limit + step)
