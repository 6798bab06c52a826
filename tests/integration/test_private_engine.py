"""The lab's engines take every blow that the tests deal them, go on, and leave nothing on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.lab.cgroups import cgroup_directories
from tests.lab.engine import PrivateEngine, shim_addresses
from tests.lab.images import BUSYBOX, import_busybox
from tests.lab.kinds import AT_HAND, new_engine
from tests.lab.mounts import mount_points
from tests.lab.orphans import engine_processes
from tests.lab.wait import wait_until

SECONDS = 30


@pytest.fixture(params=AT_HAND)
def own(request: pytest.FixtureRequest) -> Iterator[PrivateEngine]:
    """An engine that is hit, of each kind."""
    with new_engine(request.param) as private:
        import_busybox(private.client())
        yield private


def sleeper(engine: PrivateEngine) -> Container:
    """A job that runs until the engine is told to end, and no longer than that."""
    return engine.client().containers.run(
        BUSYBOX, ["sleep", "600"], network_mode="none", stop_signal="SIGKILL", detach=True
    )


def code(engine: PrivateEngine, container: Container) -> int | None:
    state = engine.client().api.inspect_container(str(container.id))["State"]
    return None if state["Running"] else int(state["ExitCode"])


def shim_sockets(engine: PrivateEngine) -> list[Path]:
    """Where the shims of its containers listen: in a directory that all engines of a host share."""
    return [Path(each.removeprefix("unix://")) for each in shim_addresses(engine.root / "containerd-state")]


def test_it_goes_on_after_a_kill_a_crash_and_an_end_and_leaves_nothing(own: PrivateEngine) -> None:
    own.kill()
    own.start()
    crashed = sleeper(own)
    own.crash()
    own.start()
    assert wait_until(lambda: code(own, crashed) is not None, SECONDS)
    ended = sleeper(own)
    own.end()
    own.start()
    assert wait_until(lambda: code(own, ended) == 137, SECONDS)
    sleeper(own)
    root, cgroup, sockets = own.root, own.cgroup, shim_sockets(own)
    assert sockets
    assert all(path.exists() for path in sockets)
    own.stop()
    left = [path for path in (root, *sockets, *cgroup_directories(cgroup)) if path.exists()]
    mounted = [point for point in mount_points() if root in point.parents]
    assert (left, mounted, engine_processes(root)) == ([], [], set())
