"""Evidence of a job inside a container: its own end counts, and not what came after it."""

from signal import SIGKILL, SIGTERM

import pytest

from exporter.model import Status
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from exporter.verdict.evidence import assess
from exporter.verdict.facts import JobEnd, JobReport, RunFacts, SupervisedRun
from exporter.verdict.supervised import assess_supervised
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
