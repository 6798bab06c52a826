"""Prometheus with a prepared past, with the queries of Grafana."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.install import ensure_prometheus
from tests.lab.prometheus import PrometheusProcess

Series = dict[str, Any]


class Prometheus:
    """Prometheus as Grafana queries it."""

    def __init__(self, process: PrometheusProcess) -> None:
        """Wrap the process."""
        self._process = process

    def at(self, query: str, time: int) -> list[Series]:
        """Return the result of an instant query."""
        found: list[Series] = self._process.ask("query", query=query, time=time)["result"]
        return found

    def over(self, query: str, start: int, end: int, step: int) -> list[Series]:
        """Return the result of a range query."""
        asked: dict[str, str | int] = {"query": query, "start": start, "end": end, "step": step}
        found: list[Series] = self._process.ask("query_range", **asked)["result"]
        return found

    def values(self, label: str, matching: str, start: int, end: int) -> list[str]:
        """Return the values of a label for series that match, as for a variable."""
        asked: dict[str, str | int] = {"match[]": matching, "start": start, "end": end}
        found: list[str] = self._process.ask(f"label/{label}/values", **asked)
        return found

    def exemplars(self, query: str, start: int, end: int) -> list[dict[str, Any]]:
        """Return the exemplars of all series in a query."""
        found = self._process.ask("query_exemplars", query=query, start=start, end=end)
        return [exemplar for series in found for exemplar in series["exemplars"]]


@contextmanager
def running(directory: Path, past: str, scraped: str, programs: Path | None = None) -> Iterator[Prometheus]:
    """Start Prometheus with this OpenMetrics text as its past; it scrapes this address every second.

    ``programs`` is the folder of another version than Debian's.
    """
    ensure_prometheus()
    process = PrometheusProcess(directory, targets={"live": scraped}, programs=programs)
    process.remember(past)
    with process:
        yield Prometheus(process)
