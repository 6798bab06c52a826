"""The real dstack's server, asked by the exporter: it adds what it alone knows, and changes no verdict."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.dstack.conftest import NO_IMAGE
from tests.dstack.outcome import Outcome, reported_job
from tests.dstack.runs import RUNS
from tests.lab.dstack import Dstack
from tests.lab.exporter import ExporterProcess

VERDICT = ("status", "container_exit_code", "reason", "termination", "error", "finished_at", "attempt")
STOPPED_BY = {"stopped": "user admin", "too-long": "server"}


@pytest.mark.parametrize("name", [run.name for run in RUNS])
def test_the_server_adds_what_it_knows_to_the_same_verdict(
    outcomes: dict[str, Outcome], asking: ExporterProcess, name: str
) -> None:
    for number, job in enumerate(outcomes[name].jobs):
        reported = reported_job(asking, job["supervisor"]["job_id"])
        assert {field: reported[field] for field in VERDICT} == {field: job[field] for field in VERDICT}
        submission = reported["supervisor"]["submission"]
        assert (submission["project"], submission["user"]) == ("main", "admin")
        assert (submission["number"], submission["stopped_by"]) == (number, STOPPED_BY.get(name))


def test_a_job_whose_image_is_missing_has_a_row_and_is_no_exit(
    dstack: Dstack, outcomes: dict[str, Outcome], asking: ExporterProcess, exporter: ExporterProcess
) -> None:
    assert outcomes
    (submission,) = dstack.wait_for_end(NO_IMAGE)
    job = reported_job(asking, submission["id"])
    assert job["error"] == "JOB_FAILED (CREATING_CONTAINER_ERROR)"
    assert (job["status"], job["container_exit_code"], job["reason"]) == ("failed", None, "ImagePullFailed")
    families = text_string_to_metric_families(asking.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    (not_created,) = [each.value for each in samples if each.name == "container_not_created_total"]
    assert not_created == 1
    assert not any(NO_IMAGE in job["name"] for job in exporter.jobs())
