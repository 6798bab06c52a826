"""``serve``: its flags, its errors at the start, and the running daemon."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import structlog

from exporter import app
from exporter.config.options import settings_options
from exporter.config.settings import Settings
from exporter.thread_limit import NO_THREAD
from tests.cli.command import COMMAND, PATIENCE_SECONDS, Done, environment, invoke, run

GOLDEN = Path(__file__).with_name("golden") / "serve_help.txt"
NOWHERE = "unix:///nowhere/docker.sock"
LEVELS = "'debug', 'info', 'warning' or 'error'"
STOP = Done(1, "", "Error: as far as this goes\n")


@pytest.fixture(autouse=True)
def _reset_logging() -> Iterator[None]:
    """Undo what a command within this process configures."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Return the settings of daemons that would have been built; none is."""
    seen: list[Settings] = []

    def build(settings: Settings, _environment: object) -> app.App:
        seen.append(settings)
        raise app.StartError("as far as this goes")

    monkeypatch.setattr(app, "build", build)
    return seen


def at_free_port(directory: Path, *words: str) -> list[str]:
    """Return the arguments of a daemon of an engine that does not exist, with a database of its own."""
    url = f"sqlite:///{directory}/exits.db"
    address = "127.0.0.1:0"
    return ["serve", "--docker.host", NOWHERE, "--web.listen-address", address, "--storage.url", url, *words]


# Flags


def test_the_help_is_as_agreed() -> None:
    assert run("serve", "--help", COLUMNS="100") == Done(0, GOLDEN.read_text(encoding="utf-8"), "")


def test_every_setting_is_a_flag() -> None:
    flags = re.findall(r"^  (--[a-z.-]+)", GOLDEN.read_text(encoding="utf-8"), re.MULTILINE)
    assert flags == [option.flag for option in settings_options()]


@pytest.mark.parametrize(
    ("words", "variables", "changes"),
    [
        (["--workload.limit", "7"], {}, {"workload": {"limit": 7}}),
        (
            ["--docker.host", "unix:///a", "--docker.host", "tcp://b:2376"],
            {},
            {"docker": {"host": ("unix:///a", "tcp://b:2376")}},
        ),
        (["--exits.assume-oom"], {}, {"exits": {"assume_oom": True}}),
        ([], {"EXIT_EXPORTER_EXITS_OOM_WAIT": "1500ms"}, {"exits": {"oom_wait": 1.5}}),
        (["--log.format", "json"], {"EXIT_EXPORTER_LOG_FORMAT": "logfmt"}, {"log": {"format": "json"}}),
    ],
    ids=["a value", "several values", "no value", "a variable", "a flag over a variable"],
)
def test_flags_and_variables_become_settings(
    built: list[Settings], words: list[str], variables: dict[str, str], changes: dict[str, dict[str, object]]
) -> None:
    assert invoke("serve", *words, **variables) == STOP
    expected = Settings().model_dump()
    for group, values in changes.items():
        expected[group] |= values
    assert [settings.model_dump() for settings in built] == [expected]


def test_flags_override_variables_and_variables_the_file(built: list[Settings], tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("log: {level: error, format: json}\nworkload: {limit: 3}\n", encoding="utf-8")
    variables = {"EXIT_EXPORTER_LOG_LEVEL": "warning", "EXIT_EXPORTER_WORKLOAD_LIMIT": "4"}
    invoke("serve", "--config.file", str(file), "--workload.limit", "5", **variables)
    (settings,) = built
    assert (settings.log.format, settings.log.level, settings.workload.limit) == ("json", "warning", 5)


def test_an_unknown_variable_is_logged(built: list[Settings], capfd: pytest.CaptureFixture[str]) -> None:
    invoke("serve", EXIT_EXPORTER_LOG_LEVLE="debug", EXIT_EXPORTER_URL="http://localhost:1")
    assert len(built) == 1
    (warning,) = [line for line in capfd.readouterr().err.splitlines() if "EXIT_EXPORTER" in line]
    assert re.sub(r"^ts=\S+ ", "", warning) == (
        'level=warning msg="unknown variable, ignored" variable=EXIT_EXPORTER_LOG_LEVLE'
    )


# Errors


def test_a_bad_value_is_reported_with_its_place(tmp_path: Path) -> None:
    cause = "'soon' is not a duration; write 90s, 15m, 2h or 30d"
    file = tmp_path / "settings.yaml"
    file.write_text("# The third line is bad.\nexits:\n  oom-wait: soon\n", encoding="utf-8")
    for words, variables, place in (
        (["--exits.oom-wait", "soon"], {}, "--exits.oom-wait"),
        ([], {"EXIT_EXPORTER_EXITS_OOM_WAIT": "soon"}, "EXIT_EXPORTER_EXITS_OOM_WAIT"),
        (["--config.file", str(file)], {}, f"{file}:3: exits.oom-wait"),
    ):
        assert invoke("serve", *words, **variables) == Done(2, "", f"Error: {place}: {cause}\n")


@pytest.mark.parametrize("host", ["x", "ftp://engine", "tcp://", "tcp://127.0.0.1", "/var/run/docker.sock"])
def test_an_address_of_no_engine_is_refused(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "run", lambda _: 0)
    done = invoke(*at_free_port(tmp_path, "--docker.host", host))
    assert (done.code, done.out) == (2, "")
    assert host in done.err


def test_all_bad_flags_are_reported_together() -> None:
    done = invoke("serve", "--log.level", "loud", "--workload.limit", "x")
    assert (done.code, done.out) == (2, "")
    assert sorted(done.err.removeprefix("Error: ").splitlines()) == [
        f"--log.level: 'loud' is not one of {LEVELS}",
        "--workload.limit: 'x' is not a whole number",
    ]


def test_an_unknown_flag_is_refused() -> None:
    usage = "Usage: exit-exporter serve [OPTIONS]\nTry 'exit-exporter serve --help' for help.\n\n"
    assert invoke("serve", "--colour", "red") == Done(2, "", f"{usage}Error: No such option '--colour'.\n")


@pytest.mark.parametrize("name", ["tail.redact", "log.level", "storage.url"])
def test_a_flag_of_one_value_is_refused_twice(name: str) -> None:
    done = invoke("serve", f"--{name}", "one", f"--{name}", "two")
    assert done == Done(2, "", f"Error: --{name}: given 2 times; it takes one value\n")


def test_a_missing_settings_file_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    expected = Done(2, "", f"Error: {file}: cannot be read: No such file or directory\n")
    assert invoke("serve", "--config.file", str(file)) == expected


def test_a_bad_catalogue_is_reported_with_every_line(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("codes:\n  42: Nowhere\n  0: Error\n", encoding="utf-8")
    assert invoke("serve", "--catalogue.file", str(file)) == Done(
        1,
        "",
        f"Error: {file}:2: codes.42: reason Nowhere is described nowhere; "
        "add it under 'reasons:' with a meaning\n"
        f"{file}:3: codes.0: code 0 is always Completed and cannot be renamed\n",
    )


def test_a_bad_database_is_reported_with_the_flag(tmp_path: Path) -> None:
    file = tmp_path / "exits.db"
    file.write_bytes(b"not a database, and longer than a header has to be" * 99)
    advice = "it is left unchanged: move it away or use another file; see --storage.url"
    expected = Done(1, "", f"Error: {file}: file is not a database; {advice}\n")
    assert run(*at_free_port(tmp_path)) == expected


@pytest.mark.parametrize("function", ["build", "run"])
def test_a_limit_of_threads_at_the_start_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    def start(*_arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(app, "build", lambda *_arguments: None)
    monkeypatch.setattr(app, function, start)
    done = invoke(*at_free_port(tmp_path))
    assert (done.code, done.err) == (1, f"Error: {NO_THREAD}\n")


# The daemon


@contextmanager
def daemon(directory: Path, *words: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run `serve` for an engine that does not exist; give its URL and process."""
    command = [str(COMMAND), *at_free_port(directory, *words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        # The missing engine may be reported before.
        line = next(line for line in process.stderr if "listening" in line)
        address = re.search(r"127\.0\.0\.1:\d+", line)
        assert address is not None, line
        try:
            yield f"http://{address.group()}", process
        finally:
            process.kill()


def get(url: str) -> requests.Response:
    """Request a URL without the proxy of the environment."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=PATIENCE_SECONDS)


def test_the_daemon_serves_without_its_engine(tmp_path: Path) -> None:
    with daemon(tmp_path, "--web.telemetry-path", "/exits") as (url, _):
        assert get(f"{url}/-/healthy").json() == {"status": "healthy"}
        ready = get(f"{url}/-/ready")
        assert (ready.status_code, ready.json()["detail"].partition(":")[0]) == (503, "unix")
        assert f'exit_exporter_engine_up{{engine="{NOWHERE}"}} 0.0\n' in get(f"{url}/exits").text
        assert get(f"{url}/metrics").status_code == 404
        assert invoke("ps", "--format", "json", "--url", url).out == '{\n  "jobs": []\n}\n'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_daemon(tmp_path: Path, number: signal.Signals) -> None:
    with daemon(tmp_path, "--log.format", "json") as (url, process):
        assert get(f"{url}/-/healthy").ok
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert lines
    assert all(re.fullmatch(r"\{.*\}", line) for line in lines)


def test_a_port_in_use_is_reported_with_the_flag(tmp_path: Path) -> None:
    with daemon(tmp_path) as (url, _):
        address = url.removeprefix("http://")
        done = invoke("serve", "--docker.host", NOWHERE, "--web.listen-address", address)
    cause = f"cannot listen on {address}: Address already in use; see --web.listen-address"
    assert done == Done(1, "", f"Error: {cause}\n")
