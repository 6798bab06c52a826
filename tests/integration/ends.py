"""Every way for a job to end that the project promises to tell apart, and what must be said of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError
from docker.models.containers import Container

from tests.lab.images import BUSYBOX, PYTHON
from tests.lab.jobs import READY, UNTIL_TOLD, WAIT_FOR_SIGNAL, await_ready, dies_of

MEBIBYTE = 1 << 20
WORKLOAD_LABEL = "exit-exporter.workload"
JOB_LABEL = "com.example.job"
"""A label that a setting makes a source of workloads, before all others."""

HUNGRY = "a=x; while :; do a=$a$a$a; done"
"""A shell that takes memory until it is killed for it."""

HUNGRY_WHEN_TOLD = f"until [ -e /now ]; do sleep 0.05; done; {HUNGRY}"
"""The same once there is a file `/now`: an engine may miss the OOM kill of what has hardly begun."""

Deed = Callable[[docker.DockerClient, Container], None]
Options = Callable[[Path], dict[str, Any]]


@dataclass(frozen=True)
class End:
    """A job, what is done to it, and what every face must then say.

    ``by_id``: its image is given by its id. ``options`` makes what its container is created with beside the
    rest, with files of its own in ``folder``. ``start_error`` is a pattern of the engine's own words about a
    start that failed, ``cause`` how the first of its likely causes begins.
    """

    title: str
    command: Sequence[str]
    status: str
    code: int
    reason: str
    termination: str = "CONTAINER_EXITED_WITH_ERROR"
    image: str = BUSYBOX
    by_id: bool = False
    deed: Deed | None = None
    oom_kills: int = 0
    memory_limit: int | None = None
    name: str = ""
    workload: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    options: Options | None = None
    folder: Path = Path()
    start_error: str = ""
    cause: str = ""

    @property
    def error(self) -> str | None:
        """The text for people."""
        if self.status == "done":
            return None
        return f"JOB_{self.status.upper()} ({self.termination}, exit code: {self.code} - {self.reason})"

    def workload_of(self, *, removed: bool) -> str:
        """The workload of its own under which this job's exits are counted."""
        return self.workload or f"{self.title.replace(' ', '-')}{'-rm' if removed else ''}"

    def container_name(self, *, removed: bool) -> str:
        """What its container is called."""
        named = self.name or self.title.replace(" ", "-")
        return f"{named}-rm" if removed else named

    def run(self, client: docker.DockerClient, *, removed: bool) -> None:
        """Run it, with ``--rm`` or without, and do to it what is to be done."""
        container = client.containers.create(
            str(client.images.get(self.image).id) if self.by_id else self.image,
            list(self.command),
            name=self.container_name(removed=removed),
            labels={WORKLOAD_LABEL: self.workload_of(removed=removed), **self.labels},
            mem_limit=self.memory_limit,
            memswap_limit=self.memory_limit,
            network_mode="none",
            auto_remove=removed,
            **(self.options(self.folder) if self.options else {}),
        )
        try:
            container.start()
        except APIError:
            if self.termination != "CREATING_CONTAINER_ERROR":
                raise
        if self.deed is not None:
            await_ready(container)
            self.deed(client, container)


def _docker_kill(_client: docker.DockerClient, container: Container) -> None:
    container.kill()


def _docker_stop(_client: docker.DockerClient, container: Container) -> None:
    container.stop(timeout=20)


def _docker_stop_in_vain(_client: docker.DockerClient, container: Container) -> None:
    container.stop(timeout=1)


def _kill_from_outside(client: docker.DockerClient, container: Container) -> None:
    os.kill(client.api.inspect_container(str(container.id))["State"]["Pid"], signal.SIGKILL)


def _hang_up(_client: docker.DockerClient, container: Container) -> None:
    container.kill(signal="HUP")


# Bounded, so that a test that fails leaves nothing behind for long.
_DEAF = f"trap '' TERM; echo {READY}; sleep 600"
_EXITS_ON_HANG_UP = f"trap 'exit 3' HUP; echo {READY}; {WAIT_FOR_SIGNAL}"


def _answers_stop_with(code: int) -> str:
    return f"trap 'exit {code}' TERM; echo {READY}; {WAIT_FOR_SIGNAL}"


_OOM_CHILD = f"sh -c '{HUNGRY}'"

ENDS = (
    End(
        "memory limit",
        ("python", "-c", "a = [0] * 2000000000"),
        "failed",
        137,
        "OOMKilled",
        image=PYTHON,
        oom_kills=1,
        memory_limit=96 * MEBIBYTE,
        name="gentle-stingray-1",
    ),
    End("unhandled exception", ("python", "-c", "raise ValueError('x')"), "failed", 1, "Error", image=PYTHON),
    End("exits with 0", ("true",), "done", 0, "Completed", "DONE"),
    End(
        "survives the OOM kill of a child",
        ("sh", "-c", f"{_OOM_CHILD}; exit 0"),
        "done",
        0,
        "Completed",
        "DONE",
        oom_kills=1,
        memory_limit=20 * MEBIBYTE,
    ),
    End(
        "fails after the OOM kill of a child",
        ("sh", "-c", f"{_OOM_CHILD}; exit 1"),
        "failed",
        1,
        "OOMKilled",
        oom_kills=1,
        memory_limit=20 * MEBIBYTE,
    ),
    End(
        "docker kill",
        ("sh", "-c", UNTIL_TOLD),
        "terminated",
        137,
        "Killed",
        "TERMINATED_BY_USER",
        deed=_docker_kill,
    ),
    End(
        "docker stop that times out",
        ("sh", "-c", _DEAF),
        "terminated",
        137,
        "Killed",
        "TERMINATED_BY_USER",
        deed=_docker_stop_in_vain,
    ),
    End("kill -9 from outside", ("sh", "-c", UNTIL_TOLD), "failed", 137, "SIGKILL", deed=_kill_from_outside),
    End(
        "docker stop obeyed",
        ("sh", "-c", UNTIL_TOLD),
        "terminated",
        143,
        "Terminated",
        "TERMINATED_BY_USER",
        deed=_docker_stop,
    ),
    End("HUP then exit 3", ("sh", "-c", _EXITS_ON_HANG_UP), "failed", 3, "Error", deed=_hang_up),
    End(
        "no such command",
        ("no-such-command",),
        "failed",
        127,
        "CommandNotFound",
        "CREATING_CONTAINER_ERROR",
        start_error='exec: "no-such-command": executable file not found',
    ),
    End(
        "not executable",
        ("/not-executable",),
        "failed",
        126,
        "CommandNotExecutable",
        "CREATING_CONTAINER_ERROR",
        start_error='exec: "/not-executable": permission denied',
    ),
    End("segfaults", dies_of("SEGV"), "failed", 139, "SegmentationFault"),
    End("aborts", dies_of("ABRT"), "failed", 134, "Aborted"),
    End("exit 300", ("sh", "-c", "exit 300"), "failed", 44, "Error"),
    End(
        "a label that lies about the code",
        ("sh", "-c", "exit 77"),
        "failed",
        77,
        "NoPermission",
        labels={"exitCode": "0"},
    ),
    End(
        "a code with a word of its own",
        ("sh", "-c", "exit 42"),
        "failed",
        42,
        "CheckpointCorrupt",
        workload="trainer",
    ),
    End("the same code elsewhere", ("sh", "-c", "exit 42"), "failed", 42, "Error"),
    End(
        "stop answered with 0",
        ("sh", "-c", _answers_stop_with(0)),
        "terminated",
        0,
        "Completed",
        "TERMINATED_BY_USER",
        deed=_docker_stop,
    ),
    End(
        "stop answered with 2",
        ("sh", "-c", _answers_stop_with(2)),
        "terminated",
        2,
        "Error",
        "TERMINATED_BY_USER",
        deed=_docker_stop,
    ),
    End("exit 127 at once", ("sh", "-c", "exit 127"), "failed", 127, "CommandNotFound"),
    End("exit 126 at once", ("sh", "-c", "exit 126"), "failed", 126, "CommandNotExecutable"),
    End(
        "exit 127 after 2 s",
        ("sh", "-c", "sleep 2; exit 127"),
        "failed",
        127,
        "Error",
        cause="The last command of a shell script was not found",
    ),
    End(
        "exit 126 after 2 s",
        ("sh", "-c", "sleep 2; exit 126"),
        "failed",
        126,
        "Error",
        cause="The last command of a shell script could not be executed",
    ),
    End(
        "named by a label of the settings",
        ("true",),
        "done",
        0,
        "Completed",
        "DONE",
        workload="nightly",
        labels={JOB_LABEL: "nightly"},
    ),
    End(
        "a workload label of blanks",
        ("sh", "-c", "exit 53"),
        "failed",
        53,
        "Error",
        workload="busybox",
        labels={WORKLOAD_LABEL: " \t "},
    ),
    End(
        "a workload label that reads backwards",
        ("true",),
        "done",
        0,
        "Completed",
        "DONE",
        workload="pay\ufffdroll\ufffd",
        labels={WORKLOAD_LABEL: "pay\u202eroll\u200b"},
    ),
    End(
        "started by the id of its image",
        ("python", "-c", "raise SystemExit(4)"),
        "failed",
        4,
        "Error",
        image=PYTHON,
        by_id=True,
        workload="python",
        labels={WORKLOAD_LABEL: ""},
    ),
    End(
        "a one-off run of Compose",
        ("true",),
        "done",
        0,
        "Completed",
        "DONE",
        workload="shop/web (run)",
        labels={
            WORKLOAD_LABEL: "",
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": "web",
            "com.docker.compose.oneoff": "True",
        },
    ),
)

CATALOGUE = """\
reasons:
  CheckpointCorrupt:
    meaning: The checkpoint that the run was to go on from cannot be read.
    recovery: fix-command
workloads:
  trainer:
    42: CheckpointCorrupt
"""
