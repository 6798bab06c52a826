"""The exporter as its users start it: a process of its own, asked over HTTP."""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from requests.exceptions import RequestException

from tests.lab.errors import LabError
from tests.lab.process import LoggedProcess
from tests.lab.wait import wait_until

DEFAULT_PORT = 10137
READY_SECONDS = 60.0
PATIENCE_SECONDS = 20.0
SETTINGS_PREFIXES = ("EXIT_EXPORTER_", "OTEL_")


class ExporterProcess:
    """A running `exit-exporter serve`; as a context manager it is ready on entry and ended on exit."""

    def __init__(
        self,
        engine_url: str,
        directory: Path,
        *,
        port: int = 0,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Choose what to watch and where its store and log lie; port 0 is any that is free.

        `environment` has variables beside those of this process.
        """
        self._environment = dict(environment or {})
        self._engine_url = engine_url
        self._directory = directory
        self._port = port or free_port()
        self._arguments = tuple(arguments)
        self._process: LoggedProcess | None = None
        self._http = requests.Session()
        # A proxy in the environment must not be asked for this machine's own address.
        self._http.trust_env = False

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        try:
            self.start()
            self.await_ready()
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
    def storage_url(self) -> str:
        """Its store."""
        return f"sqlite:///{self._directory / 'exit-exporter.db'}"

    @property
    def log_path(self) -> Path:
        """Its log, through all its starts."""
        return self._directory / "exit-exporter.log"

    @property
    def process(self) -> LoggedProcess:
        """The process, the last one after an end."""
        if self._process is None:
            raise LabError("the exporter is not started")
        return self._process

    def start(self) -> None:
        """Start it, without waiting; after an end, over the same store and at the same address."""
        command = [sys.executable, "-m", "exporter", "serve", "--docker.host", self._engine_url]
        command += ["--web.listen-address", self.url.removeprefix("http://")]
        command += ["--storage.url", self.storage_url, *self._arguments]
        self._process = LoggedProcess(
            command, self.log_path, environment=clean_environment() | self._environment
        )

    def await_ready(self) -> None:
        """Wait until `/-/ready` says so; raise `LabError` with what it said last and its log."""
        wait_until(lambda: self._ready() or not self.process.alive, READY_SECONDS)
        if not self._ready():
            raise LabError(f"the exporter {self._state()}; its log ends with:\n{self.process.log_tail()}")

    def stop(self) -> int | None:
        """End it with SIGTERM; return its exit code, or None if it was never started."""
        self._http.close()
        return None if self._process is None else self._process.end(PATIENCE_SECONDS)

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would."""
        self.process.kill()

    def reload(self) -> None:
        """Have it read its catalogue again (SIGHUP)."""
        self.process.send(signal.SIGHUP)

    def get(self, path: str, *, accept: str = "*/*", **parameters: str | int) -> requests.Response:
        """Ask for a path, with query parameters."""
        return self._http.get(self.url + path, params=parameters, headers={"Accept": accept}, timeout=10)

    def jobs(self, **parameters: str | int) -> list[dict[str, Any]]:
        """Return the jobs of the API, of all its pages, newest first."""
        jobs: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self._page(parameters | ({"cursor": cursor} if cursor else {}))
            jobs += page["jobs"]
            cursor = page["next_cursor"]
        return jobs

    def _page(self, parameters: dict[str, str | int]) -> dict[str, Any]:
        answer = self._http.get(f"{self.url}/api/v1/jobs", params=parameters, timeout=10)
        answer.raise_for_status()
        page: dict[str, Any] = answer.json()
        return page

    def _ready(self) -> bool:
        try:
            return self.get("/-/ready").ok
        except RequestException:
            return False

    def _state(self) -> str:
        if not self.process.alive:
            return f"ended with {self.process.returncode}"
        try:
            return f"is not ready: {self.get('/-/ready').text}"
        except RequestException as error:
            return f"does not answer: {error}"


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of the exporter: the arguments alone shall count."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_PREFIXES)}


def free_port(wanted: int = 0) -> int:
    """Return `wanted` if it is free on this machine's loopback, else a port that is."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
        except OSError:
            listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
