"""A compose file on a private engine: its services, as `docker-compose` starts and ends them."""

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
    """Services of a compose file; as a context manager they are up on entry and gone on exit.

    Images are never built nor pulled: the engine must have them.
    """

    def __init__(self, file: Path, engine_url: str, name: str, environment: Mapping[str, str]) -> None:
        """Choose the file, the engine, what the project is called, and the variables of the file."""
        self._command = [program("docker-compose"), "--file", str(file), "--project-name", name]
        self._environment = {**os.environ, **environment, "DOCKER_HOST": engine_url}

    def __enter__(self) -> Self:
        """Nothing is up yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take everything down, volumes too."""
        self.run("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def run(self, *words: str) -> str:
        """Return what one of its commands printed; raise `LabError` with that where it fails."""
        command = [*self._command, *words]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"docker-compose {words[0]} ended with {done.returncode}:\n{tail(done.stderr)}")
        return done.stdout
