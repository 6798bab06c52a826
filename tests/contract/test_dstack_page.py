"""docs/dstack.md has a row for each recorded run of dstack, with the words that dstack showed."""

from __future__ import annotations

import pytest

from tests.contract.dstack_page import page_rows
from tests.contract.test_dstack import RECORDINGS
from tests.scripted.dstack_server import recorded_run

NAMES = sorted(path.stem for path in RECORDINGS.glob("*.jsonl"))


def test_each_recorded_run_is_on_the_page() -> None:
    assert sorted(page_rows()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_the_words_that_dstack_showed(name: str) -> None:
    submission = recorded_run(name)["jobs"][0]["job_submissions"][0]
    shown = [submission["status_message"], submission["error"]]
    assert page_rows()[name].dstack == ", ".join(word for word in shown if word)
