"""State of the metrics: what is visible when, and what is stored when."""

import threading
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics import definitions
from exporter.metrics.definitions import METRICS, Metric, MetricType
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import SeriesKey

Values = dict[SeriesKey, float]

EXITS: SeriesKey = (definitions.EXITS.name, ("node-1", "shop/worker", "img", "failed", "1", "Error"))
ERRORS: SeriesKey = (definitions.STORE_ERRORS.name, ())
RUNNING: SeriesKey = (definitions.JOBS_RUNNING.name, ("node-1", "shop/worker"))
UP: SeriesKey = (definitions.ENGINE_UP.name, ("unix:///var/run/docker.sock",))
LAST: SeriesKey = (definitions.LAST_EXIT.name, ("node-1", "shop/worker", "failed"))
NOTHING = MetricUpdate()


def update_of(
    added: Mapping[SeriesKey, float] | None = None, gauges: Mapping[SeriesKey, float] | None = None
) -> MetricUpdate:
    """Return an update that adds and sets these values."""
    update = MetricUpdate()
    for (name, labels), amount in (added or {}).items():
        update.add(definitions.BY_NAME[name], labels, amount)
    for (name, labels), value in (gauges or {}).items():
        update.set(definitions.BY_NAME[name], labels, value)
    return update


def stored_after(stored: Values, values: Mapping[SeriesKey, float | None]) -> Values:
    """Return what the store holds after these values are stored too."""
    return {key: value for key, value in {**stored, **values}.items() if value is not None}


def persistent(values: Values) -> Values:
    """Return the series that survive a restart."""
    return {key: value for key, value in values.items() if definitions.BY_NAME[key[0]].persistent}


def test_an_update_is_visible_once_applied() -> None:
    state, update = MetricState({EXITS: 4}), update_of({EXITS: 2, RUNNING: 1}, {LAST: 7})
    assert [state.values_to_store(update) for _ in range(3)] == [{EXITS: 6, LAST: 7}] * 3
    assert state.snapshot() == {EXITS: 4}
    state.apply(update)
    assert state.snapshot() == {EXITS: 6, RUNNING: 1, LAST: 7}


def test_what_is_applied_at_once_is_stored_once_with_the_next_batch() -> None:
    state, batch = MetricState({}), update_of({EXITS: 1})
    state.apply(update_of({ERRORS: 1}))
    values = state.values_to_store(batch)
    assert values == {ERRORS: 1, EXITS: 1}
    state.apply_committed(batch, values)
    assert state.values_to_store(NOTHING) == {}


def test_what_changes_during_a_commit_is_stored_again() -> None:
    state = MetricState({})
    state.apply(update_of({ERRORS: 1}))
    values = state.values_to_store(NOTHING)
    state.apply(update_of({ERRORS: 1}))
    state.apply_committed(NOTHING, values)
    assert state.values_to_store(NOTHING) == {ERRORS: 2}


def test_series_of_a_newer_version_are_left_out() -> None:
    state = MetricState({EXITS: 1, ("container_of_the_future_total", ("x",)): 9})
    assert state.snapshot() == {EXITS: 1}


def test_adding_0_creates_a_series() -> None:
    state = MetricState({})
    state.apply(update_of({EXITS: 0}))
    assert state.snapshot() == {EXITS: 0} == state.values_to_store(NOTHING)


def test_a_series_that_does_not_exist_has_the_value_0() -> None:
    state = MetricState({EXITS: 4})
    assert state.value(definitions.EXITS, EXITS[1]) == 4
    assert state.value(definitions.EXITS, ("node-2",)) == 0


def test_a_removed_series_can_begin_again() -> None:
    state, update = MetricState({EXITS: 4, LAST: 7}), update_of({EXITS: 2})
    update.remove([EXITS])
    assert state.values_to_store(update) == {EXITS: None}
    state.apply(update)
    assert (state.snapshot(), state.values_to_store(NOTHING)) == ({LAST: 7}, {EXITS: None})
    state.apply(update_of({EXITS: 1}))
    assert (state.snapshot(), state.values_to_store(NOTHING)) == ({EXITS: 1, LAST: 7}, {EXITS: 1})


def test_a_snapshot_is_a_copy() -> None:
    state = MetricState({EXITS: 4})
    snapshot = state.snapshot()
    state.apply(update_of({EXITS: 1}))
    assert snapshot == {EXITS: 4}
    snapshot.clear()
    assert state.snapshot() == {EXITS: 5}


def test_what_another_version_stored_of_metrics_or_labels_that_are_none_is_left_out() -> None:
    name, labels = EXITS
    unknown = {("container_exits", labels): 1, (name, labels[1:]): 2, (name, (*labels, "more")): 3}
    assert MetricState({**unknown, EXITS: 4}).snapshot() == {EXITS: 4}


def test_the_last_value_set_in_a_batch_stands() -> None:
    state, update = MetricState({UP: 1}), update_of(gauges={UP: 1})
    update.set(definitions.ENGINE_UP, UP[1], 0)
    state.apply(update)
    assert state.snapshot() == {UP: 0}


@pytest.mark.parametrize(
    ("value", "bucket"), [(0, "0"), (1, "0"), (1.000001, "1"), (86400, "6"), (86401, "7"), (1e12, "7")]
)
def test_a_bucket_includes_its_upper_bound(value: float, bucket: str) -> None:
    state, update, name = MetricState({}), MetricUpdate(), definitions.RUN_DURATION.name
    update.observe(definitions.RUN_DURATION, ("h", "w", "done"), value)
    state.apply(update)
    assert state.snapshot() == {
        (name, ("h", "w", "done", bucket)): 1,
        (name, ("h", "w", "done", "sum")): value,
    }


def test_counters_histograms_and_the_gauges_of_jobs_survive_a_restart() -> None:
    counting = {metric.name for metric in METRICS if metric.type is not MetricType.GAUGE}
    gauges = {definitions.LAST_EXIT.name, definitions.MEMORY_LIMIT.name, definitions.WORKLOAD_ORDER.name}
    assert {metric.name for metric in METRICS if metric.persistent} == counting | gauges


def test_threads_that_apply_at_once_lose_nothing() -> None:
    state, start = MetricState({}), threading.Barrier(8)

    def apply() -> None:
        start.wait()
        for _ in range(500):
            state.apply(update_of({EXITS: 1, ERRORS: 2}))

    threads = [threading.Thread(target=apply) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.snapshot() == {EXITS: 4000, ERRORS: 8000}


def keys_of(metrics: Iterable[Metric]) -> st.SearchStrategy[SeriesKey]:
    """Return a strategy for two series of each of these metrics."""
    series = [(metric.name, (letter,) * len(metric.labels)) for metric in metrics for letter in "ab"]
    return st.sampled_from(series)


COUNTERS = [metric for metric in METRICS if metric.type is MetricType.COUNTER]
GAUGES = [metric for metric in METRICS if metric.type is MetricType.GAUGE]
STEPS = st.tuples(
    st.sampled_from(["at once", "stored", "refused"]),
    st.dictionaries(keys_of(COUNTERS), st.integers(0, 3), max_size=3),
    st.dictionaries(keys_of(GAUGES), st.integers(0, 9), max_size=2),
    st.sets(keys_of(METRICS), max_size=2),
)


@given(st.lists(STEPS, max_size=15))
def test_a_crash_loses_only_what_was_not_stored(
    steps: list[tuple[str, Values, Values, set[SeriesKey]]],
) -> None:
    state, stored, visible_when_stored = MetricState({}), Values(), Values()
    for how, added, gauges, removed in steps:
        update = update_of(added, gauges)
        update.remove(removed)
        if how == "at once":
            state.apply(update)
            continue
        values = state.values_to_store(update)
        if how == "stored":
            stored = stored_after(stored, values)
            state.apply_committed(update, values)
            visible_when_stored = persistent(state.snapshot())
        assert stored == visible_when_stored
    assert MetricState(stored).snapshot() == visible_when_stored
    assert stored_after(stored, state.values_to_store(NOTHING)) == persistent(state.snapshot())
