"""One call: its options, its next request, its time limits, its retries. Pure: no clock of its own.

A call is repeated only until its answer begins. `_send_until_answered` in `_client.py` ensures that by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any, Final

from gemway._checks import DEFAULT_TIMEOUTS, Timeouts
from gemway._config import Settings
from gemway._conversation import with_sentinels
from gemway._embeddings import EmbedRoute
from gemway._error_bodies import is_missing_stream_route, is_signature_error, is_unknown_model, suggest_models
from gemway._exceptions import APIConnectionError, APIError, APITimeoutError, AuthenticationError
from gemway._log import log_repetition
from gemway._option_reader import hide_secrets
from gemway._options import check_options, unexpected
from gemway._protocol import Call, with_wire, without_stream
from gemway._rate_limits import read_rate_limits
from gemway._redaction import Secret
from gemway._retry import RetryBudget, RetryEvent, RetryPolicy
from gemway.types import CallRecord, GenerateContentResponse

_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class CallOptions:
    """The options that a call may set differently from its client. None means: as the client has it."""

    timeout: Timeouts | None = None
    max_retries: int | None = None
    deadline: float | None = None
    headers: Mapping[str, Secret] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, options: dict[str, Any], where: str = "the call") -> CallOptions:
        """Return the options of a call, whose headers are masked in place.

        Raises `TypeError` for an unknown one and `ConfigurationError` for a value that cannot work, from here, because
        the frames below hold headers in the clear.
        """
        if not options:
            return _NO_OPTIONS
        hide_secrets(options)
        try:
            for name in options:
                if name not in CALL_OPTIONS:
                    raise unexpected(name, CALL_OPTIONS, where, _CALL_ADVICE.get((where, name)))
            return cls(**check_options(options))
        except (TypeError, ValueError) as error:
            failure = error.with_traceback(None)
        raise failure


CALL_OPTIONS: Final = tuple(one.name for one in fields(CallOptions))
_NO_OPTIONS: Final = CallOptions()
# What people try at a call, and what to do instead.
_CALL_ADVICE: Final = {
    ("generate_image", "n"): "one call makes one image; call it once for each, at the same time if you like",
}


@dataclass
class GatewayFacts:
    """Facts that a client has learned about its gateway.

    Attributes:
        no_stream_route: whether it answers streams in one piece only.
        embed_route: the route for embeddings that it serves.
        model_names: the models that it listed when one was not found; None if it was not asked.
    """

    no_stream_route: bool = False
    model_names: tuple[str, ...] | None = None
    embed_route: EmbedRoute | None = None


@dataclass(frozen=True)
class RetryContext:
    """The parts of retrying that all calls of one client share.

    Attributes:
        random: the source of jitter.
        budget: limits retries during an outage, or None.
        key_can_change: whether a refused key is worth another call, because a callable gives it.
        on_retry: the user's hook, called before each wait.
    """

    random: Random
    budget: RetryBudget | None = None
    key_can_change: bool = False
    on_retry: Callable[[RetryEvent], object] | None = None


@dataclass
class OpenResponse:
    """A response whose answer has begun.

    Attributes:
        response: the open HTTP response; closed already if the answer is complete.
        parser: reads the rest of it.
        first: the first message, or the whole answer of a unary call.
        rest: more messages that came with the first.
    """

    response: Any
    parser: Any
    first: Any
    rest: Iterable[Any] = ()


class CallState:
    """The attempts of one call.

    Attributes:
        call: the request to send next.
        headers: the user's headers for this call.
        count: how many requests were sent.
        waited: seconds slept between them.
        expires: the moment at which an answer must be there, or None.
        timeouts: how long each step of a request may take, the deadline aside.
        has_timeouts: whether the user set timeouts (injected clients keep their own if not).
        refused_at: when the request was sent whose key was refused with a 401, if the next attempt needs a new key.
    """

    def __init__(
        self,
        call: Call,
        options: CallOptions,
        settings: Settings,
        facts: GatewayFacts,
        context: RetryContext,
        now: float,
    ) -> None:
        self._wants_stream = call.streaming
        # Learned once for each client: asking for the missing route again would cost every stream one more request.
        self.call = without_stream(call) if call.streaming and facts.no_stream_route else call
        self.headers = options.headers
        self.count = 0
        self.waited = 0.0
        self.refused_at: float | None = None
        self._sent_at = now
        self._settings = settings
        self._facts = facts
        self._context = context
        # 0 is a value (send once), so only None means that the client's own value counts.
        retries = settings.max_retries if options.max_retries is None else options.max_retries
        self._policy = RetryPolicy(retries, settings.retry_image_timeouts)
        deadline = settings.deadline if options.deadline is None else options.deadline
        self.expires = None if deadline is None else now + deadline
        timeout = settings.timeout if options.timeout is None else options.timeout
        self.has_timeouts = timeout is not None
        self.timeouts = timeout or DEFAULT_TIMEOUTS[call.slow]
        self._failures = 0
        self._may_change_key = context.key_can_change
        self._sentinels_sent = False

    def start_attempt(self, now: float) -> Timeouts:
        """Count one more request and return how long it may take. Raises `APITimeoutError` past the deadline."""
        self._sent_at = now
        if self.expires is None:
            self.count += 1
            return self.timeouts
        remaining = self.expires - now
        if remaining <= 0:
            raise self._with_attempt_count(_deadline_error())
        self.count += 1
        # An attempt must not outlive the call, so the last one gets only the rest of the deadline.
        connect, read, write = self.timeouts
        return Timeouts(min(connect, remaining), min(read, remaining), min(write, remaining))

    def succeed(self, response: Any, parser: Any, first: Any, rest: Iterable[Any] = ()) -> OpenResponse:
        """Note that an answer has begun, and return it. Nothing is repeated from here on."""
        # Only calls that succeed refill the budget (botocore and gRPC do the same), so an outage cannot pay for itself.
        budget = self._context.budget
        if budget is not None and budget.tokens < budget.capacity:
            budget.give_back()
        if self._wants_stream:
            self._facts.no_stream_route |= not self.call.streaming
            # The deadline limits the wait for an answer. A stream that has begun may run as long as data arrives.
            if self.expires is not None:
                response.lift_deadline()
        if isinstance(first, GenerateContentResponse):
            keeps_text = not self.call.seeks_pictures
            # Every later error of this answer carries the record, so that double costs are visible to the user.
            # Most gateways state no limits, and a look at the names costs less than the reading.
            names = " ".join(response.headers)
            states_limits = "ratelimit" in names or "retry-after" in names
            limits = read_rate_limits(response.headers, response.arrived) if states_limits else None
            parser.record = CallRecord(response.status, parser.request_id, self.count, self.waited, keeps_text, limits)
            first.with_call_record(parser.record)
        return OpenResponse(response, parser, first, rest)

    def options_to_list_models(self, error: APIError, now: float) -> CallOptions | None:
        """Return the options for a look at the gateway's models if that helps to explain *error*, or None.

        A wrong name is often a near one. The look is one short request for each client, and never takes a share of a
        limit, which is for the user's own requests.
        """
        is_useful = bool(self.call.model) and error.status_code == 404 and is_unknown_model(error)
        if not is_useful or self._facts.model_names is not None or self._settings.limiter is not None:
            return None
        self._facts.model_names = ()  # whatever comes of it, and though other calls may fail in the meantime
        seconds = _LOOK_SECONDS if self.expires is None else min(_LOOK_SECONDS, self.expires - now)
        if seconds <= 0:
            return None
        return CallOptions(Timeouts(seconds, seconds, seconds), 0, seconds, self.headers)

    def learn_models(self, names: Iterable[str]) -> None:
        """Remember the names of the gateway's models."""
        self._facts.model_names = tuple(names)

    def next_delay(self, error: APIError, now: float) -> float:
        """Return the seconds to wait before the next attempt; raise *error* if there is none."""
        remaining = None if self.expires is None else self.expires - now
        # A socket that waited until the deadline reports a read timeout; the user needs to know which limit it was.
        if remaining is not None and remaining <= 0 and isinstance(error, APITimeoutError):
            error.phase = "deadline"
            error.message = error.message.replace("no answer in time", "no answer before the deadline")
            error.args = (error.message,)
        sent = self.call
        change = self._change_request(error)
        delay = 0.0 if change else self._delay_before_retry(error, remaining)
        if delay is None:
            if self._facts.model_names and is_unknown_model(error):
                suggest_models(error, self.call.model, self._facts.model_names)
            raise self._with_attempt_count(error)
        log_repetition(sent, self.count, error, delay, change)
        if self._context.on_retry is not None:
            self._context.on_retry(RetryEvent(self.count, delay, error))
        self.waited += delay
        return delay

    def _change_request(self, error: APIError) -> str | None:
        """Change the request of the next attempt if the failure asks for that, and name the change. Each change once.

        These attempts come on top of `max_retries`: they are other requests, not repetitions of the same one.
        """
        self.refused_at = None
        # Once only: a fresh key that is refused is wrong.
        if self._may_change_key and isinstance(error, AuthenticationError):
            self._may_change_key, self.refused_at = False, self._sent_at
            return "asking for a new key"
        # Some gateways have no streamGenerateContent and answer 404, 405 or 501.
        if self.call.streaming and is_missing_stream_route(error):
            self.call = without_stream(self.call)
            return "no route for streams, asking for the whole answer"
        # Gateways that change the upstream key or channel make valid signatures fail (docs.apiyi.com).
        if not self._sentinels_sent and is_signature_error(error) and self.call.wire is not None:
            self._sentinels_sent = True
            contents = self.call.wire["contents"]
            replaced = with_sentinels(contents, model=self.call.model)
            if replaced != contents:
                self.call = with_wire(self.call, {**self.call.wire, "contents": replaced})
                return "replacing thought signatures of another channel"
        return None

    def _delay_before_retry(self, error: APIError, remaining: float | None) -> float | None:
        self._failures += 1
        delay = self._policy.delay(
            self._failures,
            error,
            makes_pictures=self.call.makes_pictures,
            remaining=remaining,
            random=self._context.random,
        )
        budget = self._context.budget
        # Taken last, so that a failure that is not repeated anyway costs no token.
        if delay is not None and budget is not None and not budget.take(error):
            error.budget_exhausted = True
            return None
        return delay

    def _with_attempt_count(self, error: APIError) -> APIError:
        error.attempts, error.waited = max(self.count, 1), self.waited
        return error


def _deadline_error() -> APIConnectionError:
    error = APITimeoutError("the deadline passed before an answer came")
    error.phase = "deadline"
    error.is_retryable = True
    return error
