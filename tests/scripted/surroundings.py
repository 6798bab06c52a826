"""Environment of recorded jobs: a shared memory limit, and networks."""

from collections.abc import Iterator
from contextlib import contextmanager

from docker import APIClient

from tests.lab.cgroups import ROOT, remove_cgroup
from tests.scripted.scenarios import SHARED


@contextmanager
def shared_limit(limit_bytes: int) -> Iterator[None]:
    """Create the control group `SHARED` with this limit (cgroup v1) for the duration; none with 0."""
    if not limit_bytes:
        yield
        return
    directory = ROOT / "memory" / SHARED
    directory.mkdir()
    (directory / "memory.limit_in_bytes").write_text(str(limit_bytes))
    try:
        yield
    finally:
        remove_cgroup(SHARED)


@contextmanager
def networks(client: APIClient, number: int) -> Iterator[list[str]]:
    """Create internal bridge networks for the duration; yield their ids."""
    names: list[str] = []
    try:
        for each in range(number):
            created = client.create_network(f"scripted-{each}", driver="bridge", internal=True)
            names.append(str(created["Id"]))
        yield names
    finally:
        for name in names:
            client.remove_network(name)
