"""HTTP server in a process of its own on this machine's loopback."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import requests
from requests.exceptions import RequestException

from tests.lab.errors import LabError
from tests.lab.process import LoggedProcess
from tests.lab.wait import wait_until

LOOPBACK = "127.0.0.1"
READY_SECONDS = 60.0
PATIENCE_SECONDS = 20.0


class Server(ABC):
    """Server process; as a context manager it is ready on entry and stopped on exit."""

    name: ClassVar[str]
    """How it is called in messages, and its log in its directory."""

    patience_seconds: ClassVar[float] = 10.0
    """How long an answer may take."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        """Set the directory of its data and log; port 0 means any free port."""
        self._directory = directory
        self._port = port or free_port()
        self._process: LoggedProcess | None = None
        self._http = requests.Session()
        # A proxy in the environment must not be used for this machine's own address.
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
    def address(self) -> str:
        """Host and port on which it listens."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://{self.address}"

    @property
    def log_path(self) -> Path:
        """Path of its log, which continues from start to start."""
        return self._directory / f"{self.name}.log"

    @property
    def process(self) -> LoggedProcess:
        """Running process, or the last one if it is stopped."""
        if self._process is None:
            raise LabError(f"{self.name} is not started")
        return self._process

    def start(self) -> None:
        """Start it without waiting; after a stop, with the same data and address."""
        self._process = LoggedProcess(self._command(), self.log_path, environment=self._variables())

    def await_ready(self) -> None:
        """Wait until `/-/ready` succeeds; otherwise raise `LabError` with its last response and its log."""
        wait_until(lambda: self.ready() or not self.process.alive, READY_SECONDS)
        if not self.ready():
            raise LabError(f"{self.name} {self._state()}; its log ends with:\n{self.process.log_tail()}")

    def stop(self) -> int | None:
        """Stop it with SIGTERM; return its exit code, or None if it was never started."""
        self._http.close()
        return None if self._process is None else self._process.end(PATIENCE_SECONDS)

    def get(self, path: str, *, accept: str = "*/*", **parameters: str | int) -> requests.Response:
        """Send a GET request for a path, with query parameters."""
        return self._asked(path, parameters, {"Accept": accept})

    def json(self, path: str, **parameters: str | int) -> Any:
        """Return the JSON of a successful response."""
        answer = self._asked(path, parameters, {})
        answer.raise_for_status()
        return answer.json()

    def ready(self) -> bool:
        """Return whether it reports that it is ready."""
        try:
            return self.get("/-/ready").ok
        except RequestException:
            return False

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """The program with its arguments."""

    def _variables(self) -> Mapping[str, str] | None:
        """Its environment; None means that of this process."""
        return None

    def _asked(
        self, path: str, parameters: Mapping[str, str | int], headers: Mapping[str, str]
    ) -> requests.Response:
        url, patience = self.url + path, self.patience_seconds
        return self._http.get(url, params=parameters, headers=headers, timeout=patience)

    def _posted(self, path: str, document: object) -> None:
        self._http.post(self.url + path, json=document, timeout=self.patience_seconds).raise_for_status()

    def _state(self) -> str:
        if not self.process.alive:
            return f"ended with {self.process.returncode}"
        try:
            return f"is not ready: {self.get('/-/ready').text}"
        except RequestException as error:
            return f"does not answer: {error}"


def free_port(wanted: int = 0) -> int:
    """Return `wanted` if it is free on this machine's loopback, else a port that is."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, wanted))
        except OSError:
            listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
