"""The web configuration file: what is understood, and what is refused with its line."""

import os
from pathlib import Path

import pytest

from exporter.config.yaml_document import DocumentError
from exporter.web import tls
from exporter.web.config_file import PARTS, load_web_config
from exporter.web.live_config import LiveWebConfig
from tests.cli.command import Done, invoke
from tests.integration.keys import Authority

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
TLS = "tls_server_config:\n  cert_file: server/cert.pem\n  key_file: server/key.pem\n"
WITH_CA = f"{TLS}  client_ca_file: server/ca.pem\n"
WHOLE = f"""\
{WITH_CA}  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [prometheus.example.com]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
http_server_config:
  http2: false
  headers: {{X-Frame-Options: deny, X-XSS-Protection: ''}}
basic_auth_users:
  prometheus: {HASH}
"""
NEED_EACH_OTHER = "client_ca_file and a client_auth_type other than NoClientCert need each other"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file that is not written yet, beside the keys of a server."""
    Authority.create("authority").equip_server(tmp_path / "server")
    return tmp_path / "web.yaml"


def test_a_whole_file_is_understood(file: Path) -> None:
    file.write_text(WHOLE)
    config = load_web_config(file)
    assert (config.users, config.headers, config.tls is not None) == (
        {"prometheus": HASH.encode()},
        ((b"x-frame-options", b"deny"),),
        True,
    )
    assert {path.name for path in config.stamps} == {"web.yaml", "cert.pem", "key.pem", "ca.pem"}


@pytest.mark.parametrize("text", ["", "tls_server_config:\n", "basic_auth_users: {}\n"])
def test_an_empty_part_turns_nothing_on(file: Path, text: str) -> None:
    file.write_text(text)
    config = load_web_config(file)
    assert (config.users, config.headers, config.tls) == ({}, (), None)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("tls: {}\n", 1, "tls: unknown name; valid are: tls_server_config, "),
        ("\nrate_limit: {burst: 1}\n", 2, "rate_limit: is not supported; leave it out"),
        ("tls_server_config:\n  cert_file: a\n", 1, "tls_server_config.key_file: is missing"),
        (f"{TLS}  cert: x\n", 4, "tls_server_config.cert: is not supported; name a file in cert_file"),
        (f"{TLS}  key: x\n", 4, "tls_server_config.key: is not supported; name a file in key_file"),
        (f"{TLS}  client_ca: x\n", 4, "tls_server_config.client_ca: is not supported; name a file"),
        (
            f"{TLS}  curve_preferences: []\n",
            4,
            "tls_server_config.curve_preferences: is not supported",
        ),
        (
            f"{TLS}  client_auth_type: RequestClientCert\n",
            4,
            "tls_server_config.client_auth_type: 'RequestClientCert' is not one of",
        ),
        (
            f"{TLS}  min_version: TLS10\n",
            4,
            "tls_server_config.min_version: 'TLS10' is not supported",
        ),
        (
            f"{TLS}  cipher_suites: [RC4]\n",
            4,
            "tls_server_config.cipher_suites: 'RC4' is not supported",
        ),
        (
            f"{TLS}  min_version: TLS13\n  max_version: TLS12\n",
            1,
            "tls_server_config: min_version is",
        ),
        (WITH_CA, 1, f"tls_server_config: {NEED_EACH_OTHER}"),
        (f"{TLS}  client_auth_type: VerifyClientCertIfGiven\n", 1, f"tls_server_config: {NEED_EACH_OTHER}"),
        (
            f"{WITH_CA}  client_auth_type: VerifyClientCertIfGiven\n  client_allowed_sans: [a]\n",
            1,
            "tls_server_config: client_allowed_sans needs the client_auth_type RequireAndVerifyClientCert",
        ),
        (TLS.replace("server/cert", "none"), 2, "tls_server_config.cert_file: "),
        (TLS.replace("server/key", "none"), 3, "tls_server_config.key_file: "),
        (TLS.replace("key.pem", "ca.pem"), 2, "tls_server_config.cert_file: "),
        (
            f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: web.yaml\n",
            5,
            "tls_server_",
        ),
        (
            "http_server_config: {http2: true}\n",
            1,
            "http_server_config.http2: HTTP/2 is not supported",
        ),
        (
            "http_server_config:\n  headers: {X-Own: 1}\n",
            2,
            "http_server_config.headers.X-Own: must be text",
        ),
        (
            "http_server_config:\n  headers: {X-Own: a}\n",
            2,
            "http_server_config.headers: 'X-Own' cannot be",
        ),
        (
            "http_server_config:\n  headers: {X-Frame-Options: no}\n",
            2,
            "http_server_config.headers.X-Frame-Options: must be text; put it in quotes",
        ),
        (
            "http_server_config:\n  headers: {X-Frame-Options: all}\n",
            2,
            "http_server_config.headers: X-Frame-Options: 'all' is not valid; give deny or sameorigin",
        ),
        ("basic_auth_users:\n  a: secret\n", 2, "basic_auth_users.a: is not a bcrypt hash such as $2y$10$"),
        (f"basic_auth_users:\n  a: {HASH.replace('10', '31')}\n", 2, "basic_auth_users.a: has the cost 31"),
        (f"basic_auth_users:\n  'a:b': {HASH}\n", 2, "basic_auth_users.a:b: 'a:b' is not a user"),
    ],
)
def test_what_is_unsupported_is_refused_with_its_line(file: Path, text: str, line: int, problem: str) -> None:
    file.write_text(text)
    with pytest.raises(DocumentError) as refused:
        load_web_config(file)
    (found,) = refused.value.problems
    assert found.startswith(f"{file}:{line}: {problem}")
    assert "secret" not in found


@pytest.mark.parametrize("name", ["cert.pem", "key.pem", "ca.pem"])
@pytest.mark.parametrize(
    ("kind", "cause"), [("pipe", "it is a pipe"), ("device", "larger than 1048576 bytes")]
)
def test_what_is_no_file_is_no_certificate(file: Path, name: str, kind: str, cause: str) -> None:
    path = file.with_name("server") / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    file.write_text(f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server/ca.pem\n")
    with pytest.raises(DocumentError, match=f"{path}: {cause}"):
        load_web_config(file)


def test_the_command_checks_such_files(file: Path) -> None:
    file.write_text(WHOLE)
    assert invoke("check", str(file)) == Done(0, f"{file}: good web configuration\n", "")
    for part in PARTS:
        file.write_text(f"{part}: 1\n")
        assert invoke("check", str(file)).err.startswith(f"{file}:1: {part}: ")
    settings = file.with_name("settings.yaml")
    settings.write_text("web: {config.file: " + str(file) + "}\n")
    assert invoke("check", str(settings)).code == 1


def test_a_broken_file_keeps_the_previous_one_and_is_said_once(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(WHOLE)
    live = LiveWebConfig(file)
    before = live.current
    live.refresh()
    assert live.current is before
    for text in ("basic_auth_users: {}\n", "tls: {}\n"):
        file.write_text(text)
        live.refresh()
        live.refresh()
        assert live.current is before
    file.write_text(WHOLE.replace("deny", "sameorigin"))
    live.refresh()
    assert live.current.headers == ((b"x-frame-options", b"sameorigin"),)
    said = [line for line in capsys.readouterr().out.splitlines() if "web configuration" in line]
    assert ["refused" in line for line in said] == [True, True, False]


def test_a_file_that_is_gone_once_it_was_checked_is_a_problem_of_the_configuration(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Between the two, a certificate can be renewed: it is another file for a moment, or none.
    file.write_text("tls_server_config: {cert_file: gone.pem, key_file: gone.pem}\n")
    monkeypatch.setattr(tls, "_check_file", lambda _field, _path: None)
    with pytest.raises(DocumentError, match=r":1: tls_server_config\.cert_file: .*No such file"):
        load_web_config(file)
