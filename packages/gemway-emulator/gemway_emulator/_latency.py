"""How long answers take: a seeded distribution through two measured percentiles. Knows no clock."""

from __future__ import annotations

import math
import random
import re

# How many standard deviations of a normal distribution lie between its median and the percentile.
_DEVIATIONS = {90: 1.2816, 95: 1.6449, 99: 2.3263}


class Latency:
    """Seconds before answers, drawn from a log-normal distribution, as response times of models are.

    *profile* gives the median and one percentile above it: `p50=800ms,p95=4s`. The same *seed* gives the same seconds.
    """

    def __init__(self, profile: str, *, seed: int = 0) -> None:
        match = {int(number): _seconds(value) for number, value in re.findall(r"p(\d+)\s*=\s*([^,\s]+)", profile)}
        above = [number for number in match if number in _DEVIATIONS]
        if 50 not in match or len(above) != 1 or len(match) != 2 or not 0 < match[50] <= match[above[0]]:
            raise ValueError(f"write a latency as p50=800ms,p95=4s (p90, p95 or p99), not {profile!r}")
        self._median, self._random = match[50], random.Random(seed)  # noqa: S311 - no secret depends on it
        self._deviation = math.log(match[above[0]] / match[50]) / _DEVIATIONS[above[0]]

    def sample(self) -> float:
        """The seconds of one answer."""
        return self._median * math.exp(self._random.gauss(0, self._deviation))


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)?", text)
    if match is None:
        raise ValueError(f"{text!r} is no time; write 800ms or 4s")
    return float(match.group(1)) / (1000 if match.group(2) == "ms" else 1)
