"""Codes and reasons of a time span: counts, shares, and the trend against the span before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import sqrt

from msgspec import Struct

from exporter.model import Status

# Counts of rare, independent events differ by chance by up to about this many standard deviations.
_CHANCE = 2


class Trend(StrEnum):
    """How a count differs from that of the span before; ``steady`` is no more than chance explains."""

    NEW = "new"
    UP = "up"
    STEADY = "steady"
    DOWN = "down"
    GONE = "gone"


class ExitCount(Struct, frozen=True):
    """Number of exits of a workload with one status, code and reason, in a span and in the one before.

    One of them is not 0. ``code`` is None if it is unknown.
    """

    workload: str
    status: Status
    code: int | None
    reason: str
    count: int
    before: int


class ExitGroup(Struct, frozen=True):
    """Exits with one status, code and reason, and their share of all exits, from 0 to 1.

    Everything about the span before is None if that is not on record.
    """

    status: Status
    code: int | None
    reason: str
    count: int
    share: float
    before: int | None
    share_before: float | None
    trend: Trend | None


class Exits(Struct, frozen=True):
    """Exits of a span, the most frequent first; ``before`` is None if the span before is not on record."""

    count: int
    failed: int
    before: int | None
    groups: tuple[ExitGroup, ...]


def summarize(counts: Sequence[ExitCount], *, is_before_known: bool) -> Exits:
    """Return the exits of all workloads together."""
    totals: dict[tuple[Status, int | None, str], tuple[int, int]] = {}
    for each in counts:
        key = each.status, each.code, each.reason
        count, before = totals.get(key, (0, 0))
        totals[key] = count + each.count, before + each.before
    all_now = sum(count for count, _ in totals.values())
    all_before = sum(before for _, before in totals.values()) if is_before_known else None
    groups = [_group(key, *total, all_now, all_before) for key, total in totals.items()]
    return Exits(
        count=all_now,
        failed=sum(each.count for each in counts if each.status is Status.FAILED),
        before=all_before,
        groups=tuple(sorted(groups, key=lambda group: (-group.count, -(group.before or 0), group.reason))),
    )


def by_workload(counts: Iterable[ExitCount], *, is_before_known: bool) -> dict[str, Exits]:
    """Return the exits of each workload, that with most failures first, then that with most exits."""
    found: dict[str, list[ExitCount]] = {}
    for each in counts:
        found.setdefault(each.workload, []).append(each)
    exits = {
        workload: summarize(of_workload, is_before_known=is_before_known)
        for workload, of_workload in found.items()
    }
    return dict(sorted(exits.items(), key=lambda item: (-item[1].failed, -item[1].count, item[0])))


def trend(count: int, before: int) -> Trend:
    """Return how a count differs from that of the span before; one of them is not 0."""
    if before == 0:
        return Trend.NEW
    if count == 0:
        return Trend.GONE
    if abs(count - before) <= _CHANCE * sqrt(count + before):
        return Trend.STEADY
    return Trend.UP if count > before else Trend.DOWN


def _group(
    key: tuple[Status, int | None, str], count: int, before: int, all_now: int, all_before: int | None
) -> ExitGroup:
    if all_before is None:
        return ExitGroup(*key, count, _share(count, all_now), None, None, None)
    return ExitGroup(
        *key, count, _share(count, all_now), before, _share(before, all_before), trend(count, before)
    )


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0
