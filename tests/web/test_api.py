"""The API: every answer whole, every wrong question answered with what is wrong with it."""

import base64
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import LimitOwner, OomKill, OomSource, OomVictim, Workload
from exporter.store import Batch
from exporter.verdict.catalog_file import builtin_catalog
from tests.store.samples import BEGAN_NS, NOT_STARTED, OOM, SECOND_NS, STOPPED, ended, job
from tests.web.answers import good, problem, said
from tests.web.served import Served

OK, BAD, MISSING = HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND
PARAMETERS = "status, reason, code, workload, since, limit, cursor"
STATUSES = "'running', 'done', 'failed', 'terminated' or 'unknown'"
CODES = "0 to 4294967295"
NOT_OURS = "cursor: not a next_cursor of this API; omit it for the first page"
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
    """Record the two jobs whose answers stand above."""
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
    why = replace(
        OOM,
        limit=LimitOwner.PARENT,
        causes=("The limit of the control group /s, which it shares, was reached: raise that one",),
        not_known=("Events were missed.",),
    )
    finished_ns = BEGAN_NS + 90_500_000_000
    failed = ended(job("a", oom_kills=kills), 137, why, oom_kills=1, finished_ns=finished_ns)
    served.store.commit(Batch(running=[running], ended=[failed]))


def names(served: Served, **query: Any) -> list[str]:
    """Give the names of the jobs of one answer."""
    answer = served.ask("/api/v1/jobs", params=query)
    assert answer.status_code == OK, answer.text
    return [each["name"] for each in answer.json()["jobs"]]


# Jobs


def test_jobs_are_told_whole_the_newest_first(served: Served) -> None:
    assert said(served.ask("/api/v1/jobs")) == good({"jobs": [], "next_cursor": None})
    fill(served)
    assert said(served.ask("/api/v1/jobs")) == good({"jobs": [RUNNING, FAILED], "next_cursor": None})


def test_an_oom_kill_of_which_the_log_does_not_say_whose_limit_it_was_is_told_without(served: Served) -> None:
    kill = OomKill(OomSource.LOG, BEGAN_NS + 9, OomVictim(None, "", "python", 4711))
    served.store.commit(Batch(running=[job("a", oom_kills=(kill,))]))
    (told,) = served.ask("/api/v1/jobs/aaaa").json()["oom_processes"]
    assert (told["process"], told["limit"], told["cgroup"]) == ("python", None, "")


@pytest.mark.parametrize("key", ["aaaaaaaaaaaa-1", "gentle-stingray-a", "a" * 64, "aaaa"])
def test_one_job_is_told_whole_by_any_of_its_names(served: Served, key: str) -> None:
    fill(served)
    assert said(served.ask(f"/api/v1/jobs/{key}")) == good(FAILED)


@pytest.mark.parametrize(
    ("code", "evidence", "error"),
    [
        (0, None, None),
        (1, None, "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - Error)"),
        (143, STOPPED, "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 143 - Terminated)"),
        (127, NOT_STARTED, "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 127 - CommandNotFound)"),
        (None, None, "JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)"),
    ],
)
def test_the_text_for_people_says_status_termination_code_and_reason(
    served: Served, code: int | None, evidence: Any, error: str | None
) -> None:
    judged = ended(job(), code, evidence) if evidence else ended(job(), code)
    served.store.commit(Batch(ended=[judged]))
    answer = served.ask("/api/v1/jobs/gentle-stingray-a").json()
    assert (answer["container_exit_code"], answer["error"]) == (code, error)


def test_what_the_engine_said_about_a_failed_start_is_told(served: Served) -> None:
    refused = replace(NOT_STARTED, start_error='exec: "nosuch": executable file not found in $PATH')
    served.store.commit(Batch(ended=[ended(job(started_ns=None), 127, refused)]))
    answer = served.ask("/api/v1/jobs/gentle-stingray-a").json()
    assert answer["start_error"] == 'exec: "nosuch": executable file not found in $PATH'


def test_times_are_exact_and_a_duration_is_never_below_0(served: Served) -> None:
    early = job(start_event_ns=1_790_000_000_123_456_789, created_ns=1, started_ns=1_790_000_000_123_456_789)
    served.store.commit(Batch(ended=[ended(early, 0, finished_ns=1_790_000_000_000_000_000)]))
    answer = served.ask("/api/v1/jobs/gentle-stingray-a").json()
    times = {name: answer[name] for name in ("created_at", "started_at", "finished_at", "duration_seconds")}
    assert times == {
        "created_at": "1970-01-01T00:00:00.000000001Z",
        "started_at": "2026-09-21T14:13:20.123456789Z",
        "finished_at": "2026-09-21T14:13:20.000000000Z",
        "duration_seconds": 0,
    }


@pytest.mark.parametrize("key", ["nobody", "%25", "_", "a%2525", "c" * 64, "é", "a b", "..%2e"])
def test_a_job_that_is_not_on_record_is_named(served: Served, key: str) -> None:
    fill(served)
    plain = {"%25": "%", "a%2525": "a%25", "..%2e": "..."}.get(key, key)
    detail = f"no job, container name or container id {plain!r} is on record"
    assert said(served.ask(f"/api/v1/jobs/{key}")) == problem(MISSING, detail)


def test_a_job_with_an_endless_name_is_not_on_record_either(served: Served) -> None:
    answer = served.ask(f"/api/v1/jobs/{'x' * 60_000}")
    assert (answer.status_code, answer.json()["title"]) == (MISSING, "Not Found")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "dcab"),
        ({"status": "failed"}, "ab"),
        ({"status": "running"}, "d"),
        ({"status": "terminated"}, "c"),
        ({"reason": "OOMKilled"}, "a"),
        ({"reason": "oomkilled"}, "a"),
        ({"reason": "Aborted"}, ""),
        ({"code": 137}, "ca"),
        ({"code": 0}, ""),
        ({"code": 4294967295}, ""),
        ({"workload": "night/report"}, "d"),
        ({"workload": "n%"}, ""),
        ({"since": "1h"}, "dca"),
        ({"since": "0"}, "dca"),
        ({"since": "1h30m"}, "dca"),
        ({"since": "200y"}, "dcab"),
        ({"code": 137, "status": "failed"}, "a"),
        (
            {
                "code": 137,
                "status": "failed",
                "since": "2h",
                "reason": "OOMKilled",
                "workload": "shop/worker",
            },
            "a",
        ),
        ({"code": 137, "status": "done"}, ""),
        ({"limit": 1}, "d"),
        ({"limit": 1000}, "dcab"),
    ],
)
def test_every_condition_must_hold(served: Served, query: dict[str, Any], found: str) -> None:
    old = job("b", name="b", start_event_ns=LONG_AGO_NS, started_ns=LONG_AGO_NS)
    night = Workload("night/report", "report")
    served.store.commit(
        Batch(
            running=[job("d", name="d", start_event_ns=BEGAN_NS + 2, workload=night)],
            ended=[
                ended(job("a", name="a"), 137, OOM),
                ended(old, 1),
                ended(job("c", name="c", start_event_ns=BEGAN_NS + 1), 137, STOPPED),
            ],
        )
    )
    assert "".join(names(served, **query)) == found


def test_a_cursor_asks_for_what_comes_after_under_the_same_conditions(served: Served) -> None:
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


def test_a_page_that_is_just_full_has_no_next_one(served: Served) -> None:
    fill(served)
    assert served.ask("/api/v1/jobs?limit=2").json()["next_cursor"] is None
    assert served.ask("/api/v1/jobs?limit=1").json()["next_cursor"] is not None


def test_a_hundred_jobs_come_unless_asked_otherwise(served: Served) -> None:
    served.store.commit(Batch(running=[job("a", attempt=number) for number in range(101)]))
    answer = served.ask("/api/v1/jobs").json()
    assert (len(answer["jobs"]), answer["next_cursor"] is None) == (100, False)


def cursor_of(text: str) -> str:
    """Give a cursor in the form of ours."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("status=broken", [f"status: Input should be {STATUSES}"]),
        ("status=", [f"status: Input should be {STATUSES}"]),
        ("status=FAILED", [f"status: Input should be {STATUSES}"]),
        ("code=-1", ["code: Input should be greater than or equal to 0"]),
        ("code=4294967296", ["code: Input should be less than or equal to 4294967295"]),
        ("code=x", ["code: Input should be a valid integer, unable to parse string as an integer"]),
        ("limit=0", ["limit: Input should be greater than or equal to 1"]),
        ("limit=1001", ["limit: Input should be less than or equal to 1000"]),
        ("since=yesterday", ["since: 'yesterday' is not a duration; write 90s, 15m, 2h or 30d"]),
        ("since=-1h", ["since: '-1h' is not a duration; write 90s, 15m, 2h or 30d"]),
        ("since=", ["since: '' is not a duration; write 90s, 15m, 2h or 30d"]),
        ("name=a", [f"name: unknown parameter; valid are: {PARAMETERS}"]),
        ("Status=failed", [f"Status: unknown parameter; valid are: {PARAMETERS}"]),
        (
            "limit=0&status=x&container=1",
            [
                f"status: Input should be {STATUSES}",
                "limit: Input should be greater than or equal to 1",
                f"container: unknown parameter; valid are: {PARAMETERS}",
            ],
        ),
    ],
)
def test_every_parameter_that_is_wrong_is_named_with_what_would_be_right(
    served: Served, query: str, errors: list[str]
) -> None:
    assert said(served.ask(f"/api/v1/jobs?{query}")) == problem(BAD, errors[0], *errors)


def test_a_parameter_that_is_given_twice_is_refused(served: Served) -> None:
    expected = problem(BAD, "status: given more than once")
    assert said(served.ask("/api/v1/jobs?limit=1&status=done&status=failed")) == expected


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%",
        "zzzz",
        "é",
        cursor_of("nothing"),
        cursor_of("1.5:a"),
        cursor_of(":"),
        cursor_of("é:é"),
        "=" * 9,
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(served: Served, cursor: str) -> None:
    assert said(served.ask("/api/v1/jobs", params={"cursor": cursor})) == problem(BAD, NOT_OURS)


@pytest.mark.parametrize("began", ["9" * 30, f"-{'9' * 30}", "9" * 5000])
def test_a_cursor_beyond_all_time_is_none_of_ours(served: Served, began: str) -> None:
    assert said(served.ask(f"/api/v1/jobs?cursor={cursor_of(f'{began}:a-1')}")) == problem(BAD, NOT_OURS)


@pytest.mark.parametrize("since", ["999999999999y", f"{'9' * 400}y", "293y", "1000y"])
def test_since_before_all_time_is_since_ever(served: Served, since: str) -> None:
    fill(served)
    assert names(served, since=since) == ["gentle-stingray-b", "gentle-stingray-a"]


# Reasons


def test_the_whole_catalogue_is_told(served: Served) -> None:
    words = builtin_catalog()
    plain: dict[str, list[int]] = {}
    for code, word in sorted(words.codes.items()):
        for each in (word.reason, word.requested):
            if each is not None and (each != "Error" or word.reason == "Error"):
                plain.setdefault(each, []).append(code)
    expected = [
        {
            "reason": word,
            "meaning": meaning.meaning,
            "causes": [*meaning.all_causes],
            "recovery": meaning.recovery.value,
            "codes": plain.get(word, []),
        }
        for word, meaning in words.reasons.items()
    ]
    assert said(served.ask("/api/v1/reasons")) == good({"reasons": expected})


def test_a_code_is_told_in_each_of_its_readings(served: Served) -> None:
    reasons = builtin_catalog().reasons
    failed, stopped = ("failed", "CONTAINER_EXITED_WITH_ERROR"), ("terminated", "TERMINATED_BY_USER")
    readings = [
        ("SIGKILL", *failed, "nothing more is known", "retry", "JOB_FAILED"),
        (
            "OOMKilled",
            *failed,
            "the kernel had killed a process of it for memory",
            "more-memory",
            "JOB_FAILED",
        ),
        (
            "Unhealthy",
            *failed,
            "it was unhealthy, and something asked for its end because of that",
            "retry",
            "JOB_FAILED",
        ),
        ("Killed", *stopped, "the engine was asked to stop it", "none", "JOB_TERMINATED"),
    ]
    assert said(served.ask("/api/v1/reasons/137")) == good(
        {
            "code": 137,
            "readings": [
                {
                    "when": when,
                    "status": status,
                    "termination": termination,
                    "reason": word,
                    "error": f"{beginning} ({termination}, exit code: 137 - {word})",
                    "recovery": recovery,
                    "meaning": reasons[word].meaning,
                    "causes": [*reasons[word].all_causes],
                }
                for word, status, termination, when, recovery, beginning in readings
            ],
        }
    )


def words_for(served: Served, path: str) -> list[str]:
    """Give the words of all readings."""
    return [reading["reason"] for reading in served.ask(f"/api/v1/reasons/{path}").json()["readings"]]


def test_a_code_is_read_as_the_workload_or_the_image_has_it(served: Served) -> None:
    served.catalogue_file.write_text(
        "reasons: {CheckpointCorrupt: {meaning: It is.}, NoLicence: {meaning: It has none.}}\n"
        "workloads: {night/*: {42: CheckpointCorrupt}}\n"
        "images: {report: {42: NoLicence}}\n",
        encoding="utf-8",
    )
    served.ask("/-/reload", "POST")
    first = {
        query: words_for(served, f"42{query}")[0]
        for query in (
            "",
            "?workload=night/report",
            "?image=report",
            "?workload=night/report&image=report",
            "?workload=day",
        )
    }
    assert first == {
        "": "Error",
        "?workload=night/report": "CheckpointCorrupt",
        "?image=report": "NoLicence",
        "?workload=night/report&image=report": "CheckpointCorrupt",
        "?workload=day": "Error",
    }


@pytest.mark.parametrize(
    "code",
    [
        "-1",
        "x",
        "1.0",
        "4294967296",
        "1e2",
        "٣",
        "²",
        "0x10",
        "137 ",
        f"{'0' * 20}99999999999999",
        "9" * 5000,
    ],
)
def test_what_is_no_code_is_refused(served: Served, code: str) -> None:
    answer = said(served.ask(f"/api/v1/reasons/{quote(code)}"))
    assert answer == problem(BAD, f"code: {code!r} is not an exit code ({CODES})")


def test_leading_noughts_change_no_code(served: Served) -> None:
    for noughts in (1, 30, 5000):
        assert served.ask(f"/api/v1/reasons/{'0' * noughts}137").json()["code"] == 137


@pytest.mark.parametrize("path", ["/api/v1/reasons", "/api/v1/jobs/gentle-stingray-a", "/api/v1/reasons/1"])
def test_a_parameter_that_there_is_not_is_refused_everywhere(served: Served, path: str) -> None:
    fill(served)
    answer = served.ask(f"{path}?colour=red")
    assert (answer.status_code, answer.json()["title"]) == (BAD, "Bad Request")
    assert answer.json()["detail"].startswith("colour: unknown parameter")


# What there is not


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v2/jobs", "/api/v1", "/api/v1/jobs/a/b", "/metrics/x", "/-/"]
)
def test_where_there_is_nothing_the_answer_says_where_to_look(served: Served, path: str) -> None:
    detail = f"no endpoint at {path}; /openapi.json lists all endpoints"
    assert said(served.ask(path)) == problem(MISSING, detail)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/api/v1/reasons/1", "/metrics", "/openapi.json", "/-/ready"]
)
def test_nothing_but_reading_is_allowed(served: Served, path: str, method: str) -> None:
    answer = served.ask(path, method)
    expected = problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is not allowed at {path}")
    assert said(answer) == expected
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD"]


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/api/v1/reasons/137", "/openapi.json", "/-/ready", "/nothing"]
)
def test_the_head_of_an_answer_can_be_asked_for_alone(served: Served, path: str) -> None:
    head, whole = (served.ask(path, method) for method in ("HEAD", "GET"))
    assert head.content == b""
    assert (head.status_code, {**head.headers, "date": ""}) == (
        whole.status_code,
        {**whole.headers, "date": ""},
    )


# Anything at all

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
EXPECTED = {OK, HTTPStatus.TEMPORARY_REDIRECT, BAD, MISSING}


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
def test_whatever_is_asked_the_answer_is_never_that_we_have_a_bug(served: Served, path: str) -> None:
    fill(served)

    @given(st.fixed_dictionaries({"part": ANYTHING, "query": QUERIES, "since": DURATIONS, "cursor": CURSORS}))
    @settings(max_examples=100, deadline=None)
    def ask(words: dict[str, str]) -> None:
        answer = served.ask(path.format(**words))
        assert answer.status_code in EXPECTED
        if answer.status_code in (BAD, MISSING):
            told = answer.json()
            assert said(answer) == problem(HTTPStatus(answer.status_code), told["detail"], *told["errors"])

    ask()
