"""``ps``: the jobs, as a table and as JSON, piped and at a terminal."""

import json
import os
import re
import subprocess
from importlib import import_module

import pytest

from exporter.store import Batch
from tests.cli.command import COMMAND, Done, at_terminal, invoke, run
from tests.cli.elsewhere import NOBODY, OTHERS, Other, other_server
from tests.cli.outputs import PS, flat, golden, shown
from tests.store.samples import BEGAN_NS, OOM, ended, job
from tests.web.served import Served

# The package has the command itself under this name.
PS_MODULE = import_module("exporter.cli.ps")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


NO_CODE = "is not an exit code (0 to 4294967295)"
NONE = "no jobs; -a shows older ones\n"


def said(done: Done) -> str:
    """Give what a command printed that had nothing to complain of; of no jobs it says that it knows none."""
    rows = done.out.splitlines()[1:]
    assert (done.code, done.err) == (0, "" if rows else NONE)
    return done.out


def names(served: Served, *words: str) -> str:
    """Give the names in a piped table."""
    _, *rows = said(invoke("ps", *words, "--url", served.url)).splitlines()
    return " ".join(re.split(r"  +", row)[0] for row in rows)


# Whole tables


@pytest.mark.parametrize("name", PS)
def test_a_table_is_as_it_was_agreed(served: Served, name: str) -> None:
    assert flat(PS[name](served.url)) == golden(name)


@pytest.mark.parametrize("name", ["ps_verbose", "ps_verbose_80", "ps_verbose_132"])
def test_verbose_begins_with_name_instance_status_and_error(name: str) -> None:
    header = ESCAPES.sub("", golden(name)).splitlines()[0]
    assert header.split()[:4] == ["NAME", "INSTANCE", "STATUS", "ERROR"]


@pytest.mark.parametrize("columns", [40, 50, 60, 71, 72, 100])
def test_no_terminal_is_too_narrow_for_a_reason(served: Served, columns: int) -> None:
    plain = ESCAPES.sub("", shown("ps", "-v", "--reason", "OOMKilled", columns=columns)(served.url))
    header, *rows = plain.splitlines()
    begins = header.index("ERROR")
    ends = header.index("ATTEMPT") if "ATTEMPT" in header else None
    text = "".join("".join(row[begins:ends].split()) for row in rows)
    assert text == "JOB_FAILED(CONTAINER_EXITED_WITH_ERROR,exitcode:137-OOMKilled)"


@pytest.mark.parametrize("name", ["ps_80", "ps_verbose_80"])
def test_at_a_terminal_no_line_is_too_long_for_it(served: Served, name: str) -> None:
    assert max(len(line) for line in ESCAPES.sub("", PS[name](served.url)).splitlines()) <= 80


@pytest.mark.parametrize(
    "error", ["(CONTAINER_EXITED_WITH_ERROR,", "(CREATING_CONTAINER_ERROR,", "CommandNotFound)"]
)
def test_at_a_terminal_of_80_columns_a_word_of_an_error_is_not_broken(served: Served, error: str) -> None:
    assert error in PS["ps_verbose_80"](served.url)


@pytest.mark.parametrize("name", ["ps", "ps_verbose", "ps_none"])
def test_what_goes_to_a_pipe_has_no_spaces_at_the_ends_of_its_lines(served: Served, name: str) -> None:
    table = PS[name](served.url)
    assert table == flat(table)


def test_what_goes_to_a_pipe_has_no_colours_and_one_line_for_each_job(served: Served) -> None:
    served.store.commit(Batch(running=[job("1", name="n" * 500, start_event_ns=BEGAN_NS + 9)]))
    table = said(run("ps", "-v", "--url", served.url, TERM="xterm-256color"))
    assert "\x1b" not in table
    assert len(table.splitlines()) == 1 + 7


def test_at_a_terminal_colours_can_be_refused(served: Served) -> None:
    table = at_terminal("ps", "--url", served.url, NO_COLOR="1", columns=132)
    assert flat(re.sub(r"\x1b\[[01]m", "", table)) == golden("ps")


def test_json_is_what_the_api_says(served: Served) -> None:
    answer = served.ask("/api/v1/jobs").json()
    printed = said(run("ps", "-a", "--format", "json", "--url", served.url))
    assert printed == json.dumps({"jobs": answer["jobs"]}, indent=2) + "\n"


def test_json_of_no_jobs_is_an_empty_list(served: Served) -> None:
    printed = said(run("ps", "--format", "json", "--reason", "Aborted", "--url", served.url))
    assert printed == '{\n  "jobs": []\n}\n'


def test_where_nobody_watches_an_empty_table_says_so(served: Served) -> None:
    served.health.set_unready("unix:///gone.sock", "no such socket; is the engine running?")
    done = invoke("ps", "--reason", "Aborted", "--url", served.url)
    cause = "unix:///gone.sock: no such socket; is the engine running?"
    assert (done.code, done.err) == (0, f"no jobs, and the exporter is not ready: {cause}\n")


def test_a_reason_that_is_no_word_is_refused_with_the_nearest(served: Served) -> None:
    done = invoke("ps", "--reason", "OMKiled", "--url", served.url)
    text = "reason: 'OMKiled' is not in the catalogue; did you mean OOMKilled?"
    assert (done.code, done.err) == (1, f"Error: {text}\n")


# Filters


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--status", "failed"), "gentle-stingray-1 mistyped"),
        (("--status", "failed", "-a"), "gentle-stingray-1 mistyped long-ago"),
        (("--status", "running"), "[bold]odd[/] :smile:"),
        (("--status", "unknown"), "unseen"),
        (("--reason", "OOMKilled"), "gentle-stingray-1"),
        (("--reason", "Error"), ""),
        (("--reason", "Error", "-a"), "long-ago"),
        (("--code", "0"), "nightly"),
        (("--code", "143"), "stopped"),
        (("--workload", "night/report"), "nightly"),
        (("--since", "100y", "--reason", "Error"), "long-ago"),
        (("--since", "2h", "--reason", "Error"), ""),
        (("-a", "--since", "2h", "--reason", "Error"), ""),
        (("--code", "137", "--status", "failed", "--reason", "OOMKilled"), "gentle-stingray-1"),
        (("--code", "137", "--workload", "shop/worker", "--since", "1h"), "gentle-stingray-1"),
        (("--code", "137", "--status", "done"), ""),
    ],
    ids=" ".join,
)
def test_a_filter_leaves_the_jobs_for_which_all_of_it_holds(
    served: Served, words: tuple[str, ...], found: str
) -> None:
    assert names(served, *words) == found


def test_more_jobs_than_fit_a_page_are_all_listed_once(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PS_MODULE, "_PAGE", 2)
    assert names(served, "-a") == (
        "gentle-stingray-1 [bold]odd[/] :smile: stopped mistyped nightly unseen long-ago"
    )


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (
            ("--since", "yesterday"),
            "Invalid value for '--since': 'yesterday' is not a duration; write 90s, 15m, 2h or 30d",
        ),
        (
            ("--since", ""),
            "Invalid value for '--since': '' is not a duration; write 90s, 15m, 2h or 30d",
        ),
        (
            ("--code", "-1"),
            "Invalid value for '--code': '-1' is not an exit code (0 to 4294967295)",
        ),
        (
            ("--code", "x"),
            f"Invalid value for '--code': 'x' {NO_CODE}; 'ps --reason' lists the jobs of a reason",
        ),
        (
            ("--format", "yaml"),
            "Invalid value for '--format': 'yaml' is not one of 'table', 'json'.",
        ),
        (("nightly",), "Got unexpected extra argument (nightly)"),
    ],
    ids=str,
)
def test_a_wrong_option_is_named_before_anybody_is_asked(words: tuple[str, ...], cause: str) -> None:
    usage = "Usage: exit-exporter ps [OPTIONS]\nTry 'exit-exporter ps --help' for help.\n\n"
    assert run("ps", *words, "--url", NOBODY) == Done(2, "", f"{usage}Error: {cause}\n")


def test_a_wrong_status_is_told_which_there_are() -> None:
    done = run("ps", "--status", "broken", "--url", NOBODY)
    assert (done.code, done.out) == (2, "")
    there_are = "'running', 'done', 'failed', 'terminated', 'unknown'"
    assert done.err.endswith(f"\nError: Invalid value for '--status': 'broken' is not one of {there_are}.\n")


# Watching


class Clock:
    """Stands in for the module ``time``: a job ends while `ps` pauses, and then somebody presses Ctrl-C."""

    def __init__(self, served: Served) -> None:
        """Remember where the job is to end."""
        self._served = served
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Take no time."""
        self.pauses.append(seconds)
        if len(self.pauses) > 1:
            raise KeyboardInterrupt
        odd = job("b", name="odd", start_event_ns=BEGAN_NS + 5)
        self._served.store.commit(Batch(ended=[ended(odd, 137, OOM)]))


def test_watching_shows_what_changes_and_ends_well_by_ctrl_c(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(served)
    monkeypatch.setattr(PS_MODULE, "time", clock)
    watched = said(invoke("ps", "-wv", "--reason", "OOMKilled", "--url", served.url))
    assert clock.pauses == [2, 2]
    assert flat(watched) == golden("ps_verbose_watched")


# Nobody there, or somebody else


def test_where_nobody_answers_that_is_said_with_what_to_do() -> None:
    cause = f"no exit-exporter answers at {NOBODY}; is 'exit-exporter serve' running there? See --url"
    assert run("ps", "--url", NOBODY) == Done(1, "", f"Error: {cause}\n")


@pytest.mark.parametrize("words", [("ps",), ("ps", "--format", "json")], ids=" ".join)
@pytest.mark.parametrize("kind", OTHERS)
def test_a_server_of_something_else_is_told_from_ours(kind: str, words: tuple[str, ...]) -> None:
    with other_server(OTHERS[kind]) as url:
        done = invoke(*words, "--url", url)
    assert done == Done(1, "", f"Error: {url} answers, but not as exit-exporter; see --url\n")


def test_the_servers_own_words_are_shown_where_it_refuses(served: Served) -> None:
    cause = served.break_store()
    assert run("ps", "--url", served.url) == Done(1, "", f"Error: the store cannot be read: {cause}\n")


@pytest.mark.parametrize("url", ["localhost:10137", "http://[::1", "http://", "ftp://localhost", "nonsense"])
def test_a_url_that_is_none_is_named(url: str) -> None:
    done = invoke("ps", "--url", url)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"Error: {url.rstrip('/')}")
    assert done.err.endswith("; see --url\n")


def test_a_server_that_never_answers_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.cli.client.TIMEOUT_SECONDS", 0.01)
    with other_server(Other(b"", never=True)) as url:
        done = invoke("ps", "--url", url)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"Error: {url}")
    assert "HTTPConnectionPool" not in done.err


def test_the_url_can_stand_in_the_environment_and_end_with_a_slash(served: Served) -> None:
    plain = said(run("ps", "--url", served.url))
    assert said(run("ps", EXIT_EXPORTER_URL=served.url)) == plain
    assert said(run("ps", "--url", f"{served.url}/", EXIT_EXPORTER_URL=NOBODY)) == plain


def test_no_proxy_is_asked_for_this_machines_own_address(served: Served) -> None:
    proxied = run("ps", "--url", served.url, http_proxy=NOBODY, HTTP_PROXY=NOBODY)
    assert proxied == run("ps", "--url", served.url)


def test_a_reader_who_has_seen_enough_gets_no_complaint(served: Served) -> None:
    served.store.commit(Batch(running=[job("1", attempt=number, name="n" * 400) for number in range(900)]))
    reading, writing = os.pipe()
    command = [str(COMMAND), "ps", "--url", served.url]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        assert os.read(reading, 4) == b"NAME"
        os.close(reading)
        _, complaints = process.communicate()
    assert complaints == ""


def test_fields_that_a_newer_server_adds_change_no_table(served: Served) -> None:
    page = served.ask("/api/v1/jobs").json()
    newer = {**page, "jobs": [{**each, "mood": "hopeful"} for each in page["jobs"]], "next_cursor": None}
    with other_server(Other(json.dumps(newer).encode())) as url:
        assert said(invoke("ps", "-v", "-a", "--url", url)) == said(
            invoke("ps", "-v", "-a", "--url", served.url)
        )
