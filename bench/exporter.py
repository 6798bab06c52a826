"""Exporter as users start it, in a process of its own; its memory is measured by the kernel."""

import http.client
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from tests.lab.exporter import clean_environment
from tests.lab.process import LoggedProcess
from tests.lab.server import free_port
from tests.lab.wait import wait_until

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
PAGE = 500
MEGABYTE = 10**6
EXITS = "container_exits_total"
COMMITS = "exit_exporter_store_commit_duration_seconds_count"
PROMETHEUS_ACCEPTS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""``Accept`` header of Prometheus 3 by default."""

WITHOUT_SSH = "import sys; sys.modules['paramiko'] = None; from exporter.cli import main; main()"
"""Start as in an installation without the extra ``ssh``: paramiko cannot be imported."""


class BenchError(Exception):
    """Failure of a benchmark, so that it has no valid result."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """Answer to a scrape: its duration in seconds, and its body as received."""

    seconds: float
    body: bytes


class Exporter:
    """Running exporter; as a context manager it is ready on entry and ended on exit.

    ``variables`` are added to the environment of this process.
    """

    def __init__(
        self,
        engine_url: str | Sequence[str],
        directory: Path,
        *,
        with_ssh: bool = True,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = clean_environment() | dict(variables or {})
        self._log = directory / "exporter.log"
        self._port = free_port()
        start = ["-m", "exporter"] if with_ssh else ["-c", WITHOUT_SSH]
        urls = [engine_url] if isinstance(engine_url, str) else engine_url
        self._command = [sys.executable, *start, "serve"]
        self._command += [word for url in urls for word in ("--docker.host", url)]
        self._command += ["--web.listen-address", f"127.0.0.1:{self._port}"]
        self._command += ["--storage.url", f"sqlite:///{directory / 'exits.db'}"]
        self._http = http.client.HTTPConnection("127.0.0.1", self._port, timeout=READY_SECONDS)
        self._process: LoggedProcess | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        self._process = LoggedProcess(self._command, self._log, environment=self._environment)
        try:
            self._await_ready(self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it. Raises BenchError if it ends with an error."""
        code = self._stop()
        if error is None and code != 0:
            raise BenchError(f"the exporter ended with {code}; see {self._log}")

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def resident(self) -> float:
        """Current resident memory in MB."""
        return self._memory("VmRSS")

    @property
    def peak(self) -> float:
        """Highest resident memory so far in MB."""
        return self._memory("VmHWM")

    def idle_share(self, seconds: float) -> float:
        """Return the share of a core that it uses in some seconds in which nothing is asked of it."""
        used, begun = self.cpu_seconds, time.perf_counter()
        time.sleep(seconds)
        return (self.cpu_seconds - used) / (time.perf_counter() - begun)

    @property
    def threads(self) -> int:
        """Number of its threads now."""
        return int(self._status("Threads"))

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all its threads in seconds, those that have ended included."""
        # The kernel's clock of another process: clock_getcpuclockid(3), which Python does not have.
        return time.clock_gettime((~self._pid << 3) | 2)

    def scrape(self, *, compressed: bool = False) -> Scrape:
        """Scrape the metrics as Prometheus does, over a connection that stays open."""
        headers = {"Accept": PROMETHEUS_ACCEPTS} | ({"Accept-Encoding": "gzip"} if compressed else {})
        begun = time.perf_counter()
        body = self._get("/metrics", headers)
        return Scrape(time.perf_counter() - begun, body)

    def series(self, name: str) -> str:
        """Return the series of one metric as plain text."""
        return self._get(f"/metrics?{urlencode({'name[]': name})}", {}).decode()

    def exits(self) -> int:
        """Return the number of exits in the counter."""
        return int(sum_of(self.series(EXITS), EXITS))

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs in the API, from all pages."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.page({"limit": PAGE} | ({"cursor": cursor} if cursor else {}))
            found += page["jobs"]
            cursor = page["next_cursor"]
        return found

    def page(self, query: Mapping[str, str | int]) -> dict[str, Any]:
        """Return a page of jobs in the API."""
        page: dict[str, Any] = json.loads(self.get(f"/api/v1/jobs?{urlencode(query)}"))
        return page

    def get(self, path: str) -> bytes:
        """Return the body of a path."""
        return self._get(path, {})

    @property
    def _pid(self) -> int:
        if self._process is None:
            raise BenchError("the exporter is not started")
        return self._process.pid

    def _memory(self, field: str) -> float:
        return int(self._status(field).removesuffix(" kB")) * 1024 / MEGABYTE

    def _status(self, field: str) -> str:
        status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii")
        found = re.search(rf"^{field}:\s+(.+)$", status, re.MULTILINE)
        if found is None:
            raise BenchError(f"the kernel does not show {field} of the exporter")
        return found[1]

    def _get(self, path: str, headers: dict[str, str]) -> bytes:
        try:
            answer = self._ask(path, headers)
        except http.client.RemoteDisconnected:
            # It closes a connection that was idle.
            self._http.close()
            answer = self._ask(path, headers)
        body = answer.read()
        if answer.status != http.client.OK:
            raise BenchError(f"{path}: HTTP {answer.status}: {body[:500]!r}")
        return body

    def _ask(self, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        self._http.request("GET", path, headers=headers)
        return self._http.getresponse()

    def _await_ready(self, process: LoggedProcess) -> None:
        if not wait_until(lambda: self._ready() or not process.alive, READY_SECONDS) or not process.alive:
            raise BenchError(f"the exporter did not get ready; its log:\n{process.log_tail()}")

    def _ready(self) -> bool:
        try:
            self._get("/-/ready", {})
        except (OSError, http.client.HTTPException, BenchError):
            self._http.close()
            return False
        return True

    def _stop(self) -> int | None:
        self._http.close()
        return None if self._process is None else self._process.end(STOP_SECONDS)


def sum_of(exposition: str, name: str) -> float:
    """Return the sum of all series of a name, with or without labels; exemplars do not count."""
    mine = (line for line in exposition.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return sum(float(line.partition(" # ")[0].rpartition(" ")[2]) for line in mine)
