"""The examples of docs/ci.md do on a real engine what the page says."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.documents import Shell, example, examples, github_steps, gitlab_steps, reader
from tests.lab.engine import PrivateEngine
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX, import_busybox
from tests.lab.install import ensure_documented
from tests.lab.kinds import DEBIANS, new_engine
from tests.lab.server import free_port
from tests.lab.wait import wait_until

PAGE = "ci.md"
SCRIPT = "run-job.sh"
SECONDS = 60
MEBIBYTE = 1 << 20
NEEDS_40_MIB = "dd if=/dev/zero of=/dev/null bs=40M count=1"
NEVER_ENOUGH = "a=x; while :; do a=$a$a$a; done"
LOSES_A_PROCESS = f"sh -c '{NEVER_ENOUGH}'; exit 0"
NO_IMAGE = "127.0.0.1:1/none"
# How a pipeline calls the script in each system.
CALLS = {
    "shell": example(PAGE, "Retry by reason", "sh"),
    "GitHub": "\n".join(github_steps(example(PAGE, "A self-hosted runner", "yaml"))),
    "GitLab": "\n".join(gitlab_steps(example(PAGE, "GitLab CI", "yaml"))),
}


@pytest.fixture(scope="module")
def exporter(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """An exporter, as a service on the runner's machine."""
    ensure_documented()
    with ExporterProcess(engine.url, tmp_path_factory.mktemp("service")) as process:
        yield process


@pytest.fixture
def shell(engine: PrivateEngine, exporter: ExporterProcess, tmp_path: Path) -> Iterator[Shell]:
    """A shell in a checkout that has the script of the page."""
    _check_out(tmp_path)
    with reader(engine, tmp_path, EXIT_EXPORTER_URL=exporter.url, IMAGE=BUSYBOX) as shell:
        yield shell


def _check_out(directory: Path) -> None:
    (directory / SCRIPT).write_text(example(PAGE, "Retry by reason", "bash"))


def _limits(exporter: ExporterProcess, known: set[str]) -> list[int]:
    """Return the memory limits in MiB of the jobs that were not known, in the order of their starts."""
    new = [job for job in reversed(exporter.jobs()) if job["id"] not in known]
    return [job["memory_limit_bytes"] // MEBIBYTE for job in new]


@pytest.mark.parametrize(
    ("call", "command", "end"),
    [
        ("shell", NEEDS_40_MIB, (0, [16, 32, 64])),
        ("GitHub", NEEDS_40_MIB, (0, [16, 32, 64])),
        ("GitLab", NEEDS_40_MIB, (0, [16, 32, 64])),
        ("shell", NEVER_ENOUGH, (240, [16, 32, 64])),
        ("shell", "exit 3", (3, [16])),
        ("shell", "exit 75", (75, [16])),
        ("shell", "exit 137", (137, [16])),
        ("shell", "exit 139", (139, [16])),
    ],
)
def test_only_an_oom_kill_is_retried_with_more_memory(
    shell: Shell, exporter: ExporterProcess, call: str, command: str, end: tuple[int, list[int]]
) -> None:
    known = {job["id"] for job in exporter.jobs()}
    done = shell.run(CALLS[call], COMMAND=command, MEMORY="16", MOST_MEMORY="64")
    assert (done.code, _limits(exporter, known)) == end, done.err
    assert ("Likely causes" in done.err) is (done.code != 0)


def test_a_run_whose_host_was_lost_is_retried_with_the_same_memory(tmp_path: Path) -> None:
    _check_out(tmp_path)
    with (
        new_engine(DEBIANS) as engine,
        ExporterProcess(engine.url, tmp_path) as exporter,
        reader(engine, tmp_path, EXIT_EXPORTER_URL=exporter.url) as shell,
        ThreadPoolExecutor() as pool,
    ):
        image = import_busybox(engine.client())
        variables = {"COMMAND": "sleep 600", "MEMORY": "16", "MOST_MEMORY": "64", "PAUSE": "0"}
        run = pool.submit(shell.run, CALLS["shell"], IMAGE=image, **variables)
        assert wait_until(lambda: bool(exporter.jobs(status="running")), SECONDS)
        engine.crash()
        engine.start()
        assert wait_until(lambda: len(exporter.jobs()) == 2, SECONDS)
        engine.client().containers.list()[0].kill()
        done = run.result()
        assert (done.code, _limits(exporter, set())) == (137, [16, 16]), done.err
        assert [job["reason"] for job in exporter.jobs()] == ["Killed", "HostLost"]


@pytest.mark.parametrize(
    ("heading", "command", "code", "words"),
    [
        ("Wait for one container", "exit 3", 3, "failed  3  Error  fix-code"),
        ("Wait for one container", "exit 0", 0, "done  0  Completed  none"),
        ("Several containers", "exit $((SHARD - 1))", 1, "failed  2  Misuse"),
        ("Several containers", "exit 0", 0, "done  0  Completed  none"),
        ("Fail on lost results", LOSES_A_PROCESS, 252, "1 of its processes was killed for memory"),
        ("Fail on lost results", "exit 0", 0, "done  0  Completed  none"),
        ("In a program of your own", "exit 3", 3, ": Error, so fix-code\n"),
    ],
)
def test_an_example_ends_as_the_job(shell: Shell, heading: str, command: str, code: int, words: str) -> None:
    done = shell.run(example(PAGE, heading, "sh"), COMMAND=command, MEMORY="32")
    assert done.code == code, done.err
    assert words in done.out + done.err


def test_a_container_that_was_never_made_is_an_error(shell: Shell) -> None:
    done = shell.run(example(PAGE, "Wait for one container", "sh"), IMAGE=NO_IMAGE, COMMAND="true")
    assert done.code == 251
    assert "'' is not a job id or a container name" in done.err


def test_a_hosted_runner_starts_its_own_exporter(engine: PrivateEngine, tmp_path: Path) -> None:
    _check_out(tmp_path)
    address = f"127.0.0.1:{free_port()}"
    variables = {
        "EXIT_EXPORTER": "exit-exporter",
        "EXIT_EXPORTER_URL": f"http://{address}",
        "EXIT_EXPORTER_WEB_LISTEN_ADDRESS": address,
        "EXIT_EXPORTER_STORAGE_URL": f"sqlite:///{tmp_path}/exits.db",
        "IMAGE": BUSYBOX,
        "COMMAND": NEEDS_40_MIB,
        "MEMORY": "32",
        "MOST_MEMORY": "64",
    }
    with reader(engine, tmp_path, **variables) as shell:
        steps = [shell.run(step) for step in github_steps(example(PAGE, "A hosted GitHub runner", "yaml"))]
    assert [step.code for step in steps] == [0, 0, 0], steps
    assert "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)" in steps[-1].out


def test_the_page_has_no_other_examples() -> None:
    assert [each.heading for each in examples(PAGE, "sh", "bash", "yaml")] == [
        "Wait for one container",
        "Retry by reason",
        "Retry by reason",
        "A self-hosted runner",
        "A hosted GitHub runner",
        "GitLab CI",
        "Several containers",
        "Fail on lost results",
        "In a program of your own",
    ]
