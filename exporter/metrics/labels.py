"""Label sets of the metrics: the names of the labels of a series, in their order."""

from __future__ import annotations

from typing import NamedTuple


class HostLabels(NamedTuple):
    """Series of a host."""

    host: str


class WorkloadLabels(NamedTuple):
    """Series of a workload on a host."""

    host: str
    workload: str


class ImageLabels(NamedTuple):
    """Series of a workload on a host, by image."""

    host: str
    workload: str
    image: str


class StatusLabels(NamedTuple):
    """Series of a workload on a host, by status of the exits."""

    host: str
    workload: str
    status: str


class ExitLabels(NamedTuple):
    """Series of a workload on a host, by outcome of the exits."""

    host: str
    workload: str
    image: str
    status: str
    code: str
    reason: str


class BuildLabels(NamedTuple):
    """Version of the exporter and of Python."""

    version: str
    python_version: str


class EngineLabels(NamedTuple):
    """Series of an engine; the value is its address."""

    engine: str


class EventLabels(NamedTuple):
    """Series of an engine, by type of event."""

    engine: str
    event: str


class SignalLabels(NamedTuple):
    """Series of a telemetry signal."""

    signal: str


class NotCreatedLabels(NamedTuple):
    """Jobs for which no container was made, by how they ended."""

    status: str
    termination: str
    reason: str


class ProblemLabels(NamedTuple):
    """Kind of a problem, out of a fixed set."""

    problem: str


class OrderLabels(NamedTuple):
    """Order of the sources of a workload's name."""

    order: str
