"""The labels of a container that mean something here. No other is kept, unless a setting names it."""

from __future__ import annotations

from collections.abc import Mapping

WORKLOAD = "exit-exporter.workload"
SWARM_SERVICE = "com.docker.swarm.service.name"
COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"
# "True" of a container that `compose run` has made.
COMPOSE_ONE_OFF = "com.docker.compose.oneoff"
# The span that launched it: the first that is there counts.
TRACEPARENTS = ("exit-exporter.traceparent", "traceparent")
KEPT = (WORKLOAD, SWARM_SERVICE, COMPOSE_PROJECT, COMPOSE_SERVICE, COMPOSE_ONE_OFF, *TRACEPARENTS)
# What engines say by themselves in a container's events, among its labels: there, a label of such a name
# cannot be told from it.
ENGINES_OWN = frozenset(
    {"containerExitCode", "execDuration", "exitCode", "image", "name", "oldName", "signal"}
)


def traceparent(labels: Mapping[str, str]) -> str:
    """What the labels say of the span that launched it, unread; empty where they say nothing."""
    return next((labels[label] for label in TRACEPARENTS if labels.get(label)), "")
