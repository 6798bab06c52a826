"""A database for each test, and one for all examples that Hypothesis draws."""

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


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return a store for all examples of a module, with whatever the earlier ones have left."""
    with opened(tmp_path_factory.mktemp("used") / "exits.db") as store:
        yield store
