"""How long answers take: a seeded distribution through two measured percentiles. Knows no clock."""

from __future__ import annotations

import math
import random
import re
from statistics import NormalDist


class Latency:
    """Seconds before answers, drawn from a log-normal distribution, as response times of models are.

    *profile* gives the median and one percentile above it: `p50=800ms,p95=4s`. The same *seed* gives the same seconds.
    """

    def __init__(self, profile: str, *, seed: int = 0) -> None:
        match = re.fullmatch(r"\s*p50=([\d.]+)(ms|s)\s*,\s*p(9\d)=([\d.]+)(ms|s)\s*", profile)
        median, above = (float(match[n]) / (1000 if match[n + 1] == "ms" else 1) for n in (1, 4)) if match else (0, 0)
        if match is None or not 0 < median <= above:
            raise ValueError(f"write a latency as p50=800ms,p95=4s (p90 to p99), not {profile!r}")
        self._random = random.Random(seed)  # noqa: S311 - no secret depends on it
        self._mean = math.log(median)
        self._deviation = (math.log(above) - self._mean) / NormalDist().inv_cdf(int(match[3]) / 100)

    def sample(self) -> float:
        """The seconds of one answer."""
        return self._random.lognormvariate(self._mean, self._deviation)
