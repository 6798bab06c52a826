"""Processes that outlive an engine: shims, runtimes, and those in containers."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path

from tests.lab.wait import wait_until

ENGINE_PROGRAMS = ("dockerd", "containerd", "runc", "docker-")
"""First parts of the engine's own program names, which excludes clients with the same socket."""

PATIENCE_SECONDS = 10.0


def engine_processes(directory: Path) -> set[int]:
    """Return the ids of the engine's programs that were given a path below `directory`."""
    needle = os.fsencode(directory) + b"/"
    return {
        pid
        for pid in _all_processes()
        if needle in (command := _command_line(pid)) and _is_engine_program(command)
    }


def namespace_processes() -> set[int]:
    """Return the ids of the other processes in this process's network namespace."""
    own = _network("self")
    return {pid for pid in _all_processes() if pid != os.getpid() and _network(str(pid)) == own}


def kill_all(pids: Iterable[int]) -> bool:
    """Send SIGKILL to each and return whether all ended within a bounded time."""
    remaining = set(pids)
    for pid in remaining:
        _kill(pid)
    return wait_until(lambda: not any(map(_runs, remaining)), PATIENCE_SECONDS)


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _network(process: str) -> str:
    try:
        return str(Path(f"/proc/{process}/ns/net").readlink())
    except OSError:
        return ""


def _is_engine_program(command: bytes) -> bool:
    name = os.fsdecode(command.split(b"\0", 1)[0]).rsplit("/", 1)[-1]
    return name.startswith(ENGINE_PROGRAMS)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _runs(pid: int) -> bool:
    # A zombie has ended; only its parent has not read its code yet.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
