"""A time span, and conditions for the jobs that ended in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement

from exporter.store.schema import jobs


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Jobs that ended since a time and before another one; of one workload, or on one host, if given."""

    since_ns: int
    until_ns: int
    workload: str | None = None
    instance: str | None = None

    @property
    def before(self) -> TimeSpan:
        """The span of the same length before it."""
        return replace(self, since_ns=2 * self.since_ns - self.until_ns, until_ns=self.since_ns)

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on the jobs."""
        bounds = [jobs.c.finished_ns >= self.since_ns, jobs.c.finished_ns < self.until_ns]
        if self.workload is not None:
            bounds.append(jobs.c.workload == self.workload)
        if self.instance is not None:
            bounds.append(jobs.c.instance == self.instance)
        return bounds
