"""Scripted engines on another host, so that no test depends on this kernel's OOM kills."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.engines import APIS, on_other_host
from tests.scripted.engine import ScriptedEngine


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScriptedEngine]:
    """Running scripted engine: of the older API, or of both (`of_each_api`)."""
    with on_other_host(ScriptedEngine(tmp_path, api=getattr(request, "param", APIS[0]))) as running:
        yield running


@pytest.fixture
def absent(tmp_path: Path) -> Iterator[ScriptedEngine]:
    """Scripted engine that is not started yet."""
    engine = on_other_host(ScriptedEngine(tmp_path, name="absent.sock"))
    yield engine
    engine.stop()
