"""While an older database is migrated, the daemon answers that it is alive and not ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from alembic import command
from alembic.script import ScriptDirectory

from exporter import app
from exporter.config.settings import Settings
from exporter.store import migrating
from exporter.web.service_manager import ServiceManager
from tests.lab.server import free_port
from tests.store.test_migrations import move

SECONDS = 60
OLD = "0009"


def steps() -> list[str]:
    """Return what is said of each step after the old revision."""
    scripts = ScriptDirectory(str(Path(migrating.__file__).with_name("migrations")))
    left = list(scripts.iterate_revisions("head", OLD))[::-1]
    return [f"{number} of {len(left)}: {script.doc}" for number, script in enumerate(left, 1)]


def get(url: str) -> tuple[int, str]:
    """Return the status of an answer, and what it says."""
    with requests.Session() as client:
        client.trust_env = False
        answer = client.get(url, timeout=SECONDS)
    said: dict[str, Any] = answer.json()
    return answer.status_code, said.get("detail") or said["status"]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the service manager is told."""
    states: list[str] = []
    monkeypatch.setattr(ServiceManager, "say", lambda _self, state: states.append(state))
    return states


def built(database: Path, port: int) -> app.App:
    """Return a daemon that is not started."""
    settings = Settings.model_validate(
        {
            "docker": {"host": ["unix:///nowhere.sock"]},
            "storage": {"url": f"sqlite:///{database}"},
            "web": {"listen-address": [f"127.0.0.1:{port}"]},
        }
    )
    return app.build(settings, {})


def test_each_step_is_said_until_the_daemon_answers_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    database, port = tmp_path / "exits.db", free_port()
    url = f"http://127.0.0.1:{port}"
    move(database, command.upgrade, OLD)
    answers: list[tuple[int, str]] = []
    upgrade = command.upgrade

    def asked(config: Any, revision: str) -> None:
        answers.extend(get(url + path) for path in ("/-/ready", "/metrics", "/-/healthy"))
        upgrade(config, revision)

    monkeypatch.setattr(command, "upgrade", asked)
    daemon = built(database, port)
    unready = [(503, f"migrating the database, step {step}") for step in steps()]
    assert len(unready) > 1
    assert answers == [answer for step in unready for answer in (step, step, (200, "healthy"))]
    assert told == ["EXTEND_TIMEOUT_USEC=600000000"] * len(unready)
    (listener,) = daemon.listeners
    assert listener.name == f"127.0.0.1:{port}"
    daemon.store.close()
    listener.close()
