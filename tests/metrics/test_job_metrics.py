"""What the start, the update and the exit of a job add to the series: all of it, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from exporter.metrics import definitions
from exporter.metrics.job_metrics import JobMetrics, record_workload_order
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import ClassifiedExit, Evidence, Job, OomKill, OomSource, SeriesKey, Workload
from exporter.verdict.catalog_file import builtin_catalog
from tests.store.samples import BEGAN_NS, NOT_STARTED, OOM, SECOND_NS, STOPPED, TIMED_OUT, ended, job

HOST, NAME, IMAGE = "node-1", "shop/worker", "registry.example/shop/worker"
LABELS = (HOST, NAME, IMAGE)
ENDED_AT = BEGAN_NS / SECOND_NS + 90
OOM_KILLS: SeriesKey = (definitions.OOM_KILLS.name, LABELS)
RESTARTS: SeriesKey = (definitions.RESTARTS.name, LABELS)
RUNNING: SeriesKey = (definitions.JOBS_RUNNING.name, (HOST, NAME))
LIMIT: SeriesKey = (definitions.MEMORY_LIMIT.name, (HOST, NAME))
BYTES = 256 << 20
# Index of the bucket of ninety seconds.
BUCKET = "3"


def job_metrics(max_workloads: int = 10) -> JobMetrics:
    """Return metrics of jobs with the built-in catalogue."""
    return JobMetrics(max_workloads, builtin_catalog().has_code)


def exits(status: str, code: str, reason: str) -> SeriesKey:
    """Return the key of a series of exits of the sample job."""
    return (definitions.EXITS.name, (*LABELS, status, code, reason))


def last_exit(status: str) -> SeriesKey:
    """Return the key of the series of the last exit with a status."""
    return (definitions.LAST_EXIT.name, (HOST, NAME, status))


def duration(status: str) -> dict[SeriesKey, float]:
    """Return the series of one run of ninety seconds."""
    name = definitions.RUN_DURATION.name
    return {(name, (HOST, NAME, status, BUCKET)): 1, (name, (HOST, NAME, status, "sum")): 90}


def effect(update: MetricUpdate) -> dict[SeriesKey, float]:
    """Return what an update makes of no series at all."""
    state = MetricState({})
    state.apply(update)
    return state.snapshot()


def effect_of_exit(
    classified: ClassifiedExit, before: Job | None, metrics: JobMetrics | None = None
) -> dict[SeriesKey, float]:
    """Return what an exit makes of no series at all."""
    update = MetricUpdate()
    (metrics or job_metrics()).on_exit(classified, update, before)
    return effect(update)


def values_of(metric: definitions.Metric, series: dict[SeriesKey, float]) -> dict[SeriesKey, float]:
    """Return the series of one metric."""
    return {key: value for key, value in series.items() if key[0] == metric.name}


@pytest.mark.parametrize(
    "counted", [{}, {exits("failed", "137", "OOMKilled"): 5, OOM_KILLS: 6}], ids=["nothing", "some"]
)
def test_a_start_creates_series_and_leaves_those_that_exist(counted: dict[SeriesKey, float]) -> None:
    state, update = MetricState(counted), MetricUpdate()
    job_metrics().on_start(job(), update)
    state.apply(update)
    assert state.snapshot() == {
        RUNNING: 1,
        OOM_KILLS: 0,
        RESTARTS: 0,
        LIMIT: BYTES,
        **counted,
    }


@pytest.mark.parametrize(
    ("classified", "more"),
    [
        pytest.param(
            ended(job(), 137, OOM, oom_kills=2),
            {exits("failed", "137", "OOMKilled"): 1, OOM_KILLS: 2, **duration("failed")},
            id="killed for memory",
        ),
        pytest.param(
            ended(job(), 143, STOPPED),
            {exits("terminated", "143", "Terminated"): 1, **duration("terminated")},
            id="stopped",
        ),
        pytest.param(
            ended(job(), 0, Evidence(oom_killed=True), oom_kills=1),
            {exits("done", "0", "Completed"): 1, OOM_KILLS: 1, **duration("done")},
            id="survived an OOM kill",
        ),
        pytest.param(
            ended(job(started_ns=None), 127, NOT_STARTED),
            {exits("failed", "127", "CommandNotFound"): 1},
            id="never started",
        ),
        pytest.param(
            ended(job(), None, recovered=True),
            {
                exits("unknown", "unknown", "Unknown"): 1,
                (definitions.EXITS_UNOBSERVED.name, (HOST,)): 1,
            },
            id="not observed",
        ),
        pytest.param(
            ended(job(), None, TIMED_OUT),
            {exits("terminated", "unknown", "TimedOut"): 1, **duration("terminated")},
            id="stopped by its supervisor",
        ),
        pytest.param(
            ended(job(), 1, recovered=True),
            {
                exits("failed", "1", "Error"): 1,
                (definitions.EXITS_RECOVERED.name, (HOST,)): 1,
                **duration("failed"),
            },
            id="found later",
        ),
    ],
)
def test_an_exit_changes_these_series(classified: ClassifiedExit, more: dict[SeriesKey, float]) -> None:
    assert effect_of_exit(classified, classified.exit.job) == {
        RUNNING: -1,
        OOM_KILLS: 0,
        RESTARTS: 0,
        LIMIT: BYTES,
        last_exit(classified.verdict.status.value): ENDED_AT,
        **more,
    }


def test_an_exit_of_a_job_that_was_not_running_leaves_the_number_at_0() -> None:
    assert effect_of_exit(ended(job(), 1), None)[RUNNING] == 0


def test_oom_kills_are_counted_when_seen_and_not_again_at_the_exit() -> None:
    first, second = (OomKill(OomSource.EVENT, BEGAN_NS + at_ns) for at_ns in (1, 2))
    never, once, twice = (replace(job(), oom_kills=kills) for kills in ((), (first,), (first, second)))
    for before, now, more in ((never, once, 1), (once, twice, 1), (twice, twice, 0)):
        update = MetricUpdate()
        job_metrics().on_update(now, before, update)
        assert effect(update) == {OOM_KILLS: more}
    assert effect_of_exit(ended(job(), 1, oom_kills=3), twice)[OOM_KILLS] == 1


def test_a_renamed_job_stops_running_under_its_former_name() -> None:
    renamed = replace(job(), workload=Workload("other-name", job().workload.image))
    found = effect_of_exit(ended(renamed, 0), job())
    assert found[RUNNING] == -1
    assert found[RUNNING[0], (HOST, "other-name")] == 0


def test_an_exit_before_its_start_lasted_0_seconds() -> None:
    found = effect_of_exit(ended(job(), 0, finished_ns=BEGAN_NS - 1), job())
    name = definitions.RUN_DURATION.name
    assert values_of(definitions.RUN_DURATION, found) == {
        (name, (HOST, NAME, "done", "0")): 1,
        (name, (HOST, NAME, "done", "sum")): 0,
    }


@pytest.mark.parametrize("batches", [1, 2])
def test_an_older_exit_does_not_set_the_last_one_back(batches: int) -> None:
    state, metrics, updates = MetricState({}), job_metrics(), [MetricUpdate() for _ in range(batches)]
    for digit, finished, update in (("a", 90, updates[0]), ("b", 30, updates[-1])):
        classified = ended(job(digit), 1, finished_ns=BEGAN_NS + finished * SECOND_NS)
        metrics.on_exit(classified, update, classified.exit.job)
    for update in updates:
        state.apply_committed(update, state.values_to_store(update))
    assert state.value(definitions.LAST_EXIT, (HOST, NAME, "failed")) == ENDED_AT


@pytest.mark.parametrize("exits", [False, True], ids=["starts", "exits"])
@pytest.mark.parametrize(
    ("changed", "limit"),
    [
        pytest.param({"memory_limit_bytes": 2 * BYTES}, 2 * BYTES, id="another limit"),
        pytest.param({"memory_limit_bytes": None}, 0, id="no limit"),
        pytest.param({"memory_limit_bytes": None, "created_ns": None}, BYTES, id="not inspected"),
        pytest.param(
            {"memory_limit_bytes": 2 * BYTES, "workload": Workload("another", IMAGE)}, BYTES, id="Other"
        ),
    ],
)
def test_the_memory_limit_is_that_of_the_last_job(
    *, exits: bool, changed: dict[str, Any], limit: int
) -> None:
    update, metrics, later = MetricUpdate(), job_metrics(1), job("b", **changed)
    metrics.on_start(job(), update)
    if exits:
        metrics.on_exit(ended(later, 1), update, None)
    else:
        metrics.on_start(later, update)
    assert values_of(definitions.MEMORY_LIMIT, effect(update)) == {LIMIT: limit}


@pytest.mark.parametrize(
    ("code", "label"),
    [
        (None, "unknown"),
        (0, "0"),
        (200, "200"),
        (255, "255"),
        (256, "other"),
        (1067, "1067"),
        (4294967295, "4294967295"),
        (4294967294, "other"),
    ],
)
def test_unknown_codes_above_255_share_one_label(code: int | None, label: str) -> None:
    found = values_of(definitions.EXITS, effect_of_exit(ended(job(), code), job()))
    assert [labels[4] for _, labels in found] == [label]


def test_a_code_is_a_label_once_the_catalogue_knows_it() -> None:
    known: set[int] = set()
    metrics, codes = JobMetrics(10, known.__contains__), []
    for _ in range(2):
        found = effect_of_exit(ended(job(), 5000), None, metrics)
        codes += [labels[4] for _, labels in values_of(definitions.EXITS, found)]
        known.add(5000)
    assert codes == ["other", "5000"]


def test_after_a_restart_each_counted_workload_has_a_number_of_jobs() -> None:
    state = MetricState({exits("failed", "1", "Error"): 3, OOM_KILLS: 0})
    update = MetricUpdate()
    assert job_metrics().resume(state.snapshot(), (), update) == []
    state.apply(update)
    assert state.snapshot() == {exits("failed", "1", "Error"): 3, OOM_KILLS: 0, RUNNING: 0}


def test_a_run_by_the_restart_policy_counts_once_at_its_exit() -> None:
    update, metrics, restarted = MetricUpdate(), job_metrics(), replace(job(), restarts=3)
    counted = metrics.on_start(restarted, update)
    assert effect(update)[RESTARTS] == 0
    metrics.on_exit(ended(restarted, 1), update, counted)
    metrics.on_exit(ended(replace(job("b"), restarts=0), 1), update, None)
    assert effect(update)[RESTARTS] == 1


def test_the_time_of_a_workload_order_changes_with_the_order_only() -> None:
    state, seen = MetricState({}), []
    for order, now in (("label", 5.0), ("label", 6.0), ("swarm,label", 7.0), ("label", 8.0)):
        update = MetricUpdate()
        record_workload_order(order, state.snapshot(), now, update)
        state.apply_committed(update, state.values_to_store(update))
        seen.append({labels[0]: value for (_, labels), value in state.snapshot().items()})
    assert seen == [{"label": 0}, {"label": 0}, {"swarm,label": 7.0}, {"label": 8.0}]


def test_dstack_in_the_order_is_no_new_order_for_the_workloads_of_other_containers() -> None:
    state, seen = MetricState({}), []
    for order, now in (
        ("swarm", 5.0),
        ("label,swarm", 6.0),
        ("label,dstack,swarm", 7.0),
        ("label,swarm", 8.0),
    ):
        update = MetricUpdate()
        record_workload_order(order, state.snapshot(), now, update)
        state.apply_committed(update, state.values_to_store(update))
        seen.append({labels[0]: value for (_, labels), value in state.snapshot().items()})
    assert seen == [{"swarm": 0}, {"label,swarm": 6.0}, {"label,dstack,swarm": 6.0}, {"label,swarm": 6.0}]
