"""``report``: the summary of a span as tables, JSON and Markdown, in a pipe and in a terminal."""

import json
import re
from pathlib import Path

import pytest

from exporter.store import Batch
from tests.cli.command import invoke
from tests.cli.outputs import REPORT, REPORTED, fill_histories, flat, golden
from tests.store.samples import BEGAN_NS
from tests.web.made_up_runs import record, run
from tests.web.served import Served

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
# Before the jobs that the server has.
EARLIER = ("--since", "2099-12-01", "--until", "2099-12-08")
HEADING = "0 exits from 2099-12-01 00:00:00 to 2099-12-08 00:00:00 UTC, of which 0 failed"


@pytest.mark.parametrize("name", REPORT)
def test_a_report_is_as_agreed(served: Served, name: str) -> None:
    fill_histories(served)
    output = REPORT[name](served.url)
    assert flat(output) == golden(name)
    if name.endswith("_80"):
        assert max(len(line) for line in ESCAPES.sub("", output).splitlines()) <= 80


def test_markdown_shows_text_as_text(served: Served) -> None:
    fill_histories(served)
    page = invoke("report", "--format", "markdown", *REPORTED, "--url", served.url).out
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert any(r"\[i\]\|x" in line for line in tables)
    assert {line.replace(r"\|", "").count("|") for line in tables} == {9, 6}


def test_json_is_the_answer_of_the_api(served: Served) -> None:
    fill_histories(served)
    done = invoke("report", "--format", "json", *REPORTED, "--url", served.url)
    asked = {"since": REPORTED[1], "until": REPORTED[3]}
    assert json.loads(done.out) == served.ask("/api/v1/summary", params=asked).json()


def test_one_workload_and_one_host_can_be_asked_for(served: Served) -> None:
    fill_histories(served)
    words = ("report", *REPORTED, "--workload", "etl", "--host", "node-1", "--url", served.url)
    lines = invoke(*words).out.splitlines()
    named = ["WORKLOAD", "etl", "Memory", "WORKLOAD", "etl", "etl", "-"]
    assert [line.split()[0] for line in lines if line][1:] == named
    assert invoke(*words[:-3], "node-7", *words[-2:]).out.startswith("0 exits")


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (("--workload", "elt"), "no exits are like this; without --workload there are some\n"),
        (
            ("--workload", "etl", "--host", "node-7"),
            "no exits are like this; without --workload and --host there are some\n",
        ),
        (("--workload", "elt", "--format", "json"), ""),
        (("--workload", "etl", *EARLIER), ""),
        (EARLIER, ""),
    ],
)
def test_a_report_that_is_empty_by_its_filters_says_so(
    served: Served, words: tuple[str, ...], note: str
) -> None:
    fill_histories(served)
    assert invoke("report", *REPORTED, *words, "--url", served.url).err == note


@pytest.mark.parametrize("output_format", ["table", "markdown"])
def test_what_is_missing_is_said(served: Served, output_format: str) -> None:
    words = ("report", "--format", output_format, *EARLIER, "--url", served.url)
    assert invoke(*words).out == f"{HEADING}.\nNo engine has been watched yet.\n"
    record(served, since_ns=BEGAN_NS)
    not_compared = (
        "Not compared with the time from 2099-11-24 00:00:00 on, since exits are on record only from "
        "2100-01-01 00:00:00 UTC on."
    )
    assert invoke(*words).out == f"{HEADING}.\n{not_compared}\n"


@pytest.mark.parametrize("output_format", ["table", "markdown"])
def test_without_an_oom_kill_it_is_said_what_is_known_of_limits(tmp_path: Path, output_format: str) -> None:
    with Served(tmp_path).running() as served:
        served.store.commit(Batch(ended=[run("tight", 1, 0, 256), run("free", 1, 0)]))
        words = ("report", "--format", output_format, *REPORTED, "--url", served.url)
        of_all = invoke(*words).out
        assert "2 workloads had no OOM kill; at which limits one has completed, --workload says." in of_all
        assert "No OOM kill: 1 run completed within 256 MiB" in invoke(*words, "--workload", "tight").out
        assert "what it needs is not known." in invoke(*words, "--workload", "free").out


def test_workloads_that_are_left_out_are_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.web.summary.MAX_WORKLOADS", 1)
    served.store.commit(Batch(ended=[run(f"batch-{number}", 1, 1) for number in range(3)]))
    lines = invoke("report", *REPORTED, "--url", served.url).out.splitlines()
    assert "Not listed: 4 more workloads; --workload names one." in lines


def test_a_span_that_ends_before_it_begins_is_an_error(unchanged: Served) -> None:
    done = invoke("report", "--since", "1h", "--until", "2h", "--url", unchanged.url)
    assert (done.code, done.out, done.err) == (1, "", "Error: since: must be before until\n")
    assert invoke("report", "--since", "soon").code == 2
