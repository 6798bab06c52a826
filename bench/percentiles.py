"""Median and percentiles without interpolation, so that each is a measured value."""

import math
from collections.abc import Iterable


def percentile(sample: Iterable[float], percent: float) -> float:
    """Return the smallest value that ``percent`` of the sample do not exceed."""
    values = sorted(sample)
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def median(sample: Iterable[float]) -> float:
    """Return the value in the middle."""
    return percentile(sample, 50)
