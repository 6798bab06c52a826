"""Docker Engine 29, which Debian does not package: built once with Go into the user's cache."""

import hashlib
import os
import platform
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.go import ADVICE, find_go
from tests.lab.install import ensure_to_build
from tests.lab.lock import locked
from tests.lab.process import system_path, tail


@dataclass(frozen=True, slots=True)
class GoProgram:
    """Program of a Go module: what to install, and how."""

    package: str
    version: str
    tags: str = ""
    variables: str = ""
    cgo: bool = False

    @property
    def name(self) -> str:
        """Name of the program."""
        return self.package.rsplit("/", 1)[-1]

    @property
    def arguments(self) -> Sequence[str]:
        """Arguments for `go install`."""
        flags = f"-s -w {self.variables}".strip()
        return ("-ldflags", flags, "-tags", self.tags, f"{self.package}@{self.version}")


RECIPE = (
    GoProgram(
        "github.com/containerd/containerd/v2/cmd/containerd",
        "v2.4.2",
        tags="no_btrfs no_devmapper no_zfs no_cri",
    ),
    GoProgram("github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", "v2.4.2"),
    # dockerd's default profile needs seccomp; without it every container would be refused.
    GoProgram("github.com/opencontainers/runc", "v1.5.3", tags="seccomp", cgo=True),
    GoProgram(
        "github.com/moby/moby/v2/cmd/dockerd",
        "v2.0.0-beta.24",
        variables="-X github.com/moby/moby/v2/dockerversion.Version=29",
    ),
    GoProgram("github.com/moby/moby/v2/cmd/docker-proxy", "v2.0.0-beta.24"),
)
"""Programs of a Docker Engine 29, in versions that fit together. Another version gives another folder."""


def engine_29() -> Path:
    """Return the folder with the engine's programs for `PrivateEngine`; build it if there is none.

    A build takes some minutes; whoever comes meanwhile waits for it. Raises `LabError` with what to do
    where it cannot be built.
    """
    folder = _folder()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                _build(folder)
    return folder


def is_built() -> bool:
    """Return whether the cache contains it."""
    return _folder().is_dir()


def why_no_engine_29() -> str | None:
    """Return why this machine cannot run an Engine 29 and what to do about it; None if it can."""
    if is_built() or find_go() is not None:
        return None
    return f"Docker Engine 29 is built with Go, and {ADVICE}"


def _folder() -> Path:
    recipe = f"{RECIPE} {platform.machine()}"
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "exit-exporter" / f"engine-29-{digest}"


def _build(folder: Path) -> None:
    """Build into another directory first, so that a folder of this name is always complete."""
    go = find_go()
    if go is None:
        raise LabError(why_no_engine_29())
    ensure_to_build()
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as beside:
        programs = Path(beside) / "bin"
        for program in RECIPE:
            _install(go, program, programs)
        programs.rename(folder)


def _install(go: str, program: GoProgram, programs: Path) -> None:
    environment = os.environ | {
        "CGO_ENABLED": str(int(program.cgo)),
        "GOBIN": str(programs),
        "GOFLAGS": "-buildvcs=false",
        "PATH": system_path(),
    }
    command = [go, "install", *program.arguments]
    answer = subprocess.run(
        command,
        cwd=programs.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise LabError(f"{program.name} cannot be built:\n{tail(answer.stdout)}")
