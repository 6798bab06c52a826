"""What those who run the daemon ask for: its metrics, its health, its readiness, a reload."""

import gzip
from http import HTTPStatus
from pathlib import Path

import pytest

from exporter import __version__
from exporter.metrics import definitions
from exporter.metrics.state import MetricUpdate
from exporter.verdict.catalog_file import builtin_catalog
from tests.metrics import samples
from tests.web.answers import good, problem, said
from tests.web.served import Served

GOLDEN = Path(__file__).parents[1] / "metrics" / "golden"
TEXT = (GOLDEN / "exposition.txt").read_text(encoding="utf-8")
OPENMETRICS = (GOLDEN / "exposition.openmetrics.txt").read_text(encoding="utf-8")
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
RELOADED = (
    "exit_exporter_config_last_reload_successful",
    "exit_exporter_config_last_reload_success_timestamp_seconds",
)


@pytest.fixture
def scraped(tmp_path: Path) -> Served:
    """Give the web side, not served yet, with a value of every metric."""
    served = Served(tmp_path)
    served.metric_state = samples.filled_state()
    return served


@pytest.mark.parametrize(
    ("accept", "media_type", "text"),
    [
        ("", PLAIN, TEXT),
        ("text/plain", PLAIN, TEXT),
        ("text/html", PLAIN, TEXT),
        (
            f"{OPENMETRICS_TYPE},text/plain;version=0.0.4;q=0.5",
            f"{OPENMETRICS_TYPE}; charset=utf-8; escaping=underscores",
            OPENMETRICS,
        ),
    ],
)
def test_the_metrics_come_whole_in_the_form_that_the_reader_accepts(
    scraped: Served, accept: str, media_type: str, text: str
) -> None:
    with scraped.running():
        answer = scraped.ask("/metrics", headers={"Accept": accept})
    assert (answer.status_code, samples.comparable(answer.text)) == (HTTPStatus.OK, text)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.8", True),
        ("identity", False),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
    ],
)
def test_the_metrics_are_packed_for_those_who_accept_that(
    scraped: Served,
    accepted: str,
    packed: bool,  # noqa: FBT001 - a fact
) -> None:
    with scraped.running():
        answer = scraped.ask("/metrics", headers={"Accept-Encoding": accepted}, stream=True)
        raw = answer.raw.read(decode_content=False)
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert int(answer.headers["content-length"]) == len(raw)
    assert samples.comparable((gzip.decompress(raw) if packed else raw).decode()) == TEXT


def test_one_name_or_several_can_be_asked_for(scraped: Served) -> None:
    names = ("container_jobs_running", "exit_exporter_store_errors_total")
    beginnings = tuple(f"{before}{name}" for name in names for before in ("# HELP ", "# TYPE ", ""))
    with scraped.running():
        answer = scraped.ask("/metrics", params={"name[]": names})
    own = [line for line in TEXT.splitlines(keepends=True) if line.startswith(beginnings)]
    assert answer.text == "".join(own)


def test_asking_for_the_head_alone_tells_what_would_come(scraped: Served) -> None:
    asked = definitions.EXITS.name
    with scraped.running():
        head, whole = (scraped.ask(f"/metrics?name[]={asked}", method) for method in ("HEAD", "GET"))
    headers = [{**answer.headers, "date": ""} for answer in (head, whole)]
    assert (head.status_code, head.content, headers[0]) == (HTTPStatus.OK, b"", headers[1])


def test_the_metrics_are_where_the_settings_want_them(tmp_path: Path) -> None:
    with Served(tmp_path).running("/-/metrics/of/exits") as served:
        assert served.ask("/-/metrics/of/exits").status_code == HTTPStatus.OK
        assert served.ask("/metrics").status_code == HTTPStatus.NOT_FOUND
        assert "/-/metrics/of/exits" in served.ask("/openapi.json").json()["paths"]


def test_a_scrape_shows_what_was_published_since_the_one_before(served: Served) -> None:
    changes = MetricUpdate()
    changes.add(definitions.STORE_ERRORS)
    seen = []
    for _ in range(3):
        served.metric_state.apply(changes)
        seen.append(served.ask("/metrics?name[]=exit_exporter_store_errors_total").text.split()[-1])
    assert seen == ["1.0", "2.0", "3.0"]


def test_while_the_store_fails_all_that_needs_no_store_still_answers(scraped: Served) -> None:
    with scraped.running():
        cause = scraped.break_store()
        refused = problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the store cannot be read: {cause}")
        assert said(scraped.ask("/api/v1/jobs")) == refused
        assert said(scraped.ask("/api/v1/jobs/gentle-stingray-a")) == refused
        assert samples.comparable(scraped.ask("/metrics").text) == TEXT
        for path in ("/-/healthy", "/-/ready", "/api/v1/reasons", "/api/v1/reasons/137", "/openapi.json"):
            assert scraped.ask(path).status_code == HTTPStatus.OK


def test_the_daemon_is_healthy_as_long_as_exits_are_taken_in(served: Served) -> None:
    assert said(served.ask("/-/healthy")) == good({"status": "healthy"})
    served.alive = False
    dead = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the pipeline has ended; the log has the cause")
    assert said(served.ask("/-/healthy")) == dead


def test_not_ready_tells_every_cause_by_name_and_ready_none(served: Served) -> None:
    served.health.set_unready("unix:///b.sock", "the engine has not answered yet")
    served.health.set_unready("store", "/exits.db: database or disk is full")
    served.health.set_unready("unix:///b.sock", "connection refused")
    assert said(served.ask("/-/ready")) == problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "store: /exits.db: database or disk is full",
        "store: /exits.db: database or disk is full",
        "unix:///b.sock: connection refused",
    )
    served.health.set_ready("store")
    assert said(served.ask("/-/ready")) == problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unix:///b.sock: connection refused",
        "unix:///b.sock: connection refused",
    )
    served.health.set_ready("unix:///b.sock")
    served.health.set_ready("nobody has said anything of this one")
    assert said(served.ask("/-/ready")) == good({"status": "ready"})


def reloaded(served: Served) -> list[float | None]:
    """Give what the metrics say of the last reload: whether it succeeded, and when one last did."""
    values = served.metric_state.snapshot()
    return [values.get((name, ())) for name in RELOADED]


def plain_reason(served: Served, code: int) -> str:
    """Give the word that the API has for a code by itself."""
    word: str = served.ask(f"/api/v1/reasons/{code}").json()["readings"][0]["reason"]
    return word


GOOD_FILE = """\
reasons:
  CheckpointCorrupt: {meaning: The checkpoint cannot be read.}
codes:
  42: CheckpointCorrupt
"""
BAD_FILE = """\
codes:
  42: checkpoint corrupt
  0: Completed

workloads:
  shop/*: {43: Nowhere}
"""


def test_a_reload_takes_the_file_and_the_metrics_say_so(served: Served) -> None:
    assert plain_reason(served, 42) == "Error"
    served.catalogue_file.write_text(GOOD_FILE, encoding="utf-8")
    known = builtin_catalog()
    assert said(served.ask("/-/reload", "POST")) == good(
        {"codes": len(known.codes) + 1, "reasons": len(known.reasons) + 1}
    )
    assert plain_reason(served, 42) == "CheckpointCorrupt"
    success, when = reloaded(served)
    assert success == 1
    assert when is not None


def test_a_bad_file_is_refused_with_every_line_that_is_wrong_and_the_old_words_stay(served: Served) -> None:
    served.catalogue_file.write_text(GOOD_FILE, encoding="utf-8")
    served.ask("/-/reload", "POST")
    _, when = reloaded(served)
    served.catalogue_file.write_text(BAD_FILE, encoding="utf-8")
    file = served.catalogue_file
    assert said(served.ask("/-/reload", "POST")) == problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the catalogue file is refused; the previous one stays in use",
        f"{file}:2: codes.42.reason: String should match pattern '^[A-Z][A-Za-z0-9]{{1,63}}$'",
    )
    assert plain_reason(served, 42) == "CheckpointCorrupt"
    assert reloaded(served) == [0, when]
    served.catalogue_file.write_text(BAD_FILE.replace("checkpoint corrupt", "Error"), encoding="utf-8")
    assert said(served.ask("/-/reload", "POST")) == problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the catalogue file is refused; the previous one stays in use",
        f"{file}:3: codes.0: code 0 is always Completed and cannot be renamed",
        f"{file}:6: workloads.shop/*.43: reason Nowhere is described nowhere; "
        "add it under 'reasons:' with a meaning",
    )
    assert plain_reason(served, 42) == "CheckpointCorrupt"


def test_after_a_refusal_a_good_file_is_taken_again(served: Served) -> None:
    for text, success in ((BAD_FILE, 0), (GOOD_FILE, 1)):
        served.catalogue_file.write_text(text, encoding="utf-8")
        served.ask("/-/reload", "POST")
        assert reloaded(served)[0] == success
    assert plain_reason(served, 42) == "CheckpointCorrupt"


def test_a_file_that_is_gone_is_refused_like_a_bad_one(served: Served) -> None:
    served.catalogue_file.unlink()
    assert said(served.ask("/-/reload", "POST")) == problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the catalogue file is refused; the previous one stays in use",
        f"{served.catalogue_file}: cannot be read: No such file or directory",
    )
    assert reloaded(served) == [0, None]


def test_looking_does_not_reload(served: Served) -> None:
    answer = served.ask("/-/reload")
    assert said(answer) == problem(HTTPStatus.METHOD_NOT_ALLOWED, "GET is not allowed at /-/reload")
    assert answer.headers["allow"] == "POST"


def test_the_document_of_the_api_tells_the_version_that_runs(served: Served) -> None:
    assert served.ask("/openapi.json").json()["info"]["version"] == __version__
