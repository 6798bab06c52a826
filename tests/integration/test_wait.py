"""``wait`` on a real engine: jobs that are gone, never started or come later; an exporter that restarts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.command import Done, run
from tests.integration.documents import Shell, reader
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX
from tests.lab.install import ensure_documented
from tests.lab.wait import wait_until

SECONDS = 60


@pytest.fixture(scope="module")
def exporter(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """An exporter that is asked."""
    ensure_documented()
    with ExporterProcess(engine.url, tmp_path_factory.mktemp("exporter")) as process:
        yield process


@pytest.fixture
def shell(engine: PrivateEngine, exporter: ExporterProcess, tmp_path: Path) -> Iterator[Shell]:
    """A shell in which both commands work."""
    with reader(engine, tmp_path, EXIT_EXPORTER_URL=exporter.url, IMAGE=BUSYBOX) as shell:
        yield shell


@pytest.mark.parametrize(
    ("options", "command", "code", "line"),
    [
        ("--rm", "sh -c 'exit 3'", 3, "failed  3  Error  fix-code"),
        ("--rm", "sleep 1", 0, "done  0  Completed  none"),
        ("", "nosuch", 127, "failed  127  CommandNotFound  fix-command"),
        ("--rm", "/not-executable", 126, "failed  126  CommandNotExecutable  fix-command"),
    ],
)
def test_a_job_that_is_gone_or_never_started_has_ended(
    shell: Shell, options: str, command: str, code: int, line: str
) -> None:
    done = shell.run(
        f'exit-exporter wait "$(docker run --detach --network none {options} "$IMAGE" {command})"'
    )
    assert (done.code, line in done.err) == (code, True), done.err


def test_a_job_may_be_made_later(shell: Shell) -> None:
    done = shell.run(
        'exit-exporter wait --for-start 1m later & docker run --name later "$IMAGE" sh -c "exit 4" || wait $!'
    )
    assert done.code == 4


def test_an_exporter_that_is_away_when_the_job_ends_tells_it_later(
    shell: Shell, exporter: ExporterProcess
) -> None:
    name = "outlives"
    command = (
        'docker run --detach --name outlives "$IMAGE" sh -c "until [ -e /go ]; do sleep 0.1; done; exit 5"'
    )
    assert shell.run(command).code == 0
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(run, "wait", name, "--url", exporter.url)
        assert wait_until(lambda: bool(exporter.jobs(status="running")), SECONDS)
        exporter.stop()
        assert shell.run(f"docker exec {name} touch /go; docker wait {name}").out == "5\n"
        exporter.start()
        done: Done = waiting.result()
    assert done.code == 5, done.err
