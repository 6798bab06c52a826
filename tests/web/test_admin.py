"""Liveness, readiness and reload."""

from http import HTTPStatus
from pathlib import Path

import pytest
from anyio import to_thread

from exporter import __version__
from exporter.verdict.catalog_file import builtin_catalog
from tests.web.responses import content, ok, problem
from tests.web.served import Served

RELOAD_METRICS = (
    "exit_exporter_config_last_reload_successful",
    "exit_exporter_config_last_reload_success_timestamp_seconds",
)
GOOD_FILE = """\
reasons:
  CheckpointCorrupt: {meaning: The checkpoint cannot be read.}
codes:
  42: CheckpointCorrupt
"""
BAD_FILE = """\
codes:
  42: checkpoint corrupt
  0: Completed

workloads:
  shop/*: {43: Nowhere}
"""
NOT_ALIVE = "the pipeline has ended, or stands still; the log has the cause"
REFUSED = "the catalogue file is refused; the previous one stays in use"


def test_the_daemon_is_healthy_while_the_pipeline_runs(served: Served) -> None:
    assert content(served.ask("/-/healthy")) == ok({"status": "healthy"})
    served.alive = False
    assert content(served.ask("/-/healthy")) == problem(HTTPStatus.INTERNAL_SERVER_ERROR, NOT_ALIVE)


def test_the_daemon_is_ready_without_problems(served: Served) -> None:
    unready = HTTPStatus.SERVICE_UNAVAILABLE
    store, engine = "store: /exits.db: database or disk is full", "unix:///b.sock: connection refused"
    served.health.set_unready("unix:///b.sock", "the engine has not answered yet")
    served.health.set_unready("store", "/exits.db: database or disk is full")
    served.health.set_unready("unix:///b.sock", "connection refused")
    assert content(served.ask("/-/ready")) == problem(unready, store, store, engine)
    served.health.set_ready("store")
    assert content(served.ask("/-/ready")) == problem(unready, engine, engine)
    served.health.set_ready("unix:///b.sock")
    served.health.set_ready("a component that was never unready")
    assert content(served.ask("/-/ready")) == ok({"status": "ready"})
    served.health.set_limitations("unix:///b.sock", ["no names", "no\nlogs"])
    limitations = ["unix:///b.sock: no names", "unix:///b.sock: no\ufffdlogs"]
    assert content(served.ask("/-/ready")) == ok({"status": "ready", "limitations": limitations})
    served.health.set_limitations("unix:///b.sock", [])
    assert content(served.ask("/-/ready")) == ok({"status": "ready"})


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
def test_its_state_is_told_at_a_limit_of_threads(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def refuse(*_arguments: object, **_settings: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(to_thread, "run_sync", refuse)
    served.alive = False
    served.health.set_unready("store", "is full")
    answer = served.ask(path)
    assert answer.json()["detail"] in {"store: is full", NOT_ALIVE}


# Reload


def reload_metrics(served: Served) -> list[float | None]:
    """Return the metrics of the last reload: its success, and the time of the last success."""
    values = served.metric_state.snapshot()
    return [values.get((name, ())) for name in RELOAD_METRICS]


def reload(served: Served, text: str) -> object:
    """Write the catalogue file and reload it; return the content of the response."""
    served.catalogue_file.write_text(text, encoding="utf-8")
    return content(served.ask("/-/reload", "POST"))


def reason_of(served: Served, code: int) -> str:
    """Return the reason of a code without evidence."""
    reason: str = served.ask(f"/api/v1/reasons/{code}").json()["readings"][0]["reason"]
    return reason


def test_a_good_file_is_used_after_a_reload(served: Served) -> None:
    assert reason_of(served, 42) == "Error"
    builtin = builtin_catalog()
    size = {"codes": len(builtin.codes) + 1, "reasons": len(builtin.reasons) + 1}
    assert reload(served, GOOD_FILE) == ok(size)
    assert reason_of(served, 42) == "CheckpointCorrupt"
    success, time = reload_metrics(served)
    assert success == 1
    assert time is not None


def test_a_bad_file_is_refused_with_all_its_problems(served: Served) -> None:
    reload(served, GOOD_FILE)
    _, time = reload_metrics(served)
    file, status = served.catalogue_file, HTTPStatus.UNPROCESSABLE_ENTITY
    name = "expected 2 to 64 letters and digits that begin with a capital, as in CorruptInput"
    assert reload(served, BAD_FILE) == problem(status, REFUSED, f"{file}:2: codes.42.reason: {name}")
    assert reload(served, BAD_FILE.replace("checkpoint corrupt", "Error")) == problem(
        status,
        REFUSED,
        f"{file}:3: codes.0: code 0 is always Completed and cannot be renamed",
        f"{file}:6: workloads.shop/*.43: reason Nowhere is described nowhere; "
        "add it under 'reasons:' with a meaning",
    )
    assert reason_of(served, 42) == "CheckpointCorrupt"
    assert reload_metrics(served) == [0, time]
    reload(served, GOOD_FILE)
    assert reload_metrics(served)[0] == 1


def test_a_missing_file_is_refused(served: Served) -> None:
    served.catalogue_file.unlink()
    cause = f"{served.catalogue_file}: cannot be read: No such file or directory"
    expected = problem(HTTPStatus.UNPROCESSABLE_ENTITY, REFUSED, cause)
    assert content(served.ask("/-/reload", "POST")) == expected
    assert reload_metrics(served) == [0, None]


def test_it_reloads_only_with_the_setting(tmp_path: Path) -> None:
    off = Served(tmp_path)
    off.lifecycle = False
    detail = "Lifecycle API is not enabled; start with --web.enable-lifecycle, or send SIGHUP"
    with off.running():
        assert reload(off, GOOD_FILE) == problem(HTTPStatus.FORBIDDEN, detail)
        assert reason_of(off, 42) == "Error"


def test_a_get_does_not_reload(served: Served) -> None:
    response = served.ask("/-/reload")
    expected = problem(HTTPStatus.METHOD_NOT_ALLOWED, "GET is not allowed at /-/reload")
    assert content(response) == expected
    assert response.headers["allow"] == "POST"


def test_the_openapi_document_has_the_version(served: Served) -> None:
    assert served.ask("/openapi.json").json()["info"]["version"] == __version__
