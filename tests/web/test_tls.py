"""TLS of the server: certificates that change, and clients that have one."""

import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from exporter.web.live_config import LiveWebConfig
from exporter.web.tls import alternative_names
from tests.otlp.tls import Keys, authority_of, pair
from tests.web.served import Served

TLS = "tls_server_config:\n  cert_file: server/cert.pem\n  key_file: server/key.pem\n"
MUTUAL = f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server/ca.pem\n"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return keys of a server and of clients."""
    return Keys.create(tmp_path)


@contextmanager
def serving(directory: Path, text: str) -> Iterator[Served]:
    """Serve with a web configuration."""
    file = directory / "web.yaml"
    file.write_text(text)
    served = Served(directory)
    served.web_config = LiveWebConfig(file)
    with served.running():
        yield served


def certificate(served: Served) -> str:
    """Return the certificate that a new connection sees."""
    host, port = served.url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)))


def test_it_serves_over_tls_alone(tmp_path: Path, keys: Keys) -> None:
    with serving(tmp_path, TLS) as served:
        assert served.ask("/-/healthy", verify=authority_of(keys.server)).ok
        with pytest.raises(requests.ConnectionError):
            requests.get(served.url.replace("https", "http"), timeout=10)


def test_a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not(
    tmp_path: Path, keys: Keys
) -> None:
    with serving(tmp_path, TLS) as served:
        assert served.web_config is not None
        first = certificate(served)
        shutil.copy(keys.stranger / "cert.pem", keys.server / "cert.pem")
        served.web_config.refresh()
        # The certificate and the key do not fit.
        assert certificate(served) == first
        shutil.copy(keys.stranger / "key.pem", keys.server / "key.pem")
        served.web_config.refresh()
        assert certificate(served) == (keys.stranger / "cert.pem").read_text()


@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
@pytest.mark.parametrize(
    ("text", "client", "is_let_in"),
    [
        (MUTUAL, None, False),
        (MUTUAL, "stranger", False),
        (MUTUAL, "client", True),
        (f"{MUTUAL}  client_allowed_sans: [other.example.com, 127.0.0.1]\n", "client", True),
        (f"{MUTUAL}  client_allowed_sans: [other.example.com]\n", "client", False),
        (MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), None, True),
        (MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"), "stranger", False),
    ],
)
def test_clients_need_a_certificate_with_an_allowed_name(  # noqa: PLR0913, PLR0917  # a table
    tmp_path: Path,
    keys: Keys,
    text: str,
    client: str | None,
    is_let_in: bool,  # noqa: FBT001
    version: str,
) -> None:
    shown = pair(getattr(keys, client)) if client else None
    with serving(tmp_path, f"{text}  min_version: {version}\n  max_version: {version}\n") as served:
        try:
            status = served.ask("/-/healthy", verify=authority_of(keys.server), cert=shown).status_code
        except requests.ConnectionError:
            status = None
        assert status == (HTTPStatus.OK if is_let_in else None)


def test_names_are_those_that_go_reads() -> None:
    names = (("DNS", "a.example"), ("IP Address", "2001:DB8:0:0:0:0:0:1"), ("URI", "spiffe://a"))
    assert alternative_names({"subjectAltName": names}) == {"a.example", "2001:db8::1", "spiffe://a"}
