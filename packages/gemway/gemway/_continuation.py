"""Follow-up requests for an answer that stops with CONTINUATION: the same request with the token of the answer. Pure.

https://ai.google.dev/api/generate-content, Candidate.continuationToken. Usage is cumulative within one request and is
added up over the requests; the answers are merged into one.
"""

from __future__ import annotations

from gemway._accumulate import fold
from gemway._json import JsonObject
from gemway._protocol import Call, with_wire
from gemway.types import GenerateContentResponse, UsageMetadata

UNFINISHED = "CONTINUATION"


class FollowUps:
    """The requests for one answer: the first, and at most *most* follow-ups.

    Attributes:
        call: the request to send next, or None when the answer is complete.
    """

    def __init__(self, call: Call, most: int) -> None:
        self.call: Call | None = call
        self._left = most
        self._sent = call
        self._token: str | None = None
        self._usage: UsageMetadata | None = None
        self._spent: UsageMetadata | None = None

    def next_request(self) -> Call:
        """Return the request to send now."""
        self._sent, self.call = self.call or self._sent, None
        self._token = self._usage = None
        return self._sent

    def observe(self, message: GenerateContentResponse) -> GenerateContentResponse:
        """Note the token and usage of *message*, and return it with the usage of earlier requests added."""
        # No follow-up can come, and none was sent: nearly every message of nearly every call.
        if not self._left and self._spent is None:
            return message
        for candidate in message.candidates or ():
            self._token = candidate.continuation_token if candidate.finish_reason == UNFINISHED else self._token
        self._usage = message.usage_metadata or self._usage
        if self._spent is None or message.usage_metadata is None:
            return message
        return message.model_copy(update={"usage_metadata": add_usage(self._spent, message.usage_metadata)})

    def finish(self) -> None:
        """Note that the answer to one request is complete. If a follow-up is needed, `call` is the next request."""
        # The same request with the token resumes the answer; any other change would start a new one.
        if self._token and self._left and self._sent.wire is not None:
            self._left -= 1
            self.call = with_wire(self._sent, {**self._sent.wire, "continuationToken": self._token})
            self._spent = add_usage(self._spent, self._usage) if self._usage else self._spent


def merge_responses(answers: list[GenerateContentResponse]) -> GenerateContentResponse:
    """Return the answers to all requests as one; their usage is added up already."""
    return answers[0] if len(answers) == 1 else fold(answers)


def add_usage(before: UsageMetadata | None, after: UsageMetadata) -> UsageMetadata:
    """Return the usage of two requests together: counts are added, details are those of both."""
    if before is None:
        return after
    # Usage is cumulative within one request only, so the counts of several requests must be added.
    fields: JsonObject = {**before.__dict__, **{name: value for name, value in after if value is not None}}
    for name in ("prompt", "candidates", "cached_content", "thoughts", "tool_use_prompt", "total"):
        counts = [getattr(usage, f"{name}_token_count") for usage in (before, after)]
        if any(count is not None for count in counts):
            fields[f"{name}_token_count"] = sum(count or 0 for count in counts)
    for name in ("prompt", "candidates", "cache", "tool_use_prompt"):
        details = [detail for usage in (before, after) for detail in getattr(usage, f"{name}_tokens_details") or ()]
        fields[f"{name}_tokens_details"] = details or None
    return UsageMetadata.model_construct(**{name: value for name, value in fields.items() if value is not None})
