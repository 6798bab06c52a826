"""Every run of the real dstack has its true status, code, reason and time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.dstack.outcome import Outcome, ended_job
from tests.dstack.runs import RUNS
from tests.lab.dstack import Dstack
from tests.lab.dstack_cache import IMAGE
from tests.lab.exporter import ExporterProcess

GIB = 2**30
each_run = pytest.mark.parametrize("name", [run.name for run in RUNS])


@each_run
def test_status_code_and_reason_are_those_of_the_job(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    run = outcome.run
    said = [
        (job["status"], job["container_exit_code"], job["reason"], job["termination"], job["error"])
        for job in outcome.jobs
    ]
    assert said == [(run.status, run.code, run.reason, run.termination, run.error)] * run.submissions


@each_run
def test_a_job_ended_when_its_own_process_did(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    finished = datetime.fromisoformat(outcome.jobs[-1]["finished_at"]).timestamp()
    assert abs(finished - outcome.end_times[-1]) < 1


@each_run
def test_the_workload_is_the_run_and_the_job_has_dstacks_id(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert [job["workload"] for job in outcome.jobs] == [name] * outcome.run.submissions
    named = [(job["supervisor"]["name"], job["supervisor"]["run"]) for job in outcome.jobs]
    assert named == [("dstack", name)] * outcome.run.submissions
    ids = [submission["id"] for submission in outcome.submissions]
    assert [job["supervisor"]["job_id"] for job in outcome.jobs] == ids[: outcome.run.submissions]


@each_run
def test_each_submission_is_an_attempt(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert [job["attempt"] for job in outcome.jobs] == [*range(1, outcome.run.submissions + 1)]


def test_the_kill_for_memory_is_counted_at_the_limit_of_the_block(outcomes: dict[str, Outcome]) -> None:
    (job,) = outcomes["oom"].jobs
    assert job["memory_limit_bytes"] == GIB
    assert job["oom_kills"] >= 1


@each_run
def test_each_exit_is_counted_once(
    outcomes: dict[str, Outcome], exporter: ExporterProcess, name: str
) -> None:
    shown = [job for job in exporter.jobs(workload=name) if job["finished_at"]]
    assert len(shown) >= outcomes[name].run.submissions
    assert counted(exporter, name) == Counter(
        (job["status"], label(job["container_exit_code"]), job["reason"]) for job in shown
    )


def counted(exporter: ExporterProcess, workload: str) -> Counter[tuple[str, str, str]]:
    """Return how many exits of a workload are counted, by status, code and reason."""
    found: Counter[tuple[str, str, str]] = Counter()
    for family in text_string_to_metric_families(exporter.get("/metrics").text):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "container_exits_total" and labels["workload"] == workload and sample.value:
                found[labels["status"], labels["code"], labels["reason"]] += int(sample.value)
    return found


def label(code: int | None) -> str:
    """Return the value of the label `code`."""
    return "unknown" if code is None else str(code)


def test_a_run_that_dstack_named_counts_for_its_image(
    dstack: Dstack, exporter: ExporterProcess, generated_name: str
) -> None:
    (submission,) = dstack.wait_for_end(generated_name)
    job = ended_job(exporter, submission["id"])
    assert job["supervisor"]["run"] == generated_name
    assert (job["status"], job["workload"]) == ("done", IMAGE.partition(":")[0])
