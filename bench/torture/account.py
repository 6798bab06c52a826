"""The account: what the containers did, against what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.torture.plans import Plan, Way
from bench.torture.watching import Exits, Look, Seen

UNKNOWN = "unknown"
LOST_WITH_ENGINE = ("137", "143", "255", UNKNOWN)
"""Codes of a container that was ended by something else than it was meant to."""

_REASONS: Mapping[Way, tuple[str, ...]] = {Way.OOM: ("OOMKilled",), Way.KILL: ("Killed",)}
LATE_SECONDS = 30.0
_SAID_WITHIN_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Truth:
    """What one container did: whether its process began, and when it ended as it was meant to, else None."""

    plan: Plan
    began: bool
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Container that was not counted as it ended."""

    kind: str
    name: str
    detail: str
    at: float


def read_truth(plans: Iterable[Plan], directory: Path) -> list[Truth]:
    """Return what the containers have written down."""
    return [_read(plan, directory) for plan in plans if plan.asked_at]


def _read(plan: Plan, directory: Path) -> Truth:
    ended = directory / f"{plan.name}.ended"
    began = (directory / f"{plan.name}.began").exists()
    return Truth(plan, began, ended.stat().st_mtime if ended.exists() else None)


def faults(truth: Iterable[Truth], exits: Exits, seen: Seen) -> Iterator[Fault]:
    """Yield what was lost, doubled or counted with another code or reason than it ended with."""
    for one in truth:
        found = exits.get(one.plan.name, Counter())
        at = one.ended_at or one.plan.asked_at
        for kind, detail in _judge(one, found, seen.jobs.get(one.plan.name, {})):
            yield Fault(kind, one.plan.name, detail, at)


def _judge(
    one: Truth, found: Counter[tuple[str, str]], jobs: Mapping[str, int | None]
) -> Iterator[tuple[str, str]]:
    what = f"{one.plan.way}, {'--rm, ' if one.plan.removed else ''}counted as {dict(found)}"
    if len(jobs) > 1:
        yield "two jobs", f"{what}: {jobs}"
    if found.total() > 1:
        yield "doubled", what
    elif not found and one.began:
        yield "lost", what
    elif found:
        yield from _judge_words(one, *next(iter(found)), what)


def _judge_words(one: Truth, code: str, reason: str, what: str) -> Iterator[tuple[str, str]]:
    if code == UNKNOWN:
        yield "Unknown", what
    elif one.ended_at is None:
        # What was ended with its engine; or, where it never began, a failed start.
        if one.began and code not in LOST_WITH_ENGINE:
            yield "another code", what
    elif code != str(one.plan.code):
        yield ("lost with the engine" if code in LOST_WITH_ENGINE else "another code"), what
    elif reason not in _REASONS.get(one.plan.way, (reason,)):
        yield "another reason", what


def is_said(fault: Fault, looks: Sequence[Look]) -> bool:
    """Return whether a gap was counted soon after the end of a lost container."""
    before = max((look.gaps for look in looks if look.at < fault.at - LATE_SECONDS), default=0.0)
    soon = [look.gaps for look in looks if fault.at <= look.at <= fault.at + _SAID_WITHIN_SECONDS]
    return max(soon, default=before) > before


def silent(truth: Iterable[Truth], looks: Sequence[Look]) -> Iterator[tuple[str, float]]:
    """Yield what was not counted though the exporter had said for 30 s that it is ready, and for how long."""
    ready_since = None
    ended = sorted((one.ended_at, one.plan.name) for one in truth if one.ended_at is not None)
    late: dict[str, float] = {}
    for look in looks:
        if not (look.ready and look.healthy):
            ready_since = None
            continue
        ready_since = ready_since or look.at
        if look.at - ready_since < LATE_SECONDS:
            continue
        for at, name in ended:
            if at < look.at - LATE_SECONDS and name not in look.counted:
                late[name] = max(late.get(name, 0), look.at - max(at, ready_since))
    yield from late.items()
