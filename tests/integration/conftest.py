"""Real parts: one private Docker Engine for all tests here, and exporters that watch it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.lab.engine import PrivateEngine
from tests.lab.images import import_busybox, import_python
from tests.lab.install import ensure_dockerd
from tests.lab.wheels import build_wheels


@pytest.fixture(scope="session")
def engine() -> Iterator[PrivateEngine]:
    """A private Docker Engine with the images of the tests."""
    ensure_dockerd()
    with PrivateEngine() as private:
        client = private.client()
        import_busybox(client)
        import_python(client)
        yield private


@pytest.fixture(scope="session")
def client(engine: PrivateEngine) -> docker.DockerClient:
    """A client of the private engine."""
    return engine.client()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of all that the project's image is built from."""
    return build_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where an exporter of a test keeps its store and its log."""
    return tmp_path
