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


@pytest.mark.parametrize("code", ["0", "1", "2", "127", "137", "255", "3221225477"])
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


def test_every_reading_of_137_is_told_the_plain_one_first(served: Served) -> None:
    lines = invoke("explain", "137", "--url", served.url).out.splitlines()
    assert [line.split()[0] for line in lines if line and line[0] != " "] == [
        "SIGKILL",
        "OOMKilled",
        "Unhealthy",
        "Killed",
    ]


@pytest.mark.parametrize("words", [("2",), ("0",), ("64",), ("127",), ("--workload", "night/report", "2")])
def test_an_end_that_was_asked_for_is_neither_said_to_be_a_wrong_call_nor_to_have_come_by_itself(
    served: Served, words: tuple[str, ...]
) -> None:
    readings = flat(run("explain", *words, "--url", served.url).out).split("\n\n")
    (asked,) = [reading for reading in readings if "JOB_TERMINATED" in reading]
    code = words[-1]
    success = ", which stands for success" if code == "0" else ""
    assert asked.splitlines()[1] == (
        f"    The engine was asked to stop the container, and it ended with {code}{success}."
    )


WRAPPED = (
    "-9 is SIGKILL as wrappers such as Python's subprocess report it: 137 as a container's code, or 247 of a "
    "wrapper that passes it on."
)


@pytest.mark.parametrize(
    ("word", "code", "note"),
    [
        ("-9", "137", WRAPPED),
        ("SIGKILL", "137", "SIGKILL is signal 9, 137 as a container's code."),
        ("sigkill", "137", "SIGKILL is signal 9, 137 as a container's code."),
        ("kill", "137", "SIGKILL is signal 9, 137 as a container's code."),
        ("SEGV", "139", "SIGSEGV is signal 11, 139 as a container's code."),
        ("SIGRTMIN+3", "165", "SIGRTMIN+3 is signal 37, 165 as a container's code."),
        ("-1", "255", "-1 is 255 as an unsigned number of 8 bits."),
        ("-1073741510", "3221225786", "-1073741510 is 3221225786 as an unsigned number of 32 bits."),
        ("0xC000013A", "3221225786", "0xC000013A is 3221225786."),
        ("0247", "247", None),
    ],
)
def test_a_code_may_be_written_as_a_signal_negative_or_hexadecimal(
    served: Served, word: str, code: str, note: str | None
) -> None:
    told = run("explain", word, "--url", served.url)
    numbered = run("explain", code, "--url", served.url)
    assert told == Done(0, f"{note}\n\n{numbered.out}" if note else numbered.out, "")


@pytest.mark.parametrize("word", ["OOMKilled", "oomkilled", "Error", "RealTimeSignal"])
def test_a_reason_is_explained_with_the_codes_that_bear_it_with_a_server_and_without(
    served: Served, word: str
) -> None:
    expected = golden(f"explain_{word.lower()}")
    assert flat(run("explain", word, "--url", served.url).out) == expected
    assert flat(run("explain", word, "--url", NOBODY).out) == expected


def test_a_reason_of_the_servers_own_catalogue_is_explained(served: Served) -> None:
    served.catalogue_file.write_text(OWN, encoding="utf-8")
    served.ask("/-/reload", "POST")
    told = flat(run("explain", "CheckpointCorrupt", "--url", served.url).out)
    assert told.splitlines()[1] == "    The [last] checkpoint cannot be read."


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


NO_CODE = "is not an exit code (0 to 4294967295)"
NO_WORD = "is not an exit code, a signal or a reason"


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("OMKilled", f"'OMKilled' {NO_WORD}; did you mean OOMKilled?"),
        ("trem", f"'trem' {NO_WORD}; did you mean SIGTERM?"),
        ("zzzzzz", f"'zzzzzz' {NO_WORD}; codes are 0 to 4294967295"),
        ("4294967296", f"'4294967296' {NO_CODE}"),
        ("-2147483649", f"'-2147483649' {NO_CODE}"),
        ("0x", f"'0x' {NO_CODE}"),
        ("9" * 5000, f"'{'9' * 5000}' {NO_CODE}"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_code_no_signal_and_no_reason_is_refused(served: Served, word: str, cause: str) -> None:
    usage = "Usage: exit-exporter explain [OPTIONS] CODE\nTry 'exit-exporter explain --help' for help.\n\n"
    refused = Done(2, "", f"{usage}Error: Invalid value for 'CODE': {cause}\n")
    assert run("explain", word, "--url", served.url) == refused
