"""Classification of ended runs, and the choice of those of which telemetry is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import structlog

from exporter.model import ClassifiedExit, Job, TelemetrySignal, Trace, Verdict
from exporter.verdict.classify import classify_exit
from exporter.verdict.facts import EndedRun
from exporter.verdict.reloadable_catalog import ReloadableCatalog

log = structlog.get_logger(__name__)


class TelemetrySelector(Protocol):
    """Chooses the jobs of which telemetry is sent."""

    @property
    def signals(self) -> frozenset[TelemetrySignal]:
        """Signals that are sent of each chosen job."""

    def select(self, job: Job, verdict: Verdict) -> Trace | None:
        """Return the ids of the job's span; None where nothing is sent."""


class Classifier:
    """Classifies exits by the catalog that is in use at the moment.

    ``assume_oom`` reads every code 137 as out of memory. Without a ``selector``, no telemetry is sent.
    """

    def __init__(
        self,
        catalog: ReloadableCatalog,
        selector: TelemetrySelector | None = None,
        *,
        assume_oom: bool = False,
    ) -> None:
        self._catalog = catalog
        self._selector = selector
        self._assume_oom = assume_oom

    def classify(self, ended: EndedRun) -> ClassifiedExit:
        """Return the verdict on an ended run, with the ids of its span if one is sent."""
        classified = classify_exit(ended, self._catalog.current, assume_oom=self._assume_oom)
        if self._selector is None:
            return classified
        trace = self._selector.select(ended.job, classified.verdict)
        if trace is not None and ended.job.traceparent and trace.parent_span_id is None:
            log.info("traceparent ignored", job=ended.job.id, traceparent=ended.job.traceparent)
        return classified if trace is None else replace(classified, trace=trace)

    def outbox_entries(self, exits: Iterable[ClassifiedExit]) -> list[tuple[str, TelemetrySignal]]:
        """Return the id of each exit's job with each signal that is sent of it."""
        if self._selector is None:
            return []
        signals = sorted(self._selector.signals)
        return [(each.exit.job.id, signal) for each in exits if each.trace for signal in signals]
