"""The garbage collector looks at little while the daemon answers: at nothing that its start has made."""

import signal
from pathlib import Path

from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine

# Python imports this module at its start, if it finds one.
REPORTING = """
import gc, signal
from pathlib import Path

def report(*_):
    while len(gc.callbacks):
        gc.collect()
    gc.collect()
    text = f"{gc.get_freeze_count()} {len(gc.get_objects())}"
    Path(__file__).with_name("counted").write_text(text)

signal.signal(signal.SIGUSR1, report)
"""
PATHS = ("/", "/metrics", "/api/v1/jobs", "/api/v1/summary", "/openapi.json")
MAX_LOOKED_AT = 15_000


def test_a_full_collection_looks_at_a_fraction_of_all_objects(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(REPORTING)
    counted = tmp_path / "counted"
    with (
        ScriptedEngine(tmp_path) as engine,
        ExporterProcess(engine.url, tmp_path, environment={"PYTHONPATH": str(tmp_path)}) as exporter,
    ):
        for path in PATHS:
            exporter.get(path)
        exporter.process.send(signal.SIGUSR1)
        assert wait_until(lambda: counted.exists() and bool(counted.read_text()), 20)
    exempt, looked_at = map(int, counted.read_text().split())
    assert looked_at < min(MAX_LOOKED_AT, exempt / 5)
