"""A real Alertmanager in a process of its own, with its own data, on this machine's loopback."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab.install import program
from tests.lab.server import Server


class AlertmanagerProcess(Server):
    """A running Alertmanager, alone."""

    name = "alertmanager"

    def __init__(self, directory: Path, settings: Path) -> None:
        """Choose where its data and its log lie, and the file of its settings."""
        super().__init__(directory)
        self._settings = settings

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it has, with who inhibits them."""
        alerts: list[dict[str, Any]] = self.json("/api/v2/alerts")
        return alerts

    def tell(self, *alerts: Mapping[str, str]) -> None:
        """Have alerts with these labels fire."""
        self._posted("/api/v2/alerts", [{"labels": labels} for labels in alerts])

    def _command(self) -> list[str | Path]:
        return [
            program("prometheus-alertmanager"),
            f"--config.file={self._settings}",
            f"--storage.path={self._directory / 'alertmanager-data'}",
            f"--web.listen-address={self.address}",
            # No cluster: nothing of it listens beyond the loopback.
            "--cluster.listen-address=",
        ]
