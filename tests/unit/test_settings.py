"""Settings: declared once, given by flags over variables over the file."""

import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.loading import SettingsError, load_settings, load_settings_file
from exporter.config.options import settings_options, unknown_variables
from exporter.config.settings import LogLevel, Settings
from tests.unit.corpus import DIRECTORY, BadFile, bad_files

VALUES: dict[str, tuple[str, Any]] = {
    "docker.host": ("unix:///a.sock, tcp://b:2376", ["unix:///a.sock", "tcp://b:2376"]),
    "docker.cert-path": ("/certs", "/certs"),
    "instance.name": ("alpha", "alpha"),
    "workload.order": ("swarm, label:job,image", ["swarm", "label:job", "image"]),
    "workload.limit": ("2", 2),
    "exits.oom-wait": ("500ms", 0.5),
    "exits.oom-window": ("0", 0.0),
    "exits.stop-window": ("90s", 90.0),
    "exits.assume-oom": ("true", True),
    "traces.jobs": ("none", "none"),
    "traces.events": ("logs/dup", "logs/dup"),
    "traces.outbox-limit": ("2", 2),
    "traces.outbox-age": ("2h", 7200.0),
    "tail.lines": ("2", 2),
    "tail.bytes": ("2", 2),
    "tail.redact": ("v+", "v+"),
    "dstack.runner-log": ("off", "off"),
    "dstack.url": ("https://dstack.example.com:3000", "https://dstack.example.com:3000"),
    "dstack.token-file": ("/token", "/token"),
    "dstack.projects": ("main, night", ["main", "night"]),
    "dstack.interval": ("1m", 60.0),
    "dstack.not-created": ("off", "off"),
    "storage.url": ("sqlite:///g.db", "sqlite:///g.db"),
    "storage.retention": ("1y", 31_536_000.0),
    "catalogue.file": ("/own.yaml", "/own.yaml"),
    "web.listen-address": ("[::]:2, unix:///web.sock", ["[::]:2", "unix:///web.sock"]),
    "web.socket-mode": ("600", "600"),
    "web.systemd-socket": ("true", True),
    "web.config.file": ("/web.yaml", "/web.yaml"),
    "web.telemetry-path": ("/v", "/v"),
    "web.trace-url": ("https://t/{trace_id}", "https://t/{trace_id}"),
    "web.grafana-url": (
        "http://g:3000/d/x?var-workload={workload}",
        "http://g:3000/d/x?var-workload={workload}",
    ),
    "web.external-url": ("https://exits.example.com/a", "https://exits.example.com/a"),
    "web.allowed-hosts": ("exits.lan, .example.com", ["exits.lan", ".example.com"]),
    "web.enable-lifecycle": ("true", True),
    "metrics.max-scrape-interval": ("5m", 300.0),
    "log.level": ("warning", "warning"),
    "log.format": ("json", "json"),
}
"""For each setting a value that is not its default: as text, and as it is loaded."""

VARIABLES = {option.name: option.variable for option in settings_options()}
SOURCES = ("file", "variable", "flag")
NO_HOME = "~nobody-has-this-name/settings.yaml"
DATABASE_EXAMPLE = "example: sqlite:////var/lib/exits.db"


@pytest.fixture(autouse=True)
def _homes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    monkeypatch.setenv("HOME", "/home/me")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the settings file."""
    return tmp_path / "settings.yaml"


def flat(settings: Settings) -> dict[str, Any]:
    """Return all settings by their dotted names."""
    groups = settings.model_dump(mode="json", by_alias=True)
    return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}


def defaults() -> dict[str, Any]:
    """Return the default of each setting."""
    return flat(Settings())


def load(file: Path, name: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings after one was given, by source."""
    group, _, setting = name.partition(".")
    file.write_text(f"{group}: {{{setting}: '{values['file']}'}}\n" if "file" in values else "")
    flags = {name: values["flag"]} if "flag" in values else {}
    variables = {VARIABLES[name]: values["variable"]} if "variable" in values else {}
    return flat(load_settings({"config.file": str(file), **flags}, variables))


def problems(flags: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Return the problems of settings that are refused."""
    with pytest.raises(SettingsError) as refused:
        load_settings(flags, environment)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


# The declaration


def test_flags_and_variables_are_derived_from_the_name() -> None:
    for option in settings_options():
        assert option.flag == f"--{option.name}"
        assert option.variable == "EXIT_EXPORTER_" + option.name.upper().replace(".", "_").replace("-", "_")
        assert option.help == option.help.strip()
        assert option.help.endswith(".")


def test_a_shown_default_is_the_default_when_it_is_given() -> None:
    shown = {option.variable: option.default for option in settings_options() if option.default}
    assert flat(load_settings({}, shown)) == flat(load_settings({}, {})) == defaults()
    assert {name: value for name, value in defaults().items() if VARIABLES[name] not in shown} == {
        "docker.host": [],
        "docker.cert-path": None,
        "instance.name": "",
        "tail.redact": None,
        "dstack.url": "",
        "dstack.token-file": None,
        "dstack.projects": [],
        "storage.url": "sqlite:////state/exit-exporter/exits.db",
        "catalogue.file": None,
        "web.config.file": None,
        "web.trace-url": "",
        "web.grafana-url": "",
        "web.external-url": "",
        "web.allowed-hosts": [],
    }


def test_some_settings_are_multiple_and_some_are_flags() -> None:
    multiple = [option.name for option in settings_options() if option.multiple]
    assert multiple == ["docker.host", "dstack.projects", "web.listen-address", "web.allowed-hosts"]
    flags = [option.name for option in settings_options() if option.is_flag]
    assert flags == ["exits.assume-oom", "web.systemd-socket", "web.enable-lifecycle"]


# Sources


def test_every_setting_is_tried_here() -> None:
    assert set(VALUES) == set(defaults())


@pytest.mark.parametrize("name", VALUES)
def test_each_source_can_give_a_setting(file: Path, name: str) -> None:
    text, value = VALUES[name]
    assert defaults()[name] != value
    for source in SOURCES:
        assert load(file, name, {source: text}) == {**defaults(), name: value}


@pytest.mark.parametrize(
    "sources", [each for size in range(1, 4) for each in combinations(SOURCES, size)], ids="+".join
)
def test_flags_override_variables_and_variables_the_file(file: Path, sources: tuple[str, ...]) -> None:
    levels = dict(zip(SOURCES, ("debug", "warning", "error"), strict=True))
    loaded = load(file, "log.level", {source: levels[source] for source in sources})
    assert loaded == {**defaults(), "log.level": levels[sources[-1]]}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("docker.host", "[unix:///f.sock]", ["unix:///f.sock"]),
        ("workload.order", "[label:com.example.job, label]", ["label:com.example.job", "label"]),
        ("exits.oom-wait", "1.5", 1.5),
        ("exits.assume-oom", "true", True),
        ("dstack.runner-log", "off", "off"),
        ("tail.lines", "7", 7),
    ],
)
def test_a_file_can_have_lists_numbers_and_booleans(file: Path, name: str, text: str, value: object) -> None:
    group, _, setting = name.partition(".")
    file.write_text(f"{group}:\n  {setting}: {text}\n")
    assert flat(load_settings_file(file)) == {**defaults(), name: value}


def test_each_source_may_give_a_part_of_a_group(file: Path) -> None:
    file.write_text("exits:\n  oom-wait: 2s\n  oom-window: 20s\n")
    flags = {"config.file": str(file), "exits.assume-oom": True}
    loaded = flat(load_settings(flags, {"EXIT_EXPORTER_EXITS_OOM_WAIT": "3s"}))
    given = {"exits.oom-wait": 3.0, "exits.oom-window": 20.0, "exits.assume-oom": True}
    assert loaded == {**defaults(), **given}


def test_a_flag_or_a_variable_names_the_file(tmp_path: Path) -> None:
    for name in ("flag", "variable"):
        (tmp_path / f"{name}.yaml").write_text(f"instance: {{name: {name}}}\n")
    flag, variable = str(tmp_path / "flag.yaml"), str(tmp_path / "variable.yaml")
    loaded = [
        load_settings({}, {"EXIT_EXPORTER_CONFIG_FILE": variable}),
        load_settings({"config.file": flag}, {"EXIT_EXPORTER_CONFIG_FILE": variable}),
    ]
    assert [settings.instance.name for settings in loaded] == ["variable", "flag"]


@pytest.mark.parametrize(
    "name", ["config.file", "docker.host", "docker.cert-path", "instance.name", "catalogue.file"]
)
def test_an_empty_variable_gives_nothing(name: str) -> None:
    assert flat(load_settings({}, {VARIABLES[name]: ""})) == defaults()


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "settings.yaml").write_text("docker: {cert-path: ~/certs}\ncatalogue: {file: ~/own.yaml}\n")
    loaded = load_settings({"config.file": "~/settings.yaml"}, {})
    assert (loaded.docker.cert_path, loaded.catalogue.file) == (tmp_path / "certs", tmp_path / "own.yaml")


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", ":10137", "localhost:65535", "[::1]:80", "[::]:0", "my-host.example:8080"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    assert load_settings({"web.listen-address": address}, {}).web.listen_address == (address,)


@pytest.mark.parametrize(
    ("url", "path"), [("sqlite:////var/lib/a b.db", "/var/lib/a b.db"), ("sqlite:///a.db", "a.db")]
)
def test_a_database_url_names_a_file(url: str, path: str) -> None:
    assert load_settings({"storage.url": url}, {}).storage.path == Path(path)


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="Instance is frozen"):
        Settings().log.level = LogLevel.DEBUG  # type: ignore[misc]  # this is what is tested


def test_one_name_for_one_engine_is_good() -> None:
    loaded = flat(load_settings({"instance.name": "alpha", "docker.host": ("unix:///a",)}, {}))
    assert loaded == {**defaults(), "instance.name": "alpha", "docker.host": ["unix:///a"]}


# Refusals


@pytest.mark.parametrize("bad", bad_files("settings"), ids=lambda bad: bad.path.stem)
def test_a_bad_file_is_refused_with_line_and_cause(bad: BadFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DIRECTORY)
    for refuse in (load_settings_file, lambda path: load_settings({"config.file": str(path)}, {})):
        with pytest.raises(SettingsError) as refused:
            refuse(bad.path)
        assert sorted(refused.value.problems) == sorted(bad.problems)


DURATION = "is not a duration; write 90s, 15m, 2h or 30d"
ADDRESS = "is not HOST:PORT, such as 127.0.0.1:10137 or [::]:10137"
RESERVED = "is reserved; use another path, such as /metrics"
TOO_SMALL = "'0' is too small; the minimum is 1"
TRACE = "https://jaeger.example.com/trace/{trace_id}"
SERVER = "https://dstack.example.com"
EXTERNAL = "https://exits.example.com"
HOST_NAME = "is not a host name such as exits.example.com or .example.com, or *"
WRONG = [
    ("workload.order", "label,name", "'name' is none of label, dstack, swarm, compose, image and label:NAME"),
    ("workload.order", "label:", "'label:' names no label; write label:com.example.job"),
    (
        "workload.order",
        "label:exitCode",
        "'label:exitCode': engines have an attribute of that name; choose another label",
    ),
    ("workload.order", "", "is empty"),
    ("workload.limit", "many", "'many' is not a whole number"),
    ("workload.limit", "0", TOO_SMALL),
    ("exits.oom-wait", "soon", f"'soon' {DURATION}"),
    ("exits.oom-wait", "-1s", f"'-1s' {DURATION}"),
    ("exits.assume-oom", "perhaps", "'perhaps' is neither true nor false"),
    ("traces.jobs", "some", "'some' is not one of 'failed', 'all' or 'none'"),
    ("traces.events", "log", "'log' is not one of 'spans', 'logs' or 'logs/dup'"),
    ("traces.outbox-limit", "0", TOO_SMALL),
    ("traces.outbox-age", "7", f"'7' {DURATION}"),
    ("tail.lines", "1001", "'1001' is too large; the maximum is 1000"),
    ("tail.bytes", "0", TOO_SMALL),
    ("tail.redact", "a(b", "'a(b' is not a regular expression of RE2: missing ): a(b"),
    ("dstack.url", "dstack:3000", f"'dstack:3000' is not the URL of a server, such as {SERVER}"),
    ("dstack.url", "https://a:b@h", "a URL with a user or a password is not supported; give a token instead"),
    (
        "dstack.url",
        "https://h/?a=b",
        f"'https://h/?[redacted]' has a query or a fragment; give the server's URL, such as {SERVER}",
    ),
    ("dstack.interval", "500ms", "must be between 1s and 100y"),
    ("metrics.max-scrape-interval", "0", "must be between 1s and 100y"),
    ("web.trace-url", "https://t/", f"'https://t/' lacks {{trace_id}}, such as {TRACE}"),
    ("web.trace-url", "t/{trace_id}", "'t/{trace_id}' is not a URL of http or https"),
    ("web.trace-url", "javascript:{trace_id}", "'javascript:[redacted]' is not a URL of http or https"),
    (
        "web.grafana-url",
        "https://g/{job}",
        "'https://g/{job}' has {job}; valid are: {workload}, {host}, {name}",
    ),
    ("web.grafana-url", "https://g:x/", "'https://g:[redacted]' is not a URL of http or https"),
    ("dstack.runner-log", "perhaps", "'perhaps' is not one of 'on' or 'off'"),
    ("storage.retention", "30", f"'30' {DURATION}"),
    ("storage.retention", "101y", "must be between 0s and 100y"),
    ("storage.url", "exits.db", f"'exits.db' is not a database URL; {DATABASE_EXAMPLE}"),
    *(
        ("storage.url", url, f"'{url}': only a SQLite file is supported; {DATABASE_EXAMPLE}")
        for url in (
            "sqlite://",
            "sqlite:///",
            "sqlite:///:memory:",
            "sqlite:///file:/p?uri=true",
            "sqlite:////p?timeout=abc",
            "sqlite+aiosqlite:////p",
            "sqlite+nonsense:////p",
            "postgresql://db.example/exits",
        )
    ),
    *(("web.listen-address", at, f"'{at}' {ADDRESS}") for at in ("10137", "127.0.0.1:65536", "127.0.0.1:²")),
    *(
        ("web.telemetry-path", at, f"'{at}' is not a path such as /metrics")
        for at in ("/", "metrics", "/{a}")
    ),
    *(("web.telemetry-path", at, f"'{at}' {RESERVED}") for at in ("/-/ready", "/api", "/openapi.json")),
    ("web.external-url", "exits:443", f"'exits:443' is not the URL of a server, such as {EXTERNAL}"),
    ("web.external-url", "https://a:b@h", "a URL with a user or a password is not supported; leave it out"),
    *(
        ("web.allowed-hosts", f"a.example.com,{name}", f"'{name}' {HOST_NAME}")
        for name in ("https://exits.lan", "exits.lan:80", "*.lan", "a..b", "[::1]", ".")
    ),
    ("instance.name", "h\udcff", "'h\\udcff' has control characters, or is not UTF-8"),
    ("log.level", "loud", "'loud' is not one of 'debug', 'info', 'warning' or 'error'"),
    ("log.format", "xml", "'xml' is not one of 'logfmt' or 'json'"),
    *(
        (name, NO_HOME, f"{NO_HOME!r}: there is no such home directory")
        for name in ("config.file", "docker.cert-path", "catalogue.file")
    ),
]


@pytest.mark.parametrize(("name", "value", "cause"), WRONG)
def test_a_wrong_value_is_refused_with_its_source(name: str, value: str, cause: str) -> None:
    assert problems({name: value}, {}) == [f"--{name}: {cause}"]
    assert problems({}, {VARIABLES[name]: value}) == [f"{VARIABLES[name]}: {cause}"]


ODD = ["abc", "", "-1", "9" * 20, None, [1], {"a": 1}, True, 1.5, -1, float("inf"), [["a"]], "a/b@c"]


@pytest.mark.parametrize("name", VALUES)
def test_no_refusal_is_in_the_words_of_a_library(file: Path, name: str) -> None:
    group, _, setting = name.partition(".")
    for value in ODD:
        file.write_text(yaml.safe_dump({group: {setting: value}}))
        try:
            load_settings_file(file)
        except SettingsError as error:
            (problem,) = error.problems
            assert problem.startswith(f"{file}:")
            assert not re.search("[Ii]nput|should|tuple|string|integer|None|True", problem)


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("docker.host", 5, "must be a list"),
        ("docker.host", ("unix:///a\nb",), "'unix:///a\\nb' has control characters, or is not UTF-8"),
        ("workload.order", ["label: job"], "'label: job' names no label; write label:com.example.job"),
    ],
)
def test_a_wrong_list_is_refused(name: str, value: object, cause: str) -> None:
    assert problems({name: value}, {}) == [f"--{name}: {cause}"]


def test_a_wrong_value_is_refused_even_if_it_is_overridden(file: Path) -> None:
    file.write_text("log: {level: loud}\n")
    cause = "'loud' is not one of 'debug', 'info', 'warning' or 'error'"
    assert problems({"config.file": str(file), "log.level": "info"}, {}) == [f"{file}:1: log.level: {cause}"]
    assert problems({"log.level": "info"}, {"EXIT_EXPORTER_LOG_LEVEL": "loud"}) == [
        f"EXIT_EXPORTER_LOG_LEVEL: {cause}"
    ]


def test_all_problems_of_a_source_are_reported_together() -> None:
    assert problems({"log.level": "loud", "workload.limit": "0"}, {"EXIT_EXPORTER_X": ""}) == [
        f"--workload.limit: {TOO_SMALL}",
        "--log.level: 'loud' is not one of 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        ({"instance.name": "alpha", "docker.host": ("unix:///a", "unix:///b")}, {}),
        ({"instance.name": "alpha"}, {"EXIT_EXPORTER_DOCKER_HOST": "unix:///a,unix:///b"}),
        ({"docker.host": ("unix:///a", "unix:///b")}, {"EXIT_EXPORTER_INSTANCE_NAME": "alpha"}),
    ],
)
def test_one_name_for_two_engines_is_refused(flags: dict[str, Any], environment: dict[str, str]) -> None:
    assert problems(flags, environment) == [
        "instance.name can name one host only; several engines report their own names"
    ]


def test_a_file_that_cannot_be_read_is_refused(file: Path, tmp_path: Path) -> None:
    assert problems({"config.file": str(file)}, {}) == [f"{file}: cannot be read: No such file or directory"]
    assert problems({}, {"EXIT_EXPORTER_CONFIG_FILE": str(tmp_path)}) == [
        f"{tmp_path}: cannot be read: Is a directory"
    ]


@given(st.dictionaries(st.sampled_from(sorted(VALUES)), st.text(st.characters(codec=None), max_size=12)))
def test_any_text_in_a_variable_is_taken_or_refused(values: dict[str, str]) -> None:
    try:
        load_settings({}, {VARIABLES[name]: value for name, value in values.items()})
    except SettingsError as error:
        assert error.problems  # noqa: PT017  # both are good, any other error is not


def test_a_variable_that_is_no_setting_is_reported() -> None:
    environment = {
        "EXIT_EXPORTER_WEB_PORT": "80",
        "EXIT_EXPORTER_LOG_LEVEL": "info",
        "EXIT_EXPORTER_CONFIG_FILE": "",
        "EXIT_EXPORTER_URL": "http://localhost:10137",
        "EXIT_EXPORTER_": "",
        "exit_exporter_log_level": "",
        "PATH": "/bin",
    }
    assert unknown_variables(environment) == ["EXIT_EXPORTER_", "EXIT_EXPORTER_WEB_PORT"]
