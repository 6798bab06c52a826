"""Verdicts: the design's table, written down here a second time and held against the code."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Evidence, MemoryLimit, Recovery, Status, Termination, Verdict, Workload
from exporter.verdict.catalog import CodeReasons, ExitContext, Reason, ReasonCatalog
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import Explanation, classify, error_text, explain
from tests.unit.expected_words import (
    PLAIN_WORDS,
    plain_word,
    ran_word,
    requested_word,
    start_failure_word,
)

MAX_CODE = 2**32 - 1

CODES = st.one_of(st.none(), st.integers(0, MAX_CODE), st.sampled_from(sorted(PLAIN_WORDS)))
EVIDENCE = st.builds(
    Evidence,
    start_failed=...,
    host_lost=...,
    oom_killed=...,
    limit=...,
    unhealthy=...,
    stop_requested=...,
    ran_ns=st.none() | st.integers(0, 10**18) | st.sampled_from((10**9, 10**9 + 1)),
    notes=...,
    causes=...,
    not_known=...,
)


@dataclass(frozen=True)
class Row:
    """One row of the design's table; the word is asked for only where the row fits."""

    fits: Callable[[int | None, Evidence], bool]
    status: Status
    termination: Termination
    word: Callable[[int], str]


ROWS = (
    Row(
        lambda _code, evidence: evidence.host_lost and evidence.oom_killed,
        Status.FAILED,
        Termination.CONTAINER_EXITED_WITH_ERROR,
        lambda _code: "OOMKilled",
    ),
    Row(
        lambda _code, evidence: evidence.host_lost,
        Status.FAILED,
        Termination.INSTANCE_LOST,
        lambda _code: "HostLost",
    ),
    Row(
        lambda code, _evidence: code is None,
        Status.UNKNOWN,
        Termination.EXIT_NOT_OBSERVED,
        lambda _code: "Unknown",
    ),
    Row(
        lambda code, evidence: code != 0 and evidence.oom_killed,
        Status.FAILED,
        Termination.CONTAINER_EXITED_WITH_ERROR,
        lambda _code: "OOMKilled",
    ),
    Row(
        lambda _code, evidence: evidence.unhealthy,
        Status.FAILED,
        Termination.CONTAINER_EXITED_WITH_ERROR,
        lambda _code: "Unhealthy",
    ),
    Row(
        lambda _code, evidence: evidence.stop_requested,
        Status.TERMINATED,
        Termination.TERMINATED_BY_USER,
        requested_word,
    ),
    Row(
        lambda code, _evidence: code == 0,
        Status.DONE,
        Termination.DONE,
        lambda _code: "Completed",
    ),
    Row(
        lambda _code, evidence: evidence.ran_ns is not None and evidence.ran_ns > 10**9,
        Status.FAILED,
        Termination.CONTAINER_EXITED_WITH_ERROR,
        ran_word,
    ),
    Row(
        lambda _code, _evidence: True,
        Status.FAILED,
        Termination.CONTAINER_EXITED_WITH_ERROR,
        plain_word,
    ),
)


def expected(code: int | None, evidence: Evidence) -> Verdict:
    """Read the design's table from top to bottom, for the built-in catalogue."""
    if evidence.start_failed:
        word = "InitOutOfMemory" if evidence.oom_killed else start_failure_word(code)
        return verdict(Status.FAILED, Termination.CREATING_CONTAINER_ERROR, code, word, evidence.limit)
    row = next(row for row in ROWS if row.fits(code, evidence))
    word = row.word(-1 if code is None else code)
    return verdict(row.status, row.termination, code, word, evidence.limit)


def verdict(
    status: Status, termination: Termination, code: int | None, reason: str, limit: MemoryLimit | None
) -> Verdict:
    """Put a verdict together from the facts that the table gives."""
    shown = "unknown" if code is None else str(code)
    recovery = Recovery.NONE if status is Status.TERMINATED else CATALOG.reasons[reason].recovery
    if recovery is Recovery.MORE_MEMORY and limit in {MemoryLimit.PARENT, MemoryLimit.HOST}:
        recovery = Recovery.RETRY_LATER
    error = f"JOB_{status.value.upper()} ({termination.value}, exit code: {shown} - {reason})"
    return Verdict(status, termination, reason, recovery, None if status is Status.DONE else error)


CATALOG = builtin_catalog()
FACTS = ("start_failed", "host_lost", "oom_killed", "unhealthy", "stop_requested")


def evidence_of(*facts: str) -> Evidence:
    """Give the evidence in which just these facts are true."""
    assert set(facts) <= set(FACTS)
    return Evidence(
        start_failed="start_failed" in facts,
        host_lost="host_lost" in facts,
        oom_killed="oom_killed" in facts,
        unhealthy="unhealthy" in facts,
        stop_requested="stop_requested" in facts,
    )


COMBINATIONS = [evidence_of(*facts) for size in range(len(FACTS) + 1) for facts in combinations(FACTS, size)]


def told(evidence: Evidence) -> str:
    """Name a combination of evidence by what is true in it."""
    return " ".join(fact for fact in FACTS if getattr(evidence, fact)) or "nothing"


def judged(code: int | None, *facts: str) -> Verdict:
    return classify(code, evidence_of(*facts), CATALOG)


@given(CODES, EVIDENCE)
def test_every_code_with_any_evidence_gets_the_verdict_of_the_first_row_that_fits(
    code: int | None, evidence: Evidence
) -> None:
    assert classify(code, evidence, CATALOG) == expected(code, evidence)


@pytest.mark.parametrize("evidence", COMBINATIONS, ids=told)
def test_no_known_code_has_a_gap_in_the_table(evidence: Evidence) -> None:
    codes = [None, *range(257), *PLAIN_WORDS, MAX_CODE]
    assert [classify(code, evidence, CATALOG) for code in codes] == [
        expected(code, evidence) for code in codes
    ]


@given(CODES, EVIDENCE)
def test_who_assumes_oom_reads_every_137_as_if_a_witness_had_told_of_it_and_nothing_else(
    code: int | None, evidence: Evidence
) -> None:
    by_code = code == 137 and not evidence.start_failed
    witnessed = replace(evidence, oom_killed=True) if by_code else evidence
    assert classify(code, evidence, CATALOG, assume_oom=True) == expected(code, witnessed)


@given(CODES, EVIDENCE, st.tuples(st.text(), st.text()))
def test_notes_never_change_a_verdict(code: int | None, evidence: Evidence, notes: tuple[str, ...]) -> None:
    assert classify(code, replace(evidence, notes=notes), CATALOG) == classify(code, evidence, CATALOG)


@given(CODES, EVIDENCE)
def test_only_what_is_done_has_no_error(code: int | None, evidence: Evidence) -> None:
    found = classify(code, evidence, CATALOG)
    assert (found.error is None) == (found.status is Status.DONE)


@given(CODES, EVIDENCE)
def test_who_asked_for_the_end_is_never_told_to_mend_it(code: int | None, evidence: Evidence) -> None:
    found = classify(code, evidence, CATALOG)
    assert found.status is not Status.TERMINATED or found.recovery is Recovery.NONE


def test_a_137_without_a_witness_is_only_sigkill() -> None:
    assert judged(137) == Verdict(
        Status.FAILED,
        Termination.CONTAINER_EXITED_WITH_ERROR,
        "SIGKILL",
        Recovery.RETRY,
        "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - SIGKILL)",
    )


def test_a_137_with_a_witness_is_an_oom_kill_and_wants_more_memory() -> None:
    assert judged(137, "oom_killed") == Verdict(
        Status.FAILED,
        Termination.CONTAINER_EXITED_WITH_ERROR,
        "OOMKilled",
        Recovery.MORE_MEMORY,
        "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)",
    )


@pytest.mark.parametrize(
    ("limit", "recovery"),
    [
        (None, "more-memory"),
        (MemoryLimit.OWN, "more-memory"),
        (MemoryLimit.PARENT, "retry-later"),
        (MemoryLimit.HOST, "retry-later"),
    ],
)
def test_more_memory_is_advised_only_against_the_jobs_own_limit(
    limit: MemoryLimit | None, recovery: str
) -> None:
    assert classify(137, Evidence(oom_killed=True, limit=limit), CATALOG).recovery.value == recovery


@pytest.mark.parametrize("code", [255, None])
def test_who_was_named_for_an_oom_kill_was_not_lost_with_the_engine(code: int | None) -> None:
    shown = "unknown" if code is None else code
    assert judged(code, "host_lost", "oom_killed").error == (
        f"JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: {shown} - OOMKilled)"
    )


@pytest.mark.parametrize("code", [0, 137, 143])
def test_what_was_killed_for_being_unhealthy_has_failed_with_whatever_code(code: int) -> None:
    found = judged(code, "unhealthy", "stop_requested")
    assert (found.recovery, found.error) == (
        Recovery.RETRY,
        f"JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: {code} - Unhealthy)",
    )


@pytest.mark.parametrize(("code", "at_once"), [(127, "CommandNotFound"), (126, "CommandNotExecutable")])
def test_a_program_that_ran_for_a_while_was_found_and_executed(code: int, at_once: str) -> None:
    words = [classify(code, Evidence(ran_ns=ran_ns), CATALOG).reason for ran_ns in (None, 10**9, 10**9 + 1)]
    assert words == [at_once, at_once, "Error"]


def test_a_failed_start_is_named_by_the_engines_words_else_by_its_code() -> None:
    told = [
        classify(127, Evidence(start_failed=True, start_error=text), CATALOG)
        for text in (
            'error mounting "/a" to rootfs at "/b": mount /a:/b: no such file or directory: unknown',
            "words of another engine",
        )
    ]
    assert [found.error for found in told] == [
        "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 127 - MountFailed)",
        "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 127 - CommandNotFound)",
    ]


def test_a_shell_that_ends_with_1_because_its_child_was_oom_killed_keeps_its_code() -> None:
    assert judged(1, "oom_killed") == Verdict(
        Status.FAILED,
        Termination.CONTAINER_EXITED_WITH_ERROR,
        "OOMKilled",
        Recovery.MORE_MEMORY,
        "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - OOMKilled)",
    )


def test_a_job_that_survived_an_oom_kill_is_done() -> None:
    assert judged(0, "oom_killed") == Verdict(Status.DONE, Termination.DONE, "Completed", Recovery.NONE, None)


def test_a_job_that_was_asked_to_stop_and_ended_with_0_is_terminated_and_says_so() -> None:
    assert judged(0, "stop_requested") == Verdict(
        Status.TERMINATED,
        Termination.TERMINATED_BY_USER,
        "Completed",
        Recovery.NONE,
        "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 0 - Completed)",
    )


@pytest.mark.parametrize(
    ("code", "facts", "error"),
    [
        (0, (), None),
        (1, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - Error)"),
        (3, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 3 - Error)"),
        (44, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 44 - Error)"),
        (77, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 77 - NoPermission)"),
        (124, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 124 - TimedOut)"),
        (134, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 134 - Aborted)"),
        (139, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 139 - SegmentationFault)"),
        (255, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 255 - UnspecifiedError)"),
        (
            3221225477,
            (),
            "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 3221225477 - AccessViolation)",
        ),
        (137, ("stop_requested",), "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 137 - Killed)"),
        (143, ("stop_requested",), "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 143 - Terminated)"),
        (130, ("stop_requested",), "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 130 - Interrupted)"),
        (1, ("stop_requested",), "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 1 - Error)"),
        (143, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 143 - SIGTERM)"),
        (130, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 130 - SIGINT)"),
        (127, ("start_failed",), "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 127 - CommandNotFound)"),
        (
            126,
            ("start_failed",),
            "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 126 - CommandNotExecutable)",
        ),
        (
            128,
            ("start_failed",),
            "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 128 - ContainerCannotRun)",
        ),
        (
            None,
            ("start_failed",),
            "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: unknown - ContainerCannotRun)",
        ),
        (127, (), "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 127 - CommandNotFound)"),
        (255, ("host_lost",), "JOB_FAILED (INSTANCE_LOST, exit code: 255 - HostLost)"),
        (0, ("host_lost",), "JOB_FAILED (INSTANCE_LOST, exit code: 0 - HostLost)"),
        (None, (), "JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)"),
        (
            None,
            ("oom_killed", "stop_requested"),
            "JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)",
        ),
    ],
)
def test_the_error_is_one_exact_text(code: int | None, facts: tuple[str, ...], error: str | None) -> None:
    assert judged(code, *facts).error == error


def test_the_error_text_names_status_termination_code_and_reason() -> None:
    assert (
        error_text(Status.UNKNOWN, Termination.EXIT_NOT_OBSERVED, None, "Unknown")
        == "JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)"
    )


def test_the_word_and_the_recovery_come_from_the_catalogue_and_the_workload_that_are_handed_in() -> None:
    corrupt = Reason(meaning="The checkpoint cannot be read.", recovery=Recovery.RETRY_LATER)
    words = ReasonCatalog(
        {"CheckpointCorrupt": corrupt, **CATALOG.reasons},
        CATALOG.codes,
        {"train": {42: CodeReasons(reason="CheckpointCorrupt")}},
        {},
    )
    assert [classify(42, Evidence(), words, Workload(name, "acme/train")) for name in ("train", "eval")] == [
        Verdict(
            Status.FAILED,
            Termination.CONTAINER_EXITED_WITH_ERROR,
            "CheckpointCorrupt",
            Recovery.RETRY_LATER,
            "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 42 - CheckpointCorrupt)",
        ),
        Verdict(
            Status.FAILED,
            Termination.CONTAINER_EXITED_WITH_ERROR,
            "Error",
            Recovery.FIX_CODE,
            "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 42 - Error)",
        ),
    ]


PLAINLY = "nothing more is known"
FOR_MEMORY = "the kernel had killed a process of it for memory"
ON_REQUEST = "the engine was asked to stop it"
AT_START = "the engine could not start it"
AT_ONCE = "it ended within its first second"
LATER = "it had run for more than a second"
UNHEALTHY = "it was unhealthy, and something asked for its end because of that"
LOST = "its host or engine went down"


@pytest.mark.parametrize(
    ("code", "readings"),
    [
        (
            0,
            [
                (PLAINLY, "done", "Completed"),
                (UNHEALTHY, "failed", "Unhealthy"),
                (ON_REQUEST, "terminated", "Completed"),
            ],
        ),
        (
            1,
            [
                (PLAINLY, "failed", "Error"),
                (AT_ONCE, "failed", "Error"),
                (FOR_MEMORY, "failed", "OOMKilled"),
                (ON_REQUEST, "terminated", "Error"),
            ],
        ),
        (
            137,
            [
                (PLAINLY, "failed", "SIGKILL"),
                (FOR_MEMORY, "failed", "OOMKilled"),
                (UNHEALTHY, "failed", "Unhealthy"),
                (ON_REQUEST, "terminated", "Killed"),
            ],
        ),
        (
            127,
            [
                (PLAINLY, "failed", "CommandNotFound"),
                (LATER, "failed", "Error"),
                (FOR_MEMORY, "failed", "OOMKilled"),
                (ON_REQUEST, "terminated", "Error"),
                (AT_START, "failed", "CommandNotFound"),
            ],
        ),
        (
            126,
            [
                (PLAINLY, "failed", "CommandNotExecutable"),
                (LATER, "failed", "Error"),
                (FOR_MEMORY, "failed", "OOMKilled"),
                (ON_REQUEST, "terminated", "Error"),
                (AT_START, "failed", "CommandNotExecutable"),
            ],
        ),
        (
            128,
            [
                (PLAINLY, "failed", "FatalError"),
                (FOR_MEMORY, "failed", "OOMKilled"),
                (ON_REQUEST, "terminated", "FatalError"),
                (AT_START, "failed", "ContainerCannotRun"),
            ],
        ),
        (
            255,
            [
                (PLAINLY, "failed", "UnspecifiedError"),
                (AT_ONCE, "failed", "UnspecifiedError"),
                (FOR_MEMORY, "failed", "OOMKilled"),
                (ON_REQUEST, "terminated", "UnspecifiedError"),
                (LOST, "failed", "HostLost"),
            ],
        ),
    ],
)
def test_a_code_is_explained_in_every_way_in_which_it_can_be_read(
    code: int, readings: list[tuple[str, str, str]]
) -> None:
    assert [
        (reading.context.value, reading.verdict.status.value, reading.verdict.reason)
        for reading in explain(code, CATALOG)
    ] == readings


@given(st.integers(0, MAX_CODE))
def test_an_explanation_is_a_verdict_with_what_it_means_and_why_it_may_be(code: int) -> None:
    first = explain(code, CATALOG)[0]
    plain = classify(code, Evidence(), CATALOG)
    causes = CATALOG.causes(code, Evidence(), plain)
    assert first == Explanation(ExitContext.CODE_ONLY, plain, CATALOG.reasons[plain.reason].meaning, causes)


def test_a_workload_has_its_codes_explained_in_its_own_words() -> None:
    words = ReasonCatalog(
        CATALOG.reasons,
        CATALOG.codes,
        {"train": {42: CodeReasons(reason="TimedOut")}},
        {},
    )
    assert explain(42, words, Workload("train", ""))[0].verdict.reason == "TimedOut"
