"""The API: jobs and reasons."""

from __future__ import annotations

import base64
import binascii
import re
import time
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

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
_MAX_NS = 2**63 - 1
# Before any engine existed, and few enough seconds for the database's integers.
_MAX_SINCE_SECONDS = 50 * 365 * 86400
_CODE = re.compile(r"0*([0-9]{1,10})")

DurationParameter = Annotated[Duration, WithJsonSchema({"type": "string", "examples": ["90s", "2h", "30d"]})]

_BAD_REQUEST = (HTTPStatus.BAD_REQUEST, "A parameter is wrong.")
_NOT_FOUND = (HTTPStatus.NOT_FOUND, "There is no such job.")
_UNAVAILABLE = (HTTPStatus.SERVICE_UNAVAILABLE, "The store cannot be read.")


class NoQuery(BaseModel):
    """No parameters: unknown ones are refused, since they are mistakes of the client."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    since: DurationParameter | None = Field(
        None, description="Only jobs that are running or ended within this duration, such as 2h."
    )
    limit: int = Field(100, ge=1, le=MAX_LIMIT, description="Maximum number of jobs.")
    cursor: str | None = Field(None, description="next_cursor of the previous page.")


class CodeQuery(BaseModel):
    """Workload and image, for which the user's catalogue can have reasons of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str = Field("", description="As read for this workload.")
    image: str = Field("", description="As read for this image, without tag.")


class Api:
    """Endpoints that read the store and the catalogue."""

    def __init__(self, store: Store, catalog: ReloadableCatalog) -> None:
        self._store = store
        self._catalog = catalog

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint(
                "/api/v1/jobs",
                "Jobs, the newest first",
                self.jobs,
                query=JobsQuery,
                response_model=views.JobPage,
                error_responses=(_BAD_REQUEST, _UNAVAILABLE),
            ),
            Endpoint(
                "/api/v1/jobs/{id}",
                "One job, by its id or by its container's name or id (the newest attempt)",
                self.job,
                query=NoQuery,
                response_model=views.JobView,
                error_responses=(_BAD_REQUEST, _NOT_FOUND, _UNAVAILABLE),
            ),
            Endpoint(
                "/api/v1/reasons",
                "The catalogue of reasons",
                self.reasons,
                query=NoQuery,
                response_model=views.ReasonList,
                error_responses=(_BAD_REQUEST,),
            ),
            Endpoint(
                "/api/v1/reasons/{code}",
                "All readings of an exit code",
                self.code,
                query=CodeQuery,
                response_model=views.CodeView,
                error_responses=(_BAD_REQUEST,),
            ),
        ]

    def jobs(self, request: Request) -> Response:
        """Return a page of jobs."""
        query = parse_query(request, JobsQuery)
        job_filter = JobFilter(
            status=query.status,
            reason=None if query.reason is None else self._canonical_reason(query.reason),
            code=query.code,
            workload=query.workload,
            supervised_id=None if query.dstack_job_id is None else str(query.dstack_job_id),
            since_ns=None if query.since is None else _since_ns(query.since),
        )
        before = _decode_cursor(query.cursor) if query.cursor else None
        found = self._store.list_jobs(job_filter, query.limit + 1, before)
        page, more = found[: query.limit], found[query.limit :]
        job_views = [views.job_view(record, self._catalog.current) for record in page]
        next_cursor = _encode_cursor(page[-1].job.start_event_ns, page[-1].job.id) if more else None
        return json_response(views.JobPage(jobs=job_views, next_cursor=next_cursor))

    def _canonical_reason(self, name: str) -> str:
        reason = self._catalog.current.canonical(name)
        if reason is None:
            # An empty list would look as if there were no such exits.
            closest = self._catalog.current.closest(name)
            hint = f"did you mean {closest}?" if closest else "see /api/v1/reasons"
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"reason: {name!r} is not in the catalogue; {hint}")
        return reason

    def job(self, request: Request) -> Response:
        """Return one job."""
        parse_query(request, NoQuery)
        key = request.path_params["id"]
        record = self._store.find_job(key)
        if record is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"no job, container name or container id {key!r} is on record"
            )
        return json_response(views.job_view(record, self._catalog.current))

    def reasons(self, request: Request) -> Response:
        """Return the catalogue."""
        parse_query(request, NoQuery)
        return json_response(views.reason_list(self._catalog.current))

    def code(self, request: Request) -> Response:
        """Return all readings of a code."""
        code = _parse_code(request.path_params["code"])
        query = parse_query(request, CodeQuery)
        explanations = explain(code, self._catalog.current, Workload(query.workload, query.image))
        return json_response(views.code_view(code, explanations))


def _since_ns(seconds: float) -> int:
    return time.time_ns() - int(min(seconds, _MAX_SINCE_SECONDS) * SECOND_NS)


def _parse_code(text: str) -> int:
    digits = _CODE.fullmatch(text)
    if digits is None or int(digits[1]) > MAX_CODE:
        detail = f"code: {text!r} is not an exit code (0 to {MAX_CODE})"
        raise ProblemError(HTTPStatus.BAD_REQUEST, detail)
    return int(digits[1])


def _encode_cursor(start_event_ns: int, job_id: str) -> str:
    return base64.urlsafe_b64encode(f"{start_event_ns}:{job_id}".encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[int, str]:
    problem = ProblemError(
        HTTPStatus.BAD_REQUEST, "cursor: not a next_cursor of this API; omit it for the first page"
    )
    try:
        padded = (cursor + "=" * (-len(cursor) % 4)).encode("ascii")
        number, _, job_id = base64.urlsafe_b64decode(padded).decode("ascii").partition(":")
        start_event_ns = int(number)
    except (ValueError, binascii.Error) as error:
        raise problem from error
    if abs(start_event_ns) > _MAX_NS:
        raise problem
    return start_event_ns, job_id
