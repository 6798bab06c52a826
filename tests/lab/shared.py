"""Parts of the host that all private engines share: the first one creates them, the last removes them."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import IO

from tests.lab.cgroups import mount_missing_cgroups, unmount_cgroups
from tests.lab.lock import open_locked

REGISTER = Path("/run/exit-exporter-lab.json")
"""File that lists what was created; every running engine holds its lock together with the others."""

SHIM_SOCKETS = Path("/run/containerd/s")
DIRECTORIES = (Path("/run/docker"), Path("/run/docker/plugins"), SHIM_SOCKETS.parent, SHIM_SOCKETS)
"""Directories that engine and shims create outside of their own ones, with no setting against it."""


class SharedParts:
    """One engine's share in them."""

    def __init__(self) -> None:
        self._register: IO[str] | None = None

    def join(self) -> None:
        """Mount missing control groups, and note what is missing of `DIRECTORIES`."""
        self._register = register = open_locked(REGISTER)
        created = _read(register)
        created["directories"] += [str(path) for path in DIRECTORIES if not path.exists()]
        created["mounts"] += [str(point) for point in mount_missing_cgroups()]
        register.truncate(0)
        register.write(json.dumps(created))
        register.flush()
        fcntl.flock(register, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Remove all of it, unless another engine uses it."""
        register, self._register = self._register, None
        if register is None:
            return
        with register:
            try:
                fcntl.flock(register, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            created = _read(register)
            REGISTER.unlink()
            unmount_cgroups([Path(point) for point in created["mounts"]])
            for path in reversed(created["directories"]):
                _remove_if_empty(Path(path))


def _read(register: IO[str]) -> dict[str, list[str]]:
    register.seek(0)
    created: dict[str, list[str]] = json.loads(register.read() or '{"directories": [], "mounts": []}')
    return created


def _remove_if_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        # It was not created after all, or something else uses it by now.
        return
