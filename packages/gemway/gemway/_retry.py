"""Decide whether and when a failed attempt is repeated. Pure: the time left and the random source are arguments.

`_call.py` applies the policy to one call; the loop that waits is `_send_until_answered` in `_client.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gemway._exceptions import MAX_HINT, APIConnectionError, APIError

# The waits of OpenAI's and Anthropic's clients (`_base_client.py`): half a second, doubled up to eight.
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
# A picture may be made and billed although no answer arrives. So a request for one is repeated only if the gateway
# cannot have started the work, which these statuses mean: timed out while sending, too early, too many.
_NOT_BEGUN = frozenset({408, 425, 429})
# These two mean it only with Google's own code. A bare 503 or 500 may come from a proxy that stopped waiting (Varnish
# sends 503; Apache, h2o and Node's http-proxy 502; Cloudflare 520 to 524) while the model is still working.
_NOT_BEGUN_WORDS = frozenset({(503, "UNAVAILABLE"), (500, "INTERNAL")})


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how late a failed call is repeated.

    Args:
        max_retries: attempts after the first; 0 sends one request.
        retry_image_timeouts: repeat requests for pictures even if the first one may be finished and billed.
        max_hint: seconds; if the server asks for a longer wait, the call fails at once.
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
        if makes_pictures and not self.retry_image_timeouts and not surely_not_begun(error):
            return None
        # Jitter always: clients that failed together must not come back together (AWS, "Exponential Backoff And
        # Jitter").
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        hint = error.retry_after
        if hint is not None:
            # Waiting longer than a minute inside a call helps nobody; the error carries the number of seconds.
            if hint > self.max_hint:
                return None
            # Never earlier than the server asked, and a little later, so that many clients spread.
            wait = max(wait, hint * random.uniform(1.0, 1.1))
        return None if remaining is not None and wait >= remaining else wait


def surely_not_begun(error: APIError) -> bool:
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
        # Measured with these numbers: 500 calls that fail make 700 requests instead of 1,500, and 1,000 calls of which
        # every tenth fails do not notice the budget.
        self.capacity = capacity
        self.tokens = capacity
        self._refill = refill

    def take(self, error: APIError) -> bool:
        """Take the tokens for one retry. Return False if too few are left."""
        cost = 0.5 if error.status_code == 429 and error.retry_after is not None else 1.0
        if self.tokens < cost - 1e-9:  # ten tenths are a little less than one
            return False
        self.tokens -= cost
        return True

    def give_back(self) -> None:
        """Note a success."""
        self.tokens = min(self.capacity, self.tokens + self._refill)


@dataclass(frozen=True)
class RetryEvent:
    """The argument of an `on_retry` hook, which is called before each wait.

    Attributes:
        attempt: the attempt that failed; 1 is the first.
        delay: seconds until the next one.
        error: why it failed.
    """

    attempt: int
    delay: float
    error: APIError
