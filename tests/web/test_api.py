"""The API: whole responses, and errors that name what is wrong."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import Evidence, LimitOwner, OomKill, OomSource, OomVictim, SupervisedJob, Workload
from exporter.store import Batch
from exporter.thread_limit import NO_THREAD
from exporter.verdict.catalog_file import builtin_catalog
from tests.store.samples import (
    BEGAN_NS,
    NOT_STARTED,
    OOM,
    SECOND_NS,
    STOPPED,
    SUBMISSION,
    TIMED_OUT,
    ended,
    job,
)
from tests.web.responses import content, ok, problem
from tests.web.served import Served

OK, BAD, MISSING = HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND
PARAMETERS = (
    "status, reason, code, workload, dstack_job_id, host, text, casualties, since, until, limit, cursor"
)
STATUSES = "'running', 'done', 'failed', 'terminated' or 'unknown'"
LONG_AGO_NS = 978_307_200 * SECOND_NS
"""2001-01-01T00:00:00Z."""

RUNNING: dict[str, Any] = {
    "id": "bbbbbbbbbbbb-2",
    "name": "gentle-stingray-b",
    "container_id": "b" * 64,
    "instance": "node-2",
    "workload": "night/report",
    "image": "report",
    "status": "running",
    "container_exit_code": None,
    "reason": None,
    "termination": None,
    "error": None,
    "start_error": None,
    "recovery": None,
    "evidence": ["The engine reported an OOM kill."],
    "meaning": None,
    "causes": [],
    "not_known": [],
    "supervisor": None,
    "attempt": 2,
    "restarts": None,
    "oom_kills": 1,
    "oom_limit": None,
    "oom_processes": [],
    "memory_limit_bytes": None,
    "created_at": None,
    "started_at": "2100-01-01T00:00:00.000000001Z",
    "finished_at": None,
    "duration_seconds": None,
    "log_tail": None,
    "trace_id": None,
    "span_id": None,
}
FAILED: dict[str, Any] = {
    "id": "aaaaaaaaaaaa-1",
    "name": "gentle-stingray-a",
    "container_id": "a" * 64,
    "instance": "node-1",
    "workload": "shop/worker",
    "image": "registry.example/shop/worker:1.4",
    "status": "failed",
    "container_exit_code": 137,
    "reason": "OOMKilled",
    "termination": "CONTAINER_EXITED_WITH_ERROR",
    "error": "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)",
    "start_error": None,
    "recovery": "retry-later",
    "evidence": ["The engine reported an OOM kill 0.125 s before the end."],
    "meaning": "Memory had run out, so the kernel killed a process of this container, and the job ended.",
    "causes": ["The limit of the control group /s, which it shares, was reached: raise that one"],
    "not_known": ["Events were missed."],
    "supervisor": None,
    "attempt": 1,
    "restarts": None,
    "oom_kills": 1,
    "oom_limit": "parent",
    "oom_processes": [
        {
            "at": "2100-01-01T00:00:00.000000009Z",
            "process": "python",
            "pid": 4711,
            "limit": "parent",
            "cgroup": "/s",
            "rss_bytes": 314572800,
            "largest": {"process": "java", "rss_bytes": 3221225472},
        }
    ],
    "memory_limit_bytes": 268435456,
    "created_at": "2099-12-31T23:59:59.000000000Z",
    "started_at": "2100-01-01T00:00:00.000000000Z",
    "finished_at": "2100-01-01T00:01:30.500000000Z",
    "duration_seconds": 90.5,
    "log_tail": None,
    "trace_id": None,
    "span_id": None,
}


def fill(served: Served) -> None:
    """Record the two jobs above."""
    running = job(
        "b",
        attempt=2,
        instance="node-2",
        workload=Workload("night/report", "report"),
        image="report",
        start_event_ns=BEGAN_NS + 1,
        started_ns=BEGAN_NS + 1,
        created_ns=None,
        memory_limit_bytes=None,
        oom_kills=(OomKill(OomSource.EVENT, BEGAN_NS + 9),),
        notes=("The engine reported an OOM kill.",),
    )
    victim = OomVictim(LimitOwner.PARENT, "/s", "python", 4711, 300 << 20, ("java", 3 << 30))
    kills = (OomKill(OomSource.EVENT, BEGAN_NS + 9), OomKill(OomSource.LOG, BEGAN_NS + 9, victim))
    evidence = replace(
        OOM,
        limit=LimitOwner.PARENT,
        causes=("The limit of the control group /s, which it shares, was reached: raise that one",),
        not_known=("Events were missed.",),
    )
    finished_ns = BEGAN_NS + 90_500_000_000
    failed = ended(job("a", oom_kills=kills), 137, evidence, oom_kills=1, finished_ns=finished_ns)
    served.store.commit(Batch(running=[running], ended=[failed]))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a running server with the two jobs for all tests that only ask."""
    with Served(tmp_path_factory.mktemp("filled")).running() as running:
        fill(running)
        yield running


def names(served: Served, **query: Any) -> list[str]:
    """Return the names of the jobs of one response."""
    response = served.ask("/api/v1/jobs", params=query)
    assert response.status_code == OK, response.text
    return [each["name"] for each in response.json()["jobs"]]


# Jobs


def test_jobs_are_listed_the_newest_first(unchanged: Served, filled: Served) -> None:
    assert content(unchanged.ask("/api/v1/jobs")) == ok({"jobs": [], "next_cursor": None})
    assert content(filled.ask("/api/v1/jobs")) == ok({"jobs": [RUNNING, FAILED], "next_cursor": None})


@pytest.mark.parametrize("key", ["aaaaaaaaaaaa-1", "gentle-stingray-a", "a" * 64, "aaaaaa"])
def test_a_job_is_found_by_each_of_its_names(filled: Served, key: str) -> None:
    assert content(filled.ask(f"/api/v1/jobs/{key}")) == ok(FAILED)


def test_an_id_that_several_begin_with_names_the_candidates(served: Served) -> None:
    ids = {name: f"abcdef{name}".ljust(64, "0") for name in ("1", "2")}
    served.store.commit(Batch(running=[job(name=name, container_id=each) for name, each in ids.items()]))
    candidates = ", ".join(f"{each[:24]} ({name})" for name, each in ids.items())
    detail = (
        f"the ids of several containers begin with 'abcdef', among them {candidates}; give more of the id"
    )
    assert content(served.ask("/api/v1/jobs/abcdef")) == problem(HTTPStatus.CONFLICT, detail)
    assert served.ask("/api/v1/jobs/abcdef1").json()["name"] == "1"
    assert served.ask("/api/v1/jobs/abcde").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("host=node-2", "c"),
        ("host=node", ""),
        ("text=STINGRAY-A", "a"),
        ("text=shop%2Fworker%3A1.4", "cba"),
        ("text=OOMKilled", "a"),
        ("text=%00", ""),
        ("casualties=true", "b"),
        ("since=2100-01-01T00:01:31Z", "c"),
        ("since=2100-01-01T00:01:30%2B00:00", "cba"),
        ("until=2100-01-01T00:01:31Z", "ba"),
        ("until=2100-01-01", ""),
    ],
)
def test_jobs_are_filtered_by_host_text_casualties_and_time(served: Served, query: str, found: str) -> None:
    killed, survived, other = ended(job("a"), 137, OOM), ended(job("b"), 0, oom_kills=2), job("c")
    served.store.commit(Batch(running=[replace(other, instance="node-2")], ended=[killed, survived]))
    jobs = served.ask(f"/api/v1/jobs?{query}").json()["jobs"]
    assert "".join(each["container_id"][0] for each in jobs) == found


def test_an_oom_kill_can_lack_the_limit(served: Served) -> None:
    kill = OomKill(OomSource.LOG, BEGAN_NS + 9, OomVictim(None, "", "python", 4711))
    served.store.commit(Batch(running=[job("a", oom_kills=(kill,))]))
    (process,) = served.ask("/api/v1/jobs/aaaaaa").json()["oom_processes"]
    assert (process["process"], process["limit"], process["cgroup"]) == ("python", None, "")


@pytest.mark.parametrize(
    ("code", "evidence", "error"),
    [
        (0, Evidence(), None),
        (1, Evidence(), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - Error)"),
        (143, STOPPED, "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 143 - Terminated)"),
        (127, NOT_STARTED, "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 127 - CommandNotFound)"),
        (None, Evidence(), "JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)"),
        (None, TIMED_OUT, "JOB_TERMINATED (MAX_DURATION_EXCEEDED)"),
    ],
)
def test_the_error_has_status_termination_code_and_reason(
    served: Served, code: int | None, evidence: Evidence, error: str | None
) -> None:
    served.store.commit(Batch(ended=[ended(job(), code, evidence)]))
    found = served.ask("/api/v1/jobs/gentle-stingray-a").json()
    assert (found["container_exit_code"], found["error"]) == (code, error)


def test_the_engines_error_of_a_failed_start_is_shown(served: Served) -> None:
    error = 'exec: "nosuch": executable file not found in $PATH'
    served.store.commit(
        Batch(ended=[ended(job(started_ns=None), 127, replace(NOT_STARTED, start_error=error))])
    )
    assert served.ask("/api/v1/jobs/gentle-stingray-a").json()["start_error"] == error


@pytest.mark.parametrize(
    ("supervised", "shown"),
    [
        (
            SUBMISSION,
            {
                "name": "dstack",
                "job_id": SUBMISSION.id,
                "run": "train",
                "job_num": 0,
                "replica_num": 2,
                "submission": None,
            },
        ),
        (
            SupervisedJob("dstack", SUBMISSION.id),
            {
                "name": "dstack",
                "job_id": SUBMISSION.id,
                "run": None,
                "job_num": None,
                "replica_num": None,
                "submission": None,
            },
        ),
    ],
)
def test_a_job_has_the_names_of_its_supervisor(
    served: Served, supervised: SupervisedJob, shown: dict[str, Any]
) -> None:
    served.store.commit(Batch(ended=[ended(job(supervised=supervised), 1)]))
    assert served.ask("/api/v1/jobs/gentle-stingray-a").json()["supervisor"] == shown


def test_a_stop_by_the_supervisor_is_said_in_its_own_words(served: Served) -> None:
    served.store.commit(Batch(ended=[ended(job(supervised=SUBMISSION), None, TIMED_OUT)]))
    found = served.ask("/api/v1/jobs/gentle-stingray-a").json()
    said = {
        name: found[name] for name in ("status", "container_exit_code", "reason", "termination", "meaning")
    }
    assert said == {
        "status": "terminated",
        "container_exit_code": None,
        "reason": "TimedOut",
        "termination": "MAX_DURATION_EXCEEDED",
        "meaning": "It was stopped before it ended by itself, so it has no exit code.",
    }


def test_a_job_on_record_keeps_the_causes_of_its_code(served: Served) -> None:
    served.store.commit(Batch(ended=[ended(job(), 3)]))
    causes = builtin_catalog().codes[3].causes
    assert causes
    assert set(causes) <= set(served.ask("/api/v1/jobs/gentle-stingray-a").json()["causes"])


def test_times_are_exact_and_durations_not_negative(served: Served) -> None:
    early = job(start_event_ns=1_790_000_000_123_456_789, created_ns=1, started_ns=1_790_000_000_123_456_789)
    served.store.commit(Batch(ended=[ended(early, 0, finished_ns=1_790_000_000_000_000_000)]))
    found = served.ask("/api/v1/jobs/gentle-stingray-a").json()
    times = {name: found[name] for name in ("created_at", "started_at", "finished_at", "duration_seconds")}
    assert times == {
        "created_at": "1970-01-01T00:00:00.000000001Z",
        "started_at": "2026-09-21T14:13:20.123456789Z",
        "finished_at": "2026-09-21T14:13:20.000000000Z",
        "duration_seconds": 0,
    }


@pytest.mark.parametrize(
    ("path", "key"),
    [
        *((key, key) for key in ("nobody", "_", "c" * 64, "é", "a b", "x" * 10_000)),
        ("%25", "%"),
        ("a%2525", "a%25"),
        ("..%2e", "..."),
    ],
    ids=lambda text: text[:10],
)
def test_an_unknown_job_is_reported(filled: Served, path: str, key: str) -> None:
    detail = f"no job, container name or container id {key!r} is on record"
    assert content(filled.ask(f"/api/v1/jobs/{path}")) == problem(MISSING, detail)


@pytest.mark.parametrize("key", ["c", "ccccc"])
def test_digits_of_an_id_that_are_too_few_are_told_so(filled: Served, key: str) -> None:
    detail = f"no job, container name or container id {key!r} is on record; of an id, give 6 digits at least"
    assert content(filled.ask(f"/api/v1/jobs/{key}")) == problem(MISSING, detail)


@pytest.mark.parametrize("key", ["dddddd", "C1", "x1"])
def test_of_what_is_no_short_id_no_digits_are_told(filled: Served, key: str) -> None:
    detail = f"no job, container name or container id {key!r} is on record"
    assert content(filled.ask(f"/api/v1/jobs/{key}")) == problem(MISSING, detail)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a running server with jobs that differ in what can be asked for, for all tests that only ask."""
    old = job("b", name="b", start_event_ns=LONG_AGO_NS, started_ns=LONG_AGO_NS)
    night = Workload("night/report", "report")
    with Served(tmp_path_factory.mktemp("mixed")).running() as running:
        running.store.commit(
            Batch(
                running=[job("d", name="d", start_event_ns=BEGAN_NS + 2, workload=night)],
                ended=[
                    ended(job("a", name="a"), 137, OOM),
                    ended(old, 1),
                    ended(
                        job("c", name="c", start_event_ns=BEGAN_NS + 1, supervised=SUBMISSION), 137, STOPPED
                    ),
                ],
            )
        )
        yield running


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "dcab"),
        ("status=failed", "ab"),
        ("status=running", "d"),
        ("status=terminated", "c"),
        ("reason=OOMKilled", "a"),
        ("reason=oomkilled", "a"),
        ("reason=Aborted", ""),
        ("code=137", "ca"),
        ("code=0", ""),
        ("code=4294967295", ""),
        ("workload=night/report", "d"),
        ("workload=n%25", ""),
        (f"dstack_job_id={SUBMISSION.id}", "c"),
        (f"dstack_job_id={SUBMISSION.id.upper()}", "c"),
        (f"dstack_job_id={SUBMISSION.id}&status=failed", ""),
        (f"dstack_job_id={'0' * 32}", ""),
        ("since=1h", "dca"),
        ("since=0", "dca"),
        ("since=1h30m", "dca"),
        *((f"since={age}y", "dcab") for age in ("200", "293", "1000", "999999999999", "9" * 400)),
        ("code=137&status=failed", "a"),
        ("code=137&status=failed&since=2h&reason=OOMKilled&workload=shop/worker", "a"),
        ("code=137&status=done", ""),
        ("limit=1", "d"),
        ("limit=500", "dcab"),
    ],
    ids=lambda text: text[:20],
)
def test_all_conditions_must_hold(mixed: Served, query: str, found: str) -> None:
    assert "".join(each["name"] for each in mixed.ask(f"/api/v1/jobs?{query}").json()["jobs"]) == found


def test_a_cursor_continues_under_the_same_conditions(served: Served) -> None:
    jobs = [
        ended(job("a", name=str(number), attempt=number, start_event_ns=number), number % 2)
        for number in range(9)
    ]
    served.store.commit(Batch(ended=jobs))
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None and len(pages) < 9:
        query = {"status": "failed", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = served.ask("/api/v1/jobs", params=query).json()
        pages.append([each["name"] for each in page["jobs"]])
        cursor = page["next_cursor"]
    assert pages == [["7", "5"], ["3", "1"]]


def test_only_a_page_with_jobs_behind_it_has_a_cursor(served: Served) -> None:
    fill(served)
    assert served.ask("/api/v1/jobs?limit=2").json()["next_cursor"] is None
    assert served.ask("/api/v1/jobs?limit=1").json()["next_cursor"] is not None
    served.store.commit(Batch(running=[job("a", attempt=number) for number in range(101)]))
    default = served.ask("/api/v1/jobs").json()
    assert (len(default["jobs"]), default["next_cursor"] is None) == (100, False)


def cursor_of(text: str) -> str:
    """Return a cursor in the form of the API's own."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


TIME_EXAMPLES = "2h, 30d, 2026-03-01 or 2026-03-01T12:00:00Z"
UNKNOWN = f"unknown parameter; valid are: {PARAMETERS}"


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        *(
            (f"status={bad}", [f"status: '{bad}' is not one of {STATUSES}"])
            for bad in ("broken", "", "FAILED")
        ),
        ("code=-1", ["code: '-1' is too small; the minimum is 0"]),
        ("code=4294967296", ["code: '4294967296' is too large; the maximum is 4294967295"]),
        ("code=x", ["code: 'x' is not a whole number"]),
        ("dstack_job_id=train", ["dstack_job_id: 'train' is not a UUID"]),
        ("dstack_job_id=", ["dstack_job_id: '' is not a UUID"]),
        ("limit=0", ["limit: '0' is too small; the minimum is 1"]),
        ("limit=501", ["limit: '501' is too large; the maximum is 500"]),
        *(
            (f"{name}={bad}", [f"{name}: '{bad}' is neither a duration nor a time; write {TIME_EXAMPLES}"])
            for name in ("since", "until")
            for bad in ("yesterday", "-1h", "2026-02-30", "")
        ),
        ("name=a", [f"name: {UNKNOWN}"]),
        ("Status=failed", [f"Status: {UNKNOWN}"]),
        (
            "limit=0&status=x&container=1",
            [
                f"status: 'x' is not one of {STATUSES}",
                "limit: '0' is too small; the minimum is 1",
                f"container: {UNKNOWN}",
            ],
        ),
    ],
)
def test_all_wrong_parameters_are_reported(unchanged: Served, query: str, errors: list[str]) -> None:
    assert content(unchanged.ask(f"/api/v1/jobs?{query}")) == problem(BAD, errors[0], *errors)


def test_a_repeated_parameter_is_refused(unchanged: Served) -> None:
    expected = problem(BAD, "status: given more than once")
    assert content(unchanged.ask("/api/v1/jobs?limit=1&status=done&status=failed")) == expected


@pytest.mark.parametrize("path", ["/api/v1/reasons", "/api/v1/jobs/gentle-stingray-a", "/api/v1/reasons/1"])
def test_an_unknown_parameter_is_refused_everywhere(filled: Served, path: str) -> None:
    response = filled.ask(f"{path}?colour=red")
    assert (response.status_code, response.json()["title"]) == (BAD, "Bad Request")
    assert response.json()["detail"].startswith("colour: unknown parameter")


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "%", "zzzz", "é", "=" * 9),
        *map(cursor_of, ("nothing", "1.5:a", ":", "é:é")),
        *(cursor_of(f"{number}:a-1") for number in ("9" * 30, f"-{'9' * 30}", "9" * 5000)),
    ],
    ids=lambda text: text[:20],
)
def test_a_foreign_cursor_is_refused(unchanged: Served, cursor: str) -> None:
    detail = "cursor: not a next_cursor of this API; omit it for the first page"
    assert content(unchanged.ask("/api/v1/jobs", params={"cursor": cursor})) == problem(BAD, detail)


# Reasons


def test_the_catalogue_is_listed(served: Served) -> None:
    catalog = builtin_catalog()
    codes: dict[str, list[int]] = {}
    for code, reasons in sorted(catalog.codes.items()):
        for name in (reasons.reason, reasons.requested):
            if name is not None and (name != "Error" or reasons.reason == "Error"):
                codes.setdefault(name, []).append(code)
    expected = [
        {
            "reason": name,
            "meaning": reason.meaning,
            "causes": [*reason.all_causes],
            "recovery": reason.recovery.value,
            "codes": codes.get(name, []),
        }
        for name, reason in catalog.reasons.items()
    ]
    assert content(served.ask("/api/v1/reasons")) == ok({"reasons": expected, "own_codes": []})


def test_a_code_has_several_readings(unchanged: Served) -> None:
    reasons = builtin_catalog().reasons
    failed, stopped = ("failed", "CONTAINER_EXITED_WITH_ERROR"), ("terminated", "TERMINATED_BY_USER")
    unhealthy = "it was unhealthy, and something asked for its end because of that"
    readings = [
        ("SIGKILL", failed, "nothing more is known", "retry"),
        ("OOMKilled", failed, "the kernel had killed a process of it for memory", "more-memory"),
        ("Unhealthy", failed, unhealthy, "retry"),
        ("Killed", stopped, "the engine was asked to stop it", "none"),
    ]
    expected = [
        {
            "when": when,
            "status": status,
            "termination": termination,
            "reason": name,
            "error": f"JOB_{status.upper()} ({termination}, exit code: 137 - {name})",
            "recovery": recovery,
            "meaning": reasons[name].meaning,
            "causes": [*reasons[name].all_causes],
        }
        for name, (status, termination), when, recovery in readings
    ]
    assert content(unchanged.ask("/api/v1/reasons/137")) == ok({"code": 137, "readings": expected})


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "Error"),
        ("?workload=night/report", "CheckpointCorrupt"),
        ("?image=report", "NoLicence"),
        ("?workload=night/report&image=report", "CheckpointCorrupt"),
        ("?workload=day", "Error"),
    ],
)
def test_workloads_and_images_can_have_their_own_reasons(served: Served, query: str, reason: str) -> None:
    served.catalogue_file.write_text(
        "reasons: {CheckpointCorrupt: {meaning: It is.}, NoLicence: {meaning: It has none.}}\n"
        "workloads: {night/*: {42: CheckpointCorrupt}}\n"
        "images: {report: {42: NoLicence}}\n",
        encoding="utf-8",
    )
    served.ask("/-/reload", "POST")
    assert served.ask(f"/api/v1/reasons/42{query}").json()["readings"][0]["reason"] == reason


@pytest.mark.parametrize(
    "code",
    [
        *("-1", "x", "1.0", "4294967296", "1e2", "٣", "²", "0x10", "137 "),
        *(f"{'0' * 20}99999999999999", "9" * 5000),
    ],
    ids=lambda text: text[:20],
)
def test_only_exit_codes_have_readings(unchanged: Served, code: str) -> None:
    expected = problem(BAD, f"code: {code!r} is not an exit code (0 to 4294967295)")
    assert content(unchanged.ask(f"/api/v1/reasons/{quote(code)}")) == expected


def test_a_code_can_have_leading_zeros(unchanged: Served) -> None:
    for zeros in (1, 30, 5000):
        assert unchanged.ask(f"/api/v1/reasons/{'0' * zeros}137").json()["code"] == 137


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        ("can't start new thread", problem(HTTPStatus.SERVICE_UNAVAILABLE, NO_THREAD)),
        (
            "a mistake of ours",
            problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a bug of the exporter; its log has the details"),
        ),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/summary", "/"])
def test_a_limit_of_threads_is_named(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str, error: str, answer: object
) -> None:
    def start(_thread: object) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr("anyio._backends._asyncio.WorkerThread.start", start)
    assert content(served.ask(path)) == answer


# Other paths and methods


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v2/jobs", "/api/v1", "/api/v1/jobs/a/b", "/metrics/x", "/-/"]
)
def test_an_unknown_path_is_reported(unchanged: Served, path: str) -> None:
    detail = f"no endpoint at {path}; /openapi.json lists all endpoints"
    assert content(unchanged.ask(path)) == problem(MISSING, detail)


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/api/v1/reasons/1", "/metrics", "/openapi.json", "/-/ready"]
)
def test_only_get_and_head_are_allowed(unchanged: Served, path: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
        response = unchanged.ask(path, method)
        expected = problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not allowed at {path}")
        assert content(response) == expected
        assert sorted(response.headers["allow"].split(", ")) == ["GET", "HEAD"]


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/api/v1/reasons/137", "/openapi.json", "/-/ready", "/nothing"]
)
def test_a_head_request_has_the_headers_of_a_get(unchanged: Served, path: str) -> None:
    head, whole = (unchanged.ask(path, method) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}


# Random requests

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(1, 100).map("9".__mul__),
    st.integers(1, 6000).map("0".__mul__),
)
ANYTHING = st.one_of(
    st.binary(max_size=12).map(quote),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(quote),
    NUMBERS,
)
DURATIONS = st.builds("{}{}".format, NUMBERS, st.sampled_from(["ms", "s", "h", "y", "h30m", ".5d"]))
CURSORS = st.builds("{}:{}".format, NUMBERS, st.text("ab-1", max_size=3)).map(cursor_of)
QUERY = st.builds(
    "{}={}".format, st.sampled_from([*PARAMETERS.split(", "), "image", "name%5B%5D"]) | ANYTHING, ANYTHING
)
QUERIES = st.lists(QUERY, max_size=3).map("&".join)
EXPECTED = {OK, HTTPStatus.TEMPORARY_REDIRECT, BAD, MISSING, HTTPStatus.REQUEST_URI_TOO_LONG}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/jobs?{query}",
        "/api/v1/jobs?since={since}",
        "/api/v1/jobs?cursor={cursor}",
        "/api/v1/jobs/{part}",
        "/api/v1/reasons/{part}?{query}",
        "/{part}?{query}",
    ],
)
def test_no_request_finds_a_bug(filled: Served, path: str) -> None:
    @given(st.fixed_dictionaries({"part": ANYTHING, "query": QUERIES, "since": DURATIONS, "cursor": CURSORS}))
    @settings(max_examples=100, deadline=None)
    def ask(words: dict[str, str]) -> None:
        response = filled.ask(path.format(**words))
        assert response.status_code in EXPECTED
        # The page answers in HTML.
        if response.status_code in (BAD, MISSING) and "html" not in response.headers["content-type"]:
            document = response.json()
            expected = problem(HTTPStatus(response.status_code), document["detail"], *document["errors"])
            assert content(response) == expected

    ask()
