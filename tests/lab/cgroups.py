"""Control groups of a private engine: mount them if the machine has none, remove them afterwards."""

import os
from collections.abc import Iterable
from pathlib import Path

from tests.lab.mounts import mount, mount_points, super_options, unmount

ROOT = Path("/sys/fs/cgroup")
MODES = "mode=0755"
NAMED = "name="


def mount_missing_cgroups() -> list[Path]:
    """Mount the kernel's control groups if no init system did; return the mount points.

    containerd reports no out-of-memory kill unless it finds every v1 hierarchy that its processes
    are in: also those that somebody mounted elsewhere once, which the kernel keeps from then on.
    """
    if not any(point == ROOT or ROOT in point.parents for point in mount_points()):
        return _mount_all()
    if not _v1_has_memory():
        return []
    return _mount_each(name for name in _bound() if not _is_mounted(name))


def unmount_cgroups(mounted: list[Path]) -> None:
    """Undo `mount_missing_cgroups`."""
    for point in reversed(mounted):
        unmount(point)
        if point != ROOT and ROOT.is_dir():
            _try_rmdir(point)


def cgroup_directories(name: str) -> list[Path]:
    """Return the directories of the control group `name`: one, or with v1 one per hierarchy."""
    return [path for path in (ROOT / name, *ROOT.glob(f"*/{name}")) if path.is_dir()]


def cgroup_processes(name: str) -> set[int]:
    """Return the ids of all processes in the control group `name` and below it."""
    pids: set[int] = set()
    for directory in cgroup_directories(name):
        for file in directory.rglob("cgroup.procs"):
            pids.update(_read_pids(file))
    return pids


def make_limited(name: str, memory_bytes: int) -> None:
    """Create the control group `name` with this memory limit for all its processes together."""
    if not _v1_has_memory():
        _enable_memory_above(ROOT / name)
    directory = (ROOT / "memory" if _v1_has_memory() else ROOT) / name
    directory.mkdir(parents=True, exist_ok=True)
    limit = "memory.limit_in_bytes" if _v1_has_memory() else "memory.max"
    (directory / limit).write_text(str(memory_bytes))


def oom_kills(name: str) -> int:
    """Return the number of OOM kills in the control group `name`."""
    directory = (ROOT / "memory" if _v1_has_memory() else ROOT) / name
    events = "memory.oom_control" if _v1_has_memory() else "memory.events"
    table = [line.split() for line in (directory / events).read_text().splitlines()]
    return next(int(count) for word, count in table if word == "oom_kill")


def thaw(name: str) -> None:
    """Resume paused containers: with v1 a frozen process does not even react to SIGKILL."""
    for directory in cgroup_directories(name):
        for file in directory.rglob("freezer.state"):
            file.write_text("THAWED")
        for file in directory.rglob("cgroup.freeze"):
            file.write_text("0")


def remove_cgroup(name: str) -> None:
    """Remove the control group `name` and those below it; they must contain no process."""
    for directory in cgroup_directories(name):
        for path, _, _ in os.walk(directory, topdown=False):
            # A group whose processes still end is left for the next call.
            _try_rmdir(Path(path))


def _try_rmdir(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return


def _read_pids(file: Path) -> list[int]:
    try:
        return [int(line) for line in file.read_text().split()]
    except OSError:
        # The process ended between listing and reading.
        return []


def _mount_all() -> list[Path]:
    if not _v1_has_memory():
        mount("cgroup2", ROOT)
        return [ROOT]
    mount("tmpfs", ROOT, MODES)
    named = (name for name in _bound() if name.startswith(NAMED))
    return [ROOT, *_mount_each([*sorted(_enabled()), *named])]


def _enable_memory_above(directory: Path) -> None:
    """Enable the memory controller of v2 in every parent of this directory."""
    for above in reversed(directory.relative_to(ROOT).parents):
        (ROOT / above).mkdir(exist_ok=True)
        (ROOT / above / "cgroup.subtree_control").write_text("+memory")


def _enabled() -> dict[str, str]:
    """Return the number of its hierarchy for each controller of the kernel; 0 is v2's."""
    table = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
    return {name: hierarchy for name, hierarchy, _, flag in table if flag == "1"}


def _v1_has_memory() -> bool:
    return _enabled().get("memory", "0") != "0"


def _bound() -> list[str]:
    """Return the v1 hierarchies that this process is in: controllers, or a mere name (systemd's)."""
    lines = [line.split(":") for line in Path("/proc/self/cgroup").read_text().splitlines()]
    return [controllers for number, controllers, _ in lines if number != "0"]


def _is_mounted(hierarchy: str) -> bool:
    return any(set(hierarchy.split(",")) <= set(options) for options in super_options("cgroup"))


def _mount_each(hierarchies: Iterable[str]) -> list[Path]:
    return [_mount_v1(hierarchy) for hierarchy in hierarchies]


def _mount_v1(hierarchy: str) -> Path:
    point = ROOT / hierarchy.removeprefix(NAMED)
    point.mkdir(exist_ok=True)
    mount("cgroup", point, f"none,{hierarchy}" if hierarchy.startswith(NAMED) else hierarchy)
    return point
