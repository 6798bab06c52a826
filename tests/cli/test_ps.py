"""``ps``: jobs as a table and as JSON, in a pipe and in a terminal."""

import json
import os
import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from exporter.cli import job_table_watch
from exporter.store import Batch
from tests.cli.command import COMMAND, Done, at_terminal, environment, invoke, run
from tests.cli.other_servers import NOBODY, OTHERS, Other, other_server
from tests.cli.outputs import PS, PS_MORE, flat, golden, shown
from tests.store.samples import BEGAN_NS, OOM, SUBMISSION, ended, job
from tests.web.served import Served

# The package has the command itself under this name.
PS_MODULE = import_module("exporter.cli.ps")
TABLES_MODULE = import_module("exporter.cli.tables")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
NO_CODE = "is not an exit code (0 to 4294967295)"
NO_MOMENT = "is neither a duration nor a time; write 2h, 30d, 2026-03-01 or 2026-03-01T12:00:00Z"
OLDER = "no jobs in the last 24h; -a shows older ones"
NONE = "no jobs are like this"


def output(done: Done) -> str:
    """Return the output of a command without errors; an empty table has a note."""
    rows = done.out.splitlines()[1:]
    assert (done.code, done.err.partition(" ")[0]) == (0, "" if rows else "no")
    return done.out


def names(served: Served, *words: str) -> str:
    """Return the names in a piped table."""
    _, *rows = output(invoke("ps", *words, "--url", served.url)).splitlines()
    return " ".join(re.split(r"  +", row)[0] for row in rows)


# Tables


@pytest.mark.parametrize("name", [*PS, *PS_MORE])
def test_a_table_is_as_agreed(unchanged: Served, with_more: Served, name: str) -> None:
    table = PS_MORE[name](with_more.url) if name in PS_MORE else PS[name](unchanged.url)
    assert flat(table) == golden(name)
    plain = ESCAPES.sub("", table)
    if name.endswith("_80"):
        assert max(map(len, plain.splitlines())) <= 80
    if name in {"ps", "ps_verbose", "ps_none", "ps_casualties"}:
        assert table == flat(table)
    if name.startswith("ps_verbose"):
        assert plain.split()[:4] == ["NAME", "INSTANCE", "STATUS", "ERROR"]


@pytest.mark.parametrize("columns", [40, 50, 60, 71, 72, 100])
def test_the_error_fits_every_terminal(unchanged: Served, columns: int) -> None:
    plain = ESCAPES.sub("", shown("ps", "-v", "--reason", "OOMKilled", columns=columns)(unchanged.url))
    header, *rows = plain.splitlines()
    start = header.index("ERROR")
    end = header.index("ATTEMPT") if "ATTEMPT" in header else None
    text = "".join("".join(row[start:end].split()) for row in rows)
    assert text == "JOB_FAILED(CONTAINER_EXITED_WITH_ERROR,exitcode:137-OOMKilled)"


def test_80_columns_break_no_word_of_an_error() -> None:
    for word in ("(CONTAINER_EXITED_WITH_ERROR,", "(CREATING_CONTAINER_ERROR,", "CommandNotFound)"):
        assert word in golden("ps_verbose_80")


def test_a_piped_table_has_one_line_for_each_job(served: Served) -> None:
    served.store.commit(Batch(running=[job("1", name="n" * 500, start_event_ns=BEGAN_NS + 9)]))
    table = output(run("ps", "-v", "--url", served.url, TERM="xterm-256color"))
    assert "\x1b" not in table
    assert len(table.splitlines()) == 1 + 7


def test_colours_can_be_turned_off(unchanged: Served) -> None:
    table = at_terminal("ps", "--url", unchanged.url, NO_COLOR="1", columns=132)
    assert flat(re.sub(r"\x1b\[[01]m", "", table)) == golden("ps")


def test_json_has_the_jobs_of_the_api(unchanged: Served) -> None:
    jobs = unchanged.ask("/api/v1/jobs").json()["jobs"]
    printed = output(run("ps", "-a", "--format", "json", "--url", unchanged.url))
    assert printed == json.dumps({"jobs": jobs}, indent=2) + "\n"
    printed = output(invoke("ps", "--format", "json", "--reason", "Aborted", "--url", unchanged.url))
    assert printed == '{\n  "jobs": []\n}\n'


@pytest.mark.parametrize(
    ("filters", "said"), [(["--reason", "Aborted"], "no jobs"), ([], "jobs may be missing")]
)
def test_a_table_is_followed_by_why_the_daemon_is_not_ready(
    served: Served, filters: list[str], said: str
) -> None:
    served.store.commit(Batch(ended=[ended(job(), 1)]))
    served.health.set_unready("unix:///gone.sock", "no such socket; is the engine running?")
    done = invoke("ps", *filters, "--url", served.url)
    cause = "unix:///gone.sock: no such socket; is the engine running?"
    assert (done.code, done.err) == (0, f"{said}, and the exporter is not ready: {cause}\n")


@pytest.mark.parametrize(
    ("words", "note"),
    [
        ("--reason Error", OLDER),
        ("--reason Error -a --code 0", NONE),
        ("--reason Aborted", NONE),
        ("--status running --host node-2", NONE),
        ("--reason Error --since 2h", "no jobs; without --since there are some"),
        ("--reason Error --since 2h -a", "no jobs; without --since there are some"),
        ("--code 0 --until 2026-03-01", "no jobs; without --until there are some"),
        ("--since 2h --until 2026-03-01", "no jobs; without --since and --until there are some"),
        ("--reason Aborted --since 2h", NONE),
    ],
)
def test_an_empty_table_advises_only_what_would_fill_it(unchanged: Served, words: str, note: str) -> None:
    assert invoke("ps", *words.split(), "--url", unchanged.url).err == f"{note}\n"


@pytest.mark.parametrize("words", [[], ["-a"], ["--since", "2h"]])
def test_an_empty_database_is_said(tmp_path: Path, words: list[str]) -> None:
    with Served(tmp_path).running() as served:
        assert invoke("ps", *words, "--url", served.url).err == "no jobs are on record\n"


# Filters


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--status failed", "gentle-stingray-1 mistyped"),
        ("--status failed -a", "gentle-stingray-1 mistyped long-ago"),
        ("--status running", "[bold]odd[/] :smile:"),
        ("--status unknown", "unseen"),
        ("--reason OOMKilled", "gentle-stingray-1"),
        ("--reason Error", ""),
        ("--reason Error -a", "long-ago"),
        ("--code 0", "nightly"),
        ("--code 143", "stopped"),
        ("--workload night/report", "nightly"),
        ("--host node-1 --code 0", "nightly"),
        ("--host node-2", "stopped"),
        ("--host node", ""),
        ("--text SHOP/worker:1.4 --code 143", "stopped"),
        ("--text nobody", ""),
        ("--until 2100-01-01 -a", "long-ago"),
        ("--until 2100-01-01", "long-ago"),
        ("--until 2100-01-01 --since 2h", ""),
        ("--casualties", "casualties"),
        (f"--dstack-job-id {SUBMISSION.id}", "timed-out"),
        (f"--dstack-job-id {SUBMISSION.id} --status failed", ""),
        ("--since 100y --reason Error", "long-ago"),
        ("--since 2h --reason Error", ""),
        ("-a --since 2h --reason Error", ""),
        ("--code 137 --status failed --reason OOMKilled", "gentle-stingray-1"),
        ("--code 137 --workload shop/worker --since 1h", "gentle-stingray-1"),
        ("--code 137 --status done", ""),
    ],
)
def test_all_filters_must_hold(unchanged: Served, with_more: Served, words: str, found: str) -> None:
    asked = with_more if "dstack" in words or "casualties" in words else unchanged
    assert names(asked, *words.split()) == found


def test_all_pages_are_listed(unchanged: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PS_MODULE, "_PAGE", 2)
    assert names(unchanged, "-a") == (
        "gentle-stingray-1 [bold]odd[/] :smile: stopped mistyped nightly unseen long-ago"
    )


def test_a_piped_table_has_its_columns_from_the_first_rows(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of later pages do not wait for each other: a long name moves its own row alone."""
    whole = output(invoke("ps", "-a", "--url", served.url))
    monkeypatch.setattr("exporter.cli.plain_table._MEASURED_ROWS", 6)
    served.store.commit(Batch(running=[job("1", name="n" * 50, start_event_ns=BEGAN_NS - 99 * 10**12)]))
    moved = output(invoke("ps", "-a", "--url", served.url))
    assert moved.splitlines()[:7] == whole.splitlines()[:7]
    assert f"{'n' * 50}  shop/worker" in moved


@pytest.mark.parametrize("output_format", ["table", "json"])
def test_a_limit_says_what_it_leaves_out(unchanged: Served, output_format: str) -> None:
    for limit, note in ((2, "only the newest 2 are listed; --limit 0 lists all\n"), (7, ""), (0, "")):
        words = ("ps", "-a", "-n", str(limit), "--format", output_format, "--url", unchanged.url)
        done = invoke(*words)
        jobs = json.loads(done.out)["jobs"] if output_format == "json" else done.out.splitlines()[1:]
        assert (done.code, len(jobs), done.err) == (0, limit or 7, note)


def test_a_terminal_shows_what_its_limit_leaves_out(served: Served) -> None:
    served.store.commit(Batch(running=[job("1", attempt=number) for number in range(1001)]))
    last = at_terminal("ps", "-n", "1", "--format", "json", "--url", served.url, columns=132)
    assert last.splitlines()[-2:] == ["}", "only the newest job is listed; --limit 0 lists all"]
    lines = at_terminal("ps", "--url", served.url, columns=132).splitlines()
    assert len(lines) == 1 + 1 + 1000
    assert "only the newest 1000 are listed; --limit 0 lists all" in lines


STATUSES = "'running', 'done', 'failed', 'terminated', 'unknown'"


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--since", "yesterday"), f"Invalid value for '--since': 'yesterday' {NO_MOMENT}"),
        (("--since", ""), f"Invalid value for '--since': '' {NO_MOMENT}"),
        (("--dstack-job-id", "train"), "Invalid value for '--dstack-job-id': 'train' is not a valid UUID."),
        (("--code", "-1"), f"Invalid value for '--code': '-1' {NO_CODE}"),
        (
            ("--code", "x"),
            f"Invalid value for '--code': 'x' {NO_CODE}; 'ps --reason' lists the jobs of a reason",
        ),
        (("--format", "yaml"), "Invalid value for '--format': 'yaml' is not one of 'table', 'json'."),
        (("--status", "broken"), f"Invalid value for '--status': 'broken' is not one of {STATUSES}."),
        (("nightly",), "Got unexpected extra argument (nightly)"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_without_a_request(words: tuple[str, ...], cause: str) -> None:
    usage = "Usage: exit-exporter ps [OPTIONS]\nTry 'exit-exporter ps --help' for help.\n\n"
    assert invoke("ps", *words, "--url", NOBODY) == Done(2, "", f"{usage}Error: {cause}\n")


def test_an_unknown_reason_is_refused_with_the_closest(unchanged: Served) -> None:
    cause = "reason: 'OMKiled' is not in the catalogue; did you mean OOMKilled?"
    expected = Done(1, "", f"Error: {cause}\n")
    assert invoke("ps", "--reason", "OMKiled", "--url", unchanged.url) == expected


# Watching


class Clock:
    """Replaces the module ``time``: a job ends in the first pause, and Ctrl-C is pressed in the second."""

    def __init__(self, served: Served) -> None:
        """Record the pauses, and end the job on this server."""
        self._served = served
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Return at once."""
        self.pauses.append(seconds)
        if len(self.pauses) > 1:
            raise KeyboardInterrupt
        odd = job("b", name="odd", start_event_ns=BEGAN_NS + 5)
        self._served.store.commit(Batch(ended=[ended(odd, 137, OOM)]))


@pytest.fixture
def clock(served: Served, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let a watch of two rounds write to a pipe, which shows the last one."""
    clock = Clock(served)
    monkeypatch.setattr("exporter.cli.job_table_watch.time", clock)
    monkeypatch.setattr("exporter.cli.job_table_watch.can_refresh", lambda: True)
    return clock


def test_a_watched_table_is_refreshed_until_ctrl_c(served: Served, clock: Clock) -> None:
    watched = output(invoke("ps", "-wv", "--reason", "OOMKilled", "--url", served.url))
    assert clock.pauses == [2, 2]
    assert flat(watched) == golden("ps_verbose_watched")


@pytest.mark.parametrize(
    ("lines", "words", "rows"),
    [("3", "-aw", 1), ("5", "-aw", 3), ("1", "-aw", 1), ("24", "-aw -n 2", 2), ("2000", "-aw", None)],
)
@pytest.mark.usefixtures("clock")
def test_a_watched_table_fits_and_says_how_far_it_is_cut(
    served: Served, lines: str, words: str, rows: int | None
) -> None:
    watched = output(invoke("ps", *words.split(), "--url", served.url, LINES=lines)).strip().splitlines()
    if rows is None:
        assert len(watched) == len(served.ask("/api/v1/jobs").json()["jobs"]) + 1
    else:
        assert watched[rows + 1 :] == [f"only the newest {rows} are shown"]


@pytest.mark.usefixtures("clock")
def test_a_watched_table_has_fewer_jobs_where_each_takes_several_lines(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TABLES_MODULE, "_PIPE_WIDTH", 50)
    watched = output(invoke("ps", "-wv", "--reason", "OOMKilled", "--url", served.url, LINES="8")).strip()
    assert len(watched.splitlines()) <= 8
    assert watched.endswith("only the newest 1 are shown")


def test_a_watched_table_is_no_json(unchanged: Served) -> None:
    done = invoke("ps", "-w", "--format", "json", "--url", unchanged.url)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("--watch shows a table; GET /api/v1/stream has the changes as JSON\n")


@pytest.mark.parametrize(
    ("terminal", "is_terminal", "can_refresh"),
    [("xterm", True, True), ("dumb", True, False), ("xterm", False, False)],
)
def test_only_a_terminal_that_can_move_its_cursor_refreshes_a_table(
    monkeypatch: pytest.MonkeyPatch, *, terminal: str, is_terminal: bool, can_refresh: bool
) -> None:
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setattr(job_table_watch, "console", lambda: Console(force_terminal=is_terminal))
    assert job_table_watch.can_refresh() is can_refresh


def test_no_table_is_watched_in_a_pipe_which_would_show_nothing(unchanged: Served) -> None:
    done = run("ps", "-w", "--url", unchanged.url)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("--watch needs a terminal; GET /api/v1/stream sends the changes to programs\n")


# The server


def test_an_unreachable_server_is_reported() -> None:
    cause = f"no exit-exporter answers at {NOBODY}; is 'exit-exporter serve' running there? See --url"
    assert run("ps", "--url", NOBODY) == Done(1, "", f"Error: {cause}\n")


@pytest.mark.parametrize("words", [("ps",), ("ps", "--format", "json"), ("show", "nightly")], ids=" ".join)
@pytest.mark.parametrize("kind", OTHERS)
def test_another_server_is_recognised(kind: str, words: tuple[str, ...]) -> None:
    with other_server(OTHERS[kind]) as url:
        done = invoke(*words, "--url", url)
    assert done == Done(1, "", f"Error: {url} answers, but not as exit-exporter; see --url\n")


@pytest.mark.parametrize("words", [("ps",), ("show", "nightly")], ids=" ".join)
def test_an_error_of_the_server_is_shown(served: Served, words: tuple[str, ...]) -> None:
    cause = served.break_store()
    expected = Done(1, "", f"Error: the store cannot be read: {cause}\n")
    assert invoke(*words, "--url", served.url) == expected


@pytest.mark.parametrize("url", ["localhost:10137", "http://[::1", "http://", "ftp://localhost", "nonsense"])
def test_a_bad_url_is_reported(url: str) -> None:
    done = invoke("ps", "--url", url)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"Error: {url.rstrip('/')}")
    assert done.err.endswith("; see --url\n")


def test_a_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.cli.client.TIMEOUT_SECONDS", 0.01)
    with other_server(Other(b"", never=True)) as url:
        done = invoke("ps", "--url", url)
    assert done == Done(1, "", f"Error: {url} does not answer within 0.01 s; see --url\n")


def test_the_url_can_be_a_variable_and_end_with_a_slash(unchanged: Served) -> None:
    plain = output(invoke("ps", "--url", unchanged.url))
    assert output(invoke("ps", EXIT_EXPORTER_URL=unchanged.url)) == plain
    assert output(invoke("ps", "--url", f"{unchanged.url}/", EXIT_EXPORTER_URL=NOBODY)) == plain


def test_no_proxy_is_used_for_this_machine(unchanged: Served) -> None:
    proxied = invoke("ps", "--url", unchanged.url, http_proxy=NOBODY, HTTP_PROXY=NOBODY)
    assert proxied == invoke("ps", "--url", unchanged.url)


def test_a_closed_pipe_is_no_error(served: Served) -> None:
    served.store.commit(Batch(running=[job("1", attempt=number, name="n" * 400) for number in range(900)]))
    reading, writing = os.pipe()
    command = [str(COMMAND), "ps", "--url", served.url]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        assert os.read(reading, 4) == b"NAME"
        os.close(reading)
        _, errors = process.communicate()
    assert errors == ""


@pytest.mark.parametrize("words", ["ps -v", "show nightly", "report", "codes"])
def test_a_pipe_is_no_terminal_whatever_variables_say(unchanged: Served, words: str) -> None:
    plain = invoke(*words.split(), "--url", unchanged.url)
    forced = run(*words.split(), "--url", unchanged.url, FORCE_COLOR="1", TTY_COMPATIBLE="1")
    assert "\x1b" not in forced.out
    assert len(forced.out.splitlines()) == len(plain.out.splitlines())


@pytest.mark.parametrize(
    "words",
    ["ps", "ps --format json", "show nightly", "report", "report --format json", "codes", "explain 137"],
)
def test_output_that_cannot_be_written_is_one_line(unchanged: Served, words: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
        done = subprocess.run(
            [COMMAND, *words.split(), "--url", unchanged.url],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "Error: standard output cannot be written: No space left on device\n"


def test_unknown_fields_of_a_newer_server_are_ignored(unchanged: Served) -> None:
    page = unchanged.ask("/api/v1/jobs").json()
    newer = {**page, "jobs": [{**each, "mood": "hopeful"} for each in page["jobs"]]}
    with other_server(Other(json.dumps(newer).encode())) as url:
        assert output(invoke("ps", "-va", "--url", url)) == output(
            invoke("ps", "-va", "--url", unchanged.url)
        )
