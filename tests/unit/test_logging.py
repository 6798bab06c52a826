"""Lines of the log: all in one format, without secrets, nothing for a terminal to obey, and never a flood."""

import asyncio
import gc
import json
import logging
import queue
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.config import log_limit
from exporter.config.log_limit import MAX_LINES, RepeatLimit
from exporter.config.log_writer import LogWriter
from exporter.config.logging_setup import MAX_VALUE, logging_to_stderr
from exporter.config.settings import LogSettings
from tests.lab.wait import wait_until

log = structlog.get_logger(__name__)
ORDERS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]) | st.sampled_from("\x1b\r\n\x9b\u202e\x7f")
)


@contextmanager
def logged(path: Path, monkeypatch: pytest.MonkeyPatch, log_format: str = "json") -> Iterator[None]:
    """Write the log to a file."""
    with path.open("w") as stderr, monkeypatch.context() as patch:
        patch.setattr("sys.__stderr__", stderr)
        try:
            with logging_to_stderr(LogSettings.model_validate({"format": log_format})):
                yield
        finally:
            structlog.reset_defaults()


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log in JSON."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def break_a_callback() -> None:
    async def broken() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    asyncio.run(broken())


class _Broken:
    def __del__(self) -> None:
        raise LookupError("of an end")


def break_an_end() -> None:
    _Broken()
    gc.collect()


@pytest.mark.parametrize(
    "case",
    [
        (
            lambda: logging.getLogger("uvicorn.error").error("Exception in %s\n", "x"),
            "error",
            "Exception in x",
        ),
        (break_a_callback, "error", "ZeroDivisionError"),
        (lambda: warnings.warn("old", UserWarning, stacklevel=1), "warning", "UserWarning: old"),
        (break_an_end, "error", "LookupError: of an end"),
    ],
    ids=["uvicorn", "asyncio", "a warning", "an error that nothing can catch"],
)
@pytest.mark.parametrize("log_format", ["json", "logfmt"])
def test_what_libraries_and_python_say_is_a_line_like_others(
    case: tuple[Callable[[], object], str, str],
    log_format: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, (cause, level, text) = tmp_path / "log", case
    # What other tests have left would be logged when it is collected.
    gc.collect()
    with logged(path, monkeypatch, log_format):
        warnings.simplefilter("default")
        cause()
    (line,) = path.read_text().splitlines()
    assert text in line
    if log_format == "json":
        assert json.loads(line)["level"] == level
    else:
        assert line.split()[0].startswith("ts=20")
        assert f"level={level}" in line


@pytest.mark.parametrize("cause", ["one of ours", "a library's, whose text differs each time"])
def test_a_flood_is_a_few_lines_and_a_count(
    cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, library = tmp_path / "log", logging.getLogger("uvicorn.error")
    with logged(path, monkeypatch):
        for number in range(1000):
            if cause == "one of ours":
                log.warning("container left out", number=number)
            else:
                library.warning(f"request {number}")  # as some libraries do
        log.warning("something else")
    *flood, other, count = lines(path)
    assert len(flood) == MAX_LINES
    assert other["msg"] == "something else"
    assert (count["msg"], count["lines"]) == ("lines left out, since too many were alike", 1000 - MAX_LINES)
    assert count["like"] == ("container left out" if cause == "one of ours" else "request 0")
    assert not {log_limit.KIND} & {key for line in flood for key in line}


def test_of_however_many_kinds_it_is_said_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, messages = tmp_path / "log", {f"message {number}" for number in range(MAX_LINES + 2)}
    with logged(path, monkeypatch):
        for message in messages:
            for _ in range(MAX_LINES + 1):
                log.warning(message)
    assert {line["like"] for line in lines(path) if "like" in line} == messages


def test_what_was_left_out_is_said_after_the_interval_and_lines_come_again() -> None:
    now = [0.0]
    limit = RepeatLimit(lambda: now[0])

    def passes() -> bool:
        try:
            limit(None, "info", {"event": "repeats"})
        except structlog.DropEvent:
            return False
        return True

    assert [passes() for _ in range(MAX_LINES + 2)] == [True] * MAX_LINES + [False] * 2
    now[0] = log_limit.INTERVAL_SECONDS - 1
    with structlog.testing.capture_logs() as said:
        assert limit.report() == 1
        now[0] += 1
        assert [limit.report(), limit.report()] == [None, None]
    assert [(line["like"], line["lines"]) for line in said] == [("repeats", 2)]
    assert passes()


def test_what_was_left_out_is_said_though_no_line_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_limit, "INTERVAL_SECONDS", 1.0)
    path = tmp_path / "log"
    with logged(path, monkeypatch):
        for _ in range(1000):
            log.warning("container left out")
        assert wait_until(lambda: "lines left out" in path.read_text(), 10)


def test_the_writer_calls_again_after_the_time_that_it_is_told_and_else_with_the_next_line() -> None:
    times = iter([None, 0.001, None])
    called = queue.SimpleQueue[float | None]()

    def tick() -> float | None:
        called.put(time := next(times))
        return time

    writer = LogWriter(None, tick)
    for expected in ([None], [0.001, None]):
        writer.write("line")
        assert [called.get(timeout=10) for _ in expected] == expected
    writer.close()
    assert called.empty()


@pytest.mark.parametrize("log_format", ["json", "logfmt"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@example(texts=["\x7f\x1b]0;\x07\r\n\x9b\u202e"], name="\x7f")
@given(texts=st.lists(ORDERS, max_size=MAX_LINES), name=ORDERS)
def test_no_text_makes_a_terminal_obey_or_breaks_a_line(
    log_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], name: str
) -> None:
    path = tmp_path / "log"
    with logged(path, monkeypatch, log_format):
        for text in texts:
            log.warning("engine refused", cause=text, name=[name, text])
    written = path.read_text(encoding="utf-8").splitlines()
    assert len(written) == len(texts)
    assert not {character for line in written for character in line if not _is_harmless(character)}
    if log_format == "json":
        assert [json.loads(line)["cause"] for line in written] == texts


def _is_harmless(character: str) -> bool:
    code = ord(character)
    return (
        code >= 0xA0
        and character
        not in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
    ) or 0x20 <= code < 0x7F


def test_no_secret_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:pr0xy-w0rd@proxy:3128")
    with logged(path, monkeypatch):
        error = ConnectionError("cannot reach ann:pr0xy-w0rd@proxy")
        log.error("failed", tried=["https://h/?key=s3cret"], exc_info=error)
        logging.getLogger("urllib3").warning("Retrying pr0xy-w0rd")
    assert "pr0xy-w0rd" not in path.read_text()
    assert lines(path)[0]["tried"] == "https://h/?[redacted]"
    assert lines(path)[0]["exception"].startswith("ConnectionError")


def test_a_text_of_any_length_is_a_line_of_bounded_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    with logged(path, monkeypatch):
        log.warning("refused", cause="x" * 10_000_000 + "the end")
    (line,) = lines(path)
    assert len(line["cause"]) == MAX_VALUE
    assert line["cause"].endswith("the end")
