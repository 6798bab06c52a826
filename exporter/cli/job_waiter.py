"""Waiting for the end of jobs, by asking the API again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import click

from exporter.cli.client import ApiClient, NotFoundError
from exporter.cli.tables import JobJson
from exporter.model import Status

INTERVAL_SECONDS = 0.5


class WaitTimeoutError(Exception):
    """The time limit was reached; the argument has the names of the jobs that had not ended."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(", ".join(keys))


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds from the start of the command: for everything, and for a job to be on record.

    ``away`` is how long the server may fail to answer at a stretch. None is no limit.
    """

    whole: float | None
    start: float
    away: float


class JobWaiter:
    """Waits for jobs, each named by a job's id or a container's name or id."""

    def __init__(self, client: ApiClient, limits: Limits, warn: Callable[[str], None]) -> None:
        self._client = client
        self._limits = limits
        self._warn = warn
        self._began = time.monotonic()
        self._away_since: float | None = None

    def ends(self, keys: Sequence[str]) -> Iterator[tuple[str, JobJson]]:
        """Yield each key with its job when that has ended.

        Raises WaitTimeoutError at the time limit, and ClickException if there is no such job or no server.
        """
        # A name means the run that is the newest now, also if another one begins in the meantime.
        ids = dict.fromkeys(keys, "")
        while ids:
            for key in list(ids):
                job = self._find(ids[key] or key)
                if job is None:
                    continue
                ids[key] = str(job["id"])
                if job["status"] != Status.RUNNING:
                    del ids[key]
                    yield key, job
            if ids:
                self._pause(list(ids))

    def reasons(self) -> list[str]:
        """Return the names of the catalogue's reasons; waits for the server like ``ends``."""
        while True:
            try:
                answer = self._client.get("/api/v1/reasons", key="reasons")
            except click.ClickException as error:
                self._server_failed(error)
                self._pause([])
            else:
                return [str(reason["reason"]) for reason in answer["reasons"]]

    def _find(self, key: str) -> JobJson | None:
        """Return a job; None if it is not on record yet, or the server does not answer for the moment."""
        try:
            job: JobJson = self._client.get("/api/v1/jobs", key, key="id")
        except NotFoundError:
            self._away_since = None
            if self._passed > self._limits.start:
                raise
            return None
        except click.ClickException as error:
            self._server_failed(error)
            return None
        self._away_since = None
        return job

    def _server_failed(self, error: click.ClickException) -> None:
        """Raise the error if the server has been away for too long; else warn once."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            if self._limits.away:
                self._warn(f"{error.message} Trying again for {self._limits.away:g} s.")
        if now - self._away_since >= self._limits.away:
            raise error

    def _pause(self, keys: Sequence[str]) -> None:
        rest = INTERVAL_SECONDS if self._limits.whole is None else self._limits.whole - self._passed
        if rest <= 0:
            raise WaitTimeoutError(keys)
        time.sleep(min(rest, INTERVAL_SECONDS))

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._began
