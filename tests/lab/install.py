"""Installing the programs that the lab needs: engine, Prometheus, `compose.yaml`."""

import os
import shutil
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.lock import locked
from tests.lab.process import system_path

PACKAGES: Mapping[str, str] = {
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "busybox": "busybox-static",
}
"""The Debian package of each program of an engine and its images."""

PROMETHEUS_PACKAGES: Mapping[str, str] = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}
"""The same for the tests of rules. On other systems the third is called `alertmanager`."""

COMPOSE_PACKAGES: Mapping[str, str] = {"docker-compose": "docker-compose", "haproxy": "haproxy"}
"""The same for running `compose.yaml`, and for the filter of the engine's API there."""

BUILD_PACKAGES: Mapping[str, str] = {"gcc": "build-essential", "pkg-config": "pkg-config"}
"""The same for building an engine's runtime, beside Go."""

BUILD_LIBRARIES: Mapping[str, str] = {"libseccomp": "libseccomp-dev"}
"""Debian package of each library that the runtime is linked with, by its pkg-config name."""

DOCUMENTED_PACKAGES: Mapping[str, str] = {"docker": "docker.io", "curl": "curl", "jq": "jq"}
"""The same for the commands that the documentation uses."""

DSTACK_PACKAGES: Mapping[str, str] = {
    "debootstrap": "debootstrap",
    "curl": "curl",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
}
"""The same for the host of a dstack fleet, and for the image of its tasks."""

BROWSER_PACKAGES: Mapping[str, str] = {"chromium": "chromium", "npm": "npm"}
"""The same for tests in a browser, and for the rules of accessibility that they hold."""

LOCK = Path("/run/exit-exporter-install.lock")
"""Held while packages are installed: apt does not wait for another process that updates its lists."""

POLICY_FILE = Path("/usr/sbin/policy-rc.d")
POLICY = "#!/bin/sh\nexit 101\n"


def ensure_dockerd() -> None:
    """Ensure that every program of `PACKAGES` exists; install missing ones on Debian as root.

    Raises `LabError` with what to do if that is not possible.
    """
    _ensure(PACKAGES, ", or set DOCKER_HOST")


def ensure_prometheus() -> None:
    """Ensure every program of `PROMETHEUS_PACKAGES` in the same way, without starting services."""
    _ensure(PROMETHEUS_PACKAGES)


def ensure_compose() -> None:
    """Ensure every program of `COMPOSE_PACKAGES` in the same way, without starting services."""
    _ensure(COMPOSE_PACKAGES)


def ensure_documented() -> None:
    """Ensure every program of `DOCUMENTED_PACKAGES` in the same way, without starting services."""
    _ensure(DOCUMENTED_PACKAGES)


def ensure_dstack() -> None:
    """Ensure every program of `DSTACK_PACKAGES` in the same way, without starting services."""
    _ensure(DSTACK_PACKAGES)


def ensure_browser() -> None:
    """Ensure every program of `BROWSER_PACKAGES` in the same way."""
    _ensure(BROWSER_PACKAGES)


def ensure_to_build() -> None:
    """Ensure every program of `BUILD_PACKAGES` and library of `BUILD_LIBRARIES` in the same way."""
    _ensure(BUILD_PACKAGES)
    missing = [package for name, package in BUILD_LIBRARIES.items() if not _can_link(name)]
    if missing:
        _install(missing, missing)


def program(name: str, folder: Path | None = None) -> str:
    """Return the path of a program that is installed here; raise `LabError` where it is missing.

    A program in `folder` comes before any other.
    """
    path = shutil.which(name, path=system_path(folder))
    if path is None:
        known = (
            PACKAGES,
            PROMETHEUS_PACKAGES,
            COMPOSE_PACKAGES,
            BUILD_PACKAGES,
            DOCUMENTED_PACKAGES,
            DSTACK_PACKAGES,
            BROWSER_PACKAGES,
        )
        package = next(packages[name] for packages in known if name in packages)
        raise LabError(f"{name} not found: install {package}, or have `ensure_…` do it")
    return path


def missing_programs(packages: Mapping[str, str] = PACKAGES) -> list[str]:
    """Return the programs of `packages` that this machine does not have."""
    return [name for name in packages if not _usable(name)]


def _ensure(packages_of: Mapping[str, str], otherwise: str = "") -> None:
    missing = missing_programs(packages_of)
    if not missing:
        return
    packages = list(dict.fromkeys(packages_of[name] for name in missing))
    _install(missing, packages, otherwise)
    if still := missing_programs(packages_of):
        raise LabError(f"{' '.join(packages)} installed, and yet there is no usable {', '.join(still)}")


def _install(missing: Sequence[str], packages: Sequence[str], otherwise: str = "") -> None:
    if not _is_debian() or os.geteuid() != 0:
        raise LabError(
            f"{', '.join(missing)} not found, and only Debian's root may install: "
            f"install {' '.join(packages)} (or what they are called here){otherwise}"
        )
    with locked(LOCK), _no_service_starts():
        _apt_get("update", "--quiet")
        _apt_get("install", "--quiet", "--yes", "--no-install-recommends", *packages)


def _can_link(library: str) -> bool:
    answer = subprocess.run([program("pkg-config"), "--exists", library], check=False)
    return answer.returncode == 0


def _usable(name: str) -> bool:
    path = shutil.which(name, path=system_path())
    if path is None:
        return False
    # Debian's other package, `busybox`, puts a dynamic one in the same place; alone in an
    # image it would not start.
    return name != "busybox" or is_static(path)


def is_static(path: str) -> bool:
    """Return whether the program at `path` needs no shared library."""
    # ldd answers static programs with an error, or (static-pie) with this text.
    answer = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    return answer.returncode != 0 or "statically linked" in answer.stdout


def _is_debian() -> bool:
    # Debian's children (Ubuntu, …) call and split the packages otherwise, or need not.
    try:
        release = Path("/etc/os-release").read_text()
    except OSError:
        return False
    return "ID=debian" in release.splitlines() and shutil.which("apt-get") is not None


@contextmanager
def _no_service_starts() -> Generator[None]:
    """Keep package scripts from starting a system-wide daemon.

    docker.io's postinst calls invoke-rc.d (without systemd) or deb-systemd-invoke (with it);
    both ask this file first. A machine that has one already has decided: it stays.
    """
    if POLICY_FILE.exists():
        yield
        return
    POLICY_FILE.write_text(POLICY)
    POLICY_FILE.chmod(0o755)
    try:
        yield
    finally:
        POLICY_FILE.unlink()


def _apt_get(*arguments: str) -> None:
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "PATH": system_path()}
    code, output = _run_to_end(command, environment)
    if code != 0:
        raise LabError(f"apt-get {arguments[0]} ended with {code}:\n{output[-2000:]}")


def _run_to_end(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command that must not be interrupted: a Ctrl-C takes effect after it.

    A package manager that is killed leaves a machine that needs repair.
    """
    interrupted = False
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        while True:
            try:
                output, _ = process.communicate()
                break
            except KeyboardInterrupt:
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return process.returncode, output
