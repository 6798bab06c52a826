"""The query of a list of jobs: its parameters, and the filter of the store that they stand for."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from exporter.config.duration import DURATION_PATTERN
from exporter.config.moment import parse_moment
from exporter.exit_codes import MAX_CODE
from exporter.model import Status
from exporter.store import JobFilter
from exporter.verdict.catalog import ReasonCatalog
from exporter.web.problems import ProblemError

# A page of this size is answered in less than 50 ms.
MAX_LIMIT = 500
MAX_TEXT = 200

MomentParameter = Annotated[
    int,
    BeforeValidator(lambda text: parse_moment(text, time.time_ns())),
    WithJsonSchema(
        {
            "type": "string",
            "oneOf": [{"pattern": DURATION_PATTERN}, {"format": "date-time"}, {"format": "date"}],
            "examples": ["90s", "2h", "30d", "2026-03-01T12:00:00Z"],
        }
    ),
]
"""Nanoseconds since 1970, of a duration ago or of a time."""


class JobsQuery(BaseModel):
    """Conditions for jobs; all must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status | None = Field(None, description="Only jobs with this status.")
    reason: str | None = Field(None, description="Only jobs that ended for this reason.")
    code: Annotated[int, Field(ge=0, le=MAX_CODE)] | None = Field(
        None, description="Only jobs with this exit code."
    )
    workload: str | None = Field(None, description="Only jobs of this workload.")
    dstack_job_id: UUID | None = Field(
        None, description="Only jobs of this dstack job submission (the id in dstack's API)."
    )
    host: str | None = Field(None, description="Only jobs on this host (`instance` of a job).")
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] | None = Field(
        None,
        description="Only jobs with this text in their name, workload, image, container id or error, in any "
        "case.",
    )
    casualties: bool = Field(
        default=False, description="Only jobs that ended with 0 and lost processes to OOM kills on the way."
    )
    since: MomentParameter | None = Field(
        None,
        description="Only jobs that are running or ended since then: a duration ago, such as 2h, or a time, "
        "such as 2026-03-01T12:00:00Z.",
    )
    until: MomentParameter | None = Field(
        None, description="Only jobs that ended before then, given as for `since`."
    )
    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="Maximum number of jobs.")
    cursor: str | None = Field(None, description="next_cursor of the previous page.")

    def job_filter(self, catalog: ReasonCatalog) -> JobFilter:
        """Return the filter. Raises ProblemError if the catalogue does not have the reason."""
        return JobFilter(
            status=self.status,
            reason=None if self.reason is None else canonical_reason(self.reason, catalog),
            code=self.code,
            workload=self.workload,
            supervised_id=None if self.dstack_job_id is None else str(self.dstack_job_id),
            instance=self.host,
            since_ns=self.since,
            until_ns=self.until,
            text=self.text,
            casualties=self.casualties,
        )


def canonical_reason(name: str, catalog: ReasonCatalog) -> str:
    """Return a reason as the catalogue writes it. Raises ProblemError if it does not have it."""
    reason = catalog.canonical(name)
    if reason is None:
        # An empty list would look as if there were no such exits.
        closest = catalog.closest(name)
        hint = f"did you mean {closest}?" if closest else "'exit-exporter codes' and /api/v1/reasons list all"
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"reason: {name!r} is not in the catalogue; {hint}")
    return reason
