"""The API: jobs and reasons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from exporter.exit_codes import MAX_CODE
from exporter.model import Workload
from exporter.store import MIN_ID_DIGITS, AmbiguousKeyError, Store
from exporter.verdict.classify import explain
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.cursor import decode_cursor, encode_cursor
from exporter.web.endpoints import Endpoint, json_response, parse_query
from exporter.web.job_query import JobsQuery
from exporter.web.job_views import JobPage, JobView, job_view
from exporter.web.problems import ProblemError, no_such_job
from exporter.web.reason_views import CodeView, ReasonList, code_view, reason_list

_SHOWN_DIGITS = 24
_CODE = re.compile(r"0*([0-9]{1,10})")

_BAD_REQUEST = (HTTPStatus.BAD_REQUEST, "A parameter is wrong.")
_NOT_FOUND = (HTTPStatus.NOT_FOUND, "There is no such job.")
_AMBIGUOUS = (HTTPStatus.CONFLICT, "The ids of several containers begin so.")
_UNAVAILABLE = (HTTPStatus.SERVICE_UNAVAILABLE, "The store cannot be read.")


class NoQuery(BaseModel):
    """No parameters: unknown ones are refused, since they are mistakes of the client."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
                response_model=JobPage,
                error_responses=(_BAD_REQUEST, _UNAVAILABLE),
            ),
            Endpoint(
                "/api/v1/jobs/{id}",
                "One job, by its id or by its container's name, id or at least "
                f"{MIN_ID_DIGITS} digits of its id (the newest attempt)",
                self.job,
                query=NoQuery,
                response_model=JobView,
                error_responses=(_BAD_REQUEST, _NOT_FOUND, _AMBIGUOUS, _UNAVAILABLE),
            ),
            Endpoint(
                "/api/v1/reasons",
                "The catalogue of reasons",
                self.reasons,
                query=NoQuery,
                response_model=ReasonList,
                error_responses=(_BAD_REQUEST,),
            ),
            Endpoint(
                "/api/v1/reasons/{code}",
                "All readings of an exit code",
                self.code,
                query=CodeQuery,
                response_model=CodeView,
                error_responses=(_BAD_REQUEST,),
            ),
        ]

    def jobs(self, request: Request) -> Response:
        """Return a page of jobs."""
        query = parse_query(request, JobsQuery)
        job_filter = query.job_filter(self._catalog.current)
        page = self._store.reader.list_jobs(job_filter, query.limit, decode_cursor(query.cursor))
        jobs = [job_view(record, self._catalog.current) for record in page.records]
        return json_response(JobPage(jobs=jobs, next_cursor=encode_cursor(page.next)))

    def job(self, request: Request) -> Response:
        """Return one job."""
        parse_query(request, NoQuery)
        key = request.path_params["id"]
        try:
            record = self._store.reader.find_job(key)
        except AmbiguousKeyError as error:
            raise ProblemError(HTTPStatus.CONFLICT, _ambiguous(key, error.containers)) from error
        if record is None:
            raise no_such_job(key)
        return json_response(job_view(record, self._catalog.current))

    def reasons(self, request: Request) -> Response:
        """Return the catalogue."""
        parse_query(request, NoQuery)
        return json_response(reason_list(self._catalog.current))

    def code(self, request: Request) -> Response:
        """Return all readings of a code."""
        code = _parse_code(request.path_params["code"])
        query = parse_query(request, CodeQuery)
        explanations = explain(code, self._catalog.current, Workload(query.workload, query.image))
        return json_response(code_view(code, explanations))


def _ambiguous(key: str, containers: Mapping[str, str]) -> str:
    names = ", ".join(f"{container_id[:_SHOWN_DIGITS]} ({name})" for container_id, name in containers.items())
    return f"the ids of several containers begin with {key!r}, among them {names}; give more of the id"


def _parse_code(text: str) -> int:
    digits = _CODE.fullmatch(text)
    if digits is None or int(digits[1]) > MAX_CODE:
        detail = f"code: {text!r} is not an exit code (0 to {MAX_CODE})"
        raise ProblemError(HTTPStatus.BAD_REQUEST, detail)
    return int(digits[1])
