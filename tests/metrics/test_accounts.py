"""What a job that begins or ends does to the series: all of it, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from exporter.metrics import definitions
from exporter.metrics.job_metrics import JobMetrics, record_workload_order
from exporter.metrics.state import MetricState, MetricUpdate, SeriesKey
from exporter.model import Evidence, Job, OomKill, OomSource, Workload
from exporter.verdict.catalog_file import builtin_catalog
from tests.metrics.scene import foreseen
from tests.store.samples import BEGAN_NS, NOT_STARTED, OOM, SECOND_NS, STOPPED, ended, job

HOST, NAME, IMAGE = "node-1", "shop/worker", "registry.example/shop/worker"
LABELS = (HOST, NAME, IMAGE)
ENDED_AT = BEGAN_NS / SECOND_NS + 90
KNOWN = builtin_catalog().has_code
MINUTES = "5"
"""The index of the bucket for ninety seconds."""


def accounts(limit: int = 10, kept: Mapping[SeriesKey, float] | None = None, **since: int) -> JobMetrics:
    """Give accounts with the built-in codes."""
    return JobMetrics(limit, KNOWN, kept, **since)


def exits(status: str, code: str, reason: str) -> SeriesKey:
    """Give the key of a series of exits of the plain job."""
    return (definitions.EXITS.name, (*LABELS, status, code, reason))


def duration(status: str) -> dict[SeriesKey, float]:
    """Give what ninety seconds do to the histogram."""
    name = definitions.RUN_DURATION.name
    return {(name, (HOST, NAME, status, MINUTES)): 1, (name, (HOST, NAME, status, "sum")): 90}


def effect(changes: MetricUpdate) -> dict[SeriesKey, float]:
    """Give what changes make of nothing."""
    ledger = MetricState({})
    ledger.apply(changes)
    return ledger.snapshot()


def workloads(changes: MetricUpdate) -> set[str]:
    """Give the workloads whose exits changes count."""
    return {labels[1] for name, labels in effect(changes) if name == definitions.EXITS.name}


OOM_KILLS: SeriesKey = (definitions.OOM_KILLS.name, LABELS)
RESTARTS: SeriesKey = (definitions.RESTARTS.name, LABELS)
RUNNING: SeriesKey = (definitions.JOBS_RUNNING.name, (HOST, NAME))
LIMIT: SeriesKey = (definitions.MEMORY_LIMIT.name, (HOST, NAME))
BYTES = 256 << 20


def last(status: str) -> SeriesKey:
    """Give the key of the series that tells when the last job ended so."""
    return (definitions.LAST_EXIT.name, (HOST, NAME, status))


def test_a_job_that_begins_runs_and_its_likeliest_ends_have_a_series_at_0() -> None:
    changes = MetricUpdate()
    accounts().on_start(job(), foreseen(job()), changes)
    assert effect(changes) == {
        RUNNING: 1,
        OOM_KILLS: 0,
        RESTARTS: 0,
        LIMIT: BYTES,
        exits("done", "0", "Completed"): 0,
        exits("failed", "137", "OOMKilled"): 0,
    }


def test_a_beginning_takes_nothing_from_what_was_counted() -> None:
    ledger = MetricState({exits("failed", "137", "OOMKilled"): 5, OOM_KILLS: 6})
    changes = MetricUpdate()
    accounts().on_start(job(), foreseen(job()), changes)
    ledger.apply(changes)
    assert ledger.snapshot() == {
        RUNNING: 1,
        OOM_KILLS: 6,
        RESTARTS: 0,
        LIMIT: BYTES,
        exits("done", "0", "Completed"): 0,
        exits("failed", "137", "OOMKilled"): 5,
    }


def test_an_end_counts_the_exit_its_oom_kills_its_duration_and_its_time() -> None:
    changes = MetricUpdate()
    accounts().on_exit(ended(job(), 137, OOM, oom_kills=2), changes, job())
    assert effect(changes) == {
        RUNNING: -1,
        exits("failed", "137", "OOMKilled"): 1,
        OOM_KILLS: 2,
        RESTARTS: 0,
        LIMIT: BYTES,
        **duration("failed"),
        last("failed"): ENDED_AT,
    }


def test_oom_kills_of_a_job_count_when_they_are_told_and_not_again_at_its_end() -> None:
    before = replace(job(), oom_kills=())
    first, second = (OomKill(OomSource.EVENT, BEGAN_NS + at_ns) for at_ns in (1, 2))
    once, twice = replace(job(), oom_kills=(first,)), replace(job(), oom_kills=(first, second))
    for begun, now, more in ((before, once, 1), (once, twice, 1), (twice, twice, 0)):
        changes = MetricUpdate()
        accounts().on_update(now, begun, changes)
        assert effect(changes) == {OOM_KILLS: more}
    changes = MetricUpdate()
    accounts().on_exit(ended(job(), 1, oom_kills=3), changes, twice)
    assert effect(changes)[OOM_KILLS] == 1


def test_a_job_runs_no_more_where_it_was_counted_as_running() -> None:
    renamed = replace(job(), workload=Workload("other-name", job().workload.image))
    changes = MetricUpdate()
    accounts().on_exit(ended(renamed, 0), changes, job())
    effects = effect(changes)
    assert effects[RUNNING] == -1
    assert effects[RUNNING[0], (HOST, "other-name")] == 0


def test_a_code_is_a_label_as_soon_as_the_catalogue_knows_it() -> None:
    known: set[int] = set()
    books = JobMetrics(10, known.__contains__)
    labels = []
    for _ in range(2):
        changes = MetricUpdate()
        books.on_exit(ended(job(), 5000), changes, None)
        labels += [key[1][4] for key in effect(changes) if key[0] == definitions.EXITS.name]
        known.add(5000)
    assert labels == ["other", "5000"]


def test_an_end_without_oom_kills_makes_their_series_exist() -> None:
    changes = MetricUpdate()
    accounts().on_exit(ended(job(), 143, STOPPED), changes, job())
    assert effect(changes) == {
        RUNNING: -1,
        exits("terminated", "143", "Terminated"): 1,
        OOM_KILLS: 0,
        RESTARTS: 0,
        LIMIT: BYTES,
        **duration("terminated"),
        last("terminated"): ENDED_AT,
    }


def test_a_job_that_never_started_has_no_duration_and_ran_never() -> None:
    changes = MetricUpdate()
    accounts().on_exit(ended(job(started_ns=None), 127, NOT_STARTED), changes, None)
    assert effect(changes) == {
        RUNNING: 0,
        exits("failed", "127", "CommandNotFound"): 1,
        OOM_KILLS: 0,
        RESTARTS: 0,
        LIMIT: BYTES,
        last("failed"): ENDED_AT,
    }


def test_an_exit_that_nobody_saw_has_no_duration_and_counts_as_unobserved() -> None:
    changes = MetricUpdate()
    accounts().on_exit(ended(job(), None, recovered=True), changes, job())
    assert effect(changes) == {
        RUNNING: -1,
        exits("unknown", "unknown", "Unknown"): 1,
        OOM_KILLS: 0,
        RESTARTS: 0,
        LIMIT: BYTES,
        (definitions.EXITS_UNOBSERVED.name, (HOST,)): 1,
        last("unknown"): ENDED_AT,
    }


def test_an_exit_that_was_found_afterwards_counts_as_recovered_too() -> None:
    changes = MetricUpdate()
    accounts().on_exit(ended(job(), 1, recovered=True), changes, job())
    assert effect(changes) == {
        RUNNING: -1,
        exits("failed", "1", "Error"): 1,
        OOM_KILLS: 0,
        RESTARTS: 0,
        LIMIT: BYTES,
        (definitions.EXITS_RECOVERED.name, (HOST,)): 1,
        **duration("failed"),
        last("failed"): ENDED_AT,
    }


def test_an_end_before_its_beginning_lasted_0() -> None:
    changes = MetricUpdate()
    accounts().on_exit(ended(job(), 0, finished_ns=BEGAN_NS - 1), changes, job())
    name = definitions.RUN_DURATION.name
    assert {key: value for key, value in effect(changes).items() if key[0] == name} == {
        (name, (HOST, NAME, "done", "0")): 1,
        (name, (HOST, NAME, "done", "sum")): 0,
    }


def test_an_older_exit_that_is_found_later_does_not_set_the_last_one_back() -> None:
    ledger, books = MetricState({}), accounts()
    for digit, finished in (("a", 90), ("b", 30)):
        changes = MetricUpdate()
        end = ended(job(digit), 1, finished_ns=BEGAN_NS + finished * SECOND_NS)
        books.on_exit(end, changes, end.exit.job)
        ledger.apply_committed(changes, ledger.values_to_store(changes))
    assert ledger.value(definitions.LAST_EXIT, (HOST, NAME, "failed")) == ENDED_AT


def test_an_older_exit_in_the_same_batch_does_not_set_the_last_one_back() -> None:
    ledger, books, changes = MetricState({}), accounts(), MetricUpdate()
    for digit, finished in (("a", 90), ("b", 30)):
        end = ended(job(digit), 1, finished_ns=BEGAN_NS + finished * SECOND_NS)
        books.on_exit(end, changes, end.exit.job)
    ledger.apply(changes)
    assert ledger.value(definitions.LAST_EXIT, (HOST, NAME, "failed")) == ENDED_AT


def begins(books: JobMetrics, job: Job, changes: MetricUpdate) -> None:
    """Have a job begin."""
    books.on_start(job, (), changes)


def ends(books: JobMetrics, job: Job, changes: MetricUpdate) -> None:
    """Have a job end of which nobody had heard."""
    books.on_exit(ended(job, 1), changes, None)


@pytest.mark.parametrize("happens", [begins, ends])
@pytest.mark.parametrize(
    ("changed", "limit"),
    [
        ({"memory_limit_bytes": 2 * BYTES}, 2 * BYTES),
        ({"memory_limit_bytes": None}, 0),
        # Nobody has asked the engine about it: then nobody knows.
        ({"memory_limit_bytes": None, "created_ns": None}, BYTES),
        # It is folded into Other.
        ({"memory_limit_bytes": 2 * BYTES, "workload": Workload("another", IMAGE)}, BYTES),
    ],
)
def test_the_memory_limit_is_that_of_the_job_that_was_heard_of_last(
    happens: Callable[[JobMetrics, Job, MetricUpdate], None], changed: dict[str, Any], limit: int
) -> None:
    ledger, changes, books = MetricState({}), MetricUpdate(), accounts(1)
    begins(books, job(), changes)
    happens(books, job("b", **changed), changes)
    ledger.apply(changes)
    assert {key: value for key, value in ledger.snapshot().items() if key[0] == LIMIT[0]} == {LIMIT: limit}


@pytest.mark.parametrize(
    ("code", "label"),
    [
        (None, "unknown"),
        (0, "0"),
        (137, "137"),
        (200, "200"),
        (255, "255"),
        (256, "other"),
        (1067, "1067"),
        (3221225477, "3221225477"),
        (4294967295, "4294967295"),
        (4294967294, "other"),
    ],
)
def test_codes_that_no_linux_has_and_no_catalogue_knows_share_one_label(code: int | None, label: str) -> None:
    changes = MetricUpdate()
    accounts().on_exit(ended(job(), code), changes, job())
    assert {labels[4] for name, labels in effect(changes) if name == definitions.EXITS.name} == {label}


def of(name: str, image: str = "img", digit: str = "a") -> Job:
    """Give a job of a workload."""
    return job(digit, workload=Workload(name, image))


def end(books: JobMetrics, begun: Job) -> MetricUpdate:
    """Give what the end of a job does of which nobody had heard."""
    changes = MetricUpdate()
    books.on_exit(ended(begun, 1), changes, None)
    return changes


def test_workloads_beyond_the_limit_are_counted_together_and_each_job_of_theirs_as_folded() -> None:
    books, folded = accounts(limit=2), (definitions.JOBS_OVER_WORKLOAD_LIMIT.name, ())
    assert [workloads(end(books, of(name))) for name in "xyzxw"] == [
        {"x"},
        {"y"},
        {"Other"},
        {"x"},
        {"Other"},
    ]
    beyond = end(books, of("z"))
    assert effect(beyond)[folded] == 1
    assert {labels for _, labels in effect(beyond)} == {
        (HOST, "Other"),
        (HOST, "Other", "Other"),
        (HOST, "Other", "Other", "failed", "1", "Error"),
        (HOST, "Other", "failed"),
        (HOST, "Other", "failed", MINUTES),
        (HOST, "Other", "failed", "sum"),
        (),
    }
    assert folded not in effect(end(books, of("x")))


def test_the_same_name_with_another_image_is_another_workload() -> None:
    books = accounts(limit=1)
    assert [workloads(end(books, of("x", image))) for image in ("one", "two")] == [{"x"}, {"Other"}]


def test_a_workload_that_is_called_other_itself_is_not_folded() -> None:
    changes = end(accounts(), of("Other", "Other"))
    assert workloads(changes) == {"Other"}
    assert (definitions.JOBS_OVER_WORKLOAD_LIMIT.name, ()) not in effect(changes)


def test_workloads_that_have_series_keep_them_after_a_restart_whatever_the_limit_is_now() -> None:
    kept: dict[SeriesKey, float] = {
        (definitions.EXITS.name, (HOST, name, "img", "failed", "1", "Error")): 1 for name in "xyz"
    }
    books = accounts(limit=1, kept=kept)
    assert [workloads(end(books, of(name))) for name in "zxw"] == [{"z"}, {"x"}, {"Other"}]


def test_a_folded_job_runs_and_ends_under_the_same_label() -> None:
    books, ledger, changes = accounts(limit=1), MetricState({}), MetricUpdate()
    books.on_start(of("x"), (), changes)
    counted = books.on_start(of("y"), (), changes)
    books.on_exit(ended(of("y"), 0), changes, counted)
    ledger.apply(changes)
    running = {labels: value for (name, labels), value in ledger.snapshot().items() if name == RUNNING[0]}
    assert running == {(HOST, "x"): 1, (HOST, "Other"): 0}


def test_after_a_restart_every_workload_that_was_counted_has_jobs_running_if_only_0() -> None:
    ledger = MetricState({exits("failed", "1", "Error"): 3, OOM_KILLS: 0})
    changes = MetricUpdate()
    assert accounts().resume(ledger.snapshot(), (), changes) == []
    ledger.apply(changes)
    assert ledger.snapshot() == {exits("failed", "1", "Error"): 3, OOM_KILLS: 0, RUNNING: 0}


def test_a_job_that_survived_an_oom_kill_counts_the_kill_and_is_done() -> None:
    changes = MetricUpdate()
    survivor = ended(job(), 0, Evidence(oom_killed=True), oom_kills=1)
    accounts().on_exit(survivor, changes, survivor.exit.job)
    assert effect(changes)[OOM_KILLS] == 1
    assert effect(changes)[exits("done", "0", "Completed")] == 1


def test_a_run_that_the_engine_began_anew_counts_once_when_it_ends() -> None:
    changes, books, again = MetricUpdate(), accounts(), replace(job(), restarts=3)
    counted = books.on_start(again, (), changes)
    assert effect(changes)[RESTARTS] == 0
    books.on_exit(ended(again, 1), changes, counted)
    by_hand = replace(job("b"), restarts=0)
    books.on_exit(ended(by_hand, 1), changes, None)
    assert effect(changes)[RESTARTS] == 1


# WorkloadSlots


DAY = 86_400
NAMED = Workload("night/train", "img")
IMAGE_ONLY = Workload("busybox", "busybox")


class WorkloadSlots:
    """Books with a limit of workloads, in a database that may refuse; moments are days."""

    def __init__(self, limit: int, *, idle_days: int = 30) -> None:
        self.ledger = MetricState({})
        self.limit, self.idle_ns = limit, idle_days * DAY * SECOND_NS
        self.books = accounts(limit, idle_ns=self.idle_ns)

    def restarts(self, day: int, *running: Job) -> None:
        """Have it restart on a day, with another order, while these jobs run."""
        kept, since_ns, changes = self.ledger.snapshot(), BEGAN_NS + day * DAY * SECOND_NS, MetricUpdate()
        self.books = accounts(self.limit, kept, idle_ns=self.idle_ns, since_ns=since_ns)
        self.books.resume(kept, running, changes)

    def runs(self, workload: Workload, day: int, *, to_its_end: bool = True, taken: bool = True) -> set[str]:
        """Have a job run on a day; whose series there are then, when the store has taken it."""
        start_event_ns = BEGAN_NS + day * DAY * SECOND_NS
        begun = job(workload=workload, start_event_ns=start_event_ns, started_ns=start_event_ns)
        changes = MetricUpdate()
        counted = self.books.on_start(begun, (), changes)
        if to_its_end:
            self.books.on_exit(ended(begun, 1), changes, counted)
        self.books.remove_evicted_series(self.ledger.snapshot(), changes)
        if taken:
            self.ledger.apply_committed(changes, self.ledger.values_to_store(changes))
            self.books.confirm_evictions()
        return {
            labels[1]
            for (name, labels) in self.ledger.snapshot()
            if name != definitions.JOBS_OVER_WORKLOAD_LIMIT.name
        }


def test_who_has_had_no_job_for_longest_and_for_the_retention_gives_up_its_slot_and_all_its_series() -> None:
    slots = WorkloadSlots(2)
    slots.runs(of("old").workload, 0)
    slots.runs(of("older").workload, 1)
    slots.runs(of("old").workload, 2)
    assert slots.runs(of("soon").workload, 31) == {"old", "older", "Other"}
    assert slots.runs(of("new").workload, 32) == {"old", "new", "Other"}


def test_who_has_a_job_that_runs_keeps_its_slot_however_long() -> None:
    slots = WorkloadSlots(1)
    slots.runs(of("long").workload, 0, to_its_end=False)
    assert slots.runs(of("new").workload, 400) == {"long", "Other"}


def test_where_jobs_are_kept_for_ever_no_slot_is_given_up_for_its_age() -> None:
    slots = WorkloadSlots(1, idle_days=0)
    slots.runs(NAMED, 0)
    assert slots.runs(of("new").workload, 4_000) == {NAMED.name, "Other"}


def test_a_workload_with_a_name_of_its_own_comes_before_one_that_is_named_by_its_image() -> None:
    slots = WorkloadSlots(1)
    slots.runs(IMAGE_ONLY, 0)
    assert slots.runs(NAMED, 1) == {NAMED.name}
    assert slots.runs(IMAGE_ONLY, 2) == {NAMED.name, "Other"}


def test_workloads_that_were_named_in_another_order_give_way_to_those_of_this_one() -> None:
    slots = WorkloadSlots(1)
    slots.runs(NAMED, 1)
    slots.restarts(2)
    assert slots.runs(of("new").workload, 3) == {"new"}
    assert slots.runs(of("newer").workload, 4) == {"new", "Other"}


def test_a_workload_of_another_order_that_is_met_in_this_one_stays() -> None:
    slots = WorkloadSlots(2)
    slots.runs(NAMED, 0)
    slots.runs(of("old").workload, 1)
    slots.restarts(2)
    slots.runs(NAMED, 3)
    assert slots.runs(of("new").workload, 4) == {NAMED.name, "new"}
    assert slots.runs(of("newer").workload, 5) == {NAMED.name, "new", "Other"}


def test_a_job_that_ran_through_a_change_of_order_holds_a_slot_as_long_as_it_runs() -> None:
    slots, changes = WorkloadSlots(1), MetricUpdate()
    slots.runs(NAMED, 0)
    runs = job("b", workload=NAMED)
    slots.restarts(2, runs)
    assert slots.runs(of("new").workload, 3) == {NAMED.name, "Other"}
    slots.books.on_exit(ended(replace(runs, workload=IMAGE_ONLY), 0), changes, runs)
    slots.ledger.apply(changes)
    assert "new" in slots.runs(of("new").workload, 4)


def test_series_that_end_while_the_store_refuses_end_with_the_next_batch_that_it_takes() -> None:
    slots = WorkloadSlots(2)
    slots.runs(NAMED, 0)
    slots.runs(of("second").workload, 1)
    assert slots.runs(of("new").workload, 40, taken=False) == {NAMED.name, "second"}
    assert slots.runs(NAMED, 40) == {"second", "Other"}
    assert slots.runs(of("new").workload, 40) == {"second", "new", "Other"}


def test_series_that_are_of_another_image_too_stay() -> None:
    slots = WorkloadSlots(2)
    slots.runs(Workload("x", "one"), 0)
    slots.runs(Workload("x", "two"), 20)
    slots.runs(of("new").workload, 31)
    images = {labels[2] for name, labels in slots.ledger.snapshot() if name == definitions.EXITS.name}
    assert images == {"two", "img"}
    assert slots.ledger.value(definitions.RUN_DURATION, (HOST, "x", "failed", MINUTES)) == 2


def test_a_job_that_began_as_other_ends_as_other_though_there_is_a_slot_by_then() -> None:
    slots, changes = WorkloadSlots(1), MetricUpdate()
    slots.runs(NAMED, 0)
    counted = slots.books.on_start(of("late"), (), changes)
    slots.ledger.apply(changes)
    slots.runs(of("late").workload, 31)
    changes = MetricUpdate()
    slots.books.on_exit(ended(of("late"), 0), changes, counted)
    slots.ledger.apply(changes)
    running = {
        labels[1]: value for (name, labels), value in slots.ledger.snapshot().items() if name == RUNNING[0]
    }
    assert running == {"Other": 0, "late": 0}


def test_after_a_restart_a_job_that_runs_keeps_the_slot_that_its_workload_has() -> None:
    kept = {exits("failed", "1", "Error"): 1.0}
    books, changes = accounts(1, kept, idle_ns=SECOND_NS), MetricUpdate()
    newcomer, runs = of("new", digit="b"), job()
    resumed = books.resume(kept, [newcomer, runs], changes)
    assert {each.container_id[0]: each.workload.name for each in resumed} == {"a": NAME, "b": "Other"}


def test_since_when_an_order_holds_is_noted_once_and_anew_with_another() -> None:
    ledger, seen = MetricState({}), []
    for order, now in (("label", 5.0), ("label", 6.0), ("swarm,label", 7.0), ("label", 8.0)):
        changes = MetricUpdate()
        record_workload_order(order, ledger.snapshot(), now, changes)
        ledger.apply_committed(changes, ledger.values_to_store(changes))
        seen.append({labels[0]: value for (_, labels), value in ledger.snapshot().items()})
    assert seen == [{"label": 0}, {"label": 0}, {"swarm,label": 7.0}, {"label": 8.0}]
