"""How fast a batch goes: a gateway is simulated, second by second, without waiting for it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

import pytest
from gemway.batch._pace import Pace, Signal

Answer = tuple[Signal, float, float | None]
"""How a call ends, after how many seconds, and the hint that the gateway gives."""


def simulate(
    gateway: Callable[[float, Pace, Random], Answer],
    seconds: float,
    concurrency: int | str = "adaptive",
    *,
    lag: float = 0.0,
    **options: float,
) -> tuple[Pace, list[tuple[float, Signal]]]:
    """Let a batch call *gateway* for some *seconds*; return its pace, and when calls ended and how.

    lag: seconds by which timers fire late on average.
    """
    dice, lateness = Random(7), Random(8)
    pace = Pace(0.0, dice, concurrency, **options)
    now, running, ended = 0.0, [], []
    while now < seconds:
        delay = pace.delay(now)
        if delay == 0:
            signal, duration, hint = gateway(now, pace, dice)
            heapq.heappush(running, (now + duration, len(running) + len(ended), pace.start(now), signal, hint))
        elif delay is not None and (not running or now + delay < running[0][0]):
            now += delay + (lateness.expovariate(1 / lag) if lag else 1e-9)
        else:
            end, _, ticket, signal, hint = heapq.heappop(running)
            now = max(now, end)
            pace.end(ticket, now, signal, retry_after=hint, tokens=100)
            ended.append((now, signal))
    return pace, ended


def limited(rate: Callable[[float], float], latency: float, hint: float | None = None):
    """A gateway that allows some calls in each sliding second, and refuses the others at once."""
    allowed: list[float] = []

    def answer(now: float, pace: Pace, dice: Random) -> Answer:
        while allowed and allowed[0] <= now - 1:
            allowed.pop(0)
        if len(allowed) >= rate(now):
            return "refused", 0.01, hint
        allowed.append(now)
        return "ok", latency * dice.uniform(0.7, 1.5), None

    return answer


def between(ended: list[tuple[float, Signal]], begin: float, end: float) -> tuple[float, float]:
    """Return answers per second, and the share of refused calls."""
    signals = [signal for time, signal in ended if begin <= time < end]
    return signals.count("ok") / (end - begin), signals.count("refused") / len(signals)


@pytest.mark.parametrize("concurrency", ["adaptive", 64])
@pytest.mark.parametrize("latency", [0.02, 0.2, 1.5])
@pytest.mark.parametrize("hint", [None, 1.0], ids=["bare", "with Retry-After"])
def test_a_limited_gateway_is_used_and_not_bothered(concurrency, latency, hint):
    """Within a minute a gateway with 40 calls a second is used at 36 to 40, with under 3 % of refusals."""
    _, ended = simulate(limited(lambda now: 40, latency, hint), 120, concurrency)

    rate, refused = between(ended, 60, 120)
    assert 36 <= rate <= 40 or (concurrency, latency, hint) == (64, 1.5, 1.0)  # 64 calls of 1.6 seconds are 39 a second
    assert rate >= 34
    assert refused < 0.03


def test_late_timers_are_made_up_for():
    """On a busy machine, where timers fire 40 ms late on average, a limited gateway is still used."""
    _, ended = simulate(limited(lambda now: 40, 0.2), 120, lag=0.04)

    rate, refused = between(ended, 60, 120)
    assert rate > 31
    assert refused < 0.03


@pytest.mark.parametrize("hint", [None, 1.0], ids=["bare", "with Retry-After"])
def test_a_halved_limit_is_followed(hint):
    """When the gateway allows half as many calls, the batch slows down within seconds."""
    _, ended = simulate(limited(lambda now: 40 if now < 60 else 20, 0.2, hint), 120)

    rate, refused = between(ended, 70, 120)
    assert 17 < rate <= 20
    assert refused < 0.03


def test_a_doubled_limit_is_found():
    """When the gateway allows more again, the batch finds out."""
    _, ended = simulate(limited(lambda now: 20 if now < 40 else 40, 0.2), 120)

    assert between(ended, 90, 120)[0] > 34


@pytest.mark.parametrize("concurrency", [16, 64])
def test_refusals_at_random_do_not_slow_a_batch_down(concurrency):
    """A gateway that fails in 8.5 % of all calls whatever the load is used nearly as much as one that does not, for minutes."""

    def answer(now: float, pace: Pace, dice: Random) -> Answer:
        fate = dice.random()
        if fate < 0.05:
            return "refused", 0.01, None
        if fate < 0.085:
            return "trouble", 0.01, None
        return "ok", 0.1 * dice.uniform(0.7, 1.5), None

    _, ended = simulate(answer, 240, concurrency)

    for begin in range(0, 240, 40):
        assert between(ended, begin, begin + 40)[0] > 0.85 * concurrency / 0.11


def test_calls_that_hang_do_not_slow_a_batch_down():
    """An adaptive batch judges by the usual latency: one call in 50 that hangs is no sign for the others."""

    def answer(now: float, pace: Pace, dice: Random) -> Answer:
        return "ok", 10.0 if dice.random() < 0.02 else 0.1, None

    pace, _ = simulate(answer, 60)

    assert pace.limit > 256


def test_a_level_that_the_user_has_set_is_kept():
    """With a number of calls in flight, rising latency is the user's choice: a busy server takes long, and works all the time."""
    pace, _ = simulate(lambda now, pace, dice: ("ok", 0.02 * max(1, pace.in_flight), None), 60, 64)

    assert pace.limit == 64


def test_an_adaptive_batch_grows():
    """A gateway that bears everything is given everything."""
    pace, _ = simulate(lambda now, pace, dice: ("ok", 0.5, None), 20)

    assert pace.limit == 512


def test_rising_latency_is_heard():
    """A server that works on eight calls at a time is not sent hundreds."""
    pace, _ = simulate(lambda now, pace, dice: ("ok", 0.2 * max(1, pace.in_flight / 8), None), 60)

    assert pace.limit < 64


def test_one_hint_holds_all():
    """After one 429 with Retry-After no call starts until then."""
    pace = Pace(0.0, Random(1), 4)
    ticket, other = pace.start(0.0), pace.start(0.0)

    pace.end(ticket, 1.0, "refused", retry_after=7.0)
    pace.end(other, 1.5, "ok")

    assert pace.delay(2.0) >= 6.0
    assert pace.delay(10.0) == 0.0


def test_an_outage_is_probed_by_one_call_at_a_time():
    """While nothing answers, single calls probe in growing intervals; one answer lets all others go on."""
    starts: list[float] = []

    def answer(now: float, pace: Pace, dice: Random) -> Answer:
        if 5 <= now < 35:
            starts.append(now)
            return "trouble", 0.01, None
        return "ok", 0.1, None

    _, ended = simulate(answer, 80, 64)

    probes = [time for time in starts if time > 6]
    assert len(starts) <= 64 + 32 + 8
    assert 3 <= len(probes) <= 7
    assert between(ended, 60, 80)[0] > 500


def test_ceilings_are_kept():
    """Requests and tokens per minute are never exceeded by more than a few seconds' worth."""
    _, ended = simulate(lambda now, pace, dice: ("ok", 0.1, None), 60, requests_per_minute=300)
    _, paced = simulate(lambda now, pace, dice: ("ok", 0.1, None), 60, tokens_per_minute=12_000)

    assert 280 <= len(ended) <= 301
    assert 100 <= len(paced) <= 135  # of 100 tokens each
