"""Web servers: one for each test, and one for those that only ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Return a running server."""
    with Served(tmp_path).running() as running:
        yield running


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a running server without jobs for all tests that only ask."""
    with Served(tmp_path_factory.mktemp("unchanged")).running() as running:
        yield running
