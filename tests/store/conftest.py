"""A database file of its own for each test, and a store over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.store import Store
from tests.store.files import opened


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Give the path of a database that is not there yet."""
    return tmp_path / "exits.db"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    """Give a store over a new database."""
    with opened(database) as new:
        yield new
