"""A scripted engine and a client of it, for the tests of the fixture itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from tests.scripted.engine import ScriptedEngine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ScriptedEngine]:
    """Give a scripted engine that runs."""
    with ScriptedEngine(tmp_path) as running:
        yield running


@pytest.fixture
def client(engine: ScriptedEngine) -> Iterator[APIClient]:
    """Give a client that has negotiated the version with it."""
    connected = APIClient(base_url=engine.url, version="auto")
    yield connected
    connected.close()
