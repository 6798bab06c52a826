"""The API: jobs and reasons."""

from __future__ import annotations

import base64
import binascii
import re
import time
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from exporter.config.field_types import Duration
from exporter.exit_codes import MAX_CODE
from exporter.model import SECOND_NS, Status, Workload
from exporter.store import JobFilter, Store
from exporter.verdict.classify import explain
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web import views
from exporter.web.endpoints import Endpoint, json_response, parse_query
from exporter.web.problems import ProblemError

MAX_LIMIT = 1000
_LAST_NS = 2**63 - 1
# Seconds back to before any engine, and few enough for the database's integers.
_EVER = 50 * 365 * 86400
_CODE = re.compile(r"0*([0-9]{1,10})")


DurationParameter = Annotated[Duration, WithJsonSchema({"type": "string", "examples": ["90s", "2h", "30d"]})]


class NoQuery(BaseModel):
    """No parameters: one that is given is a mistake that its sender should hear of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class JobsQuery(BaseModel):
    """Which jobs; all conditions must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status | None = Field(None, description="Only jobs that stand so.")
    reason: str | None = Field(None, description="Only jobs that ended for this reason.")
    code: Annotated[int, Field(ge=0, le=MAX_CODE)] | None = Field(None, description="Only this exit code.")
    workload: str | None = Field(None, description="Only jobs of this workload.")
    since: DurationParameter | None = Field(
        None, description="Only jobs that run or have ended within this duration, such as 2h."
    )
    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="At most so many jobs.")
    cursor: str | None = Field(None, description="next_cursor of the page before.")


class CodeQuery(BaseModel):
    """For whom a code is read: a user's catalogue may have words of its own for some."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str = Field("", description="As read for this workload.")
    image: str = Field("", description="As read for this image, without tag.")


class Api:
    """Answers from the store and the catalogue."""

    def __init__(self, store: Store, catalog: ReloadableCatalog) -> None:
        self._store = store
        self._catalog = catalog

    def endpoints(self) -> list[Endpoint]:
        """What there is."""
        bad, missing = (
            (HTTPStatus.BAD_REQUEST, "A parameter is wrong."),
            (HTTPStatus.NOT_FOUND, "None there."),
        )
        down = (HTTPStatus.SERVICE_UNAVAILABLE, "The store cannot be read.")
        return [
            Endpoint(
                "/api/v1/jobs",
                "Jobs, the newest first",
                self.jobs,
                query=JobsQuery,
                answer=views.JobPage,
                problems=(bad, down),
            ),
            Endpoint(
                "/api/v1/jobs/{id}",
                "One job, by its id or by its container's name or id (the newest attempt)",
                self.job,
                query=NoQuery,
                answer=views.JobView,
                problems=(bad, missing, down),
            ),
            Endpoint(
                "/api/v1/reasons",
                "The catalogue of reasons",
                self.reasons,
                query=NoQuery,
                answer=views.ReasonList,
                problems=(bad,),
            ),
            Endpoint(
                "/api/v1/reasons/{code}",
                "Every way to read an exit code",
                self.code,
                query=CodeQuery,
                answer=views.CodeView,
                problems=(bad,),
            ),
        ]

    def jobs(self, request: Request) -> Response:
        """A page of jobs."""
        query = parse_query(request, JobsQuery)
        wanted = JobFilter(
            status=query.status,
            reason=None if query.reason is None else self._reason(query.reason),
            code=query.code,
            workload=query.workload,
            since_ns=None
            if query.since is None
            else time.time_ns() - int(min(query.since, _EVER) * SECOND_NS),
        )
        before = _position(query.cursor) if query.cursor else None
        found = self._store.list_jobs(wanted, query.limit + 1, before)
        page, more = found[: query.limit], found[query.limit :]
        cursor = _cursor(page[-1].job.start_event_ns, page[-1].job.id) if more else None
        return json_response(
            views.JobPage(
                jobs=[views.job_view(record, self._catalog.current) for record in page], next_cursor=cursor
            )
        )

    def _reason(self, word: str) -> str:
        known = self._catalog.current.canonical(word)
        if known is None:
            # An empty list would look like good news.
            near = self._catalog.current.closest(word)
            hint = f"; did you mean {near}?" if near else "; see /api/v1/reasons"
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"reason: {word!r} is no word of the catalogue{hint}")
        return known

    def job(self, request: Request) -> Response:
        """One job."""
        parse_query(request, NoQuery)
        key = request.path_params["id"]
        record = self._store.find_job(key)
        if record is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"no job, container name or container id {key!r} is on record"
            )
        return json_response(views.job_view(record, self._catalog.current))

    def reasons(self, request: Request) -> Response:
        """The catalogue."""
        parse_query(request, NoQuery)
        return json_response(views.reason_list(self._catalog.current))

    def code(self, request: Request) -> Response:
        """The readings of a code."""
        text = request.path_params["code"]
        query = parse_query(request, CodeQuery)
        found = _CODE.fullmatch(text)
        if found is None or int(found.group(1)) > MAX_CODE:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST, f"code: {text!r} is no exit code; they go from 0 to {MAX_CODE}"
            )
        workload = Workload(query.workload, query.image)
        return json_response(
            views.code_view(
                int(found.group(1)), explain(int(found.group(1)), self._catalog.current, workload)
            )
        )


def _cursor(start_event_ns: int, job_id: str) -> str:
    return base64.urlsafe_b64encode(f"{start_event_ns}:{job_id}".encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[int, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        start_event_ns, _, job_id = (
            base64.urlsafe_b64decode(padded.encode("ascii")).decode("ascii").partition(":")
        )
        position = int(start_event_ns), job_id
    except (ValueError, binascii.Error) as error:
        raise _NOT_OURS from error
    if abs(position[0]) > _LAST_NS:
        raise _NOT_OURS
    return position


_NOT_OURS = ProblemError(
    HTTPStatus.BAD_REQUEST, "cursor: not one that this API gave; leave it out to begin anew"
)
