"""The runs of a workload, as far as they say something about its memory. Pure.

A run with an OOM kill at its own limit says that the need is above that limit; a run that completed without
an OOM kill says that it is at most its limit. All other runs say nothing about a limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

from msgspec import Struct


class Outcome(StrEnum):
    """What a run says about its limit."""

    COMPLETED = "completed"
    OOM_KILLED = "oom-killed"
    OOM_KILLED_LIMIT_UNKNOWN = "oom-killed-limit-unknown"


class Runs(Struct, frozen=True):
    """One run or more of a workload with the same limit and outcome.

    ``first_ns`` and ``last_ns`` are when the first and the last of them ended; of runs that completed, none
    of the ``dividing_times`` lies in between. ``ran_ns`` is how long they ran on average, None if that is not
    known of all. A report is made of thousands of these, and a dataclass takes several times as long to make.
    """

    limit_bytes: int
    outcome: Outcome
    count: int
    first_ns: int
    last_ns: int
    ran_ns: int | None = None


@dataclass(frozen=True, slots=True)
class OomCounts:
    """Numbers of runs with OOM kills, by whose limit was reached; ``survived`` of them ended with 0."""

    own: int = 0
    parent: int = 0
    host: int = 0
    unknown: int = 0
    survived: int = 0


@dataclass(frozen=True, slots=True)
class MemoryHistory:
    """All that the runs of one workload in a time span say about its memory."""

    runs: tuple[Runs, ...] = ()
    oom: OomCounts = field(default_factory=OomCounts)


class LimitRuns(NamedTuple):
    """Limit, and the number of runs that say what is said of it."""

    limit_bytes: int
    runs: int


def dividing_times(kills: Iterable[Runs]) -> set[int]:
    """Return the times at which it matters how many runs had completed before, and how many since.

    These are the first OOM kill at the highest limit, and of each limit the last one at it or at a lower one.
    """
    ascending = sorted(kills, key=lambda each: each.limit_bytes)
    at_highest = [each.first_ns for each in ascending if each.limit_bytes == ascending[-1].limit_bytes]
    return {*at_highest, *accumulate((each.last_ns for each in ascending), max)}


def with_outcome(runs: Iterable[Runs], *outcomes: Outcome) -> list[Runs]:
    """Return the runs with one of these outcomes."""
    return [each for each in runs if each.outcome in outcomes]


def by_limit(runs: Iterable[Runs]) -> list[LimitRuns]:
    """Return how many runs there were at each limit, the lowest first."""
    counts: dict[int, int] = {}
    for each in runs:
        counts[each.limit_bytes] = counts.get(each.limit_bytes, 0) + each.count
    return [LimitRuns(*item) for item in sorted(counts.items())]


def count(runs: Iterable[Runs]) -> int:
    """Return how many runs these are."""
    return sum([each.count for each in runs])


def average_ran_ns(runs: Iterable[Runs]) -> int | None:
    """Return how long these ran on average; None if that is not known of all, or there are none."""
    known = [(each.ran_ns, each.count) for each in runs]
    total = sum(number for _, number in known)
    if not total or any(ran_ns is None for ran_ns, _ in known):
        return None
    return sum((ran_ns or 0) * number for ran_ns, number in known) // total
