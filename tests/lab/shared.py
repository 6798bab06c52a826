"""Parts of the host that all private engines share: the first one creates them, the last removes them."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import IO

from tests.lab.cgroups import mount_missing_cgroups, unmount_cgroups
from tests.lab.lock import open_locked

REGISTER = Path("/run/exit-exporter-lab.json")
"""File that lists what was created. Its lock is held only while somebody joins or leaves."""

USERS = REGISTER.with_suffix(".users")
"""File whose lock all running engines hold together; it is opened only with the lock of the register."""

SHIM_SOCKETS = Path("/run/containerd/s")
DIRECTORIES = (Path("/run/docker"), Path("/run/docker/plugins"), SHIM_SOCKETS.parent, SHIM_SOCKETS)
"""Directories that engine and shims create outside of their own ones, with no setting against it."""


class SharedParts:
    """One engine's share in them."""

    def __init__(self) -> None:
        self._users: IO[str] | None = None

    def join(self) -> None:
        """Mount missing control groups, and note what is missing of `DIRECTORIES`."""
        with open_locked(REGISTER) as register:
            self._users = USERS.open("a")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            created = _read(register)
            created["directories"] += [str(path) for path in DIRECTORIES if not path.exists()]
            created["mounts"] += [str(point) for point in mount_missing_cgroups()]
            register.truncate(0)
            register.write(json.dumps(created))

    def leave(self) -> None:
        """Remove all of it, unless another engine uses it."""
        users, self._users = self._users, None
        if users is None:
            return
        with open_locked(REGISTER) as register, users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            created = _read(register)
            USERS.unlink()
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
