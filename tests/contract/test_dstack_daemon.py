"""The daemon that asks dstack's server: its settings, its token, and its start."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

import pytest

from exporter.config.settings import DstackSettings, Settings
from exporter.config.variables import DSTACK_TOKEN
from exporter.sources.dstack.problems import Problem, ServerError
from exporter.sources.dstack.source import dstack_server
from exporter.sources.dstack.token import token_reader
from exporter.sources.source import Inbox, SourceError
from tests.contract.test_dstack_server import still_open
from tests.integration.faces import samples
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.dstack_server import TOKEN, DstackApi, recorded_run
from tests.scripted.engine import ScriptedEngine

URL = "http://127.0.0.1:1"
NO_TOKEN = "holds no token, which is one word of ASCII characters"  # noqa: S105  # an error
TIMEOUT_SECONDS = 20.0
UP, NOT_CREATED = "exit_exporter_dstack_server_up", "container_not_created_total"


def refused(settings: Mapping[str, object], environment: Mapping[str, str] | None = None) -> str:
    """Return why settings are refused."""
    chosen = Settings(dstack=DstackSettings.model_validate(settings))
    with pytest.raises(SourceError) as error:
        dstack_server(chosen, environment or {}, Inbox())
    return str(error.value)


def test_each_refusal_names_the_flag_and_what_to_do(tmp_path: Path) -> None:
    file, missing = tmp_path / "token", tmp_path / "missing"
    file.write_text("two words\n")
    with_file = {"url": URL, "token-file": file}
    assert refused({"url": URL}) == (
        f"--dstack.url needs a token: give --dstack.token-file, or the variable {DSTACK_TOKEN}"
    )
    assert refused(with_file, {DSTACK_TOKEN: TOKEN}) == (
        f"--dstack.token-file and {DSTACK_TOKEN} are both given; give one of them"
    )
    assert refused(with_file) == f"--dstack.token-file: {file}: {NO_TOKEN}"
    assert refused({"url": URL}, {DSTACK_TOKEN: "tökén"}) == f"{DSTACK_TOKEN}: {NO_TOKEN}"
    assert refused({"url": URL, "token-file": missing}) == (
        f"--dstack.token-file: {missing}: No such file or directory"
    )
    needs_url = "--dstack.token-file and --dstack.projects need a server: give --dstack.url too"
    assert refused({"token-file": file}) == refused({"projects": "main"}) == needs_url


def test_without_a_url_no_server_is_asked() -> None:
    assert dstack_server(Settings(), {DSTACK_TOKEN: TOKEN}, Inbox()) is None


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    read = token_reader(file, {})
    assert read() == "first"
    file.write_text("second")
    assert read() == "second"
    file.unlink()
    with pytest.raises(ServerError) as error:
        read()
    assert error.value.problem is Problem.TOKEN


@pytest.mark.parametrize("by_file", [True, False])
def test_a_daemon_counts_and_shows_what_the_server_knows(
    engine: ScriptedEngine, tmp_path: Path, *, by_file: bool
) -> None:
    file, ended = tmp_path / "token", recorded_run("g-whole")
    file.write_text(f"{TOKEN}\n")
    by = ("--dstack.token-file", str(file)) if by_file else ()
    variables = {} if by_file else {DSTACK_TOKEN: TOKEN}
    with DstackApi(still_open(ended)) as api:
        flags = ("--dstack.url", api.url, *by, "--dstack.interval", "1s", "--storage.retention", "0")
        daemon = ExporterProcess(engine.url, tmp_path, arguments=flags, environment=variables)
        with daemon as exporter:
            assert wait_until(lambda: samples(exporter, UP) == {(): 1}, TIMEOUT_SECONDS)
            api.runs = [ended]
            assert wait_until(lambda: bool(exporter.jobs()), TIMEOUT_SECONDS)
            labels = {"status": "failed", "termination": "NO_CAPACITY", "reason": "NoCapacity"}
            assert samples(exporter, NOT_CREATED) == {tuple(sorted(labels.items())): 1}
            (job,) = exporter.jobs()
            assert exporter.json(f"/api/v1/jobs/{job['id']}") == job
            api.answers = [lambda handler: handler.give({}, HTTPStatus.INTERNAL_SERVER_ERROR)] * 100
            assert wait_until(lambda: samples(exporter, UP) == {(): 0}, TIMEOUT_SECONDS)
            assert exporter.get("/-/ready").ok
        assert TOKEN not in exporter.log_path.read_text()
