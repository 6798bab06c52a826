"""Runs of the command: in a pipe, in a terminal, and within this process."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from click.testing import CliRunner

from exporter.cli import main
from tests.lab.exporter import clean_environment

COMMAND = Path(sys.executable).with_name("exit-exporter")
PATIENCE_SECONDS = 60
# Variables of the tester's shell or network that would change an output.
_DISTURBING_VARIABLES = (
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
    "no_proxy",
)


@dataclass(frozen=True)
class Done:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


def run(*words: str | Path, **variables: str) -> Done:
    """Run the installed command in a pipe."""
    done = subprocess.run(
        [COMMAND, *words],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(variables),
        timeout=PATIENCE_SECONDS,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def at_terminal(*words: str, columns: int = 80, **variables: str) -> str:
    """Run the installed command in a terminal; it must succeed. Return its output."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [COMMAND, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment({"TERM": "xterm-256color", **variables}),
    ) as process:
        os.close(slave)
        shown = _read(master)
        assert process.wait(PATIENCE_SECONDS) == 0, shown
    os.close(master)
    return shown.decode().replace("\r\n", "\n")


def invoke(*words: str, **variables: str) -> Done:
    """Run the command within this process, where a test can patch its parts."""
    result = CliRunner().invoke(main, words, env=variables, catch_exceptions=False, prog_name="exit-exporter")
    return Done(result.exit_code, result.stdout, result.stderr)


def environment(variables: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return the environment of a command: the tester's own, without what would change an output."""
    kept = {
        name: value
        for name, value in clean_environment().items()
        if name not in _DISTURBING_VARIABLES and not name.lower().endswith("_proxy")
    }
    return {**kept, **variables}


def _read(terminal: int) -> bytes:
    """Read until the other side is closed, which Linux reports as an error."""
    shown = b""
    try:
        while more := os.read(terminal, 65536):
            shown += more
    except OSError:
        pass
    return shown
