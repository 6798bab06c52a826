"""Prometheus for all tests of dashboards, with the past of the scenario; it scrapes the end of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import pytest
from prometheus_client import MetricsHandler

from exporter.metrics.collector import build_registry
from exporter.metrics.state import MetricState
from tests.dashboards import scenario
from tests.dashboards.prometheus import Prometheus, running
from tests.lab.collector import LOOPBACK
from tests.lab.prometheus_kinds import KINDS, programs_of


@pytest.fixture(scope="package", params=KINDS)
def prometheus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Start a Prometheus of each kind."""
    directory, programs = tmp_path_factory.mktemp("prometheus"), programs_of(request.param)
    with (
        served(scenario.now()[0]) as address,
        running(directory, scenario.past(), address, programs) as server,
    ):
        yield server


@contextmanager
def served(metric_state: MetricState) -> Iterator[str]:
    """Serve a metric_state as an exporter does, exemplars and all; give the address."""
    server = ThreadingHTTPServer((LOOPBACK, 0), MetricsHandler.factory(build_registry(metric_state)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
