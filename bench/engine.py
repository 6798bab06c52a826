"""A handle on the scripted engine that plays a tape in another process."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bench.tape import Tape

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 20.0


class TapeEngine:
    """An engine with a tape; runs between ``with`` and its end.

    ``answered``: inspects are answered from the tape, otherwise with 404. ``local``: it claims this
    machine's kernel, so that the exporter watches the kernel's counter as it does beside a local engine.
    """

    def __init__(self, tape: Tape, directory: Path, *, answered: bool, local: bool) -> None:
        words = [directory / "engine.sock", tape.events]
        self._command = [sys.executable, "-m", "bench.engine_process", *map(str, words)]
        self._command += ["--inspects", str(tape.inspects)] if answered else []
        self._command += ["--local"] if local else []
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Start, and wait until it can be connected to."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = self._heard()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it: it serves as long as it is listened to."""
        if self._process is None:
            return
        _open(self._process.stdin).close()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _open(self._process.stdout).close()

    def load(self, events: int) -> None:
        """Put so many events before the one reader, who sees none of them yet; returns when he is there."""
        self._do("hold")
        self._do(f"emit {events}")

    def release(self) -> float:
        """Let the reader have what was put before him; the monotonic time of that, in seconds."""
        return self._do("release")

    def emit(self, events: int) -> float:
        """Let the next events happen, at once; the monotonic time of that, in seconds."""
        return self._do(f"emit {events}")

    def _do(self, line: str) -> float:
        process = self._process
        if process is None:
            raise RuntimeError("the engine is not started")
        words = _open(process.stdin)
        words.write(line + "\n")
        words.flush()
        return float(self._heard())

    def _heard(self) -> str:
        line = _open(self._process.stdout if self._process else None).readline().strip()
        if not line:
            raise RuntimeError("the scripted engine has ended; what it said last stands above")
        return line


def _open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the engine is not started")
    return pipe
