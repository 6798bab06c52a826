"""The labels that mean something, and what they say of the span that launched a job."""

import pytest

from exporter.labels import KEPT, traceparent

OURS, ANYBODYS = "exit-exporter.traceparent", "traceparent"


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        pytest.param({}, "", id="no label"),
        pytest.param({"other": "a", "Traceparent": "b", "tracestate": "c"}, "", id="other labels"),
        pytest.param({ANYBODYS: "a"}, "a", id="the one that anybody may set"),
        pytest.param({OURS: "a"}, "a", id="ours"),
        pytest.param({ANYBODYS: "a", OURS: "b"}, "b", id="both"),
        pytest.param({OURS: "", ANYBODYS: "a"}, "a", id="ours is empty"),
        pytest.param({OURS: "", ANYBODYS: ""}, "", id="both are empty"),
        pytest.param({OURS: "garbage", ANYBODYS: "a"}, "garbage", id="unread"),
        pytest.param({ANYBODYS: " a "}, " a ", id="unchanged"),
    ],
)
def test_the_first_label_that_says_something_counts(labels: dict[str, str], found: str) -> None:
    assert traceparent(labels) == found


def test_these_labels_are_kept_and_no_others() -> None:
    assert KEPT == (
        "exit-exporter.workload",
        "com.docker.swarm.service.name",
        "com.docker.compose.project",
        "com.docker.compose.service",
        "com.docker.compose.oneoff",
        "exit-exporter.traceparent",
        "traceparent",
    )
