"""Programs that Debian does not package, or not in this version: built once with Go into the user's cache."""

import hashlib
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.go import ADVICE, find_go
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


@dataclass(frozen=True, slots=True)
class GoBuild:
    """Programs that fit together, in a folder of the cache. Another version gives another folder."""

    name: str
    title: str
    programs: tuple[GoProgram, ...]

    @property
    def folder(self) -> Path:
        """Folder with the programs; it exists only when all are built."""
        recipe = f"{self.programs} {platform.machine()}"
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "exit-exporter" / f"{self.name}-{digest}"

    def is_built(self) -> bool:
        """Return whether the cache contains it."""
        return self.folder.is_dir()

    def why_not(self) -> str | None:
        """Return why this machine cannot have it and what to do about it; None if it can."""
        if self.is_built() or find_go() is not None:
            return None
        return f"{self.title} is built with Go, and {ADVICE}"

    def ensure(self, prepare: Callable[[], None] = lambda: None) -> Path:
        """Return the folder with the programs; after `prepare`, build them if there is none.

        A build takes some minutes; whoever comes meanwhile waits for it. Raises `LabError` with what to do
        where it cannot be built.
        """
        if not self.is_built():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.folder.with_name(f"{self.folder.name}.lock")):
                if not self.is_built():
                    self._build(prepare)
        return self.folder

    def _build(self, prepare: Callable[[], None]) -> None:
        """Build into another directory first, so that a folder of this name is always complete."""
        go = find_go()
        if go is None:
            raise LabError(self.why_not())
        prepare()
        with tempfile.TemporaryDirectory(prefix=f"{self.folder.name}.", dir=self.folder.parent) as beside:
            programs = Path(beside) / "bin"
            for program in self.programs:
                _install(go, program, programs)
            programs.rename(self.folder)


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
