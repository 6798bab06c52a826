"""The API: jobs and reasons."""

from __future__ import annotations

import base64
import binascii
import time
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from exporter import durations
from exporter.classify import explain
from exporter.model import Status, Workload
from exporter.reasons import MAX_CODE
from exporter.store import JobFilter, Store
from exporter.web import views
from exporter.web.endpoints import Endpoint, json_response, parse_query
from exporter.web.problems import ProblemError
from exporter.words import Words

MAX_LIMIT = 1000


def _seconds(value: object) -> object:
    return durations.parse(value) if isinstance(value, str) else value


class JobsQuery(BaseModel):
    """Which jobs; all conditions must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status | None = Field(None, description="Only jobs that stand so.")
    reason: str | None = Field(None, description="Only jobs that ended for this reason.")
    code: Annotated[int, Field(ge=0, le=MAX_CODE)] | None = Field(None, description="Only this exit code.")
    workload: str | None = Field(None, description="Only jobs of this workload.")
    since: Annotated[float, BeforeValidator(_seconds)] | None = Field(
        None,
        description="Only jobs that run or have ended within this duration, such as 2h.",
        json_schema_extra={"type": "string", "examples": ["2h"]},
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

    def __init__(self, store: Store, words: Words) -> None:
        self._store = store
        self._words = words

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
                answer=views.JobView,
                problems=(missing, down),
            ),
            Endpoint("/api/v1/reasons", "The catalogue of reasons", self.reasons, answer=views.ReasonList),
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
            reason=query.reason,
            code=query.code,
            workload=query.workload,
            since_ns=None if query.since is None else time.time_ns() - int(query.since * 10**9),
        )
        before = _position(query.cursor) if query.cursor else None
        found = self._store.jobs(wanted, query.limit + 1, before)
        page, more = found[: query.limit], found[query.limit :]
        cursor = _cursor(page[-1].job.began_ns, page[-1].job.id) if more else None
        return json_response(
            views.JobPage(jobs=[views.job_view(record) for record in page], next_cursor=cursor)
        )

    def job(self, request: Request) -> Response:
        """One job."""
        key = request.path_params["id"]
        record = self._store.job(key)
        if record is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"no job, container name or container id {key!r} is on record"
            )
        return json_response(views.job_view(record))

    def reasons(self, _request: Request) -> Response:
        """The catalogue."""
        return json_response(views.reason_list(self._words.catalogue))

    def code(self, request: Request) -> Response:
        """The readings of a code."""
        text = request.path_params["code"]
        query = parse_query(request, CodeQuery)
        if not text.isascii() or not text.isdigit() or int(text[:20]) > MAX_CODE:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST, f"code: {text!r} is no exit code; they go from 0 to {MAX_CODE}"
            )
        workload = Workload(query.workload, query.image)
        return json_response(views.code_view(int(text), explain(int(text), self._words.catalogue, workload)))


def _cursor(began_ns: int, job_id: str) -> str:
    return base64.urlsafe_b64encode(f"{began_ns}:{job_id}".encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[int, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        began_ns, _, job_id = base64.urlsafe_b64decode(padded.encode("ascii")).decode("ascii").partition(":")
        return int(began_ns), job_id
    except (ValueError, binascii.Error) as error:
        detail = "cursor: not one that this API gave; leave it out to begin anew"
        raise ProblemError(HTTPStatus.BAD_REQUEST, detail) from error
