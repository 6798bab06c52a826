"""TLS, passwords and headers of the daemon, with real clients: curl, Prometheus and the command line."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.cli.command import run
from tests.contract.engines import on_other_host
from tests.integration.keys import Authority
from tests.lab.exporter import ExporterProcess
from tests.lab.prometheus import PrometheusProcess
from tests.lab.wait import wait_until
from tests.otlp.tls import Keys, authority_of
from tests.scripted.engine import ScriptedEngine

TIMEOUT_SECONDS = 30.0
USER, PASSWORD = "prometheus", "a good one"
CONFIG = """\
tls_server_config:
  cert_file: server/cert.pem
  key_file: server/key.pem
http_server_config:
  headers:
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  {user}: {hash}
"""


class SecuredExporter(ExporterProcess):
    """An exporter with TLS and a password."""

    def __init__(self, engine_url: str, directory: Path, keys: Keys) -> None:
        """Set its keys, and write its web configuration."""
        config = directory / "web.yaml"
        text = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        config.write_text(CONFIG.format(user=USER, hash=text))
        super().__init__(engine_url, directory, arguments=("--web.config.file", str(config)))
        self._http.verify = authority_of(keys.server)
        self._http.auth = (USER, PASSWORD)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"https://{self.address}"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return keys of a server and of clients."""
    return Keys.create(tmp_path)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ScriptedEngine]:
    """Start a scripted engine."""
    with on_other_host(ScriptedEngine(tmp_path)) as started:
        yield started


@pytest.fixture
def secured(engine: ScriptedEngine, tmp_path: Path, keys: Keys) -> Iterator[SecuredExporter]:
    """Start a daemon with TLS and a password."""
    with SecuredExporter(engine.url, tmp_path, keys) as exporter:
        yield exporter


def curl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run curl; it prints headers and body."""
    command = ["curl", "--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "20", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_curl_needs_the_authority_and_the_password(secured: SecuredExporter, keys: Keys) -> None:
    trusted = ("--cacert", authority_of(keys.server))
    untrusted = curl(f"{secured.url}/metrics")
    refused = curl(*trusted, f"{secured.url}/-/healthy")
    wrong = curl(*trusted, "--user", f"{USER}:wrong", f"{secured.url}/metrics")
    let_in = curl(*trusted, "--user", f"{USER}:{PASSWORD}", f"{secured.url}/metrics")
    assert untrusted.returncode == 60
    assert [each.stdout.splitlines()[0] for each in (refused, wrong, let_in)] == [
        "HTTP/1.1 401 Unauthorized",
        "HTTP/1.1 401 Unauthorized",
        "HTTP/1.1 200 OK",
    ]
    assert "\nexit_exporter_build_info{" in let_in.stdout
    assert all("strict-transport-security: max-age=31536000\n" in each.stdout for each in (refused, let_in))


@pytest.mark.parametrize(
    ("credentials", "up"),
    [({"basic_auth": {"username": USER, "password": PASSWORD}}, 1), ({}, 0)],
    ids=["with credentials", "without"],
)
def test_prometheus_scrapes_with_credentials_alone(
    secured: SecuredExporter, keys: Keys, tmp_path: Path, credentials: Mapping[str, Any], up: int
) -> None:
    scrape = {"scheme": "https", "tls_config": {"ca_file": authority_of(keys.server)}, **credentials}
    directory = tmp_path / "prometheus"
    directory.mkdir()
    targets = {"exit-exporter": secured.address}
    with PrometheusProcess(directory, targets=targets, scrape=scrape) as prometheus:
        assert wait_until(lambda: prometheus.value("up") is not None, TIMEOUT_SECONDS)
        assert prometheus.value("up") == up
        (target,) = prometheus.ask("targets")["activeTargets"]
        assert target["lastError"] == ("" if up else "server returned HTTP status 401 Unauthorized")


def test_a_renewed_certificate_is_used_while_it_runs(
    secured: SecuredExporter, keys: Keys, tmp_path: Path
) -> None:
    new = Authority.create("a new authority").equip_server(tmp_path / "new")
    for name in ("cert.pem", "key.pem"):
        shutil.copy(new / name, keys.server / name)
    trusted = ("--cacert", authority_of(new), "--user", f"{USER}:{PASSWORD}")
    assert wait_until(lambda: curl(*trusted, f"{secured.url}/metrics").returncode == 0, TIMEOUT_SECONDS)


def test_the_commands_ask_with_a_password(secured: SecuredExporter, keys: Keys, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    at, trusted = ("--url", secured.url), ("--tls-ca", authority_of(keys.server))
    known = (*at, *trusted, "--user", USER)
    assert run("ps", *known, "--password-file", file).code == 0
    assert run("ps", *known, EXIT_EXPORTER_PASSWORD=PASSWORD).code == 0
    variables = {
        "EXIT_EXPORTER_URL": secured.url,
        "EXIT_EXPORTER_TLS_CA": authority_of(keys.server),
        "EXIT_EXPORTER_USER": USER,
        "EXIT_EXPORTER_PASSWORD_FILE": str(file),
    }
    assert run("ps", **variables).code == 0
    for words, cause in (
        (at, "TLS failed: "),
        ((*at, *trusted), "; see --user and --token-file"),
        ((*at, *trusted, "--token-file", str(file)), "; see --user and --token-file"),
        (
            known,
            "--user needs a password: give --password-file, or the variable EXIT",
        ),
    ):
        done = run("ps", *words)
        assert (done.code != 0, cause in done.err) == (True, True), done.err
