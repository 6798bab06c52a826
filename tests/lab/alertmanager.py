"""A real Alertmanager in a process of its own, with its own data, on this machine's loopback."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab.install import program
from tests.lab.server import Server


class AlertmanagerProcess(Server):
    """Alertmanager process without a cluster."""

    name = "alertmanager"

    def __init__(self, directory: Path, settings: Path) -> None:
        """Set the directory of its data and log, and its configuration file."""
        super().__init__(directory)
        self._settings = settings

    def alerts(self) -> list[dict[str, Any]]:
        """Return its alerts, each with the alerts that inhibit it."""
        alerts: list[dict[str, Any]] = self.json("/api/v2/alerts")
        return alerts

    def tell(self, *alerts: Mapping[str, str]) -> None:
        """Send firing alerts with these labels."""
        self._posted("/api/v2/alerts", [{"labels": labels} for labels in alerts])

    def _command(self) -> list[str | Path]:
        return [
            program("prometheus-alertmanager"),
            f"--config.file={self._settings}",
            f"--storage.path={self._directory / 'alertmanager-data'}",
            f"--web.listen-address={self.address}",
            # No cluster: nothing listens beyond the loopback.
            "--cluster.listen-address=",
        ]
