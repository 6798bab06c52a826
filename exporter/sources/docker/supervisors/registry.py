"""The supervisors that are known."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.model import SupervisedJob
from exporter.sources.docker.supervisors.dstack import Dstack
from exporter.sources.docker.supervisors.supervisor import Supervisor

SUPERVISORS: tuple[Supervisor, ...] = (Dstack(),)
LABELS = tuple(label for supervisor in SUPERVISORS for label in supervisor.labels)
_ANY_LABEL = frozenset(LABELS)


def find_supervisor(labels: Mapping[str, str]) -> Supervisor | None:
    """Return the supervisor that made a container with these labels; None if none did."""
    if _ANY_LABEL.isdisjoint(labels):
        return None
    return next((each for each in SUPERVISORS if each.job(labels, "") is not None), None)


def supervised_job(labels: Mapping[str, str], container_name: str) -> SupervisedJob | None:
    """Return the job that a supervisor made a container for; None if none did."""
    supervisor = find_supervisor(labels)
    return None if supervisor is None else supervisor.job(labels, container_name)
