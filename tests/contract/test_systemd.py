"""The unit of systemd, and what systemd does for the daemon."""

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
TIMEOUT_SECONDS = 30.0
MAX_EXPOSURE = 2.0


def test_the_units_exposure_is_low(tmp_path: Path) -> None:
    # The program of the unit is not installed here.
    text = (UNITS / "exit-exporter.service").read_text()
    unit = tmp_path / "exit-exporter.service"
    unit.write_text(text.replace("/opt/exit-exporter/bin/exit-exporter", shutil.which("true") or ""))
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
    assert float(exposure) < MAX_EXPOSURE


@pytest.mark.parametrize("name", ["exit-exporter.service", "exit-exporter.socket"])
def test_the_units_are_valid(name: str, tmp_path: Path) -> None:
    for unit in UNITS.glob("*.s*"):
        text = unit.read_text().replace("/opt/exit-exporter/bin/exit-exporter", shutil.which("true") or "")
        (tmp_path / unit.name).write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in verified.stderr.splitlines() if "exit-exporter" in line] == []


def test_it_serves_on_the_socket_that_systemd_passes_on(engine: ScriptedEngine, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    activate = ("systemd-socket-activate", "--listen", f"127.0.0.1:{port}")
    arguments = ("--web.systemd-socket",)
    with ExporterProcess(engine.url, tmp_path, port=port, arguments=arguments, wrapper=activate) as exporter:
        assert f"msg=listening address=127.0.0.1:{port}" in exporter.log_path.read_text()


def test_it_tells_its_manager_when_it_answers_and_when_it_stops(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(TIMEOUT_SECONDS)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        exporter = ExporterProcess(engine.url, tmp_path, environment=told)
        exporter.start()
        try:
            assert manager.recv(100) == b"READY=1"
            assert exporter.get("/-/healthy").ok
            assert manager.recv(100) == b"WATCHDOG=1"
        finally:
            assert exporter.stop() == 0
        assert wait_until(lambda: manager.recv(100) == b"STOPPING=1", TIMEOUT_SECONDS)


def test_it_serves_on_several_addresses(engine: ScriptedEngine, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    more = ("--web.listen-address", f"unix://{path}", "--web.socket-mode", "0600")
    with ExporterProcess(engine.url, tmp_path, arguments=more) as exporter:
        assert exporter.get("/-/healthy").ok
        asked = subprocess.run(
            ["curl", "--silent", "--unix-socket", str(path), "http://localhost/api/v1/jobs"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert (asked.stdout, path.stat().st_mode & 0o777) == ('{"jobs":[],"next_cursor":null}', 0o600)
    assert not path.exists()
