"""A server with a job of every kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.outputs import fill
from tests.web.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Return a server with the jobs of the outputs."""
    with Served(tmp_path).running() as running:
        fill(running)
        yield running
