"""The ledger: what is visible when, and what is stored when."""

import threading
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics import definitions
from exporter.metrics.definitions import METRICS, Metric, MetricType
from exporter.metrics.state import MetricState, MetricUpdate, SeriesKey

EXITS: SeriesKey = (definitions.EXITS.name, ("node-1", "shop/worker", "img", "failed", "1", "Error"))
ERRORS: SeriesKey = (definitions.STORE_ERRORS.name, ())
RUNNING: SeriesKey = (definitions.JOBS_RUNNING.name, ("node-1", "shop/worker"))
UP: SeriesKey = (definitions.ENGINE_UP.name, ("unix:///var/run/docker.sock",))
LAST: SeriesKey = (definitions.LAST_EXIT.name, ("node-1", "shop/worker", "failed"))


def changes(
    added: Mapping[SeriesKey, float] | None = None, set_to: Mapping[SeriesKey, float] | None = None
) -> MetricUpdate:
    """Give changes by their keys."""
    made = MetricUpdate()
    for (name, labels), amount in (added or {}).items():
        made.add(definitions.BY_NAME[name], labels, amount)
    for (name, labels), value in (set_to or {}).items():
        made.set(definitions.BY_NAME[name], labels, value)
    return made


def saved(
    stored: Mapping[SeriesKey, float], values: Mapping[SeriesKey, float | None]
) -> dict[SeriesKey, float]:
    """Give what is on record when these values have been stored too."""
    return {key: value for key, value in {**stored, **values}.items() if value is not None}


def kept(values: Mapping[SeriesKey, float]) -> dict[SeriesKey, float]:
    """Give those series that survive a restart."""
    return {key: value for key, value in values.items() if definitions.BY_NAME[key[0]].persistent}


def test_nothing_is_visible_before_it_is_published() -> None:
    ledger, made = MetricState({EXITS: 4}), changes({EXITS: 2, RUNNING: 1}, {LAST: 7})
    assert ledger.values_to_store(made) == {EXITS: 6, LAST: 7}
    assert ledger.snapshot() == {EXITS: 4}
    ledger.apply(made)
    assert ledger.snapshot() == {EXITS: 6, RUNNING: 1, LAST: 7}


def test_asking_what_to_store_changes_nothing_however_often_a_store_refuses() -> None:
    ledger, made = MetricState({EXITS: 4}), changes({EXITS: 2})
    assert [ledger.values_to_store(made) for _ in range(3)] == [{EXITS: 6}] * 3


def test_what_is_published_at_once_is_stored_with_the_next_batch_and_only_once() -> None:
    ledger = MetricState({})
    ledger.apply(changes({ERRORS: 1}))
    assert ledger.snapshot() == {ERRORS: 1}
    batch = changes({EXITS: 1})
    saved = ledger.values_to_store(batch)
    assert saved == {ERRORS: 1, EXITS: 1}
    ledger.apply_committed(batch, saved)
    assert ledger.values_to_store(MetricUpdate()) == {}


def test_what_moved_while_it_was_being_saved_is_saved_again() -> None:
    ledger = MetricState({})
    ledger.apply(changes({ERRORS: 1}))
    saved = ledger.values_to_store(MetricUpdate())
    ledger.apply(changes({ERRORS: 1}))
    ledger.apply_committed(MetricUpdate(), saved)
    assert ledger.values_to_store(MetricUpdate()) == {ERRORS: 2}


def test_a_series_that_a_newer_version_stored_is_left_out_not_shown() -> None:
    ledger = MetricState({EXITS: 1, ("container_of_the_future_total", ("x",)): 9})
    assert ledger.snapshot() == {EXITS: 1}


def test_a_series_of_nothing_exists_with_0() -> None:
    ledger = MetricState({})
    ledger.apply(changes({EXITS: 0}))
    assert ledger.snapshot() == {EXITS: 0}
    assert ledger.values_to_store(MetricUpdate()) == {EXITS: 0}


def test_one_value_is_told_and_0_where_there_is_none() -> None:
    ledger = MetricState({EXITS: 4})
    assert ledger.value(definitions.EXITS, EXITS[1]) == 4
    assert ledger.value(definitions.EXITS, ("node-2",)) == 0


def test_a_series_that_ends_is_gone_whatever_else_happens_to_it_and_can_begin_anew() -> None:
    ledger, made = MetricState({EXITS: 4, LAST: 7}), changes({EXITS: 2})
    made.remove([EXITS])
    assert ledger.values_to_store(made) == {EXITS: None}
    ledger.apply(made)
    assert (ledger.snapshot(), ledger.values_to_store(MetricUpdate())) == ({LAST: 7}, {EXITS: None})
    ledger.apply(changes({EXITS: 1}))
    assert (ledger.snapshot(), ledger.values_to_store(MetricUpdate())) == ({EXITS: 1, LAST: 7}, {EXITS: 1})


def test_a_snapshot_stays_as_it_is() -> None:
    ledger = MetricState({EXITS: 4})
    snapshot = ledger.snapshot()
    ledger.apply(changes({EXITS: 1}))
    assert snapshot == {EXITS: 4}
    snapshot.clear()
    assert ledger.snapshot() == {EXITS: 5}


def test_of_two_values_set_in_one_batch_the_later_stands() -> None:
    made = changes(set_to={UP: 1})
    made.set(definitions.ENGINE_UP, UP[1], 0)
    ledger = MetricState({})
    ledger.apply(changes(set_to={UP: 1}))
    ledger.apply(made)
    assert ledger.snapshot() == {UP: 0}


@pytest.mark.parametrize(
    ("value", "bucket"),
    [
        (0, "0"),
        (0.1, "0"),
        (0.100001, "1"),
        (1, "1"),
        (1.5, "2"),
        (604800, "13"),
        (604801, "14"),
        (1e12, "14"),
    ],
)
def test_an_observation_counts_in_the_first_bucket_that_holds_it_bound_included(
    value: float, bucket: str
) -> None:
    ledger, made, name = MetricState({}), MetricUpdate(), definitions.RUN_DURATION.name
    made.observe(definitions.RUN_DURATION, ("h", "w", "done"), value)
    ledger.apply(made)
    assert ledger.snapshot() == {
        (name, ("h", "w", "done", bucket)): 1,
        (name, ("h", "w", "done", "sum")): value,
    }


def test_every_counter_and_histogram_survives_a_restart_and_of_gauges_what_jobs_have_left() -> None:
    counting = {metric.name for metric in METRICS if metric.type is not MetricType.GAUGE}
    left = {definitions.LAST_EXIT.name, definitions.MEMORY_LIMIT.name, definitions.WORKLOAD_ORDER.name}
    assert {metric.name for metric in METRICS if metric.persistent} == counting | left


def test_threads_that_publish_at_once_lose_nothing() -> None:
    ledger, start = MetricState({}), threading.Barrier(8)

    def publish() -> None:
        start.wait()
        for _ in range(500):
            ledger.apply(changes({EXITS: 1, ERRORS: 2}))

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.snapshot() == {EXITS: 4000, ERRORS: 8000}


def keys_of(metrics: Iterable[Metric]) -> st.SearchStrategy[SeriesKey]:
    """Give two series of each of these metrics to choose from."""
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
def test_after_a_crash_at_any_moment_all_that_was_stored_and_nothing_else_is_known_again(
    steps: list[tuple[str, dict[SeriesKey, float], dict[SeriesKey, float], set[SeriesKey]]],
) -> None:
    ledger, stored, as_stored = MetricState({}), dict[SeriesKey, float](), dict[SeriesKey, float]()
    for how, added, set_to, gone in steps:
        made = changes(added, set_to)
        made.remove(gone)
        if how == "at once":
            ledger.apply(made)
            continue
        values = ledger.values_to_store(made)
        if how == "stored":
            stored = saved(stored, values)
            ledger.apply_committed(made, values)
            as_stored = kept(ledger.snapshot())
        assert stored == as_stored
    assert MetricState(stored).snapshot() == as_stored
    assert saved(stored, ledger.values_to_store(MetricUpdate())) == kept(ledger.snapshot())
