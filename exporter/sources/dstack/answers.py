"""Parsing of the server's answers. Only fields that speak of a job's end are read, and none is trusted.

A run without an id is invalid, a submission without one is left out; any other field that is missing or
unusable is left empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from exporter.model import Submission
from exporter.text import sanitize, sanitize_error

SUPERVISOR = "dstack"
RUN_HAS_ENDED = frozenset({"done", "failed", "terminated"})
# The server's words for an end before which no container was made. With any other word there was none only
# if the job never got a host.
NO_CONTAINER = frozenset({"failed_to_start_due_to_no_capacity", "creating_container_error"})
# Words that are shorter here; any other is shown in capitals.
_TERMINATIONS: Mapping[str, str] = MappingProxyType(
    {
        "failed_to_start_due_to_no_capacity": "NO_CAPACITY",
        "done_by_runner": "DONE",
    }
)
BY_USER = "user"
_STOPPED_BY: Mapping[str, str] = MappingProxyType(
    {
        "terminated_by_user": BY_USER,
        "aborted_by_user": BY_USER,
        "terminated_by_server": "server",
        "scaled_down": "server",
        "terminated_due_to_utilization_policy": "server",
        "inactivity_duration_exceeded": "server",
        "max_duration_exceeded": "server",
    }
)
# A run's event is "Run status changed RUNNING -> TERMINATING. Termination reason: STOPPED_BY_USER".
_STOPPING = "-> TERMINATING"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_INTEGER = 2**63 - 1
_MAX_COUNT = 2**31 - 2
_ID = r"^[0-9A-Za-z_-]{1,64}$"


def _text(value: object) -> str:
    return sanitize(value) if isinstance(value, str) else ""


def _long_text(value: object) -> str:
    return sanitize_error(value) if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER
    return value if is_number and isinstance(value, int) else None


def _count(value: object) -> int | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= _MAX_COUNT else None


def _object(value: object) -> object:
    return value if isinstance(value, dict) else {}


def _object_or_none(value: object) -> object:
    return None if value is None else _object(value)


def _objects(value: object) -> list[object]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _with_ids(value: object) -> list[object]:
    return [each for each in _objects(value) if isinstance(each, dict) and _is_id(each.get("id"))]


def _is_id(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(_ID, value) is not None


def _unchanged_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _time_ns(value: object) -> int | None:
    """Return a time in nanoseconds; None if it is missing, unreadable or no time of the database."""
    try:
        at = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return _number((at - _EPOCH) // _MICROSECOND * 1000)


Text = Annotated[str, BeforeValidator(_text)]
LongText = Annotated[str, BeforeValidator(_long_text)]
Number = Annotated[int | None, BeforeValidator(_number)]
Count = Annotated[int | None, BeforeValidator(_count)]
Time = Annotated[int | None, BeforeValidator(_time_ns)]
Id = Annotated[str, Field(pattern=_ID)]


class _Provisioning(BaseModel):
    hostname: Text = ""


class _Submission(BaseModel):
    id: Id
    submission_num: Count = None
    submitted_at: Time = None
    finished_at: Time = None
    status: Text = ""
    status_message: Text = ""
    termination_reason: Text = ""
    termination_reason_message: LongText = ""
    exit_status: Number = None
    error: Text = ""
    job_provisioning_data: Annotated[_Provisioning | None, BeforeValidator(_object_or_none)] = None
    job_runtime_data: Annotated[dict[str, Any] | None, BeforeValidator(_object_or_none)] = None

    @property
    def has_container(self) -> bool:
        """Return False if the server says that no container was made."""
        if self.termination_reason in NO_CONTAINER:
            return False
        # A field that is missing says nothing: older servers, or an answer without it.
        never_got_a_host = {"job_provisioning_data", "job_runtime_data"} <= self.model_fields_set and (
            self.job_provisioning_data is None and self.job_runtime_data is None
        )
        return self.finished_at is None or not never_got_a_host

    @property
    def termination(self) -> str:
        """Word for the end in capitals; empty if there is none."""
        return _TERMINATIONS.get(self.termination_reason, self.termination_reason.upper())

    @property
    def summary(self) -> str:
        """What dstack's own commands show of it."""
        return self.error or self.status_message or self.termination_reason.replace("_", " ") or self.status


class _JobSpec(BaseModel):
    job_num: Count = None
    replica_num: Count = None
    image_name: Text = ""


class _Job(BaseModel):
    job_spec: Annotated[_JobSpec, BeforeValidator(_object)] = _JobSpec()
    job_submissions: Annotated[list[_Submission], BeforeValidator(_with_ids)] = []


class _Configuration(BaseModel):
    image: Text = ""


class _RunSpec(BaseModel):
    run_name: Text = ""
    configuration: Annotated[_Configuration, BeforeValidator(_object)] = _Configuration()


class Run(BaseModel):
    """One run, with the jobs in it."""

    id: Id
    project_name: Text = ""
    user: Text = ""
    status: Text = ""
    # As the server wrote it, which asks for the next page.
    submitted_at: Annotated[str, BeforeValidator(_unchanged_text)] = ""
    run_spec: Annotated[_RunSpec, BeforeValidator(_object)] = _RunSpec()
    jobs: Annotated[list[_Job], BeforeValidator(_objects)] = []

    @property
    def is_open(self) -> bool:
        """Return whether something may still become of it."""
        return self.status not in RUN_HAS_ENDED

    @property
    def submitted_ns(self) -> int | None:
        """Time of its submission, None if that cannot be read."""
        return _time_ns(self.submitted_at)

    def submissions(self) -> Iterator[Submission]:
        """Yield the submissions of all its jobs."""
        for job in self.jobs:
            for each in job.job_submissions:
                yield self._submission(job.job_spec, each)

    def _submission(self, spec: _JobSpec, found: _Submission) -> Submission:
        submitted_ns = found.submitted_at or self.submitted_ns or found.finished_at or 0
        return Submission(
            SUPERVISOR,
            found.id,
            self.id,
            run=self.run_spec.run_name,
            job_num=spec.job_num,
            replica_num=spec.replica_num,
            number=found.submission_num,
            project=self.project_name,
            user=self.user,
            image=spec.image_name or self.run_spec.configuration.image,
            host=found.job_provisioning_data.hostname if found.job_provisioning_data else "",
            status=found.status,
            summary=found.summary,
            termination=found.termination,
            message=found.termination_reason_message,
            stopped_by=_STOPPED_BY.get(found.termination_reason, ""),
            exit_status=found.exit_status,
            submitted_ns=submitted_ns,
            finished_ns=found.finished_at,
            has_container=found.has_container,
            is_open=self.is_open,
        )


class _Event(BaseModel):
    message: Text = ""
    actor_user: Text = ""


def stopping_user(answer: object) -> str:
    """Return the user of the newest event in which a run was asked to end, empty without one."""
    for each in answer if isinstance(answer, list) else []:
        event = _Event.model_validate(_object(each))
        if event.actor_user and _STOPPING in event.message:
            return event.actor_user
    return ""
