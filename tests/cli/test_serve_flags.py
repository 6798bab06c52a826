"""``serve``: a flag for every setting, the setting that it makes, and what is said of a bad one."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import structlog

from exporter import app
from exporter.config.settings import Settings
from tests.cli.command import COMMAND, PATIENCE_SECONDS, Done, environment, invoke, run

GOLDEN = Path(__file__).with_name("golden") / "serve_help.txt"
NOWHERE = "unix:///nowhere/docker.sock"
LEVELS = "'debug', 'info', 'warning' or 'error'"
# Of the design, all but --web.config.file, which comes with TLS.
DESIGNED = {
    "--config.file",
    "--docker.host",
    "--instance.name",
    "--storage.url",
    "--storage.retention",
    "--catalogue.file",
    "--web.listen-address",
    "--web.telemetry-path",
    "--log.level",
    "--log.format",
}
# How each setting is given by its flag, and what it then is.
GIVEN: dict[str, tuple[tuple[str, ...], Any]] = {
    "docker.host": (("unix:///a.sock", "tcp://b:2376"), ("unix:///a.sock", "tcp://b:2376")),
    "docker.cert_path": (("/certs",), Path("/certs")),
    "instance.name": (("node-1",), "node-1"),
    "workload.order": (("image,label",), ("image", "label")),
    "workload.limit": (("7",), 7),
    "exits.oom_wait": (("1500ms",), 1.5),
    "exits.oom_window": (("1m",), 60),
    "exits.stop_window": (("5m",), 300),
    "exits.assume_oom": ((), True),
    "traces.jobs": (("all",), "all"),
    "traces.events": (("logs/dup",), "logs/dup"),
    "traces.outbox_limit": (("7",), 7),
    "traces.outbox_age": (("1h",), 3600),
    "tail.lines": (("7",), 7),
    "tail.bytes": (("70",), 70),
    "tail.redact": (("secret=.*",), "secret=.*"),
    "storage.url": (("sqlite:////tmp/x.db",), "sqlite:////tmp/x.db"),
    "storage.retention": (("7d",), 604_800),
    "catalogue.file": (("/own.yaml",), Path("/own.yaml")),
    "web.listen_address": (("[::1]:0",), "[::1]:0"),
    "web.telemetry_path": (("/other/metrics",), "/other/metrics"),
    "log.level": (("warning",), "warning"),
    "log.format": (("json",), "json"),
}


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Take back what a command within this process makes of the log."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Give the settings with which daemons would have been built, which none is."""
    seen: list[Settings] = []

    def build(settings: Settings, _environment: object) -> app.App:
        seen.append(settings)
        raise app.StartError("as far as this goes")

    monkeypatch.setattr(app, "build", build)
    return seen


def flag(setting: str) -> str:
    """Give a setting's flag."""
    return f"--{setting.replace('_', '-')}"


def flags(setting: str) -> list[str]:
    """Give a setting's flag with its values."""
    values, _ = GIVEN[setting]
    return [word for value in values for word in (flag(setting), value)] or [flag(setting)]


def values_of(settings: Settings) -> dict[str, Any]:
    """Give all settings by their names."""
    groups = settings.model_dump()
    return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}


def let_go(parts: app.App) -> int:
    """Stand in for a daemon's whole life."""
    parts.listener.close()
    parts.store.close()
    return 0


def refused(*words: str, **variables: str) -> Done:
    """Run `serve`, which must end by itself."""
    return invoke("serve", *words, **variables)


# What there is


def test_the_help_is_as_it_was_agreed() -> None:
    assert run("serve", "--help", COLUMNS="100") == Done(0, GOLDEN.read_text(encoding="utf-8"), "")


def test_there_is_a_flag_for_each_setting_and_each_of_the_design_is_there() -> None:
    there_are = set(re.findall(r"^  (--[a-z.-]+)", GOLDEN.read_text(encoding="utf-8"), re.MULTILINE))
    assert there_are == {flag(setting) for setting in values_of(Settings())} | {"--config.file"}
    assert there_are >= DESIGNED


def test_every_setting_is_tried_here() -> None:
    assert set(GIVEN) == set(values_of(Settings()))


@pytest.mark.parametrize("setting", GIVEN)
def test_a_flag_makes_its_setting_and_no_other(setting: str, chosen: list[Settings]) -> None:
    assert refused(*flags(setting)) == Done(1, "", "Error: as far as this goes\n")
    _, value = GIVEN[setting]
    assert [values_of(each) for each in chosen] == [values_of(Settings()) | {setting: value}]


@pytest.mark.parametrize("setting", GIVEN)
def test_a_variable_makes_its_setting_and_a_flag_wins_over_it(setting: str, chosen: list[Settings]) -> None:
    name = f"EXIT_EXPORTER_{setting.replace('.', '_').upper()}"
    values, value = GIVEN[setting]
    refused(**{name: ",".join(values) or "true"})
    assert values_of(chosen[0]) == values_of(Settings()) | {setting: value}


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(
    chosen: list[Settings], tmp_path: Path
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("log: {level: error, format: json}\nworkload: {limit: 3}\n", encoding="utf-8")
    variables = {"EXIT_EXPORTER_LOG_LEVEL": "warning", "EXIT_EXPORTER_WORKLOAD_LIMIT": "4"}
    refused("--config.file", str(file), "--workload.limit", "5", **variables)
    (settings,) = chosen
    assert (settings.log.format, settings.log.level, settings.workload.limit) == ("json", "warning", 5)


def test_a_variable_that_names_nothing_is_warned_of(chosen: list[Settings]) -> None:
    done = refused(EXIT_EXPORTER_LOG_LEVLE="debug", EXIT_EXPORTER_URL="http://localhost:1")
    assert len(chosen) == 1
    (warning,) = [line for line in done.err.splitlines() if "EXIT_EXPORTER" in line]
    assert re.sub(r"^ts=\S+ ", "", warning) == (
        'level=warning msg="unknown variable, ignored" variable=EXIT_EXPORTER_LOG_LEVLE'
    )


# What is refused

ADDRESS = "is not HOST:PORT, such as 127.0.0.1:10137 or [::]:10137"
DURATION = "is not a duration; write 90s, 15m, 2h or 30d"
BAD: list[tuple[str, str, str]] = [
    ("workload.order", "image,name", "'name' is none of label, swarm, compose, image and label:NAME"),
    ("workload.limit", "0", "Input should be greater than or equal to 1"),
    ("exits.oom-wait", "-1s", f"'-1s' {DURATION}"),
    ("exits.oom-window", "soon", f"'soon' {DURATION}"),
    ("traces.events", "log", "Input should be 'spans', 'logs' or 'logs/dup'"),
    ("tail.redact", "[", "'[' is not a regular expression of RE2: missing ]: ["),
    ("storage.url", "exits.db", "'exits.db' is not a database URL; example: sqlite:////var/lib/exits.db"),
    ("storage.retention", "30", f"'30' {DURATION}"),
    ("web.listen-address", "10137", f"'10137' {ADDRESS}"),
    ("web.listen-address", "127.0.0.1:65536", f"'127.0.0.1:65536' {ADDRESS}"),
    ("web.listen-address", "127.0.0.1:²", f"'127.0.0.1:²' {ADDRESS}"),
    ("web.telemetry-path", "metrics", "'metrics' is not a path such as /metrics"),
    ("log.level", "loud", f"Input should be {LEVELS}"),
    ("log.format", "xml", "Input should be 'logfmt' or 'json'"),
]


@pytest.mark.parametrize(("name", "value", "cause"), BAD)
def test_a_bad_value_is_named_by_where_it_stands(name: str, value: str, cause: str, tmp_path: Path) -> None:
    assert refused(f"--{name}", value) == Done(1, "", f"Error: --{name}: {cause}\n")
    variable = f"EXIT_EXPORTER_{re.sub('[.-]', '_', name).upper()}"
    assert refused(**{variable: value}) == Done(1, "", f"Error: {variable}: {cause}\n")
    file, (group, setting) = tmp_path / "settings.yaml", name.split(".")
    file.write_text(
        f"# The second line is the bad one.\n{group}:\n  {setting}: '{value}'\n", encoding="utf-8"
    )
    place = f"{file}:3: {name}"
    done = refused("--config.file", str(file))
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(rf"Error: {re.escape(place)}(\.\d)?: .*{re.escape(cause[-20:])}\n", done.err)


@pytest.mark.parametrize(
    "value", ["x", "ftp://engine", "tcp://", "tcp://127.0.0.1:1x", "/var/run/docker.sock"]
)
def test_what_can_be_no_engine_is_refused_at_once_and_not_tried_for_ever(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "run", let_go)
    done = refused(
        "--docker.host",
        value,
        "--storage.url",
        f"sqlite:///{tmp_path}/exits.db",
        "--web.listen-address",
        "127.0.0.1:0",
    )
    assert (done.code, done.out) == (1, "")
    assert value in done.err


def test_all_bad_flags_are_named_at_once() -> None:
    done = run("serve", "--log.level", "loud", "--workload.limit", "x")
    assert (done.code, done.out) == (1, "")
    assert sorted(done.err.removeprefix("Error: ").splitlines()) == [
        f"--log.level: Input should be {LEVELS}",
        "--workload.limit: Input should be a valid integer, unable to parse string as an integer",
    ]


def test_a_flag_that_there_is_not_is_refused() -> None:
    usage = "Usage: exit-exporter serve [OPTIONS]\nTry 'exit-exporter serve --help' for help.\n\n"
    assert run("serve", "--colour", "red") == Done(2, "", f"{usage}Error: No such option '--colour'.\n")


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    expected = Done(1, "", f"Error: {file}: cannot be read: No such file or directory\n")
    assert run("serve", "--config.file", file) == expected


def test_a_bad_catalogue_is_named_with_every_line(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("codes:\n  42: Nowhere\n  0: Error\n", encoding="utf-8")
    assert run("serve", "--catalogue.file", file) == Done(
        1,
        "",
        f"Error: {file}:2: codes.42: reason Nowhere is described nowhere; "
        "add it under 'reasons:' with a meaning\n"
        f"{file}:3: codes.0: code 0 is always Completed and cannot be renamed\n",
    )


def test_a_database_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "exits.db"
    file.write_bytes(b"not a database, and longer than a header has to be" * 99)
    done = run(
        "serve",
        "--storage.url",
        f"sqlite:///{file}",
        "--web.listen-address",
        "127.0.0.1:0",
        "--docker.host",
        NOWHERE,
    )
    advice = "it is left unchanged: move it away or use another file; see --storage.url"
    assert done == Done(1, "", f"Error: {file}: file is not a database; {advice}\n")


# A real daemon


@contextmanager
def daemon(directory: Path, *words: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run `serve` on a free port, over a store of its own, for an engine that is not there."""
    command = [str(COMMAND), "serve", "--docker.host", NOWHERE, "--web.listen-address", "127.0.0.1:0"]
    command += ["--storage.url", f"sqlite:///{directory}/exits.db", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        # The engine's absence may be told before or after.
        said = next(line for line in process.stderr if "listening" in line)
        found = re.search(r"127\.0\.0\.1:\d+", said)
        assert found is not None, said
        try:
            yield f"http://{found.group()}", process
        finally:
            process.kill()


def ask(url: str) -> requests.Response:
    """Ask the daemon, whatever proxy the tester's shell names."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=PATIENCE_SECONDS)


def test_without_its_engine_the_daemon_serves_and_says_what_is_missing(tmp_path: Path) -> None:
    with daemon(tmp_path, "--web.telemetry-path", "/exits") as (url, _):
        assert ask(f"{url}/-/healthy").json() == {"status": "healthy"}
        ready = ask(f"{url}/-/ready")
        assert (ready.status_code, ready.json()["detail"].partition(":")[0]) == (503, "unix")
        assert f'exit_exporter_engine_up{{engine="{NOWHERE}"}} 0.0\n' in ask(f"{url}/exits").text
        assert ask(f"{url}/metrics").status_code == 404
        assert run("ps", "--format", "json", "--url", url).out == '{\n  "jobs": []\n}\n'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_that_is_asked_to_stop_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    with daemon(tmp_path) as (url, process):
        assert ask(f"{url}/-/healthy").ok
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_the_log_is_one_json_document_a_line_if_that_is_asked_for(tmp_path: Path) -> None:
    with daemon(tmp_path, "--log.format", "json") as (_, process):
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert [line for line in lines if not re.fullmatch(r"\{.*\}", line)] == []


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with daemon(tmp_path) as (url, _):
        address = url.removeprefix("http://")
        done = run(
            "serve",
            "--docker.host",
            NOWHERE,
            "--web.listen-address",
            address,
            "--storage.url",
            f"sqlite:///{tmp_path}/other.db",
        )
    cause = f"cannot listen on {address}: Address already in use; see --web.listen-address"
    assert done == Done(1, "", f"Error: {cause}\n")


@pytest.mark.parametrize("name", ["tail.redact", "log.level", "storage.url"])
def test_a_flag_of_which_only_one_can_hold_is_refused_twice(name: str) -> None:
    done = refused(f"--{name}", "one", f"--{name}", "two")
    assert done == Done(1, "", f"Error: --{name}: given 2 times; it takes one value\n")
