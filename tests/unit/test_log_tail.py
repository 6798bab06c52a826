"""End of a log: its size, and its redaction."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.log_tail import LogTail, redactor
from exporter.redaction import REDACTED

SECONDS = 20.0
PASSWORD = redactor(r"password=\S+")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", None),
        ("\n\n", None),
        ("one", "one"),
        ("one\n", "one"),
        ("one\r\ntwo\r\n", "one\ntwo"),
        ("1\n2\n3\n4\n", "2\n3\n4"),
        ("1\n\n\n4\n", "\n\n4"),
        ("10 %\r50 %\r100 %\n", "100 %"),
        ("\x1b[31mred\x1b[0m and \x1b]0;title\x07plain", "red and plain"),
        ("a\tb\x00c\x07", "a\tb\ufffdc\ufffd"),
        ("größe ∑ \u2028", "größe ∑ \ufffd"),
        ("gnp\u202exe\u2069\u200b\u2800\U000e0041.\tb\nc", "gnp\ufffdxe\ufffd\ufffd\ufffd\ufffd.\tb\nc"),
        ("⚠\ufe0f disk", "⚠ disk"),
    ],
)
def test_the_last_lines_are_kept_as_a_terminal_shows_them(text: str, kept: str | None) -> None:
    assert LogTail(3, 1000).extract(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("first\nsecond\nthird", "third"),
        ("second\nthird", "second\nthird"),
        ("second\nthird!", "third!"),
        ("a line that is longer than all that is kept", "all that is kept"[-12:]),
        ("ééééééééé", "éééééé"),
        ("xééééééééé", "éééééé"),
        ("∑∑∑∑∑", "∑∑∑∑"),
    ],
)
def test_the_last_bytes_are_kept_in_whole_lines_if_possible(text: str, kept: str) -> None:
    assert LogTail(10, 12).extract(text) == kept


def test_secrets_are_redacted_before_the_text_is_cut() -> None:
    log = "one\npassword=hunter2 two\nthree password=hunter3"
    assert LogTail(2, 1000, PASSWORD).extract(log) == f"{REDACTED} two\nthree {REDACTED}"
    assert LogTail(1, 12, PASSWORD).extract(log) == "e [redacted]"


def test_secrets_are_found_across_lines_and_under_colours() -> None:
    key = redactor(r"(?s)BEGIN KEY.*END KEY")
    assert LogTail(9, 1000, key).extract("a\nBEGIN KEY\nx\nEND KEY\nb") == f"a\n{REDACTED}\nb"
    assert LogTail(9, 1000, PASSWORD).extract("pass\x1b[1mword=hunter2") == REDACTED


@given(
    text=st.text(),
    lines=st.integers(1, 5),
    most=st.integers(1, 40),
)
def test_any_log_is_printable_redacted_and_bounded(text: str, lines: int, most: int) -> None:
    kept = LogTail(lines, most, redactor("secret")).extract(text) or ""
    assert len(kept.encode()) <= most
    assert kept.count("\n") < lines
    assert all(character.isprintable() or character in "\n\t" or character >= "\xa0" for character in kept)
    assert "secret" not in kept


def test_the_first_line_of_a_cut_log_is_dropped() -> None:
    assert LogTail(5, 100).extract("hunter2\ntwo", is_whole=False) == "two"
    assert LogTail(5, 100).extract("hunter2", is_whole=False) is None


@pytest.mark.parametrize("pattern", [r"\S+@\S+", r"(a+)+$", r"(.*)*x", r"(?i)(password|token)=\S+"])
def test_redaction_takes_linear_time(pattern: str) -> None:
    tail = LogTail(1, 100, redactor(pattern))
    started = time.process_time()
    for text in ("a" * (1 << 20), "a@" * (1 << 19), "password=" * (1 << 17)):
        tail.extract(text)
    # With the patterns of Python's re it takes hours.
    assert time.process_time() - started < SECONDS


def test_patterns_that_re2_lacks_are_rejected() -> None:
    with pytest.raises(ValueError, match="is not a regular expression of RE2: invalid perl operator"):
        redactor("(?=x)")
