"""Who scrapes, and what all of them have seen."""

from dataclasses import dataclass, field

import pytest

from exporter.metrics.scrapers import HISTORY_SECONDS, LATE_SECONDS, MAX_SCRAPERS, Scrapers

MAX = 120.0
WAIT = MAX + LATE_SECONDS


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@dataclass
class Driver:
    """Scrapers that scrape at times that a test chooses."""

    learned: float | None = None
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Start."""
        self.scrapers = Scrapers(MAX, self.learned, self.clock)

    def scrape(self, at: float, *names: str) -> None:
        """Let these scrapers scrape at a time."""
        self.clock.now = at
        for name in names:
            self.scrapers.on_scraped(name, self.scrapers.now())

    def seen_until(self, at: float) -> float:
        """Return until when everything is seen, at a time."""
        self.clock.now = at
        return self.scrapers.seen_until()

    def to_store(self, at: float) -> float | None:
        """Return the interval that is to be stored at a time."""
        self.clock.now = at
        return self.scrapers.interval_to_store()


def nothing_seen(at: float) -> float:
    """Return until when everything is seen if nobody has scraped: what is older is history."""
    return at - HISTORY_SECONDS


def test_without_a_scrape_nothing_is_seen_until_it_is_history() -> None:
    assert Driver().seen_until(50) == nothing_seen(50)


def test_all_that_scrape_must_have_seen_it() -> None:
    driver = Driver()
    for at in range(0, 61, 10):
        driver.scrape(at, "fast", *(["slow"] if at % 30 == 0 else []))
    assert driver.seen_until(60) == 60
    driver.scrape(70, "fast")
    assert driver.seen_until(71) == 60
    driver.scrape(90, "fast", "slow")
    assert driver.seen_until(91) == 90


@pytest.mark.parametrize(
    ("interval", "seconds_away", "is_awaited"),
    [
        pytest.param(60, WAIT, True, id="for the longest interval, and one that comes late"),
        pytest.param(60, WAIT + 1, False, id="not for more, whatever its own is"),
        pytest.param(5, WAIT, True, id="long enough to be restarted"),
        pytest.param(5, WAIT + 1, False, id="not for longer"),
    ],
)
def test_a_scraper_that_is_away_is_awaited(*, interval: float, seconds_away: float, is_awaited: bool) -> None:
    driver = Driver()
    driver.scrape(0, "gone", "stays")
    driver.scrape(interval, "gone", "stays")
    now = interval + seconds_away
    driver.scrape(now, "stays")
    assert driver.seen_until(now) == (interval if is_awaited else now)


@pytest.mark.parametrize("interval", [60, MAX, 300])
def test_a_slow_scraper_that_comes_and_goes_delays_nothing_by_more_than_the_longest_interval(
    interval: float,
) -> None:
    driver = Driver()
    driver.scrape(0, "fast", "slow")
    for at in range(15, 3000, 15):
        is_slow_there = at % interval == 0 and at < 1500
        driver.scrape(at, "fast", *(["slow"] if is_slow_there else []))
        assert driver.seen_until(at + 1) >= at - WAIT


@pytest.mark.parametrize(("at", "seen"), [(15 + WAIT, 15), (16 + WAIT, 130)])
def test_one_of_which_no_interval_is_known_is_awaited_for_the_longest_one(at: float, seen: float) -> None:
    driver = Driver()
    driver.scrape(0, "stays")
    driver.scrape(15, "stays", "once")
    for later in range(30, 131, 10):
        driver.scrape(later, "stays")
    assert driver.seen_until(at) == seen


def test_the_longest_interval_is_the_most_that_is_waited_after_a_restart() -> None:
    driver = Driver(learned=10 * MAX)
    driver.scrape(10, "fast")
    assert driver.seen_until(9 + WAIT) == nothing_seen(9 + WAIT)
    assert driver.seen_until(10 + WAIT) == 10


def test_an_answer_whose_connection_is_lost_with_it_is_not_seen() -> None:
    driver = Driver()
    for at in (0, 60, MAX):
        driver.scrape(at, "cut", "stays")
    driver.scrapers.on_lost("cut")
    assert driver.seen_until(MAX + WAIT) == 60
    driver.scrape(MAX + WAIT, "once", "stays")
    driver.scrapers.on_lost("once")
    driver.scrapers.on_lost("nobody")
    assert driver.seen_until(MAX + WAIT + 1) == MAX + WAIT


def test_what_the_last_scraper_saw_is_seen_when_it_is_gone() -> None:
    driver = Driver()
    driver.scrape(0, "gone")
    driver.scrape(15, "gone")
    assert driver.seen_until(3000) == 15


# --- after a start


def test_the_second_scrape_shows_that_everybody_has_scraped_if_no_interval_is_known() -> None:
    driver = Driver()
    driver.scrape(10, "first")
    assert driver.seen_until(11) == nothing_seen(11)
    driver.scrape(25, "first")
    assert driver.seen_until(26) == 25


def test_scrapes_of_new_connections_each_suffice_after_the_longest_interval() -> None:
    driver = Driver()
    for at in range(0, 120, 15):
        driver.scrape(at, f"connection {at}")
    assert driver.seen_until(WAIT - 1) == nothing_seen(WAIT - 1)
    assert driver.seen_until(WAIT) == 0
    assert driver.seen_until(WAIT + 1) == 15


def test_after_a_restart_the_longest_interval_of_before_is_waited_for() -> None:
    driver = Driver(learned=60)
    for at in range(0, 75, 5):
        driver.scrape(at, "fast")
        assert driver.seen_until(at + 1) == nothing_seen(at + 1)
    driver.scrape(74, "slow")
    assert driver.seen_until(75) == 70


def test_the_longest_interval_is_stored_once_all_are_known_and_again_if_it_differs() -> None:
    driver = Driver()
    driver.scrape(0, "fast", "slow")
    driver.scrape(10, "fast")
    assert driver.to_store(11) is None
    driver.scrape(30, "fast", "slow")
    assert driver.to_store(31) == 30
    driver.scrapers.on_interval_stored(30)
    driver.scrape(65, "fast", "slow")
    assert driver.to_store(66) is None
    driver.scrape(165, "fast", "slow")
    assert driver.to_store(166) == 100


def test_a_restarted_process_does_not_forget_the_slow_before_it_has_come() -> None:
    driver = Driver(learned=60)
    for at in range(0, int(WAIT), 5):
        driver.scrape(at, "fast")
        assert driver.to_store(at) is None
    driver.scrape(WAIT, "fast")
    assert driver.to_store(WAIT) == 5


def test_scrapers_without_number_do_not_fill_the_memory() -> None:
    driver = Driver()
    driver.scrape(0, *(f"connection {number}" for number in range(MAX_SCRAPERS)))
    driver.scrape(1, "one", "more")
    assert len(driver.scrapers._scrapers) == MAX_SCRAPERS
    assert "more" in driver.scrapers._scrapers
