"""The newest engine is built once, whole or not at all; where it cannot be, that is said."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import conftest
from tests.lab import engine29
from tests.lab.engine29 import RECIPE, engine_29, why_no_engine_29
from tests.lab.errors import LabError

GO = """\
#!/bin/sh
for last in "$@"; do :; done
name=${last##*/}
echo "${name%@*}" >> "$GO_LOG"
[ "${name%@*}" != "$GO_FAILS_AT" ] || { echo cannot compile; exit 1; }
mkdir -p "$GOBIN" && echo built > "$GOBIN/${name%@*}"
"""


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Go and with an empty cache, which has all else that a build needs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(engine29, "USUAL_GO", "/nowhere")
    monkeypatch.setattr(engine29, "ensure_to_build", lambda: None)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a Go that stands in for the real one writes down what it was asked to build."""
    go, log = tmp_path / "bin" / "go", tmp_path / "built"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(go.parent), "/usr/bin", "/bin"]))
    monkeypatch.setenv("GO_LOG", str(log))
    return log


def test_however_many_want_it_it_is_built_once(built: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(lambda _: engine_29(), range(3)))
    names = [program.name for program in RECIPE]
    assert [{path.name for path in folder.iterdir()} for folder in folders] == [set(names)]
    assert built.read_text().split() == names


def test_half_an_engine_is_none(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_FAILS_AT", "dockerd")
    with pytest.raises(LabError, match="dockerd cannot be built:\ncannot compile"):
        engine_29()
    assert [path.suffix for path in (tmp_path / "cache" / "exit-exporter").iterdir()] == [".lock"]
    monkeypatch.delenv("GO_FAILS_AT")
    built.unlink()
    assert (engine_29() / "dockerd").is_file()


def test_without_go_there_is_one_engine_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIL_ON_SKIP", raising=False)
    why = "there is no `go` on PATH: install it"
    assert why in (why_no_engine_29() or "")
    assert why in conftest.pytest_report_header()
    conftest.pytest_configure()
    with pytest.raises(LabError, match="there is no `go` on PATH: install it"):
        engine_29()


def test_without_go_a_change_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL_ON_SKIP", "1")
    with pytest.raises(pytest.UsageError, match="Tested on one engine alone"):
        conftest.pytest_configure()


@pytest.mark.usefixtures("built")
def test_what_was_built_needs_no_go_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = engine_29()
    monkeypatch.setenv("PATH", "/nowhere")
    assert (why_no_engine_29(), engine_29()) == (None, folder)
