"""A real Prometheus over a past that was written for it, and what it answers as Grafana asks it."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.lab import install
from tests.lab.collector import LOOPBACK, held_port
from tests.lab.errors import LabError
from tests.lab.process import LoggedProcess
from tests.lab.wait import wait_until

READY_SECONDS = 60.0
ASK_SECONDS = 60.0

Series = dict[str, Any]


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        """Take its address."""
        self._url = url

    def ready(self) -> bool:
        """Return whether it answers."""
        try:
            return requests.get(f"{self._url}/-/ready", timeout=ASK_SECONDS).ok
        except requests.ConnectionError:
            return False

    def at(self, query: str, time: int) -> list[Series]:
        """Answer a query of one moment."""
        return self._result("query", {"query": query, "time": time})

    def over(self, query: str, start: int, end: int, step: int) -> list[Series]:
        """Answer a query of a graph."""
        return self._result("query_range", {"query": query, "start": start, "end": end, "step": step})

    def values(self, label: str, matching: str, start: int, end: int) -> list[str]:
        """Give the values of a label that series with these matchers have, as a variable asks."""
        asked = {"match[]": matching, "start": start, "end": end}
        found: list[str] = self._get(f"label/{label}/values", asked)
        return found

    def exemplars(self, query: str, start: int, end: int) -> list[dict[str, Any]]:
        """Give the exemplars of every series that a query mentions."""
        found = self._get("query_exemplars", {"query": query, "start": start, "end": end})
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def _result(self, path: str, asked: Mapping[str, Any]) -> list[Series]:
        found: list[Series] = self._get(path, asked)["result"]
        return found

    def _get(self, path: str, asked: Mapping[str, Any]) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{path}", params=asked, timeout=ASK_SECONDS).json()
        assert answer["status"] == "success", f"{answer.get('error')}: {asked}"
        return answer["data"]


@contextmanager
def running(directory: Path, past: str, scraped: str) -> Iterator[Prometheus]:
    """Start one whose past is this OpenMetrics text, and that scrapes this address every second."""
    ensure_prometheus()
    (directory / "past.txt").write_text(past, encoding="utf-8")
    _promtool(
        "tsdb", "create-blocks-from", "openmetrics", "--quiet", directory / "past.txt", directory / "data"
    )
    (directory / "prometheus.yml").write_text(
        "scrape_configs:\n- job_name: live\n  scrape_interval: 1s\n  static_configs:\n"
        f"  - targets: ['{scraped}']\n",
        encoding="utf-8",
    )
    with held_port(0) as held:
        address = f"{LOOPBACK}:{held.getsockname()[1]}"
    process = LoggedProcess(_command(directory, address), directory / "prometheus.log")
    try:
        server = Prometheus(f"http://{address}")
        if not wait_until(lambda: server.ready() or not process.alive, READY_SECONDS) or not process.alive:
            raise LabError(f"Prometheus does not answer; its log ends with:\n{process.log_tail()}")
        yield server
    finally:
        process.kill()


def ensure_prometheus() -> None:
    """Have Prometheus and promtool on this machine, installing them on Debian as root."""
    if shutil.which("prometheus") and shutil.which("promtool"):
        return
    with install._no_service_starts():
        install._apt_get("update", "--quiet")
        install._apt_get("install", "--quiet", "--yes", "--no-install-recommends", "prometheus")


def _command(directory: Path, address: str) -> list[str | Path]:
    return [
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        # The past of the tests is older than the default keeps.
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]


def _promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"promtool ended with {done.returncode}:\n{done.stderr[-2000:]}")
