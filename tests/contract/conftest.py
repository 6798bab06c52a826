"""A scripted engine on a host that is not this one, so that no test turns on what this kernel kills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.engines import APIS, unlisted_ids
from tests.scripted.engine import ScriptedEngine


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScriptedEngine]:
    """A scripted engine that runs: of the older API, or of each (`of_each_api`)."""
    with unlisted_ids(ScriptedEngine(tmp_path, api=getattr(request, "param", APIS[0]))) as running:
        yield running


@pytest.fixture
def absent(tmp_path: Path) -> Iterator[ScriptedEngine]:
    """A scripted engine that has not been started yet."""
    engine = unlisted_ids(ScriptedEngine(tmp_path, name="absent.sock"))
    yield engine
    engine.stop()
