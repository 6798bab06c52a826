"""The endpoint that Prometheus scrapes."""

import gzip
from http import HTTPStatus
from pathlib import Path

import pytest

from exporter.metrics import definitions
from exporter.metrics.state import MetricUpdate
from tests.metrics import samples
from tests.web.responses import content, problem
from tests.web.served import Served

GOLDEN = Path(__file__).parents[1] / "metrics" / "golden"
TEXT = (GOLDEN / "exposition.txt").read_text(encoding="utf-8")
OPENMETRICS = (GOLDEN / "exposition.openmetrics.txt").read_text(encoding="utf-8")
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0"
PLAIN_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@pytest.fixture
def scraped(tmp_path: Path) -> Served:
    """Return a server that is not started yet, with a value of every metric."""
    served = Served(tmp_path)
    served.metric_state = samples.filled_state()
    return served


@pytest.mark.parametrize(
    ("accept", "media_type", "text"),
    [
        ("", PLAIN_TYPE, TEXT),
        ("text/plain", PLAIN_TYPE, TEXT),
        ("text/html", PLAIN_TYPE, TEXT),
        (
            f"{OPENMETRICS_TYPE},text/plain;version=0.0.4;q=0.5",
            f"{OPENMETRICS_TYPE}; charset=utf-8; escaping=underscores",
            OPENMETRICS,
        ),
    ],
)
def test_the_client_chooses_the_format(scraped: Served, accept: str, media_type: str, text: str) -> None:
    with scraped.running():
        response = scraped.ask("/metrics", headers={"Accept": accept})
    assert (response.status_code, samples.comparable(response.text)) == (HTTPStatus.OK, text)
    assert response.headers["content-type"] == media_type
    assert response.headers["vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(
    ("accept_encoding", "encoding"),
    [
        ("gzip", "gzip"),
        ("deflate, gzip;q=0.8", "gzip"),
        ("identity", None),
        ("", None),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0, identity", None),
    ],
)
def test_the_client_chooses_the_encoding(scraped: Served, accept_encoding: str, encoding: str | None) -> None:
    with scraped.running():
        response = scraped.ask("/metrics", headers={"Accept-Encoding": accept_encoding}, stream=True)
        raw = response.raw.read(decode_content=False)
    assert response.headers.get("content-encoding") == encoding
    assert int(response.headers["content-length"]) == len(raw)
    assert samples.comparable((gzip.decompress(raw) if encoding else raw).decode()) == TEXT


def test_single_metrics_can_be_requested(scraped: Served) -> None:
    names = ("container_jobs_running", "exit_exporter_store_errors_total")
    starts = tuple(f"{before}{name}" for name in names for before in ("# HELP ", "# TYPE ", ""))
    with scraped.running():
        response = scraped.ask("/metrics", params={"name[]": names})
    lines = [line for line in TEXT.splitlines(keepends=True) if line.startswith(starts)]
    assert response.text == "".join(lines)


def test_a_head_request_has_the_headers_of_a_scrape(scraped: Served) -> None:
    path = f"/metrics?name[]={definitions.EXITS.name}"
    with scraped.running():
        head, whole = (scraped.ask(path, method) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (HTTPStatus.OK, b"")
    assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}


def test_the_path_is_a_setting(tmp_path: Path) -> None:
    with Served(tmp_path).running("/-/metrics/of/exits") as served:
        assert served.ask("/-/metrics/of/exits").status_code == HTTPStatus.OK
        assert served.ask("/metrics").status_code == HTTPStatus.NOT_FOUND
        assert "/-/metrics/of/exits" in served.ask("/openapi.json").json()["paths"]


def test_a_scrape_has_the_current_values(served: Served) -> None:
    update = MetricUpdate()
    update.add(definitions.STORE_ERRORS)
    for value in ("1.0", "2.0", "3.0"):
        served.metric_state.apply(update)
        scrape = served.ask("/metrics?name[]=exit_exporter_store_errors_total").text
        assert scrape.split()[-1] == value


def test_only_jobs_need_the_store(scraped: Served) -> None:
    with scraped.running():
        cause = scraped.break_store()
        unavailable = problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the store cannot be read: {cause}")
        assert content(scraped.ask("/api/v1/jobs")) == unavailable
        assert content(scraped.ask("/api/v1/jobs/gentle-stingray-a")) == unavailable
        assert samples.comparable(scraped.ask("/metrics").text) == TEXT
        for path in ("/-/healthy", "/-/ready", "/api/v1/reasons", "/api/v1/reasons/137", "/openapi.json"):
            assert scraped.ask(path).status_code == HTTPStatus.OK
