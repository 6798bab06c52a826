"""A web server for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Return a running server."""
    with Served(tmp_path).running() as running:
        yield running
