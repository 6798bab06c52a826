"""An endpoint as data: its route, the validation of its query and its documentation are derived from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.config.value_problems import cause_of
from exporter.web.problems import ProblemError

Query = TypeVar("Query", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path and method.

    ``handler`` runs in a thread and may read the store. With ``run_inline`` it runs in the event loop, where
    it must not block, may be a coroutine function, and is answered also while all threads are busy.
    ``response_model`` is the model of a 200 response, or of each event of a stream; None for text.
    ``error_responses`` are the other statuses, with their descriptions. ``any_host``: it is answered whatever
    the header ``Host`` says, since it shows no job.
    """

    path: str
    summary: str
    handler: Callable[[Request], Response | Awaitable[Response]]
    method: str = "GET"
    query: type[BaseModel] | None = None
    response_model: type[BaseModel] | None = None
    media_types: tuple[str, ...] = ("application/json",)
    error_responses: tuple[tuple[HTTPStatus, str], ...] = ()
    run_inline: bool = False
    any_host: bool = False

    def route(self) -> Route:
        """Return the endpoint as a route of Starlette."""
        handler = self._handle_inline if self.run_inline else self.handler
        return Route(self.path, handler, methods=[self.method], name=self.path)

    async def _handle_inline(self, request: Request) -> Response:
        response = self.handler(request)
        return response if isinstance(response, Response) else await response


def parse_query(request: Request, model: type[Query]) -> Query:
    """Return the query as ``model``. Raises ProblemError that names every wrong parameter."""
    parameters: dict[str, Any] = dict(request.query_params)
    repeated = [name for name in parameters if len(request.query_params.getlist(name)) > 1]
    if repeated:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{repeated[0]}: given more than once")
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        problems = [_parameter_problem(detail, model) for detail in error.errors()]
        raise ProblemError(HTTPStatus.BAD_REQUEST, problems[0], problems) from error


def json_response(view: BaseModel, status: int = 200) -> Response:
    """Return a view as a JSON response."""
    return Response(view.model_dump_json(), status, media_type="application/json")


def _parameter_problem(detail: ErrorDetails, model: type[BaseModel]) -> str:
    name = ".".join(str(step) for step in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{name}: unknown parameter; valid are: {', '.join(model.model_fields) or 'none'}"
    return f"{name}: {cause_of(detail)}"
