"""A private Docker Engine that shares nothing with any other on this machine."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests.lab.cgroups import cgroup_processes, remove_cgroup, thaw
from tests.lab.errors import LabError
from tests.lab.install import program
from tests.lab.mounts import unmount_below
from tests.lab.orphans import engine_processes, kill_all
from tests.lab.process import LoggedProcess, system_path
from tests.lab.shared import SHIM_SOCKETS, SharedParts
from tests.lab.wait import wait_until

READY_SECONDS = 60.0
PATIENCE_SECONDS = 20.0
_REMOVED_AT_ONCE = 8
CLIENT_SECONDS = 60

SOCKET_PATH_LIMIT = 100
"""Just under what the kernel allows for the path of a unix socket."""

LAST_RELEASE_WITH_TRUST_KEY = 23

NOT_NEEDED = ("io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri")
"""Plugins of containerd: Kubernetes', which needs a network; one writes to /opt; one listens in /run."""


def remove_all(client: docker.DockerClient) -> None:
    """Leave no container on a private engine, so that the next test's exporter has none to list."""
    with ThreadPoolExecutor(_REMOVED_AT_ONCE) as pool:
        left = client.containers.list(all=True, ignore_removed=True)
        list(pool.map(lambda container: container.remove(force=True), left))


class PrivateEngine:
    """Private Docker Engine: `dockerd` and its `containerd` in a new directory.

    As a context manager it is started on entry; on exit nothing of it is left: no process,
    no mount, no directory, no control group. Needs root, and the programs that
    `ensure_dockerd()` installs. There is no network but `none` and `host`.

    `hosts` are further listeners (`tcp://127.0.0.1:2376`); `extra_args` go to `dockerd`. The engine's
    programs are those in the folder `programs`, where it is given (`tests.lab.engine29`). With
    `own_network` its host network has a loopback and nothing of this machine's, as Swarm needs it, which
    makes interfaces and listens at fixed ports. `bridge` is an interface that the caller has made, at which
    containers get addresses and published ports.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str] = (),
        extra_args: Sequence[str | Path] = (),
        programs: Path | None = None,
        own_network: bool = False,
        bridge: str = "none",
    ) -> None:
        """Set the options; nothing is started or created yet."""
        self._own_network = own_network
        self._bridge = bridge
        self._programs = programs
        self._hosts = tuple(hosts)
        self._extra_args = tuple(extra_args)
        self._root: Path | None = None
        self._engine: LoggedProcess | None = None
        self._containerd: LoggedProcess | None = None
        self._clients: list[docker.DockerClient] = []
        self._shared = SharedParts()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it and remove everything that belongs to it."""
        self.stop()

    @property
    def root(self) -> Path:
        """Its directory, which is removed with it."""
        if self._root is None:
            raise LabError("this private engine is not started")
        return self._root

    @property
    def socket_path(self) -> Path:
        """Unix socket on which it listens."""
        return self.root / "docker.sock"

    @property
    def url(self) -> str:
        """The unix socket, as a Docker host: `unix:///…`."""
        return f"unix://{self.socket_path}"

    @property
    def pid(self) -> int:
        """Process id of `dockerd`, or of the last one if it is stopped."""
        if self._engine is None:
            raise LabError("this private engine is not started")
        return self._engine.pid

    @property
    def log_path(self) -> Path:
        """Log of `dockerd`, which continues from start to start."""
        return self.root / "dockerd.log"

    @property
    def cgroup(self) -> str:
        """Name of the control group above all its containers (`docker` by default in Docker)."""
        return self.root.name

    def client(self) -> docker.DockerClient:
        """Return a new client of this engine; `stop()` closes it."""
        client = docker.DockerClient(base_url=self.url, timeout=CLIENT_SECONDS)
        self._clients.append(client)
        return client

    def start(self) -> None:
        """Start it and return when it answers; after `kill()` or `end()`, with the same data.

        Containers that survived a `kill()` are ended by the engine's start, which takes ten
        seconds if they ignore SIGTERM, unless `--live-restore` is among `extra_args`.

        Raises `LabError` with the tail of its log if it does not answer within a minute; then
        nothing of it is left.
        """
        try:
            self._prepare()
            self._start_containerd()
            self._start_engine()
        except BaseException:
            self.stop()
            raise

    def kill(self) -> None:
        """Kill `dockerd` with SIGKILL, as a crash would.

        containerd and the containers run on, as on a host where both are services.
        """
        if self._engine is not None:
            self._engine.kill()

    def crash(self) -> None:
        """Kill the engine and all its containers at once, like a lost host; `start()` restarts it."""
        if self._engine is None or self._containerd is None:
            return
        self._engine.kill()
        self._containerd.kill()
        kill_all(engine_processes(self.root))
        kill_all(cgroup_processes(self.cgroup))
        _remove_shim_sockets(self.root / "containerd-state")
        unmount_below(self.root / "data")

    def end(self) -> None:
        """Stop `dockerd` with SIGTERM, like a shutdown of the host: it stops its containers, then itself."""
        if self._engine is not None:
            self._engine.end(PATIENCE_SECONDS)

    def stop(self) -> None:
        """Stop everything it started and remove everything it created; a second call does nothing."""
        if self._root is None:
            return
        self._kill_containers()
        self._close_clients()
        for process in (self._engine, self._containerd):
            if process is not None:
                process.end(PATIENCE_SECONDS)
        self._remove_leftovers(self._root)
        self._engine = self._containerd = self._root = None

    def _prepare(self) -> None:
        if self._root is not None:
            return
        if os.geteuid() != 0:
            raise LabError("a private Docker Engine needs root; run as root, or set DOCKER_HOST")
        self._root = _fresh_directory()
        self._shared.join()
        self._write_settings()

    def _write_settings(self) -> None:
        # A file of its own keeps /etc/docker/daemon.json out, whose settings would collide
        # with the flags.
        settings: dict[str, object] = {}
        if _release(self._program("dockerd")) <= LAST_RELEASE_WITH_TRUST_KEY:
            # Has no flag, and is /etc/docker/key.json otherwise: the identity of the host's engine.
            settings["deprecated-key-path"] = str(self.root / "key.json")
        (self.root / "daemon.json").write_text(json.dumps(settings))
        (self.root / "containerd.toml").write_text(self._containerd_settings())

    def _containerd_settings(self) -> str:
        return "\n".join(
            [
                # What 1.6 reads; 2.x translates it.
                "version = 2",
                f'root = "{self.root}/containerd"',
                f'state = "{self.root}/containerd-state"',
                f"disabled_plugins = {json.dumps(NOT_NEEDED)}",
                "[grpc]",
                f'address = "{self._containerd_socket}"',
                "",
            ]
        )

    @property
    def _containerd_socket(self) -> Path:
        return self.root / "containerd.sock"

    def _start_containerd(self) -> None:
        """Start a containerd, because dockerd would use the system's if one runs."""
        if self._containerd is not None and self._containerd.alive:
            return
        # A killed containerd leaves its sockets, and 2.x does not start with them.
        for socket_path in (self._containerd_socket, Path(f"{self._containerd_socket}.ttrpc")):
            socket_path.unlink(missing_ok=True)
        command: list[str | Path] = [self._program("containerd"), "--config", self.root / "containerd.toml"]
        self._containerd = self._run(command, self.root / "containerd.log")
        _await(self._containerd, self._containerd_socket.is_socket, "containerd")

    def _start_engine(self) -> None:
        if self._engine is not None and self._engine.alive:
            return
        # After a SIGKILL the file has a process id that another process may use by now.
        (self.root / "dockerd.pid").unlink(missing_ok=True)
        self._engine = self._run([*self._wrapper(), *self._command()], self.log_path)
        _await(self._engine, self._answers, "dockerd")

    def _program(self, name: str) -> str:
        return program(name, self._programs)

    def _run(self, command: Sequence[str | Path], log_path: Path) -> LoggedProcess:
        # Debian has iptables and dockerd in a directory that is not in a normal user's PATH.
        environment = os.environ | {"PATH": system_path(self._programs)}
        # What this process ignores (under nohup, SIGHUP) its containers would ignore, and could not trap.
        command = ["env", "--default-signal=HUP,INT,QUIT", *command]
        return LoggedProcess(command, log_path, cwd=self.root, environment=environment)

    def _wrapper(self) -> Sequence[str]:
        """Return the command that becomes `dockerd`, with the same process id."""
        up = f'{program("busybox")} ip link set lo up && exec "$@"'
        return ("unshare", "--net", "sh", "-c", up, "sh") if self._own_network else ()

    def _command(self) -> list[str | Path]:
        flags: dict[str, str | Path] = {
            "--config-file": self.root / "daemon.json",
            "--data-root": self.root / "data",
            "--exec-root": self.root / "exec",
            "--pidfile": self.root / "dockerd.pid",
            "--containerd": self._containerd_socket,
            "--cgroup-parent": f"/{self.cgroup}",
        }
        command: list[str | Path] = [self._program("dockerd")]
        command += [part for flag in flags.items() for part in flag]
        # systemd's driver would ask the host's systemd for a slice per container.
        command += ["--exec-opt", "native.cgroupdriver=cgroupfs"]
        # The host's network stays as it is: no bridge, no rule, no kernel setting.
        command += [f"--bridge={self._bridge}", "--iptables=false", "--ip6tables=false"]
        command += ["--ip-forward=false", "--ip-masq=false"]
        for host in (self.url, *self._hosts):
            command += ["--host", host]
        return [*command, *self._extra_args]

    def _answers(self) -> bool:
        return ping(self.socket_path)

    def _kill_containers(self) -> None:
        """Kill the containers, so that dockerd need not wait for those that ignore SIGTERM."""
        if self._engine is None or not self._engine.alive:
            return
        self._engine.send(signal.SIGCONT)
        try:
            with closing(docker.DockerClient(base_url=self.url, timeout=5)) as client:
                for container in client.containers.list(sparse=True, ignore_removed=True):
                    _kill_container(client, str(container.id))
        except (DockerException, RequestException):
            # It hangs or is stopping; the rest is found through its control group.
            return

    def _close_clients(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def _remove_leftovers(self, root: Path) -> None:
        # Shims first: a shim whose container ends would call the engine.
        kill_all(engine_processes(root))
        thaw(self.cgroup)
        kill_all(cgroup_processes(self.cgroup))
        remove_cgroup(self.cgroup)
        _remove_shim_sockets(root / "containerd-state")
        unmount_below(root)
        shutil.rmtree(root)
        self._shared.leave()


def _fresh_directory() -> Path:
    root = Path(tempfile.mkdtemp(prefix="exit-lab-"))
    # TMPDIR may be deep (pytest's and macOS-like ones are).
    if len(f"{root}/containerd.sock.ttrpc") > SOCKET_PATH_LIMIT:
        root.rmdir()
        root = Path(tempfile.mkdtemp(prefix="exit-lab-", dir="/tmp"))
    # The user of a container may be given the socket by a bind mount.
    root.chmod(0o711)
    return root


def _release(dockerd: str) -> int:
    answer = subprocess.run([dockerd, "--version"], capture_output=True, text=True, check=True)
    digits = answer.stdout.partition("version ")[2].partition(",")[0].partition(".")[0]
    return int(digits) if digits.isdigit() else LAST_RELEASE_WITH_TRUST_KEY + 1


def _await(process: LoggedProcess, answers: Callable[[], bool], name: str) -> None:
    wait_until(lambda: not process.alive or answers(), READY_SECONDS)
    if process.alive and answers():
        return
    state = "does not answer" if process.alive else f"ended with {process.returncode}"
    raise LabError(f"the private {name} {state}; its log ends with:\n{process.log_tail()}")


def ping(path: Path) -> bool:
    """Return whether an engine answers at this unix socket."""
    connection = http.client.HTTPConnection("localhost", timeout=5)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(str(path))
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _kill_container(client: docker.DockerClient, container_id: str) -> None:
    try:
        client.api.kill(container_id)
    except DockerException:
        # The process ended between listing and kill.
        return


def _remove_shim_sockets(state: Path) -> None:
    """Remove the sockets of killed shims, which lie in a directory that the whole host shares."""
    for address in shim_addresses(state):
        path = Path(address.removeprefix("unix://"))
        if path.parent == SHIM_SOCKETS:
            path.unlink(missing_ok=True)


def shim_addresses(state: Path) -> Iterator[str]:
    """Yield the addresses of the shims of a containerd with this state directory."""
    yield from (file.read_text().strip() for file in state.glob("*/*/*/address"))
    # Since containerd 2.0.
    yield from (json.loads(file.read_text())["address"] for file in state.glob("*/*/*/bootstrap.json"))
