"""Exit status of ``wait``: the job's own code, unless an option maps it to another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.exit_codes import MAX_LINUX_CODE
from exporter.wording.cells import JobJson

# No program of note ends with these, and no shell gives them a meaning.
UNKNOWN, FAILED, CASUALTIES = 250, 251, 252
# As the command ``timeout`` ends.
TIMED_OUT = 124


@dataclass(frozen=True, slots=True)
class StatusRules:
    """Exit statuses other than the job's own code.

    ``mapped`` has reasons and recoveries, the first one that fits counts. ``unknown`` is for an end without
    a code, ``casualties`` for a success that lost a process to an OOM kill: None if that is a success.
    """

    mapped: Mapping[str, int]
    unknown: int = UNKNOWN
    casualties: int | None = None

    def status_of(self, job: JobJson) -> int:
        """Return the exit status for a job that ended. It is 0 only if 0 is the job's own code."""
        for name, status in self.mapped.items():
            if name in {job["reason"], job["recovery"]}:
                return status
        code: int | None = job["container_exit_code"]
        if code is None:
            return self.unknown
        if code == 0 and job["oom_kills"] and self.casualties is not None:
            return self.casualties
        # Windows has longer codes, of which a shell would see the last 8 bits: they can be 0.
        return min(code, MAX_LINUX_CODE)
