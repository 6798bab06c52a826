"""An endpoint as data: from it come the route, the check of its query, and its documentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.web.problems import ProblemError

Query = TypeVar("Query", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path and method. ``handler`` runs in a thread and may read the store.

    One that does neither I/O nor wait is ``immediate``: however busy the threads are, it is answered.
    ``answer`` is the model of a 200, None for one that is no JSON (``media_types`` say what it can be).
    ``problems`` are the other statuses, with when they happen.
    """

    path: str
    summary: str
    handler: Callable[[Request], Response]
    method: str = "GET"
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    media_types: tuple[str, ...] = ("application/json",)
    problems: tuple[tuple[HTTPStatus, str], ...] = ()
    immediate: bool = False

    def route(self) -> Route:
        """The endpoint as Starlette wants it."""
        return Route(
            self.path,
            self._at_once if self.immediate else self.handler,
            methods=[self.method],
            name=self.path,
        )

    async def _at_once(self, request: Request) -> Response:
        return self.handler(request)


def parse_query(request: Request, model: type[Query]) -> Query:
    """The query as ``model``; a ProblemError that names every parameter that is wrong."""
    given: dict[str, Any] = dict(request.query_params)
    repeated = [name for name in given if len(request.query_params.getlist(name)) > 1]
    if repeated:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{repeated[0]}: given more than once")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = [_parameter_problem(detail, model) for detail in error.errors()]
        raise ProblemError(HTTPStatus.BAD_REQUEST, problems[0], problems) from error


def json_response(view: BaseModel, status: int = 200) -> Response:
    """A view as an answer."""
    return Response(view.model_dump_json(), status, media_type="application/json")


def _parameter_problem(detail: Any, model: type[BaseModel]) -> str:
    name = ".".join(str(step) for step in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{name}: no such parameter; there are {', '.join(model.model_fields) or 'none'}"
    return f"{name}: {detail['msg'].removeprefix('Value error, ')}"
