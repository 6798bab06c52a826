"""A real OTLP collector, rotel, in a process of its own on this machine's loopback."""

import os
import socket
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.errors import LabError
from tests.lab.process import LoggedProcess
from tests.lab.wait import wait_until

LOOPBACK = "127.0.0.1"
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
CONNECT_SECONDS = 1.0
SETTINGS_PREFIX = "ROTEL_"


class Collector:
    """Collector process; as a context manager it accepts requests on entry and is stopped on exit.

    It accepts OTLP over HTTP and over gRPC, and forwards traces and logs unchanged over OTLP/HTTP with gzip
    to a receiver. It accepts a request before it forwards it, so its client does not see errors of the
    receiver. It retries while the receiver refuses connections or replies 408, 429 or 500 to 504. After any
    other error, also a reset connection, it drops the request.
    """

    def __init__(self, directory: Path, receiver_url: str | None = None) -> None:
        """Set the directory of its log and the receiver: a URL without a path, or None to forward nothing."""
        self._directory = directory
        self._program = program()
        self._exporter = blackhole() if receiver_url is None else forwarding(receiver_url)
        self._held = [held_port(0), held_port(0)]
        self._http_port, self._grpc_port = (held.getsockname()[1] for held in self._held)
        self._process: LoggedProcess | None = None

    def __enter__(self) -> Self:
        """Start it and wait until both ports accept connections."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.close()

    @property
    def http_url(self) -> str:
        """URL for OTLP/HTTP, without a path; it does not change between starts."""
        return f"http://{LOOPBACK}:{self._http_port}"

    @property
    def grpc_url(self) -> str:
        """URL for OTLP/gRPC; it does not change between starts."""
        return f"http://{LOOPBACK}:{self._grpc_port}"

    @property
    def log_path(self) -> Path:
        """Path of its log, which continues from start to start."""
        return self._directory / "collector.log"

    @property
    def process(self) -> LoggedProcess:
        """Running process, or the last one if it is stopped."""
        if self._process is None:
            raise LabError("the collector is not started")
        return self._process

    def start(self) -> None:
        """Start it and wait until both ports accept connections; otherwise raise `LabError` with its log."""
        self._release_ports()
        self._process = LoggedProcess(self._command(), self.log_path, environment=clean_environment())
        wait_until(lambda: self._accepts() or not self.process.alive, READY_SECONDS)
        if not self.process.alive or not self._accepts():
            alive, code = self.process.alive, self.process.returncode
            state = "accepts no connections" if alive else f"ended with {code}"
            raise LabError(f"the collector {state}; its log ends with:\n{self.process.log_tail()}")

    def stop(self) -> None:
        """Let it forward what it has, for up to three seconds; stop it; keep its ports reserved."""
        self.close()
        self._held = [held_port(self._http_port), held_port(self._grpc_port)]

    def kill(self) -> None:
        """Kill it with SIGKILL; what it has not forwarded is lost."""
        self.process.kill()
        self._release_ports()
        self._held = [held_port(self._http_port), held_port(self._grpc_port)]

    def close(self) -> None:
        """Stop it and release its ports."""
        self._release_ports()
        if self._process is not None:
            self._process.end(STOP_SECONDS)

    def _command(self) -> list[str | Path]:
        command: list[str | Path] = [self._program, "start"]
        command += ["--pid-file", self._directory / "collector.pid"]
        command += ["--log-file", self._directory / "collector-daemon.log"]
        command += ["--otlp-http-endpoint", self.http_url.removeprefix("http://")]
        command += ["--otlp-grpc-endpoint", self.grpc_url.removeprefix("http://")]
        return [*command, *self._exporter]

    def _accepts(self) -> bool:
        return listens(self._http_port) and listens(self._grpc_port)

    def _release_ports(self) -> None:
        for held in self._held:
            held.close()


def blackhole() -> list[str]:
    """Return the arguments for a collector that forwards nothing."""
    return ["--exporter", "blackhole"]


def forwarding(receiver_url: str) -> list[str]:
    """Return the arguments for a collector that forwards and retries within a second."""
    return [
        *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
        *("--otlp-exporter-endpoint", receiver_url),
        *("--batch-timeout", "20ms"),
        *("--otlp-exporter-retry-initial-backoff", "100ms"),
        *("--otlp-exporter-retry-max-backoff", "1s"),
    ]


def program() -> Path:
    """Return the path of the collector's program; raise `LabError` if it is not installed."""
    package = find_spec("rotel")
    for place in (package and package.submodule_search_locations) or ():
        return Path(place) / "rotel-agent"
    raise LabError("there is no collector: install the package `rotel`")


def listens(port: int) -> bool:
    """Return whether a port of the loopback accepts a connection."""
    try:
        with socket.create_connection((LOOPBACK, port), CONNECT_SECONDS):
            return True
    except OSError:
        return False


def held_port(port: int) -> socket.socket:
    """Bind a port without listening, 0 for any free one. It refuses connections and stays reserved."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((LOOPBACK, port))
    return holder


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of the collector, so that only the arguments apply."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_PREFIX)}
