"""What raising the memory limit of a workload did: whether it helped, or whether it cannot. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import ceil, log, log1p
from operator import attrgetter

from exporter.report.runs import Runs, RunsByOutcome, average_ran_ns, count

# So many runs at least, and so many that the kills of before would have shown again with 95 % certainty.
MIN_RUNS = 5
_DOUBT = 0.05
# Two raises that kills followed: after a single one, the limit may still be too low.
_LEAK_LIMITS = 3
# Less than this is no later, but chance.
_LATER = 1.1
_LAST_NS = attrgetter("last_ns")


class RaiseResult(StrEnum):
    """Whether a raised limit has helped."""

    HELPED = "helped"
    KILLS_GO_ON = "kills-go-on"
    TOO_FEW_RUNS = "too-few-runs"


@dataclass(frozen=True, slots=True)
class Raise:
    """Raise of a limit after OOM kills: numbers of kills and of all runs before and since.

    ``at_ns`` is when the first run at the raised limit ended.
    """

    from_bytes: int
    to_bytes: int
    at_ns: int
    kills_before: int
    runs_before: int
    kills_since: int
    runs_since: int

    @property
    def result(self) -> RaiseResult:
        """Whether it has helped."""
        if self.kills_since:
            return RaiseResult.KILLS_GO_ON
        is_enough = self.runs_since >= runs_needed(self.kills_before, self.runs_before)
        return RaiseResult.HELPED if is_enough else RaiseResult.TOO_FEW_RUNS


def runs_needed(kills: int, runs: int) -> int:
    """Return how many runs without a kill show that a raise has helped, after some kills in all runs before.

    Where only some runs were killed before, a few without a kill are luck.
    """
    if kills >= runs:
        return MIN_RUNS
    return max(MIN_RUNS, ceil(log(_DOUBT) / log1p(-kills / runs)))


def last_raise(runs: RunsByOutcome, limit: int) -> Raise | None:
    """Return the raise to ``limit``, that of the last run.

    None if no run at a lower limit was OOM-killed, or if that limit was in use before the last such kill: a
    limit for one host or one retry is no raise.
    """
    kills = [each for each in runs.killed if each.limit_bytes < limit]
    killed_since = [each for each in runs.killed if each.limit_bytes == limit]
    since = [*killed_since, *(each for each in runs.completed if each.limit_bytes == limit)]
    if not kills or not since:
        return None
    last_kill = max(kills, key=_LAST_NS)
    first_ns = min([each.first_ns for each in since])
    if first_ns <= last_kill.last_ns:
        return None
    completed = [each for each in runs.completed if each.limit_bytes < limit]
    completed_before = [each for each in completed if each.last_ns <= last_kill.last_ns]
    return Raise(
        from_bytes=last_kill.limit_bytes,
        to_bytes=limit,
        at_ns=first_ns,
        kills_before=count(kills),
        runs_before=count(kills) + count(completed_before),
        kills_since=count(killed_since),
        runs_since=count(since),
    )


def is_leak(runs: RunsByOutcome) -> bool:
    """Return whether kills followed every raise and came later each time, and it never completed since."""
    kills = runs.killed
    limits = sorted({each.limit_bytes for each in kills})
    if len(limits) < _LEAK_LIMITS:
        return False
    first_ns = min([each.first_ns for each in kills])
    if any(each.last_ns >= first_ns for each in runs.completed):
        return False
    at_limits = [[each for each in kills if each.limit_bytes == limit] for limit in limits]
    return all(_follows_later(*pair) for pair in pairwise(at_limits))


def _follows_later(lower: Sequence[Runs], higher: Sequence[Runs]) -> bool:
    """Return whether the kills at a higher limit began after those at a lower one, after longer runs."""
    before, after = average_ran_ns(lower), average_ran_ns(higher)
    if before is None or after is None or after < before * _LATER:
        return False
    return min(each.first_ns for each in lower) < min(each.first_ns for each in higher)
