"""Queries of jobs: by filter, page by page, by every name of a job, and the history of a container."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import ContainerHistory, Evidence, Job, JobRecord, Status, SupervisedJob, Workload
from exporter.store import AmbiguousKeyError, Batch, JobFilter, Position, Store
from tests.store.files import opened
from tests.store.samples import (
    ANY,
    BEGAN_NS,
    NOT_STARTED,
    OOM,
    SECOND_NS,
    STOPPED,
    SUBMISSION,
    TIMED_OUT,
    ended,
    job,
    shown,
)

CONTAINER = "a" * 64


@pytest.mark.parametrize(
    ("job_filter", "found"),
    [
        (ANY, "rebdca"),
        (JobFilter(status=Status.RUNNING), "r"),
        (JobFilter(status=Status.DONE), "d"),
        (JobFilter(status=Status.FAILED), "ea"),
        (JobFilter(status=Status.TERMINATED), "b"),
        (JobFilter(status=Status.UNKNOWN), "c"),
        (JobFilter(reason="OOMKilled"), "a"),
        (JobFilter(reason="oomkilled"), ""),
        (JobFilter(reason="%"), ""),
        (JobFilter(code=0), "d"),
        (JobFilter(code=137), "ba"),
        (JobFilter(workload="night/report"), "ea"),
        (JobFilter(workload=""), ""),
        (JobFilter(supervised_id=SUBMISSION.id), "r"),
        (JobFilter(supervised_id=SUBMISSION.id, status=Status.FAILED), ""),
        (JobFilter(since_ns=BEGAN_NS + 90 * SECOND_NS), "rebd"),
        (JobFilter(code=137, status=Status.TERMINATED), "b"),
        (JobFilter(code=137, workload="night/report", since_ns=0, reason="OOMKilled"), "a"),
        (JobFilter(code=137, workload="night/report", status=Status.DONE), ""),
    ],
)
def test_all_conditions_of_a_filter_must_hold(store: Store, job_filter: JobFilter, found: str) -> None:
    night = Workload("night/report", "img")
    jobs = {
        digit: job(digit, name=digit, start_event_ns=BEGAN_NS + offset)
        for offset, digit in enumerate("acdber", start=-2)
    }
    jobs["r"] = replace(jobs["r"], supervised=SUBMISSION)
    exits = [
        ended(replace(jobs["a"], workload=night), 137, OOM),
        ended(jobs["b"], 137, STOPPED),
        ended(jobs["c"], None),
        ended(jobs["d"], 0),
        ended(replace(jobs["e"], workload=night), 127, NOT_STARTED),
    ]
    store.commit(Batch(running=[jobs["r"]], ended=exits))
    assert "".join(record.job.name for record in store.reader.list_jobs(job_filter, 10).records) == found


def test_submissions_are_the_containers_of_one_job_on_one_host(store: Store) -> None:
    other_job, unproved = replace(SUBMISSION, replica_num=3), replace(SUBMISSION, run="")
    store.commit(
        Batch(
            running=[job("a", supervised=SUBMISSION)],
            ended=[
                ended(job("b", supervised=replace(SUBMISSION, id="another")), 1),
                ended(job("b", attempt=2, supervised=replace(SUBMISSION, id="another")), 1),
                ended(job("c", supervised=other_job), 1),
                ended(job("d", supervised=unproved), 1),
                ended(job("e", supervised=SUBMISSION, instance="node-2"), 1),
                ended(job("f"), 1),
            ],
        )
    )
    assert store.containers_of_job("train-0-2", "node-1") == {"a" * 64, "b" * 64}
    assert store.containers_of_job("train-0-2", "node-2") == {"e" * 64}
    assert store.containers_of_job("", "node-1") == frozenset()


@pytest.mark.parametrize(("code", "evidence"), [(0, Evidence()), (143, STOPPED)])
def test_submissions_before_a_final_end_are_of_another_run(
    store: Store, code: int, evidence: Evidence
) -> None:
    for number, (digit, ended_with) in enumerate({"a": 1, "b": code, "c": 1}.items()):
        each = job(digit, supervised=SUBMISSION, start_event_ns=BEGAN_NS + number)
        store.commit(Batch(ended=[ended(each, ended_with, evidence if digit == "b" else Evidence())]))
    assert store.containers_of_job("train-0-2", "node-1") == {"c" * 64}


@pytest.mark.parametrize("supervised", [None, SUBMISSION, SupervisedJob("dstack", "")])
def test_the_job_of_a_supervisor_is_kept(store: Store, supervised: SupervisedJob | None) -> None:
    running = job("a", supervised=supervised)
    store.commit(Batch(running=[running]))
    assert [each.supervised for each in store.running_jobs()] == [supervised]
    store.commit(Batch(ended=[ended(running, None, TIMED_OUT)]))
    (record,) = store.reader.list_jobs(ANY, 2).records
    assert record.job.supervised == supervised
    assert record.ended is not None
    assert record.ended.verdict.termination == "MAX_DURATION_EXCEEDED"


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_pages_have_every_job_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, starts: list[int], limit: int
) -> None:
    there = [ended(job("a", attempt=index, start_event_ns=start), 1) for index, start in enumerate(starts)]
    seen: list[JobRecord] = []
    position: Position | None = None
    with opened(tmp_path_factory.getbasetemp() / "paging" / "exits.db") as store:
        store.prune(2**62)
        store.commit(Batch(ended=there))
        while True:
            page = store.reader.list_jobs(ANY, limit, position)
            seen += page.records
            assert len(page.records) <= limit
            assert len(seen) <= len(there)
            position = page.next
            if position is None:
                break
            # Jobs that start meanwhile move nothing.
            newcomer = job("b", attempt=len(seen), start_event_ns=10)
            store.commit(Batch(ended=[ended(newcomer, 1)]))
    expected = sorted(map(shown, there), key=lambda each: (each.job.start_event_ns, each.job.id))
    assert seen == expected[::-1]


def test_only_a_single_job_has_its_log_tail(store: Store) -> None:
    end = ended(job("a"), 1, log_tail="why")
    store.commit(Batch(ended=[end]))
    (listed,) = store.reader.list_jobs(ANY, 10).records
    assert listed == shown(replace(end, exit=replace(end.exit, log_tail=None)))
    assert store.reader.find_job(end.exit.job.id) == shown(end)


@pytest.mark.parametrize("key", ["aaaaaaaaaaaa-1", "gentle-stingray-a", CONTAINER, "aaaaaaaaaaaa", "aaaaaa"])
def test_a_job_is_found_by_id_name_and_start_of_the_container_id(store: Store, key: str) -> None:
    store.commit(Batch(running=[job("a"), job("b")]))
    assert store.reader.find_job(key) == JobRecord(job("a"), None)


def test_a_container_stands_for_its_newest_attempt(store: Store) -> None:
    attempts = [job("a", attempt=number, start_event_ns=BEGAN_NS + number) for number in (1, 2, 10, 9)]
    store.commit(Batch(running=attempts))
    for key in ("gentle-stingray-a", CONTAINER, "aaaaaa"):
        assert store.reader.find_job(key) == JobRecord(attempts[2], None)
    assert store.reader.find_job("aaaaaaaaaaaa-9") == JobRecord(attempts[3], None)


@pytest.mark.parametrize(
    ("key", "found", "other"),
    [
        ("batch", job("b", name="batch", start_event_ns=BEGAN_NS + 1), job("a", name="batch")),
        ("aaaaaaaaaaaa-1", job("a"), job("b", name="aaaaaaaaaaaa-1", start_event_ns=BEGAN_NS + 1)),
        ("dbdbdb", job("a", name="dbdbdb"), job("d", container_id="db" * 32, start_event_ns=BEGAN_NS + 1)),
    ],
    ids=["the newest of a name", "an id before a name", "a name before a start of an id"],
)
def test_of_several_jobs_one_is_meant(store: Store, key: str, found: Job, other: Job) -> None:
    store.commit(Batch(running=[found, other]))
    assert store.reader.find_job(key) == JobRecord(found, None)


def test_a_start_of_an_id_names_one_container_or_the_candidates(store: Store) -> None:
    named = [job(name=name, container_id=name * 16) for name in ("abcd", "abce", "db00")]
    again = replace(named[1], attempt=2)
    store.commit(Batch(running=[*named, again]))
    assert store.reader.find_job("db00d") is None, "fewer than six digits are a name"
    assert store.reader.find_job("abceab") == JobRecord(again, None)
    close = job(name="close", container_id="abce" * 15 + "0000")
    store.commit(Batch(running=[close]))
    with pytest.raises(AmbiguousKeyError) as raised:
        store.reader.find_job("abceab")
    assert raised.value.containers == {named[1].container_id: "abce", close.container_id: "close"}
    assert store.reader.find_job("abce" * 15 + "00") == JobRecord(close, None)


@pytest.mark.parametrize(
    "key", ["%", "_", "a%", "gentle%", "gentle_stingray_a", "a/", "\\", "", "a" * 65, "a" * 60_000], ids=len
)
def test_wildcards_find_nothing(store: Store, key: str) -> None:
    store.commit(Batch(running=[job("a")]))
    assert store.reader.find_job(key) is None


@pytest.mark.parametrize("name", ["50%_done", "a_b", "%", "back\\slash", "sla/sh", "'; DROP TABLE jobs; --"])
def test_a_name_may_have_any_character(store: Store, name: str) -> None:
    store.commit(Batch(running=[job("a", name=name), job("b", start_event_ns=BEGAN_NS + 1)]))
    assert store.reader.find_job(name) == JobRecord(job("a", name=name), None)


# History of a container


def history(store: Store, *other_engines: str) -> ContainerHistory:
    """Return the history of the container, which must be on record."""
    found = store.load_history(CONTAINER, frozenset(other_engines))
    assert found is not None
    return found


def test_a_history_has_attempts_last_end_and_event_times(store: Store) -> None:
    first, second = job("a"), job("a", attempt=2, start_event_ns=BEGAN_NS + 1)
    assert store.load_history(CONTAINER) is None
    store.commit(Batch(running=[first, job("b", attempt=7)]))
    times = {first.start_event_ns}
    assert history(store) == ContainerHistory(
        1, None, recorded_event_times=frozenset(times), last_start_ns=first.started_ns
    )
    end = ended(first, 1)
    store.commit(Batch(running=[second], ended=[end]))
    times |= {end.exit.finished_ns, second.start_event_ns}
    assert history(store) == ContainerHistory(
        2, end.exit.finished_ns, recorded_event_times=frozenset(times), last_start_ns=second.started_ns
    )
    assert store.load_history("a" * 12) is None


def test_a_late_event_does_not_move_the_last_end(store: Store) -> None:
    late = ended(job(), 137, event_ns=BEGAN_NS + 101 * SECOND_NS)
    store.commit(Batch(ended=[late]))
    assert history(store).last_end_ns == late.exit.finished_ns
    assert late.exit.event_ns in history(store).recorded_event_times


def test_a_failed_start_is_in_the_history_until_one_succeeds(store: Store) -> None:
    ran, failed, again = (job(attempt=number, start_event_ns=BEGAN_NS + number) for number in (1, 2, 3))
    store.commit(Batch(ended=[ended(ran, 1)]))
    assert history(store).failed_start_ns is None
    failure = ended(replace(failed, started_ns=None), 127, NOT_STARTED)
    store.commit(Batch(ended=[failure]))
    assert history(store).failed_start_ns == failure.exit.finished_ns
    store.commit(Batch(running=[again]))
    assert history(store).failed_start_ns is None


def test_jobs_of_other_watched_engines_are_no_history(store: Store) -> None:
    """Hosts made from one image have containers with equal ids."""
    here, there, unwatched = (
        ended(job(engine=engine, attempt=attempt, key=engine), attempt)
        for attempt, engine in enumerate(("here", "there", "unwatched"), start=1)
    )
    store.commit(Batch(ended=[here, there]))
    assert history(store, "there").attempts == 1
    assert store.load_history(CONTAINER, frozenset({"here", "there"})) is None
    store.commit(Batch(ended=[unwatched]))
    assert history(store, "here", "there").attempts == 3


def test_jobs_without_an_end_are_running(store: Store) -> None:
    here, there = job("a"), job("b", instance="node-2")
    store.commit(Batch(running=[here, there], ended=[ended(job("c"), 0)]))
    assert sorted(store.running_jobs(), key=lambda each: each.id) == [here, there]
