"""Thresholds of the rules, validated: an unknown or missing one is an error."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from exporter.config.yaml_document import read_yaml, validate_document

FILE = Path(__file__).with_name("thresholds.yaml")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Duration = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[smhdw]$")]
Count = Annotated[int, Field(gt=0)]
# Inserted into the rules' expressions as it is.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S*[^/\s]$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Increases(_Section):
    """Windows in which the increase of a counter is measured."""

    window: Duration
    long_window: Duration
    interval: Duration
    long_interval: Duration
    replica_window: Duration

    @model_validator(mode="after")
    def _each_is_longer(self) -> Self:
        # With another order, Prometheus would accept the rules, but they would be wrong or never fire.
        _ascending(self, "interval", "window", "long_window")
        _ascending(self, "long_interval", "window", "replica_window")
        return self


class OomSpike(_Section):
    """Thresholds of OOM spikes."""

    floor: Count
    multiple: Count
    baseline: Duration
    recent: Duration
    after_outage: Duration
    outage: Duration
    host_floor: Count
    host_others: Count
    fleet_floor: Count
    fleet_others: Count
    hold: Duration

    @model_validator(mode="after")
    def _looks_far_enough(self) -> Self:
        _ascending(self, "hold", "recent", "baseline")
        return self


class _Lasting(_Section):
    """Section with the duration for which a condition must be true."""

    for_: Duration = Field(alias="for")


class OomSurvived(_Lasting):
    """Thresholds of OOM kills that jobs survived."""

    multiple: Count


class CrashLoop(_Lasting):
    """Thresholds of crash loops."""

    floor: Count
    last: Duration


class Unhealthy(_Section):
    """Thresholds of ends because of a failed health check."""

    floor: Count
    last: Duration


class RestartLoop(_Lasting):
    """Thresholds of restart loops without failures."""

    floor: Count


class FailureRatio(_Lasting):
    """Thresholds of the ratio of failures."""

    above: float = Field(gt=0, lt=1)
    floor: Count


class NotStarted(_Section):
    """Reasons, besides those of failed starts, that mean that a job cannot start."""

    also: list[Name]


class NotSucceeded(_Section):
    """Workloads that must succeed, each with its deadline."""

    workloads: dict[str, Duration]


class Exporter(_Section):
    """Thresholds of the exporter's own problems."""

    down_within: Duration
    absent_for: Duration
    engine_within: Duration
    engine_for: Duration
    store_floor: Count
    store_for: Duration
    pending_for: Duration
    spans_floor: Count
    spans_for: Duration
    catalogue_for: Duration


class Labels(_Section):
    """Labels by which two exporters of one engine differ."""

    replica: list[Name] = Field(min_length=1)


class Links(_Section):
    """Addresses that alerts and dashboards link to."""

    runbooks: Url
    grafana: Url
    workload_dashboard: str
    overview_dashboard: str
    exporter_dashboard: str


class Thresholds(_Section):
    """All sections of the file."""

    increases: Increases
    oom_spike: OomSpike
    oom_survived: OomSurvived
    crash_loop: CrashLoop
    unhealthy: Unhealthy
    restart_loop: RestartLoop
    failure_ratio: FailureRatio
    not_started: NotStarted
    not_succeeded: NotSucceeded
    exporter: Exporter
    labels: Labels
    links: Links

    @model_validator(mode="after")
    def _loops_outlast_the_window(self) -> Self:
        # A single event counts for a whole window, so a condition that has to persist must last longer.
        window = seconds(self.increases.window)
        if seconds(self.oom_spike.recent) < window:
            raise ValueError("oom_spike.recent must not be shorter than increases.window")
        for name, duration in (
            ("oom_spike.after_outage", self.oom_spike.after_outage),
            ("restart_loop.for", self.restart_loop.for_),
            ("exporter.store_for", self.exporter.store_for),
            ("exporter.spans_for", self.exporter.spans_for),
        ):
            if seconds(duration) <= window:
                raise ValueError(f"{name} must be longer than increases.window")
        if seconds(self.crash_loop.for_) <= seconds(self.crash_loop.last):
            raise ValueError("crash_loop.for must be longer than crash_loop.last")
        return self


def load(file: Path = FILE) -> Thresholds:
    """Return the thresholds of a file. Raises DocumentError with the line of each problem."""
    return validate_document(read_yaml(file), Thresholds)


def seconds(duration: str) -> int:
    """Return a duration in seconds."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def _ascending(section: _Section, *names: str) -> None:
    for shorter, longer in pairwise(names):
        if seconds(getattr(section, shorter)) >= seconds(getattr(section, longer)):
            raise ValueError(f"{longer} must be longer than {shorter}")
