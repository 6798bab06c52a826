"""Running the command as its users do: piped, at a terminal, and without what the tester's own shell sets."""

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
# What a shell, a terminal or a company's network set, and what would change an output.
_SURROUNDINGS = (
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
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def run(*words: str | Path, **variables: str) -> Done:
    """Run the installed command, piped."""
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
    """Run the installed command at a terminal of so many columns, which must succeed; give what it shows."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [COMMAND, *words],
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment({"TERM": "xterm-256color", **variables}),
    ) as process:
        os.close(its)
        shown = _read(ours)
        assert process.wait(PATIENCE_SECONDS) == 0, shown
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def invoke(*words: str, **variables: str) -> Done:
    """Run the command within this process, where a test can put something else in the place of a part."""
    result = CliRunner().invoke(main, words, env=variables, catch_exceptions=False)
    return Done(result.exit_code, result.stdout, result.stderr)


def environment(variables: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Give the surroundings of a command: the tester's own without what would change an output."""
    kept = {
        name: value
        for name, value in clean_environment().items()
        if name not in _SURROUNDINGS and not name.lower().endswith("_proxy")
    }
    return {**kept, **variables}


def _read(terminal: int) -> bytes:
    """Read until nobody holds the other side any more, which Linux tells by an error."""
    shown = b""
    try:
        while more := os.read(terminal, 65536):
            shown += more
    except OSError:
        pass
    return shown
