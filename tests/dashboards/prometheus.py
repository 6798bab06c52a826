"""A real Prometheus over a past that was written for it, and what it answers as Grafana asks it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.install import ensure_prometheus
from tests.lab.prometheus import PrometheusProcess

Series = dict[str, Any]


class Prometheus:
    """What Grafana asks of a Prometheus."""

    def __init__(self, process: PrometheusProcess) -> None:
        """Take the process."""
        self._process = process

    def at(self, query: str, time: int) -> list[Series]:
        """Answer a query of one moment."""
        found: list[Series] = self._process.ask("query", query=query, time=time)["result"]
        return found

    def over(self, query: str, start: int, end: int, step: int) -> list[Series]:
        """Answer a query of a graph."""
        asked: dict[str, str | int] = {"query": query, "start": start, "end": end, "step": step}
        found: list[Series] = self._process.ask("query_range", **asked)["result"]
        return found

    def values(self, label: str, matching: str, start: int, end: int) -> list[str]:
        """Give the values of a label that series with these matchers have, as a variable asks."""
        asked: dict[str, str | int] = {"match[]": matching, "start": start, "end": end}
        found: list[str] = self._process.ask(f"label/{label}/values", **asked)
        return found

    def exemplars(self, query: str, start: int, end: int) -> list[dict[str, Any]]:
        """Give the exemplars of every series that a query mentions."""
        found = self._process.ask("query_exemplars", query=query, start=start, end=end)
        return [exemplar for series in found for exemplar in series["exemplars"]]


@contextmanager
def running(directory: Path, past: str, scraped: str) -> Iterator[Prometheus]:
    """Start one whose past is this OpenMetrics text, and that scrapes this address every second."""
    ensure_prometheus()
    process = PrometheusProcess(directory, targets={"live": scraped})
    process.remember(past)
    with process:
        yield Prometheus(process)
