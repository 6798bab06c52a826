"""Real jobs that end in every usual way, as data: an image, a command, and an action."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import docker
from docker.errors import APIError
from docker.models.containers import Container

from tests.lab.errors import LabError
from tests.lab.images import BUSYBOX, PYTHON
from tests.lab.wait import wait_until

READY = "ready"
READY_SECONDS = 30.0
MEBIBYTE = 1 << 20
LABEL = "exit-exporter.lab"
"""Label of every container of the lab, which must not remove other containers of an engine."""


def kill(container: Container) -> None:
    """Do what `docker kill` does."""
    container.kill()


def stop(container: Container) -> None:
    """Do what `docker stop` does, with its default timeout."""
    container.stop()


@dataclass(frozen=True, slots=True)
class LabJob:
    """Job of the lab: how to run it, and how it ends.

    `then` is called when it has written a line `ready`; `starts` is false for one
    that the engine cannot start.
    """

    name: str
    image: str
    command: Sequence[str]
    code: int
    memory_limit: int | None = None
    then: Callable[[Container], None] | None = None
    starts: bool = True

    def create(self, client: docker.DockerClient, name: str, run: str = "") -> Container:
        """Create its container under this name, not started yet; `run` is the value of `LABEL`."""
        return client.containers.create(
            self.image,
            list(self.command),
            name=name,
            labels={LABEL: run},
            mem_limit=self.memory_limit,
            network_mode="none",
        )

    def start(self, container: Container) -> None:
        """Start it and call its action, without waiting for its exit."""
        try:
            container.start()
        except APIError:
            if self.starts:
                raise
        if self.then is not None:
            await_ready(container)
            self.then(container)


def await_ready(container: Container) -> None:
    """Wait until the job says it is ready: a signal sent before its trap is set would be lost."""
    if not wait_until(lambda: READY in container.logs().decode(errors="replace").split(), READY_SECONDS):
        raise LabError(f"the job {container.name} never got ready: {container.logs()[-500:]!r}")


WAIT_FOR_SIGNAL = "while :; do sleep 1 & wait; done"
"""A shell waits for a signal that it traps: a trap can interrupt `wait`, but no sleep in the foreground.

A signal that comes just before it waits is not seen before the wait is over, so that this is short.
"""

UNTIL_TOLD = f"trap 'exit 143' TERM; echo {READY}; {WAIT_FOR_SIGNAL}"
"""Exits at `docker stop`."""


def dies_of(signal_name: str) -> tuple[str, ...]:
    """Return a command for `BUSYBOX` that ends as if a signal (`SEGV`) had killed it.

    It takes a child: the kernel spares the first process of a container from signals of its
    own, so that `kill -SEGV $$` there does nothing.
    """
    return ("sh", "-c", f"sh -c 'kill -{signal_name} $$'; exit $?")


DEMO_JOBS = (
    LabJob(
        "gentle-stingray", PYTHON, ("python", "-c", "a = [0] * 2000000000"), 137, memory_limit=96 * MEBIBYTE
    ),
    LabJob("puzzled-heron", PYTHON, ("python", "-c", "{}['checkpoint']"), 1),
    LabJob("calm-otter", BUSYBOX, ("sh", "-c", "echo done"), 0),
    LabJob("stubborn-badger", BUSYBOX, ("sh", "-c", UNTIL_TOLD), 137, then=kill),
    LabJob("polite-puffin", BUSYBOX, ("sh", "-c", UNTIL_TOLD), 143, then=stop),
    LabJob("lost-lemur", BUSYBOX, ("trian", "--epochs", "3"), 127, starts=False),
    # Unlike a signal that is sent, a real fault also ends a container's first process.
    LabJob("clumsy-crane", PYTHON, ("python", "-c", "import ctypes; ctypes.string_at(0)"), 139),
)
