"""A real Alertmanager in a process of its own, with its own data, on this machine's loopback."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from requests.exceptions import RequestException

from tests.lab.errors import LabError
from tests.lab.exporter import free_port
from tests.lab.install import program
from tests.lab.process import LoggedProcess
from tests.lab.wait import wait_until

READY_SECONDS = 60.0
PATIENCE_SECONDS = 20.0


class AlertmanagerProcess:
    """A running Alertmanager, alone; as a context manager it is ready on entry and ended on exit."""

    def __init__(self, directory: Path, settings: Path) -> None:
        """Choose where its data and its log lie, and the file of its settings."""
        self._directory = directory
        self._settings = settings
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
    def address(self) -> str:
        """Where it is served: host and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def process(self) -> LoggedProcess:
        """The process, the last one after an end."""
        if self._process is None:
            raise LabError("Alertmanager is not started")
        return self._process

    def start(self) -> None:
        """Start it and wait until it is ready; raise `LabError` with its log if it is not."""
        command: list[str | Path] = [
            program("prometheus-alertmanager"),
            f"--config.file={self._settings}",
            f"--storage.path={self._directory / 'alertmanager-data'}",
            f"--web.listen-address={self.address}",
            # No cluster: nothing of it listens beyond the loopback.
            "--cluster.listen-address=",
        ]
        self._process = LoggedProcess(command, self._directory / "alertmanager.log", cwd=self._directory)
        wait_until(lambda: self._ready() or not self.process.alive, READY_SECONDS)
        if not self._ready():
            state = "is not ready" if self.process.alive else f"ended with {self.process.returncode}"
            raise LabError(f"Alertmanager {state}; its log ends with:\n{self.process.log_tail()}")

    def stop(self) -> None:
        """End it with SIGTERM."""
        self._http.close()
        if self._process is not None:
            self._process.end(PATIENCE_SECONDS)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it has, with who inhibits them."""
        answer = self._http.get(f"http://{self.address}/api/v2/alerts", timeout=10)
        answer.raise_for_status()
        alerts: list[dict[str, Any]] = answer.json()
        return alerts

    def _ready(self) -> bool:
        try:
            return self._http.get(f"http://{self.address}/-/ready", timeout=5).ok
        except RequestException:
            return False
