"""Daemon whose log cannot be written, or one of whose threads dies: it counts on, or ends and says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.contract.engines import event
from tests.integration.faces import samples
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.store.files import fill, small_disk

TIMEOUT_SECONDS = 30.0
FLAGS = ("--storage.retention", "0", "--exits.oom-wait", "0")
DROPPED = "exit_exporter_log_lines_dropped_total"


class Pipe:
    """A named pipe that a daemon has as its standard error."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.to_it = ("sh", "-c", f'exec "$@" 2>"{path}"', "sh")
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def close(self) -> None:
        """Close the reader's end."""
        os.close(self._end)

    def fill(self) -> None:
        """Write until it is full."""
        with suppress(BlockingIOError):
            while os.write(self._end, b"." * 4096):
                pass

    def read(self) -> str:
        """Return what is in it."""
        text = b""
        with suppress(BlockingIOError):
            while data := os.read(self._end, 1 << 20):
                text += data
        return text.decode()


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    return Pipe(tmp_path / "stderr")


def end_job(engine: ScriptedEngine, number: int) -> None:
    """Run a job that ends with 3."""
    engine.emit(event("start", 1, number))
    engine.emit(event("die", 2, number, exitCode="3"))


def counts(exporter: ExporterProcess, exits: int) -> bool:
    """Return whether so many exits are counted soon."""
    return wait_until(
        lambda: sum(samples(exporter, "container_exits_total").values()) == exits, TIMEOUT_SECONDS
    )


def dropped(exporter: ExporterProcess) -> float:
    """Return how many lines of the log are counted as dropped."""
    return sum(samples(exporter, DROPPED).values())


def reconnect(engine: ScriptedEngine, exporter: ExporterProcess) -> None:
    """Restart the engine, which is logged."""
    engine.stop()
    assert wait_until(lambda: not exporter.ready(), TIMEOUT_SECONDS)
    engine.start()
    assert wait_until(exporter.ready, TIMEOUT_SECONDS)


def test_a_log_without_a_reader_costs_no_exit(engine: ScriptedEngine, tmp_path: Path, pipe: Pipe) -> None:
    with ExporterProcess(engine.url, tmp_path, arguments=FLAGS, wrapper=pipe.to_it) as exporter:
        pipe.close()
        reconnect(engine, exporter)
        end_job(engine, 1)
        assert counts(exporter, 1)
        assert wait_until(lambda: dropped(exporter) >= 2, TIMEOUT_SECONDS)
        assert exporter.stop() == 0


def test_a_log_that_nobody_reads_holds_nothing_up(engine: ScriptedEngine, tmp_path: Path, pipe: Pipe) -> None:
    pipe.fill()
    with ExporterProcess(engine.url, tmp_path, arguments=FLAGS, wrapper=pipe.to_it) as exporter:
        end_job(engine, 1)
        assert counts(exporter, 1)
        pipe.read()
        reconnect(engine, exporter)
        assert wait_until(lambda: "engine not reachable" in pipe.read(), TIMEOUT_SECONDS)
        pipe.fill()
        assert exporter.stop() == 0


def test_a_log_on_a_full_disk_costs_no_exit_and_says_what_it_lacks(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    with (
        small_disk(tmp_path / "disk", "4m") as disk,
        ExporterProcess(engine.url, disk, arguments=FLAGS) as exporter,
    ):
        filler = fill(disk)
        with exporter.log_path.open("ab", buffering=0) as log, suppress(OSError):
            while log.write(b"\n"):
                pass
        end_job(engine, 1)
        assert wait_until(lambda: dropped(exporter) >= 1, TIMEOUT_SECONDS)
        filler.unlink()
        assert counts(exporter, 1)
        reconnect(engine, exporter)
        assert wait_until(lambda: 'msg="log lines dropped' in exporter.log_path.read_text(), TIMEOUT_SECONDS)


# --- what is in it

SECRETS = {
    "HTTP_PROXY": "http://ann:pr0xy-w0rd@127.0.0.1:1",
    "NO_PROXY": "127.0.0.1",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://eve:c0llector-w0rd@collector.invalid:4318",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector.invalid:4318/v1/traces?key=qu3ry-w0rd",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20h3ader-w0rd",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment.key=attr1bute-w0rd,not-a-pair",
}
WORDS = ("pr0xy-w0rd", "c0llector-w0rd", "qu3ry-w0rd", "h3ader-w0rd", "attr1bute-w0rd")


def test_no_secret_is_in_the_log_or_in_an_answer(engine: ScriptedEngine, tmp_path: Path) -> None:
    refusal = {"message": "not for Bearer h3ader-w0rd at http://ann:pr0xy-w0rd@127.0.0.1:1"}
    with ExporterProcess(engine.url, tmp_path, arguments=FLAGS, environment=SECRETS) as exporter:
        end_job(engine, 1)
        assert wait_until(lambda: "export failed" in exporter.log_path.read_text(), TIMEOUT_SECONDS)
        engine.fail_next("/", 403, 1000, body=refusal)
        engine.cut()
        assert wait_until(lambda: "403: not for" in exporter.get("/-/ready").text, TIMEOUT_SECONDS)
        answers = [
            exporter.get(path).text for path in ("/-/ready", "/metrics", "/api/v1/jobs", "/", "/openapi.json")
        ]
    log = exporter.log_path.read_text()
    assert "403: not for" in log
    assert [word for word in WORDS if word in log + "".join(answers)] == []


def test_a_store_that_refuses_is_logged_once_for_each_cause(
    engine: ScriptedEngine, tmp_path: Path, pipe: Pipe
) -> None:
    with (
        small_disk(tmp_path / "disk", "4m") as disk,
        ExporterProcess(engine.url, disk, arguments=FLAGS, wrapper=pipe.to_it) as exporter,
    ):
        filler, errors = fill(disk), "exit_exporter_store_errors_total"
        end_job(engine, 1)
        assert wait_until(lambda: sum(samples(exporter, errors).values()) >= 3, TIMEOUT_SECONDS)
        filler.unlink()
        assert counts(exporter, 1)
        assert exporter.stop() == 0
    log = pipe.read()
    assert (log.count('msg="commit failed'), log.count('msg="commits work again"')) == (1, 1)


# --- threads


class Buggy(ExporterProcess):
    """Daemon in which a function raises an error that no code expects."""

    function = ""

    def _command(self) -> list[str | Path]:
        owner, _, name = self.function.rpartition(".")
        module = owner.rpartition(".")[0]
        code = (
            f"import {module}\n"
            f"def bug(*arguments, **more): raise LookupError('a bug')\n"
            f"{owner}.{name} = bug\n"
            "from exporter.cli import main\n"
            "main()\n"
        )
        command = super()._command()
        at = command.index(sys.executable)
        return [*command[:at], sys.executable, "-c", code, *command[at + 3 :]]


@contextmanager
def buggy(engine: ScriptedEngine, directory: Path, function: str, pipe: Pipe) -> Iterator[ExporterProcess]:
    """Run a daemon with a bug."""
    exporter = Buggy(engine.url, directory, arguments=FLAGS, wrapper=pipe.to_it)
    exporter.function = function
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.stop()


@pytest.mark.parametrize(
    "function",
    [
        "exporter.pipeline.recorder.Recorder.add",
        "exporter.store.retention.Retention.delete_old",
        "exporter.sources.docker.watch.watcher.EngineWatcher._wait_for_pipeline",
    ],
    ids=["pipeline", "retention", "watch"],
)
@pytest.mark.parametrize("log", ["is read", "is full"])
def test_a_thread_that_dies_ends_the_daemon(
    engine: ScriptedEngine, tmp_path: Path, pipe: Pipe, function: str, log: str
) -> None:
    if log == "is full":
        pipe.fill()
    with buggy(engine, tmp_path, function, pipe) as exporter:
        # Starts the pipeline's bug, and the watcher's.
        assert wait_until(lambda: exporter.ready() or not exporter.process.alive, TIMEOUT_SECONDS)
        end_job(engine, 1)
        engine.stop()
        assert wait_until(lambda: not exporter.process.alive, TIMEOUT_SECONDS)
        assert exporter.process.returncode == 1
    with closing(pipe):
        assert log == "is full" or "LookupError: a bug" in pipe.read()
