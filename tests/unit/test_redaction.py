"""Secrets in text: none is left, and what is no secret stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.redaction import Redactor

ENVIRONMENT = {
    "HTTPS_PROXY": "http://ann:pr0xy%2Fw0rd@proxy:3128",
    "http_proxy": "bob:second-pr0xy@proxy:3128",
    "ALL_PROXY": "http://joe:n0t-enc0ded/w?rd@proxy:3128",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20c2VjcmV0,api-key=k3y-k3y",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x=trac3-k3y",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://eve:c0llect0r@collector/v1/logs?key=qu3ry-k3y",
    "EXIT_EXPORTER_DSTACK_TOKEN": "dstack-t0ken",
    "EXIT_EXPORTER_WEB_LISTEN_ADDRESS": "127.0.0.1:10137",
}
SECRETS = (
    "pr0xy%2Fw0rd",
    "pr0xy/w0rd",
    "second-pr0xy",
    "n0t-enc0ded/w?rd",
    "n0t-enc0ded",
    "Basic c2VjcmV0",
    "c2VjcmV0",
    "k3y-k3y",
    "trac3-k3y",
    "c0llect0r",
    "qu3ry-k3y",
    "dstack-t0ken",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_of_the_environment_is_found_wherever_it_stands(secret: str) -> None:
    assert Redactor(ENVIRONMENT)(f"refused {secret!r}, sorry") == "refused '[redacted]', sorry"


def test_a_secret_is_found_as_others_quote_it() -> None:
    redact = Redactor({"HTTP_PROXY": "http://ann:it's \\ back@proxy"})
    for quoted in (repr("it's \\ back")[1:-1], "it%27s%20%5C%20back"):
        assert redact(f"refused <{quoted}>") == "refused <[redacted]>"


def test_a_secret_need_not_be_utf_8() -> None:
    redact = Redactor({"HTTP_PROXY": "http://ann:s\udcffcret@proxy"})
    assert [redact(each) for each in ("s\udcffcret", "s%FFcret")] == ["[redacted]"] * 2


@given(st.text(), st.sampled_from(SECRETS), st.text())
def test_no_text_around_it_hides_a_secret(before: str, secret: str, after: str) -> None:
    assert secret not in Redactor(ENVIRONMENT)(before + secret + after)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:p@h:1/path", "http://[redacted]@h:1/path"),
        ("https://t0ken@h", "https://[redacted]@h"),
        ("tcp://u:p@ss@h:1", "tcp://[redacted]@h:1"),
        *((f"tcp://u:p{each}ss@h:1", "tcp://[redacted]@h:1") for each in "/#?[:' "),
        *((f"ssh://u:p{each}ss@h:1/x", "ssh://[redacted]@h:1/x") for each in "/#?["),
        ("socks5h://u:p@h", "socks5h://[redacted]@h"),
        ("ssh://u:p@h", "ssh://[redacted]@h"),
        ("'https://h/v1/traces?token=t'", "'https://h/v1/traces?[redacted]'"),
        ("Authorization: Bearer t0ken", "Authorization: [redacted]"),
        ("{'authorization': 'Basic dTpw'}", "{'authorization': '[redacted]'}"),
    ],
)
def test_a_secret_is_known_by_its_place(text: str, shown: str) -> None:
    assert Redactor({})(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "ssh://ann@host",
        "unix:///var/run/docker.sock",
        "http://127.0.0.1:10137/metrics",
        "/events?since=1: HTTP 403: forbidden",
        "name@sha256:0123",
        "https://registry:5000/v2/name@sha256:0123",
        "http://[::1]:5000/name@sha256:0123",
        "https://h/v2/name:1@sha256:0123",
        "no engine at 127.0.0.1:10137",
        "examples: unix:///var/run/docker.sock, tcp://host:2376, ssh://user@host",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert Redactor(ENVIRONMENT)(text) == text


def test_a_short_value_is_not_looked_for() -> None:
    assert Redactor({"API_TOKEN": "exit"})("exit code 1") == "exit code 1"
