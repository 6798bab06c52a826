"""Export everything in the outbox of a store, in a process of its own."""

import argparse
import sys
import time
from contextlib import closing
from pathlib import Path

from bench.child_process import measured, print_cost
from exporter.config.logging_setup import logging_to_stderr
from exporter.config.settings import LogLevel, LogSettings, TraceSettings
from exporter.metrics import definitions as metrics
from exporter.metrics.labels import SignalLabels
from exporter.metrics.state import MetricState
from exporter.model import TelemetrySignal
from exporter.otlp.config import read_config
from exporter.otlp.factory import build_workers
from exporter.store import Store

GIVE_UP_SECONDS = 300.0
LOOK_SECONDS = 0.01
STOP_SECONDS = 5.0
TRACES = SignalLabels(TelemetrySignal.TRACES.value)


def main(arguments: list[str]) -> None:
    """Export, and print what it cost from the start until nothing is pending."""
    chosen = _arguments(arguments)
    logging = logging_to_stderr(LogSettings(level=LogLevel.WARNING))
    with logging, closing(Store(Path(chosen.database))) as store:
        metric_state = MetricState(store.series())
        exporting = read_config({"OTEL_EXPORTER_OTLP_ENDPOINT": chosen.url})
        (delivery,) = build_workers(TraceSettings(), exporting, store, metric_state)
        with measured() as cost:
            delivery.start()
            _await_none_pending(metric_state)
        cost.arrived = int(metric_state.value(metrics.OTLP_JOBS_EXPORTED, TRACES))
        delivery.stop(STOP_SECONDS)
    print_cost(cost)


def _await_none_pending(metric_state: MetricState) -> None:
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while metric_state.value(metrics.OTLP_PENDING_JOBS, TRACES) and time.monotonic() < give_up:
        time.sleep(LOOK_SECONDS)


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.export_outbox", description=__doc__)
    parser.add_argument("database", type=Path, help="a store with entries in its outbox")
    parser.add_argument("url", help="a collector's OTLP/HTTP, without a path")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
