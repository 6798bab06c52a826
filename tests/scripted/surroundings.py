"""What jobs are recorded in: a memory limit that they share, networks that they join."""

from collections.abc import Iterator
from contextlib import contextmanager

from docker import APIClient

from tests.lab.cgroups import ROOT, remove_cgroup
from tests.scripted.scenarios import SHARED


@contextmanager
def shared_limit(limit_bytes: int) -> Iterator[None]:
    """Have the control group `SHARED` with this limit meanwhile (cgroup v1); with 0, have none."""
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
    """Have so many networks meanwhile, each a bridge of the host's that leads nowhere; give their ids."""
    names: list[str] = []
    try:
        for each in range(number):
            created = client.create_network(f"scripted-{each}", driver="bridge", internal=True)
            names.append(str(created["Id"]))
        yield names
    finally:
        for name in names:
            client.remove_network(name)
