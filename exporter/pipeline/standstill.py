"""Standstill of the pipeline: its database answers neither yes nor no, as on a disk that is frozen or away.

A store that refuses is no standstill: that is shown as what it is, and tried again.
"""

from __future__ import annotations

import time

import structlog

from exporter.periodic_thread import PeriodicThread
from exporter.pipeline.readiness import Readiness

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 1.0
# Longer than SQLite waits for a lock, and than any step of a pipeline whose disk answers.
SHOWN_SECONDS = 10.0
# From then on a restart may help more than to wait.
DEAD_SECONDS = 60.0
_SHOWN_LOOKS = 2
PIPELINE = "pipeline"


class Progress:
    """When the pipeline took its last step; may be used from any thread."""

    def __init__(self) -> None:
        self._noted = time.monotonic()

    def note(self) -> float:
        """Note a step, and return its time."""
        self._noted = time.monotonic()
        return self._noted

    @property
    def standing_seconds(self) -> float:
        """Time since the last step."""
        return time.monotonic() - self._noted


class StandstillWatch(PeriodicThread):
    """Thread that shows a standstill as a problem, and in the log."""

    def __init__(self, progress: Progress, readiness: Readiness) -> None:
        super().__init__("standstill", INTERVAL_SECONDS, self._look)
        self._progress = progress
        self._readiness = readiness
        # In a row, at which it stood still.
        self._looks = 0

    def _look(self) -> None:
        seconds = self._progress.standing_seconds
        before, self._looks = self._looks, self._looks + 1 if seconds >= SHOWN_SECONDS else 0
        # At the first look, it can be the whole process that stood still.
        if self._looks >= _SHOWN_LOOKS:
            cause = f"nothing has been recorded for {seconds:.0f} s; does the disk of the database answer?"
            self._readiness.set_unready(PIPELINE, cause)
            if self._looks == _SHOWN_LOOKS:
                log.error("nothing is recorded any more", cause=cause)
        elif before >= _SHOWN_LOOKS:
            self._readiness.set_ready(PIPELINE)
            log.info("recording goes on")
