"""The control groups of a private engine: mounted where a bare machine has none, removed after."""

import os
from pathlib import Path

from tests.lab.mounts import mount, mount_points, unmount

ROOT = Path("/sys/fs/cgroup")
MODES = "mode=0755"


def mount_cgroups_if_absent() -> list[Path]:
    """Mount the kernel's control groups where no init system did; return what was mounted."""
    if any(point == ROOT or ROOT in point.parents for point in mount_points()):
        return []
    hierarchies = _v1_controllers()
    if not hierarchies:
        mount("cgroup2", ROOT)
        return [ROOT]
    mount("tmpfs", ROOT, MODES)
    return [ROOT, *(_mount_v1(hierarchy) for hierarchy in hierarchies)]


def unmount_cgroups(mounted: list[Path]) -> None:
    """Undo `mount_cgroups_if_absent`."""
    for point in reversed(mounted):
        unmount(point)


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


def thaw(name: str) -> None:
    """Let paused containers run on: a frozen process does not even take a SIGKILL (with v1)."""
    for directory in cgroup_directories(name):
        for file in directory.rglob("freezer.state"):
            file.write_text("THAWED")
        for file in directory.rglob("cgroup.freeze"):
            file.write_text("0")


def remove_cgroup(name: str) -> None:
    """Remove the control group `name` and those below it; they must be empty of processes."""
    for directory in cgroup_directories(name):
        for path, _, _ in os.walk(directory, topdown=False):
            # One that still empties itself stays for the next call.
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
        # It ended between the listing and the reading.
        return []


def _v1_controllers() -> list[str]:
    """Return the v1 hierarchies to mount one by one; none where v2 has the memory controller."""
    table = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
    enabled = {name: hierarchy for name, hierarchy, _, flag in table if flag == "1"}
    # Hierarchy 0 means: not bound to v1, so v2 has it.
    if enabled.get("memory", "0") == "0":
        return []
    # containerd reports no out-of-memory kill unless it finds every hierarchy that its
    # processes are in, and those with a mere name (systemd's) are not in the kernel's table.
    own = (line.split(":")[1] for line in Path("/proc/self/cgroup").read_text().splitlines())
    return [*sorted(enabled), *(name for name in own if name.startswith("name="))]


def _mount_v1(hierarchy: str) -> Path:
    point = ROOT / hierarchy.removeprefix("name=")
    point.mkdir()
    mount("cgroup", point, f"none,{hierarchy}" if hierarchy.startswith("name=") else hierarchy)
    return point
