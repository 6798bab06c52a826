"""No header makes a request fail that would succeed without it."""

from http import HTTPStatus
from pathlib import Path

import pytest

from exporter.web.accept import known_formats
from tests.metrics import samples
from tests.web.served import Served

OPENMETRICS = "application/openmetrics-text"
# What parsers of headers trip over: versions, qualities and lists that are none, and bytes that are no text.
VALUES = (
    *(f"version={text}" for text in ("abc", "1.x", "-1", "9" * 5000, "1e999", "", "²", "1.0.0;version=abc")),
    *("q=x", "q=nan", "escaping=no", "charset=no", "=", ";", ",", ";;,,;", '"', "\\", "%ff", "\x80\xff", "é"),
    *("gzip;q=1e", "bytes=-", "0-0", "../", "null", "0", "-1", "x" * 8000, "a=b; " * 500),
)
NAMES = (
    *("Accept-Encoding", "Accept-Language", "Accept-Charset", "Content-Type", "Cookie", "Referer", "Range"),
    *("If-None-Match", "If-Modified-Since", "Last-Event-ID", "X-Forwarded-For", "X-Forwarded-Proto", "Via"),
    *("User-Agent", "X-Prometheus-Scrape-Timeout-Seconds", "Authorization", "Forwarded", "TE", "Upgrade"),
)
PATHS = ("/metrics", "/-/healthy", "/-/ready", "/api/v1/jobs", "/api/v1/reasons/137", "/", "/openapi.json")
ACCEPTED = (
    "",
    f"{OPENMETRICS};",
    "text/plain;",
    f"text/html, {OPENMETRICS}; ",
    f"{OPENMETRICS};version=1.0.0;",
)


@pytest.mark.parametrize("path", PATHS)
def test_no_header_makes_a_request_fail(unchanged: Served, path: str) -> None:
    tried = [("Accept", start + value) for start in ACCEPTED for value in VALUES]
    tried += [(name, value) for name in NAMES for value in VALUES]
    failed = {
        (name, value): answer.status_code
        for name, value in tried
        if not (answer := unchanged.ask(path, headers={name: value.encode("latin-1")})).ok
    }
    assert failed == {}


@pytest.mark.parametrize(
    ("accept", "known"),
    [
        (f"{OPENMETRICS}; version=abc", ""),
        (f"{OPENMETRICS}; version=2.0.0, text/plain; version=0.0.4", " text/plain; version=0.0.4"),
        ("text/plain; version=abc, */*", " */*"),
        (f"{OPENMETRICS}, text/html; version=abc", f"{OPENMETRICS}, text/html; version=abc"),
    ],
)
def test_formats_whose_version_does_not_exist_are_left_out(accept: str, known: str) -> None:
    assert known_formats(accept) == known


def test_a_cause_that_is_not_utf_8_is_answered(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.metric_state = samples.filled_state()
    served.health.set_unready("store", "/srv/\udcff.db: is full")
    with served.running():
        answer = served.ask("/-/ready")
    assert (answer.status_code, answer.json()["detail"]) == (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "store: /srv/\ufffd.db: is full",
    )
