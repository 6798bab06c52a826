"""The examples of a page of the documentation, and a shell that runs them as a reader would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cli.command import Done, environment
from tests.lab.engine import PrivateEngine

DOCS = Path(__file__).parents[2] / "docs"
PATIENCE_SECONDS = 120
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A fenced block: the heading above it, its language, and its text."""

    heading: str
    language: str
    text: str


def examples(page: str, *languages: str) -> list[Example]:
    """Return the fenced blocks of a page in these languages, in their order."""
    text = (DOCS / page).read_text()
    outside = _FENCE.sub(lambda block: re.sub("[^\n]", " ", block[0]), text)
    headings = [(found.start(), found[1]) for found in _HEADING.finditer(outside)]
    blocks = [
        Example([title for start, title in headings if start < block.start()][-1], block[2], block[3])
        for block in _FENCE.finditer(text)
    ]
    return [block for block in blocks if block.language in languages]


def example(page: str, heading: str, *languages: str) -> str:
    """Return the text of the first block below a heading."""
    return section(page, heading, *languages)[0]


def section(page: str, heading: str, *languages: str) -> list[str]:
    """Return the texts of the blocks below a heading."""
    return [each.text for each in examples(page, *languages) if each.heading == heading]


def github_steps(workflow: str) -> list[str]:
    """Return the commands of a workflow's steps."""
    jobs: dict[str, Any] = yaml.safe_load(workflow)["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


def gitlab_steps(pipeline: str) -> list[str]:
    """Return the commands of a pipeline's jobs."""
    return [line for job in yaml.safe_load(pipeline).values() for line in job["script"]]


@dataclass(frozen=True)
class Shell:
    """A reader's shell, in a directory and with variables; what it leaves in the background ends with it."""

    directory: Path
    variables: Mapping[str, str]
    _groups: list[int] = field(default_factory=list)

    def run(self, commands: str, **variables: str) -> Done:
        """Run commands as a step of a pipeline: it ends with the first that fails."""
        bash = ["bash", "-e", "-o", "pipefail", "-c", commands]
        with subprocess.Popen(
            bash,
            cwd=self.directory,
            env=environment({**self.variables, **variables}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            self._groups.append(process.pid)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return Done(process.returncode, out, err)

    def end(self) -> None:
        """End what still runs in the background."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


@contextmanager
def reader(engine: PrivateEngine, directory: Path, **variables: str) -> Iterator[Shell]:
    """Give a shell in which `docker` talks to this engine, and `exit-exporter` is this one."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    shell = Shell(directory, {"DOCKER_HOST": engine.url, "PATH": path, **variables})
    try:
        yield shell
    finally:
        shell.end()
