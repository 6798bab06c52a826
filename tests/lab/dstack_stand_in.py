"""A stand-in for dstack's runner: a shell that prints what a recorded one has logged, and runs a job."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
from docker.models.containers import Container

from exporter.sources.docker.supervisors.dstack import IS_TASK, TASK_ID
from tests.lab.errors import LabError
from tests.lab.images import BUSYBOX
from tests.lab.wait import wait_until

RECORDINGS = Path(__file__).parents[1] / "recordings" / "dstack"
REMOVED_AFTER_SECONDS = 0.1
"""What lies between dstack's stop of a container and its removal."""

SECONDS = 60.0
_SHARED = "/stand-ins"
# The time of day in hundredths of a second, which a shell without nanoseconds has only since the boot.
_NOW = """now() {
    read -r up rest < /proc/uptime
    now=$((%(boot)s + ${up%%%%.*} * 100 + 1${up#*.} - 100))
    echo "$(date -u -d "@$((now / 100))" +%%Y-%%m-%%dT%%H:%%M:%%S).$(printf %%02d $((now %% 100)))Z"
}"""


class Shared:
    """Folder that stand-ins share with their test: jobs wait at its gates, and note in it that they ended."""

    def __init__(self, folder: Path, *gates: str) -> None:
        """Make it, with closed gates."""
        self.folder = folder
        self.folder.mkdir()
        for gate in gates:
            os.mkfifo(self.folder / gate)

    @contextmanager
    def opened(self, gate: str) -> Iterator[None]:
        """Let all jobs pass a gate, also those that come to it later."""
        writer = os.open(self.folder / gate, os.O_RDWR)
        try:
            yield
        finally:
            os.close(writer)

    def is_over(self, name: str) -> bool:
        """Return whether the runner of that name has logged the end of its job."""
        return (self.folder / name).exists()


def wait_at(gate: str) -> str:
    """Return what a job's shell waits at a gate with."""
    return f": < {_SHARED}/{gate}"


@dataclass(frozen=True)
class StandIn:
    """One task of dstack: what its runner logs is that of a recording, its job a shell script.

    ``code`` is the one that the job's own shell ends with; with any other, no end is logged.
    """

    recording: str
    job: str
    code: int
    replica: int
    task_id: str

    @classmethod
    def new(cls, recording: str, job: str, code: int, replica: int) -> StandIn:
        """Return one with a task id of its own."""
        return cls(recording, job, code, replica, str(uuid4()))

    @property
    def name(self) -> str:
        """Name of its container, as dstack's shim makes it."""
        job = f"{self.recording}-0-{self.replica}"
        return f"{job}-{hashlib.sha256(f'{job}/{self.task_id}'.encode()).hexdigest()[:8]}"

    @property
    def script(self) -> str:
        """What process 1 runs."""
        lines = recorded_lines(self.recording)
        running = next(number for number, line in enumerate(lines, 1) if line.endswith("new=running"))
        return "\n".join(
            [
                _NOW % {"boot": _boot_centiseconds()},
                *map(_logged, lines[:running]),
                f"sh -c {shlex.quote(self.job)} & wait $!",
                f"[ $? = {self.code} ] || exit 11",
                *map(_logged, lines[running:]),
                f": > {_SHARED}/{self.name}",
                "while :; do sleep 600; done",
            ]
        )

    def start(self, client: docker.DockerClient, shared: Shared, **settings: Any) -> Container:
        """Start its container, with further settings."""
        container = client.containers.create(
            BUSYBOX,
            ["sh", "-c", self.script],
            name=self.name,
            labels={IS_TASK: "true", TASK_ID: self.task_id},
            network_mode="none",
            volumes={str(shared.folder): {"bind": _SHARED, "mode": "rw"}},
            **settings,
        )
        container.start()
        return container

    def await_end(self, container: Container, shared: Shared) -> None:
        """Wait until its runner has logged the end of the job."""
        if not wait_until(lambda: shared.is_over(self.name), SECONDS):
            container.reload()
            state, log, processes = container.attrs["State"], container.logs()[-500:], _processes(container)
            raise LabError(f"the runner of {self.name} logs no end: {state}; {log!r}; {processes}")

    def clear_up(self, container: Container, shared: Shared) -> None:
        """Do what dstack's shim does once the server knows of the job's end."""
        self.await_end(container, shared)
        container.stop(timeout=0)
        time.sleep(REMOVED_AFTER_SECONDS)
        container.remove(force=True)


def _processes(container: Container) -> list[str]:
    """Return the processes of a container with what each waits for in the kernel."""
    if container.status != "running":
        return []
    return [
        " ".join(process) for process in container.top(ps_args="-eo pid,ppid,stat,wchan:30,args")["Processes"]
    ]


def recorded_lines(recording: str) -> list[str]:
    """Return what the runner of a recording has logged."""
    text = (RECORDINGS / f"{recording}.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return [line["log"] for line in lines if "log" in line]


def _boot_centiseconds() -> int:
    return int(100 * (time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)))


def _logged(line: str) -> str:
    """Return the command that logs a line with the time at which it does, as a runner does."""
    head, _, rest = line.partition(" ")
    if not head.startswith("time="):
        return f"printf '%s\\n' {shlex.quote(line)}"
    return f"printf 'time=%s %s\\n' \"$(now)\" {shlex.quote(rest)}"
