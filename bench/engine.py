"""Scripted engines that play a recording in another process."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bench.recording import EngineRecording

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 20.0


class EngineProcess:
    """Process of engines; as a context manager it runs inside the block.

    All ``engines`` play the same recording, each on a host of its own. ``answered``: inspects are answered
    from the recording, otherwise with 404. ``local``: they report the kernel of this machine, so that the
    exporter reads the kernel's OOM counter as it does for a local engine.
    """

    def __init__(
        self, recording: EngineRecording, directory: Path, *, answered: bool, local: bool, engines: int = 1
    ) -> None:
        arguments = [directory, recording.events, "--engines", engines]
        self._command = [sys.executable, "-m", "bench.engine_process", *map(str, arguments)]
        self._command += ["--inspects", str(recording.inspects)] if answered else []
        self._command += ["--local"] if local else []
        self._process: subprocess.Popen[str] | None = None
        self.urls: list[str] = []

    @property
    def url(self) -> str:
        """Address of the only engine."""
        (url,) = self.urls
        return url

    def __enter__(self) -> Self:
        """Start it, and wait until all listen."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.urls = self._read_line().split()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it by closing its stdin."""
        if self._process is None:
            return
        _open(self._process.stdin).close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _open(self._process.stdout).close()

    def load(self, events: int) -> None:
        """Wait for the reader, hold its stream, and put events into the stream."""
        self._do("hold")
        self._do(f"emit {events}")

    def release(self) -> float:
        """Release the stream of the reader, and return the monotonic time of that in seconds."""
        return self._do("release")

    def emit(self, events: int) -> float:
        """Send the next events at once, and return the monotonic time of that in seconds."""
        return self._do(f"emit {events}")

    def _do(self, line: str) -> float:
        process = self._process
        if process is None:
            raise RuntimeError("the engine is not started")
        arguments = _open(process.stdin)
        arguments.write(line + "\n")
        arguments.flush()
        return float(self._read_line())

    def _read_line(self) -> str:
        line = _open(self._process.stdout if self._process else None).readline().strip()
        if not line:
            raise RuntimeError("the scripted engine has ended; see its output above")
        return line


def _open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the engine is not started")
    return pipe
