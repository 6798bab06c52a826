"""The runs of a workload, as far as they say something about its memory. Pure.

A run with an OOM kill at its own limit says that the need is above that limit; a run that completed without
an OOM kill says that it is at most its limit. All other runs say nothing about a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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


class RunsByOutcome(NamedTuple):
    """Runs by what they say about their limit."""

    completed: list[Runs]
    killed: list[Runs]
    limit_unknown: list[Runs]


class LimitRuns(NamedTuple):
    """Limit, and the number of runs that say what is said of it."""

    limit_bytes: int
    runs: int


def dividing_times(kills: Sequence[Runs], completed_at: Iterable[int]) -> set[int]:
    """Return the times at which it matters how many runs had completed before, and how many since.

    These are the first OOM kill at the highest limit, and of each limit that there may have been a raise to,
    the last OOM kill below it: none at this limit came earlier. ``completed_at`` are limits of other runs.
    """
    first_ns: dict[int, int] = {}
    last_ns: dict[int, int] = {}
    for each in kills:
        first_ns[each.limit_bytes] = min(each.first_ns, first_ns.get(each.limit_bytes, each.first_ns))
        last_ns[each.limit_bytes] = max(each.last_ns, last_ns.get(each.limit_bytes, each.last_ns))
    times = {first_ns[max(first_ns)]} if first_ns else set()
    below_ns: int | None = None
    for limit in sorted({*first_ns, *completed_at}):
        if below_ns is not None and below_ns < first_ns.get(limit, below_ns + 1):
            times.add(below_ns)
        if limit in last_ns:
            below_ns = max(last_ns[limit], below_ns or 0)
    return times


def by_outcome(runs: Iterable[Runs]) -> RunsByOutcome:
    """Return the runs by what they say, in their order."""
    found = RunsByOutcome([], [], [])
    for each in runs:
        if each.outcome is Outcome.COMPLETED:
            found.completed.append(each)
        elif each.outcome is Outcome.OOM_KILLED:
            found.killed.append(each)
        else:
            found.limit_unknown.append(each)
    return found


def counts_by_limit(runs: Iterable[Runs]) -> dict[int, int]:
    """Return how many runs there were at each limit."""
    counts: dict[int, int] = {}
    for each in runs:
        counts[each.limit_bytes] = counts.get(each.limit_bytes, 0) + each.count
    return counts


def by_limit(runs: Iterable[Runs]) -> list[LimitRuns]:
    """Return how many runs there were at each limit, the lowest first."""
    return [*map(LimitRuns._make, sorted(counts_by_limit(runs).items()))]


def count(runs: Iterable[Runs]) -> int:
    """Return how many runs these are."""
    return sum([each.count for each in runs])


def average_ran_ns(runs: Iterable[Runs]) -> int | None:
    """Return how long these ran on average; None if that is not known of all, or there are none."""
    total_ns = number = 0
    for each in runs:
        if each.ran_ns is None:
            return None
        total_ns += each.ran_ns * each.count
        number += each.count
    return total_ns // number if number else None
