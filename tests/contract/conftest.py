"""Scripted engines on another host, so that no test depends on this kernel's OOM kills; and a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.pipeline import loop, recorder, records
from tests.contract.engines import APIS, on_other_host
from tests.contract.pipeline_driver import PipelineDriver
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


@pytest.fixture
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pipeline retry, and look at what is due, without a pause."""
    for module in (recorder, records):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(loop, "IDLE_SECONDS", 0.01)


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[PipelineDriver]:
    """Running pipeline whose engine is connected and listed."""
    with PipelineDriver(tmp_path) as driver:
        driver.connect()
        assert driver.becomes_ready()
        yield driver
