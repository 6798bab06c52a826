"""No variable of the environment breaks what the daemon answers: one that cannot be used ends it at once."""

import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.lab.exporter import ExporterProcess, clean_environment
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine

NOT_UTF_8 = os.fsdecode(b"/tmp/\xff\x80")
TIMEOUT_SECONDS = 20.0


@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        (
            "DOCKER_HOST",
            f"unix://{NOT_UTF_8}",
            "DOCKER_HOST: 'unix:///tmp/\\udcff\\udc80' has control",
        ),
        ("DOCKER_HOST", "unix:///tmp/\x1b[2J", "DOCKER_HOST: 'unix:///tmp/\\x1b[2J' has control"),
        ("DOCKER_CONTEXT", NOT_UTF_8, "there is no Docker context '/tmp/\\udcff\\udc80'"),
        (
            "EXIT_EXPORTER_DOCKER_HOST",
            f"unix://{NOT_UTF_8}",
            "EXIT_EXPORTER_DOCKER_HOST: 'unix:///tmp/\\udcff",
        ),
    ],
)
def test_an_engine_that_cannot_be_shown_is_refused(
    tmp_path: Path, variable: str, value: str, cause: str
) -> None:
    command = [sys.executable, "-m", "exporter", "serve", "--web.listen-address", "127.0.0.1:0"]
    ended = subprocess.run(
        [*command, "--storage.url", f"sqlite:///{tmp_path / 'exits.db'}"],
        env=clean_environment() | {"DOCKER_CONFIG": str(tmp_path), variable: value},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert ended.returncode == (2 if variable.startswith("EXIT_EXPORTER_") else 1)
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(f"Error: {cause}")


def test_other_variables_that_are_not_utf_8_break_no_answer(engine: ScriptedEngine, tmp_path: Path) -> None:
    others = ("LANG", "TZ", "HOSTNAME", "XDG_RUNTIME_DIR", "http_proxy", "WEB_CONCURRENCY")
    with ExporterProcess(engine.url, tmp_path, environment=dict.fromkeys(others, NOT_UTF_8)) as exporter:
        statuses = [exporter.get(path).status_code for path in ("/metrics", "/-/ready", "/", "/api/v1/jobs")]
    assert statuses == [HTTPStatus.OK] * 4


def test_a_database_whose_path_is_not_utf_8_is_named_when_it_is_away(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    home = tmp_path / NOT_UTF_8.rpartition("/")[2]
    exporter = _HomeOfExporter(engine.url, tmp_path, environment={"XDG_STATE_HOME": str(home)})
    with exporter:
        for file in home.rglob("exits.db*"):
            file.write_bytes(b"x" * 8192)
        assert wait_until(lambda: exporter.get("/api/v1/jobs").status_code == 503, TIMEOUT_SECONDS)
        assert "??" in exporter.get("/api/v1/jobs").json()["detail"]
        assert exporter.get("/metrics").ok


class _HomeOfExporter(ExporterProcess):
    """An exporter whose database is where it is without a setting."""

    def _command(self) -> list[str | Path]:
        *command, _, _ = super()._command()
        return command
