"""Mount points: listing, mounting, unmounting."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.process import system_path


def mount_points() -> list[Path]:
    """Return every mount point of this process's namespace, in the order of mounting."""
    table = Path("/proc/self/mountinfo").read_text()
    return [Path(_unescape(line.split()[4])) for line in table.splitlines()]


def super_options(kind: str) -> list[list[str]]:
    """Return the options of each mounted file system of this kind, such as a hierarchy's controllers."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    tails = [words[words.index("-") + 1 :] for words in lines]
    return [options.split(",") for found, _, options in tails if found == kind]


def mount(kind: str, point: Path, options: str = "defaults") -> None:
    """Mount a file system that has no device, such as `tmpfs` or `cgroup2`."""
    answer = _run("mount", "-t", kind, "-o", options, kind, str(point))
    if answer.returncode != 0:
        raise LabError(f"cannot mount {kind} on {point}: {answer.stderr.strip()}")


def unmount(point: Path) -> None:
    """Unmount `point` at once; processes that use it keep it until they close it."""
    _run("umount", "--lazy", str(point))


def unmount_below(directory: Path) -> None:
    """Unmount everything on or below `directory`."""
    for point in reversed(mount_points()):
        if point == directory or directory in point.parents:
            unmount(point)


def _unescape(field: str) -> str:
    # The kernel writes blanks as \040, and similar characters the same way.
    raw = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), os.fsencode(field))
    return os.fsdecode(raw)


def _run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = shutil.which(name, path=system_path())
    if path is None:
        raise LabError(f"{name} not found: install util-linux")
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
