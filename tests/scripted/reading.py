"""Reading the event stream as a watcher does: a streaming GET through the SDK's client, line by line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from docker import APIClient
from requests import Response


def get(client: APIClient, path: str, *, stream: bool = False, **query: str) -> Response:
    """Ask for a path under the negotiated version; a status that is an error is given like any other."""
    url = f"{client.base_url}/v{client.api_version}{path}"
    return client.get(url, params=query, stream=stream, timeout=10)


@contextmanager
def lines(client: APIClient, **query: str) -> Iterator[Iterator[bytes]]:
    """Open the event stream and give its lines as they come."""
    with get(client, "/events", stream=True, **query) as response:
        response.raise_for_status()
        yield response.iter_lines(chunk_size=None)


def past_events(client: APIClient, **query: str) -> list[dict[str, Any]]:
    """Give the events that a query with an end finds."""
    with lines(client, **query) as found:
        return [json.loads(line) for line in found]
