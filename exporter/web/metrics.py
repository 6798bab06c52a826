"""The endpoint that Prometheus scrapes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import count

from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from exporter.metrics.exposition import Exposition, Steps
from exporter.metrics.series_view import ScrapedView, SeriesView
from exporter.metrics.state import MetricState
from exporter.web.accept import known_formats
from exporter.web.connections import HAS_GONE, ON_LOST
from exporter.web.endpoints import Endpoint

# Whose text is kept: more than two Prometheus of different versions, and somebody who looks.
_MAX_KEPT = 3
# Prometheus, and those who scrape as it does, send this with each scrape; a person with curl does not.
_SCRAPE_HEADER = "x-prometheus-scrape-timeout-seconds"
# Sent by proxies, which may share one connection among several scrapers.
_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for")


class MetricsQuery(BaseModel):
    """Parameters of a scrape; unknown ones are ignored."""

    names: list[str] = Field([], alias="name[]", description="Only these metrics; may be repeated.")


class MetricsRoutes:
    """Metrics of a state, at ``path``: as they are, or as scrapes are shown them. A scrape does no I/O."""

    def __init__(self, state: MetricState, path: str) -> None:
        self._current = state
        self._scraped = ScrapedView(state)
        self._scrapers = state.scrapers
        self._path = path
        self._unnamed = count()
        # In the order of their last use.
        self._kept: dict[object, Exposition] = {}
        self._one_at_a_time = asyncio.Lock()

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

    async def metrics(self, request: Request) -> Response:
        """Return all metrics, or those of ``name[]``, in the format and encoding that the client accepts."""
        if _SCRAPE_HEADER not in request.headers or request.method != "GET":
            return await self._response(request, self._current)
        begun = self._scrapers.now()
        return await self._response(request, self._scraped, partial(self._on_scraped, request, begun))

    async def _response(
        self, request: Request, view: SeriesView, on_last_part: Callable[[], None] = lambda: None
    ) -> Response:
        encoder, content_type = choose_encoder(known_formats(request.headers.get("accept", "")))
        names = tuple(request.query_params.getlist("name[]"))
        compressed = _accepts_gzip(request.headers.get("accept-encoding", ""))
        async with self._one_at_a_time:
            key = (view, content_type, names)
            # Put back only with its answer: without one, it is incomplete.
            exposition = self._kept.pop(key, None) or Exposition(view, encoder, names)
            parts = await _run(exposition.answer(compressed=compressed))
            self._kept = dict([*self._kept.items(), (key, exposition)][-_MAX_KEPT:])
        headers = {"Vary": "Accept, Accept-Encoding", "Content-Length": str(sum(map(len, parts)))}
        headers |= {"Content-Encoding": "gzip"} if compressed else {}
        return StreamingResponse(
            _sent_one_by_one(parts, on_last_part), headers=headers, media_type=content_type
        )

    def _on_scraped(self, request: Request, begun: float) -> None:
        """Count the answer as given, unless the scraper has given up waiting for it.

        Not before its last part: a series must not be shown with its value until it was shown as 0.
        """
        state = request.scope["state"]
        if not state[HAS_GONE]():
            scraper = self._scraper(request)
            self._scrapers.on_scraped(scraper, begun)
            state[ON_LOST] = partial(self._scrapers.on_lost, scraper)

    def _scraper(self, request: Request) -> int:
        """Return a key of the scraper: its connection, and what it asks for.

        Two on one machine, or behind one router, have the same address. A connection through a proxy may be
        shared by several: each scrape is then one of its own, and waited for until it is too old.
        """
        client = request.client
        is_direct = client is not None and client.port and not any(map(request.headers.get, _PROXY_HEADERS))
        connection = (client.host, client.port) if client and is_direct else next(self._unnamed)
        return hash((connection, request.url.query))


async def _run(steps: Steps) -> list[bytes]:
    """Return the result of the steps; the event loop may serve others between them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return list[bytes](end.value)
        await asyncio.sleep(0)


async def _sent_one_by_one(parts: Sequence[bytes], on_last_part: Callable[[], None]) -> AsyncIterator[bytes]:
    for part in parts[:-1]:
        yield part
        await asyncio.sleep(0)
    on_last_part()
    yield parts[-1]


def _accepts_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding == "gzip":
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False
