"""``wait``: it ends when the jobs have ended, and never with a code that is not theirs."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

import pytest

from exporter import cli
from exporter.cli.client import PROBLEM
from exporter.cli.job_waiter import INTERVAL_SECONDS
from exporter.model import Evidence
from exporter.store import Batch
from tests.cli.command import COMMAND, Done, environment, invoke, run
from tests.cli.other_servers import NOBODY, OTHERS, Other, other_server
from tests.store.samples import BEGAN_NS, OOM, ended, job
from tests.web.served import Served

RUNNING = "b" * 64
NAME = "[bold]odd[/] :smile:"
SOON = 0.2


def wait(served: Served, *words: str) -> Done:
    """Run the command against the server with a job of every kind."""
    return invoke("wait", *words, "--for-start", "0", "--url", served.url)


def after(seconds: float, act: Callable[[], None]) -> threading.Timer:
    """Do something in a moment."""
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


@pytest.mark.parametrize(
    ("key", "code", "line"),
    [
        (
            "gentle-stingray-1",
            137,
            "gentle-stingray-1  failed  137  OOMKilled  more-memory  1 of its processes was",
        ),
        ("a" * 64, 137, "gentle-stingray-1  failed  137  OOMKilled"),
        ("nightly", 0, "nightly  done  0  Completed  none"),
        ("mistyped", 127, "mistyped  failed  127  CommandNotFound  fix-command"),
        ("long-ago", 1, "long-ago  failed  1  Error  fix-code"),
        ("unseen", 250, "unseen  unknown  unknown  Unknown"),
    ],
)
def test_it_ends_with_the_code_on_record_at_once(unchanged: Served, key: str, code: int, line: str) -> None:
    done = wait(unchanged, key)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(line)
    assert done.err.count("\n") == 1


def test_it_ends_when_the_job_does(served: Served) -> None:
    running = job("b", name=NAME, start_event_ns=BEGAN_NS + 5, memory_limit_bytes=None)
    timer = after(SOON, lambda: served.store.commit(Batch(ended=[ended(running, 9)])))
    done = wait(served, RUNNING)
    timer.join()
    assert (done.code, done.err) == (9, f"{NAME}  failed  9  Error  fix-code\n")


def test_it_waits_for_the_run_that_was_the_newest_when_it_began(served: Served) -> None:
    running = job("b", name=NAME, start_event_ns=BEGAN_NS + 5, memory_limit_bytes=None)
    again = job("b", name=NAME, attempt=2, start_event_ns=BEGAN_NS + 99)

    def end_and_restart() -> None:
        served.store.commit(Batch(running=[again], ended=[ended(running, 9)]))

    timer = after(SOON, end_and_restart)
    done = wait(served, RUNNING)
    timer.join()
    assert done.code == 9


def test_a_job_may_come_later(served: Served) -> None:
    late = ended(job("7", name="late"), 3)
    timer = after(SOON, lambda: served.store.commit(Batch(ended=[late])))
    done = invoke("wait", "late", "--url", served.url)
    timer.join()
    assert done.code == 3


def test_a_job_that_does_not_come_is_an_error(unchanged: Served) -> None:
    done = invoke("wait", "never", "--for-start", f"{SOON}s", "--url", unchanged.url)
    assert done == Done(251, "", "Error: no job, container name or container id 'never' is on record\n")
    assert wait(unchanged, "never", "--error-as", "70").code == 70


def test_a_timeout_has_a_status_of_its_own_and_names_what_still_runs(unchanged: Served) -> None:
    done = wait(unchanged, "nightly", RUNNING, "--timeout", "0.1s")
    assert done.code == 124
    assert done.err.endswith(f"not ended within the time limit: {RUNNING}\n")
    assert wait(unchanged, RUNNING, "--timeout", "0", "--timeout-as", "9").code == 9


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--on", "OOMKilled=75"], 75),
        (["--on", "oomkilled=75"], 75),
        (["--on", "more-memory=76"], 76),
        (["--on", "retry=1", "--on", "more-memory=76", "--on", "OOMKilled=75"], 76),
        (["--on", "Error=75"], 137),
    ],
)
def test_reasons_and_recoveries_are_mapped_to_a_status(
    unchanged: Served, words: list[str], code: int
) -> None:
    done = wait(unchanged, "gentle-stingray-1", *words)
    assert done.code == code
    assert "137  OOMKilled" in done.err


@pytest.mark.parametrize(
    ("mapping", "cause"),
    [
        ("OOMKiled=75", "'OOMKiled' is neither a reason nor a recovery; did you mean OOMKilled?"),
        ("OOMKilled=0", "0 is not in the range 1<=x<=255."),
        ("OOMKilled=256", "256 is not in the range 1<=x<=255."),
        ("OOMKilled", "'OOMKilled' is not NAME=STATUS, such as OOMKilled=240"),
        ("=75", "'=75' is not NAME=STATUS, such as OOMKilled=240"),
        ("OOMKilled=²", "'OOMKilled=²' is not NAME=STATUS, such as OOMKilled=240"),
    ],
)
def test_a_wrong_mapping_is_an_error_that_no_job_has(unchanged: Served, mapping: str, cause: str) -> None:
    done = wait(unchanged, "gentle-stingray-1", "--on", mapping)
    assert done.code == 251
    assert done.err.endswith(f": {cause}\n")


def test_a_success_that_lost_a_process_fails_if_that_is_asked_for(served: Served) -> None:
    survivor = ended(job("6", name="survivor"), 0, Evidence(), oom_kills=2)
    served.store.commit(Batch(ended=[survivor]))
    done = wait(served, "survivor")
    assert (done.code, "2 of its processes were killed for memory" in done.err) == (0, True)
    assert wait(served, "survivor", "--strict").code == 252
    assert wait(served, "survivor", "--strict", "--strict-as", "3").code == 3
    assert wait(served, "nightly", "--strict").code == 0


def test_of_all_jobs_the_first_given_that_failed_counts(unchanged: Served) -> None:
    assert wait(unchanged, "nightly", "long-ago", "mistyped").code == 1
    assert wait(unchanged, "nightly", "mistyped", "long-ago").code == 127
    assert wait(unchanged, "nightly", "nightly").code == 0


def test_of_any_jobs_the_first_that_ended_counts(unchanged: Served) -> None:
    assert wait(unchanged, "--any", RUNNING, "mistyped").code == 127


def test_a_code_of_more_than_8_bits_is_never_a_success(served: Served) -> None:
    served.store.commit(Batch(ended=[ended(job("6", name="windows"), 0xC0000100)]))
    assert wait(served, "windows").code == 255


def test_json_has_an_object_for_each_job(unchanged: Served) -> None:
    done = wait(unchanged, "gentle-stingray-1", "nightly", "--format", "json")
    first, second = (json.loads(line) for line in done.out.splitlines())
    assert (done.code, done.err) == (137, "")
    assert (first["container_exit_code"], first["reason"], first["recovery"]) == (
        137,
        "OOMKilled",
        "more-memory",
    )
    assert first["evidence"] == list(OOM.notes)
    assert second["container_exit_code"] == 0


@pytest.mark.parametrize("kind", ["a page", "another API's refusal", "a breakdown"])
def test_no_answer_of_another_server_is_a_code(kind: str) -> None:
    with other_server(OTHERS[kind]) as url:
        assert invoke("wait", "x", "--retry-for", "0", "--url", url).code == 251


def test_a_server_that_is_away_is_waited_for() -> None:
    done = run("wait", "x", "--retry-for", f"{INTERVAL_SECONDS}s", "--url", NOBODY)
    warning, error = done.err.splitlines()
    assert done.code == 251
    assert warning.endswith("See --url. Trying again for 0.5 s.")
    assert error.startswith("Error: no exit-exporter answers")


def problem(status: HTTPStatus, detail: str) -> Other:
    """Return an answer of our server."""
    return Other(json.dumps({"detail": detail}).encode(), status, PROBLEM)


def test_a_store_that_cannot_be_read_for_the_moment_is_waited_for() -> None:
    with other_server(problem(HTTPStatus.SERVICE_UNAVAILABLE, "the store is locked")) as url:
        done = invoke("wait", "x", "--retry-for", f"{INTERVAL_SECONDS}s", "--url", url)
    assert done == Done(251, "", "the store is locked. Trying again for 0.5 s.\nError: the store is locked\n")


def test_what_the_server_refuses_is_not_tried_again() -> None:
    with other_server(problem(HTTPStatus.CONFLICT, "several ids begin so")) as url:
        assert invoke("wait", "x", "--url", url) == Done(251, "", "Error: several ids begin so\n")


def test_a_job_is_not_missing_before_the_server_is_ready(served: Served) -> None:
    served.health.set_unready("engine", "it is not listed yet")

    def be_ready() -> None:
        served.store.commit(Batch(ended=[ended(job("7", name="late"), 3)]))
        served.health.set_ready("engine")

    timer = after(SOON, be_ready)
    done = wait(served, "late")
    timer.join()
    assert done.code == 3
    assert "and the exporter is not ready: engine: it is not listed yet. Trying again" in done.err


def test_a_missing_job_does_not_hide_one_that_ended(unchanged: Served) -> None:
    assert wait(unchanged, "--any", "never", "mistyped").code == 127
    done = wait(unchanged, "never", "mistyped")
    assert done.code == 251
    assert done.err.startswith("mistyped  failed  127")


def test_the_time_limit_holds_also_while_the_names_of_reasons_are_asked_for() -> None:
    done = invoke("wait", "x", "--on", "OOMKilled=75", "--timeout", "0.1s", "--url", NOBODY)
    assert done.code == 124
    assert done.err.endswith("\nthe server did not answer within the time limit\n")


def test_a_reason_and_a_recovery_can_differ_in_case_alone(served: Served) -> None:
    served.catalogue_file.write_text("reasons:\n  Retry: {meaning: Once more., recovery: fix-code}\n")
    assert served.ask("/-/reload", "POST").ok
    served.store.commit(Batch(ended=[ended(job("6", name="killed"), 137)]))
    assert wait(served, "killed", "--on", "retry=75").code == 75
    assert wait(served, "killed", "--on", "Retry=75").code == 137


def test_ctrl_c_has_a_status_of_its_own(unchanged: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("exporter.cli.job_waiter.time.sleep", interrupt)
    assert wait(unchanged, RUNNING).code == 130
    # While the command is still loaded.
    monkeypatch.setattr(cli, "import_module", interrupt)
    assert wait(unchanged, RUNNING).code == 130


def test_a_wrong_use_ends_with_a_status_that_no_job_has() -> None:
    assert run("wait").code == 251
    assert invoke("wait", "a/b").code == 251
    assert invoke("wait", "x", "--nosuch").code == 251


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["mistyped", "2>/dev/full"], 127),
        (["mistyped", "2>&-"], 127),
        (["mistyped", "--format", "json", ">/dev/full"], 127),
        (["mistyped", "--format", "json", ">/dev/full", "2>/dev/full"], 127),
        (["mistyped", "--format", "json", ">&-"], 127),
        (["nosuch", "--for-start", "0", "2>/dev/full"], 251),
        (["--nosuch", "2>/dev/full"], 251),
    ],
)
def test_output_that_cannot_be_written_does_not_hide_the_code(
    unchanged: Served, words: list[str], code: int
) -> None:
    line = f'exec "$0" wait --url {unchanged.url} {" ".join(words)}'
    done = subprocess.run(["sh", "-c", line, COMMAND], env=environment(), check=False)
    assert done.returncode == code


def test_a_reader_that_went_away_does_not_hide_the_code(unchanged: Served) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words: list[str | Path] = [COMMAND, "wait", "mistyped", "--format", "json", "--url", unchanged.url]
    done = subprocess.run(words, stdout=writing, stderr=writing, env=environment(), check=False)
    os.close(writing)
    assert done.returncode == 127
