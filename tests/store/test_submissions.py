"""Reports of a supervisor's server: found with their jobs whichever came first, and pruned."""

from dataclasses import replace

import pytest

from exporter.model import Job, Submission, TelemetrySignal, Workload
from exporter.store import Batch, Store
from exporter.store import submissions as table
from exporter.store.retention import Retention
from exporter.store.schema import submissions
from tests.store.samples import ANY, BEGAN_NS, SUBMISSION, ended, job

REPORT = Submission(
    "dstack", SUBMISSION.id, "run-1", project="main", user="admin", exit_status=-1, finished_ns=BEGAN_NS
)
TRACES = TelemetrySignal.TRACES


def reports(store: Store) -> list[Submission | None]:
    """Return the report of each job on record, as a list, a search and the outbox find it."""
    listed = store.reader.list_jobs(ANY, 10).records
    queued = [entry.record for entry in store.outbox.pending(TRACES, 10)]
    found = [store.reader.find_job(record.job.id) for record in listed]
    jobs = [record.job for record in (*listed, *found, *queued) if record is not None]
    return [each.supervised.submission if each.supervised else None for each in jobs]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_report_is_found_with_its_job_whichever_comes_first(store: Store, *, is_first: bool) -> None:
    exits = ended(job(supervised=SUBMISSION), 1)
    of_job = Batch(ended=[exits], outbox=[(exits.exit.job.id, TRACES)])
    of_server = Batch(submissions=[replace(REPORT, user=""), REPORT])
    for batch in (of_server, of_job) if is_first else (of_job, of_server):
        store.commit(batch)
    assert reports(store) == [REPORT] * 3
    store.commit(Batch(submissions=[replace(REPORT, user="ada")]))
    assert reports(store) == [replace(REPORT, user="ada")] * 3


def test_a_running_job_has_its_report(store: Store) -> None:
    store.commit(Batch(running=[job(supervised=SUBMISSION)], submissions=[REPORT]))
    (running,) = store.running_jobs()
    assert running.supervised is not None
    assert running.supervised.submission == REPORT


def test_a_job_without_a_container_is_found_by_the_id_of_its_submission(store: Store) -> None:
    without = Job("", 1, "train-0-0", "", Workload("train", "img"), "img:1", BEGAN_NS, key=SUBMISSION.id)
    store.commit(Batch(ended=[ended(replace(without, supervised=SUBMISSION), None)]))
    found = store.reader.find_job(SUBMISSION.id)
    assert found is not None
    assert (found.job.id, found.job.key, found.job.has_container) == (SUBMISSION.id, SUBMISSION.id, False)


def test_an_end_or_a_container_is_known(store: Store) -> None:
    store.commit(Batch(running=[job(supervised=SUBMISSION)]))
    store.commit(
        Batch(submissions=[replace(REPORT, id="ended"), replace(REPORT, id="open", finished_ns=None)])
    )
    known = [each for each in (SUBMISSION.id, "ended", "open", "other") if store.has_end_or_container(each)]
    assert known == [SUBMISSION.id, "ended"]


def test_what_is_open_is_known(store: Store) -> None:
    open_ones = [replace(REPORT, id=each, run_id="run-2", is_open=True) for each in ("a", "b")]
    store.commit(Batch(submissions=[REPORT, *open_ones]))
    assert store.open_submissions() == open_ones


def test_reports_are_pruned_with_their_jobs_or_where_they_have_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, still_open = replace(REPORT, id="elsewhere"), replace(REPORT, id="open", is_open=True)
    not_created = replace(REPORT, id="not-created", has_container=False)
    # Of an end that is not known, nothing is old.
    endless = replace(REPORT, id="endless", has_container=False, finished_ns=None)
    store.commit(Batch(running=[job(supervised=SUBMISSION)]))
    store.commit(Batch(submissions=[REPORT, elsewhere, still_open, not_created, endless]))

    def kept() -> set[str]:
        with store._database.transaction() as connection:
            return set(connection.execute(submissions.select()).scalars())

    retention = Retention(store, 0.0, 0.0, frozenset())
    retention.delete_old()
    assert kept() == {SUBMISSION.id, "elsewhere", "open", "not-created", "endless"}
    monkeypatch.setattr(table, "UNMATCHED_NS", -(2**40))
    retention.delete_old()
    assert kept() == {SUBMISSION.id, "open", "not-created", "endless"}
    store.prune(BEGAN_NS + 1)
    assert kept() == {"open", "endless"}
