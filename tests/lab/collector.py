"""A real OTLP collector, rotel, in a process of its own on this machine's loopback."""

import os
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.errors import LabError
from tests.lab.process import LoggedProcess
from tests.lab.wait import wait_until

LOOPBACK = "127.0.0.1"
READY_SECONDS = 30.0
PATIENCE_SECONDS = 10.0
CONNECT_SECONDS = 1.0
SETTINGS_PREFIX = "ROTEL_"


class Collector:
    """A running collector; as a context manager it answers on entry and is ended on exit.

    It takes OTLP over HTTP and over gRPC, and forwards traces and logs by OTLP/HTTP in gzip to a receiver.
    What it is sent arrives unchanged in every field. It accepts before it forwards: what its receiver
    refuses, its client never hears of. It tries again while the receiver refuses connections or replies
    408, 429 or 500 to 504; anything else, a reset connection too, it drops.
    """

    def __init__(
        self, directory: Path, receiver_url: str | None = None, *, arguments: Sequence[str] = ()
    ) -> None:
        """Choose where its log lies and what it forwards to: a URL without a path, or None for nowhere."""
        self._directory = directory
        self._program = program()
        self._exporter = blackhole() if receiver_url is None else forwarding(receiver_url)
        self._arguments = tuple(arguments)
        self._held = [held_port(0), held_port(0)]
        self._http_port, self._grpc_port = (held.getsockname()[1] for held in self._held)
        self._process: LoggedProcess | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it for good."""
        self.close()

    @property
    def http_url(self) -> str:
        """Where it takes OTLP/HTTP, without a path; the same from start to start."""
        return f"http://{LOOPBACK}:{self._http_port}"

    @property
    def grpc_url(self) -> str:
        """Where it takes OTLP/gRPC; the same from start to start."""
        return f"http://{LOOPBACK}:{self._grpc_port}"

    @property
    def log_path(self) -> Path:
        """Its log, through all its starts."""
        return self._directory / "collector.log"

    @property
    def process(self) -> LoggedProcess:
        """The process, the last one after an end."""
        if self._process is None:
            raise LabError("the collector is not started")
        return self._process

    def start(self) -> None:
        """Start it and wait until both ports answer; raise `LabError` with its log if they do not."""
        self._give_ports()
        self._process = LoggedProcess(self._command(), self.log_path, environment=clean_environment())
        wait_until(lambda: self._answers() or not self.process.alive, READY_SECONDS)
        if not self.process.alive or not self._answers():
            state = "does not answer" if self.process.alive else f"ended with {self.process.returncode}"
            raise LabError(f"the collector {state}; its log ends with:\n{self.process.log_tail()}")

    def stop(self) -> None:
        """Have it forward what it has, or try for three seconds, end it, and refuse connections."""
        self.close()
        self._held = [held_port(self._http_port), held_port(self._grpc_port)]

    def kill(self) -> None:
        """Kill it with SIGKILL, with what it has not forwarded."""
        self.process.kill()
        self._give_ports()
        self._held = [held_port(self._http_port), held_port(self._grpc_port)]

    def close(self) -> None:
        """End it and give its ports away."""
        self._give_ports()
        if self._process is not None:
            self._process.end(PATIENCE_SECONDS)

    def _command(self) -> list[str | Path]:
        command: list[str | Path] = [self._program, "start"]
        command += ["--pid-file", self._directory / "collector.pid"]
        command += ["--log-file", self._directory / "collector-daemon.log"]
        command += ["--otlp-http-endpoint", self.http_url.removeprefix("http://")]
        command += ["--otlp-grpc-endpoint", self.grpc_url.removeprefix("http://")]
        return [*command, *self._exporter, *self._arguments]

    def _answers(self) -> bool:
        return listens(self._http_port) and listens(self._grpc_port)

    def _give_ports(self) -> None:
        for held in self._held:
            held.close()


def blackhole() -> list[str]:
    """Give the arguments for a collector that forwards nothing."""
    return ["--exporter", "blackhole"]


def forwarding(receiver_url: str) -> list[str]:
    """Give the arguments for a collector that forwards soon, and soon again what was refused."""
    return [
        *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
        *("--otlp-exporter-endpoint", receiver_url),
        *("--batch-timeout", "20ms"),
        *("--otlp-exporter-retry-initial-backoff", "100ms"),
        *("--otlp-exporter-retry-max-backoff", "1s"),
    ]


def program() -> Path:
    """Return the collector's program, or raise `LabError` if it is not installed."""
    package = find_spec("rotel")
    for place in (package and package.submodule_search_locations) or ():
        return Path(place) / "rotel-agent"
    raise LabError("there is no collector: install the package `rotel`")


def listens(port: int) -> bool:
    """Return whether a port of the loopback takes a connection."""
    try:
        with socket.create_connection((LOOPBACK, port), CONNECT_SECONDS):
            return True
    except OSError:
        return False


def held_port(port: int) -> socket.socket:
    """Bind a port, 0 for any that is free: without listening it refuses, and nobody else is given it."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((LOOPBACK, port))
    return holder


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of the collector: the arguments alone shall count."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_PREFIX)}
