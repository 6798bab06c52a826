"""What a terminal shows of a job whose texts try to take it over: nothing that it would obey."""

import io
import json
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from exporter.cli import wait
from exporter.cli.plain_table import plain_rows
from exporter.cli.show import render
from exporter.cli.tables import jobs_table
from exporter.store import Batch
from tests.cli.command import at_terminal, invoke, run
from tests.cli.other_servers import Other, other_server
from tests.store.samples import ended, job
from tests.web.served import Served

# A title, a colour, a line's beginning, a reversed name; the same in one character of C1.
TRICKS = (
    "\x1b]0;owned\x07",
    "\x1b[31m",
    "\rdone",
    "\u202egnp.exe",
    "\x9b2J",
    "\x9d8;;http://x\x9c",
    "a\nb",
    "\x7f",
)
TEXTS = st.lists(st.sampled_from(TRICKS) | st.text(max_size=5), min_size=1, max_size=4).map("".join)
# A control character, or one that changes the order of others.
OBEYED = frozenset({"Cc", "Cs"})
BIDI = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def in_terminal(output: Any) -> str:
    """Return what a terminal without colours gets."""
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=200)
    terminal.print(output)
    text: str = terminal.file.getvalue()  # type: ignore[attr-defined]
    return text


FACES: dict[str, Callable[[dict[str, Any]], str]] = {
    "ps": lambda job: in_terminal(jobs_table([job], verbose=True)),
    "ps in a pipe": lambda job: "".join(plain_rows([job], verbose=True)),
    "show": lambda job: in_terminal(render(job)),
}


@pytest.fixture
def failed(served: Served) -> dict[str, Any]:
    """Return a job of the API, with the end of its log."""
    job: dict[str, Any] = requests.get(f"{served.url}/api/v1/jobs/gentle-stingray-1", timeout=10).json()
    return job | {"log_tail": "first\nlast"}


def hostile(job: dict[str, Any], text: str) -> dict[str, Any]:
    """Return the job with the text in all that somebody outside can choose."""
    free = ("name", "instance", "workload", "image", "error", "reason", "log_tail", "meaning", "status")
    return job | dict.fromkeys(free, text) | {name: [text] for name in ("evidence", "not_known", "causes")}


def obeyed(text: str) -> set[str]:
    """Return the characters of a text that a terminal would obey."""
    return {
        character
        for character in text.replace("\n", "")
        if unicodedata.category(character) in OBEYED or unicodedata.bidirectional(character) in BIDI
    }


@pytest.mark.parametrize("face", FACES)
def test_a_terminal_is_shown_text_and_no_orders(face: str, failed: dict[str, Any]) -> None:
    @settings(derandomize=True, deadline=None, max_examples=100)
    @given(TEXTS)
    def check(text: str) -> None:
        assert not obeyed(FACES[face](hostile(failed, text)))

    check()


@pytest.mark.parametrize("text", TRICKS)
def test_a_job_is_one_line_of_wait_and_one_row_in_a_pipe(
    text: str, failed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    wait._print(hostile(failed, text), "text")
    printed = capsys.readouterr().err
    assert (len(printed.splitlines()), obeyed(printed)) == (1, set())
    assert [len(row.splitlines()) for row in plain_rows([hostile(failed, text)], verbose=True)] == [1, 1]


def test_json_keeps_what_the_terminal_is_not_shown(
    failed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    wait._print(hostile(failed, "\x1b[31m\u202e"), "json")
    printed = capsys.readouterr().out
    assert not obeyed(printed)
    assert json.loads(printed)["name"] == "\x1b[31m\u202e"


# The catalogue, which a team can extend, or a server can make up.


def hostile_texts(answer: Any) -> Any:
    """Return an answer of the API with all tricks in each of its texts."""
    match answer:
        case dict():
            return {name: hostile_texts(value) for name, value in answer.items()}
        case list():
            return [hostile_texts(value) for value in answer]
        case str():
            return answer + "".join(TRICKS)
    return answer


@pytest.mark.parametrize("form", [(), ("--format", "markdown")], ids=["for people", "markdown"])
@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("explain", "137"), "/api/v1/reasons/137"),
        (("explain", "OOMKilled" + "".join(TRICKS)), "/api/v1/reasons"),
        (("codes",), "/api/v1/reasons"),
        (("report",), "/api/v1/summary"),
    ],
    ids=["a code", "a reason", "codes", "report"],
)
def test_no_answer_of_a_server_takes_over_a_terminal(
    served: Served, words: tuple[str, ...], path: str, form: tuple[str, ...]
) -> None:
    served.catalogue_file.write_text(
        "reasons: {Mine: {meaning: m, recovery: none}}\ncodes: {7: {reason: Mine}}"
    )
    served.catalog.reload()
    answer = served.ask(path, params={"since": "1970-01-02"} if words == ("report",) else {}).json()
    with other_server(Other(json.dumps(hostile_texts(answer)).encode())) as url:
        done = invoke(*words, *form, "--url", url)
    assert (done.code, obeyed(done.out)) == (0, set())
    assert "owned" in done.out


@pytest.mark.parametrize("words", [("ps", "-a"), ("show", "日本")], ids=" ".join)
def test_what_an_encoding_does_not_have_is_escaped(served: Served, words: tuple[str, ...]) -> None:
    served.store.commit(Batch(ended=[ended(job("1", name="日本"), 3)]))
    asked = (*words, "--url", served.url)
    assert r"\u65e5\u672c" in run(*asked, PYTHONIOENCODING="iso-8859-1").out
    assert r"\u65e5\u672c" in at_terminal(*asked, PYTHONIOENCODING="iso-8859-1")
