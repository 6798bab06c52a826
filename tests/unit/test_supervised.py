"""Evidence of a job inside a container: its own end counts, and not what came after it."""

from signal import SIGKILL, SIGTERM

import pytest

from exporter.model import JobEnd, JobReport, Status
from exporter.sources.dstack.answers import Run
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from exporter.verdict.evidence import assess
from exporter.verdict.facts import RunFacts, SupervisedRun
from exporter.verdict.supervised import assess_supervised
from exporter.verdict.terminations import REASONS, TERMINATIONS
from tests.unit.ended_runs import CHILD, END, FLAG, SECOND, asked, logged, oom, run, victim

JOB_END = END - 40 * SECOND
SHIM = (asked(SIGTERM, 0.2), asked(SIGKILL, 0.1))
"""How dstack's shim ends a container."""


def error(container: RunFacts, report: JobReport) -> str:
    """Return the error of a supervised run, or that it is done."""
    code, _, evidence = assess_supervised(SupervisedRun("dstack", container, report), assess)
    return classify(code, evidence, builtin_catalog()).error or "done"


def ended(code: int | None, status: Status = Status.FAILED, termination: str = "") -> JobReport:
    """Return the report of a job that ended forty seconds before its container."""
    return JobReport(was_heard=True, started_ns=0, end=JobEnd(JOB_END, status, code, termination=termination))


OOM_KILLED = "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)"
ERROR = "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - Error)"


@pytest.mark.parametrize(
    ("container", "report", "shown"),
    [
        pytest.param(run(*SHIM, oom(41)), ended(137), OOM_KILLED, id="before its end"),
        pytest.param(run(*SHIM, oom(39.5)), ended(137), OOM_KILLED, id="reported a moment late"),
        pytest.param(run(*SHIM, FLAG), ended(137), OOM_KILLED, id="by the flag alone"),
        pytest.param(run(*SHIM, oom(41)), ended(0, Status.DONE), "done", id="survived"),
        pytest.param(run(*SHIM, oom(20)), ended(1), ERROR, id="of another process, after its end"),
        pytest.param(run(*SHIM, oom(20), FLAG), ended(1), ERROR, id="that, and the flag of it"),
        pytest.param(
            run(*SHIM, logged(20, victim(pid=CHILD))),
            ended(137),
            "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - SIGKILL)",
            id="after a kill of another kind",
        ),
    ],
)
def test_only_an_oom_kill_before_the_jobs_end_explains_it(
    container: RunFacts, report: JobReport, shown: str
) -> None:
    assert error(container, report) == shown


def test_a_stop_between_the_jobs_end_and_the_engines_reading_of_it_is_no_cause() -> None:
    late = JobEnd(JOB_END, Status.FAILED, 1, received_ns=JOB_END + 6 * SECOND // 10)
    container = run(asked(SIGTERM, 39.5), asked(SIGKILL, 39.5))
    assert error(container, JobReport(was_heard=True, started_ns=0, end=late)) == ERROR


def test_an_engine_that_is_late_with_the_log_may_be_as_late_with_an_oom_kill() -> None:
    late = JobEnd(JOB_END, Status.FAILED, 137, received_ns=JOB_END + 5 * SECOND)
    report = JobReport(was_heard=True, started_ns=0, end=late)
    assert error(run(*SHIM, oom(36)), report) == OOM_KILLED
    assert (
        error(run(*SHIM, oom(33)), report)
        == "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - SIGKILL)"
    )


@pytest.mark.parametrize(
    ("report", "shown"),
    [
        (ended(0, Status.DONE), "done"),
        (ended(1), ERROR),
        (ended(None), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR)"),
        (ended(None, Status.TERMINATED), "JOB_TERMINATED (TERMINATED_BY_USER)"),
        (
            ended(None, Status.TERMINATED, termination="MAX_DURATION_EXCEEDED"),
            "JOB_TERMINATED (MAX_DURATION_EXCEEDED)",
        ),
        (ended(None, termination="A_WORD_OF_LATER"), "JOB_FAILED (A_WORD_OF_LATER)"),
        (JobReport(was_heard=True), "JOB_TERMINATED (TERMINATED_BY_USER)"),
        (JobReport(), "JOB_UNKNOWN (EXIT_NOT_OBSERVED)"),
        (JobReport(was_heard=True, unreadable="it was cut"), "JOB_UNKNOWN (EXIT_NOT_OBSERVED)"),
    ],
)
def test_the_end_of_the_container_by_its_supervisor_is_no_verdict(report: JobReport, shown: str) -> None:
    assert error(run(*SHIM), report) == shown
    assert error(run(*SHIM, code=0), report) == shown


UNKNOWN = "JOB_UNKNOWN (EXIT_NOT_OBSERVED)"
SILENT, RUNS = JobReport(), JobReport(was_heard=True, started_ns=0)
UNREADABLE = JobReport(unreadable="the driver keeps nothing")


@pytest.mark.parametrize("report", [SILENT, UNREADABLE])
@pytest.mark.parametrize(
    ("container", "shown"),
    [
        pytest.param(run(oom(5)), OOM_KILLED, id="killed at its end"),
        pytest.param(run(FLAG, started_ns=END - 5 * SECOND), OOM_KILLED, id="killed within a moment"),
        pytest.param(run(oom(5), code=0), UNKNOWN, id="returned 0 after a kill"),
        pytest.param(run(oom(100)), UNKNOWN, id="killed, and ended later"),
        pytest.param(run(logged(100, victim(pid=CHILD))), UNKNOWN, id="child killed, and ended later"),
        pytest.param(run(FLAG, started_ns=0), UNKNOWN, id="killed at some time"),
        pytest.param(run(oom(5), asked(SIGTERM, 2)), UNKNOWN, id="killed, and stopped then"),
        pytest.param(run(code=0), UNKNOWN, id="returned 0"),
    ],
)
def test_without_a_report_only_an_oom_kill_at_the_containers_end_explains_it(
    container: RunFacts, report: JobReport, shown: str
) -> None:
    assert error(container, report) == shown


def test_a_supervisor_that_returns_0_has_no_job_any_more_whose_end_is_unknown_then() -> None:
    assert error(run(code=0), RUNS) == UNKNOWN
    assert error(run(oom(5), code=0), RUNS) == UNKNOWN
    assert error(run(asked(SIGTERM, 2), code=0), RUNS).startswith("JOB_TERMINATED (TERMINATED_BY_USER, ")


def test_an_end_without_a_code_after_an_oom_kill_is_of_it() -> None:
    container, report = run(*SHIM, oom(41)), ended(None)
    code, _, evidence = assess_supervised(SupervisedRun("dstack", container, report), assess)
    verdict = classify(code, evidence, builtin_catalog())
    assert (verdict.reason, verdict.error) == ("OOMKilled", "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR)")


WORDS = """
    failed_to_start_due_to_no_capacity interrupted_by_no_capacity instance_unreachable
    instance_access_revoked waiting_instance_limit_exceeded waiting_runner_limit_exceeded
    terminated_by_user volume_error gateway_error scaled_down done_by_runner aborted_by_user
    terminated_by_server inactivity_duration_exceeded terminated_due_to_utilization_policy
    container_exited_with_error ports_binding_failed creating_container_error executor_error
    max_duration_exceeded log_quota_exceeded
"""
"""All of dstack 0.22.5."""


@pytest.mark.parametrize("word", WORDS.split())
def test_each_word_of_dstack_is_known_to_the_counter(word: str) -> None:
    submission = {"id": "a", "termination_reason": word, "status": "failed"}
    run_ = Run.model_validate({"id": "r", "jobs": [{"job_submissions": [submission]}]})
    (found,) = run_.submissions()
    assert found.termination in TERMINATIONS
    reason = REASONS.get(found.termination)
    assert reason is None or builtin_catalog().describe(reason).meaning
