"""One background process with a log file, which is stopped by its own pid."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TAIL_LINES = 25


class LoggedProcess:
    """A command that runs in the background and writes to `log_path`."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log_path: Path,
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command`; its output is appended to `log_path`."""
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=None if environment is None else dict(environment),
                # A Ctrl-C at the terminal goes to its whole process group; here the starter
                # decides who ends first.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self._popen.poll()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL and wait for that."""
        self._popen.kill()
        self._popen.wait()

    def end(self, patience_seconds: float) -> int:
        """Stop it with SIGTERM, after `patience_seconds` with SIGKILL; return its exit code."""
        # A stopped process would not see the SIGTERM.
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            return self._popen.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._popen.wait()

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        return tail(self.log_path.read_text(errors="replace"))


def tail(text: str) -> str:
    """Return the last lines of `text`."""
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def system_path(first: Path | None = None) -> str:
    """Return a search path that contains the directories of system programs, and `first` before all."""
    usual = (os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin")
    return os.pathsep.join([str(first), *usual] if first else usual)
