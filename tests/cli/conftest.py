"""Servers with a job of every kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.outputs import fill, fill_more
from tests.web.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Return a server with the jobs of the outputs, which the test may change."""
    with Served(tmp_path).running() as running:
        fill(running)
        yield running


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server with the same jobs for all tests that only ask."""
    with Served(tmp_path_factory.mktemp("unchanged")).running() as running:
        fill(running)
        yield running


@pytest.fixture(scope="module")
def with_more(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server that has the jobs with evidence as well, for all tests that only ask."""
    with Served(tmp_path_factory.mktemp("with-more")).running() as running:
        fill(running)
        fill_more(running)
        yield running
