"""Decide what follows a failed attempt. Pure: the clock, the time left and the random source are arguments.

Retries happen only before the first event of an answer was handed on; the shells see to that by
construction (`_open` in `_client.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from gemway._answer import Answer, Opened
from gemway._checks import Timeouts, to_timeouts
from gemway._config import CallOptions, Settings
from gemway._conversation import with_sentinels
from gemway._embeddings import EmbedRoute
from gemway._exceptions import MAX_HINT, APIConnectionError, APIError, APITimeoutError, AuthenticationError
from gemway._log import log_repetition
from gemway._protocol import (
    Call,
    is_missing_stream_route,
    is_signature_error,
    with_wire,
    without_stream,
)
from gemway.types import Exchange, GenerateContentResponse

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
# A picture may be done and billed although no answer came, so a request for one is repeated only where the work surely
# was not begun. These statuses say so: the request came too late, too early, or one too many.
_NOT_BEGUN = frozenset({408, 425, 429})
# These do in Google's words only. A bare 503 or 500 may be a proxy's that waited no longer (Varnish says 503; Apache, h2o
# and Node's http-proxy say 502; Cloudflare 520 to 524), while the model goes on.
_NOT_BEGUN_WORDS = frozenset({(503, "UNAVAILABLE"), (500, "INTERNAL")})


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how late a failed call is repeated.

    Args:
        max_retries: attempts after the first; 0 sends one request.
        retry_image_timeouts: repeat requests for pictures also where the work may have been begun, and be billed.
        max_hint: seconds; a server that asks for a longer wait gets no retry.
    """

    max_retries: int = 2
    retry_image_timeouts: bool = False
    max_hint: float = MAX_HINT

    def delay(
        self,
        attempt: int,
        error: APIError,
        *,
        makes_pictures: bool = False,
        remaining: float | None = None,
        random: Random,
    ) -> float | None:
        """Return the seconds to wait after failed *attempt* (1 is the first), or None to give up."""
        if attempt > self.max_retries or not error.is_retryable:
            return None
        if makes_pictures and not self.retry_image_timeouts and not _surely_not_begun(error):
            return None
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        hint = error.retry_after
        if hint is not None:
            if hint > self.max_hint:
                return None
            wait = max(wait, hint * random.uniform(1.0, 1.1))
        return None if remaining is not None and wait >= remaining else wait


def _surely_not_begun(error: APIError) -> bool:
    """Whether the gateway cannot have begun to work on the request that failed with *error*."""
    if isinstance(error, APIConnectionError):
        return not error.sent  # refused, TLS failed, no free connection
    if error.status_code in _NOT_BEGUN:
        return True
    # Google's own 503 may also mean that a deadline ran out on the way: DEADLINE_EXCEEDED in the words or details.
    ran_out = "deadline" in f"{error.message} {error.body}".lower()
    return (error.status_code, error.code) in _NOT_BEGUN_WORDS and not ran_out


class RetryBudget:
    """A bucket of tokens that keeps an outage from becoming a storm.

    Each retry takes a token (half of one where the server named the wait), each success gives a tenth back.
    When it is empty, failures are final. One bucket serves a process and base URL.
    """

    def __init__(self, capacity: float = 200.0, *, refill: float = 0.1) -> None:
        self.capacity = capacity
        self.tokens = capacity
        self._refill = refill

    def take(self, error: APIError) -> bool:
        """Take what one retry costs; False if too little is left."""
        cost = 0.5 if error.status_code == 429 and error.retry_after is not None else 1.0
        if self.tokens < cost - 1e-9:  # ten tenths are a little less than one
            return False
        self.tokens -= cost
        return True

    def give_back(self) -> None:
        """Note a success."""
        if self.tokens < self.capacity:
            self.tokens = min(self.capacity, self.tokens + self._refill)


@dataclass(frozen=True)
class RetryEvent:
    """What an `on_retry` hook is told before the wait.

    Attributes:
        attempt: the attempt that failed; 1 is the first.
        delay: seconds until the next one.
        error: why it failed.
    """

    attempt: int
    delay: float
    error: APIError


@dataclass
class Memory:
    """What a client has learnt about its gateway."""

    no_stream_route: bool = False
    embed_route: EmbedRoute | None = None


class Attempts:
    """The attempts of one call: what to send next, how long it may take, and when to give up.

    Attributes:
        call: what to send next.
        count: how many requests were sent.
        waited: seconds slept between them.
        expires: the moment at which an answer must be there, or None.
        has_timeouts: whether the user set timeouts (injected clients keep their own if not).
        refused_at: when the request was sent that was refused with a 401 and is to be sent with a new key, or None.
    """

    def __init__(  # noqa: PLR0913 - the circumstances of one call
        self,
        call: Call,
        options: CallOptions,
        settings: Settings,
        *,
        now: float,
        random: Random,
        memory: Memory,
        budget: RetryBudget | None = None,
        key_can_change: bool = False,
        on_retry: Callable[[RetryEvent], object] | None = None,
    ) -> None:
        self._asked_for_stream = call.streaming
        self.call = without_stream(call) if call.streaming and memory.no_stream_route else call
        self.headers = options.headers
        self.count = 0
        self.waited = 0.0
        self.refused_at: float | None = None
        self._sent_at = now
        retries = settings.max_retries if options.max_retries is None else options.max_retries
        self._settings = settings
        self._policy = RetryPolicy(retries, settings.retry_image_timeouts)
        deadline = settings.deadline if options.deadline is None else options.deadline
        self.expires = None if deadline is None else now + deadline
        timeout = settings.timeout if options.timeout is None else options.timeout
        self.has_timeouts = timeout is not None
        self._timeouts = to_timeouts(timeout, slow=call.slow)
        self._failures = 0
        self._random = random
        self._memory = memory
        self._budget = budget
        self._key_can_change = key_can_change
        self._on_retry = on_retry
        self._sentinels_sent = False

    def begin(self, now: float) -> Timeouts:
        """Count one more request and return how long it may take."""
        remaining = None if self.expires is None else self.expires - now
        if remaining is not None and remaining <= 0:
            raise self._noted(_deadline_error())
        self.count += 1
        self._sent_at = now
        if remaining is None:
            return self._timeouts
        connect, read, write = self._timeouts
        return Timeouts(min(connect, remaining), min(read, remaining), min(write, remaining))

    def answer(self, exchange: Any) -> Answer:
        """Return the parser for what *exchange* brings."""
        return Answer(self.call, exchange, self._settings, silence=self._timeouts.read, expires=self.expires)

    def opened(self, exchange: Any, answer: Any, first: Any, rest: Iterable[Any] = ()) -> Opened:
        """Note that an answer has begun, and return it."""
        if self._budget is not None:
            self._budget.give_back()
        if self._asked_for_stream and not self.call.streaming:
            self._memory.no_stream_route = True
        exchange.begun()
        if isinstance(first, GenerateContentResponse):
            keeps_text = not self.call.seeks_pictures
            how = Exchange(exchange.status, answer.request_id, self.count, self.waited, keeps_text)
            answer.how = first.came_by(how).exchange
        return Opened(exchange, answer, first, rest)

    def after(self, error: APIError, now: float) -> float:
        """Return the seconds to wait before the next attempt; raise *error* if there is none."""
        remaining = None if self.expires is None else self.expires - now
        if remaining is not None and remaining <= 0 and isinstance(error, APITimeoutError):
            error.phase = "deadline"
        sent = self.call
        change = self._resend_differently(error)
        delay = 0.0 if change else self._retry_delay(error, remaining)
        if delay is None:
            raise self._noted(error)
        log_repetition(sent, self.count, error, delay, change)
        if self._on_retry is not None:
            self._on_retry(RetryEvent(self.count, delay, error))
        self.waited += delay
        return delay

    def _resend_differently(self, error: APIError) -> str | None:
        """Change what the next attempt sends, where that is what the failure asks for, and name the change. Once each."""
        self.refused_at = None
        if self._key_can_change and isinstance(error, AuthenticationError):
            self._key_can_change, self.refused_at = False, self._sent_at
            return "the key is asked for anew"
        if self.call.streaming and is_missing_stream_route(error):
            self.call = without_stream(self.call)
            return "no route for streams: the answer comes in one piece"
        if not self._sentinels_sent and is_signature_error(error) and self.call.wire is not None:
            self._sentinels_sent = True
            contents = self.call.wire["contents"]
            replaced = with_sentinels(contents, model=self.call.model)
            if replaced != contents:
                self.call = with_wire(self.call, {**self.call.wire, "contents": replaced})
                return "thought signatures of another channel are replaced"
        return None

    def _retry_delay(self, error: APIError, remaining: float | None) -> float | None:
        self._failures += 1
        delay = self._policy.delay(
            self._failures,
            error,
            makes_pictures=self.call.makes_pictures,
            remaining=remaining,
            random=self._random,
        )
        if delay is not None and self._budget is not None and not self._budget.take(error):
            error.budget_exhausted = True
            return None
        return delay

    def _noted(self, error: APIError) -> APIError:
        error.attempts, error.waited = max(self.count, 1), self.waited
        return error


def _deadline_error() -> APIConnectionError:
    error = APITimeoutError("the deadline passed before an answer came")
    error.phase = "deadline"
    error.is_retryable = True
    return error
