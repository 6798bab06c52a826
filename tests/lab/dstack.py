"""The real dstack on one machine: server, SSH fleet of one host, shim and runner, beside a private engine.

It runs in a mount and network namespace of its own (`make test-dstack` makes one with `unshare`): dstack's
paths (`/root`, `/usr/local/bin`, `/etc/systemd/system`) are overlays there, and everything listens on that
namespace's loopback, so that nothing is left on the machine. Built or downloaded once and kept in the user's
cache: dstack's packages, shim and runner (built by Go from dstack's source distribution), a Debian image for
tasks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from types import TracebackType
from typing import Any, Self

import requests

from tests.lab.engine import PrivateEngine
from tests.lab.errors import LabError
from tests.lab.install import program
from tests.lab.process import LoggedProcess, system_path
from tests.lab.wait import wait_until

VERSION = "0.22.5"
IN_NAMESPACE = "EXIT_EXPORTER_DSTACK_NAMESPACE"
"""Set by `make test-dstack` within the namespace."""

IMAGE = "lab/task:1"
"""No `:latest`, which the shim would pull each time."""

BRIDGE, BRIDGE_ADDRESS = "lab0", "172.31.231.1/24"
SERVER_PORT, SSH_PORT, DOWNLOAD_PORT = 3456, 2222, 8765
SERVER_URL = f"http://127.0.0.1:{SERVER_PORT}"
TOKEN = "lab-token"  # noqa: S105  # of a server that only this namespace reaches
OVERLAID = ("/root", "/usr/local/bin", "/etc/systemd/system")
PATIENCE_SECONDS = 180.0

SUDO = """#!/bin/sh
exec "$@"
"""
# What the shim measures of this machine is replaced, so that a block of the fleet is 2 CPUs and 1 GiB.
SYSTEMCTL = """#!/bin/sh
case "$*" in *restart*dstack-shim*) ;; *) exit 0 ;; esac
unit=/etc/systemd/system/dstack-shim.service
binary=$(sed -n 's/^ExecStart=//p' "$unit")
folder=$(sed -n 's/^WorkingDirectory=//p' "$unit")
set -a
. "$(sed -n 's/^EnvironmentFile=//p' "$unit")"
set +a
cd "$folder"
[ -s shim.pid ] && kill "$(cat shim.pid)" && sleep 1
rm -f host_info.json
setsid "$binary" >"$folder/shim.log" 2>&1 </dev/null &
echo $! >"$folder/shim.pid"
for _ in $(seq 100); do [ -s host_info.json ] && break; sleep 0.1; done
sed -i -E 's/"cpus": ?[0-9]+/"cpus": 16/; s/"memory": ?[0-9]+/"memory": 8589934592/' host_info.json
"""


class Dstack:
    """A dstack server with one SSH host as its fleet; as a context manager it is gone on exit.

    `engine` is the fleet host's engine. `run` submits a task and `row` says what the server knows of it.
    """

    def __init__(self) -> None:
        """Choose nothing; what is not in the cache is made on entry."""
        if not os.environ.get(IN_NAMESPACE):
            raise LabError("run it by `make test-dstack`, which gives it namespaces of its own")
        self.engine = PrivateEngine(bridge=BRIDGE)
        self._folder = Path(tempfile.mkdtemp(prefix="exit-dstack-"))
        self._processes: list[LoggedProcess] = []
        self._cache = cache()

    def __enter__(self) -> Self:
        """Start engine, sshd, downloads and server, and wait for the fleet."""
        try:
            prepare(self._cache)
            self._overlay()
            _make_bridge()
            self.engine.__enter__()
            self._import_image()
            self._start_downloads()
            self._start_sshd()
            self._start_server()
            self._make_fleet()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()

    def stop(self) -> None:
        """End all processes, the shim's too; the namespaces take the rest with them."""
        shim = Path("/root/.dstack/shim.pid")
        if shim.exists():
            subprocess.run(["kill", shim.read_text().strip()], check=False)
        for process in reversed(self._processes):
            process.end(10)
        self.engine.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def apply(self, configuration: dict[str, Any], *, attached: bool = False) -> str:
        """Submit a task and return what the command printed; with `attached`, after its end."""
        path = self._folder / f"{configuration['name']}.dstack.yml"
        path.write_text(json.dumps(configuration))
        return self.command("apply", "-f", str(path), "-y", *([] if attached else ["-d"]), check=not attached)

    def run_task(self, name: str, *commands: str, attached: bool = False, **settings: Any) -> str:
        """Submit a task of one block (2 CPUs and 1 GiB) that runs shell commands."""
        task = {
            "type": "task",
            "name": name,
            "image": IMAGE,
            # Otherwise the server asks a registry for the image's configuration.
            "user": "root",
            "commands": list(commands),
            "resources": {"cpu": "x86:1..", "memory": "0.5GB..", "disk": "1GB.."},
        }
        return self.apply(task | settings, attached=attached)

    def command(self, *words: str, check: bool = True) -> str:
        """Run a command of dstack's CLI and return what it printed."""
        done = subprocess.run(
            [str(self._cache / "venv/bin/dstack"), *words],
            env=self._environment(),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise LabError(f"dstack {' '.join(words)} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def submissions(self, name: str) -> list[dict[str, Any]]:
        """Return the server's job submissions of a run, the first one first; none if it knows no such run."""
        answer = self._post("/api/project/main/runs/get", {"run_name": name})
        if answer.status_code != requests.codes.ok:
            return []
        found: list[dict[str, Any]] = answer.json()["jobs"][0]["job_submissions"]
        return found

    def wait_for_end(self, name: str) -> dict[str, Any]:
        """Wait until the server has finished a run, and return its last submission."""
        ended = {"failed", "done", "terminated", "aborted"}
        if not wait_until(
            lambda: bool(found := self.submissions(name)) and found[-1]["status"] in ended, PATIENCE_SECONDS
        ):
            raise LabError(f"{name} has not ended: {self.submissions(name)}")
        return self.submissions(name)[-1]

    def wait_for_log(self, name: str, text: str) -> None:
        """Wait until the runner's log of the run's container has a text."""
        client = self.engine.client()

        def has_text() -> bool:
            found = client.containers.list(filters={"name": f"^/{name}-0-0-"})
            return bool(found) and text.encode() in found[0].logs()

        if not wait_until(has_text, PATIENCE_SECONDS):
            raise LabError(f"{name}: its runner has not logged {text!r}")

    def _overlay(self) -> None:
        """Put a layer over each folder that dstack writes to; only this namespace sees it."""
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self._folder)], check=True)
        for number, target in enumerate(OVERLAID):
            upper, work = self._folder / f"upper{number}", self._folder / f"work{number}"
            upper.mkdir()
            work.mkdir()
            options = f"lowerdir={target},upperdir={upper},workdir={work}"
            subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, target], check=True)
        shutil.rmtree("/root/.dstack", ignore_errors=True)

    def _import_image(self) -> None:
        command = ["docker", "-H", self.engine.url, "import", str(self._cache / "task.tar"), IMAGE]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def _start_downloads(self) -> None:
        binaries = self._folder / "www" / VERSION / "binaries"
        binaries.mkdir(parents=True)
        for name in ("shim", "runner"):
            shutil.copy(self._cache / "bin" / name, binaries / f"dstack-{name}-linux-amd64")
        self._start(
            [sys.executable, "-m", "http.server", DOWNLOAD_PORT, "--bind", "127.0.0.1"],
            "downloads",
            cwd=self._folder / "www",
        )

    def _start_sshd(self) -> None:
        keys, stubs = self._folder / "keys", self._folder / "stubs"
        keys.mkdir()
        stubs.mkdir()
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True
            )
        for name, script in (("sudo", SUDO), ("systemctl", SYSTEMCTL)):
            (stubs / name).write_text(script)
            (stubs / name).chmod(0o755)
        Path("/run/sshd").mkdir(exist_ok=True)
        Path("/root/.ssh").mkdir(exist_ok=True, mode=0o700)
        shutil.copy(keys / "user.pub", "/root/.ssh/authorized_keys")
        settings = dedent(f"""\
            ListenAddress 127.0.0.1:{SSH_PORT}
            HostKey {keys / "host"}
            PidFile none
            StrictModes no
            PermitRootLogin yes
            UsePAM no
            Subsystem sftp internal-sftp
            SetEnv PATH={stubs}:{system_path()}
            """)
        (keys / "sshd_config").write_text(settings)
        self._start(["/usr/sbin/sshd", "-D", "-e", "-f", keys / "sshd_config"], "sshd")

    def _start_server(self) -> None:
        self._start(
            [
                self._cache / "venv/bin/dstack",
                "server",
                "--host",
                "127.0.0.1",
                "--port",
                SERVER_PORT,
                "--token",
                TOKEN,
            ],
            "server",
            environment=self._environment(),
        )
        if not wait_until(self._answers, PATIENCE_SECONDS):
            raise LabError(f"dstack's server does not answer:\n{self._processes[-1].log_tail()}")

    def _environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{DOWNLOAD_PORT}/{{version}}/binaries/dstack-{{}}-linux-{{arch}}"
        return os.environ | {
            "HOME": "/root",
            "DSTACK_SHIM_DOWNLOAD_URL": url.replace("{}", "shim"),
            "DSTACK_RUNNER_DOWNLOAD_URL": url.replace("{}", "runner"),
            # A bridge for each job: several at once would have one port on the host's network.
            "DSTACK_SERVER_JOB_NETWORK_MODE": "3",
        }

    def _make_fleet(self) -> None:
        fleet = {
            "type": "fleet",
            "name": "lab",
            "env": {"DOCKER_HOST": self.engine.url},
            "ssh_config": {
                "user": "root",
                "port": SSH_PORT,
                "identity_file": str(self._folder / "keys" / "user"),
                "hosts": [{"hostname": "127.0.0.1", "blocks": 8}],
            },
        }
        self.apply(fleet)
        if not wait_until(self._has_instance, PATIENCE_SECONDS):
            raise LabError(f"the fleet is not ready:\n{self.command('fleet', check=False)}")

    def _has_instance(self) -> bool:
        fleets = self._post("/api/project/main/fleets/list", {}).json()
        return any(each["status"] == "idle" for fleet in fleets for each in fleet["instances"])

    def _answers(self) -> bool:
        try:
            return self._post("/api/projects/list", {}).ok
        except requests.RequestException:
            return False

    def _post(self, path: str, body: dict[str, Any]) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.post(SERVER_URL + path, json=body, headers=headers, timeout=30)

    def _start(
        self,
        command: Sequence[object],
        name: str,
        *,
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        words = [str(word) for word in command]
        log = self._folder / f"{name}.log"
        self._processes.append(LoggedProcess(words, log, cwd=cwd, environment=environment))


def _make_bridge() -> None:
    for words in (
        ["link", "set", "lo", "up"],
        ["link", "add", BRIDGE, "type", "bridge"],
        ["address", "add", BRIDGE_ADDRESS, "dev", BRIDGE],
        ["link", "set", BRIDGE, "up"],
    ):
        subprocess.run([program("ip"), *words], check=True)


def cache() -> Path:
    """Return the folder that keeps what is built or downloaded once."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "exit-exporter" / f"dstack-{VERSION}"


def prepare(folder: Path) -> None:
    """Fill the cache with dstack's packages, its shim and runner, and an image.

    Raises:
        LabError: A tool is missing.
    """
    missing = [name for name in ("go", "debootstrap", "ssh-keygen", "curl") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        raise LabError(f"needs root and {', '.join(missing) or 'nothing else'}")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "venv/bin/dstack").exists():
        _make_venv(folder / "venv")
    if not (folder / "bin/runner").exists():
        _build_programs(folder)
    if not (folder / "task.tar").exists():
        _make_image(folder)


def _make_venv(venv: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin/pip"), "install", "--quiet", f"dstack[server]=={VERSION}"], check=True)


def _build_programs(folder: Path) -> None:
    """Build shim and runner from dstack's source distribution, which holds their Go source."""
    with tempfile.TemporaryDirectory(prefix="exit-dstack-") as name:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", name, f"dstack=={VERSION}"], check=True)
        with tarfile.open(next(Path(name).glob("*.tar.gz"))) as archive:
            archive.extractall(name, filter="data")
        # Without its version a shim calls itself "latest", which the server takes for the newest.
        flags = ["-mod=mod", "-ldflags", f"-X main.Version={VERSION}"]
        source = Path(name) / f"dstack-{VERSION}" / "runner"
        command = ["go", "build", *flags, "-o", f"{folder / 'bin'}/", "./cmd/shim", "./cmd/runner"]
        subprocess.run(command, cwd=source, check=True)


def _make_image(folder: Path) -> None:
    """Make an image with sshd and Python, which dstack's entry script and the tasks need."""
    with tempfile.TemporaryDirectory(prefix="exit-dstack-") as root:
        packages = "--include=openssh-server,python3-minimal"
        command = ["debootstrap", "--variant=minbase", packages, "bookworm", root]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        unfinished = folder / "task.tar.part"
        subprocess.run(["tar", "-C", root, "-cf", str(unfinished), "."], check=True)
        unfinished.rename(folder / "task.tar")
