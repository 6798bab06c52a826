"""Supervisors' own words for how a job ended, and the reason that each stands for."""

from __future__ import annotations

from collections.abc import Mapping
from signal import Signals
from types import MappingProxyType

from exporter.model import Status, SupervisedEnd, Termination

# dstack's ``JobTerminationReason`` of 0.22.5 in capitals. A word that is not here keeps its name, and its
# reason is by the status alone.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "MAX_DURATION_EXCEEDED": "TimedOut",
        "INACTIVITY_DURATION_EXCEEDED": "Inactive",
        "LOG_QUOTA_EXCEEDED": "LogQuotaExceeded",
        "EXECUTOR_ERROR": "ContainerCannotRun",
        "CREATING_CONTAINER_ERROR": "ImagePullFailed",
        "PORTS_BINDING_FAILED": "ContainerCannotRun",
        "VOLUME_ERROR": "ContainerCannotRun",
        "NO_CAPACITY": "NoCapacity",
        "INTERRUPTED_BY_NO_CAPACITY": "Preempted",
        "WAITING_INSTANCE_LIMIT_EXCEEDED": "NoCapacity",
        "WAITING_RUNNER_LIMIT_EXCEEDED": "ContainerCannotRun",
        "GATEWAY_ERROR": "Error",
        "INSTANCE_UNREACHABLE": "HostLost",
        "INSTANCE_ACCESS_REVOKED": "HostLost",
        "ABORTED_BY_USER": "Killed",
        "TERMINATED_DUE_TO_UTILIZATION_POLICY": "Inactive",
        "SCALED_DOWN": "Terminated",
        "TERMINATED_BY_SERVER": "Terminated",
    }
)

# The words that are known, which can be the values of a label.
TERMINATIONS = frozenset({*REASONS, *Termination})


def reason_of(end: SupervisedEnd) -> str:
    """Return the reason for an end that its supervisor has a word for, or that has no code."""
    known = REASONS.get(end.termination)
    if known is not None:
        return known
    if end.status is Status.TERMINATED:
        return "Killed" if end.signal == Signals.SIGKILL else "Terminated"
    return "Error"
