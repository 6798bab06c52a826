"""Waiting for the end of jobs, by asking the API again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from exporter.cli.client import (
    TIMEOUT_SECONDS,
    ApiClient,
    NotFoundError,
    UnavailableError,
    UnreachableError,
)
from exporter.outcomes import Status
from exporter.wording.cells import JobJson

INTERVAL_SECONDS = 0.5
# Just before the time limit, an answer may still take this long.
_LEAST_TIMEOUT_SECONDS = 1
# A job that was just started is on record before this, usually; a name that was mistyped is not.
_NOTICE_SECONDS = 5


class WaitTimeoutError(Exception):
    """The time limit was reached; the text says what was missing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds; None is no limit.

    ``whole`` is for everything, from the start of the command. ``start`` is how long a job may not be on
    record while the server answers. ``away`` is how long the server may fail to answer, or not be ready to
    say that there is no such job, at a stretch.
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
        self._answers_since = self._began
        self._away_since: float | None = None
        self._told: set[str] = set()

    def ends(self, keys: Sequence[str]) -> Iterator[tuple[str, JobJson]]:
        """Yield each key with its job when that has ended.

        Raises WaitTimeoutError at the time limit, and ClickException if there is no such job or no server.
        """
        # A name means the run that is the newest now, also if another one begins in the meantime.
        ids = dict.fromkeys(keys, "")
        while ids:
            missing: list[NotFoundError] = []
            for key in list(ids):
                job = self._find(ids[key] or key, missing)
                if job is None:
                    continue
                ids[key] = str(job["id"])
                if job["status"] != Status.RUNNING:
                    del ids[key]
                    yield key, job
            if missing:
                raise missing[0]
            if ids:
                self._pause(f"not ended within the time limit: {', '.join(ids)}")

    def reasons(self) -> list[str]:
        """Return the names of the catalogue's reasons; waits for the server like ``ends``."""
        while True:
            answer = self._ask("/api/v1/reasons", key="reasons")
            if answer is not None:
                return [str(reason["reason"]) for reason in answer["reasons"]]
            self._pause("the server did not answer within the time limit")

    def _find(self, key: str, missing: list[NotFoundError]) -> JobJson | None:
        """Return a job; None if it is not on record, or the server does not answer for the moment.

        Appends the error to ``missing`` if the job has had its time to appear.
        """
        try:
            job: JobJson | None = self._ask("/api/v1/jobs", key, key="container_exit_code")
        except NotFoundError as error:
            if self._is_ready(error):
                self._not_found(error, missing)
            return None
        return job

    def _not_found(self, error: NotFoundError, missing: list[NotFoundError]) -> None:
        waited = time.monotonic() - self._answers_since
        if waited > self._limits.start:
            missing.append(error)
        elif waited > _NOTICE_SECONDS and error.message not in self._told:
            self._told.add(error.message)
            self._warn(f"{error.message}. Waiting {self._limits.start:g} s for it to appear.")

    def _is_ready(self, not_found: NotFoundError) -> bool:
        """Return whether the server knows all jobs: before that, a job that it does not find can exist."""
        try:
            reason = self._client.not_ready_reason()
        except UnreachableError as error:
            self._server_failed(error)
            return False
        if reason is None:
            self._server_answered()
            return True
        message = f"{not_found.message}, and the exporter is not ready: {reason}"
        self._server_failed(UnavailableError(message))
        return False

    def _ask(self, path: str, *parts: str, key: str) -> Any:
        """Return an answer; None if the server does not give one for the moment."""
        if self._limits.whole is not None:
            rest = max(self._limits.whole - self._passed, _LEAST_TIMEOUT_SECONDS)
            self._client.timeout_seconds = min(rest, TIMEOUT_SECONDS)
        try:
            answer = self._client.get(path, *parts, key=key)
        except (UnreachableError, UnavailableError) as error:
            self._server_failed(error)
            return None
        self._server_answered()
        return answer

    def _server_answered(self) -> None:
        if self._away_since is not None:
            self._away_since = None
            self._answers_since = time.monotonic()

    def _server_failed(self, error: click.ClickException) -> None:
        """Raise the error if the server has been away for too long; else warn once."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            if self._limits.away:
                self._warn(f"{error.message}. Trying again for {self._limits.away:g} s.")
        if now - self._away_since >= self._limits.away:
            raise error

    def _pause(self, at_limit: str) -> None:
        rest = INTERVAL_SECONDS if self._limits.whole is None else self._limits.whole - self._passed
        if rest <= 0:
            raise WaitTimeoutError(at_limit)
        time.sleep(min(rest, INTERVAL_SECONDS))

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._began
