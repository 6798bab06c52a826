"""The table of cases in docs/verdicts.md says what is true of the recordings and tests that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.corpus.cases import DIRECTORY, End, load

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "verdicts.md"


@dataclass(frozen=True)
class Row:
    """One case as the page has it; ``held_by`` are the recordings and the files that hold it."""

    what: str
    status: str
    code: str
    reason: str
    advice: str
    held_by: tuple[str, ...]


def rows(text: str) -> Iterator[Row]:
    """The rows of all tables in the section of cases."""
    section = text.partition("\n## Cases\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        cells = line.strip("| ").split(" | ")
        if line.startswith("| ") and cells[0] != "what happened":
            what, status, code, reason, advice, _, held_by = cells
            names = tuple(re.findall(r"`([^`]+)`", held_by))
            yield Row(what, status, code, reason.strip("`"), advice.strip("`"), names)


def ends(reference: str) -> list[End]:
    """How those runs ended that a reference names: ``FOLDER/FILE``, ``:CONTAINER``, ``:NUMBER``."""
    name, _, container = reference.partition(":")
    container, _, number = container.partition(":")
    truth = load(name).truth
    runs = truth[container] if container else [end for own in truth.values() for end in own]
    return [runs[int(number) - 1]] if number else runs


CASES = list(rows(PAGE.read_text(encoding="utf-8")))


def is_recording(reference: str) -> bool:
    """Whether it is of the corpus, and not the path of a test."""
    return (DIRECTORY / f"{reference.partition(':')[0]}.jsonl").is_file()


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.what)
def test_a_case_is_held_by_what_it_names(row: Row) -> None:
    assert row.held_by
    for reference in row.held_by:
        assert is_recording(reference) or (REPOSITORY / reference).is_file(), reference


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.what)
def test_a_case_has_the_verdict_of_its_recordings(row: Row) -> None:
    verdict = (row.status, row.code, row.reason, row.advice)
    for reference in filter(is_recording, row.held_by):
        for end in ends(reference):
            code = "unknown" if end.code is None else str(end.code)
            assert (end.status, code, end.reason, end.recovery) == verdict, reference
