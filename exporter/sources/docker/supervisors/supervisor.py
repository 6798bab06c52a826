"""The interface of a supervisor: how its containers are known, and how its log tells a job's end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from exporter.model import JobReport, SupervisedJob


class JobLog(Protocol):
    """The state of one job, from the lines of its container's log."""

    @property
    def report(self) -> JobReport:
        """What the log has said so far."""

    def read(self, line: str, received_ns: int) -> None:
        """Take one line, which the engine received at ``received_ns``."""


class Supervisor(Protocol):
    """A program that runs a job inside a container, ends later than the job, and reports the job's end."""

    @property
    def name(self) -> str:
        """Its name, as users write it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The container labels that it reads."""

    def job(self, labels: Mapping[str, str], container_name: str) -> SupervisedJob | None:
        """Return the job that a container was made for; None where the container is not this supervisor's."""

    def open_log(self) -> JobLog:
        """Return a reader for the log of one container, read from its start."""
