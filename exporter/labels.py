"""Container labels that have a meaning here. No others are kept, unless a setting names them."""

from __future__ import annotations

from collections.abc import Mapping

WORKLOAD = "exit-exporter.workload"
SWARM_SERVICE = "com.docker.swarm.service.name"
COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
# "True" for a container of `docker compose run`.
COMPOSE_ONE_OFF = "com.docker.compose.oneoff"
# Span that launched the container; the first of these that is set counts.
TRACEPARENTS = ("exit-exporter.traceparent", "traceparent")
KEPT = (WORKLOAD, SWARM_SERVICE, COMPOSE_PROJECT, COMPOSE_SERVICE, COMPOSE_ONE_OFF, *TRACEPARENTS)
# Attributes that engines add to a container's events, among its labels: in an event, a label of the same
# name cannot be distinguished from them.
ENGINES_OWN = frozenset(
    {"containerExitCode", "execDuration", "exitCode", "image", "name", "oldName", "signal"}
)


def traceparent(labels: Mapping[str, str]) -> str:
    """Return the traceparent label as it is, not parsed; empty if there is none."""
    return next((labels[label] for label in TRACEPARENTS if labels.get(label)), "")
