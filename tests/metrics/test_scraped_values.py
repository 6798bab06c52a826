"""What scrapes are shown: a series as 0 before it grows, and history at once."""

from collections.abc import Iterable

import pytest

from exporter.metrics import definitions, exporter_metrics
from exporter.metrics.collector import build_registry
from exporter.metrics.definitions import BY_NAME, METRICS, MetricType
from exporter.metrics.scrapers import HISTORY_SECONDS, Scrapers
from exporter.metrics.series_view import ScrapedView
from exporter.metrics.state import MetricState
from exporter.metrics.update import Exemplar, MetricUpdate
from exporter.model import SeriesKey, Trace
from tests.metrics.test_scrapers import Clock

Values = dict[SeriesKey, float]

ENGINE, OTHER_ENGINE, HOST = "unix:///engine.sock", "unix:///other.sock", "node-1"
ERROR: SeriesKey = (definitions.EXITS.name, (HOST, "w", "i", "failed", "1", "Error"))
DONE: SeriesKey = (definitions.EXITS.name, (HOST, "w", "i", "done", "0", "Completed"))
MARKS: Values = {
    (metric.name, (HOST,)): 0 for metric in (definitions.EXITS_UNOBSERVED, definitions.EXITS_RECOVERED)
}
OF_ITSELF: list[SeriesKey] = [
    (definitions.ENGINE_EVENTS.name, (ENGINE, "die")),
    (definitions.ENGINE_RECONNECTS.name, (ENGINE,)),
    (definitions.EVENT_GAPS.name, (ENGINE,)),
    (definitions.STREAM_DROPPED.name, ()),
    (definitions.LOG_LINES_DROPPED.name, ()),
]
RUN = (HOST, "w", "done")
TRACE = Exemplar(Trace("1" * 32, "2" * 16), 1, 0)


def run(part: str) -> SeriesKey:
    """Return a part of the histogram."""
    return (definitions.RUN_DURATION.name, (*RUN, part))


class Process:
    """Process of an exporter over a store, which a test scrapes; ``MARKS`` say that its engine was listed."""

    def __init__(self, stored: Values | None = None) -> None:
        self.clock = Clock()
        self.stored = {**MARKS, **(stored or {})}
        self.shown: Values = {}
        self.start()
        if stored is None:
            self.pass_start()

    def start(self) -> None:
        """Start with what is stored."""
        self.clock.now += 1000
        self.state = MetricState(self.stored, self.shown, Scrapers(clock=self.clock))

    def pass_start(self) -> None:
        """Let the totals of before be seen."""
        self.scrape()
        self.scrape()
        self.reveal()

    def scrape(self) -> Values:
        """Let a second pass, scrape, and let another one pass; return the series of jobs."""
        self.clock.now += 1
        begun, shown = self.state.scrapers.now(), self.state.shown_values()
        self.state.scrapers.on_scraped("prometheus", begun)
        self.clock.now += 1
        return {key: value for key, value in shown.items() if key[0].startswith("container_")}

    def commit(self, update: MetricUpdate | None = None, *, is_applied: bool = True) -> None:
        """Commit an update and what is due; without applying it, the process is killed right after."""
        update, due = update or MetricUpdate(), self.state.due()
        values = self.state.values_to_store(update, due)
        shown = self.state.shown_to_store(update, values, due)
        for key, value in values.items():
            self.stored.pop(key, None)
            self.shown.pop(key, None)
            if value is not None:
                self.stored[key] = value
        self.shown |= shown
        if is_applied:
            self.state.apply_committed(update, values, due)

    def reveal(self) -> None:
        """Commit what may be shown."""
        self.commit()

    def count(self, *keys: SeriesKey, history_of: str | None = None) -> None:
        """Count exits."""
        self.commit(update_of(keys, history_of))


def update_of(keys: Iterable[SeriesKey], history_of: str | None = None) -> MetricUpdate:
    """Return an update that adds one to each of these."""
    update = MetricUpdate()
    update.history_of = history_of
    for name, labels in keys:
        update.add(BY_NAME[name], labels)
    return update


def observed(seconds: float) -> MetricUpdate:
    """Return an update of the histogram."""
    update = MetricUpdate()
    update.observe(definitions.RUN_DURATION, RUN, seconds)
    return update


@pytest.fixture
def process() -> Process:
    """Return a process whose engine is watched, and which is scraped."""
    return Process()


def test_a_new_series_is_0_in_the_next_scrape_and_has_its_value_in_the_one_after(process: Process) -> None:
    process.count(ERROR)
    assert process.state.snapshot()[ERROR] == 1
    process.reveal()
    assert process.scrape() == {ERROR: 0}
    process.reveal()
    assert process.scrape() == {ERROR: 1}
    process.count(ERROR)
    assert process.scrape() == {ERROR: 2}


def test_what_is_counted_while_a_series_is_held_is_shown_with_the_rest(process: Process) -> None:
    process.count(ERROR)
    process.scrape()
    process.count(DONE)
    process.count(DONE, DONE)
    assert process.scrape() == {ERROR: 1, DONE: 0}
    process.reveal()
    assert process.scrape() == {ERROR: 1, DONE: 3}


def test_a_series_that_was_created_at_0_is_held_until_that_is_seen(process: Process) -> None:
    update = MetricUpdate()
    update.add(definitions.OOM_KILLS, (HOST, "w", "i"), 0)
    process.commit(update)
    kills = (definitions.OOM_KILLS.name, (HOST, "w", "i"))
    process.count(kills)
    assert process.scrape() == {kills: 0}
    process.reveal()
    assert process.scrape() == {kills: 1}


def test_a_value_is_shown_only_after_it_is_on_record_as_shown(process: Process) -> None:
    process.count(ERROR)
    process.scrape()
    assert (process.scrape(), process.shown) == ({ERROR: 0}, {ERROR: 0})
    process.commit(is_applied=False)
    assert (process.scrape(), process.shown) == ({ERROR: 0}, {})
    process.start()
    assert process.scrape() == {ERROR: 1}


def test_a_killed_process_continues_with_what_it_showed(process: Process) -> None:
    process.count(ERROR)
    process.scrape()
    process.start()
    assert [process.scrape(), process.scrape()] == [{ERROR: 0}] * 2
    process.reveal()
    assert process.scrape() == {ERROR: 1}


def test_after_a_start_the_totals_of_before_are_shown_first() -> None:
    process = Process({ERROR: 5, DONE: 7})
    process.count(ERROR)
    process.count(ERROR)
    assert [process.scrape(), process.scrape()] == [{ERROR: 5, DONE: 7}] * 2
    process.reveal()
    assert process.scrape() == {ERROR: 7, DONE: 7}
    process.count(DONE)
    assert process.scrape() == {ERROR: 7, DONE: 8}


def test_the_parts_of_a_new_histogram_are_shown_together(process: Process) -> None:
    process.commit(observed(30))
    process.commit(observed(90_000))
    assert process.scrape() == {run("2"): 0, run("7"): 0, run("sum"): 0}
    process.reveal()
    assert process.scrape() == {run("2"): 1, run("7"): 1, run("sum"): 90_030}


def test_a_new_bucket_of_a_histogram_that_is_shown_is_no_new_series(process: Process) -> None:
    process.commit(observed(30))
    process.scrape()
    process.reveal()
    process.commit(observed(1))
    assert process.scrape() == {run("0"): 1, run("2"): 1, run("sum"): 31}


def test_a_bucket_that_is_new_when_its_histogram_is_released_is_not_set_back_by_a_restart(
    process: Process,
) -> None:
    process.commit(observed(30))
    process.scrape()
    process.commit(observed(1))
    shown = {run("0"): 1, run("2"): 1, run("sum"): 31}
    assert (process.scrape(), process.shown) == (shown, {})
    process.start()
    assert process.scrape() == shown


def test_after_a_start_a_histogram_is_shown_as_before_with_all_its_parts() -> None:
    process = Process({run("2"): 1, run("sum"): 30})
    process.commit(observed(1))
    assert process.scrape() == {run("0"): 0, run("2"): 1, run("sum"): 30}


def test_gauges_and_the_errors_of_the_store_are_shown_at_once(process: Process) -> None:
    update = MetricUpdate()
    update.set(definitions.JOBS_RUNNING, (HOST, "w"), 3)
    exporter_metrics.count_store_error(update)
    process.state.apply(update)
    shown = process.state.shown_values()
    assert shown[definitions.JOBS_RUNNING.name, (HOST, "w")] == 3
    assert shown[definitions.STORE_ERRORS.name, ()] == 1


@pytest.mark.parametrize("key", OF_ITSELF, ids=lambda key: key[0])
def test_a_kill_sets_back_nothing_that_a_scrape_was_shown(process: Process, key: SeriesKey) -> None:
    process.count(key)
    process.scrape()
    process.reveal()
    process.state.apply(update_of([key]))
    assert (process.state.snapshot()[key], process.state.shown_values()[key]) == (2, 1)
    process.start()
    assert process.state.shown_values()[key] == 1
    process.state.apply(update_of([key]))
    assert process.state.shown_values()[key] == 1
    process.commit()
    process.pass_start()
    assert process.state.shown_values()[key] == 2


def test_what_changes_during_a_commit_is_shown_with_the_next_one(process: Process) -> None:
    key = OF_ITSELF[0]
    process.state.apply(update_of([key]))
    values = process.state.values_to_store(MetricUpdate())
    process.state.apply(update_of([key]))
    process.state.apply_committed(MetricUpdate(), values)
    assert process.state.shown_values()[key] == 1
    process.commit()
    assert process.state.shown_values()[key] == 2


def test_every_counter_of_jobs_begins_at_0() -> None:
    about_jobs = {
        metric.name
        for metric in METRICS
        if metric.name.startswith("container_") and metric.type is not MetricType.GAUGE
    }
    found = {definitions.EVENT_GAPS.name, definitions.EXITS_RECOVERED.name, definitions.EXITS_UNOBSERVED.name}
    assert {metric.name for metric in METRICS if metric.zero_first} == about_jobs | found


def test_a_held_series_has_no_exemplar(process: Process) -> None:
    update = update_of([ERROR])
    update.set_exemplar(definitions.EXITS, ERROR[1], TRACE)
    process.commit(update)
    process.scrape()
    assert (process.state.exemplars(), ScrapedView(process.state).exemplars()) == ({ERROR: TRACE}, {})
    process.reveal()
    assert ScrapedView(process.state).exemplars() == {ERROR: TRACE}


def test_a_held_histogram_has_no_exemplars(process: Process) -> None:
    update = MetricUpdate()
    for seconds in (1, 90_000):
        update.observe(definitions.RUN_DURATION, RUN, seconds, TRACE)
    process.commit(update)
    assert (len(process.state.exemplars()), ScrapedView(process.state).exemplars()) == (2, {})


def test_a_removed_series_is_held_no_longer_and_begins_at_0_again(process: Process) -> None:
    process.count(ERROR)
    removal = update_of([DONE])
    removal.remove([ERROR, DONE])
    process.commit(removal)
    assert (process.scrape(), process.shown) == ({}, {})
    process.count(ERROR)
    assert process.scrape() == {ERROR: 0}
    process.reveal()
    assert process.scrape() == {ERROR: 1}


def test_what_nobody_scrapes_becomes_history() -> None:
    process = Process()
    process.count(ERROR)
    process.clock.now += HISTORY_SECONDS + 1
    process.reveal()
    assert process.scrape() == {ERROR: 1}


def test_the_text_of_a_scrape_has_a_held_histogram_with_all_its_buckets(process: Process) -> None:
    process.commit(observed(30))
    families = build_registry(ScrapedView(process.state)).collect()
    samples = [sample.value for family in families if family.name == run("")[0] for sample in family.samples]
    assert samples == [0] * (len(definitions.RUN_DURATION.buckets) + 3)


# --- the first listing of an engine


def unlisted() -> Process:
    """Return a process that has begun to list an engine."""
    process = Process()
    for key in MARKS:
        process.stored.pop(key)
    process.start()
    process.state.begin_history(ENGINE)
    process.pass_start()
    return process


def end_listing(process: Process, engine: str = ENGINE) -> None:
    """Mark the listing as recorded."""
    update = MetricUpdate()
    exporter_metrics.create_backfill_series(update, HOST)
    process.state.apply(update)
    process.state.end_history(engine, HOST)


def test_a_first_listing_is_shown_whole_and_at_once() -> None:
    process = unlisted()
    process.count(ERROR, ERROR, history_of=ENGINE)
    assert process.scrape() == {}
    process.count(ERROR, history_of=ENGINE)
    end_listing(process)
    assert process.scrape() == {ERROR: 3}


def test_what_is_new_right_after_a_first_listing_is_shown_after_the_history() -> None:
    process = unlisted()
    process.count(ERROR, history_of=ENGINE)
    end_listing(process)
    process.count(ERROR)
    process.reveal()
    assert process.scrape() == {ERROR: 1}
    process.reveal()
    assert process.scrape() == {ERROR: 2}


def test_a_listing_that_was_interrupted_by_a_kill_stays_hidden() -> None:
    process = unlisted()
    process.count(ERROR, history_of=ENGINE)
    process.start()
    process.pass_start()
    assert process.scrape() == {}
    process.state.begin_history(ENGINE)
    process.count(ERROR, DONE, history_of=ENGINE)
    end_listing(process)
    assert process.scrape() == {ERROR: 2, DONE: 1}


def test_a_host_that_is_watched_no_longer_is_shown() -> None:
    process = unlisted()
    process.count(ERROR, history_of=ENGINE)
    process.start()
    assert process.state.unlisted_hosts == {HOST}
    process.state.show_unlisted(HOST)
    assert process.scrape() == {ERROR: 1}
    assert process.state.unlisted_hosts == frozenset()


def test_the_history_of_a_second_engine_on_a_host_is_hidden_beside_its_news(
    process: Process,
) -> None:
    process.state.begin_history(OTHER_ENGINE)
    process.count(ERROR, ERROR, history_of=OTHER_ENGINE)
    process.count(ERROR)
    assert process.scrape() == {}
    end_listing(process, OTHER_ENGINE)
    assert process.scrape() == {ERROR: 2}
    process.reveal()
    assert process.scrape() == {ERROR: 3}


def test_history_of_a_series_that_is_held_is_added_to_what_is_shown(process: Process) -> None:
    process.count(ERROR)
    process.count(ERROR, ERROR, history_of=OTHER_ENGINE)
    assert process.scrape() == {ERROR: 2}
    process.reveal()
    assert process.scrape() == {ERROR: 3}
