"""What the name and the labels of a dstack container tell of its job, and what they do not prove."""

import json
from pathlib import Path

import pytest

from exporter.model import SupervisedJob
from exporter.sources.docker.supervisors.registry import find_supervisor, supervised_job

RECORDINGS = Path(__file__).parents[1] / "recordings" / "dstack"
IS_TASK, TASK_ID = "ai.dstack.shim.is-task", "ai.dstack.shim.task-id"
ID = "5c0c04a5-4d0f-4f0e-9d5a-2f1f6f0c9f11"
LABELS = {IS_TASK: "true", TASK_ID: ID}
NAME = "train-v2-0-3-005764ec"
"""The last part is the beginning of the SHA-256 of `train-v2-0-3/` and the id."""


def test_a_name_whose_hash_fits_names_the_run() -> None:
    job = supervised_job(LABELS, NAME)
    assert job == SupervisedJob("dstack", ID, "train-v2", 0, 3)
    assert job.job_name == "train-v2-0-3"


@pytest.mark.parametrize(
    "name",
    [
        "train-v2-0-3-005764e0",
        "train-v2-0-4-005764ec",
        "train-v3-0-3-005764ec",
        "train-v2-0-3-005764EC",
        "train-v2-0-3-005764ec-1",
        "train-v2-0-3",
        "005764ec",
        "",
    ],
)
def test_a_name_whose_hash_does_not_fit_is_not_believed(name: str) -> None:
    job = supervised_job(LABELS, name)
    assert job == SupervisedJob("dstack", ID)
    assert job.job_name == ""


def test_the_name_of_another_submission_is_not_believed() -> None:
    other = {**LABELS, TASK_ID: "5c0c04a5-4d0f-4f0e-9d5a-2f1f6f0c9f12"}
    assert supervised_job(other, NAME) == SupervisedJob("dstack", other[TASK_ID])


def test_without_an_id_no_name_is_believed() -> None:
    assert supervised_job({IS_TASK: "true"}, NAME) == SupervisedJob("dstack", "")


@pytest.mark.parametrize("labels", [{}, {TASK_ID: ID}, {**LABELS, IS_TASK: "false"}, {**LABELS, IS_TASK: ""}])
def test_a_container_that_is_no_task_has_no_supervisor(labels: dict[str, str]) -> None:
    assert supervised_job(labels, NAME) is None
    assert find_supervisor(labels) is None


def test_the_names_of_all_recorded_containers_are_proved() -> None:
    texts = [path.read_text(encoding="utf-8") for path in RECORDINGS.glob("*.jsonl")]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    created = {
        attributes["name"]: attributes
        for line in lines
        if line.get("event", {}).get("Action") == "create"
        for attributes in [line["event"]["Actor"]["Attributes"]]
    }
    assert len(created) > 30
    jobs = [supervised_job(attributes, name) for name, attributes in created.items()]
    assert all(job is not None and job.run for job in jobs)
