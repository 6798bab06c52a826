"""Pages of jobs: whatever is asked for, all pages together are what a plain search through all jobs finds."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from exporter.model import ClassifiedExit, Job, JobRecord, Status, Workload
from exporter.store import Batch, JobFilter, Position, Store, job_pages
from exporter.store.schema import LONG_RUN_NS, jobs
from tests.store.files import opened
from tests.store.plans import plans_of, statements_of
from tests.store.samples import ANY, BEGAN_NS, ended, job

INSTANCES, WORKLOADS, CODES = ("node-1", "node-2"), ("etl", "train"), (0, 1, None)
TEXTS = ("ETL", "train-3", "50%", "_", "no such", "\0", "etl\0")
# Starts and ends lie around the length of a long run.
MOMENTS = [BEGAN_NS + hours * LONG_RUN_NS // 2 for hours in range(-6, 7)]
LENGTHS = [0, LONG_RUN_NS // 2, LONG_RUN_NS, 5 * LONG_RUN_NS // 2]


@st.composite
def stores(draw: st.DrawFn) -> Batch:
    """Return a batch of ended and running jobs, many of which have equal times."""
    running: list[Job] = []
    exits: list[ClassifiedExit] = []
    for number in range(draw(st.integers(0, 14))):
        workload = draw(st.sampled_from(WORKLOADS))
        each = job(
            "a",
            attempt=number,
            name=f"{workload}-{number}",
            instance=draw(st.sampled_from(INSTANCES)),
            workload=Workload(workload, "img"),
            image="img:50%",
            start_event_ns=draw(st.sampled_from(MOMENTS)),
        )
        if draw(st.booleans()):
            finished_ns = each.start_event_ns + draw(st.sampled_from(LENGTHS))
            kills = draw(st.integers(0, 1))
            exits.append(ended(each, draw(st.sampled_from(CODES)), finished_ns=finished_ns, oom_kills=kills))
        else:
            running.append(each)
    return Batch(running=running, ended=exits)


filters = st.builds(
    JobFilter,
    status=st.sampled_from([None, None, *Status]),
    reason=st.sampled_from([None, None, "Error", "OOMKilled"]),
    code=st.sampled_from([None, None, 0, 1]),
    workload=st.sampled_from([None, None, *WORKLOADS]),
    instance=st.sampled_from([None, None, *INSTANCES]),
    since_ns=st.sampled_from([None, *MOMENTS]),
    until_ns=st.sampled_from([None, None, *MOMENTS]),
    text=st.sampled_from([None, None, *TEXTS]),
    casualties=st.sampled_from([False, False, True]),
)


def holds(wanted: JobFilter, record: JobRecord) -> bool:
    """Whether a job meets all conditions, by the words of `JobFilter`."""
    each, end = record.job, record.ended
    status = Status.RUNNING if end is None else end.verdict.status
    finished_ns = None if end is None else end.exit.finished_ns
    error = "" if end is None else end.verdict.error or ""
    searched = f"{each.name}\n{each.workload.name}\n{each.image}\n{each.container_id}\n{error}".lower()
    return all(
        (
            wanted.status in {None, status},
            wanted.reason is None or (end is not None and end.verdict.reason == wanted.reason),
            wanted.code is None or (end is not None and end.exit.code == wanted.code),
            wanted.workload in {None, each.workload.name},
            wanted.instance in {None, each.instance},
            wanted.since_ns is None or finished_ns is None or finished_ns >= wanted.since_ns,
            wanted.until_ns is None or (finished_ns is not None and finished_ns < wanted.until_ns),
            wanted.text is None or wanted.text.lower() in searched,
            not wanted.casualties or (end is not None and end.exit.code == 0 and end.exit.oom_kills > 0),
        )
    )


def pages(store: Store, wanted: JobFilter, limit: int) -> Iterator[list[JobRecord]]:
    """Yield the records of each page, until the last one."""
    position: Position | None = None
    while True:
        page = store.reader.list_jobs(wanted, limit, position)
        yield page.records
        # Each goes on from an earlier place, so that there is an end.
        assert page.next is None or position is None or _place(page.next) < _place(position)
        position = page.next
        if position is None:
            return


def _place(position: Position) -> tuple[int, str]:
    return position.began_ns, position.job_id


@given(stores(), filters, st.integers(1, 5), st.sampled_from([1, 2, 5, 5_000]))
@settings(max_examples=150, deadline=None)
def test_all_pages_have_what_a_plain_search_finds(
    used: Store, batch: Batch, wanted: JobFilter, limit: int, candidates: int
) -> None:
    with used._database.transaction() as connection:
        connection.execute(delete(jobs))
    used.commit(batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_pages, "MAX_CANDIDATES", candidates)
        everything = [record for records in pages(used, ANY, 100) for record in records]
        found = list(pages(used, wanted, limit))
    assert len(everything) == len(batch.running) + len(batch.ended)
    assert [*chain(*found)] == [record for record in everything if holds(wanted, record)]
    assert all(len(records) <= limit for records in found)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [(ANY, 2), (JobFilter(code=1), 2), (JobFilter(status=Status.FAILED, code=1, instance="node-1"), 3)],
    ids=["any", "one condition", "which of three conditions has the fewest jobs"],
)
def test_a_full_page_takes_a_statement_for_its_place_and_one_for_its_jobs(
    database: Path, wanted: JobFilter, number: int
) -> None:
    with opened(database) as store:
        store.commit(Batch(ended=[ended(job("a", attempt=each, instance="node-1"), 1) for each in range(3)]))
        taken = statements_of(store, lambda: store.reader.list_jobs(wanted, 2))
    assert len([statement for statement, _ in taken if statement.startswith("SELECT")]) == number


def test_no_row_is_read_of_a_job_that_another_index_shows_to_be_none_of_them(database: Path) -> None:
    wanted = JobFilter(status=Status.FAILED, code=1, instance="node-1")
    with opened(database) as store:
        store.commit(Batch(ended=[ended(job("a"), 1)]))
        plans = plans_of(store, lambda: store.reader.list_jobs(wanted, 2))
    place = ["SEARCH jobs USING COVERING INDEX jobs_by_code (code=?)"]
    place += [
        f"SEARCH jobs_by_{name} USING COVERING INDEX jobs_by_{name} ({name}=? AND began_ns=? AND id=?)"
        for name in ("instance", "status")
    ]
    assert [step for step in plans if step in place] == [place[0], *place, place[0]]


def test_the_rows_of_a_page_are_not_looked_up_by_their_random_ids(database: Path) -> None:
    with opened(database) as store:
        store.commit(Batch(ended=[ended(job("a"), 1)]))
        plans = plans_of(store, lambda: store.reader.list_jobs(ANY, 2))
        plans += plans_of(store, lambda: store.reader.latest_failures(BEGAN_NS, 2))
    assert plans.count("SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)") == 2
    assert [step for step in plans if "sqlite_autoindex_jobs" in step] == []
