"""Connections without the proxies and certificates that the environment of the tests may configure."""

import pytest

HIDDEN = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    *(
        name
        for scheme in ("http", "https", "all", "grpc", "no", "no_grpc")
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    ),
)


@pytest.fixture(autouse=True)
def _no_proxy_or_authority_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", "/dev/null")
    for name in HIDDEN:
        monkeypatch.delenv(name, raising=False)
