"""What dstack's server alone knows, through the whole pipeline: answers as recorded, and every trouble."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from structlog.testing import capture_logs

from exporter.cli.show import render
from exporter.cli.tables import jobs_table
from exporter.metrics import definitions
from exporter.model import Cursor, JobRecord, TelemetrySignal
from exporter.otlp.config import SpanLimits
from exporter.otlp.encoding import SpanEncoder
from exporter.pipeline import recorder
from exporter.sources.docker.engine import ContainerList
from exporter.sources.dstack import client
from exporter.sources.dstack import server as server_module
from exporter.sources.dstack.client import DstackClient
from exporter.sources.dstack.server import DstackServer
from exporter.sources.dstack.tracker import SubmissionTracker
from exporter.store import Batch
from exporter.verdict.catalog_file import builtin_catalog
from exporter.web.job_views import JobView, job_view
from exporter.workload import DEFAULT_ORDER
from tests.contract.dstack_page import check_page
from tests.contract.pipeline_driver import ADDRESS, PipelineDriver
from tests.contract.test_dstack import connected, driver, load, nonzero, replay
from tests.scripted.dstack_server import TOKEN, Answer, DstackApi, Handler, Run, recorded_run

SOON = 0.5
NO_CAPACITY = {("failed", "NO_CAPACITY", "NoCapacity"): 1.0}
NOT_PULLED = {("failed", "CREATING_CONTAINER_ERROR", "ImagePullFailed"): 1.0}
OPEN: dict[str, Any] = {
    "status": "running",
    "status_message": "running",
    "finished_at": None,
    "termination_reason": None,
    "termination_reason_message": None,
    "exit_status": None,
    "error": None,
}


@pytest.fixture
def api() -> Iterator[DstackApi]:
    with DstackApi() as listening:
        yield listening


def still_open(run: Run) -> Run:
    """Return a run as it was before its end."""
    changed = copy.deepcopy(run) | {"status": "running"}
    for job in changed["jobs"]:
        job["job_submissions"] = [each | OPEN for each in job["job_submissions"]]
    return changed


@contextmanager
def asking(
    pipeline: PipelineDriver, api: DstackApi, *projects: str, token: str = TOKEN, lists_jobs: bool = True
) -> Iterator[DstackServer]:
    """Ask the server, as often as it answers, while the pipeline runs."""
    server = DstackServer(DstackClient(api.url, lambda: token, SOON), pipeline.inbox, projects, 0.01)
    cursor = pipeline.store.cursors().get(server.address)
    tracker = SubmissionTracker(
        server.address, pipeline.records, cursor, order=DEFAULT_ORDER, lists_jobs=lists_jobs
    )
    pipeline.sources.add_server(server.address, tracker)
    with pipeline:
        server.start(cursor, pipeline.store.open_submissions())
        try:
            yield server
        finally:
            server.stop()


def is_asked_again(pipeline: PipelineDriver, api: DstackApi, times: int = 3) -> bool:
    """Return whether the server is asked some more times, and all that it answered is on record."""
    count = len(api.requests) + times
    return pipeline.reaches(lambda: len(api.requests) >= count) and pipeline.becomes_idle()


def has_answered(pipeline: PipelineDriver) -> bool:
    """Return whether the first answer is handed over."""
    return pipeline.shows(definitions.DSTACK_SERVER_UP, {(): 1})


def not_created(pipeline: PipelineDriver) -> dict[tuple[str, ...], float]:
    """Return the jobs without a container that are counted in the store."""
    return pipeline.stored_series(definitions.NOT_CREATED)


def view_of(record: JobRecord) -> JobView:
    """Return a job as the API shows it."""
    return job_view(record, builtin_catalog())


def printed(table: Any) -> str:
    """Return what a command prints."""
    output = StringIO()
    Console(width=400, file=output).print(table)
    return output.getvalue()


@pytest.mark.parametrize(("name", "series"), [("e-noimage", NOT_PULLED), ("g-whole", NO_CAPACITY)])
def test_a_job_without_a_container_has_its_true_word_everywhere(
    tmp_path: Path, api: DstackApi, name: str, series: dict[tuple[str, ...], float]
) -> None:
    ended, truth = recorded_run(name), load(name).truth
    api.runs = [still_open(ended)]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.runs = [ended]
        assert pipeline.ends(1)
        assert is_asked_again(pipeline, api)
        assert not_created(pipeline) == series
        assert not nonzero(pipeline.series(definitions.EXITS))
        (record,) = pipeline.store.records()
    (submission,) = ended["jobs"][0]["job_submissions"]
    check_row(record, truth, submission)
    check_page(name, record)
    check_span(record, truth, submission)


def check_row(record: JobRecord, truth: dict[str, Any], submission: Run) -> None:
    """Check what API and command line show of a job without a container."""
    view = view_of(record)
    assert (view.status, view.termination) == (truth["status"], truth["termination"])
    assert view.reason == (truth["reason"] or "NoCapacity")
    assert (view.container_exit_code, view.container_id, view.id) == (None, "", submission["id"])
    assert view.error == f"JOB_FAILED ({truth['termination']})"
    assert (view.finished_at or "")[:23] == submission["finished_at"][:23]
    assert view.supervisor is not None
    shown = view.supervisor.submission
    assert shown is not None
    assert (shown.project, shown.user, shown.number) == ("main", "admin", 0)
    assert shown.message == submission["termination_reason_message"]
    assert shown.difference is None
    json = view.model_dump(mode="json")
    row = printed(jobs_table([json], verbose=True)).splitlines()[1].split()
    assert row[:4] == [view.name, "failed", "JOB_FAILED", f"({truth['termination']})"]
    assert f"says   {shown.summary}: {shown.message}" in printed(render(json))


def check_span(record: JobRecord, truth: dict[str, Any], submission: Run) -> None:
    """Check the span of a job without a container."""
    assert record.ended is not None
    (span,) = SpanEncoder({}, SpanLimits()).items(record.ended, 0)
    attributes = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
    assert attributes["exit_exporter.termination"] == truth["termination"]
    assert attributes["dstack.job.id"] == submission["id"]
    assert (attributes["dstack.project.name"], attributes["dstack.user.name"]) == ("main", "admin")
    assert not {"container.id", "host.name", "process.exit.code"} & attributes.keys()
    assert span.end_time_unix_nano == record.ended.exit.finished_ns > span.start_time_unix_nano > 0


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("h-oom-runner", "dstack: instance unreachable; here: OOMKilled (CONTAINER_EXITED_WITH_ERROR): "),
        ("f-dkill", "dstack: instance unreachable; here: Killed (TERMINATED_BY_USER): "),
        ("f-oom-entry", "dstack: exited (-1); here: OOMKilled (CONTAINER_EXITED_WITH_ERROR): "),
        ("d-exit-3", None),
        ("d-exit-0", None),
        ("e-stop", None),
        ("e-maxdur", None),
    ],
)
def test_where_its_word_differs_both_are_shown_and_the_verdict_stays(
    tmp_path: Path, api: DstackApi, name: str, differs: str | None
) -> None:
    recording, run = load(name), recorded_run(name)
    api.runs = [run]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        opened = connected(recording)
        pipeline.send(opened, ContainerList((), opened.cursor.not_before_ns))
        replay(pipeline, recording)
        assert pipeline.ends(1)
        assert has_answered(pipeline)
        assert is_asked_again(pipeline, api)
        (record,) = pipeline.store.records()
        assert not_created(pipeline) == {}
    view = view_of(record)
    assert view.supervisor is not None
    shown = view.supervisor.submission
    assert shown is not None
    assert (shown.project, shown.user, shown.number) == ("main", "admin", 0)
    assert (shown.difference or "").startswith(differs or "")
    assert (shown.difference is None) == (differs is None)
    assert shown.stopped_by == {"e-stop": "user", "e-maxdur": "server"}.get(name)
    assert (shown.difference or shown.summary) in printed(render(view.model_dump(mode="json")))


TERMINATING = "Run status changed RUNNING -> TERMINATING. Termination reason: STOPPED_BY_USER"
DONE = "Run status changed TERMINATING -> TERMINATED"


@pytest.mark.parametrize(
    ("events", "stopped_by"),
    [
        (None, "user"),
        ([], "user"),
        ([{"message": TERMINATING, "actor_user": None}, 7, None, {"message": 7}], "user"),
        (
            [
                {"message": DONE, "actor_user": "other"},
                {"message": TERMINATING, "actor_user": "ada"},
                {"message": "Run submitted. Status: SUBMITTED", "actor_user": "bob"},
            ],
            "user ada",
        ),
    ],
)
def test_the_user_who_stopped_a_job_is_named_where_the_server_tells(
    tmp_path: Path, api: DstackApi, events: list[Any] | None, stopped_by: str
) -> None:
    ended = recorded_run("e-stop")
    ended["jobs"][0]["job_submissions"][0] |= {"job_provisioning_data": None, "job_runtime_data": None}
    api.runs, api.events = [still_open(ended)], events
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.runs = [ended]
        assert pipeline.ends(1)
        assert is_asked_again(pipeline, api)
        (record,) = pipeline.store.records()
    shown = view_of(record).supervisor
    assert shown is not None
    assert shown.submission is not None
    assert shown.submission.stopped_by == stopped_by
    # Once, and not at each request.
    assert [path for path, _, _ in api.requests].count("/api/events/list") == 1


# Exactly once


def test_what_had_ended_before_the_first_answer_is_no_news(tmp_path: Path, api: DstackApi) -> None:
    api.runs = [recorded_run("g-whole")]
    for _ in range(2):
        pipeline = driver(tmp_path)
        with asking(pipeline, api):
            assert has_answered(pipeline)
            assert is_asked_again(pipeline, api)
            assert pipeline.store.records() == []
            assert not_created(pipeline) == {}


def test_a_restart_counts_nothing_twice_and_misses_nothing(tmp_path: Path, api: DstackApi) -> None:
    whole, between, image = recorded_run("g-whole"), recorded_run("e-stop"), recorded_run("e-noimage")
    api.page, api.runs = 1, [still_open(whole), between, still_open(image)]
    first = driver(tmp_path)
    with asking(first, api):
        assert has_answered(first)
        api.runs = [whole, between, still_open(image)]
        assert first.ends(1)
    # While nothing asks. It is older than the page that ends the list, so that it is asked for by its id.
    api.runs = [whole, between, image]
    for _ in range(2):
        later = driver(tmp_path)
        with asking(later, api):
            assert later.ends(2)
            assert is_asked_again(later, api)
            assert not_created(later) == NOT_PULLED | NO_CAPACITY


def test_what_ended_while_the_server_was_away_for_longer_than_jobs_are_kept_is_counted_once(
    tmp_path: Path, api: DstackApi
) -> None:
    ended, later = recorded_run("g-whole"), recorded_run("e-stop")
    later["submitted_at"] = "2026-11-29T00:00:00Z"
    known = [([still_open(ended)], 0, 0), ([ended], 1, 1), ([ended], 1, 1), ([ended, later], 1, 0)]
    for runs, counted, kept in [*known, ([ended], 1, 0)]:
        api.runs = runs
        pipeline = driver(tmp_path)
        pipeline.store.commit(Batch(cursors={ADDRESS: Cursor(time.time_ns(), 0)}))
        with asking(pipeline, api):
            assert has_answered(pipeline)
            assert is_asked_again(pipeline, api)
            assert sum(not_created(pipeline).values()) == counted
        assert len(left_after_retention(tmp_path)) == kept


def test_a_run_that_cannot_be_had_for_longer_than_jobs_are_kept_is_counted_once(
    tmp_path: Path, api: DstackApi
) -> None:
    ended = recorded_run("g-whole") | {"submitted_at": "2026-11-28T08:00:00Z"}
    # Listed instead of it: what is older than the newest by more than a minute ends the list.
    newer, api.page = many(60), 1
    cannot_be_had, can_be_had = {ended["id"]: give({}, 500)}, dict[str, Answer]()
    for run, always, counted in (
        (still_open(ended), can_be_had, 0),
        (ended, cannot_be_had, 0),
        (ended, can_be_had, 1),
        (ended, can_be_had, 1),
    ):
        api.runs, api.always = [run, *newer], always
        pipeline = driver(tmp_path)
        pipeline.store.commit(Batch(cursors={ADDRESS: Cursor(time.time_ns(), 0)}))
        with asking(pipeline, api):
            assert has_answered(pipeline)
            assert is_asked_again(pipeline, api, 10)
            assert sum(not_created(pipeline).values()) == counted
        left_after_retention(tmp_path)


def left_after_retention(directory: Path) -> list[JobRecord]:
    """Delete from a database what retention may delete, and return the jobs that it keeps."""
    now_ns, store = time.time_ns(), driver(directory).store
    store.outbox.delete_older(now_ns, frozenset(TelemetrySignal))
    store.prune(now_ns)
    left = store.records()
    store.close()
    return left


def test_jobs_without_a_container_can_be_left_to_another_exporter(tmp_path: Path, api: DstackApi) -> None:
    ended = recorded_run("g-whole")
    api.runs = [still_open(ended)]
    pipeline = driver(tmp_path)
    with asking(pipeline, api, lists_jobs=False):
        assert has_answered(pipeline)
        api.runs = [ended]
        assert is_asked_again(pipeline, api)
        assert pipeline.store.records() == []


@pytest.mark.parametrize("name", ["d-exit-1", "f-dkill", "e-entrypoint", "h-engine"])
def test_a_job_that_ended_on_another_host_is_no_row_here(tmp_path: Path, api: DstackApi, name: str) -> None:
    ended = recorded_run(name)
    api.runs = [still_open(ended)]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.runs = [ended]
        assert is_asked_again(pipeline, api)
        assert pipeline.store.records() == []


@pytest.mark.parametrize(
    ("word", "termination"),
    [
        ("terminated_by_user", "TERMINATED_BY_USER"),
        ("aborted_by_user", "ABORTED_BY_USER"),
        ("eaten", "OTHER"),
    ],
)
def test_a_job_that_never_got_a_host_has_no_container_whatever_the_word(
    tmp_path: Path, api: DstackApi, word: str, termination: str
) -> None:
    ended = recorded_run("e-stop")
    for submission in ended["jobs"][0]["job_submissions"]:
        submission |= {"job_provisioning_data": None, "job_runtime_data": None, "termination_reason": word}
    api.runs = [still_open(ended)]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.runs = [ended]
        assert pipeline.ends(1)
        reason = "Killed" if word == "aborted_by_user" else "Terminated"
        assert not_created(pipeline) == {("terminated", termination, reason): 1}


def test_all_pages_are_read_and_only_of_the_projects_that_were_asked_for(
    tmp_path: Path, api: DstackApi
) -> None:
    runs = [recorded_run("d-exit-0") | {"id": f"run-{number}", "jobs": []} for number in range(30)]
    for number, run in enumerate(runs):
        run["submitted_at"] = f"2026-11-28T09:00:{number:02}Z"
        run["project_name"] = f"project-{number % 3}"
    api.runs, api.page = runs, 4
    pipeline = driver(tmp_path)
    with asking(pipeline, api, "project-0", "project-2"):
        assert has_answered(pipeline)
        first = [query for _, query, _ in api.requests if "prev_run_id" not in query][:2]
    assert [query["project_name"] for query in first] == ["project-0", "project-2"]
    of_first = [query.get("prev_run_id") for _, query, _ in api.requests[:4]]
    assert of_first == [None, "run-18", "run-6", "run-0"]


# Trouble


def give(answer: object, status: int = HTTPStatus.OK, **headers: str) -> Answer:
    """Return an answer in JSON."""
    return lambda handler: handler.give(answer, status, **headers)


def cut(handler: Handler) -> None:
    """Answer with a body that is shorter than its length."""
    handler.give_bytes(b"[", content_length=100)
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "problem", "text"),
    [
        (give({}, 401), "unauthorized", "HTTP 401: {}; is the token right"),
        (give({}, 403), "unauthorized", "HTTP 403: {}; is the token right"),
        (give({}, 404), "not_found", "HTTP 404: {}; is --dstack.url the address"),
        (give({}, 400), "refused", "HTTP 400: {}"),
        (give({}, 500), "server_error", "HTTP 500: {}"),
        (give({}, 302, Location="https://other.example/"), "redirect", "redirects to https://other.example/"),
        (give(None), "invalid", "no list of runs"),
        (give(-1), "invalid", "no list of runs"),
        (give({"runs": []}), "invalid", "no list of runs"),
        (lambda handler: handler.give_bytes(b"<html>"), "invalid", "no JSON"),
        (lambda handler: handler.give_bytes(b"[" * 100_000), "invalid", "no JSON"),
        (lambda handler: handler.give_bytes(b"\xff"), "invalid", "no JSON"),
        (Handler.hang, "timeout", "no answer within 0.5 s"),
        (Handler.drip, "timeout", "no answer within 0.5 s"),
        (Handler.drip_headers, "timeout", "no answer within 0.5 s"),
        (Handler.pour, "too_large", "longer than 16 MiB"),
        (cut, "unreachable", "IncompleteRead"),
        (give([{"id": None}, 7, {}]), "invalid", "some runs in the answer cannot be read"),
    ],
)
def test_each_trouble_is_logged_and_counted_and_nothing_is_lost(
    tmp_path: Path, api: DstackApi, answer: Answer, problem: str, text: str
) -> None:
    ended = recorded_run("g-whole")
    api.runs = [still_open(ended)]
    pipeline = driver(tmp_path)
    with capture_logs() as logged, asking(pipeline, api):
        assert has_answered(pipeline)
        unready = pipeline.readiness.problems()
        api.answers, api.runs = [answer, answer], [ended]
        assert pipeline.ends(1)
        assert not_created(pipeline) == NO_CAPACITY
        assert pipeline.reaches(
            lambda: nonzero(pipeline.series(definitions.DSTACK_SERVER_ERRORS)) == {(problem,): 2}
        )
        assert has_answered(pipeline)
        assert pipeline.readiness.problems() == unready
        assert pipeline.series(definitions.ENGINE_UP) == {}
    warnings = [line for line in logged if line["log_level"] == "warning"]
    assert len(warnings) in {1, 2}
    assert text in warnings[0]["cause"]
    assert TOKEN not in str(logged)


def test_a_run_that_stays_unreadable_is_logged_once_and_keeps_nothing_else_back(
    tmp_path: Path, api: DstackApi
) -> None:
    ended = recorded_run("g-whole")
    unreadable = {"id": None, "submitted_at": ended["submitted_at"], "status": "done", "project_name": "main"}
    api.runs = [still_open(ended), unreadable]
    pipeline = driver(tmp_path)
    with capture_logs() as logged, asking(pipeline, api):
        assert is_asked_again(pipeline, api, 5)
        api.runs = [ended, unreadable]
        assert pipeline.ends(1)
        assert pipeline.reaches(lambda: pipeline.series(definitions.DSTACK_SERVER_ERRORS)[("invalid",)] > 5)
    assert len([line for line in logged if line["log_level"] == "warning"]) == 1


def test_a_wrong_token_is_named_and_never_shown(tmp_path: Path, api: DstackApi) -> None:
    pipeline = driver(tmp_path)
    with capture_logs() as logged, asking(pipeline, api, token="wrong-token"):  # noqa: S106
        assert pipeline.reaches(lambda: bool(pipeline.series(definitions.DSTACK_SERVER_ERRORS)))
        assert pipeline.series(definitions.DSTACK_SERVER_UP) == {(): 0}
    assert "HTTP 403" in str(logged)
    assert "wrong-token" not in str(logged)


@pytest.mark.parametrize("number", [None, -1, 10**30, "x", 1.5, [], True])
def test_fields_of_any_kind_do_no_harm(tmp_path: Path, api: DstackApi, number: Any) -> None:
    ended = recorded_run("g-whole") | {"user": number, "project_name": number}
    ended["jobs"][0]["job_spec"] |= {"job_num": number, "replica_num": number}
    ended["jobs"][0]["job_submissions"][0] |= {
        "exit_status": number,
        "submission_num": number,
        "error": number,
        "termination_reason_message": number,
        "submitted_at": number,
    }
    api.runs = [still_open(ended)]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.runs = [ended]
        assert pipeline.ends(1)
        (record,) = pipeline.store.records()
    assert view_of(record).termination == "NO_CAPACITY"


def test_a_word_that_is_not_known_is_passed_on(tmp_path: Path, api: DstackApi) -> None:
    recording, run = load("d-exit-1"), recorded_run("d-exit-1")
    (submission,) = run["jobs"][0]["job_submissions"]
    submission |= {"termination_reason": "eaten_by_a_\x1b[31mwhale", "status": "swallowed"}
    api.runs = [run]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        opened = connected(recording)
        pipeline.send(opened, ContainerList((), opened.cursor.not_before_ns))
        replay(pipeline, recording)
        assert pipeline.ends(1)
        assert has_answered(pipeline)
        assert is_asked_again(pipeline, api)
        (record,) = pipeline.store.records()
    shown = view_of(record).supervisor
    assert shown is not None
    assert shown.submission is not None
    assert shown.submission.termination == "EATEN_BY_A_\ufffd[31MWHALE"
    assert shown.submission.difference == (
        "dstack: exited (1); here: Error (CONTAINER_EXITED_WITH_ERROR): "
        + builtin_catalog().describe("Error").meaning
    )


# One part of the answers must not keep the others back


def many(count: int) -> list[Run]:
    """Return up to 60 runs without jobs, one submitted each minute, the first one first."""
    of_none = recorded_run("d-exit-0") | {"jobs": []}
    return [
        of_none | {"id": f"run-{number}", "submitted_at": f"2026-11-28T09:{number:02}:00Z"}
        for number in range(count)
    ]


@pytest.mark.parametrize("answer", [give({}, 500), give({}, 400), Handler.hang], ids=["500", "400", "hangs"])
def test_a_user_that_cannot_be_had_keeps_nothing_back(tmp_path: Path, api: DstackApi, answer: Answer) -> None:
    ended, stopped = recorded_run("g-whole"), recorded_run("e-stop")
    api.runs, api.always = [still_open(ended), still_open(stopped)], {"/api/events/list": answer}
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.runs = [ended, stopped | {"submitted_at": "2026-11-28T23:00:00Z"}]
        assert pipeline.ends(1)
        assert has_answered(pipeline)
        assert not_created(pipeline) == NO_CAPACITY


@pytest.mark.parametrize("answer", [give({}, 500), give({}, 422), give(7), Handler.hang])
def test_a_run_that_cannot_be_had_keeps_no_other_back(tmp_path: Path, api: DstackApi, answer: Answer) -> None:
    ended = recorded_run("g-whole") | {"submitted_at": "2026-11-28T08:00:00Z"}
    first, second, *_, last = many(60)
    # Before and after it, in whatever order they are asked for.
    broken = [still_open(first | {"id": "0"}), still_open(second | {"id": "ffff"})]
    api.page, api.runs = 1, [still_open(ended), *broken, last]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.always, api.runs = dict.fromkeys(["0", "ffff"], answer), [ended, *broken, last]
        assert pipeline.ends(1)
        assert not_created(pipeline) == NO_CAPACITY


def test_what_the_server_has_no_more_is_not_asked_for_again(tmp_path: Path, api: DstackApi) -> None:
    gone = recorded_run("g-whole")
    api.page, api.runs = 1, [still_open(gone)]
    with asking(first := driver(tmp_path), api):
        assert has_answered(first)
        assert is_asked_again(first, api)
        assert len(first.store.open_submissions()) == 1
        api.runs = [recorded_run("d-exit-0") | {"submitted_at": "2026-11-28T23:00:00Z"}]
        assert first.reaches(lambda: not first.store.open_submissions())
    count = len(api.requests)
    with asking(later := driver(tmp_path), api):
        assert is_asked_again(later, api)
    assert {path for path, _, _ in api.requests[count:]} == {"/api/runs/list"}


def test_the_first_answer_is_not_the_whole_history(
    tmp_path: Path, api: DstackApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "FIRST_RUNS", 6)
    monkeypatch.setattr(server_module, "MAX_PAGES", 5)
    ended = recorded_run("g-whole") | {"submitted_at": "2026-11-28T08:00:00Z"}
    api.page, api.runs = 2, [*many(30), still_open(ended)]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        assert len(api.requests) < 10
        api.runs = [*many(30), ended]
        assert pipeline.ends(1)


def test_runs_that_are_large_come_in_smaller_pages(
    tmp_path: Path, api: DstackApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [
        recorded_run("d-exit-0") | {"id": run["id"], "submitted_at": run["submitted_at"]} for run in many(30)
    ]
    for number, run in enumerate(runs):
        (submission,) = run["jobs"][0]["job_submissions"]
        run["jobs"][0]["job_submissions"] = [submission | {"id": f"submission-{number}"}]
    monkeypatch.setattr(client, "MAX_BYTES", 8 * len(str(runs[0])))
    api.runs = runs
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        assert is_asked_again(pipeline, api)
        assert pipeline.records.has_end_or_container("submission-0")
        assert {query["limit"] for _, query, _ in api.requests} == {25, 5}


def test_a_time_to_come_hides_no_run(tmp_path: Path, api: DstackApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "CURSOR_SECONDS", 0.01)
    ended = recorded_run("g-whole") | {"submitted_at": "2199-01-01T00:00:00Z"}
    api.runs = [ended]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        assert pipeline.reaches(lambda: bool(pipeline.store.cursors()))
        (cursor,) = pipeline.store.cursors().values()
    assert cursor.event_ns <= time.time_ns()


@pytest.mark.parametrize("number", [2**31 - 1, 2**63 - 1, -1])
def test_a_number_that_is_none_is_left_out(tmp_path: Path, api: DstackApi, number: int) -> None:
    ended = recorded_run("g-whole")
    ended["jobs"][0]["job_submissions"][0]["submission_num"] = number
    api.runs = [still_open(ended)]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.runs = [ended]
        assert pipeline.ends(1)
        (record,) = pipeline.store.records()
    assert record.job.attempt == 1


@pytest.mark.parametrize("nothing", [None, 7, "x", [None], [7], {"id": 7}])
def test_a_part_that_cannot_be_read_is_left_out(tmp_path: Path, api: DstackApi, nothing: Any) -> None:
    ended = recorded_run("g-whole") | {"run_spec": nothing, "project_name": nothing}
    (job,) = ended["jobs"]
    (submission,) = job["job_submissions"]
    job |= {"job_spec": nothing, "job_submissions": [{"id": nothing}, nothing, {}, submission]}
    ended["jobs"] = [nothing, {"job_submissions": nothing}, job]
    beside = recorded_run("d-exit-0") | {"jobs": nothing, "submitted_at": nothing}
    api.runs = [still_open(recorded_run("g-whole"))]
    pipeline = driver(tmp_path)
    with asking(pipeline, api):
        assert has_answered(pipeline)
        api.runs = [beside, ended]
        assert pipeline.ends(1)
        assert not nonzero(pipeline.series(definitions.DSTACK_SERVER_ERRORS))
        assert not_created(pipeline) == NO_CAPACITY


def test_a_token_that_the_server_shows_is_not_logged(tmp_path: Path, api: DstackApi) -> None:
    api.always = {"/api/runs/list": give({"detail": f"no token 'Bearer {TOKEN}'"}, 401)}
    with capture_logs() as logged, asking(pipeline := driver(tmp_path), api):
        assert pipeline.reaches(lambda: bool(pipeline.series(definitions.DSTACK_SERVER_ERRORS)))
    assert "(the token)" in str(logged)
    assert TOKEN not in str(logged)
