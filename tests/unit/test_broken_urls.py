"""URLs with a password, whole or broken: no part of the password is in what is said of them."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.loading import SettingsError, load_settings
from exporter.otlp.config import read_config
from exporter.otlp.variables import OtelConfigError
from exporter.redaction import Redactor, quoted_url, shown_url
from exporter.sources.docker.api.address import resolve_address
from exporter.sources.docker.engine import EngineError

FIRST, SECOND = "s3kr3t", "w0rd"
# What no character of a password should be, and a password where a port is looked for.
BETWEEN = (*" \t\n'\"[]{}/?#@:,;%\\$&", "\u2100", "\udcff", " 12 ", ": ")
BROKEN = [
    *(f"://user:{FIRST}{each}{SECOND}@host:1" for each in BETWEEN),
    *(f"://user:12{each}{FIRST}@host:1" for each in "/?# "),
    f"//user:{FIRST} {SECOND}@host:1",
    f":user:{FIRST} {SECOND}@host:1",
    f"://us er:{FIRST} {SECOND}@host:x",
    f"://user:{FIRST} {SECOND}",
    f"://user:{FIRST}/{SECOND}",
]
SETTINGS = {
    "docker.host": "tcp",
    "dstack.url": "http",
    "web.external-url": "https",
    "web.trace-url": "https",
    "web.grafana-url": "https",
    "web.listen-address": "http",
    "web.telemetry-path": "http",
    "storage.url": "postgresql",
    # Those that are no URL: one may be given in the wrong place.
    "storage.retention": "http",
    "web.socket-mode": "http",
    "workload.order": "http",
}


def assert_no_secret(text: str) -> None:
    """Fail if a text has a part of the password, as it is given or as another process prints it."""
    assert FIRST not in text
    assert SECOND not in text


@pytest.mark.parametrize("rest", BROKEN)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_refused_without_the_password(name: str, rest: str, tmp_path: Path) -> None:
    url = f"{SETTINGS[name]}{rest}{{trace_id}}" if name == "web.trace-url" else f"{SETTINGS[name]}{rest}"
    group, _, setting = name.partition(".")
    file = tmp_path / "settings.yaml"
    file.write_text(json.dumps({group: {setting: url}}))
    variable = f"EXIT_EXPORTER_{group}_{setting}".upper().replace("-", "_")
    for flags, environment in (({name: url}, {}), ({}, {variable: url}), ({"config.file": str(file)}, {})):
        with pytest.raises(SettingsError) as refused:
            load_settings(flags, environment)
        assert_no_secret(str(refused.value))


@pytest.mark.parametrize("name", ["workload.limit", "storage.retention", "log.level", "dstack.token-file"])
def test_urls_in_a_list_where_one_value_belongs_are_refused_without_the_password(
    name: str, tmp_path: Path
) -> None:
    group, _, setting = name.partition(".")
    file = tmp_path / "settings.yaml"
    for value in ([f"http://user:{FIRST}@host"], {f"http://user:{FIRST}@host": [SECOND]}):
        file.write_text(json.dumps({group: {setting: value}}))
        with pytest.raises(SettingsError, match=f"{name}: a (list|mapping) is ") as refused:
            load_settings({"config.file": str(file)}, {})
        assert_no_secret(str(refused.value))


@pytest.mark.parametrize("rest", BROKEN)
@pytest.mark.parametrize("scheme", ["tcp", "ssh", "https", "unix", "ftp"])
def test_an_engine_of_the_environment_is_refused_without_the_password(
    scheme: str, rest: str, tmp_path: Path
) -> None:
    url = f"{scheme}{rest}"
    folder = tmp_path / "contexts" / "meta" / sha256(b"lab").hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": url}}}))
    of_context = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "lab"}
    for environment, place in (({"DOCKER_HOST": url}, "DOCKER_HOST"), (of_context, "Docker context 'lab'")):
        with pytest.raises(EngineError, match=f"{place}: ") as refused:
            resolve_address("", None, environment)
        assert_no_secret(str(refused.value))


@pytest.mark.parametrize("rest", BROKEN)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_an_endpoint_is_refused_or_shown_without_the_password(protocol: str, rest: str) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http{rest}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
    }
    try:
        shown = [shown_url(endpoint.url) for endpoint in read_config(environment).endpoints.values()]
    except OtelConfigError as error:
        shown = [str(error)]
    assert_no_secret("".join(shown))


@given(st.text(max_size=9), st.text(max_size=9), st.sampled_from(["tcp://", "ssh://", "//", ""]))
def test_no_character_of_a_password_lets_it_show(before: str, after: str, scheme: str) -> None:
    assert FIRST not in quoted_url(f"{scheme}user:{before}{FIRST}{after}@host:2376/path?x=1#y")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("tcp://host:2376", "tcp://host:2376"),
        ("tcp://[::1]:2376/a:b", "tcp://[::1]:2376/a:b"),
        ("ssh://ann@host", "ssh://ann@host"),
        ("unix:///home/a@b/docker.sock", "unix:///home/a@b/docker.sock"),
        ("sqlite:////p?timeout=1", "sqlite:////p?timeout=1"),
        ("http://host/path?key=x", "http://host/path?[redacted]"),
        ("tcp://user:a b@host:1x", "tcp://[redacted]@host:[redacted]"),
        ("tcp://token@host:1", "tcp://[redacted]@host:1"),
        ("tcp://host:1x", "tcp://host:[redacted]"),
        ("a b:c@host", "[redacted]@host"),
        ("x", "x"),
    ],
)
def test_the_rest_of_a_url_is_shown(url: str, shown: str) -> None:
    assert (quoted_url(url), Redactor({})(shown_url(url))) == (repr(shown), Redactor({})(shown))


def test_what_is_no_text_is_shown_as_it_is() -> None:
    assert quoted_url(5) == "5"
