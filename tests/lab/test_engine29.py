"""The build of Engine 29: once, completely or not at all, and with a message if it is impossible."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import conftest
from tests.lab import engine29, go
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
    """Set up a machine without Go and with an empty cache, but with everything else that a build needs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(go, "USUAL_FOLDER", "/nowhere")
    monkeypatch.setattr(engine29, "ensure_to_build", lambda: None)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a fake `go`; return the file in which it lists the programs that it builds."""
    go, log = tmp_path / "bin" / "go", tmp_path / "built"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(go.parent), "/usr/bin", "/bin"]))
    monkeypatch.setenv("GO_LOG", str(log))
    return log


def test_parallel_callers_build_the_engine_once(built: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(lambda _: engine_29(), range(3)))
    names = [program.name for program in RECIPE]
    assert [{path.name for path in folder.iterdir()} for folder in folders] == [set(names)]
    assert built.read_text().split() == names


def test_a_failed_build_leaves_no_engine(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_FAILS_AT", "dockerd")
    with pytest.raises(LabError, match="dockerd cannot be built:\ncannot compile"):
        engine_29()
    assert [path.suffix for path in (tmp_path / "cache" / "exit-exporter").iterdir()] == [".lock"]
    monkeypatch.delenv("GO_FAILS_AT")
    built.unlink()
    assert (engine_29() / "dockerd").is_file()


def test_without_go_the_test_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIL_ON_SKIP", raising=False)
    why = "there is no `go` on PATH: install it"
    assert why in (why_no_engine_29() or "")
    assert why in conftest.pytest_report_header()
    conftest.pytest_configure()
    with pytest.raises(LabError, match="there is no `go` on PATH: install it"):
        engine_29()


def test_without_go_a_run_without_skips_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL_ON_SKIP", "1")
    with pytest.raises(pytest.UsageError, match="Tested only on Debian's engine"):
        conftest.pytest_configure()


@pytest.mark.usefixtures("built")
def test_a_built_engine_needs_no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = engine_29()
    monkeypatch.setenv("PATH", "/nowhere")
    assert (why_no_engine_29(), engine_29()) == (None, folder)
