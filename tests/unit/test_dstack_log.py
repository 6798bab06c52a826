"""The log of dstack's runner: what is read from it, and what is not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import SECOND_NS, JobEnd, JobReport, Status
from exporter.sources.docker.supervisors.dstack_log import MAX_STATE_LINE, RunnerLog
from exporter.text import MAX_TEXT

HEAD = "time=2026-11-28T09:36:19.05979Z level=info msg="
CHANGED = f"{HEAD}Job state changed"
RUNNING = f"{CHANGED} new=running"
FAILED = f"{CHANGED} new=failed"
DONE = f"{CHANGED} new=done"
NOISE = (
    "time=2026-11-28T09:36:20Z level=warning msg=API error err=Metrics collector is not available status=404"
)


def report(*lines: str) -> JobReport:
    """Return what these lines say; the first is of time 1."""
    log = RunnerLog()
    for at_ns, line in enumerate(lines, 1):
        log.read(line, at_ns)
    return log.report


def reported(at_ns: int, status: Status, **how: Any) -> JobEnd:
    """Return the end that the line of this time tells."""
    return JobEnd(at_ns, status, received_ns=at_ns, **how)


def exec_failed(error: str) -> str:
    """Return the line before the state of a job that failed."""
    return f"time=2026-11-28T09:36:33Z level=error msg=Exec failed err={error}"


def end(*lines: str) -> JobEnd:
    """Return the end that these lines tell."""
    found = report(RUNNING, *lines).end
    assert found is not None
    return found


def test_the_first_end_counts_with_its_time() -> None:
    assert report(NOISE, RUNNING, NOISE, DONE, FAILED) == JobReport(
        was_heard=True, started_ns=2, end=reported(4, Status.DONE, code=0)
    )


WRITTEN = 1795858579 * SECOND_NS + 59_790_000
"""The time of HEAD."""


@pytest.mark.parametrize(
    ("received_ns", "at_ns"),
    [
        pytest.param(WRITTEN + 5 * SECOND_NS, WRITTEN, id="by an engine that lagged"),
        pytest.param(WRITTEN + 3600 * SECOND_NS, WRITTEN + 3600 * SECOND_NS, id="an hour later"),
        pytest.param(WRITTEN - 1, WRITTEN - 1, id="before it was written"),
    ],
)
def test_a_line_is_of_the_time_at_which_the_runner_wrote_it_if_that_can_be(
    received_ns: int, at_ns: int
) -> None:
    log = RunnerLog()
    log.read(RUNNING, received_ns)
    log.read(FAILED, received_ns)
    assert log.report.started_ns == at_ns
    assert log.report.end == JobEnd(at_ns, Status.FAILED, received_ns=received_ns)


@pytest.mark.parametrize("time", ["2026-11-28T10:36:19.05979+01:00", "2026-11-28T09:36:19Z"])
def test_times_have_any_zone_and_any_decimals(time: str) -> None:
    log = RunnerLog()
    log.read(f"time={time} level=info msg=Job state changed new=failed", WRITTEN + SECOND_NS)
    assert log.report.end is not None
    assert WRITTEN - SECOND_NS < log.report.end.at_ns <= WRITTEN


@pytest.mark.parametrize("time", ["", "now", "2026-13-40T99:00:00Z", "0001-01-01T00:00:00Z", "9" * 400])
def test_a_time_that_is_none_is_that_of_the_engine(time: str) -> None:
    log = RunnerLog()
    log.read(f"time={time} level=info msg=Job state changed new=failed", WRITTEN)
    assert log.report.end == reported(WRITTEN, Status.FAILED)


@pytest.mark.parametrize(
    ("error", "code", "signal", "start_error"),
    [
        ("wait for command: exit status 3", 3, None, ""),
        ("wait for command: exit status 137", 137, None, ""),
        ("wait for command: exit status -1", None, None, ""),
        ("wait for command: signal: killed", 137, 9, ""),
        ("wait for command: signal: segmentation fault (core dumped)", 139, 11, ""),
        ("wait for command: signal: trace/breakpoint trap", 133, 5, ""),
        ("wait for command: signal: CPU time limit exceeded (core dumped)", 152, 24, ""),
        ("wait for command: signal: bad system call (core dumped)", 159, 31, ""),
        ("wait for command: signal: stopped (tty input)", 149, 21, ""),
        ("wait for command: signal: I/O possible attempt=1", 157, 29, ""),
        ("wait for command: signal: signal 37", 165, 37, ""),
        ("wait for command: signal: of another kind", None, None, ""),
        (
            "start command: start command: fork/exec ./new=it: no such file or directory",
            None,
            None,
            "fork/exec ./new=it: no such file or directory",
        ),
        ("", None, None, ""),
    ],
)
def test_code_and_signal_are_those_of_the_error(
    error: str, code: int | None, signal: int | None, start_error: str
) -> None:
    assert end(exec_failed(error), NOISE, FAILED) == reported(
        4, Status.FAILED, code=code, signal=signal, start_error=start_error
    )


@pytest.mark.parametrize("field", ["", " termination_reason=container_exited_with_error"])
def test_a_job_that_ended_by_itself_has_its_code_and_no_word(field: str) -> None:
    lines = exec_failed("wait for command: exit status 3"), FAILED + field
    assert end(*lines) == reported(3, Status.FAILED, code=3)
    assert end(DONE + field.replace("container_exited_with_error", "done_by_runner")).termination == ""


@pytest.mark.parametrize("state", ["failed", "terminated"])
def test_a_stopped_job_is_terminated_whatever_it_answers(state: str) -> None:
    stopped = f"{HEAD}Job canceled", exec_failed("wait for command: exit status 3"), f"{CHANGED} new={state}"
    assert end(*stopped) == reported(4, Status.TERMINATED, termination="TERMINATED_BY_USER")


ENDING = (
    "new=terminated",
    "termination_reason=max_duration_exceeded",
    "termination_message=It took = too long",
)


@pytest.mark.parametrize("fields", list(permutations(ENDING)))
def test_fields_come_in_any_order(fields: Sequence[str]) -> None:
    expected = reported(
        2, Status.TERMINATED, termination="MAX_DURATION_EXCEEDED", message="It took = too long"
    )
    assert end(" ".join([CHANGED, *fields])) == expected
    assert end(" ".join([*fields, "msg=Job state changed", "level=info"])) == expected


def test_a_stopped_job_has_no_code_and_the_signal_of_the_line_after_its_end() -> None:
    canceled = "time=2026-11-28T09:36:33Z level=error msg=Job canceled"
    after = "time=2026-11-28T09:36:33Z level=error msg=Executor failed err=job canceled: signal: terminated"
    assert end(canceled, f"{CHANGED} new=terminated", after) == reported(
        3, Status.TERMINATED, signal=15, termination="TERMINATED_BY_USER"
    )


def test_lines_after_the_end_take_nothing_back() -> None:
    canceled, later = f"{HEAD}Job canceled", exec_failed("wait for command: exit status 9")
    executor = later.replace("Exec failed", "Executor failed")
    first = exec_failed("wait for command: exit status 3")
    assert end(first, FAILED, canceled, later, executor) == reported(3, Status.FAILED, code=3)
    assert end(FAILED, later) == end(FAILED, executor) == reported(2, Status.FAILED, code=9)


@pytest.mark.parametrize("line", [NOISE, f"{HEAD}Run job", f"{HEAD}Logging configured log_level=debug"])
def test_lines_about_something_else_say_nothing_of_the_job(line: str) -> None:
    assert report(line) == JobReport()


@pytest.mark.parametrize(
    "line",
    [
        exec_failed("wait for command: exit status 3"),
        f"{HEAD}Executor failed err=exit status 3",
        f"{HEAD}Job finished, shutting down",
    ],
)
def test_an_end_whose_state_is_missing_is_not_known(line: str) -> None:
    found = report(RUNNING, line)
    assert (found.was_heard, found.end) == (True, None)
    assert found.unreadable == "it tells that the job ended, but not how"


def test_a_job_is_started_once() -> None:
    assert report(RUNNING, RUNNING) == report(RUNNING)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Distribution not supported",
        "2026/11/28 09:48:30 http: superfluous response.WriteHeader call",
        '{"level":"info","msg":"Job state changed","new":"done"}',
        'time="2026-11-28T09:36:19Z" level=info msg="Job state changed" new=done',
        "msg=Job state changed new=done",
        "level=info new=done",
        "xlevel=info xmsg=Job state changed xnew=done",
        "\ufffd\x00\x1b[31mlevel=info\x00msg=Job state changed\x00new=done",
    ],
)
def test_a_line_of_another_format_changes_nothing(line: str) -> None:
    assert report(line) == JobReport()
    assert report(RUNNING, line) == report(RUNNING)
    assert report(RUNNING, line, FAILED).end == reported(3, Status.FAILED)


@pytest.mark.parametrize("state", ["new=fai", "new=paused", "", "other=done"])
def test_a_state_that_is_not_known_makes_the_end_unknown(state: str) -> None:
    found = report(RUNNING, f"{CHANGED} {state}")
    assert found.end is None
    assert "it has a state that is not known" in found.unreadable
    later = report(RUNNING, f"{CHANGED} {state}", DONE)
    assert (later.end, later.unreadable) == (reported(3, Status.DONE, code=0), "")


def test_a_state_between_running_and_the_end_is_passed_over() -> None:
    assert report(RUNNING, f"{CHANGED} new=terminating") == report(RUNNING)


def test_a_field_of_a_later_release_changes_nothing() -> None:
    line = f"{CHANGED} new=failed exit_status=3 termination_reason=executor_error cause=x"
    assert end(line) == reported(2, Status.FAILED, termination="EXECUTOR_ERROR")
    failed = exec_failed("wait for command: exit status 3").replace("Exec failed", "Exec failed attempt=1")
    assert end(f"{failed} attempt=1", f"{CHANGED} attempt=1 new=failed") == reported(3, Status.FAILED, code=3)


@pytest.mark.parametrize("word", ["Not A Word", "x" * 65, "9lives", "=", "ex\u00e4mple"])
def test_a_word_that_is_none_is_not_passed_on(word: str) -> None:
    assert end(f"{CHANGED} termination_reason={word} new=failed").termination == ""


def test_a_message_with_line_feeds_hides_neither_state_nor_reason() -> None:
    first = f"{CHANGED} termination_message=Failed to set up the repo (git:"
    found = end(first, "fatal: no such repository", ") termination_reason=executor_error new=failed")
    assert (found.at_ns, found.status) == (2, Status.FAILED)
    assert found.termination == "EXECUTOR_ERROR"
    assert report(RUNNING, first, NOISE, "new=failed").end is None


@pytest.mark.parametrize(
    "lines",
    [
        [f"{CHANGED} termination_message=git: new=done new=failed"],
        [f"{CHANGED} termination_message=git:", "new=done", "x new=failed"],
        [FAILED + " termination_message=git: new=done"],
        ["time=1 level=info termination_message=git: msg=x msg=Job state changed new=failed"],
        ["time=1 level=info new=failed termination_message=git: msg=x msg=Job state changed"],
    ],
)
def test_a_message_that_contains_another_state_makes_none_believed(lines: Sequence[str]) -> None:
    found = report(RUNNING, *lines)
    assert found.end is None
    assert "it has a state that is not known" in found.unreadable


def test_what_is_kept_is_bounded_and_cannot_be_mistaken() -> None:
    long = "\x1b[31m\u202e" + "x" * (2 * MAX_STATE_LINE)
    assert len(end(f"{CHANGED} new=failed termination_message={long}").message) == MAX_TEXT
    assert "\x1b" not in end(exec_failed(f"start command: {long}"), FAILED).start_error
    assert len(report(f"{CHANGED} new={long}").unreadable) < 2 * MAX_TEXT
    assert report(f"{CHANGED} termination_message={long}", "new=failed").end is None


KEYS = ["time=", "level=", "msg=", "new=", "err=", "termination_reason=", "termination_message="]
VALUES = [
    "Job state changed",
    "Exec failed",
    "Executor failed",
    "exit status 3",
    "signal: killed",
    "done",
    "\n",
]
words = st.sampled_from([*KEYS, *VALUES, " ", '"'])


@given(st.lists(st.lists(words | st.text(max_size=5), max_size=12).map("".join), max_size=8))
def test_no_line_raises_and_an_end_stays(lines: list[str]) -> None:
    report(*lines)
    assert report(RUNNING, DONE, *[f"{HEAD}Job finished, shutting down", *lines]).end == reported(
        2, Status.DONE, code=0
    )


@given(st.integers(0, len(FAILED) - 1))
def test_a_line_that_is_cut_tells_no_end(length: int) -> None:
    assert report(RUNNING, exec_failed("wait for command: exit status 3"), FAILED[:length]).end is None
