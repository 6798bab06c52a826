"""Recordings of real engines: they are listed, and have nothing of the machine on which they were made."""

import re

import pytest

from tests.scripted.deaths import SCENARIOS
from tests.scripted.recording import CORPUS

pytestmark = pytest.mark.parametrize("folder", ["docker-20.10", "docker-29"])


def test_no_recording_has_a_path_of_the_machine(folder: str) -> None:
    found = [
        file.name
        for file in (CORPUS / folder).glob("*.jsonl")
        if re.search(r"/(tmp|var|root|home)/", file.read_text(encoding="utf-8"))
    ]
    assert not found


def test_the_readme_lists_exactly_the_recordings(folder: str) -> None:
    readme = (CORPUS / folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)
    assert rows == sorted(path.stem for path in (CORPUS / folder).glob("*.jsonl")) == sorted(SCENARIOS)
