"""Scrapes that the event loop answers beside each other and beside other things."""

import asyncio
from collections.abc import Iterable
from unittest import mock

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from exporter.metrics import definitions
from exporter.metrics.exporter_metrics import set_stream_clients
from exporter.metrics.exposition import Exposition
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.web.metrics import MetricsRoutes
from tests.metrics import samples

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
EXITS, PYTHON = f"name[]={definitions.EXITS.name}", "name[]=python_info"
REQUESTS = [(accept, query) for accept in ("", OPENMETRICS) for query in ("", EXITS, PYTHON)]


@pytest.fixture
def state() -> MetricState:
    """Return a state with a value of every metric."""
    return samples.filled_state()


@pytest.fixture
def routes(state: MetricState) -> MetricsRoutes:
    """Return the endpoint."""
    return MetricsRoutes(state, "/metrics")


async def respond(routes: MetricsRoutes, accept: str = "", query: str = "") -> Response:
    """Return the response to somebody who does not scrape."""
    headers = [(b"accept", accept.encode())]
    scope = {"type": "http", "method": "GET", "headers": headers, "query_string": query.encode()}
    return await routes.metrics(Request(scope))


async def answer(routes: MetricsRoutes, accept: str = "", query: str = "") -> str:
    """Return the text of the response, without what is another each time."""
    response = await respond(routes, accept, query)
    assert isinstance(response, StreamingResponse)
    parts = [bytes(part) async for part in response.body_iterator if not isinstance(part, str)]
    return samples.comparable(b"".join(parts).decode())


async def answers(routes: MetricsRoutes, requests: Iterable[tuple[str, str]]) -> list[str]:
    """Return the texts of answers to requests that come at the same time."""
    return await asyncio.gather(*(answer(routes, *each) for each in requests))


def test_each_gets_what_it_asks_for(state: MetricState, routes: MetricsRoutes) -> None:
    apart = [asyncio.run(answer(MetricsRoutes(state, "/metrics"), *each)) for each in REQUESTS]
    assert len({*apart}) == len(REQUESTS)
    assert asyncio.run(answers(routes, REQUESTS * 3)) == apart * 3


def test_many_at_once_cost_one_text(routes: MetricsRoutes) -> None:
    with mock.patch("exporter.web.metrics.Exposition", wraps=Exposition) as made:
        asyncio.run(answers(routes, [("", "")] * 20))
    assert made.call_count == 1


def test_one_that_is_cancelled_leaves_nothing_for_the_next(state: MetricState, routes: MetricsRoutes) -> None:
    def set_clients(count: int) -> None:
        update = MetricUpdate()
        set_stream_clients(update, count)
        state.apply(update)

    async def cancelled_then_whole() -> list[str]:
        found = []
        for waits in range(8):
            set_clients(3)
            found.append(await answer(routes))
            set_clients(4)
            task = asyncio.create_task(answer(routes))
            for _ in range(waits):
                await asyncio.sleep(0)
            task.cancel()
            set_clients(3)
            found.append(await answer(routes))
        return found

    assert len({*asyncio.run(cancelled_then_whole())}) == 1


def test_others_are_served_in_between(routes: MetricsRoutes) -> None:
    async def served() -> int:
        task, count = asyncio.create_task(respond(routes)), 0
        while not task.done():
            await asyncio.sleep(0)
            count += 1
        return count

    # After it has compared, rendered, and joined.
    assert asyncio.run(served()) > 3


def test_the_texts_of_a_few_are_kept(routes: MetricsRoutes) -> None:
    for name in definitions.BY_NAME:
        asyncio.run(answer(routes, query=f"name[]={name}"))
    assert len(routes._kept) == 3
