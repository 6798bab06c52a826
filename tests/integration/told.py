"""A job that ends, and what each face must say of it, in words too: a row of a table of ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.models.containers import Container

from tests.integration import faces
from tests.integration.ends import End
from tests.lab.exporter import ExporterProcess
from tests.lab.jobs import await_ready
from tests.lab.wait import wait_until

GO = "/go"
PREPARE_TO_WAIT = f"mkfifo {GO}"
WAIT = f"read _ < {GO}"
UNTIL_GO = f"{PREPARE_TO_WAIT}; {WAIT}"
"""A shell waits for `let_go`, and takes no memory meanwhile: who does may be killed for what another took."""
SECONDS = 20.0


@dataclass(frozen=True)
class Told(End):
    """An end with its container's own settings (``config``) and its host's (``host``).

    ``limit_at_end`` is its memory limit then, where that is another than at its beginning. ``says`` are
    patterns of what is shown of it; ``log_says`` of what only the kernel's log tells.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    limit_at_end: int | None = None
    recovery: str = "none"
    says: tuple[str, ...] = ()
    log_says: tuple[str, ...] = ()

    def run(self, client: docker.DockerClient, *, removed: bool) -> None:
        """Run it, with ``--rm`` or without, and do to it what is to be done."""
        container = self.started(client, removed=removed)
        if self.deed is not None:
            await_ready(container)
            self.deed(client, container)

    def started(self, client: docker.DockerClient, *, removed: bool) -> Container:
        """Start it."""
        limits = {"mem_limit": self.memory_limit, "memswap_limit": self.memory_limit}
        host = {"network_mode": "none", "auto_remove": removed, **limits, **self.host}
        created = client.api.create_container(
            self.image,
            list(self.command),
            name=self.container_name(removed=removed),
            labels={"exit-exporter.workload": self.workload_of(removed=removed), **self.labels},
            host_config=client.api.create_host_config(**host),
            **self.config,
        )
        container = client.containers.get(created["Id"])
        container.start()
        return container

    def is_said(self, exporter: ExporterProcess, *, removed: bool, has_log: bool = True) -> None:
        """Hold every face of an exporter against the truth."""
        name = self.container_name(removed=removed)
        job = awaited_end(exporter, name)
        assert self._true_job() == {key: job[key] for key in self._true_job()}, job
        row = faces.rows(faces.printed(exporter, "ps", "-a", "-v"))[name]
        error = faces.error_cell(self.status, self.error, self.oom_kills)
        assert (row["STATUS"], row["ERROR"]) == (self.status, error)
        sheet = faces.sheet(exporter, name)
        wanted = [*self.says, *(self.log_says if has_log else ())]
        assert [pattern for pattern in wanted if not re.search(pattern, sheet)] == [], sheet
        workload = self.workload_of(removed=removed)
        assert faces.exits(exporter, workload) == {(self.status, str(self.code), self.reason): 1}
        assert counted_oom_kills(exporter, workload) == self.oom_kills

    def _true_job(self) -> dict[str, object]:
        return {
            "status": self.status,
            "container_exit_code": self.code,
            "reason": self.reason,
            "termination": self.termination,
            "error": self.error,
            "recovery": self.recovery,
            "oom_kills": self.oom_kills,
            "memory_limit_bytes": self.limit_at_end or self.memory_limit,
        }


def let_go(container: Container) -> None:
    """Let it go on that waits with ``UNTIL_GO``."""
    container.exec_run(["sh", "-c", f"echo > {GO}"])


def ended(exporter: ExporterProcess) -> dict[str, dict[str, Any]]:
    """The jobs that have ended, by name."""
    return {job["name"]: job for job in exporter.jobs() if job["status"] != "running"}


def awaited_end(exporter: ExporterProcess, name: str) -> dict[str, Any]:
    """The job of that container once it has ended."""
    assert wait_until(lambda: name in ended(exporter), SECONDS), exporter.log_path.read_text()
    return ended(exporter)[name]


def counted_oom_kills(exporter: ExporterProcess, workload: str) -> float:
    """How many OOM kills are counted for a workload."""
    counted = faces.samples(exporter, "container_oom_kills_total").items()
    return sum(value for labels, value in counted if dict(labels)["workload"] == workload)
