"""Access of the sources to what is on record; every answer is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from exporter.model import ContainerHistory, Cursor, Job
from exporter.pipeline.recorder import RETRY_SECONDS, Recorder
from exporter.pipeline.standstill import Progress
from exporter.store import Store, StoreError

T = TypeVar("T")


class StoredRecords:
    """Answers from the store, however long they take: without them, an exit could be counted twice.

    Once ``stopping`` is set, a question that the store does not answer finds nothing: what follows from it
    will not be recorded. ``progress`` is told of each question.
    """

    def __init__(
        self, store: Store, recorder: Recorder, stopping: threading.Event, progress: Progress
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._stopping = stopping
        self._progress = progress

    def pruned_of(self, address: str) -> int:
        """Return the time before which jobs of a source that ended may have been deleted."""
        return self._store.pruned_of(address)

    def pruning_mark_of(self, address: str) -> int:
        """Return the same as it was marked: by a clock that was set back since, or was ahead, perhaps."""
        return self._store.pruning_mark_of(address)

    def cursor(self, address: str) -> Cursor | None:
        """Return up to where a source is on record; None if it never was read."""
        nothing: dict[str, Cursor] = {}
        return self._ask(self._store.cursors, nothing).get(address)

    def running(self) -> list[Job]:
        """Return the jobs of all sources that are on record as running."""
        nothing: list[Job] = []
        return self._ask(self._store.running_jobs, nothing)

    def history(
        self, container_id: str, other_sources: frozenset[str], is_own: Callable[[Job], bool]
    ) -> ContainerHistory | None:
        """Return what is on record of a container, except by other sources."""
        return self._ask(lambda: self._store.load_history(container_id, other_sources, is_own), None)

    def containers_of_job(self, job_name: str, host: str) -> frozenset[str]:
        """Return the ids of the containers that a supervisor made for a job on a host."""
        return self._ask(lambda: self._store.containers_of_job(job_name, host), frozenset())

    def sources_of(self, host: str) -> frozenset[str]:
        """Return the addresses of the sources whose jobs on a host are on record."""
        return self._ask(lambda: self._store.engines_of(host), frozenset())

    def has_end_or_container(self, submission_id: str) -> bool:
        """Return whether the end of a submission is on record, or a container that was made for it."""
        return self._ask(lambda: self._store.has_end_or_container(submission_id), otherwise=True)

    def settle(self) -> bool:
        """Record all that was found; return whether it is on record."""
        self._recorder.commit({})
        while self._recorder.has_pending:
            self._progress.note()
            if self._stopping.wait(RETRY_SECONDS):
                return False
            self._recorder.commit({})
        return True

    def _ask(self, query: Callable[[], T], otherwise: T) -> T:
        while True:
            self._progress.note()
            try:
                answer = query()
            except StoreError as error:
                self._recorder.on_store_error(error)
            else:
                self._recorder.on_store_answer()
                return answer
            if self._stopping.wait(RETRY_SECONDS):
                return otherwise
