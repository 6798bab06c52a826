"""The reason catalog: the built-in one, and a user's file on top of it."""

import re
from pathlib import Path
from signal import Signals

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.yaml_document import DocumentError
from exporter.model import Evidence, LimitOwner, Recovery, Status, Termination, Verdict, Workload
from exporter.verdict.catalog import AT_ONCE_NS, NO_WORKLOAD, ExitContext, Reason, ReasonCatalog
from exporter.verdict.catalog_file import BUILTIN, builtin_catalog, load_catalog
from tests.unit.corpus import DIRECTORY, BadFile, bad_files
from tests.unit.expected_reasons import (
    BY_CODE,
    BY_CODE_AFTER_A_SECOND,
    BY_CODE_AFTER_REQUEST,
    BY_CODE_OF_FAILED_START,
    reason_after_a_second,
    reason_after_request,
    reason_of_code,
    reason_of_failed_start,
)

CATALOG = builtin_catalog()
CODES = st.integers(0, 2**32 - 1) | st.sampled_from(sorted(BY_CODE))
BY_EVIDENCE = {"OOMKilled", "Unhealthy", "HostLost", "Unknown", "ContainerCannotRun"}
BY_ERROR_TEXT = {
    "InitOutOfMemory",
    "HostExhausted",
    "DiskFull",
    "RuntimeNotFound",
    "DeviceDriverMissing",
    "DeviceNotFound",
    "UserNotFound",
    "MountFailed",
    "NetworkFailed",
    "PortInUse",
    "PortRefused",
    "ResourcesRefused",
    "WorkingDirectoryInvalid",
}
BY_SUPERVISOR = {"Inactive", "LogQuotaExceeded", "ImagePullFailed", "NoCapacity", "Preempted"}

RECOVERIES = {
    Recovery.NONE: "Unknown Completed Interrupted Killed Terminated SIGINT SIGQUIT DebuggerTerminated "
    "ControlCExit Inactive",
    Recovery.RETRY: "Unhealthy "
    "HostLost TimedOut UnspecifiedError SIGHUP SIGKILL SIGALRM SIGTERM ProcessAborted",
    Recovery.RETRY_LATER: "NoHost Unavailable OSError IOError TemporaryFailure ProtocolError SIGPWR "
    "InPageError HostExhausted DiskFull NetworkFailed PortInUse NoCapacity Preempted",
    Recovery.MORE_MEMORY: "OOMKilled InitOutOfMemory NoMemory CommitLimit",
    Recovery.FIX_COMMAND: "ImagePullFailed "
    "RuntimeNotFound DeviceDriverMissing DeviceNotFound UserNotFound MountFailed "
    "PortRefused ResourcesRefused WorkingDirectoryInvalid "
    "ContainerCannotRun Misuse UsageError DataError NoInput NoUser OSFileError "
    "CannotCreate NoPermission ConfigError LauncherFailed CommandNotExecutable CommandNotFound FatalError "
    "SIGILL SIGBUS SIGUSR1 SIGUSR2 SIGPIPE SIGCHLD SIGTTOU SIGXCPU SIGXFSZ SIGPROF SIGSYS "
    "IllegalInstruction InvalidImageFormat DllNotFound EntryPointNotFound DllInitFailed",
    Recovery.FIX_CODE: "LogQuotaExceeded "
    "Error SoftwareError SIGTRAP Aborted SIGFPE SegmentationFault SIGSTKFLT SIGCONT "
    "SIGSTOP SIGTSTP SIGTTIN SIGURG SIGVTALRM SIGWINCH SIGIO RealTimeSignal Breakpoint DotNetEngineFailure "
    "DotNetFailFast AccessViolation IntegerDivisionByZero StackOverflow HeapCorruption StackBufferOverrun "
    "CallbackException AssertionFailed FailFast DotNetException CppException",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a user's catalog file."""
    return tmp_path / "catalogue.yaml"


def loaded(path: Path, text: str) -> ReasonCatalog:
    """Load a user's catalog file."""
    path.write_text(text, encoding="utf-8")
    return load_catalog(path)


def reasons(catalog: ReasonCatalog, *codes: int, workload: Workload = NO_WORKLOAD) -> list[str]:
    """Return the reasons of codes without further evidence."""
    return [catalog.reason_for(code, ExitContext.CODE_ONLY, workload) for code in codes]


# The built-in catalog


def test_the_built_in_catalog_lists_these_codes() -> None:
    codes = CATALOG.codes.items()
    assert {code: reasons.reason for code, reasons in codes} == BY_CODE
    assert {code: reasons.requested for code, reasons in codes if reasons.requested} == BY_CODE_AFTER_REQUEST
    assert {code: reasons.ran for code, reasons in codes if reasons.ran} == BY_CODE_AFTER_A_SECOND
    promised = {*range(4), *range(64, 79), 100, 111, *range(124, 144), *range(241, 248), 254, 255}
    assert promised | {128 + signal for signal in Signals} <= set(CATALOG.codes)


def test_every_reason_is_described_and_used() -> None:
    by_code = {*BY_CODE.values(), *BY_CODE_AFTER_REQUEST.values(), *BY_CODE_OF_FAILED_START.values()}
    assert set(CATALOG.reasons) == by_code | BY_EVIDENCE | BY_ERROR_TEXT | BY_SUPERVISOR
    assert len({name.lower() for name in CATALOG.reasons}) == len(CATALOG.reasons)


def test_every_meaning_is_one_sentence_with_likely_causes() -> None:
    bad = {
        name
        for name, reason in CATALOG.reasons.items()
        if not re.fullmatch(r"[A-Z].*\.", reason.meaning)
        or len(set(reason.causes)) < max(2, len(reason.causes))
        or any(cause != cause.strip(" .\n") for cause in reason.causes)
    }
    assert bad == set()


def test_every_reason_has_this_recovery() -> None:
    found = {
        recovery: {name for name, reason in CATALOG.reasons.items() if reason.recovery is recovery}
        for recovery in Recovery
    }
    assert found == {recovery: set(names.split()) for recovery, names in RECOVERIES.items()}


def test_the_built_in_file_is_a_valid_user_file_except_for_code_0() -> None:
    with pytest.raises(DocumentError) as refused:
        load_catalog(BUILTIN)
    line = BUILTIN.read_text(encoding="utf-8").splitlines().index("  0: {reason: Completed}") + 1
    assert refused.value.problems == [
        f"{BUILTIN}:{line}: codes.0: code 0 is always Completed and cannot be renamed"
    ]


@given(st.none() | CODES, st.sampled_from(ExitContext))
def test_every_code_has_a_reason_in_every_context(code: int | None, context: ExitContext) -> None:
    known = -1 if code is None else code
    reason = {
        ExitContext.CODE_ONLY: reason_of_code(known),
        ExitContext.WITHIN_A_SECOND: reason_of_code(known),
        ExitContext.AFTER_A_SECOND: reason_after_a_second(known),
        ExitContext.STOP_REQUESTED: reason_after_request(known),
        ExitContext.START_FAILED: reason_of_failed_start(code),
        ExitContext.OOM_KILLED: "OOMKilled",
        ExitContext.UNHEALTHY: "Unhealthy",
        ExitContext.HOST_LOST: "HostLost",
        ExitContext.NOT_OBSERVED: "Unknown",
        ExitContext.SUPERVISED: reason_of_code(known),
    }[context]
    assert CATALOG.reason_for(code, context, NO_WORKLOAD) == reason
    assert reason in CATALOG.reasons


def test_a_reason_of_an_earlier_catalog_has_a_substitute() -> None:
    assert CATALOG.describe("CheckpointCorrupt") == Reason(
        meaning="A reason that is not in the current catalogue.", causes=(), recovery=Recovery.NONE
    )


# Causes and meanings


def failed(reason: str) -> Verdict:
    return Verdict(Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, reason, Recovery.NONE, "")


def stopped(reason: str) -> Verdict:
    return Verdict(Status.TERMINATED, Termination.TERMINATED_BY_USER, reason, Recovery.NONE, "")


@pytest.mark.parametrize(
    ("termination", "reason", "meaning"),
    [
        *(
            (termination, reason, "It was stopped before it ended by itself, so it has no exit code.")
            for termination, reason in (
                ("TERMINATED_BY_USER", "Terminated"),
                ("TERMINATED_BY_USER", "Killed"),
                ("MAX_DURATION_EXCEEDED", "TimedOut"),
            )
        ),
        ("INACTIVITY_DURATION_EXCEEDED", "Inactive", CATALOG.reasons["Inactive"].meaning),
        ("INSTANCE_UNREACHABLE", "HostLost", CATALOG.reasons["HostLost"].meaning),
    ],
)
def test_the_meaning_of_a_stop_without_a_code_mentions_none(
    termination: str, reason: str, meaning: str
) -> None:
    verdict = Verdict(Status.TERMINATED, termination, reason, Recovery.NONE, "")
    assert CATALOG.meaning(None, verdict) == meaning


CAUSES = """
reasons:
  Lost: {meaning: It is lost., causes: [of the reason, of both]}
  Later: {meaning: It was lost later., causes: [of the later reason]}
codes:
  42:
    reason: Lost
    ran: Later
    causes: [of the code, of both]
    causes_at_once: [of the first second]
    causes_ran: [of a longer run]
"""


@pytest.mark.parametrize(
    ("ran_ns", "reason", "causes"),
    [
        (None, "Lost", "of the code, of both, of the reason"),
        (AT_ONCE_NS, "Lost", "of the first second, of the code, of both, of the reason"),
        (AT_ONCE_NS + 1, "Later", "of a longer run, of the code, of both, of the later reason"),
        (None, "OOMKilled", ", ".join(CATALOG.reasons["OOMKilled"].all_causes)),
    ],
)
def test_causes_are_those_of_evidence_code_and_reason_in_this_order(
    path: Path, ran_ns: int | None, reason: str, causes: str
) -> None:
    evidence = Evidence(ran_ns=ran_ns, causes=("of the evidence",))
    found = loaded(path, CAUSES).causes(42, evidence, failed(reason))
    assert ", ".join(found) == f"of the evidence, {causes}"


@pytest.mark.parametrize("limit", [LimitOwner.PARENT, LimitOwner.HOST])
def test_causes_do_not_blame_a_limit_that_was_not_reached(limit: LimitOwner) -> None:
    evidence = Evidence(oom_killed=True, limit=limit, causes=("of the evidence",))
    assert CATALOG.causes(137, evidence, failed("OOMKilled")) == ("of the evidence",)


def test_a_failed_start_has_no_causes_of_its_code() -> None:
    not_started = Verdict(
        Status.FAILED, Termination.CREATING_CONTAINER_ERROR, "CommandNotFound", Recovery.FIX_COMMAND, ""
    )
    found = CATALOG.causes(127, Evidence(start_failed=True, ran_ns=AT_ONCE_NS + 1), not_started)
    assert found == CATALOG.reasons["CommandNotFound"].causes


@pytest.mark.parametrize("code", [1, 255])
def test_an_end_within_a_second_suspects_the_executable_first(code: int) -> None:
    verdict = failed(reason_of_code(code))
    at_once = CATALOG.causes(code, Evidence(ran_ns=9 * 10**6), verdict)
    later = CATALOG.causes(code, Evidence(ran_ns=9 * 10**9), verdict)
    assert at_once[2:] == later
    assert "exec format error" in at_once[0]
    assert "CR LF" in at_once[1]


STOPPED = "The engine was asked to stop the container, and it ended with"


@pytest.mark.parametrize(
    ("code", "verdict", "meaning"),
    [
        (0, stopped("Completed"), f"{STOPPED} 0, which stands for success."),
        (2, stopped("Error"), f"{STOPPED} 2."),
        (64, stopped("UsageError"), f"{STOPPED} 64."),
        (143, stopped("Terminated"), f"{STOPPED} the code of SIGTERM."),
        (42, stopped("Drained"), "It wrote all down."),
        (42, failed("Lost"), "It is lost."),
        (2, failed("Misuse"), CATALOG.reasons["Misuse"].meaning),
    ],
)
def test_the_meaning_mentions_a_requested_stop(path: Path, code: int, verdict: Verdict, meaning: str) -> None:
    catalog = loaded(
        path,
        "reasons: {Lost: {meaning: It is lost.}, Drained: {meaning: It wrote all down.}}\n"
        "codes: {42: {reason: Lost, requested: Drained}}\n",
    )
    assert catalog.meaning(code, verdict) == meaning


@given(CODES)
def test_every_meaning_after_a_request_mentions_it(code: int) -> None:
    verdict = stopped(reason_after_request(code))
    assert CATALOG.meaning(code, verdict).startswith("The engine was asked to stop the container, and it")


# A user's catalog

REASONS = """
reasons:
  OfTheWorkload: {meaning: Is for a workload.}
  OfTheImage: {meaning: Is for an image.}
  Global: {meaning: Is for all.}
"""
LAYERS = {
    "workload": "workloads:\n  train: {42: OfTheWorkload, 1: OfTheWorkload}\n",
    "image": "images:\n  acme/train: {42: OfTheImage, 2: OfTheImage}\n",
    "global": "codes: {42: Global, 3: Global, 139: Global}\n",
}
ALL_LAYERS = REASONS + "".join(LAYERS.values())


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ("workload image global", "OfTheWorkload"),
        ("workload global", "OfTheWorkload"),
        ("workload image", "OfTheWorkload"),
        ("image global", "OfTheImage"),
        ("global", "Global"),
        ("", "Error"),
    ],
)
def test_workload_comes_before_image_before_global_before_built_in(
    path: Path, layers: str, reason: str
) -> None:
    catalog = loaded(path, REASONS + "".join(LAYERS[layer] for layer in layers.split()))
    assert reasons(catalog, 42, workload=Workload("train", "acme/train")) == [reason]


def test_a_code_that_a_layer_does_not_list_is_looked_up_in_the_next(path: Path) -> None:
    found = reasons(loaded(path, ALL_LAYERS), 1, 2, 3, 139, 134, 4, workload=Workload("train", "acme/train"))
    assert found == ["OfTheWorkload", "OfTheImage", "Global", "Global", "Aborted", "Error"]


@pytest.mark.parametrize(
    ("name", "image", "reason"),
    [("eval", "acme/train", "OfTheImage"), ("train", "acme/eval", "OfTheWorkload"), ("eval", "x", "Global")],
)
def test_a_layer_applies_to_its_workload_or_image_only(
    path: Path, name: str, image: str, reason: str
) -> None:
    assert reasons(loaded(path, ALL_LAYERS), 42, workload=Workload(name, image)) == [reason]


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("train", ["train"], ["train-2", "retrain", "Train"]),
        ("train-*", ["train-", "train-2"], ["train"]),
        ("train-?", ["train-2"], ["train-22"]),
        ("train-[0-9]", ["train-2"], ["train-x"]),
        ("train-[!0-9]", ["train-x"], ["train-2"]),
        ("shop/*", ["shop/cart"], ["shop"]),
        ("ghcr.io/*", ["ghcr.io/acme/train"], []),
        ("*", ["", "anything"], []),
    ],
)
def test_workloads_and_images_are_shell_patterns(
    path: Path, pattern: str, matching: list[str], others: list[str]
) -> None:
    for section in ("workloads", "images"):
        catalog = loaded(path, f'{REASONS}{section}:\n  "{pattern}": {{42: Global}}\n')
        for name in (*matching, *others):
            workload = Workload(name, "") if section == "workloads" else Workload("", name)
            assert reasons(catalog, 42, workload=workload) == ["Global" if name in matching else "Error"]


def test_the_first_matching_pattern_that_lists_the_code_wins(path: Path) -> None:
    catalog = loaded(
        path,
        f"{REASONS}workloads:\n  train-*: {{42: Global}}\n  train-2: {{42: OfTheImage, 43: OfTheImage}}\n"
        "  '*': {43: Global, 44: Global}\n",
    )
    assert reasons(catalog, 42, 43, 44, workload=Workload("train-2", "")) == [
        "Global",
        "OfTheImage",
        "Global",
    ]


CONTEXTS = {
    (42, ExitContext.CODE_ONLY): "Global",
    (42, ExitContext.STOP_REQUESTED): "OfTheImage",
    (43, ExitContext.CODE_ONLY): "Global",
    (43, ExitContext.STOP_REQUESTED): "Global",
    (127, ExitContext.AFTER_A_SECOND): "Global",
    (126, ExitContext.AFTER_A_SECOND): "OfTheImage",
    (127, ExitContext.START_FAILED): "CommandNotFound",
    (137, ExitContext.OOM_KILLED): "OOMKilled",
    (255, ExitContext.HOST_LOST): "HostLost",
    (None, ExitContext.NOT_OBSERVED): "Unknown",
}


def test_a_users_code_has_reasons_by_context_but_evidence_wins(path: Path) -> None:
    catalog = loaded(
        path,
        f"{REASONS}codes:\n  42: {{reason: Global, requested: OfTheImage}}\n  43: Global\n"
        "  126: {reason: Global, ran: OfTheImage}\n  127: Global\n  137: Global\n  255: Global\n",
    )
    found = {(code, context): catalog.reason_for(code, context, NO_WORKLOAD) for code, context in CONTEXTS}
    assert found == CONTEXTS


def test_a_users_reasons_are_added_to_the_built_in_ones(path: Path) -> None:
    catalog = loaded(
        path,
        "reasons:\n  CheckpointCorrupt:\n    meaning: The checkpoint cannot be read.\n"
        "    causes: [A full disk, A killed writer]\n    recovery: retry-later\n"
        "  Error: {meaning: Ask the owner., recovery: none}\n",
    )
    corrupt = Reason(
        meaning="The checkpoint cannot be read.",
        causes=("A full disk", "A killed writer"),
        recovery=Recovery.RETRY_LATER,
    )
    replaced = Reason(meaning="Ask the owner.", recovery=Recovery.NONE)
    assert catalog.reasons == {**CATALOG.reasons, "CheckpointCorrupt": corrupt, "Error": replaced}


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "codes: {}\n", "reasons: {}\nworkloads: {}\nimages: {}\n"]
)
def test_an_empty_file_changes_nothing(path: Path, text: str) -> None:
    assert loaded(path, text) == CATALOG
    assert load_catalog(None) is CATALOG


def test_codes_of_32_bits_can_be_listed(path: Path) -> None:
    assert reasons(loaded(path, "codes: {1: Misuse, 4294967295: Misuse}\n"), 1, 2**32 - 1) == ["Misuse"] * 2


# Bad files


@pytest.mark.parametrize("bad", bad_files("catalogue"), ids=lambda bad: bad.path.stem)
def test_a_bad_file_is_rejected_with_line_and_cause(bad: BadFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DIRECTORY)
    with pytest.raises(DocumentError) as refused:
        load_catalog(bad.path)
    assert refused.value.problems == bad.problems


LONGEST = "A" + "b" * 63


def test_names_meanings_and_lists_of_causes_are_bounded(path: Path) -> None:
    assert LONGEST in loaded(path, f"reasons:\n  {LONGEST}: {{meaning: Long.}}\n").reasons
    with pytest.raises(DocumentError) as refused:
        loaded(
            path,
            f"reasons:\n  Corrupt:\n    meaning: {'x' * 2001}\n    causes: [{', '.join('x' * 21)}]\n"
            f"  {LONGEST}b: {{meaning: Too long.}}\n",
        )
    assert refused.value.problems == [
        f"{path}:3: reasons.Corrupt.meaning: has more than 2000 characters",
        f"{path}:4: reasons.Corrupt.causes: has more than 20 items",
        (
            f"{path}:5: reasons.{LONGEST}b: "
            "expected 2 to 64 letters and digits that begin with a capital, as in CorruptInput"
        ),
    ]
