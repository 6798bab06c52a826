"""Who scrapes, how often, and up to when all of them have seen what scrapes show."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

# Intervals that are remembered of each scraper; the longest counts.
INTERVALS = 3
# Nobody scrapes more often: two requests at once are no interval of 0.
MIN_INTERVAL = 1.0
# What nobody has scraped for so long is history, and not shown as news to whoever comes then.
HISTORY_SECONDS = 3600.0
# Unless another one is set. Nobody is waited for longer: a slow scraper would delay what others see.
MAX_INTERVAL = 120.0
# How much later than that a scrape may come: one that begins on time is answered late on a busy machine.
LATE_SECONDS = 5.0
# Beyond, the scraper that has been away for the longest time is forgotten.
MAX_SCRAPERS = 1000
# By which factor an interval may differ from the stored one, so that not every scrape is a write.
TOLERANCE = 1.25

Clock = Callable[[], float]


@dataclass(slots=True)
class _Scraper:
    """When a scraper's last scrape began, and the seconds between its latest scrapes, if there were two.

    It was given what scrapes showed until ``seen``, and before the last one until ``seen_before``.
    """

    last: float
    seen: float
    seen_before: float
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=INTERVALS))


class Scrapers:
    """Scrapers of this process. Every method may be called from any thread.

    ``max_interval`` is the longest interval that is waited for, and the time in which a scraper may be
    restarted. ``learned`` is the longest interval that was learned before this process, None if none was.
    Both are in seconds, as are the times of ``clock``.
    """

    def __init__(
        self, max_interval: float = MAX_INTERVAL, learned: float | None = None, clock: Clock = time.monotonic
    ) -> None:
        self._max_interval = max(max_interval, MIN_INTERVAL)
        self._longest_wait = self._max_interval + LATE_SECONDS
        self._learned = learned
        self._clock = clock
        self._lock = threading.Lock()
        # In the order of their last scrapes.
        self._scrapers: dict[Hashable, _Scraper] = {}
        self._first_scrape = math.inf
        self._last_scrape = -math.inf
        self._all_known = False

    def now(self) -> float:
        """Return the time at which a scrape begins, for ``on_scraped``."""
        return self._clock()

    def on_scraped(self, scraper: Hashable, begun: float) -> None:
        """Record that a scraper was given what scrapes show, all of which was read after ``begun``."""
        with self._lock:
            known = self._scrapers.pop(scraper, None) or _Scraper(begun, begun, begun)
            if begun > known.last:
                known.intervals.append(begun - known.last)
            known.last, known.seen, known.seen_before = begun, begun, known.seen
            self._scrapers[scraper] = known
            self._first_scrape = min(begun, self._first_scrape)
            self._last_scrape = max(begun, self._last_scrape)
            self._forget_inactive(begun)

    def on_lost(self, scraper: Hashable) -> None:
        """Record that a scraper may not have received its last answer, unless that was its only one."""
        with self._lock:
            known = self._scrapers.get(scraper)
            if known is not None:
                known.seen = known.seen_before

    def seen_until(self) -> float:
        """Return a time such that all scrapers have seen what scrapes showed before it."""
        with self._lock:
            now = self._clock()
            history = now - HISTORY_SECONDS
            if not self._knows_all(now):
                return history
            seen = min((each.seen for each in self._active(now)), default=self._last_scrape)
            return max(history, seen)

    def interval_to_store(self) -> float | None:
        """Return the longest interval of all scrapers; None if it is not known, or is stored already."""
        with self._lock:
            now = self._clock()
            active = self._active(now)
            if not (active and self._knows_all(now) and all(each.intervals for each in active)):
                return None
            longest = max(self._interval(each) for each in active)
            if self._learned and longest < self._learned and now - self._first_scrape < self._longest_wait:
                # The slowest of those before this process may not have come back yet.
                return None
            is_stored = self._learned and 1 / TOLERANCE < longest / self._learned < TOLERANCE
            return None if is_stored else longest

    def on_interval_stored(self, seconds: float) -> None:
        """Record that this interval is stored."""
        with self._lock:
            self._learned = seconds

    def _knows_all(self, now: float) -> bool:
        """Return whether everybody who scraped the process before this one has had time to come back."""
        self._all_known = self._all_known or self._has_waited(now)
        return self._all_known

    def _has_waited(self, now: float) -> bool:
        waited = now - self._first_scrape
        if self._learned is not None:
            return waited >= min(TOLERANCE * self._learned, self._longest_wait)
        return waited >= self._longest_wait or any(each.intervals for each in self._scrapers.values())

    def _active(self, now: float) -> list[_Scraper]:
        return [each for each in self._scrapers.values() if self._is_active(each, now)]

    def _is_active(self, scraper: _Scraper, now: float) -> bool:
        return now - scraper.last <= self._longest_wait

    def _interval(self, scraper: _Scraper) -> float:
        return min(max(MIN_INTERVAL, *scraper.intervals), self._max_interval)

    def _forget_inactive(self, now: float) -> None:
        self._scrapers = {key: each for key, each in self._scrapers.items() if self._is_active(each, now)}
        while len(self._scrapers) > MAX_SCRAPERS:
            del self._scrapers[next(iter(self._scrapers))]
