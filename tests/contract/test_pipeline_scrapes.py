"""How the pipeline lets scrapes see a new series: as 0, and with its value once that is on record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exporter.metrics import definitions as metrics
from exporter.metrics.definitions import MetricType
from exporter.metrics.state import MetricState
from exporter.pipeline import recorder
from exporter.sources.docker.engine import ContainerList
from exporter.sources.source import Disconnected
from tests.contract.pipeline_driver import (
    ADDRESS,
    CONNECTED,
    ERROR,
    OTHER_ADDRESS,
    PipelineDriver,
    Series,
    series_of,
)
from tests.contract.tracker_driver import A, B, at, die, exited, start

pytestmark = pytest.mark.usefixtures("fast_retries")


def scrape(pipeline: PipelineDriver) -> Series:
    """Scrape, and return the exits that are shown."""
    scrapers, shown = pipeline.metric_state.scrapers, pipeline.metric_state.shown_values()
    scrapers.on_scraped("prometheus", scrapers.now())
    return series_of(metrics.EXITS, shown)


def shows(pipeline: PipelineDriver, series: Series) -> bool:
    """Return whether these become the exits that scrapes are shown."""
    return pipeline.reaches(lambda: series_of(metrics.EXITS, pipeline.metric_state.shown_values()) == series)


def test_a_new_series_is_shown_when_it_was_seen_as_0_without_another_exit(pipeline: PipelineDriver) -> None:
    scrape(pipeline)
    pipeline.events(start(0), die(1, 1))
    assert pipeline.shows(metrics.EXITS, {ERROR: 1})
    assert scrape(pipeline) == {ERROR: 0}
    assert shows(pipeline, {ERROR: 1})
    assert pipeline.store.shown_series() == {}


def test_nothing_is_shown_that_the_store_does_not_take(pipeline: PipelineDriver) -> None:
    scrape(pipeline)
    pipeline.events(start(0), die(1, 1))
    assert pipeline.shows(metrics.EXITS, {ERROR: 1})
    pipeline.store.refuses_commits = True
    scrape(pipeline)
    assert pipeline.is_refused(3)
    assert scrape(pipeline) == {ERROR: 0}
    assert pipeline.store.shown_series()[metrics.EXITS.name, ERROR] == 0
    pipeline.store.refuses_commits = False
    assert shows(pipeline, {ERROR: 1})


def test_a_restart_continues_with_what_was_shown_and_knows_the_interval(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path) as before:
        before.connect()
        assert before.becomes_ready()
        scrape(before)
        before.events(start(0), die(1, 1))
        assert before.shows(metrics.EXITS, {ERROR: 1})
        scrape(before)
        assert before.reaches(lambda: before.store.scrape_interval() == 1)
        before.store.refuses_commits = True
    with PipelineDriver(tmp_path) as after:
        after.connect().events(start(2), die(3, 1))
        assert after.shows(metrics.EXITS, {ERROR: 2})
        shown = series_of(metrics.EXITS, after.metric_state.shown_values())
        assert shown in ({ERROR: 0}, {ERROR: 1})


def test_a_kill_sets_back_no_counter_of_the_exporter_itself(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path) as killed:
        killed.connect()
        assert killed.becomes_ready()
        killed.store.refuses_commits = True
        killed.events(start(0))
        assert killed.shows(metrics.ENGINE_EVENTS, {(ADDRESS, "start"): 1})
        before = killed.metric_state.shown_values()
        after = MetricState(killed.store.series(), killed.store.shown_series()).shown_values()
    set_back = {
        (name, labels): value
        for (name, labels), value in before.items()
        if metrics.BY_NAME[name].type is MetricType.COUNTER and value > after.get((name, labels), 0)
    }
    # While the store refuses, only what it says of itself can be shown.
    assert set_back.keys() == {(metrics.STORE_ERRORS.name, ())}


def test_what_the_exporter_counts_of_itself_is_recorded_without_an_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "CURSOR_SECONDS", 0.01)
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.connect()
        assert pipeline.becomes_ready()
        pipeline.send(Disconnected("the event stream ended"), CONNECTED)
        assert pipeline.reaches(
            lambda: pipeline.stored_series(metrics.ENGINE_RECONNECTS).get((ADDRESS,)) == 1
        )


def test_nothing_is_recorded_while_nothing_happens(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0), die(1, 1))
    assert pipeline.shows(metrics.EXITS, {ERROR: 1})
    pipeline.stop()
    recorded = len(pipeline.store.batches)
    pipeline.recorder.commit(pipeline.sources.cursors())
    assert len(pipeline.store.batches) == recorded


def test_what_a_first_listing_finds_is_shown_at_once(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.send(CONNECTED, ContainerList((exited(0, 1, 1),), at(10)))
        assert pipeline.becomes_ready()
        assert scrape(pipeline) == {ERROR: 1}
        pipeline.events(start(11, B), die(12, 1, B))
        assert pipeline.shows(metrics.EXITS, {ERROR: 2})
        assert scrape(pipeline) == {ERROR: 1}


def test_a_listing_is_hidden_until_it_is_on_record(tmp_path: Path) -> None:
    seen: list[Series] = []
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.store.before_commit = lambda: seen.append(scrape(pipeline))
        pipeline.send(CONNECTED).events(start(0), die(1, 1))
        assert pipeline.shows(metrics.EXITS, {ERROR: 1})
        assert scrape(pipeline) == {}
        pipeline.send(ContainerList((exited(0, 1, 1),), at(10)))
        assert shows(pipeline, {ERROR: 1})
    assert seen[0] == {}


GONE = "unix:///gone.sock"
ON_GONE = ("gone", *ERROR[1:])
IS_GONE = replace(CONNECTED, info=replace(CONNECTED.info, host="gone"))


@pytest.mark.parametrize(
    ("addresses", "is_shown"),
    [
        pytest.param([ADDRESS], True, id="is no longer watched, and the others were watched before"),
        pytest.param([ADDRESS, GONE], False, id="is still watched"),
        pytest.param([ADDRESS, OTHER_ADDRESS], False, id="may have a new address"),
    ],
)
def test_a_host_whose_first_listing_was_cut_off_is_shown_if_it_is_watched_no_longer(
    tmp_path: Path, addresses: list[str], *, is_shown: bool
) -> None:
    with PipelineDriver(tmp_path, addresses=[ADDRESS, GONE]) as before:
        before.connect()
        assert before.becomes_ready()
        before.send(IS_GONE, address=GONE).events(start(0), die(1, 1), address=GONE)
        assert before.shows(metrics.EXITS, {ON_GONE: 1})
        assert scrape(before) == {}
    with PipelineDriver(tmp_path, addresses=addresses) as after:
        # No engine answers.
        after.send(Disconnected("not there"))
        assert after.reaches(lambda: "not there" in after.readiness.problems().get(ADDRESS, ""))
        assert after.stop()
        assert scrape(after) == ({ON_GONE: 1} if is_shown else {})


def test_a_host_that_may_have_a_new_address_is_shown_when_all_others_have_answered(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path, addresses=[GONE]) as before:
        before.send(IS_GONE, address=GONE).events(start(0), die(1, 1), address=GONE)
        assert before.shows(metrics.EXITS, {ON_GONE: 1})
    with PipelineDriver(tmp_path, addresses=[ADDRESS]) as after:
        assert scrape(after) == {}
        after.send(CONNECTED)
        assert shows(after, {ON_GONE: 1})


def test_a_second_engine_on_one_host_has_a_history_of_its_own(pipeline: PipelineDriver) -> None:
    pipeline.send(CONNECTED, address=OTHER_ADDRESS)
    pipeline.events(start(0, B), die(1, 1, B), address=OTHER_ADDRESS)
    assert pipeline.shows(metrics.EXITS, {ERROR: 1})
    pipeline.events(start(0, A), die(1, 1, A), address=ADDRESS)
    assert pipeline.shows(metrics.EXITS, {ERROR: 2})
    assert scrape(pipeline) == {}
    pipeline.send(ContainerList((), at(10)), address=OTHER_ADDRESS)
    assert shows(pipeline, {ERROR: 1})
