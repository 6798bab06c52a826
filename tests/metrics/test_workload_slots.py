"""Limit of workloads: which have series of their own, and which are evicted, in a store that may fail."""

from dataclasses import replace

from exporter.metrics import definitions
from exporter.metrics.job_metrics import JobMetrics
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import Job, Workload
from exporter.verdict.catalog_file import builtin_catalog
from tests.store.samples import BEGAN_NS, SECOND_NS, ended, job

HOST = "node-1"
DAY_NS = 86_400 * SECOND_NS
NAMED = Workload("night/train", "img")
IMAGE_ONLY = Workload("busybox", "busybox")
OVER_LIMIT = (definitions.JOBS_OVER_WORKLOAD_LIMIT.name, ())


def workload(name: str) -> Workload:
    """Return a workload that is named by a label."""
    return Workload(name, "img")


class SlotsDriver:
    """Runs jobs of workloads on given days; the retention is thirty days."""

    def __init__(self, limit: int, *, idle_days: int = 30) -> None:
        self.state = MetricState({})
        self._limit, self._idle_ns = limit, idle_days * DAY_NS
        self.metrics = self._metrics()

    def _metrics(self, since_day: int | None = None) -> JobMetrics:
        since_ns = 0 if since_day is None else BEGAN_NS + since_day * DAY_NS
        return JobMetrics(
            self._limit,
            builtin_catalog().has_code,
            self.state.snapshot(),
            idle_ns=self._idle_ns,
            since_ns=since_ns,
        )

    def restart(self, *running: Job, limit: int | None = None, new_order_on: int | None = None) -> list[Job]:
        """Restart while these jobs run; on a day, with another order."""
        update = MetricUpdate()
        self._limit = self._limit if limit is None else limit
        self.metrics = self._metrics(new_order_on)
        resumed = self.metrics.resume(self.state.snapshot(), running, update)
        self.state.apply(update)
        return resumed

    def run(self, of: Workload, day: int, *, ends: bool = True, stored: bool = True) -> set[str]:
        """Run a job on a day and store the batch; return the workloads that have series then."""
        start_event_ns = BEGAN_NS + day * DAY_NS
        started = job(workload=of, start_event_ns=start_event_ns, started_ns=start_event_ns)
        update = MetricUpdate()
        counted = self.metrics.on_start(started, update)
        if ends:
            self.metrics.on_exit(ended(started, 1), update, counted)
        self.metrics.remove_evicted_series(self.state.snapshot(), update)
        if stored:
            self.state.apply_committed(update, self.state.values_to_store(update))
            self.metrics.confirm_evictions()
        return self.names

    @property
    def names(self) -> set[str]:
        """Workloads that have series."""
        return {labels[1] for name, labels in self.state.snapshot() if (name, labels) != OVER_LIMIT}

    @property
    def running(self) -> dict[str, float]:
        """Running jobs by workload."""
        name = definitions.JOBS_RUNNING.name
        return {key[1][1]: value for key, value in self.state.snapshot().items() if key[0] == name}


def test_jobs_above_the_limit_are_counted_as_other() -> None:
    slots = SlotsDriver(2)
    for name in "xyzxw":
        slots.run(workload(name), 0)
    assert slots.names == {"x", "y", "Other"}
    assert slots.state.snapshot()[OVER_LIMIT] == 2
    others = {labels for name, labels in slots.state.snapshot() if labels[1:2] == ("Other",)}
    assert others == {
        (HOST, "Other"),
        (HOST, "Other", "Other"),
        (HOST, "Other", "Other", "failed", "1", "Error"),
        (HOST, "Other", "failed"),
        (HOST, "Other", "failed", "3"),
        (HOST, "Other", "failed", "sum"),
    }


def test_the_same_name_with_another_image_is_another_workload() -> None:
    slots = SlotsDriver(1)
    assert slots.run(Workload("x", "one"), 0) == {"x"}
    assert slots.run(Workload("x", "two"), 0) == {"x", "Other"}


def test_a_workload_named_other_is_not_above_the_limit() -> None:
    slots = SlotsDriver(10)
    assert slots.run(Workload("Other", "Other"), 0) == {"Other"}
    assert OVER_LIMIT not in slots.state.snapshot()


def test_after_a_restart_workloads_keep_their_series_above_a_lower_limit() -> None:
    slots = SlotsDriver(3)
    for name in "xyz":
        slots.run(workload(name), 0)
    slots.restart(limit=1)
    assert slots.run(workload("z"), 1) == slots.run(workload("x"), 1) == {"x", "y", "z"}
    assert slots.run(workload("w"), 1) == {"x", "y", "z", "Other"}


def test_a_job_above_the_limit_starts_and_ends_as_other() -> None:
    slots = SlotsDriver(1)
    slots.run(workload("x"), 0, ends=False)
    slots.run(workload("y"), 0)
    assert slots.running == {"x": 1, "Other": 0}


def test_the_longest_idle_workload_is_evicted_after_the_retention() -> None:
    slots = SlotsDriver(2)
    slots.run(workload("old"), 0)
    slots.run(workload("older"), 1)
    slots.run(workload("old"), 2)
    assert slots.run(workload("soon"), 31) == {"old", "older", "Other"}
    assert slots.run(workload("new"), 32) == {"old", "new", "Other"}


def test_a_workload_with_a_running_job_is_not_evicted() -> None:
    slots = SlotsDriver(1)
    slots.run(workload("long"), 0, ends=False)
    assert slots.run(workload("new"), 400) == {"long", "Other"}


def test_without_a_retention_no_workload_is_evicted_for_its_age() -> None:
    slots = SlotsDriver(1, idle_days=0)
    slots.run(NAMED, 0)
    assert slots.run(workload("new"), 4_000) == {NAMED.name, "Other"}


def test_a_name_of_its_own_evicts_a_name_from_the_image() -> None:
    slots = SlotsDriver(1)
    slots.run(IMAGE_ONLY, 0)
    assert slots.run(NAMED, 1) == {NAMED.name}
    assert slots.run(IMAGE_ONLY, 2) == {NAMED.name, "Other"}


def test_workloads_of_the_previous_order_are_evicted_first() -> None:
    slots = SlotsDriver(1)
    slots.run(NAMED, 1)
    slots.restart(new_order_on=2)
    assert slots.run(workload("new"), 3) == {"new"}
    assert slots.run(workload("newer"), 4) == {"new", "Other"}


def test_a_workload_seen_again_in_the_new_order_stays() -> None:
    slots = SlotsDriver(2)
    slots.run(NAMED, 0)
    slots.run(workload("old"), 1)
    slots.restart(new_order_on=2)
    slots.run(NAMED, 3)
    assert slots.run(workload("new"), 4) == {NAMED.name, "new"}
    assert slots.run(workload("newer"), 5) == {NAMED.name, "new", "Other"}


def test_a_job_that_runs_through_a_change_of_order_keeps_its_slot() -> None:
    slots, update = SlotsDriver(1), MetricUpdate()
    slots.run(NAMED, 0)
    running = job("b", workload=NAMED)
    slots.restart(running, new_order_on=2)
    assert slots.run(workload("new"), 3) == {NAMED.name, "Other"}
    slots.metrics.on_exit(ended(replace(running, workload=IMAGE_ONLY), 0), update, running)
    slots.state.apply(update)
    assert "new" in slots.run(workload("new"), 4)


def test_evicted_series_end_with_the_next_batch_that_is_stored() -> None:
    slots = SlotsDriver(2)
    slots.run(NAMED, 0)
    slots.run(workload("second"), 1)
    assert slots.run(workload("new"), 40, stored=False) == {NAMED.name, "second"}
    assert slots.run(NAMED, 40) == {"second", "Other"}
    assert slots.run(workload("new"), 40) == {"second", "new", "Other"}


def test_series_shared_with_another_image_are_not_removed() -> None:
    slots = SlotsDriver(2)
    slots.run(Workload("x", "one"), 0)
    slots.run(Workload("x", "two"), 20)
    slots.run(workload("new"), 31)
    series = slots.state.snapshot()
    assert {labels[2] for name, labels in series if name == definitions.EXITS.name} == {"two", "img"}
    assert slots.state.value(definitions.RUN_DURATION, (HOST, "x", "failed", "3")) == 2


def test_a_job_that_started_as_other_ends_as_other() -> None:
    slots, update = SlotsDriver(1), MetricUpdate()
    slots.run(NAMED, 0)
    late = job("b", workload=workload("late"))
    counted = slots.metrics.on_start(late, update)
    slots.state.apply(update)
    slots.run(workload("late"), 31)
    update = MetricUpdate()
    slots.metrics.on_exit(ended(late, 0), update, counted)
    slots.state.apply(update)
    assert slots.running == {"Other": 0, "late": 0}


def test_after_a_restart_a_running_job_keeps_its_slot_before_newcomers() -> None:
    slots = SlotsDriver(1, idle_days=1)
    slots.run(NAMED, -40)
    resumed = slots.restart(job("b", workload=workload("new")), job("a", workload=NAMED))
    assert {each.container_id[0]: each.workload.name for each in resumed} == {"a": NAMED.name, "b": "Other"}
