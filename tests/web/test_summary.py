"""``/api/v1/summary``: codes and reasons of a span, and memory brackets, of made-up histories."""

from http import HTTPStatus
from typing import Any

import pytest

from exporter.model import ClassifiedExit, LimitOwner
from exporter.store import Batch, TimeSpan
from exporter.web import summary
from exporter.web.summary import SummaryQuery
from exporter.web.summary_views import SummaryView
from tests.store.samples import BEGAN_NS
from tests.web.made_up_runs import HOUR_NS, MIB, killed, record, run
from tests.web.responses import content, ok, problem
from tests.web.served import Served

UNTIL_NS = BEGAN_NS + 7 * 24 * HOUR_NS
SPAN = {"since": "2100-01-01", "until": "2100-01-08"}
BAD = HTTPStatus.BAD_REQUEST
KEEP = "Keep its limit of 1 GiB: 5 runs completed within it since it was OOM-killed at 512 MiB."
HELPED = (
    "1 OOM kill in 1 run before its limit was raised from 512 MiB to 1 GiB, 0 in 5 runs since: it has helped."
)
NO_MOMENT = (
    "since: 'soon' is neither a duration nor a time; write 2h, 30d, 2026-03-01 or 2026-03-01T12:00:00Z"
)


def ask(served: Served, **query: str) -> Any:
    """Return the summary of the span, or of another one."""
    response = served.ask("/api/v1/summary", params=SPAN | query)
    assert response.status_code == HTTPStatus.OK
    return response.json()


def memory(served: Served, workload: str) -> Any:
    """Return what the summary says about the memory of a workload."""
    (found,) = [each for each in ask(served)["workloads"] if each["workload"] == workload]
    return found["memory"]


def test_the_whole_summary(served: Served) -> None:
    record(
        served,
        run("etl", 1, 0),
        run("etl", 2, 0, instance="node-2"),
        run("etl", 3, 1),
        run("etl", -1, 0),
        killed("train", 4, 512, minutes=10),
        *(run("train", 5 + hour, 0, 1024) for hour in range(5)),
    )
    completed = {"status": "done", "container_exit_code": 0, "reason": "Completed"}
    error = {"status": "failed", "container_exit_code": 1, "reason": "Error"}
    oom = {"status": "failed", "container_exit_code": 137, "reason": "OOMKilled"}
    new = {"exits_before": 0, "share_before": 0.0, "trend": "new"}
    before = {"exits_before": 1, "share_before": 1.0, "trend": "steady"}
    held = {"limit_bytes": 1024 * MIB, "runs": 5}
    assert content(served.ask("/api/v1/summary", params=SPAN)) == ok(
        {
            "since": "2100-01-01T00:00:00.000000000Z",
            "until": "2100-01-08T00:00:00.000000000Z",
            "before_since": "2099-12-25T00:00:00.000000000Z",
            "recorded_since": "1970-01-01T00:00:00.000000000Z",
            "total": {
                "exits": 9,
                "failed": 2,
                "exits_before": 1,
                "reasons": [
                    completed | {"exits": 7, "share": 0.7778} | before | {"trend": "up"},
                    error | {"exits": 1, "share": 0.1111} | new,
                    oom | {"exits": 1, "share": 0.1111} | new,
                ],
            },
            "workloads": [
                {
                    "workload": "train",
                    "exits": 6,
                    "failed": 1,
                    "exits_before": 0,
                    "reasons": [
                        completed | {"exits": 5, "share": 0.8333} | new,
                        oom | {"exits": 1, "share": 0.1667} | new,
                    ],
                    "memory": {
                        "advice": "held",
                        "sentences": [KEEP, HELPED],
                        "current_limit_bytes": 1024 * MIB,
                        "killed_at": {"limit_bytes": 512 * MIB, "runs": 1},
                        "completed_at": held,
                        "suggested": held,
                        "runs_needed": 5,
                        "raised": {
                            "from_bytes": 512 * MIB,
                            "to_bytes": 1024 * MIB,
                            "at": "2100-01-01T05:00:00.000000000Z",
                            "kills_before": 1,
                            "runs_before": 1,
                            "kills_since": 0,
                            "runs_since": 5,
                            "result": "helped",
                        },
                        "limits": [
                            {
                                "limit_bytes": 512 * MIB,
                                "completed": 0,
                                "oom_killed": 1,
                                "oom_killed_limit_unknown": 0,
                                "killed_after_seconds": 600.0,
                            },
                            {
                                "limit_bytes": 1024 * MIB,
                                "completed": 5,
                                "oom_killed": 0,
                                "oom_killed_limit_unknown": 0,
                                "killed_after_seconds": None,
                            },
                        ],
                        "runs_with_oom_kills": {
                            "own": 1,
                            "parent": 0,
                            "host": 0,
                            "unknown": 0,
                            "survived": 0,
                        },
                    },
                },
                {
                    "workload": "etl",
                    "exits": 3,
                    "failed": 1,
                    "exits_before": 1,
                    "reasons": [
                        completed | {"exits": 2, "share": 0.6667} | before,
                        error | {"exits": 1, "share": 0.3333} | new,
                    ],
                    "memory": None,
                },
            ],
            "workloads_omitted": 0,
        }
    )


def test_it_is_written_as_its_models_are(served: Served) -> None:
    """Dictionaries are checked by types alone: here are the values, and the order of the fields."""
    others = [run("étl\n", hour, 0) for hour in range(-8, 3)]
    leak = [killed("leak", hour, 512 * 2**hour, minutes=10 * 2**hour) for hour in range(3)]
    raised = [killed("raised", 4, 512, minutes=7), *(run("raised", 5 + hour, 0, 1024) for hour in range(5))]
    record(served, *others, *leak, *raised)
    written = served.ask("/api/v1/summary", params=SPAN).content
    assert SummaryView.model_validate_json(written).model_dump_json().encode() == written


HISTORIES: dict[str, tuple[list[ClassifiedExit], str, int | None]] = {
    "a leak": (
        [killed("w", hour, 512 * 2**hour, minutes=10 * 2**hour) for hour in range(3)],
        "leak",
        None,
    ),
    "the host's memory": (
        [killed("w", 1, 512, owner=LimitOwner.HOST), run("w", 2, 0, 1024)],
        "not-its-limit",
        None,
    ),
    "a parent's limit": ([killed("w", 1, 512, owner=LimitOwner.PARENT)], "not-its-limit", None),
    "whose limit is not known": ([killed("w", 1, 512, owner=None)], "limit-unknown", None),
    "too few runs": ([killed("w", 1, 512), run("w", 2, 0, 1024)], "too-few-runs", None),
    "casualties at the limit": (
        [killed("w", 1, 512), *(run("w", 2 + hour, 0, 1024, oom_kills=1) for hour in range(9))],
        "more-memory",
        None,
    ),
    "tried again with more memory": (
        [
            each
            for hour in range(0, 20, 2)
            for each in (killed("w", hour, 512, attempt=1), run("w", hour + 1, 0, 1024, attempt=2))
        ],
        "held",
        1024,
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_the_advice_is_true_of_the_history(served: Served, name: str) -> None:
    exits, advice, suggested = HISTORIES[name]
    record(served, *exits)
    found = memory(served, "w")
    assert found["advice"] == advice
    assert (found["suggested"] and found["suggested"]["limit_bytes"] // MIB) == suggested


def test_a_workload_and_a_host_can_be_asked_for(served: Served) -> None:
    record(served, run("etl", 1, 0, 512), run("etl", 2, 1, instance="node-2"), run("train", 3, 1))
    of_etl = ask(served, workload="etl")
    assert [(each["workload"], each["exits"]) for each in of_etl["workloads"]] == [("etl", 2)]
    assert of_etl["workloads"][0]["memory"]["completed_at"] == {"limit_bytes": 512 * MIB, "runs": 1}
    on_host = ask(served, host="node-2")
    assert [(each["workload"], each["exits"]) for each in on_host["workloads"]] == [("etl", 1)]
    assert ask(served, workload="none")["workloads"] == []


@pytest.mark.parametrize("since_ns", [None, BEGAN_NS - 7 * 24 * HOUR_NS + 1])
def test_a_span_that_is_not_all_on_record_is_not_compared(served: Served, since_ns: int | None) -> None:
    if since_ns is None:
        served.store.commit(Batch(ended=[run("etl", 1, 0)]))
    else:
        record(served, run("etl", 1, 0), since_ns=since_ns)
    total = ask(served)["total"]
    assert (total["exits"], total["exits_before"], total["reasons"][0]["trend"]) == (1, None, None)


def test_by_default_it_is_about_the_last_week() -> None:
    assert SummaryQuery().span(UNTIL_NS) == TimeSpan(BEGAN_NS, UNTIL_NS)
    assert SummaryQuery(until="2100-01-08").span(0) == TimeSpan(BEGAN_NS, UNTIL_NS)
    assert SummaryQuery(since="2100-01-01").span(UNTIL_NS) == TimeSpan(BEGAN_NS, UNTIL_NS)


def test_workloads_beyond_the_limit_are_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "MAX_WORKLOADS", 2)
    record(served, run("a", 1, 0), run("b", 1, 1), run("c", 1, 0))
    found = ask(served)
    assert [each["workload"] for each in found["workloads"]] == ["b", "a"]
    assert (found["workloads_omitted"], found["total"]["exits"]) == (1, 3)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ({"since": "1h", "until": "2h"}, "since: must be before until"),
        ({"colour": "red"}, "colour: unknown parameter; valid are: since, until, workload, host"),
        ({"since": "soon"}, NO_MOMENT),
    ],
)
def test_a_wrong_parameter_is_named(unchanged: Served, query: dict[str, str], detail: str) -> None:
    response = content(unchanged.ask("/api/v1/summary", params=query))
    assert response == problem(BAD, detail, *response[2]["errors"])


@pytest.mark.parametrize("moment", ["0001-01-01", "9999-12-31"])
def test_moments_far_away_are_no_error(unchanged: Served, moment: str) -> None:
    for query in ({"since": moment}, {"until": moment}):
        status = unchanged.ask("/api/v1/summary", params=query).status_code
        assert status in {HTTPStatus.OK, BAD}
        assert unchanged.ask("/api/v1/jobs", params=query).status_code == HTTPStatus.OK
