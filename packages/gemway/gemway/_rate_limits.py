"""Read the limits that the headers of an answer state: how much is left, and when to ask again. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from gemway.types import RateLimit, RateLimits

# OpenAI's names ("Rate limits in headers", platform.openai.com/docs/guides/rate-limits), which most gateways pass on or
# imitate; then the plain names of other proxies and of the first IETF drafts, which count requests.
_REQUESTS: Final = ("x-ratelimit-{}-requests", "x-ratelimit-{}", "ratelimit-{}")
_TOKENS: Final = ("x-ratelimit-{}-tokens",)
# draft-ietf-httpapi-ratelimit-headers: `limit=100, remaining=9, reset=30` up to 07, `"name";r=9;t=30` since 08, where
# the limit itself is `q` of another header.
_IETF: Final = {
    "limit": re.compile(r"\b(?:limit|q)=(\d{1,15})\b"),
    "remaining": re.compile(r"\b(?:remaining|r)=(\d{1,15})\b"),
    "reset": re.compile(r"\b(?:reset|t)=(\d{1,15})\b"),
}
_LONGEST_VALUE: Final = 200
_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
# Larger numbers are moments: seconds since 1970, or milliseconds (OpenRouter).
_SECONDS_SINCE_1970: Final = 1e9
_MILLISECONDS_SINCE_1970: Final = 1e12


def read_rate_limits(headers: Mapping[str, str], now: float) -> RateLimits | None:
    """Return the limits that *headers* state, or None if they state none.

    Args:
        headers: by their names in lower case.
        now: seconds since the epoch, for headers that name a moment.
    """
    limits = RateLimits(
        _read_limit(headers, _REQUESTS, now) or _read_ietf_limit(headers),
        _read_limit(headers, _TOKENS, now),
        read_retry_after(headers, now),
    )
    return limits if any(one is not None for one in limits) else None


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return after how many seconds the server wants to be asked again, or None.

    In this order: `retry-after-ms`, `Retry-After` (seconds or a date), LiteLLM's `llm_provider-retry-after`.
    """
    milliseconds = to_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    for name in ("retry-after", "llm_provider-retry-after"):
        value = headers.get(name)
        if (seconds := to_number(value)) is not None:
            return seconds
        try:
            return max(0.0, parsedate_to_datetime(value or "").timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            continue
    return None


def to_number(value: str | None) -> float | None:
    """Return a number that is not negative, or None."""
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    # Ridiculous waits stay: "Retry-After: 1000000000" means do not come back, not "no hint".
    return number if number is not None and 0 <= number < float("inf") else None


def _read_limit(headers: Mapping[str, str], names: tuple[str, ...], now: float) -> RateLimit | None:
    """Return the limit under the first of *names* that the headers have."""
    for name in names:
        limit, remaining, reset = (
            headers.get(name.format(word), "")[:_LONGEST_VALUE].strip() for word in ("limit", "remaining", "reset")
        )
        read = RateLimit(_to_count(limit), _to_count(remaining), _to_seconds(reset, now))
        if any(one is not None for one in read):
            return read
    return None


def _read_ietf_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return the limit in the header `ratelimit`, the first if it lists several."""
    text = headers.get("ratelimit", "")[:_LONGEST_VALUE]
    policy = headers.get("ratelimit-policy", "")[:_LONGEST_VALUE]
    matches = {word: pattern.search(text) for word, pattern in _IETF.items()}
    limit = matches["limit"] or _IETF["limit"].search(policy)
    remaining, reset = matches["remaining"], matches["reset"]
    if not (limit or remaining or reset):
        return None
    return RateLimit(
        int(limit[1]) if limit else None, int(remaining[1]) if remaining else None, float(reset[1]) if reset else None
    )


def _to_count(text: str) -> int | None:
    """Return a count. Proxies that join repeated headers and drafts with windows write more behind a comma."""
    match = re.match(r"(\d{1,15})(?:\.\d+)?(?=$|[,;\s])", text)
    return int(match[1]) if match else None


def _to_seconds(text: str, now: float) -> float | None:
    """Return the seconds until a limit is lifted: written as a number, "6m0s", a moment or a date."""
    number = to_number(text)
    if number is not None:
        moment = number / 1000 if number >= _MILLISECONDS_SINCE_1970 else number
        return max(0.0, moment - now) if moment >= _SECONDS_SINCE_1970 else number
    if re.fullmatch(f"(?:{_DURATION.pattern})+", text):
        return sum(float(count) * _UNITS[unit] for count, unit in _DURATION.findall(text))
    try:
        return max(0.0, datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - now)
    except (ValueError, OverflowError):
        return None
