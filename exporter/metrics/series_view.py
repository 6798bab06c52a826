"""What somebody is shown of all series: scrapes see some of them later than others do."""

from __future__ import annotations

from typing import Protocol

from exporter.metrics.state import MetricState
from exporter.metrics.update import Exemplar
from exporter.model import SeriesKey


class SeriesView(Protocol):
    """Values of all series, as somebody is shown them."""

    def snapshot(self) -> dict[SeriesKey, float]:
        """Return the values of all series at one moment."""

    def exemplars(self) -> dict[SeriesKey, Exemplar]:
        """Return the latest exemplars; they do not survive a restart."""


class ScrapedView:
    """Series as scrapes are shown them."""

    def __init__(self, state: MetricState) -> None:
        self._state = state

    def snapshot(self) -> dict[SeriesKey, float]:
        """Return the values that are shown of all series at one moment."""
        return self._state.shown_values()

    def exemplars(self) -> dict[SeriesKey, Exemplar]:
        """Return the latest exemplars, without those of held series."""
        return self._state.shown_exemplars()
