"""Figures of a sample: the median and the like, without interpolation, so that each was really measured."""

import math
from collections.abc import Iterable


def percentile(sample: Iterable[float], percent: float) -> float:
    """The smallest value that ``percent`` of the sample do not exceed."""
    values = sorted(sample)
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def median(sample: Iterable[float]) -> float:
    """The value in the middle."""
    return percentile(sample, 50)
