"""A web side of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Give the whole web side, served."""
    with Served(tmp_path).running() as running:
        yield running
