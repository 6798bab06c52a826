"""The endpoint that Prometheus scrapes."""

from __future__ import annotations

import gzip
import re

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from exporter.web.accept import known_formats
from exporter.web.endpoints import Endpoint

# A scrape is mostly repetition: the fastest level removes most of it.
_GZIP_LEVEL = 1


class MetricsQuery(BaseModel):
    """Parameters of a scrape; unknown ones are ignored."""

    names: list[str] = Field([], alias="name[]", description="Only these metrics; may be repeated.")


class MetricsRoutes:
    """Metrics of a registry, at ``path``. A scrape does no I/O."""

    def __init__(self, registry: CollectorRegistry, path: str) -> None:
        self._registry = registry
        self._path = path

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint(
                self._path,
                "The metrics, for Prometheus",
                self.metrics,
                query=MetricsQuery,
                media_types=("text/plain", "application/openmetrics-text"),
                run_inline=True,
                any_host=True,
            )
        ]

    def metrics(self, request: Request) -> Response:
        """Return all metrics, or those of ``name[]``, in the format and encoding that the client accepts."""
        names = request.query_params.getlist("name[]")
        encoder, content_type = choose_encoder(known_formats(request.headers.get("accept", "")))
        body = encoder(self._registry.restricted_registry(names) if names else self._registry)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if _accepts_gzip(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, _GZIP_LEVEL)
        return Response(body, headers=headers, media_type=content_type)


def _accepts_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding == "gzip":
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False
