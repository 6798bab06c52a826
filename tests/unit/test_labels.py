"""Container labels that have a meaning."""

import pytest

from exporter.labels import KEPT, traceparent

OURS, GENERIC = "exit-exporter.traceparent", "traceparent"


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({}, ""),
        ({"other": "a", "Traceparent": "b", "tracestate": "c"}, ""),
        ({GENERIC: "a"}, "a"),
        ({OURS: "a"}, "a"),
        ({GENERIC: "a", OURS: "b"}, "b"),
        ({OURS: "", GENERIC: "a"}, "a"),
        ({OURS: "", GENERIC: ""}, ""),
        ({OURS: "garbage", GENERIC: "a"}, "garbage"),
        ({GENERIC: " a "}, " a "),
    ],
)
def test_the_first_traceparent_label_that_is_set_counts(labels: dict[str, str], found: str) -> None:
    assert traceparent(labels) == found


def test_only_these_labels_are_kept() -> None:
    assert KEPT == (
        "exit-exporter.workload",
        "com.docker.swarm.service.name",
        "com.docker.compose.project",
        "com.docker.compose.service",
        "com.docker.compose.oneoff",
        "exit-exporter.traceparent",
        "traceparent",
    )
