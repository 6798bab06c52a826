"""Current value of every series, to all of which an update is applied at once.

Updates of jobs become visible only when they are committed to the store: ``values_to_store`` returns what to
commit, ``apply_committed`` makes it visible. Updates of the exporter itself are visible at once and are
committed with the next batch.

Scrapes are shown an earlier value of some of them: see ``held_series``. No counter is shown to scrapes with a
value that is not committed: a crash could set it back, and it would be counted twice. The errors of the store
are: while it fails, that must show.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from exporter.metrics import definitions
from exporter.metrics.definitions import BY_NAME, Metric, MetricType
from exporter.metrics.held_series import Change, HeldSeries, whole
from exporter.metrics.labels import HostLabels
from exporter.metrics.scrapers import Scrapers
from exporter.metrics.update import Exemplar, MetricUpdate
from exporter.model import SeriesKey

NONE: frozenset[SeriesKey] = frozenset()
# Observed after each commit, so if it were recorded for its own sake, commits would never end.
_NOT_WORTH_A_COMMIT = {definitions.STORE_COMMIT_DURATION.name}


class MetricState:
    """All series of this process. Every method may be called from any thread.

    ``shown`` are the values that the previous process last showed to scrapes, where they are not the
    ``stored`` ones.
    """

    def __init__(
        self,
        stored: Mapping[SeriesKey, float],
        shown: Mapping[SeriesKey, float] | None = None,
        scrapers: Scrapers | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self.scrapers = scrapers or Scrapers()
        # Another version may have stored metrics or labels that this one does not know.
        self._values = {key: value for key, value in stored.items() if _is_known(key)}
        # With what the store has, None if it has none.
        self._uncommitted: dict[SeriesKey, float | None] = {}
        self._exemplars: dict[SeriesKey, Exemplar] = {}
        known = {key: value for key, value in (shown or {}).items() if key in self._values}
        self._held = HeldSeries(self.scrapers.now(), known)
        self._histories: set[str] = set()
        self._unlisted_hosts = self._hide_unlisted()

    def snapshot(self) -> dict[SeriesKey, float]:
        """Return the values of all series at one moment."""
        with self._lock:
            return dict(self._values)

    def exemplars(self) -> dict[SeriesKey, Exemplar]:
        """Return the latest exemplars; they do not survive a restart."""
        with self._lock:
            return dict(self._exemplars)

    def value(self, metric: Metric, labels: tuple[str, ...] = ()) -> float:
        """Return the value of a series, 0 if it does not exist."""
        with self._lock:
            return self._values.get((metric.name, labels), 0)

    # --- changes

    def apply(self, update: MetricUpdate) -> None:
        """Make an update visible at once; it is committed with the next batch."""
        with self._lock:
            self._apply(update)

    def apply_committed(
        self,
        update: MetricUpdate,
        committed: Mapping[SeriesKey, float | None],
        released: Collection[SeriesKey] = NONE,
    ) -> None:
        """Make an update visible whose ``committed`` values are in the store, and release held series."""
        with self._lock:
            self._apply(update)
            self._held.release(released)
            for key, value in committed.items():
                if self._values.get(key) == value:
                    self._uncommitted.pop(key, None)
                elif key in self._uncommitted:
                    # It changed during the commit, and has to be committed again.
                    self._uncommitted[key] = value

    def values_to_store(
        self, update: MetricUpdate, released: Collection[SeriesKey] = NONE
    ) -> dict[SeriesKey, float | None]:
        """Return what to commit for this update, for series to be released, and all that is not committed.

        None: removed.
        """
        with self._lock:
            values = {key: self._values.get(key) for key in (*self._uncommitted, *self._held.parts(released))}
            values |= update.apply_to(self._values)
        return {key: value for key, value in values.items() if BY_NAME[key[0]].persistent}

    def shown_to_store(
        self,
        update: MetricUpdate,
        values: Mapping[SeriesKey, float | None],
        released: Collection[SeriesKey] = NONE,
    ) -> dict[SeriesKey, float]:
        """Return what to commit as shown to scrapes, where it is not the one of these ``values``."""
        with self._lock:
            changes = update.changes(self._values)
            shown = {
                key: self._held.shown_after(
                    key, changes.get(key, Change(self._values.get(key))), self._values
                )
                for key, value in values.items()
                if value is not None and whole(key) not in released
            }
        return {key: value for key, value in shown.items() if value is not None and value != values[key]}

    @property
    def has_uncommitted(self) -> bool:
        """True if anything is visible that is worth a commit of its own."""
        with self._lock:
            return any(name not in _NOT_WORTH_A_COMMIT for name, _ in self._uncommitted)

    def preview(self, update: MetricUpdate) -> dict[SeriesKey, float | None]:
        """Return the values that this update alone would lead to; None: removed."""
        with self._lock:
            return update.apply_to(self._values)

    def _apply(self, update: MetricUpdate) -> None:
        values, changes = update.apply_to(self._values), update.changes(self._values)
        self._held.apply(changes, self._values, self.scrapers.now())
        self._exemplars.update(update.exemplars)
        for key, value in values.items():
            if BY_NAME[key[0]].persistent:
                self._uncommitted.setdefault(key, self._values.get(key))
            if value is None:
                self._values.pop(key, None)
                self._exemplars.pop(key, None)
                self._held.remove(key)
            else:
                self._values[key] = value

    # --- what scrapes are shown

    def due(self) -> frozenset[SeriesKey]:
        """Return the held series that may be released, since all scrapers have seen what is shown of them."""
        seen_until = self.scrapers.seen_until()
        with self._lock:
            return self._held.due(seen_until, self._values)

    def begin_history(self, source: str) -> None:
        """Record that the first listing of a source begins: what it finds is history."""
        with self._lock:
            self._histories.add(source)

    def end_history(self, source: str, host: str = "") -> None:
        """Show scrapes what the first listing of a source on ``host`` found: all of it is on record."""
        with self._lock:
            self._histories.discard(source)
            self._held.listed((source, host), self.scrapers.now())
            self._unlisted_hosts -= {host}

    def is_history(self, source: str) -> bool:
        """Return whether the first listing of a source is not on record yet."""
        with self._lock:
            return source in self._histories

    def was_listed(self, host: str) -> bool:
        """Return whether all that an engine knew of a host when it was first listed is on record."""
        with self._lock:
            return self._was_listed(host)

    def _was_listed(self, host: str) -> bool:
        marks = (definitions.EXITS_UNOBSERVED, definitions.EXITS_RECOVERED)
        return all((metric.name, HostLabels(host)) in self._values for metric in marks)

    @property
    def unlisted_hosts(self) -> frozenset[str]:
        """Hosts that an earlier process began to list, and that are hidden from scrapes since."""
        with self._lock:
            return self._unlisted_hosts

    def show_unlisted(self, host: str) -> None:
        """Show scrapes what is known of a host that no source will list: it is watched no longer."""
        with self._lock:
            self._held.listed((host,), self.scrapers.now())
            self._unlisted_hosts -= {host}

    def _hide_unlisted(self) -> frozenset[str]:
        """Hide what an earlier process found before it was stopped in the middle of a first listing."""
        hosts = {key: BY_NAME[key[0]].host_of(key[1]) for key in self._values}
        unlisted = {host for host in hosts.values() if host is not None and not self._was_listed(host)}
        for host in unlisted:
            self._held.hide({key: self._values[key] for key, each in hosts.items() if each == host}, host)
        return frozenset(unlisted)

    def shown_values(self) -> dict[SeriesKey, float]:
        """Return the values that scrapes are shown of all series at one moment."""
        with self._lock:
            values = dict(self._values)
            self._show_committed(values)
            self._held.show(values)
            return values

    def _show_committed(self, values: dict[SeriesKey, float]) -> None:
        """Replace the values of counters and histograms by those that are in the store."""
        for key, committed in self._uncommitted.items():
            metric = BY_NAME[key[0]]
            if metric.type is MetricType.GAUGE or metric is definitions.STORE_ERRORS:
                continue
            if committed is None:
                values.pop(key, None)
            else:
                values[key] = committed

    def shown_exemplars(self) -> dict[SeriesKey, Exemplar]:
        """Return the latest exemplars of the series whose own value scrapes are shown."""
        with self._lock:
            exemplars = dict(self._exemplars)
            for key in self._held.keys() if exemplars else ():
                exemplars.pop(key, None)
            return exemplars


def _is_known(key: SeriesKey) -> bool:
    name, labels = key
    metric = BY_NAME.get(name)
    # A part of a histogram has one more.
    return metric is not None and len(labels) == len(metric.labels) + (metric.type is MetricType.HISTOGRAM)
