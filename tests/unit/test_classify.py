"""The verdict table, written here a second time and compared with the code."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Evidence, LimitOwner, Recovery, Status, Termination, Verdict, Workload
from exporter.verdict.catalog import CodeReasons, ExitContext, Reason, ReasonCatalog
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import Explanation, classify, explain
from tests.unit.expected_reasons import (
    BY_CODE,
    reason_after_a_second,
    reason_after_request,
    reason_of_code,
    reason_of_failed_start,
)

CATALOG = builtin_catalog()
MAX_CODE = 2**32 - 1
SECOND_NS = 10**9
CODES = st.one_of(st.none(), st.integers(0, MAX_CODE), st.sampled_from(sorted(BY_CODE)))
EVIDENCE = st.builds(
    Evidence,
    start_failed=...,
    host_lost=...,
    oom_killed=...,
    limit=...,
    unhealthy=...,
    stop_requested=...,
    ran_ns=st.none() | st.integers(0, 10**18) | st.sampled_from((SECOND_NS, SECOND_NS + 1)),
    notes=...,
    causes=...,
    not_known=...,
)
FLAGS = ("start_failed", "host_lost", "oom_killed", "unhealthy", "stop_requested")


def with_flags(*flags: str) -> Evidence:
    """Create evidence in which exactly these flags are set."""
    return Evidence(**{flag: flag in flags for flag in FLAGS})  # type: ignore[arg-type]  # all are booleans


COMBINATIONS = [flags for size in range(len(FLAGS) + 1) for flags in combinations(FLAGS, size)]
FAILED, ERROR = Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR
STOPPED = Termination.TERMINATED_BY_USER


def expected_row(code: int | None, evidence: Evidence) -> tuple[Status, Termination, str]:
    """Return the first row of the table that applies."""
    known = -1 if code is None else code
    table = (
        (
            evidence.start_failed and evidence.oom_killed,
            FAILED,
            "CREATING_CONTAINER_ERROR",
            "InitOutOfMemory",
        ),
        (evidence.start_failed, FAILED, "CREATING_CONTAINER_ERROR", reason_of_failed_start(code)),
        (evidence.host_lost and evidence.oom_killed, FAILED, ERROR, "OOMKilled"),
        (evidence.host_lost, FAILED, "INSTANCE_LOST", "HostLost"),
        (code is None, Status.UNKNOWN, "EXIT_NOT_OBSERVED", "Unknown"),
        (code != 0 and evidence.oom_killed, FAILED, ERROR, "OOMKilled"),
        (evidence.unhealthy, FAILED, ERROR, "Unhealthy"),
        (evidence.stop_requested, Status.TERMINATED, STOPPED, reason_after_request(known)),
        (code == 0, Status.DONE, "DONE", "Completed"),
        ((evidence.ran_ns or 0) > SECOND_NS, FAILED, ERROR, reason_after_a_second(known)),
        (True, FAILED, ERROR, reason_of_code(known)),
    )
    status, termination, reason = next(row[1:] for row in table if row[0])
    return status, Termination(termination), reason


def expected(code: int | None, evidence: Evidence) -> Verdict:
    """Return the verdict by the table, with its recovery and its error text."""
    status, termination, reason = expected_row(code, evidence)
    recovery = Recovery.NONE if status is Status.TERMINATED else CATALOG.reasons[reason].recovery
    if recovery is Recovery.MORE_MEMORY and evidence.limit in {LimitOwner.PARENT, LimitOwner.HOST}:
        recovery = Recovery.RETRY_LATER
    shown = "unknown" if code is None else code
    error = f"JOB_{status.value.upper()} ({termination.value}, exit code: {shown} - {reason})"
    return Verdict(status, termination, reason, recovery, None if status is Status.DONE else error)


@given(CODES, EVIDENCE)
def test_a_verdict_is_that_of_the_first_row_that_applies(code: int | None, evidence: Evidence) -> None:
    assert classify(code, evidence, CATALOG) == expected(code, evidence)


@pytest.mark.parametrize("flags", COMBINATIONS, ids=" ".join)
def test_the_table_covers_every_known_code(flags: tuple[str, ...]) -> None:
    codes, evidence = [None, *range(257), *BY_CODE, MAX_CODE], with_flags(*flags)
    assert [classify(code, evidence, CATALOG) for code in codes] == [
        expected(code, evidence) for code in codes
    ]


@given(CODES, EVIDENCE)
def test_assume_oom_treats_every_137_as_an_oom_kill(code: int | None, evidence: Evidence) -> None:
    by_code = code == 137 and not evidence.start_failed
    treated = replace(evidence, oom_killed=True) if by_code else evidence
    assert classify(code, evidence, CATALOG, assume_oom=True) == expected(code, treated)


NO_RECOVERY, RETRY, MORE_MEMORY = Recovery.NONE, Recovery.RETRY, Recovery.MORE_MEMORY
EXACT: dict[tuple[int | None, str], tuple[Recovery, str | None]] = {
    (0, ""): (NO_RECOVERY, None),
    (0, "oom_killed"): (NO_RECOVERY, None),
    (0, "stop_requested"): (NO_RECOVERY, "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 0 - Completed)"),
    (0, "unhealthy stop_requested"): (
        RETRY,
        "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 0 - Unhealthy)",
    ),
    (1, "oom_killed"): (
        MORE_MEMORY,
        "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 1 - OOMKilled)",
    ),
    (137, ""): (RETRY, "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - SIGKILL)"),
    (137, "oom_killed"): (
        MORE_MEMORY,
        "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 137 - OOMKilled)",
    ),
    (137, "stop_requested"): (NO_RECOVERY, "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 137 - Killed)"),
    (143, "stop_requested"): (
        NO_RECOVERY,
        "JOB_TERMINATED (TERMINATED_BY_USER, exit code: 143 - Terminated)",
    ),
    (127, "start_failed"): (
        Recovery.FIX_COMMAND,
        "JOB_FAILED (CREATING_CONTAINER_ERROR, exit code: 127 - CommandNotFound)",
    ),
    (255, "host_lost"): (RETRY, "JOB_FAILED (INSTANCE_LOST, exit code: 255 - HostLost)"),
    (255, "host_lost oom_killed"): (
        MORE_MEMORY,
        "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 255 - OOMKilled)",
    ),
    (None, "oom_killed stop_requested"): (
        NO_RECOVERY,
        "JOB_UNKNOWN (EXIT_NOT_OBSERVED, exit code: unknown - Unknown)",
    ),
    (0xC0000005, ""): (
        Recovery.FIX_CODE,
        "JOB_FAILED (CONTAINER_EXITED_WITH_ERROR, exit code: 3221225477 - AccessViolation)",
    ),
}


@pytest.mark.parametrize(("of", "exact"), EXACT.items(), ids=str)
def test_a_verdict_has_this_recovery_and_error(
    of: tuple[int | None, str], exact: tuple[Recovery, str | None]
) -> None:
    code, flags = of
    found = classify(code, with_flags(*flags.split()), CATALOG)
    assert (found.recovery, found.error) == exact


@pytest.mark.parametrize(("code", "reason"), [(127, "CommandNotFound"), (126, "CommandNotExecutable")])
def test_a_program_that_ran_for_a_while_was_executable(code: int, reason: str) -> None:
    durations = (None, SECOND_NS, SECOND_NS + 1)
    assert [classify(code, Evidence(ran_ns=ran_ns), CATALOG).reason for ran_ns in durations] == [
        reason,
        reason,
        "Error",
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            'error mounting "/a" to rootfs at "/b": mount /a:/b: no such file or directory: unknown',
            "MountFailed",
        ),
        ("an error of another engine", "CommandNotFound"),
    ],
)
def test_a_failed_start_has_its_reason_by_text_then_by_code(error: str, reason: str) -> None:
    assert classify(127, Evidence(start_failed=True, start_error=error), CATALOG).reason == reason


def test_a_verdict_uses_the_catalog_and_the_workload_given() -> None:
    corrupt = Reason(meaning="The checkpoint cannot be read.", recovery=Recovery.RETRY_LATER)
    catalog = ReasonCatalog(
        {"CheckpointCorrupt": corrupt, **CATALOG.reasons},
        CATALOG.codes,
        {"train": {42: CodeReasons(reason="CheckpointCorrupt")}},
        {},
    )
    found = [classify(42, Evidence(), catalog, Workload(name, "acme/train")) for name in ("train", "eval")]
    assert [(verdict.reason, verdict.recovery) for verdict in found] == [
        ("CheckpointCorrupt", Recovery.RETRY_LATER),
        ("Error", Recovery.FIX_CODE),
    ]
    assert explain(42, catalog, Workload("train", ""))[0].verdict.reason == "CheckpointCorrupt"


READINGS = {
    0: "CODE_ONLY done Completed, UNHEALTHY failed Unhealthy, STOP_REQUESTED terminated Completed",
    1: "CODE_ONLY failed Error, WITHIN_A_SECOND failed Error, OOM_KILLED failed OOMKilled, "
    "STOP_REQUESTED terminated Error",
    137: "CODE_ONLY failed SIGKILL, OOM_KILLED failed OOMKilled, UNHEALTHY failed Unhealthy, "
    "STOP_REQUESTED terminated Killed",
    127: "CODE_ONLY failed CommandNotFound, AFTER_A_SECOND failed Error, OOM_KILLED failed OOMKilled, "
    "STOP_REQUESTED terminated Error, START_FAILED failed CommandNotFound",
    126: "CODE_ONLY failed CommandNotExecutable, AFTER_A_SECOND failed Error, OOM_KILLED failed OOMKilled, "
    "STOP_REQUESTED terminated Error, START_FAILED failed CommandNotExecutable",
    128: "CODE_ONLY failed FatalError, OOM_KILLED failed OOMKilled, STOP_REQUESTED terminated FatalError, "
    "START_FAILED failed ContainerCannotRun",
    255: "CODE_ONLY failed UnspecifiedError, WITHIN_A_SECOND failed UnspecifiedError, "
    "OOM_KILLED failed OOMKilled, STOP_REQUESTED terminated UnspecifiedError, HOST_LOST failed HostLost",
}


@pytest.mark.parametrize(("code", "readings"), READINGS.items())
def test_a_code_is_explained_in_every_context(code: int, readings: str) -> None:
    found = [(each.context.name, each.verdict.status, each.verdict.reason) for each in explain(code, CATALOG)]
    assert ", ".join(" ".join(each) for each in found) == readings


@given(st.integers(0, MAX_CODE))
def test_an_explanation_has_verdict_meaning_and_causes(code: int) -> None:
    plain = classify(code, Evidence(), CATALOG)
    meaning, causes = CATALOG.reasons[plain.reason].meaning, CATALOG.causes(code, Evidence(), plain)
    assert explain(code, CATALOG)[0] == Explanation(ExitContext.CODE_ONLY, plain, meaning, causes)
