"""``explain``: codes, signals and reasons, with a server and without one."""

import json

import pytest

from tests.cli.command import Done, invoke
from tests.cli.other_servers import NOBODY, OTHERS, other_server
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
OWN_READING = """\
CheckpointCorrupt  if nothing more is known
    The [last] checkpoint cannot be read.
    JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 42 - CheckpointCorrupt)
    Recovery: retry-later
  - The node lost power while it was written; see :fire: its journal
"""


@pytest.mark.parametrize("name", EXPLAIN)
def test_an_explanation_is_as_agreed(unchanged: Served, name: str) -> None:
    assert flat(EXPLAIN[name](unchanged.url)) == golden(name)


@pytest.mark.parametrize("code", ["0", "1", "2", "127", "137", "255", "3221225477"])
def test_the_built_in_catalogue_answers_without_a_server(code: str) -> None:
    done = invoke("explain", code, "--url", NOBODY)
    note = f"no exit-exporter answers at {NOBODY}; is 'exit-exporter serve' running there? See --url\n"
    expected = Done(0, golden(f"explain_{code}"), f"{note}From the built-in catalogue:\n\n")
    assert Done(done.code, flat(done.out), done.err) == expected


@pytest.mark.parametrize("kind", OTHERS)
def test_the_built_in_catalogue_answers_for_another_server(kind: str) -> None:
    with other_server(OTHERS[kind]) as url:
        done = invoke("explain", "137", "--url", url)
    note = f"{url} answers, but not as exit-exporter; see --url\n"
    expected = Done(0, golden("explain_137"), f"{note}From the built-in catalogue:\n\n")
    assert Done(done.code, flat(done.out), done.err) == expected


def test_the_plain_reading_comes_first() -> None:
    titles = [line.split()[0] for line in golden("explain_137").splitlines() if line and line[0] != " "]
    assert titles == ["SIGKILL", "OOMKilled", "Unhealthy", "Killed"]


@pytest.mark.parametrize("words", [("2",), ("0",), ("64",), ("127",), ("--workload", "night/report", "2")])
def test_a_requested_stop_is_no_failure(unchanged: Served, words: tuple[str, ...]) -> None:
    readings = flat(invoke("explain", *words, "--url", unchanged.url).out).split("\n\n")
    (requested,) = [reading for reading in readings if "JOB_TERMINATED" in reading]
    success = ", which stands for success" if words == ("0",) else ""
    assert requested.splitlines()[1] == (
        f"    The engine was asked to stop the container, and it ended with {words[-1]}{success}."
    )


WRAPPED = (
    "-9 is SIGKILL as wrappers such as Python's subprocess report it: 137 as a container's code, or 247 of a "
    "wrapper that passes it on."
)


@pytest.mark.parametrize(
    ("text", "code", "note"),
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
def test_a_code_can_be_a_signal_negative_or_hexadecimal(
    unchanged: Served, text: str, code: str, note: str | None
) -> None:
    written = invoke("explain", text, "--url", unchanged.url)
    number = invoke("explain", code, "--url", unchanged.url)
    assert written == Done(0, f"{note}\n\n{number.out}" if note else number.out, "")


@pytest.mark.parametrize("name", ["OOMKilled", "oomkilled", "Error", "RealTimeSignal"])
def test_a_reason_is_explained_with_its_codes(unchanged: Served, name: str) -> None:
    for url in (unchanged.url, NOBODY):
        assert flat(invoke("explain", name, "--url", url).out) == golden(f"explain_{name.lower()}")


def test_the_servers_catalogue_is_used(served: Served) -> None:
    served.catalogue_file.write_text(OWN, encoding="utf-8")
    served.ask("/-/reload", "POST")
    reason = flat(invoke("explain", "CheckpointCorrupt", "--url", served.url).out)
    assert reason.splitlines()[1] == "    The [last] checkpoint cannot be read."
    own = invoke("explain", "42", "--workload", "night/report", "--url", served.url)
    assert (own.code, own.err) == (0, "")
    assert flat(own.out).split("\n\n")[0] + "\n" == OWN_READING
    other = invoke("explain", "42", "--workload", "day/report", "--url", served.url)
    assert other == invoke("explain", "42", "--url", served.url)


@pytest.mark.parametrize("code", ["0", "137"])
def test_piped_text_is_aligned(unchanged: Served, code: str) -> None:
    output = EXPLAIN[f"explain_{code}"](unchanged.url)
    assert output == flat(output)
    texts = [line for line in output.splitlines() if line.startswith("  ")]
    assert {len(line) - len(line.removeprefix("  - ").lstrip()) for line in texts} == {4}


NO_CODE = "is not an exit code (0 to 4294967295)"
NO_NAME = "is not an exit code, a signal or a reason"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("OMKilled", f"'OMKilled' {NO_NAME}; did you mean OOMKilled?"),
        ("trem", f"'trem' {NO_NAME}; did you mean SIGTERM?"),
        ("zzzzzz", f"'zzzzzz' {NO_NAME}; codes are 0 to 4294967295"),
        ("4294967296", f"'4294967296' {NO_CODE}"),
        ("-2147483649", f"'-2147483649' {NO_CODE}"),
        ("0x", f"'0x' {NO_CODE}"),
        ("9" * 5000, f"'{'9' * 5000}' {NO_CODE}"),
    ],
    ids=lambda text: text[:20],
)
def test_anything_else_is_refused(unchanged: Served, text: str, cause: str) -> None:
    usage = "Usage: exit-exporter explain [OPTIONS] CODE\nTry 'exit-exporter explain --help' for help.\n\n"
    expected = Done(2, "", f"{usage}Error: Invalid value for 'CODE': {cause}\n")
    assert invoke("explain", text, "--url", unchanged.url) == expected


def test_markdown_has_a_row_for_each_reading(unchanged: Served) -> None:
    title, line, *rows = invoke(
        "explain", "137", "--format", "markdown", "--url", unchanged.url
    ).out.splitlines()
    assert (title, line) == (
        "| Reason | If | Recovery | Meaning | Likely causes |",
        "| --- | --- | --- | --- | --- |",
    )
    readings = json.loads(invoke("explain", "137", "--format", "json", "--url", unchanged.url).out)[
        "readings"
    ]
    assert [row.split(" | ")[:3] for row in rows] == [
        [f"| `{each['reason']}`", each["when"], each["recovery"]] for each in readings
    ]
    (row,) = invoke("explain", "OOMKilled", "--format", "markdown", "--url", unchanged.url).out.splitlines()[
        2:
    ]
    assert row.startswith("| `OOMKilled` |  | more-memory |")
