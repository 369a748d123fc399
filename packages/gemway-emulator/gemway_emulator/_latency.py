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
        matches = re.findall(r"p(\d+)\s*=\s*(\d+(?:\.\d+)?)(ms|s)?(?=\s*(?:,|$))", profile)
        seconds = {int(number): float(text) / (1000 if unit == "ms" else 1) for number, text, unit in matches}
        above, median = max(seconds, default=0), seconds.get(50, 0.0)
        if len(seconds) != 2 or not 50 < above < 100 or not 0 < median <= seconds[above]:
            raise ValueError(f"write a latency as p50=800ms,p95=4s (p50 and one above it), not {profile!r}")
        self._mean, self._random = math.log(median), random.Random(seed)  # noqa: S311 - no secret depends on it
        # The logarithms have a normal distribution; this many standard deviations lie between its median and p95.
        self._deviation = math.log(seconds[above] / median) / NormalDist().inv_cdf(above / 100)

    def sample(self) -> float:
        """The seconds of one answer."""
        return self._random.lognormvariate(self._mean, self._deviation)
