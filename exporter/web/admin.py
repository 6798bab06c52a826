"""Endpoints for those who operate the daemon: liveness, readiness and reload."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from exporter.config.yaml_document import DocumentError
from exporter.pipeline.readiness import Readiness
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.endpoints import Endpoint, json_response
from exporter.web.problems import ProblemError
from exporter.web.views import ReadyView, ReloadView, StateView


class AdminRoutes:
    """State of the daemon itself; no request touches an engine, the store or a collector.

    ``reload`` reloads the catalogue or raises DocumentError; ``is_alive`` is false if the pipeline has ended,
    or gets no further. ``lifecycle``: the catalogue can be reloaded by a request.
    """

    def __init__(
        self,
        readiness: Readiness,
        catalog: ReloadableCatalog,
        reload: Callable[[], None],
        is_alive: Callable[[], bool],
        *,
        lifecycle: bool,
    ) -> None:
        self._readiness = readiness
        self._catalog = catalog
        self._reload = reload
        self._is_alive = is_alive
        self._lifecycle = lifecycle

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint(
                "/-/healthy",
                "Whether the daemon records exits",
                self.healthy,
                response_model=StateView,
                error_responses=((HTTPStatus.INTERNAL_SERVER_ERROR, "It does not; restart it."),),
                run_inline=True,
                any_host=True,
            ),
            Endpoint(
                "/-/ready",
                "Whether its data is complete and up to date",
                self.ready,
                response_model=ReadyView,
                error_responses=((HTTPStatus.SERVICE_UNAVAILABLE, "It is not; 'errors' has the causes."),),
                run_inline=True,
                any_host=True,
            ),
            Endpoint(
                "/-/reload",
                "Reload the catalogue file",
                self.reload,
                method="POST",
                response_model=ReloadView,
                error_responses=(
                    (HTTPStatus.FORBIDDEN, "It needs --web.enable-lifecycle, and no page of another site."),
                    (HTTPStatus.UNPROCESSABLE_ENTITY, "The file is refused; the previous one stays in use."),
                ),
            ),
        ]

    def healthy(self, _request: Request) -> Response:
        """Return 200 while the pipeline gets on."""
        if not self._is_alive():
            detail = "the pipeline has ended, or stands still; the log has the cause"
            raise ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
        return json_response(StateView(status="healthy"))

    def ready(self, _request: Request) -> Response:
        """Return 200 while every engine is listed and watched, and the store accepts writes."""
        causes = self._readiness.problems()
        if causes:
            problems = [f"{component}: {cause}" for component, cause in sorted(causes.items())]
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, problems[0], problems)
        view = ReadyView(status="ready", limitations=self._readiness.limitations())
        return Response(view.model_dump_json(exclude_defaults=True), media_type="application/json")

    def reload(self, _request: Request) -> Response:
        """Reload the catalogue file as a whole, or keep the previous one."""
        if not self._lifecycle:
            detail = "Lifecycle API is not enabled; start with --web.enable-lifecycle, or send SIGHUP"
            raise ProblemError(HTTPStatus.FORBIDDEN, detail)
        try:
            self._reload()
        except DocumentError as error:
            detail = "the catalogue file is refused; the previous one stays in use"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, error.problems) from error
        catalog = self._catalog.current
        return json_response(ReloadView(codes=len(catalog.codes), reasons=len(catalog.reasons)))
