"""What those who run it ask for: the metrics, whether it lives, whether it is ready, a reload."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from exporter.config.yaml_document import DocumentError
from exporter.pipeline.readiness import Readiness
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.endpoints import Endpoint, json_response
from exporter.web.problems import ProblemError
from exporter.web.views import ReloadView, StateView

# A scrape is mostly repetition: the fastest level takes most of it out.
_GZIP_LEVEL = 1


class MetricsQuery(BaseModel):
    """What Prometheus may ask for; others of its parameters are let pass."""

    names: list[str] = Field([], alias="name[]", description="Only these metrics; may be repeated.")


@dataclass(frozen=True, slots=True)
class Daemon:
    """What is asked here: what to show, and the two things that can be done or asked of the whole."""

    registry: CollectorRegistry
    health: Readiness
    catalog: ReloadableCatalog
    reload: Callable[[], None]
    alive: Callable[[], bool]


class AdminRoutes:
    """Answers about the daemon itself; never touches an engine, the store or a collector."""

    def __init__(self, daemon: Daemon, telemetry_path: str) -> None:
        self._registry = daemon.registry
        self._health = daemon.health
        self._catalog = daemon.catalog
        self._reload = daemon.reload
        self._alive = daemon.alive
        self._telemetry_path = telemetry_path

    def endpoints(self) -> list[Endpoint]:
        """What there is."""
        return [
            Endpoint(
                self._telemetry_path,
                "The metrics, for Prometheus",
                self.metrics,
                query=MetricsQuery,
                media_types=("text/plain", "application/openmetrics-text"),
                immediate=True,
            ),
            Endpoint(
                "/-/healthy",
                "Whether the daemon works at all",
                self.healthy,
                answer=StateView,
                problems=((HTTPStatus.INTERNAL_SERVER_ERROR, "It does not; restart it."),),
                immediate=True,
            ),
            Endpoint(
                "/-/ready",
                "Whether what it says is complete right now",
                self.ready,
                answer=StateView,
                problems=((HTTPStatus.SERVICE_UNAVAILABLE, "It is not; 'errors' says why."),),
                immediate=True,
            ),
            Endpoint(
                "/-/reload",
                "Take the catalogue file anew",
                self.reload,
                method="POST",
                answer=ReloadView,
                problems=((HTTPStatus.UNPROCESSABLE_ENTITY, "The file is refused; the old one stays."),),
            ),
        ]

    def metrics(self, request: Request) -> Response:
        """What Prometheus scrapes; ``?name[]=`` restricts it."""
        names = request.query_params.getlist("name[]")
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        body = encoder(self._registry.restricted_registry(names) if names else self._registry)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if _accepts_gzip(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, _GZIP_LEVEL)
        return Response(body, headers=headers, media_type=content_type)

    def healthy(self, _request: Request) -> Response:
        """200 as long as exits are being taken in."""
        if not self._alive():
            raise ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "the pipeline has ended; its log says why")
        return json_response(StateView(status="healthy"))

    def ready(self, _request: Request) -> Response:
        """200 once every engine has been listed and is being watched, and the store takes what comes."""
        causes = self._health.problems()
        if causes:
            problems = [f"{who}: {cause}" for who, cause in sorted(causes.items())]
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, problems[0], problems)
        return json_response(StateView(status="ready"))

    def reload(self, _request: Request) -> Response:
        """Take the catalogue file anew, whole or not at all."""
        try:
            self._reload()
        except DocumentError as error:
            detail = "the catalogue file is refused, the one before stays"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, error.problems) from error
        catalog = self._catalog.current
        return json_response(ReloadView(codes=len(catalog.codes), reasons=len(catalog.reasons)))


def _accepts_gzip(accepted: str) -> bool:
    for offer in accepted.split(","):
        coding, *parameters = (part.strip() for part in offer.split(";"))
        if coding == "gzip":
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False
