"""Requests to an engine through the SDK's client: the event stream, line by line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from docker import APIClient
from requests import Response


def get(client: APIClient, path: str, *, stream: bool = False, **query: str) -> Response:
    """Return the response for a path in the negotiated version, whatever its status."""
    url = f"{client.base_url}/v{client.api_version}{path}"
    return client.get(url, params=query, stream=stream, timeout=10)


@contextmanager
def lines(client: APIClient, **query: str) -> Iterator[Iterator[bytes]]:
    """Open the event stream and yield an iterator of its lines."""
    with get(client, "/events", stream=True, **query) as response:
        response.raise_for_status()
        yield response.iter_lines(chunk_size=None)


def past_events(client: APIClient, **query: str) -> list[dict[str, Any]]:
    """Return the events of a query with an end."""
    with lines(client, **query) as found:
        return [json.loads(line) for line in found]
