"""A real Prometheus in a process of its own, with its own data, on this machine's loopback."""

import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
import yaml
from requests.exceptions import RequestException

from tests.lab.errors import LabError
from tests.lab.exporter import free_port
from tests.lab.install import program
from tests.lab.process import LoggedProcess
from tests.lab.wait import wait_until

INTERVAL = "1s"
DATA = "prometheus-data"
READY_SECONDS = 60.0
PATIENCE_SECONDS = 20.0
ASK_SECONDS = 60.0

Sample = tuple[dict[str, str], float]


class PrometheusProcess:
    """A running Prometheus; as a context manager it is ready on entry and ended on exit.

    It scrapes and evaluates every second. `targets` are addresses by the job that they belong to.
    """

    def __init__(
        self,
        directory: Path,
        *,
        targets: Mapping[str, str],
        rule_files: Sequence[Path] = (),
        alertmanager: str | None = None,
    ) -> None:
        """Choose what it scrapes, by which rules it judges, and whom it tells: an address, or nobody."""
        self._directory = directory
        self._targets = dict(targets)
        self._rule_files = tuple(rule_files)
        self._alertmanager = alertmanager
        self._port = free_port()
        self._process: LoggedProcess | None = None
        self._http = requests.Session()
        # A proxy in the environment must not be asked for this machine's own address.
        self._http.trust_env = False

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.stop()

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def process(self) -> LoggedProcess:
        """The process, the last one after an end."""
        if self._process is None:
            raise LabError("Prometheus is not started")
        return self._process

    def remember(self, openmetrics: str) -> None:
        """Give it a past, before it is started: samples with their times, in the text of OpenMetrics."""
        made_past(openmetrics, self._directory)

    def start(self) -> None:
        """Start it and wait until it is ready; raise `LabError` with its log if it is not."""
        settings = self._directory / "prometheus.yml"
        settings.write_text(yaml.safe_dump(self._settings()))
        command: list[str | Path] = [program("prometheus"), f"--config.file={settings}"]
        command += [f"--storage.tsdb.path={self._data}", f"--web.listen-address=127.0.0.1:{self._port}"]
        # The past of a test may be older than what is kept by default.
        command += ["--storage.tsdb.retention.time=100y", "--enable-feature=exemplar-storage"]
        self._process = LoggedProcess(command, self._directory / "prometheus.log", cwd=self._directory)
        wait_until(lambda: self._ready() or not self.process.alive, READY_SECONDS)
        if not self._ready():
            state = "is not ready" if self.process.alive else f"ended with {self.process.returncode}"
            raise LabError(f"Prometheus {state}; its log ends with:\n{self.process.log_tail()}")

    def stop(self) -> None:
        """End it with SIGTERM."""
        self._http.close()
        if self._process is not None:
            self._process.end(PATIENCE_SECONDS)

    def ask(self, path: str, **parameters: str | int) -> Any:
        """Return the data of an answer of its API; raise `LabError` with what it says is wrong."""
        answer = self._http.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=ASK_SECONDS).json()
        if answer["status"] != "success":
            raise LabError(f"{path} of {parameters}: {answer.get('error')}")
        return answer["data"]

    def query(self, expression: str) -> list[Sample]:
        """Return what an expression is now: labels and value."""
        found = self.ask("query", query=expression)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in found]

    def value(self, expression: str) -> float | None:
        """Return the value of an expression that has one, None where it has not."""
        values = [value for _labels, value in self.query(expression)]
        return values[0] if len(values) == 1 else None

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or firing."""
        alerts: list[dict[str, Any]] = self.ask("alerts")["alerts"]
        return alerts

    def judged_since(self, moment: float) -> bool:
        """Return whether every rule has been evaluated since a moment, in seconds since 1970."""
        groups = self.ask("rules")["groups"]
        times = [datetime.fromisoformat(group["lastEvaluation"]).timestamp() for group in groups]
        return bool(times) and min(times) > moment

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with their state."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    @property
    def _data(self) -> Path:
        return self._directory / DATA

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": [str(file) for file in self._rule_files],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [address]}]}
                for job, address in self._targets.items()
            ],
        }
        if self._alertmanager is not None:
            told = [{"static_configs": [{"targets": [self._alertmanager]}]}]
            settings["alerting"] = {"alertmanagers": told}
        return settings

    def _ready(self) -> bool:
        try:
            return self._http.get(f"{self.url}/-/ready", timeout=5).ok
        except RequestException:
            return False


def made_past(openmetrics: str, directory: Path) -> Path:
    """Make data for a Prometheus from samples with their times; return where they lie."""
    past, data = directory / "past.txt", directory / DATA
    past.write_text(openmetrics)
    command: list[str | Path] = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
    made = subprocess.run([*command, past, data], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise LabError(f"promtool did not take the past: {made.stdout}{made.stderr}")
    return data
