"""Which memory limit a workload needs, as a bracket from its runs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from operator import attrgetter

from msgspec import Struct

from exporter.report.raises import Raise, is_leak, last_raise, runs_needed
from exporter.report.runs import (
    LimitRuns,
    MemoryHistory,
    OomCounts,
    Runs,
    RunsByOutcome,
    average_ran_ns,
    by_limit,
    by_outcome,
    count,
    counts_by_limit,
)

_LAST_NS = attrgetter("last_ns")


class Advice(StrEnum):
    """What the runs say about the limit."""

    NONE = "none"
    HELD = "held"
    TOO_FEW_RUNS = "too-few-runs"
    MORE_MEMORY = "more-memory"
    LEAK = "leak"
    NOT_ITS_LIMIT = "not-its-limit"
    LIMIT_UNKNOWN = "limit-unknown"


class LimitOutcomes(Struct, frozen=True):
    """What happened at one limit, as numbers of runs. ``killed_after_ns`` is the average time to a kill."""

    limit_bytes: int
    completed: int
    oom_killed: int
    oom_killed_limit_unknown: int
    killed_after_ns: int | None


class Bracket(Struct, frozen=True):
    """Between which limits the need of a workload is.

    ``killed_at`` is the highest limit at which it was OOM-killed by its own limit, ``completed_at`` the
    lowest at which it has completed since (without a kill, in the whole span). If that is not higher, the
    need varies from run to run. ``above_bytes`` is what a limit must be above: that of ``killed_at``, or a
    higher one at which it was OOM-killed and whose limit was reached is not known. ``held`` is the lowest
    limit above that at which it has completed since, and ``runs_needed`` how many runs show that it is
    enough.
    """

    killed_at: LimitRuns | None
    completed_at: LimitRuns | None
    above_bytes: int | None
    held: LimitRuns | None
    runs_needed: int | None


class Memory(Struct, frozen=True):
    """What the runs of a workload say about its memory limit.

    ``current_bytes`` is the limit of the last run that says something. ``suggested`` is a limit that enough
    runs have held, and how many have completed at this limit or a lower one that is in the bracket.
    """

    advice: Advice
    oom: OomCounts
    limits: tuple[LimitOutcomes, ...]
    current_bytes: int | None
    bracket: Bracket
    suggested: LimitRuns | None
    raised: Raise | None


def read_memory(history: MemoryHistory) -> Memory:
    """Return what the runs of a workload say about its memory limit."""
    runs = by_outcome(history.runs)
    current_bytes = max(history.runs, key=_LAST_NS).limit_bytes if history.runs else None
    bracket, above = _bracket(runs)
    suggested = _suggested(above, bracket.runs_needed)
    return Memory(
        advice=_advice(history.oom, runs, bracket, suggested),
        oom=history.oom,
        limits=tuple(_outcomes(runs)),
        current_bytes=current_bytes,
        bracket=bracket,
        suggested=suggested,
        raised=None if current_bytes is None else last_raise(runs, current_bytes),
    )


def _bracket(runs: RunsByOutcome) -> tuple[Bracket, list[LimitRuns]]:
    """Return the bracket, and how many runs have completed since at each limit above it."""
    completed, kills, doubtful = runs
    if not kills:
        lowest = by_limit(completed)[0] if completed else None
        return Bracket(None, lowest, None, None, None), []
    killed_at = by_limit(kills)[-1]
    first_ns = min([each.first_ns for each in kills if each.limit_bytes == killed_at.limit_bytes])
    since = by_limit([each for each in completed if each.first_ns >= first_ns])
    above_bytes = max([killed_at.limit_bytes, *(each.limit_bytes for each in doubtful)])
    above = [each for each in since if each.limit_bytes > above_bytes]
    bracket = Bracket(
        killed_at=killed_at,
        completed_at=since[0] if since else None,
        above_bytes=above_bytes,
        held=above[0] if above else None,
        runs_needed=_runs_needed(kills, completed, killed_at.limit_bytes),
    )
    return bracket, above


def _runs_needed(kills: Sequence[Runs], completed: Sequence[Runs], limit_bytes: int) -> int:
    up_to_limit = [each for each in completed if each.limit_bytes <= limit_bytes]
    return runs_needed(count(kills), count(kills) + count(up_to_limit))


def _suggested(above: Sequence[LimitRuns], needed: int | None) -> LimitRuns | None:
    """Return the lowest limit that enough runs have held. What has completed at less, needs no more."""
    held = 0
    for each in above:
        held += each.runs
        if needed is not None and held >= needed:
            return LimitRuns(each.limit_bytes, held)
    return None


def _advice(oom: OomCounts, runs: RunsByOutcome, bracket: Bracket, suggested: LimitRuns | None) -> Advice:
    if bracket.killed_at is not None:
        if is_leak(runs):
            return Advice.LEAK
        if suggested is not None:
            return Advice.HELD
        return Advice.TOO_FEW_RUNS if bracket.held else Advice.MORE_MEMORY
    if oom.own or oom.unknown:
        return Advice.LIMIT_UNKNOWN
    return Advice.NOT_ITS_LIMIT if oom.parent or oom.host else Advice.NONE


def _outcomes(runs: RunsByOutcome) -> list[LimitOutcomes]:
    completed, killed, unknown = map(counts_by_limit, runs)
    kills: dict[int, list[Runs]] = {}
    for each in runs.killed:
        kills.setdefault(each.limit_bytes, []).append(each)
    return [
        LimitOutcomes(
            limit_bytes=limit,
            completed=completed.get(limit, 0),
            oom_killed=killed.get(limit, 0),
            oom_killed_limit_unknown=unknown.get(limit, 0),
            killed_after_ns=average_ran_ns(kills.get(limit, ())),
        )
        for limit in sorted(completed | killed | unknown)
    ]
