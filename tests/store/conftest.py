"""A database for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.store import Store
from tests.store.files import opened


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return the path of a database that does not exist yet."""
    return tmp_path / "exits.db"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    """Return a store with a new database."""
    with opened(database) as new:
        yield new
