"""Limit of the number of workloads that have series of their own, and which one is evicted for another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from exporter.model import Job, Workload

OTHER = Workload("Other", "Other")


class _Rank(IntEnum):
    """Order of eviction: the lowest is evicted first."""

    PREVIOUS_ORDER = 0
    IDLE = 1
    NAMED_BY_IMAGE = 2
    NAMED_BY_LABEL = 3


@dataclass(slots=True)
class _Slot:
    """Time of the workload's last job, and ids of its running jobs.

    ``from_previous_order``: named in an order of sources that is not configured any more.
    """

    used_ns: int = 0
    from_previous_order: bool = False
    running: set[str] = field(default_factory=set)


class WorkloadSlots:
    """Workloads that have a slot, at most ``limit``; ``used`` maps those with series to their last exit.

    If all slots are taken, a newcomer evicts a workload that has no running job. The first choice is one
    whose last exit was before ``since_ns``, the time since which workloads are named as they are now. The
    second is one whose last exit was ``idle_ns`` ago (0: never). The third, for a newcomer that is named by
    a label, is one that is named by its image alone. Among equals, the longest without a job is evicted.

    Every method may be repeated with the same job: a batch that fails to commit comes again.
    """

    def __init__(self, limit: int, used: Mapping[Workload, int], *, idle_ns: int, since_ns: int) -> None:
        self._limit = limit
        self._idle_ns = idle_ns
        self._slots = {
            workload: _Slot(used_ns, from_previous_order=used_ns < since_ns)
            for workload, used_ns in used.items()
            if workload != OTHER
        }
        self._evicted: set[Workload] = set()

    @property
    def evicted(self) -> frozenset[Workload]:
        """Workloads that are evicted and whose series are not yet removed."""
        return frozenset(self._evicted)

    @property
    def names(self) -> frozenset[str]:
        """Names under which jobs are counted, with any image."""
        return frozenset(workload.name for workload in (OTHER, *self._slots))

    def __contains__(self, workload: Workload) -> bool:
        """Return whether the workload has a slot."""
        return workload in self._slots

    def confirm_evictions(self) -> None:
        """Forget the evicted workloads: their series are removed and this is committed."""
        self._evicted.clear()

    def on_start(self, job: Job) -> Workload:
        """Record that a job runs; return the workload that it is counted under."""
        workload = self.claim(job.workload, job.start_event_ns)
        if workload in self._slots:
            self._slots[workload].running.add(job.id)
        return workload

    def on_resume(self, job: Job) -> Workload:
        """Record that a job of an earlier process still runs; return the workload it is counted under."""
        if job.workload not in self._slots:
            return self.on_start(job)
        # Not a claim: the job may have been named in the previous order.
        self._slots[job.workload].running.add(job.id)
        return job.workload

    def on_exit(self, job: Job) -> None:
        """Record that a job that was counted as running has ended."""
        if job.workload in self._slots:
            self._slots[job.workload].running.discard(job.id)

    def claim(self, workload: Workload, at_ns: int) -> Workload:
        """Return the workload if it has or gets a slot for a job at that time, else OTHER."""
        if workload not in self._slots and not self._make_room(workload, at_ns):
            return OTHER
        slot = self._slots.setdefault(workload, _Slot())
        slot.used_ns, slot.from_previous_order = max(slot.used_ns, at_ns), False
        return workload

    def _make_room(self, newcomer: Workload, at_ns: int) -> bool:
        if newcomer == OTHER or newcomer in self._evicted:
            # Its old series must be removed before it can have new ones.
            return False
        if len(self._slots) < self._limit:
            return True
        victim = self._find_victim(newcomer, at_ns)
        if victim is None:
            return False
        del self._slots[victim]
        self._evicted.add(victim)
        return True

    def _find_victim(self, newcomer: Workload, at_ns: int) -> Workload | None:
        without_jobs = (
            (self._rank(workload, at_ns), slot.used_ns, workload)
            for workload, slot in self._slots.items()
            if not slot.running
        )
        none = (_Rank.NAMED_BY_LABEL, 0, None)
        rank, _, victim = min(without_jobs, key=lambda candidate: candidate[:2], default=none)
        return victim if rank < _rank_by_name(newcomer) else None

    def _rank(self, workload: Workload, at_ns: int) -> _Rank:
        slot = self._slots[workload]
        if slot.from_previous_order:
            return _Rank.PREVIOUS_ORDER
        if self._idle_ns and slot.used_ns < at_ns - self._idle_ns:
            return _Rank.IDLE
        return _rank_by_name(workload)


def _rank_by_name(workload: Workload) -> _Rank:
    return _Rank.NAMED_BY_IMAGE if workload.name == workload.image else _Rank.NAMED_BY_LABEL
