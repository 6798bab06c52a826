"""Real parts: a private Docker Engine of each kind for all tests here, and exporters that watch them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.failed_starts import MISSING_RUNTIME
from tests.lab.engine import PrivateEngine
from tests.lab.images import import_busybox, import_python
from tests.lab.kinds import AT_HAND, DEBIANS, NEWEST, new_engine
from tests.lab.wheels import build_wheels

on_each_engine = pytest.mark.parametrize("engine", AT_HAND, indirect=True, scope="module")
"""For a module (as its `pytestmark`) or a test: everything that it asks of `engine` is of each kind."""


def _with_images(kind: str) -> Iterator[PrivateEngine]:
    with new_engine(kind, MISSING_RUNTIME) as private:
        client = private.client()
        import_busybox(client)
        import_python(client)
        yield private


@pytest.fixture(scope="session")
def docker_20_10() -> Iterator[PrivateEngine]:
    """Debian's engine with the images of the tests."""
    yield from _with_images(DEBIANS)


@pytest.fixture(scope="session")
def docker_29() -> Iterator[PrivateEngine]:
    """The newest engine with the images of the tests."""
    yield from _with_images(NEWEST)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> PrivateEngine:
    """A private Docker Engine with the images of the tests: Debian's, or of each kind (`on_each_engine`).

    Each is started once, whatever the order of the tests.
    """
    kind = getattr(request, "param", DEBIANS)
    private: PrivateEngine = request.getfixturevalue({DEBIANS: "docker_20_10", NEWEST: "docker_29"}[kind])
    return private


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
