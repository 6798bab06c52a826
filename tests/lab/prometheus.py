"""A real Prometheus in a process of its own, with its own data, on this machine's loopback."""

import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.lab.errors import LabError
from tests.lab.install import program
from tests.lab.server import Server

INTERVAL = "1s"
DATA = "prometheus-data"

Sample = tuple[dict[str, str], float]


class PrometheusProcess(Server):
    """Prometheus process.

    It scrapes and evaluates every `interval`. `targets` are addresses by the job that they belong to.
    `programs` is the folder of another version than Debian's, such as that of `prometheus_3()`. `scrape` has
    further settings of each scrape, such as a scheme.
    """

    name = "prometheus"
    patience_seconds = 60.0

    def __init__(  # noqa: PLR0913  # each is a thing of its own
        self,
        directory: Path,
        *,
        targets: Mapping[str, str],
        rule_files: Sequence[Path] = (),
        alertmanager: str | None = None,
        programs: Path | None = None,
        interval: str = INTERVAL,
        scrape: Mapping[str, Any] | None = None,
    ) -> None:
        """Set its targets, its rules, and the address of an Alertmanager, or none."""
        super().__init__(directory)
        self._targets = dict(targets)
        self._rule_files = tuple(rule_files)
        self._alertmanager = alertmanager
        self._programs = programs
        self._interval = interval
        self._scrape = dict(scrape or {})

    def remember(self, openmetrics: str) -> None:
        """Add a history before the start: samples with timestamps in OpenMetrics text."""
        made_past(openmetrics, self._directory)

    def ask(self, path: str, **parameters: str | int) -> Any:
        """Return the data of an API response; raise `LabError` with its error."""
        answer = self._asked(f"/api/v1/{path}", parameters, {}).json()
        if answer["status"] != "success":
            raise LabError(f"{path} of {parameters}: {answer.get('error')}")
        return answer["data"]

    def query(self, expression: str) -> list[Sample]:
        """Return the current result of an expression: labels and values."""
        found = self.ask("query", query=expression)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in found]

    def value(self, expression: str) -> float | None:
        """Return the single value of an expression, None if there is none."""
        values = [value for _labels, value in self.query(expression)]
        return values[0] if len(values) == 1 else None

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or firing."""
        alerts: list[dict[str, Any]] = self.ask("alerts")["alerts"]
        return alerts

    def judged_since(self, moment: float) -> bool:
        """Return whether every rule was evaluated after a time in seconds since 1970."""
        groups = self.ask("rules")["groups"]
        times = [datetime.fromisoformat(group["lastEvaluation"]).timestamp() for group in groups]
        return bool(times) and min(times) > moment

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with their state."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def _command(self) -> list[str | Path]:
        settings = self._directory / "prometheus.yml"
        settings.write_text(yaml.safe_dump(self._settings()))
        return [
            program("prometheus", self._programs),
            f"--config.file={settings}",
            f"--storage.tsdb.path={self._directory / DATA}",
            f"--web.listen-address={self.address}",
            # The history of a test may be older than the default retention.
            "--storage.tsdb.retention.time=100y",
            "--enable-feature=exemplar-storage",
        ]

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "global": {"scrape_interval": self._interval, "evaluation_interval": self._interval},
            "rule_files": [str(file) for file in self._rule_files],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [address]}], **self._scrape}
                for job, address in self._targets.items()
            ],
        }
        if self._alertmanager is not None:
            managers = [{"static_configs": [{"targets": [self._alertmanager]}]}]
            settings["alerting"] = {"alertmanagers": managers}
        return settings


def judge_past(directory: Path, rules: Sequence[Mapping[str, Any]], start: int, end: int) -> None:
    """Write what recording rules would have recorded, each minute, to the data of a Prometheus.

    The rules must be independent of one another: what some build on must have been written before.
    """
    file = directory / "judging.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "past", "interval": "1m", "rules": list(rules)}]}))
    with PrometheusProcess(directory, targets={}) as prometheus:
        _promtool(
            ["create-blocks-from", "rules", f"--start={start}", f"--end={end}", f"--url={prometheus.url}"],
            [f"--output-dir={directory / DATA}", file],
        )


def made_past(openmetrics: str, directory: Path) -> Path:
    """Write Prometheus data from samples with timestamps; return its directory."""
    past, data = directory / "past.txt", directory / DATA
    past.write_text(openmetrics)
    _promtool(["create-blocks-from", "openmetrics"], [past, data])
    return data


def _promtool(what: Sequence[str], arguments: Sequence[str | Path]) -> None:
    command = [program("promtool"), "tsdb", *what, *arguments]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise LabError(f"promtool did not take the past: {made.stdout}{made.stderr}")
