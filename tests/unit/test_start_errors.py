"""What engines said about failed starts, in their own words, and which reason each gives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.start_errors import reason_of

# Of Debian's 20.10 with runc 1.1 as it said them; the others after engines' sources and public reports.
TEXTS = Path(__file__).with_name("start_errors.txt")


def texts() -> Iterator[tuple[str, str]]:
    """Give each text with the reason in whose section it stands."""
    reason = ""
    for line in TEXTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            reason = line.strip("[]")
        elif line and not line.startswith("#"):
            yield line, reason


@pytest.mark.parametrize(("text", "reason"), list(texts()))
def test_the_engines_own_words_give_the_reason_of_a_failed_start(text: str, reason: str) -> None:
    assert reason_of(text) == reason
    assert reason in builtin_catalog().reasons


def test_words_on_several_lines_are_read_as_on_one() -> None:
    text = "error running hook #0: exit status 1, stdout: , stderr:\nnvidia-container-cli: nvml error"
    assert reason_of(text) == "DeviceDriverMissing"


@pytest.mark.parametrize("text", ["", "no such file or directory", "permission denied", "something else"])
def test_words_that_name_no_kind_give_no_reason(text: str) -> None:
    assert reason_of(text) is None
