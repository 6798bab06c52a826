"""Services of a compose file on a private engine, run by `docker-compose`."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.errors import LabError
from tests.lab.install import program
from tests.lab.process import tail


class ComposeProject:
    """Services of a compose file; the context manager removes them on exit.

    Images are never built or pulled: the engine must have them.
    """

    def __init__(self, file: Path, engine_url: str, name: str, environment: Mapping[str, str]) -> None:
        """Set the file, the engine, the name of the project, and the variables of the file."""
        self._command = [program("docker-compose"), "--file", str(file), "--project-name", name]
        self._environment = {**os.environ, **environment, "DOCKER_HOST": engine_url}

    def __enter__(self) -> Self:
        """Return the project; nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything, including volumes."""
        self.run("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def run(self, *arguments: str) -> str:
        """Run a `docker-compose` command and return its output; raise `LabError` with it if it fails."""
        command = [*self._command, *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(
                f"docker-compose {arguments[0]} ended with {done.returncode}:\n{tail(done.stderr)}"
            )
        return done.stdout
