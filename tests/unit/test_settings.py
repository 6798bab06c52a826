"""Settings: declared once, given by flags over the environment over the file."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import settings
from exporter.config.settings import Option, Settings, SettingsError
from tests.unit.corpus import DIRECTORY, BadFile, bad_files


@dataclass(frozen=True)
class Given:
    """A setting given by each of the sources: as it is written there, and what it then is."""

    file: str
    variable: str
    flag: Any
    values: tuple[Any, Any, Any]


SETTINGS = {
    "docker.host": Given(
        "[unix:///f.sock]",
        "unix:///v.sock, tcp://v:2376",
        ("unix:///g.sock", "ssh://g"),
        (["unix:///f.sock"], ["unix:///v.sock", "tcp://v:2376"], ["unix:///g.sock", "ssh://g"]),
    ),
    "docker.cert-path": Given("/f", "/v", "/g", ("/f", "/v", "/g")),
    "instance.name": Given("f", "v", "g", ("f", "v", "g")),
    "workload.order": Given(
        "[label:com.example.job, label]",
        "swarm, label:job,image",
        "compose",
        (["label:com.example.job", "label"], ["swarm", "label:job", "image"], ["compose"]),
    ),
    "workload.limit": Given("1", "2", "3", (1, 2, 3)),
    "exits.oom-wait": Given("1.5", "2s", "3m", (1.5, 2.0, 180.0)),
    "exits.oom-window": Given("20", "500ms", "0", (20.0, 0.5, 0.0)),
    "exits.stop-window": Given("30", "90s", "5m", (30.0, 90.0, 300.0)),
    "exits.assume-oom": Given("true", "false", flag=True, values=(True, False, True)),
    "traces.jobs": Given("all", "none", "failed", ("all", "none", "failed")),
    "traces.events": Given("logs", "logs/dup", "spans", ("logs", "logs/dup", "spans")),
    "traces.outbox-limit": Given("1", "2", "3", (1, 2, 3)),
    "traces.outbox-age": Given("60", "2h", "0", (60.0, 7200.0, 0.0)),
    "tail.lines": Given("1", "2", "3", (1, 2, 3)),
    "tail.bytes": Given("1", "2", "3", (1, 2, 3)),
    "tail.redact": Given("f+", "v+", "g+", ("f+", "v+", "g+")),
    "storage.url": Given(
        "sqlite:////f.db",
        "sqlite:////v.db",
        "sqlite:///g.db",
        ("sqlite:////f.db", "sqlite:////v.db", "sqlite:///g.db"),
    ),
    "storage.retention": Given("60", "2h", "1y", (60.0, 7200.0, 31_536_000.0)),
    "catalogue.file": Given("/f.yaml", "/v.yaml", "/g.yaml", ("/f.yaml", "/v.yaml", "/g.yaml")),
    "web.listen-address": Given("0.0.0.0:1", "[::]:2", ":3", ("0.0.0.0:1", "[::]:2", ":3")),
    "web.telemetry-path": Given("/f", "/v", "/g", ("/f", "/v", "/g")),
    "log.level": Given("debug", "warning", "error", ("debug", "warning", "error")),
    "log.format": Given("json", "logfmt", "json", ("json", "logfmt", "json")),
}
VARIABLES = {
    "config.file": "EXIT_EXPORTER_CONFIG_FILE",
    "docker.host": "EXIT_EXPORTER_DOCKER_HOST",
    "docker.cert-path": "EXIT_EXPORTER_DOCKER_CERT_PATH",
    "instance.name": "EXIT_EXPORTER_INSTANCE_NAME",
    "workload.order": "EXIT_EXPORTER_WORKLOAD_ORDER",
    "workload.limit": "EXIT_EXPORTER_WORKLOAD_LIMIT",
    "exits.oom-wait": "EXIT_EXPORTER_EXITS_OOM_WAIT",
    "exits.oom-window": "EXIT_EXPORTER_EXITS_OOM_WINDOW",
    "exits.stop-window": "EXIT_EXPORTER_EXITS_STOP_WINDOW",
    "exits.assume-oom": "EXIT_EXPORTER_EXITS_ASSUME_OOM",
    "traces.jobs": "EXIT_EXPORTER_TRACES_JOBS",
    "traces.events": "EXIT_EXPORTER_TRACES_EVENTS",
    "traces.outbox-limit": "EXIT_EXPORTER_TRACES_OUTBOX_LIMIT",
    "traces.outbox-age": "EXIT_EXPORTER_TRACES_OUTBOX_AGE",
    "tail.lines": "EXIT_EXPORTER_TAIL_LINES",
    "tail.bytes": "EXIT_EXPORTER_TAIL_BYTES",
    "tail.redact": "EXIT_EXPORTER_TAIL_REDACT",
    "storage.url": "EXIT_EXPORTER_STORAGE_URL",
    "storage.retention": "EXIT_EXPORTER_STORAGE_RETENTION",
    "catalogue.file": "EXIT_EXPORTER_CATALOGUE_FILE",
    "web.listen-address": "EXIT_EXPORTER_WEB_LISTEN_ADDRESS",
    "web.telemetry-path": "EXIT_EXPORTER_WEB_TELEMETRY_PATH",
    "log.level": "EXIT_EXPORTER_LOG_LEVEL",
    "log.format": "EXIT_EXPORTER_LOG_FORMAT",
}
SOURCES = ("file", "variable", "flag")
SUBSETS = [chosen for size in range(1, 4) for chosen in combinations(SOURCES, size)]

OPTIONS = list(settings.options())
DEFAULTS: dict[str, Any] = {
    "docker.host": [],
    "docker.cert-path": None,
    "instance.name": "",
    "workload.order": ["label", "swarm", "compose", "image"],
    "workload.limit": 500,
    "exits.oom-wait": 1.0,
    "exits.oom-window": 10.0,
    "exits.stop-window": 60.0,
    "exits.assume-oom": False,
    "traces.jobs": "failed",
    "traces.events": "spans",
    "traces.outbox-limit": 100_000,
    "traces.outbox-age": 604_800.0,
    "tail.lines": 0,
    "tail.bytes": 4096,
    "tail.redact": None,
    "storage.url": "sqlite:////state/exit-exporter/exits.db",
    "storage.retention": 2_592_000.0,
    "catalogue.file": None,
    "web.listen-address": "127.0.0.1:10137",
    "web.telemetry-path": "/metrics",
    "log.level": "info",
    "log.format": "logfmt",
}


@pytest.fixture(autouse=True)
def _homes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    monkeypatch.setenv("HOME", "/home/me")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file of a test is."""
    return tmp_path / "settings.yaml"


def flat(found: Settings) -> dict[str, Any]:
    """Give all settings by their dotted names."""
    groups = found.model_dump(mode="json", by_alias=True)
    return {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}


def load(name: str, file: Path, *chosen: str) -> dict[str, Any]:
    """Give all settings, where this one is given by these sources."""
    given_as = SETTINGS[name]
    group, _, setting = name.partition(".")
    file.write_text(f"{group}:\n  {setting}: {given_as.file!s}\n" if "file" in chosen else "")
    environment = {VARIABLES[name]: given_as.variable} if "variable" in chosen else {}
    flags = {name: given_as.flag} if "flag" in chosen else {}
    return flat(settings.load({"config.file": str(file), **flags}, environment))


def problems(flags: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        settings.load(flags, environment)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


# The declaration


def test_every_setting_is_a_flag_and_a_variable() -> None:
    assert {option.name: option.variable for option in settings.options()} == VARIABLES
    assert [option.flag for option in settings.options()] == [f"--{name}" for name in VARIABLES]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_has_help_of_whole_sentences(option: Option) -> None:
    assert option.help == option.help.strip()
    assert option.help.endswith(".")


def test_the_shown_defaults_are_what_people_would_write() -> None:
    assert {option.name: option.default for option in settings.options() if option.default} == {
        "workload.order": "label,swarm,compose,image",
        "workload.limit": "500",
        "exits.oom-wait": "1s",
        "exits.oom-window": "10s",
        "exits.stop-window": "1m",
        "exits.assume-oom": "false",
        "traces.jobs": "failed",
        "traces.events": "spans",
        "traces.outbox-limit": "100000",
        "traces.outbox-age": "7d",
        "tail.lines": "0",
        "tail.bytes": "4096",
        "storage.retention": "30d",
        "web.listen-address": "127.0.0.1:10137",
        "web.telemetry-path": "/metrics",
        "log.level": "info",
        "log.format": "logfmt",
    }


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_shown_default_is_the_default_when_it_is_written(option: Option) -> None:
    if option.default:
        assert flat(settings.load({}, {option.variable: option.default})) == DEFAULTS


def test_only_the_engine_is_repeatable_and_only_assume_oom_a_switch() -> None:
    assert [option.name for option in settings.options() if option.repeatable] == ["docker.host"]
    assert [option.name for option in settings.options() if option.switch] == ["exits.assume-oom"]


def test_the_defaults_need_no_source() -> None:
    assert flat(settings.load({}, {})) == DEFAULTS


# Where they come from


@pytest.mark.parametrize("chosen", SUBSETS, ids="+".join)
def test_flags_win_over_the_environment_and_the_environment_over_the_file(
    file: Path, chosen: tuple[str, ...]
) -> None:
    assert load("log.level", file, *chosen) == {
        **DEFAULTS,
        "log.level": SETTINGS["log.level"].values[SOURCES.index(chosen[-1])],
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_can_be_given_by_each_source(file: Path, name: str) -> None:
    values = [load(name, file, source)[name] for source in SOURCES]
    assert values == list(SETTINGS[name].values)
    assert load(name, file, *SOURCES) == {**DEFAULTS, name: values[-1]}


def test_each_source_may_give_its_own_part_of_a_group(file: Path) -> None:
    file.write_text("exits:\n  oom-wait: 2s\n  oom-window: 20s\n")
    found = settings.load(
        {"config.file": str(file), "exits.assume-oom": True}, {"EXIT_EXPORTER_EXITS_OOM_WAIT": "3s"}
    )
    assert flat(found) == {
        **DEFAULTS,
        "exits.oom-wait": 3.0,
        "exits.oom-window": 20.0,
        "exits.assume-oom": True,
    }


def test_the_file_may_be_named_by_flag_or_variable_and_the_flag_wins(tmp_path: Path) -> None:
    for name in ("flag", "variable"):
        (tmp_path / f"{name}.yaml").write_text(f"instance: {{name: {name}}}\n")
    flag, variable = str(tmp_path / "flag.yaml"), str(tmp_path / "variable.yaml")
    named = [
        settings.load({}, {"EXIT_EXPORTER_CONFIG_FILE": variable}),
        settings.load({"config.file": flag}, {"EXIT_EXPORTER_CONFIG_FILE": variable}),
    ]
    assert [found.instance.name for found in named] == ["variable", "flag"]


def test_an_empty_variable_for_the_file_names_none() -> None:
    assert flat(settings.load({}, {"EXIT_EXPORTER_CONFIG_FILE": ""})) == DEFAULTS


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "settings.yaml").write_text("docker: {cert-path: ~/certs}\ncatalogue: {file: ~/words.yaml}\n")
    found = settings.load({"config.file": "~/settings.yaml"}, {})
    assert (found.docker.cert_path, found.catalogue.file) == (tmp_path / "certs", tmp_path / "words.yaml")


@pytest.mark.parametrize("name", ["docker.host", "docker.cert-path", "instance.name", "catalogue.file"])
def test_an_empty_variable_is_the_default_where_nothing_is_the_default(name: str) -> None:
    assert flat(settings.load({}, {VARIABLES[name]: ""})) == DEFAULTS


@given(st.lists(st.sampled_from(sorted(SETTINGS)), unique=True), st.sampled_from(SUBSETS))
def test_settings_that_have_different_names_do_not_touch_each_other(
    names: list[str], chosen: tuple[str, ...]
) -> None:
    engines = {"docker.host", "instance.name"}
    names = [name for name in names if name not in engines]
    flags = {name: SETTINGS[name].flag for name in names if "flag" in chosen}
    environment = {VARIABLES[name]: SETTINGS[name].variable for name in names if "variable" in chosen}
    found = settings.load(flags, environment)
    strongest = 2 if flags else 1
    changed = {name: SETTINGS[name].values[strongest] for name in names if flags or environment}
    assert flat(found) == {**DEFAULTS, "storage.url": found.storage.url, **changed}


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", ":10137", "localhost:65535", "[::1]:80", "[::]:0", "my-host.example:8080"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    assert settings.load({"web.listen-address": address}, {}).web.listen_address == address


def test_a_file_alone_is_read_for_what_it_says(file: Path) -> None:
    file.write_text("log: {level: debug}\n")
    assert flat(settings.read(file)) == {**DEFAULTS, "log.level": "debug"}


def test_settings_cannot_be_changed_afterwards() -> None:
    found = settings.load({}, {})
    with pytest.raises(ValueError, match="Instance is frozen"):
        found.log.level = settings.LogLevel.DEBUG  # type: ignore[misc]  # that is the point


# What is refused


@pytest.mark.parametrize("bad", bad_files("settings"), ids=lambda bad: bad.path.stem)
def test_a_bad_settings_file_is_refused_whole_with_file_line_and_cause(
    bad: BadFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DIRECTORY)
    for refuse in (settings.read, lambda path: settings.load({"config.file": str(path)}, {})):
        with pytest.raises(SettingsError) as refused:
            refuse(bad.path)
        assert sorted(refused.value.problems) == sorted(bad.problems)


WRONG = [
    ("docker.host", 5, None, "Input should be a valid tuple"),
    (
        "workload.order",
        "label,name",
        "label,name",
        "'name' is none of label, swarm, compose, image and label:NAME",
    ),
    ("workload.order", "label:", "label:", "'label:' names no label; write label:com.example.job"),
    ("workload.order", ["label: job"], None, "'label: job' names no label; write label:com.example.job"),
    (
        "workload.order",
        "label:exitCode",
        "label:exitCode",
        "'label:exitCode': engines have an attribute of that name; choose another label",
    ),
    ("workload.order", "", "", "Value should have at least 1 item after validation, not 0"),
    (
        "workload.limit",
        "many",
        "many",
        "Input should be a valid integer, unable to parse string as an integer",
    ),
    ("workload.limit", "0", "0", "Input should be greater than or equal to 1"),
    ("exits.oom-wait", "soon", "soon", "'soon' is not a duration; write 90s, 15m, 2h or 30d"),
    ("exits.oom-wait", "-1s", "-1s", "'-1s' is not a duration; write 90s, 15m, 2h or 30d"),
    ("exits.assume-oom", None, "perhaps", "Input should be a valid boolean, unable to interpret input"),
    ("traces.jobs", "some", "some", "Input should be 'failed', 'all' or 'none'"),
    ("traces.events", "log", "log", "Input should be 'spans', 'logs' or 'logs/dup'"),
    ("traces.outbox-limit", "0", "0", "Input should be greater than or equal to 1"),
    ("traces.outbox-age", "7", "7", "'7' is not a duration; write 90s, 15m, 2h or 30d"),
    ("tail.lines", "1001", "1001", "Input should be less than or equal to 1000"),
    ("tail.bytes", "0", "0", "Input should be greater than or equal to 1"),
    (
        "tail.redact",
        "a(b",
        "a(b",
        "'a(b' is not a regular expression of RE2: missing ): a(b",
    ),
    ("storage.retention", "30", "30", "'30' is not a duration; write 90s, 15m, 2h or 30d"),
    ("storage.retention", "101y", "101y", "Input should be less than or equal to 3153600000"),
    (
        "storage.url",
        "exits.db",
        "exits.db",
        "'exits.db' is not a database URL; example: sqlite:////var/lib/exits.db",
    ),
    *(
        (
            "storage.url",
            url,
            url,
            f"'{url}': only a SQLite file is supported; example: sqlite:////var/lib/exits.db",
        )
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
    (
        "web.listen-address",
        "10137",
        "10137",
        "'10137' is not HOST:PORT, such as 127.0.0.1:10137 or [::]:10137",
    ),
    ("web.telemetry-path", "/", "/", "'/' is no path such as /metrics"),
    ("web.telemetry-path", "/{a}", "/{a}", "'/{a}' is no path such as /metrics"),
    ("web.telemetry-path", "/-/ready", "/-/ready", "'/-/ready' is taken; /metrics is free"),
    ("web.telemetry-path", "/api", "/api", "'/api' is taken; /metrics is free"),
    ("web.telemetry-path", "/openapi.json", "/openapi.json", "'/openapi.json' is taken; /metrics is free"),
    (
        "instance.name",
        "h\udcff",
        "h\udcff",
        "'h\\udcff' has characters that are no text (is it UTF-8?)",
    ),
    (
        "docker.host",
        ("unix:///a\nb",),
        None,
        "'unix:///a\\nb' has characters that are no text (is it UTF-8?)",
    ),
    ("log.level", "loud", "loud", "Input should be 'debug', 'info', 'warning' or 'error'"),
    ("log.format", "xml", "xml", "Input should be 'logfmt' or 'json'"),
]


@pytest.mark.parametrize(("name", "flag", "variable", "cause"), WRONG)
def test_a_wrong_value_is_refused_under_the_name_by_which_it_was_given(
    name: str, flag: object, variable: str | None, cause: str
) -> None:
    if flag is not None:
        assert problems({name: flag}, {}) == [f"--{name}: {cause}"]
    if variable is not None:
        assert problems({}, {VARIABLES[name]: variable}) == [f"{VARIABLES[name]}: {cause}"]


def test_a_wrong_value_is_refused_even_where_a_stronger_source_is_right(file: Path) -> None:
    file.write_text("log: {level: loud}\n")
    assert problems({"config.file": str(file), "log.level": "info"}, {}) == [
        f"{file}:1: log.level: Input should be 'debug', 'info', 'warning' or 'error'"
    ]
    assert problems({"log.level": "info"}, {"EXIT_EXPORTER_LOG_LEVEL": "loud"}) == [
        "EXIT_EXPORTER_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'"
    ]


def test_all_problems_of_a_source_are_told_at_once() -> None:
    assert problems({"log.level": "loud", "workload.limit": "0"}, {"EXIT_EXPORTER_X": ""}) == [
        "--workload.limit: Input should be greater than or equal to 1",
        "--log.level: Input should be 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        ({"instance.name": "alpha", "docker.host": ("unix:///a", "unix:///b")}, {}),
        ({"instance.name": "alpha"}, {"EXIT_EXPORTER_DOCKER_HOST": "unix:///a,unix:///b"}),
        ({"docker.host": ("unix:///a", "unix:///b")}, {"EXIT_EXPORTER_INSTANCE_NAME": "alpha"}),
    ],
)
def test_one_name_for_two_engines_is_refused_wherever_the_two_come_from(
    flags: dict[str, Any], environment: dict[str, str]
) -> None:
    assert problems(flags, environment) == [
        "instance.name can name one host only; several engines are named by themselves"
    ]


def test_one_name_for_one_engine_is_good() -> None:
    found = settings.load({"instance.name": "alpha", "docker.host": ("unix:///a",)}, {})
    assert flat(found) == {**DEFAULTS, "instance.name": "alpha", "docker.host": ["unix:///a"]}


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    assert problems({"config.file": str(file)}, {}) == [f"{file}: cannot be read: No such file or directory"]


NO_HOME = "~nobody-has-this-name/settings.yaml"


@pytest.mark.parametrize("name", ["config.file", "docker.cert-path", "catalogue.file"])
def test_a_home_of_nobody_is_refused_under_the_name_by_which_it_was_given(name: str) -> None:
    cause = f"{NO_HOME!r} is in no home that there is"
    assert problems({name: NO_HOME}, {}) == [f"--{name}: {cause}"]
    assert problems({}, {VARIABLES[name]: NO_HOME}) == [f"{VARIABLES[name]}: {cause}"]


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert problems({}, {"EXIT_EXPORTER_CONFIG_FILE": str(tmp_path)}) == [
        f"{tmp_path}: cannot be read: Is a directory"
    ]


@given(
    st.dictionaries(st.sampled_from(sorted(SETTINGS)), st.text(st.characters(codec=None), max_size=12)),
)
def test_any_text_in_any_variable_is_taken_or_refused(values: dict[str, str]) -> None:
    try:
        settings.load({}, {VARIABLES[name]: value for name, value in values.items()})
    except SettingsError as error:
        assert error.problems  # noqa: PT017  # taken or refused: both are good, nothing else is


# Variables that name nothing


def test_a_variable_with_our_prefix_that_names_nothing_is_noticed() -> None:
    environment = {
        "EXIT_EXPORTER_WEB_PORT": "80",
        "EXIT_EXPORTER_LOG_LEVEL": "info",
        "EXIT_EXPORTER_CONFIG_FILE": "",
        "EXIT_EXPORTER_URL": "http://localhost:10137",
        "EXIT_EXPORTER_": "",
        "exit_exporter_log_level": "",
        "PATH": "/bin",
    }
    assert settings.unknown_variables(environment) == ["EXIT_EXPORTER_", "EXIT_EXPORTER_WEB_PORT"]
