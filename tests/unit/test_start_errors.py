"""Reasons of failed starts by the error texts of engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.start_errors import reason_of

# Recorded from Debian's 20.10 with runc 1.1; the others are from the sources of engines and public reports.
TEXTS = Path(__file__).with_name("start_errors.txt")


def texts() -> Iterator[tuple[str, str]]:
    """Yield each text with the reason that heads its section."""
    reason = ""
    for line in TEXTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            reason = line.strip("[]")
        elif line and not line.startswith("#"):
            yield line, reason


@pytest.mark.parametrize(("text", "reason"), list(texts()))
def test_an_error_text_gives_the_reason_of_a_failed_start(text: str, reason: str) -> None:
    assert reason_of(text) == reason
    assert reason in builtin_catalog().reasons


def test_an_error_text_can_have_several_lines() -> None:
    text = "error running hook #0: exit status 1, stdout: , stderr:\nnvidia-container-cli: nvml error"
    assert reason_of(text) == "DeviceDriverMissing"


@pytest.mark.parametrize("text", ["", "no such file or directory", "permission denied", "something else"])
def test_an_unknown_error_text_gives_no_reason(text: str) -> None:
    assert reason_of(text) is None
