"""Files of users, nearly right: each is accepted, or refused with its name and line, by whatever reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.loading import SettingsError, load_settings_file
from exporter.config.yaml_document import DocumentError
from exporter.verdict.catalog_file import load_catalog
from exporter.web.config_file import load_web_config
from tests.integration.keys import Authority
from tests.lab.mutations import mutated_json, mutated_text

WEB_CONFIG = """\
tls_server_config:
  cert_file: server/cert.pem
  key_file: "server/key.pem"
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: server/ca.pem
  client_allowed_sans: [prometheus.example.com]
  min_version: TLS12
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
http_server_config:
  http2: false
  headers: {X-Frame-Options: deny, Content-Security-Policy: "default-src"}
basic_auth_users:
  prometheus: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG
"""
CATALOGUE = """\
reasons:
  CheckpointCorrupt:
    meaning: A checkpoint cannot be read.
    causes: [A full disk, "A killed writer"]
    recovery: retry-later
codes:
  42: CheckpointCorrupt
  143: {reason: CheckpointCorrupt, requested: Terminated, causes_ran: [None]}
workloads:
  "train-*": {43: CheckpointCorrupt}
images:
  acme/train: {44: {reason: CheckpointCorrupt}}
"""
SETTINGS = """\
docker:
  host: [unix:///run/docker.sock, "tcp://b:2376"]
instance:
  name: ""
workload:
  order: [compose, label:team]
exits:
  oom-wait: '2s'
storage:
  url: "sqlite:////var/lib/exits.db"
  retention: 30d
catalogue:
  file: "reasons.yaml"
web:
  listen-address: ["127.0.0.1:10137", "unix:///run/exits.sock"]
  config.file: "web.yaml"
  external-url: https://exits.example.com
  allowed-hosts: [.example.com]
log:
  level: info
"""
WORDS = ["a", "1", "-1", "0x1", "010", "1:30", "on", "~", ".inf", ".nan", "2026-13-45", "9" * 20]
SIGNS = ["'", '"', *"|>%@`:[]{}#", ": ", "- ", ", ", "? ", "&a ", "*a", "<<: "]
ESCAPES = [r"\0", r"\ud800", r"\x1b", r"\n", "\\", "\t", "\n", "\n  ", "\n    ", "---\n", "...\n"]
TYPES = ["int", "bool", "float", "timestamp", "binary", "set", "omap", "pairs", "null", "map", "seq"]
FRAGMENTS = [*WORDS, *SIGNS, *ESCAPES, *(f"!!{kind} " for kind in TYPES)]
WHOLE = (" nested too deeply",)
"""Problems of a whole file, which have no line."""


class Kind(NamedTuple):
    """A kind of file: what reads it, and a good one."""

    load: Callable[[Path], object]
    text: str


KINDS = {
    "web configuration": Kind(load_web_config, WEB_CONFIG),
    "catalogue": Kind(load_catalog, CATALOGUE),
    "settings": Kind(load_settings_file, SETTINGS),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the files, beside the keys of a server."""
    directory = tmp_path_factory.mktemp("mutated")
    Authority.create("authority").equip_server(directory / "server")
    return directory / "any.yaml"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_files_that_are_mutated_are_good(file: Path, kind: Kind) -> None:
    file.write_text(kind.text)
    kind.load(file)


def mutated(text: str) -> st.SearchStrategy[bytes]:
    """Return files of nearly this text, or, as JSON, of nearly these values."""
    return mutated_text(text, FRAGMENTS).map(str.encode) | mutated_json(yaml.safe_load(text))


ODD_CHARACTERS = [
    (kind, text.replace(old, f'"a{odd}"'))
    for kind, text, old in (
        ("web configuration", WEB_CONFIG, "server/cert.pem"),
        ("web configuration", WEB_CONFIG, '"server/key.pem"'),
        ("settings", SETTINGS, '"reasons.yaml"'),
        ("catalogue", CATALOGUE, '"A killed writer"'),
    )
    for odd in (r"\0", r"\ud800")
]


MUTATED = {name: mutated(kind.text) for name, kind in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_a_file_is_accepted_or_refused_with_its_line(file: Path, kind: str, data: st.DataObject) -> None:
    file.write_bytes(data.draw(MUTATED[kind]))
    assert_accepted_or_refused(file, KINDS[kind])


@pytest.mark.parametrize(("kind", "text"), ODD_CHARACTERS)
def test_what_no_path_and_no_output_can_have_is_refused(file: Path, kind: str, text: str) -> None:
    file.write_text(text)
    with pytest.raises((DocumentError, SettingsError), match="cannot be part of a text"):
        KINDS[kind].load(file)


def assert_accepted_or_refused(file: Path, kind: Kind) -> None:
    """Assert that any error is one for users, and names the file."""
    try:
        kind.load(file)
    except (DocumentError, SettingsError) as error:
        assert error.problems  # noqa: PT017  # both are good, any other error is not
        places = [problem.removeprefix(f"{file}:").partition(":")[0] for problem in error.problems]
        assert all(place.isdecimal() or place in WHOLE for place in places), error.problems  # noqa: PT017
