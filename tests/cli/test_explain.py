"""``explain``: what a code can mean, with a server and without one."""

import pytest

from tests.cli.command import Done, invoke, run
from tests.cli.elsewhere import NOBODY, OTHERS, other_server
from tests.cli.outputs import EXPLAIN, flat, golden
from tests.web.served import Served

OWN = """\
reasons:
  CheckpointCorrupt:
    meaning: The [last] checkpoint cannot be read.
    causes: ["The node lost power while it was written; see :fire: its journal"]
    recovery: retry-later
workloads:
  night/*: {42: CheckpointCorrupt}
"""
OWN_WORDS = """\
CheckpointCorrupt  if nothing more is known
    The [last] checkpoint cannot be read.
    JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 42 - CheckpointCorrupt)
    Recovery: retry-later
  - The node lost power while it was written; see :fire: its journal
"""


@pytest.mark.parametrize("name", EXPLAIN)
def test_an_explanation_is_as_it_was_agreed(served: Served, name: str) -> None:
    assert flat(EXPLAIN[name](served.url)) == golden(name)


@pytest.mark.parametrize("code", ["0", "1", "127", "137", "3221225477"])
def test_without_a_server_the_built_in_words_are_told_and_that_they_are(code: str) -> None:
    done = run("explain", code, "--url", NOBODY)
    note = f"no exit-exporter answers at {NOBODY}; is 'exit-exporter serve' running there? See --url\n"
    expected = Done(0, golden(f"explain_{code}"), f"{note}From the built-in catalogue:\n\n")
    assert Done(done.code, flat(done.out), done.err) == expected


@pytest.mark.parametrize("kind", OTHERS)
def test_a_server_of_something_else_is_no_help_either(kind: str) -> None:
    with other_server(OTHERS[kind]) as url:
        done = invoke("explain", "137", "--url", url)
    note = f"{url} answers, but not as exit-exporter; see --url\n"
    expected = Done(0, golden("explain_137"), f"{note}From the built-in catalogue:\n\n")
    assert Done(done.code, flat(done.out), done.err) == expected


def test_three_readings_of_137_are_told_the_plain_one_first(served: Served) -> None:
    lines = invoke("explain", "137", "--url", served.url).out.splitlines()
    assert [line.split()[0] for line in lines if line and line[0] != " "] == [
        "SIGKILL",
        "OOMKilled",
        "Killed",
    ]


def test_a_workload_has_words_of_its_own_with_every_bracket_as_it_was_written(served: Served) -> None:
    served.catalogue_file.write_text(OWN, encoding="utf-8")
    served.ask("/-/reload", "POST")
    own = run("explain", "42", "--workload", "night/report", "--url", served.url)
    assert (own.code, own.err) == (0, "")
    assert flat(own.out).split("\n\n")[0] + "\n" == OWN_WORDS
    others = run("explain", "42", "--workload", "day/report", "--url", served.url)
    assert others == run("explain", "42", "--url", served.url)


@pytest.mark.parametrize("code", ["0", "137"])
def test_every_text_of_one_explanation_begins_in_the_same_column(served: Served, code: str) -> None:
    texts = [
        line for line in flat(EXPLAIN[f"explain_{code}"](served.url)).splitlines() if line.startswith("  ")
    ]
    assert {len(line) - len(line.removeprefix("  - ").lstrip()) for line in texts} == {4}


def test_what_goes_to_a_pipe_has_no_spaces_at_the_ends_of_its_lines(served: Served) -> None:
    explanation = EXPLAIN["explain_137"](served.url)
    assert explanation == flat(explanation)


NO_CODE = "is no exit code; they go from 0 to 4294967295"


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        (
            "x",
            f"Invalid value for 'CODE': 'x' {NO_CODE}; 'ps --reason' lists the jobs of a reason",
        ),
        (
            "4294967296",
            f"Invalid value for 'CODE': '4294967296' {NO_CODE}",
        ),
    ],
)
def test_what_is_no_code_is_refused(word: str, cause: str) -> None:
    usage = "Usage: exit-exporter explain [OPTIONS] CODE\nTry 'exit-exporter explain --help' for help.\n\n"
    assert run("explain", word) == Done(2, "", f"{usage}Error: {cause}\n")
