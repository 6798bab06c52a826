"""The endpoint that Prometheus scrapes."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import pytest

from exporter.metrics import definitions
from exporter.metrics.update import MetricUpdate
from tests.metrics import samples
from tests.web.responses import content, problem
from tests.web.served import Served

GOLDEN = Path(__file__).parents[1] / "metrics" / "golden"
TEXT = (GOLDEN / "exposition.txt").read_text(encoding="utf-8")
OPENMETRICS = (GOLDEN / "exposition.openmetrics.txt").read_text(encoding="utf-8")
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0"
SCRAPE_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
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


def commit(served: Served, update: MetricUpdate) -> None:
    """Apply an update, and show what may be shown, as if both were on record."""
    state, due = served.metric_state, served.metric_state.due()
    state.apply_committed(update, state.values_to_store(update, due), due)


def one_exit(code: str) -> MetricUpdate:
    """Return an update of the counter of exits."""
    update = MetricUpdate()
    update.add(definitions.EXITS, ("h", "w", "i", "failed", code, "Error"))
    return update


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Served]:
    """Return a running server that shows an exit to nobody who scrapes yet."""
    with Served(tmp_path).running() as served:
        commit(served, one_exit("1"))
        yield served


def connect(served: Served) -> HTTPConnection:
    """Open a connection as a scraper does."""
    return HTTPConnection(served.url.removeprefix("http://"), timeout=30)


def scrape(served: Served, connection: HTTPConnection, path: str = "/metrics", **headers: str) -> list[float]:
    """Scrape as Prometheus does, on a connection; then show what may be shown. Return the exits."""
    connection.request("GET", path, headers={SCRAPE_HEADER: "10", **headers})
    text = connection.getresponse().read().decode()
    commit(served, MetricUpdate())
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith(definitions.EXITS.name)]


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS_TYPE])
@pytest.mark.parametrize("path", ["/metrics", f"/metrics?name[]={definitions.EXITS.name}"])
def test_a_scrape_shows_0_before_a_series_grows(held: Served, path: str, accept: str) -> None:
    with closing(connect(held)) as connection:
        found = [scrape(held, connection, path, Accept=accept) for _ in range(4)]
    assert found == [[0], [0], [1], [1]]


def test_whoever_does_not_scrape_is_shown_the_value(held: Served) -> None:
    response = held.ask(f"/metrics?name[]={definitions.EXITS.name}")
    assert response.text.split()[-1] == "1.0"


def test_two_scrapers_on_one_machine_are_two(held: Served) -> None:
    with closing(connect(held)) as one, closing(connect(held)) as other:
        for connection in (one, other, one):
            assert scrape(held, connection) == [0]
        commit(held, one_exit("2"))
        for connection in (one, one, other):
            assert scrape(held, connection) == [1, 0]
        for connection in (one, other):
            assert scrape(held, connection) == [1, 1]


def test_who_asks_for_other_metrics_on_the_same_connection_is_another(held: Served) -> None:
    with closing(connect(held)) as connection:
        for path in ("/metrics", "/metrics?name[]=python_info", "/metrics"):
            scrape(held, connection, path)
        commit(held, one_exit("2"))
        for _ in range(2):
            scrape(held, connection, "/metrics?name[]=python_info")
        assert scrape(held, connection) == [1, 0]
        assert scrape(held, connection) == [1, 1]


def test_a_scrape_that_was_given_up_counts_as_not_given(held: Served) -> None:
    given_up = connect(held)
    for _ in range(3):
        scrape(held, given_up)
    commit(held, one_exit("2"))
    given_up.request("GET", "/metrics", headers={SCRAPE_HEADER: "10"})
    given_up.sock.recv(1)
    given_up.close()
    with closing(connect(held)) as connection:
        assert [scrape(held, connection) for _ in range(3)] == [[1, 0]] * 3


def test_an_answer_to_a_scraper_that_has_gone_is_not_given(
    held: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, given = held.metric_state, list[int]()
    monkeypatch.setattr(state.scrapers, "on_scraped", lambda scraper, _: given.append(scraper))
    gone = connect(held)
    # As on a busy machine, the answer comes only after the scraper's timeout.
    with state._lock:
        gone.request("GET", "/metrics", headers={SCRAPE_HEADER: "10"})
        gone.close()
    with closing(connect(held)) as connection:
        assert scrape(held, connection) == [0]
    assert len(given) == 1


@pytest.mark.parametrize("header", ["Forwarded", "Via", "X-Forwarded-For"])
def test_each_scrape_through_a_proxy_may_be_of_another_scraper(held: Served, header: str) -> None:
    with closing(connect(held)) as connection:
        assert [scrape(held, connection, **{header: "one"}) for _ in range(4)] == [[0]] * 4


def test_only_jobs_need_the_store(scraped: Served) -> None:
    with scraped.running():
        cause = scraped.break_store()
        unavailable = problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the store cannot be read: {cause}")
        assert content(scraped.ask("/api/v1/jobs")) == unavailable
        assert content(scraped.ask("/api/v1/jobs/gentle-stingray-a")) == unavailable
        assert samples.comparable(scraped.ask("/metrics").text) == TEXT
        for path in ("/-/healthy", "/-/ready", "/api/v1/reasons", "/api/v1/reasons/137", "/openapi.json"):
            assert scraped.ask(path).status_code == HTTPStatus.OK
