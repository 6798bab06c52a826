"""The exporter as a process of its own, used over HTTP."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab.server import Server

DEFAULT_PORT = 10137
SETTINGS_PREFIXES = ("EXIT_EXPORTER_", "OTEL_")


class ExporterProcess(Server):
    """Process of `exit-exporter serve`."""

    name = "exit-exporter"

    def __init__(  # noqa: PLR0913  # each is a thing of its own
        self,
        engine_url: str,
        directory: Path,
        *,
        port: int = 0,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        """Set the engine and the directory of its store and log; port 0 means any free port.

        `environment` has variables beside those of this process; `wrapper` is a command that becomes the
        one that is appended to it.
        """
        super().__init__(directory, port)
        self._environment = dict(environment or {})
        self._engine_url = engine_url
        self._arguments = tuple(arguments)
        self._wrapper = tuple(wrapper)

    @property
    def database(self) -> Path:
        """File of its database."""
        return self._directory / "exit-exporter.db"

    @property
    def storage_url(self) -> str:
        """URL of its database."""
        return f"sqlite:///{self.database}"

    def kill(self) -> None:
        """Kill it with SIGKILL, like a crash."""
        self.process.kill()

    def reload(self) -> None:
        """Let it reload its catalogue (SIGHUP)."""
        self.process.send(signal.SIGHUP)

    def jobs(self, **parameters: str | int) -> list[dict[str, Any]]:
        """Return the jobs from all pages of the API, newest first."""
        jobs: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.json("/api/v1/jobs", **parameters, **({"cursor": cursor} if cursor else {}))
            jobs += page["jobs"]
            cursor = page["next_cursor"]
        return jobs

    def _command(self) -> list[str | Path]:
        command: list[str | Path] = [*self._wrapper, sys.executable, "-m", "exporter", "serve"]
        command += ["--docker.host", self._engine_url, "--web.listen-address", self.address]
        return [*command, "--storage.url", self.storage_url, *self._arguments]

    def _variables(self) -> dict[str, str]:
        return clean_environment() | self._environment


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of the exporter, so that only the arguments apply."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_PREFIXES)}
