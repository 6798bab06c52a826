"""What the real dstack needs, made once and kept in the user's cache: packages, shim and runner, an image."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.go import ADVICE, find_go
from tests.lab.install import ensure_dockerd, ensure_dstack, program
from tests.lab.lock import locked
from tests.lab.process import system_path, tail

VERSION = "0.22.5"
IMAGE = "lab/task:1"
"""Name of the image. No `:latest`, which the shim would pull each time."""


def cache() -> Path:
    """Return the folder that keeps what is built or downloaded once."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "exit-exporter" / f"dstack-{VERSION}"


def why_no_dstack() -> str | None:
    """Return why this machine cannot run dstack and what to do about it; None if it can."""
    if os.geteuid() != 0:
        return "a fleet's host and its private Docker Engine need root"
    if platform.machine() != "x86_64":
        return f"its tasks ask for x86-64, and this machine is {platform.machine()}"
    if not _programs().is_dir() and find_go() is None:
        return f"dstack's shim and runner are built with Go, and {ADVICE}"
    return None


def prepare() -> Path:
    """Return the cache, filled with what is missing there; that needs a network and takes some minutes.

    Raises:
        LabError: Something cannot be had; the message says what to do.
    """
    ensure_dockerd()
    ensure_dstack()
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        if not _venv().is_dir():
            _make_venv(_venv())
        if not _programs().is_dir():
            _build_programs(_programs())
        if not _image().is_file():
            _make_image(_image())
    return folder


def _venv() -> Path:
    return cache() / "venv"


def _programs() -> Path:
    return cache() / "bin"


def _image() -> Path:
    return cache() / "image.tar"


def _make_venv(venv: Path) -> None:
    """Install dstack; what is not complete does not stay."""
    try:
        _run(sys.executable, "-m", "venv", venv)
        _run(venv / "bin" / "pip", "install", "--quiet", f"dstack[server]=={VERSION}")
    except BaseException:
        shutil.rmtree(venv, ignore_errors=True)
        raise


def _build_programs(folder: Path) -> None:
    """Build shim and runner from dstack's source distribution, which holds their Go source."""
    go = find_go()
    if go is None:
        raise LabError(why_no_dstack())
    with tempfile.TemporaryDirectory(prefix="bin.", dir=folder.parent) as name:
        beside = Path(name)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        _run(*pip, "--dest", beside, f"dstack=={VERSION}")
        with tarfile.open(next(beside.glob("*.tar.gz"))) as archive:
            archive.extractall(beside, filter="data")
        # Without its version a shim calls itself "latest", which the server takes for the newest.
        flags = ["-mod=mod", "-buildvcs=false", "-ldflags", f"-X main.Version={VERSION}"]
        source = beside / f"dstack-{VERSION}" / "runner"
        programs = beside / "programs"
        _run(go, "build", *flags, "-o", f"{programs}/", "./cmd/shim", "./cmd/runner", cwd=source)
        programs.rename(folder)


def _make_image(image: Path) -> None:
    """Make an image with sshd and Python, which dstack's entry script and the tasks need."""
    with tempfile.TemporaryDirectory(prefix="image.", dir=image.parent) as name:
        root, unfinished = Path(name) / "root", Path(name) / "image.tar"
        packages = "--include=openssh-server,python3-minimal"
        _run(program("debootstrap"), "--variant=minbase", packages, "bookworm", root)
        (root / "usr/bin/python").symlink_to("python3")
        _run("tar", "-C", root, "-cf", unfinished, ".")
        unfinished.rename(image)


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    answer = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"PATH": system_path()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise LabError(f"{words} ended with {answer.returncode}:\n{tail(answer.stdout)}")
