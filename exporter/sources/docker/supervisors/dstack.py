"""dstack: a runner in the container starts the job, and the container's exit code is never the job's.

Process 1 of a dstack container is dstack's runner. After the job's end dstack's shim stops the container, so
that its code is 137 for success and failure alike, or the runner returns 0 by itself. How the job ended is
in the runner's log, which is the container's standard output (the job's own output goes elsewhere).

The runner's HTTP API must not be asked: who reads the final state from it takes it away from dstack's server.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from exporter.model import SupervisedJob
from exporter.sources.docker.supervisors.dstack_log import RunnerLog
from exporter.text import sanitize

NAME = "dstack"
IS_TASK = "ai.dstack.shim.is-task"
TASK_ID = "ai.dstack.shim.task-id"
LABELS = (IS_TASK, TASK_ID)

# <run>-<job number>-<replica number>-<first digits of a hash that the task id proves>
_CONTAINER_NAME = re.compile(
    r"(?P<job>(?P<run>.+)-(?P<job_num>\d{1,9})-(?P<replica_num>\d{1,9}))-(?P<digest>[0-9a-f]{8})"
)


class Dstack:
    """dstack's shim and runner, as the supervisor of the jobs in their containers."""

    name = NAME
    labels = LABELS

    def job(self, labels: Mapping[str, str], container_name: str) -> SupervisedJob | None:
        """Return the job that a container was made for; None where it is not dstack's.

        The run's name stands in the container's name. It is believed only where the name's last digits are
        those of the job's name and the task id, since anybody may give a container such a name.
        """
        if labels.get(IS_TASK, "").strip().casefold() != "true":
            return None
        task_id = sanitize(labels.get(TASK_ID, ""))
        found = _CONTAINER_NAME.fullmatch(container_name)
        if not task_id or found is None or found["digest"] != _digest(found["job"], task_id):
            return SupervisedJob(NAME, task_id)
        return SupervisedJob(NAME, task_id, found["run"], int(found["job_num"]), int(found["replica_num"]))

    def open_log(self) -> RunnerLog:
        """Return a reader for the runner's log of one container."""
        return RunnerLog()


def _digest(job_name: str, task_id: str) -> str:
    return hashlib.sha256(f"{job_name}/{task_id}".encode()).hexdigest()[:8]
