"""The page: what it shows of jobs, how it finds them, and that text from outside stays text."""

import time
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from dashboards import colours
from exporter.cli.plain_table import plain_rows
from exporter.model import Evidence, LimitOwner, Workload
from exporter.store import Batch
from exporter.web.page import list_page, static_files
from exporter.web.page.colours import KNOWN_REASONS, OTHER_COLOURS
from exporter.web.page.options import PageOptions
from exporter.web.page.security import SECURITY_HEADERS
from tests.cli.outputs import TAIL, fill, fill_more
from tests.store.samples import BEGAN_NS, OOM, SECOND_NS, ended, job
from tests.web.html import Element, parse
from tests.web.served import Served

MARKUP = "<script>alert(1)</script>&amp;\"'"
VERBOSE = ("name", "instance", "status", "error", "attempt", "ran", "finished")


def page(served: Served, path: str = "/", status: HTTPStatus = HTTPStatus.OK) -> Element:
    """Return a page, which has the headers of every page."""
    response = served.ask(path)
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert {name: response.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    return parse(response.text)


def names(found: Element) -> list[str]:
    """Return the names of the jobs in a page, in order."""
    return [cell.text for cell in found.all("td", "name")]


def cells(row: Element, titles: tuple[str, ...] = VERBOSE) -> list[str]:
    """Return the texts of the cells, without the sign before the status."""
    return [row.one("td", title).text.lstrip("▶✓✕■? ") for title in titles]


# The list


def test_the_rows_have_the_text_of_ps_verbose(served: Served) -> None:
    fill(served)
    fill_more(served)
    jobs = served.ask("/api/v1/jobs").json()["jobs"]
    _, *lines = plain_rows(jobs, verbose=True)
    rows = page(served, "/?until=2200-01-01").one("table").one("tbody").all("tr")
    shown = ["".join(cells(row)).replace(" ", "") for row in rows]
    assert shown == [
        line.replace(" ", "") for line, each in zip(lines, jobs, strict=True) if each["finished_at"]
    ]


def test_what_failed_comes_first_the_last_end_first_and_nothing_comes_twice(served: Served) -> None:
    late = ended(job("1", name="long", start_event_ns=BEGAN_NS - 9000 * SECOND_NS), 1)
    served.store.commit(
        Batch(
            running=[job("2", name="running", start_event_ns=BEGAN_NS + 9)],
            ended=[
                replace(late, exit=replace(late.exit, finished_ns=BEGAN_NS + 200 * SECOND_NS)),
                ended(job("3", name="oom", start_event_ns=BEGAN_NS + 1), 137, OOM),
                ended(job("4", name="fine", start_event_ns=BEGAN_NS + 2), 0),
                ended(job("5", name="unseen", start_event_ns=BEGAN_NS), None),
            ],
        )
    )
    failures, others = page(served).all("table")
    assert names(failures) == ["long", "oom", "unseen"]
    assert names(others) == ["running", "fine"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?status=failed", ["gentle-stingray-1", "mistyped", "long-ago"]),
        ("?reason=oomkilled", ["gentle-stingray-1"]),
        ("?code=143&status=", ["stopped"]),
        ("?workload=night%2Freport", ["nightly"]),
        ("?host=node-2", ["stopped"]),
        ("?text=STINGRAY", ["gentle-stingray-1"]),
        ("?until=2050-01-01", ["long-ago"]),
        ("?casualties=true", []),
    ],
)
def test_each_filter_is_part_of_the_address(served: Served, query: str, found: list[str]) -> None:
    fill(served)
    shown = page(served, f"/{query}")
    assert names(shown) == found
    removed = shown.one("ul", "conditions").all("a")[0]
    assert names(page(served, removed.attributes["href"].removeprefix("."))) == names(page(served))


def test_older_jobs_are_a_link_away(served: Served) -> None:
    served.store.commit(
        Batch(ended=[ended(job(f"{n:x}", name=f"n{n}", start_event_ns=BEGAN_NS + n), 0) for n in range(5)])
    )
    shown, seen = page(served, "/?limit=2"), []
    while True:
        seen += names(shown)
        older = [link for link in shown.one("nav").all("a") if link.attributes.get("rel") == "next"]
        if not older:
            break
        shown = page(served, older[0].attributes["href"].removeprefix("."))
    assert seen == ["n4", "n3", "n2", "n1", "n0"]
    assert names(page(served, shown.one("nav").all("a")[0].attributes["href"].removeprefix("."))) == [
        "n4",
        "n3",
    ]


def test_reasons_are_counted_and_a_click_shows_those_jobs(served: Served) -> None:
    fill(served)
    reasons = page(served).one("ul", "reasons").all("a")
    assert [reason.text for reason in reasons] == [
        "CommandNotFound 1",
        "OOMKilled 1",
        "Terminated 1",
        "Unknown 1",
        "Completed 1",
    ]
    chosen = page(served, reasons[1].attributes["href"].removeprefix("."))
    assert names(chosen) == ["gentle-stingray-1"]
    assert chosen.one("ul", "reasons").all("a")[1].attributes["aria-current"] == "true"
    titles = [title.text for title in chosen.one("figure").all("title")]
    assert [title.partition("UTC: ")[2] for title in titles] == [
        "1 CommandNotFound, 1 Completed, 1 OOMKilled, 1 Terminated, 1 Unknown"
    ]


@pytest.mark.parametrize(
    ("query", "problem", "text"),
    [
        ("", None, "Nothing yet. The exporter watches"),
        ("", "connection refused", "Nothing yet, and the exporter is not ready"),
        ("?status=failed", None, "Nothing found. No job on record is like this."),
        ("?cursor=MTox", None, "No older jobs."),
    ],
)
def test_nothing_yet_is_told_from_nothing_found(
    served: Served, query: str, problem: str | None, text: str
) -> None:
    if problem:
        served.health.set_unready("unix:///docker.sock", problem)
    shown = page(served, f"/{query}")
    assert shown.one("div", "empty").text.startswith(text)
    assert [each.text for each in shown.all("div", "notice")] == (
        [f"Not up to date. unix:///docker.sock: {problem}"] if problem else []
    )


def test_the_page_says_what_is_missing_of_an_engine_that_is_watched(served: Served) -> None:
    served.health.set_limitations("unix:///docker.sock", ["/images/{id}/json is refused"])
    (notice,) = page(served, "/").all("div", "notice")
    assert notice.text == "Not complete. unix:///docker.sock: /images/{id}/json is refused"


def test_a_search_that_was_cut_says_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.store.job_pages.MAX_CANDIDATES", 1)
    monkeypatch.setattr("exporter.store.recent_exits.MAX_CANDIDATES", 1)
    monkeypatch.setattr(list_page, "_MAX_READS", 1)
    served.store.commit(Batch(ended=[ended(job("a"), 1), ended(job("b", start_event_ns=BEGAN_NS + 1), 1)]))
    shown = page(served, "/?text=stingray-a")
    assert shown.one("div", "empty").text.startswith("Nothing found so far.")
    assert shown.one("p", "note").text == "of the last 1"
    older = shown.one("nav").one("a")
    assert older.text == "Search older ones"
    assert names(page(served, older.attributes["href"].removeprefix("."))) == ["gentle-stingray-a"]


# Errors


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/?reason=OOM", HTTPStatus.BAD_REQUEST, "reason: 'OOM' is not in the catalogue"),
        ("/?colour=red", HTTPStatus.BAD_REQUEST, "colour: unknown parameter"),
        (
            "/jobs/nobody",
            HTTPStatus.NOT_FOUND,
            "no job, container name or container id 'nobody' is on record",
        ),
        ("/jobs/ccccc", HTTPStatus.NOT_FOUND, "is on record; of an id, give 6 digits at least"),
        ("/workloads/a/b", HTTPStatus.NOT_FOUND, "no job of a workload 'a/b' is on record"),
        ("/jobs/cccccc", HTTPStatus.CONFLICT, "Their ids begin with cccccc: one cccccc1111"),
    ],
)
def test_errors_are_pages_too(served: Served, path: str, status: HTTPStatus, text: str) -> None:
    same = [
        job("c", container_id="cccccc" + digit * 58, name=name)
        for digit, name in (("1", "one"), ("2", "two"))
    ]
    served.store.commit(Batch(running=same))
    assert text in page(served, path, status).one("section", "empty").text


def test_a_store_that_cannot_be_read_is_said(served: Served) -> None:
    cause = served.break_store()
    shown = page(served, "/", HTTPStatus.SERVICE_UNAVAILABLE)
    assert f"the store cannot be read: {cause}" in shown.one("section", "empty").text


# A job


def test_a_failed_job_shows_its_verdict_log_causes_and_command(served: Served) -> None:
    fill(served)
    shown = page(served, "/jobs/gentle-stingray-1")
    assert shown.one("h1").text == "gentle-stingray-1"
    assert shown.one("p", "sentence").text == (
        "OOMKilled: a process of it was OOM-killed; nobody asked for a stop."
    )
    assert shown.one("pre", "log").text == " ".join(TAIL.split())
    assert "open" in shown.one("details").attributes
    assert shown.one("code", "command").text == f"exit-exporter show aaaaaaaaaaaa-1 --url {served.url}"
    assert "What to do: more-memory" in shown.text


@pytest.mark.parametrize(
    ("tail_lines", "text"),
    [(0, "start the exporter with --tail.lines 20"), (5, "or was not to be read when the job ended")],
)
def test_without_a_log_the_setting_is_named(tmp_path: Path, tail_lines: int, text: str) -> None:
    with Served(tmp_path).running(page_options=PageOptions(tail_lines)) as served:
        served.store.commit(Batch(ended=[ended(job("a"), 1)]))
        assert text in page(served, "/jobs/gentle-stingray-a").text


def test_earlier_and_later_runs_are_squares(served: Served) -> None:
    runs = [job("a", attempt=n, start_event_ns=BEGAN_NS + n * SECOND_NS, key=f"r{n}") for n in (1, 2, 3)]
    served.store.commit(
        Batch(ended=[ended(runs[0], 1), ended(runs[1], 0), ended(job("b"), 143), ended(runs[2], None)])
    )
    container, workload = page(served, "/jobs/aaaaaaaaaaaa-r2").all("ol", "strip")
    squares = container.all("a")
    assert [square.text for square in squares] == ["✕", "✓", "?"]
    assert [square.attributes.get("aria-current") for square in squares] == [None, "page", None]
    assert squares[0].attributes["href"] == "../jobs/aaaaaaaaaaaa-r1"
    assert [square.text for square in workload.all("a")] == ["✕", "✕", "✓", "?"]


# A workload


def test_a_workload_shows_its_codes_reasons_and_runs(served: Served) -> None:
    name = "a/../b c?#"
    jobs = [job(f"{n}", workload=Workload(name, "i"), start_event_ns=BEGAN_NS + n) for n in range(4)]
    exits = [ended(jobs[0], 0), ended(jobs[1], 0), ended(jobs[2], 137, OOM)]
    served.store.commit(Batch(running=jobs[3:], ended=exits))
    link = page(served).all("td", "workload")[0].one("a").attributes["href"]
    shown = page(served, link.removeprefix("."))
    assert shown.one("h1").text == name
    rows = shown.one("table", "outcomes").one("tbody").all("tr")
    assert [row.text for row in rows] == ["Completed0✓ done266.7 %", "OOMKilled137✕ failed133.3 %"]
    assert [square.text for square in shown.one("ol", "strip").all("a")] == ["✓", "✓", "✕", "▶"]
    chosen = rows[1].one("a").attributes["href"].removeprefix("../")
    assert names(page(served, f"/{chosen}")) == ["gentle-stingray-2"]


@pytest.mark.parametrize("name", [".", ".."])
def test_a_workload_that_no_address_can_name_links_to_its_jobs(served: Served, name: str) -> None:
    served.store.commit(Batch(running=[job("a", workload=Workload(name, "i"))]))
    link = page(served).one("td", "workload").one("a").attributes["href"]
    assert link == f"./?workload={name}"


def test_memory_limits_are_shown_with_what_they_say(served: Served) -> None:
    oom = replace(OOM, limit=LimitOwner.OWN)
    now_ns = time.time_ns() - 60 * SECOND_NS
    killed = job("a", memory_limit_bytes=256 << 20, start_event_ns=now_ns - 3600 * SECOND_NS)
    held = [
        job(f"{n}", memory_limit_bytes=512 << 20, start_event_ns=now_ns - n * SECOND_NS)
        for n in range(90, 99)
    ]
    exits = [ended(killed, 137, oom, oom_kills=1), *(ended(each, 0) for each in held)]
    served.store.commit(Batch(ended=exits))
    for path in ("/workloads/shop%2Fworker", "/jobs/gentle-stingray-a"):
        shown = page(served, path)
        rows = shown.one("table", "limits").one("tbody").all("tr")
        assert [row.text for row in rows] == ["512 MiB last ✓ 9", "256 MiB ✕ 1"]
        assert "Raise its limit" not in shown.text
        assert "A limit of 512 MiB" in shown.text or "Keep its limit of 512 MiB" in shown.text
    assert "Suggested limit: 512 MiB" in shown.text


# Text from outside


def test_markup_in_a_name_a_workload_a_host_evidence_and_a_log_is_text(served: Served) -> None:
    hostile = job("a", name=MARKUP, workload=Workload(MARKUP, "i"), instance=MARKUP, image=MARKUP)
    served.store.commit(Batch(ended=[ended(hostile, 1, Evidence(notes=(MARKUP,)), log_tail=MARKUP)]))
    listed = page(served)
    assert cells(listed.all("tr")[1], ("name", "workload", "instance")) == [MARKUP] * 3
    shown = page(served, "/jobs/aaaaaaaaaaaa-1")
    assert shown.one("pre", "log").text == MARKUP
    assert MARKUP in shown.one("ul", "sentences").text
    link = listed.all("td", "workload")[0].one("a").attributes["href"]
    assert page(served, link.removeprefix(".")).one("h1").text == MARKUP
    for found in (listed, shown):
        assert [script.attributes["src"].rpartition("/")[2] for script in found.all("script")] == [
            "theme.js",
            "page.js",
        ]


def test_addresses_of_other_programs_are_filled_in(tmp_path: Path) -> None:
    options = PageOptions(0, "https://t/{trace_id}", "https://g/?w={workload}&h={host}")
    with Served(tmp_path).running(page_options=options) as served:
        fill(served)
        failed = page(served, "/jobs/gentle-stingray-1").one("p", "links").all("a")
        running = page(served, "/jobs/bbbbbb").one("p", "links").all("a")
    assert [link.attributes["href"] for link in failed][1:] == [
        "https://t/4c890274aa940a9ff8dc437fdddcba7f",
        "https://g/?w=shop%2Fworker&h=node-1",
    ]
    assert [link.text for link in running] == ["JSON", "Grafana"]


# Files


def test_all_files_together_are_small_and_say_that_they_have_not_changed(served: Served) -> None:
    sizes = 0
    for file in static_files.FOLDER.iterdir():
        response = served.ask(f"/static/{file.name}")
        sizes += len(response.content)
        assert {name: response.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
        again = served.ask(f"/static/{file.name}", headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == HTTPStatus.NOT_MODIFIED
    assert 0 < sizes < 50_000


def test_reasons_have_the_colours_of_the_dashboards() -> None:
    style = (static_files.FOLDER / "page.css").read_text(encoding="utf-8")
    assert set(colours.REASONS) == KNOWN_REASONS
    for reason, colour in colours.REASONS.items():
        assert f".reason-{reason} {{ --colour: var(--{colour}); }}" in style
        assert f"--{colour}: #" in style
    for number in range(OTHER_COLOURS):
        assert f".reason-other-{number} {{" in style
