"""An ssh server of a test's own, on the loopback, that leads to a private engine.

Who logs in is root, and finds DOCKER_HOST set. Nothing of the user's is read or written: neither
~/.ssh nor ~/.docker, and not the system's configuration of ssh, client or server.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.keys import LOOPBACK, write_ssh_key
from tests.lab import install
from tests.lab.errors import LabError
from tests.lab.orphans import kill_all
from tests.lab.process import LoggedProcess, system_path
from tests.lab.server import free_port
from tests.lab.wait import wait_until

PACKAGES: Mapping[str, str] = {"sshd": "openssh-server", "ssh": "openssh-client", "docker": "docker-cli"}
"""The Debian package of each program; where docker.io has no ``docker``, docker-cli does."""

READY_SECONDS = 20.0
PRIVILEGE_SEPARATION = Path("/run/sshd")


def ensure_ssh() -> None:
    """Have every program of ``PACKAGES`` on this machine, installing them on Debian as root."""
    missing = [name for name in PACKAGES if _program(name) is None]
    if missing:
        install._install(missing, [PACKAGES[name] for name in missing])


class Sshd:
    """A running ssh server; as a context manager it is gone on exit, with all its sessions."""

    def __init__(self, directory: Path, docker_host: str) -> None:
        """Choose where its files lie, and which engine is meant by ``docker`` there."""
        self._directory = directory
        self._docker_host = docker_host
        self._port = free_port()
        self._port_without_engine = free_port()
        self._process: LoggedProcess | None = None
        self._made_directory = False

    def __enter__(self) -> Self:
        """Start it; return when it listens."""
        self._write_files()
        self._made_directory = not PRIVILEGE_SEPARATION.exists()
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and every session."""
        self.stop()
        if self._made_directory:
            PRIVILEGE_SEPARATION.rmdir()

    @property
    def url(self) -> str:
        """The engine behind it, as a Docker host."""
        return f"ssh://root@{LOOPBACK}:{self._port}"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url_without_engine(self) -> str:
        """The same, where the engine behind it is not to be found."""
        return f"ssh://root@{LOOPBACK}:{self._port_without_engine}"

    @property
    def home(self) -> Path:
        """A home directory whose .ssh opens it: configuration, known host, key."""
        return self._directory / "home"

    @property
    def programs(self) -> Path:
        """A directory for PATH with an ``ssh`` that reads the configuration in ``home``.

        The real one asks passwd for the home of the user, not the environment.
        """
        return self._directory / "bin"

    @property
    def sessions(self) -> set[int]:
        """The ids of the processes that serve those who are connected."""
        return set() if self._process is None else _descendants(self._process.pid)

    def start(self) -> None:
        """Start it, again after ``stop()``; return when it listens."""
        command: list[str | Path] = [_needed("sshd"), "-D", "-e", "-f", self._directory / "sshd_config"]
        self._process = process = LoggedProcess(command, self._directory / "sshd.log")
        wait_until(lambda: not process.alive or self._listens(), READY_SECONDS)
        if not (process.alive and self._listens()):
            self.stop()
            raise LabError(f"sshd does not listen; its log ends with:\n{process.log_tail()}")

    def stop(self) -> None:
        """End it with every session, as when the host is gone."""
        if self._process is not None:
            # Stopped, it begins no session that would be missing from the list and go on.
            self._process.send(signal.SIGSTOP)
            sessions = self.sessions
            self._process.kill()
            kill_all(sessions)

    @contextmanager
    def hanging(self) -> Generator[Path]:
        """Let every new ``docker`` there hang; the path is of a file that the first of them creates."""
        self._hang.touch()
        try:
            yield self._hanging
        finally:
            self._hang.unlink()
            self._hanging.unlink(missing_ok=True)
            kill_all(self.sessions)

    @property
    def _hang(self) -> Path:
        return self._directory / "hang"

    @contextmanager
    def known_by_another_key(self) -> Generator[None]:
        """Let the client know the server by a key that is not its own, as if another stood in its place."""
        known = self.home / ".ssh" / "known_hosts"
        right = known.read_text()
        other = write_ssh_key(self._directory / "other_key")
        known.write_text(f"[{LOOPBACK}]:{self._port} {other}\n")
        try:
            yield
        finally:
            known.write_text(right)

    @property
    def _hanging(self) -> Path:
        return self._directory / "hanging"

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex((LOOPBACK, self._port)) == 0

    def _write_files(self) -> None:
        ssh = self.home / ".ssh"
        ssh.mkdir(parents=True, mode=0o700)
        host_key = write_ssh_key(self._directory / "host_key")
        ports = (self._port, self._port_without_engine)
        (ssh / "known_hosts").write_text("".join(f"[{LOOPBACK}]:{port} {host_key}\n" for port in ports))
        (self._directory / "authorized_keys").write_text(f"{write_ssh_key(ssh / 'id_ed25519')}\n")
        (ssh / "config").write_text(_client_settings(ssh))
        (self._directory / "sshd_config").write_text(self._server_settings())
        _write_script(self.programs / "ssh", f'exec {_needed("ssh")} -F "{ssh}/config" "$@"')
        _write_script(
            self._directory / "remote" / "docker",
            f'if [ -e "{self._hang}" ]; then touch "{self._hanging}"; exec sleep 600; fi\n'
            f'exec {_needed("docker")} "$@"',
        )

    def _server_settings(self) -> str:
        settings = {
            "HostKey": self._directory / "host_key",
            "AuthorizedKeysFile": self._directory / "authorized_keys",
            "PidFile": "none",
            "AllowUsers": "root",
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "UsePAM": "no",
            # The files lie below /tmp, which everybody may write to.
            "StrictModes": "no",
            "SetEnv": self._environment(self._docker_host),
        }
        ports = (self._port, self._port_without_engine)
        lines = [f"ListenAddress {LOOPBACK}:{port}" for port in ports]
        lines += [f"{name} {value}" for name, value in settings.items()]
        lines += [f"Match LocalPort {self._port_without_engine}"]
        lines += [f"SetEnv {self._environment(f'unix://{self._directory}/no-engine')}"]
        return "\n".join([*lines, ""])

    def _environment(self, docker_host: str) -> str:
        variables = {
            "DOCKER_HOST": docker_host,
            "DOCKER_CONFIG": self._directory / "docker",
            "PATH": os.pathsep.join([str(self._directory / "remote"), system_path()]),
            # bash reads ~/.bashrc when sshd runs it, unless this says that another bash does.
            "SHLVL": "2",
        }
        # In one directive: of several, the first alone counts.
        return " ".join(f'"{name}={value}"' for name, value in variables.items())


def _client_settings(ssh: Path) -> str:
    # What both clients understand; paramiko takes the known hosts from ~/.ssh on its own.
    return (
        f"Host *\n"
        f"  IdentityFile {ssh / 'id_ed25519'}\n"
        f"  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {ssh / 'known_hosts'}\n"
        f"  GlobalKnownHostsFile /dev/null\n"
        f"  StrictHostKeyChecking yes\n"
        f"  BatchMode yes\n"
    )


def _write_script(path: Path, script: str) -> None:
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _program(name: str) -> str | None:
    return shutil.which(name, path=system_path())


def _needed(name: str) -> str:
    path = _program(name)
    if path is None:
        raise LabError(f"{name} not found: install {PACKAGES[name]}, or call ensure_ssh()")
    return path


def _descendants(pid: int) -> set[int]:
    children = {child for child, parent in _parents().items() if parent == pid}
    return children.union(*(_descendants(child) for child in children))


def children_of(pid: int) -> set[int]:
    """The ids of the processes that ``pid`` has started and not yet asked for their end."""
    return {child for child, parent in _parents().items() if parent == pid}


def _parents() -> dict[int, int]:
    """The parent of every process, zombies too."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                # It ended between the listing and the reading.
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents
