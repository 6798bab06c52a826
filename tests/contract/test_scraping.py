"""What a Prometheus adds up from what it is shown: every exit once, and nothing that was before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.scrape_model import KINDS, KilledError, Prometheus, World, counted

SETTLED_SECONDS = 400.0
MISSED = 2
INTERVALS = st.sampled_from([1.0, 3.0, 7.5, 15.0, 60.0])


@dataclass(frozen=True)
class Event:
    """What happens after some seconds: to the exporter, to a scraper, or a run that ends."""

    what: Literal[
        "exit",
        "exit after scrape",
        "kill",
        "kill before commit",
        "kill after commit",
        "restart scraper",
        "join",
    ]
    after: float
    number: int
    interval: float


EVENTS = st.builds(
    Event,
    what=st.sampled_from(
        [
            *["exit", "exit after scrape"] * 3,
            *["kill", "kill before commit", "kill after commit", "restart scraper", "join"],
        ]
    ),
    after=st.floats(0, 40).map(lambda seconds: round(seconds, 1)),
    number=st.integers(0, len(KINDS) - 1),
    interval=INTERVALS,
)


@contextmanager
def watched(intervals: list[float], history: int) -> Iterator[World]:
    """Give a world whose exporter has listed its engine, and knows who scrapes."""
    world = World(intervals, history)
    try:
        world.start()
        world.list()
        world.advance(SETTLED_SECONDS)
        yield world
    finally:
        world.close()


def happen(world: World, event: Event) -> None:
    """Let an event happen; an exporter that is killed is started again after a while."""
    world.advance(event.after)
    match event.what:
        case "exit":
            world.observe(event.number)
        case "exit after scrape":
            world.advance_to_scrape(world.scrapers[event.number % len(world.scrapers)])
            world.observe(event.number)
        case "restart scraper":
            scraper = world.scrapers[event.number % len(world.scrapers)]
            if scraper.has_scraped:
                scraper.restart(next(world.connections))
        case "join":
            world.scrapers.append(Prometheus(event.interval, world.now, next(world.connections)))
        case _ if world.knows_scrapers:
            kill(world, event)


def kill(world: World, event: Event) -> None:
    """Kill the exporter, maybe in the middle of a commit, and start it again; runs end meanwhile."""
    world.store.kill_before_commit = event.what == "kill before commit"
    world.store.kill_after_commit = event.what == "kill after commit"
    try:
        if event.what != "kill":
            world.observe(event.number)
            pytest.fail("the exporter was not killed")
    except KilledError:
        pass
    world.kill()
    for more in range(MISSED):
        world.observe(event.number + more)
    world.advance(event.interval)
    world.start()
    world.list()


@settings(deadline=None, max_examples=30)
@given(
    intervals=st.lists(INTERVALS, min_size=1, max_size=3),
    history=st.integers(0, 5),
    events=st.lists(EVENTS, max_size=15),
)
def test_every_scraper_counts_each_exit_once_and_no_history(
    intervals: list[float], history: int, events: list[Event]
) -> None:
    with watched(intervals, history) as world:
        for event in events:
            happen(world, event)
        world.advance(SETTLED_SECONDS)
        assert world.total() == counted(world.ended)
        for scraper in world.scrapers[: len(intervals)]:
            assert scraper.increases == counted(world.ended[history:])
        for late in world.scrapers[len(intervals) :]:
            # A series that it did not see at first it has seen as 0; those of the history it saw at first.
            assert late.first is not None
            assert late.first + late.increases == counted(world.ended)
            assert late.first >= counted(world.ended[:history])
