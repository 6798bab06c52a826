"""Which workloads have series of their own: so many at most, and who gives way to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import Job, Workload

OTHER = Workload("Other", "Other")
_FOREIGN, _IDLE, _IMAGE, _LABELLED = range(4)


@dataclass(slots=True)
class _Slot:
    """One workload's: when a job of it was last heard of, and which of its jobs run.

    ``foreign``: it was named in another order than today's, and no job has been named so since.
    """

    used_ns: int = 0
    foreign: bool = False
    running: set[str] = field(default_factory=set)


class WorkloadSlots:
    """The workloads that have a slot; ``used`` are those that have series, with the end of their last job.

    Where all slots are taken, a workload without a job that runs gives way, the one that has had none for
    longest: of those whose last job ended before ``since_ns``, when workloads came to be named as they are
    now; else if that is ``idle_ns`` ago at least (0: for ever); else, to a newcomer with a name of its own,
    of those that are named by their image alone. What is noted twice is noted once: a batch that the store
    refuses comes again.
    """

    def __init__(self, most: int, used: Mapping[Workload, int], *, idle_ns: int, since_ns: int) -> None:
        self._most = most
        self._idle_ns = idle_ns
        self._held = {
            workload: _Slot(used_ns, foreign=used_ns < since_ns)
            for workload, used_ns in used.items()
            if workload != OTHER
        }
        self._given_up: set[Workload] = set()

    @property
    def given_up(self) -> frozenset[Workload]:
        """The workloads that have given way, and whose series have not been ended yet."""
        return frozenset(self._given_up)

    @property
    def names(self) -> frozenset[str]:
        """The names under which jobs are counted, of whatever image."""
        return frozenset(workload.name for workload in (OTHER, *self._held))

    def __contains__(self, workload: Workload) -> bool:
        """Whether it has a slot."""
        return workload in self._held

    def settled(self) -> None:
        """The series of those that have given way are ended, on record too."""
        self._given_up.clear()

    def begun(self, job: Job) -> Workload:
        """The workload that a job which began counts under."""
        workload = self.of(job.workload, job.began_ns)
        if workload in self._held:
            self._held[workload].running.add(job.id)
        return workload

    def resumed(self, job: Job) -> Workload:
        """The workload that a job counts under which has run since before; it may get a new name yet."""
        if job.workload not in self._held:
            return self.begun(job)
        self._held[job.workload].running.add(job.id)
        return job.workload

    def over(self, job: Job) -> None:
        """A job does not run any more that was counted as running under its workload."""
        if job.workload in self._held:
            self._held[job.workload].running.discard(job.id)

    def of(self, workload: Workload, at_ns: int) -> Workload:
        """The workload itself, or OTHER; it has a job at that time."""
        if workload not in self._held and not self._makes_room(workload, at_ns):
            return OTHER
        slot = self._held.setdefault(workload, _Slot())
        slot.used_ns, slot.foreign = max(slot.used_ns, at_ns), False
        return workload

    def _makes_room(self, newcomer: Workload, at_ns: int) -> bool:
        if newcomer == OTHER or newcomer in self._given_up:
            # Until its series are ended on record, it has none to begin anew.
            return False
        if len(self._held) < self._most:
            return True
        leaver = self._leaver(newcomer, at_ns)
        if leaver is None:
            return False
        del self._held[leaver]
        self._given_up.add(leaver)
        return True

    def _leaver(self, newcomer: Workload, at_ns: int) -> Workload | None:
        idle = (
            (self._standing(workload, at_ns), slot.used_ns, workload)
            for workload, slot in self._held.items()
            if not slot.running
        )
        nobody = (_LABELLED, 0, None)
        standing, _, leaver = min(idle, key=lambda found: found[:2], default=nobody)
        return leaver if standing < (_LABELLED if _has_own_name(newcomer) else _IMAGE) else None

    def _standing(self, workload: Workload, at_ns: int) -> int:
        """The lower, the sooner it gives way."""
        slot = self._held[workload]
        if slot.foreign:
            return _FOREIGN
        if self._idle_ns and slot.used_ns < at_ns - self._idle_ns:
            return _IDLE
        return _LABELLED if _has_own_name(workload) else _IMAGE


def _has_own_name(workload: Workload) -> bool:
    """Whether a label names it, and not its image alone."""
    return workload.name != workload.image
