"""The real dstack on one machine: server, SSH fleet of one host, shim and runner, beside a private engine.

It runs in a mount and network namespace of its own (`tests/lab/dstack_host.py`), with what the cache has
(`tests/lab/dstack_cache.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.lab.dstack_cache import IMAGE, VERSION, cache
from tests.lab.dstack_host import (
    BRIDGE,
    SSH_PORT,
    cover_paths,
    make_bridge,
    require_namespace,
    sshd_command,
)
from tests.lab.engine import PrivateEngine
from tests.lab.errors import LabError
from tests.lab.orphans import kill_all, namespace_processes
from tests.lab.process import LoggedProcess
from tests.lab.wait import wait_until

SERVER_PORT, DOWNLOAD_PORT = 3456, 8765
SERVER_URL = f"http://127.0.0.1:{SERVER_PORT}"
TOKEN = "lab-token"  # noqa: S105  # of a server that only this namespace reaches
BLOCKS = 8
PATIENCE_SECONDS = 180.0
INTERVAL_SECONDS = 1.0
"""Between two questions to the server, which has work to do meanwhile."""

ENDED = frozenset({"failed", "done", "terminated", "aborted"})


class Dstack:
    """A dstack server with one SSH host as its fleet; as a context manager it is gone on exit.

    `engine` is the fleet host's engine. `run_task` submits a task, and `submissions` has what the server
    knows of it.
    """

    def __init__(self) -> None:
        """Start nothing yet. Raises `LabError` outside of a namespace of its own."""
        require_namespace()
        self.engine = PrivateEngine(bridge=BRIDGE)
        self._folder = Path(tempfile.mkdtemp(prefix="exit-dstack-"))
        self._processes: list[LoggedProcess] = []
        self._cache = cache()

    def __enter__(self) -> Self:
        """Start engine, sshd, downloads and server, and wait for the fleet."""
        try:
            cover_paths(self._folder)
            make_bridge()
            self.engine.start()
            self._import_image()
            self._start_downloads()
            self._start(sshd_command(self._folder / "ssh"), "sshd")
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
        """End all processes of the namespace; it takes the rest with it."""
        for process in reversed(self._processes):
            process.end(10)
        self.engine.stop()
        # The shim, and the ssh tunnels of the server, which are daemons.
        kill_all(namespace_processes())
        subprocess.run(["umount", "--lazy", str(self._folder)], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """A folder on the fleet's host, in memory."""
        return self._folder

    def apply(self, configuration: Mapping[str, Any], *, attached: bool = False) -> str:
        """Submit a configuration and return what the command printed; with `attached`, after its end."""
        with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".dstack.yml") as file:
            json.dump(dict(configuration), file)
            file.flush()
            detach = [] if attached else ["-d"]
            return self.command("apply", "-f", file.name, "-y", *detach, check=not attached)

    def run_task(self, name: str | None, *commands: str, attached: bool = False, **settings: Any) -> str:
        """Submit a task of one block (2 CPUs and 1 GiB) that runs shell commands.

        Without a name dstack makes one up. Returns what the command printed.
        """
        task = {
            "type": "task",
            "image": IMAGE,
            # Otherwise the server asks a registry for the image's configuration.
            "user": "root",
            "commands": list(commands),
            "resources": {"cpu": "x86:1..", "memory": "0.5GB..", "disk": "1GB.."},
        }
        return self.apply(task | ({"name": name} if name else {}) | settings, attached=attached)

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

    def run_names(self) -> list[str]:
        """Return the names of all runs, the newest first."""
        answer = self._post("/api/runs/list", {"project_name": "main"})
        return [run["run_spec"]["run_name"] for run in answer.json()]

    def submissions(self, name: str) -> list[dict[str, Any]]:
        """Return the server's job submissions of a run, the first one first; none if it knows no such run."""
        answer = self._post("/api/project/main/runs/get", {"run_name": name})
        if answer.status_code != requests.codes.ok:
            return []
        found: list[dict[str, Any]] = answer.json()["jobs"][0]["job_submissions"]
        return found

    def wait_for_end(self, name: str, *, submission: int = 1) -> list[dict[str, Any]]:
        """Wait until the server has finished a run's submission of this number; return all of them."""

        def has_ended() -> bool:
            found = self.submissions(name)
            return len(found) >= submission and found[submission - 1]["status"] in ENDED

        if not wait_until(has_ended, PATIENCE_SECONDS * submission, interval=INTERVAL_SECONDS):
            statuses = [each["status"] for each in self.submissions(name)]
            raise LabError(f"submission {submission} of {name} has not ended: {statuses}")
        return self.submissions(name)

    def wait_for_log(self, name: str, text: str) -> None:
        """Wait until the runner's log of the run's container has a text."""
        client = self.engine.client()

        def has_text() -> bool:
            found = client.containers.list(filters={"name": f"^/{name}-0-0-"})
            return bool(found) and text.encode() in found[0].logs()

        if not wait_until(has_text, PATIENCE_SECONDS, interval=INTERVAL_SECONDS):
            raise LabError(f"{name}: its runner has not logged {text!r}")

    def _import_image(self) -> None:
        repository, _, tag = IMAGE.partition(":")
        image = str(self._cache / "image.tar")
        self.engine.client().api.import_image_from_file(image, repository=repository, tag=tag)

    def _start_downloads(self) -> None:
        binaries = self._folder / "www" / VERSION / "binaries"
        binaries.mkdir(parents=True)
        for name in ("shim", "runner"):
            shutil.copy(self._cache / "bin" / name, binaries / f"dstack-{name}-linux-amd64")
        folder = ["--directory", self._folder / "www"]
        self._start(
            [sys.executable, "-m", "http.server", DOWNLOAD_PORT, "--bind", "127.0.0.1", *folder], "downloads"
        )

    def _start_server(self) -> None:
        where = ["--host", "127.0.0.1", "--port", SERVER_PORT, "--token", TOKEN]
        self._start([self._cache / "venv/bin/dstack", "server", *where], "server")
        if not wait_until(self._answers, PATIENCE_SECONDS, interval=INTERVAL_SECONDS):
            raise LabError(f"dstack's server does not answer:\n{self._processes[-1].log_tail()}")

    def _environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{DOWNLOAD_PORT}/{{version}}/binaries/dstack-{{}}-linux-{{arch}}"
        return os.environ | {
            "HOME": "/root",
            "COLUMNS": "200",
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
                "identity_file": str(self._folder / "ssh" / "user"),
                "hosts": [{"hostname": "127.0.0.1", "blocks": BLOCKS}],
            },
        }
        self.apply(fleet)
        if not wait_until(self._has_instance, PATIENCE_SECONDS, interval=INTERVAL_SECONDS):
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

    def _start(self, command: Sequence[object], name: str) -> None:
        words = [str(word) for word in command]
        log = self._folder / f"{name}.log"
        self._processes.append(LoggedProcess(words, log, environment=self._environment()))
