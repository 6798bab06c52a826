"""The catalogue: every code has a word, every word a meaning; and users' own words on top."""

from pathlib import Path
from signal import Signals

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.yaml_document import DocumentError
from exporter.model import Evidence, MemoryLimit, Recovery, Status, Termination, Verdict, Workload
from exporter.verdict import catalog
from exporter.verdict.catalog import AT_ONCE_NS, ExitContext, Reason
from exporter.verdict.catalog_file import BUILTIN, builtin_catalog, load_catalog
from tests.unit.corpus import DIRECTORY, BadFile, bad_files
from tests.unit.expected_words import (
    PLAIN_WORDS,
    RAN_WORDS,
    REQUESTED_WORDS,
    START_FAILURE_WORDS,
    plain_word,
    ran_word,
    requested_word,
    start_failure_word,
)

CATALOG = builtin_catalog()
NOBODY = Workload("", "")
BY_EVIDENCE = {"OOMKilled", "Unhealthy", "HostLost", "Unknown", "ContainerCannotRun"}
BY_THE_ENGINES_WORDS = {
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

RECOVERIES = {
    Recovery.NONE: "Unknown Completed Interrupted Killed Terminated SIGINT SIGQUIT DebuggerTerminated "
    "ControlCExit",
    Recovery.RETRY: "Unhealthy "
    "HostLost TimedOut UnspecifiedError SIGHUP SIGKILL SIGALRM SIGTERM ProcessAborted",
    Recovery.RETRY_LATER: "NoHost Unavailable OSError IOError TemporaryFailure ProtocolError SIGPWR "
    "InPageError HostExhausted DiskFull NetworkFailed PortInUse",
    Recovery.MORE_MEMORY: "OOMKilled InitOutOfMemory NoMemory CommitLimit",
    Recovery.FIX_COMMAND: "RuntimeNotFound DeviceDriverMissing DeviceNotFound UserNotFound MountFailed "
    "PortRefused ResourcesRefused WorkingDirectoryInvalid "
    "ContainerCannotRun Misuse UsageError DataError NoInput NoUser OSFileError "
    "CannotCreate NoPermission ConfigError LauncherFailed CommandNotExecutable CommandNotFound FatalError "
    "SIGILL SIGBUS SIGUSR1 SIGUSR2 SIGPIPE SIGCHLD SIGTTOU SIGXCPU SIGXFSZ SIGPROF SIGSYS "
    "IllegalInstruction InvalidImageFormat DllNotFound EntryPointNotFound DllInitFailed",
    Recovery.FIX_CODE: "Error SoftwareError SIGTRAP Aborted SIGFPE SegmentationFault SIGSTKFLT SIGCONT "
    "SIGSTOP SIGTSTP SIGTTIN SIGURG SIGVTALRM SIGWINCH SIGIO RealTimeSignal Breakpoint DotNetEngineFailure "
    "DotNetFailFast AccessViolation IntegerDivisionByZero StackOverflow HeapCorruption StackBufferOverrun "
    "CallbackException AssertionFailed FailFast DotNetException CppException",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a user's catalogue is."""
    return tmp_path / "catalogue.yaml"


def taken(path: Path, text: str) -> catalog.ReasonCatalog:
    path.write_text(text, encoding="utf-8")
    return load_catalog(path)


# The project's own catalogue


def test_the_catalogue_names_just_these_codes() -> None:
    assert {code: words.reason for code, words in CATALOG.codes.items()} == PLAIN_WORDS


def test_some_codes_have_another_word_where_a_stop_was_requested_or_where_it_ran_for_a_while() -> None:
    codes = CATALOG.codes.items()
    assert {code: words.requested for code, words in codes if words.requested} == REQUESTED_WORDS
    assert {code: words.ran for code, words in codes if words.ran} == RAN_WORDS


def test_the_codes_that_were_promised_are_there() -> None:
    promised = {*range(4), *range(64, 79), 100, 111, *range(124, 144), *range(241, 248), 254, 255}
    assert promised <= set(CATALOG.codes)


def test_every_signal_of_this_machine_is_there() -> None:
    assert {128 + signal for signal in Signals} <= set(CATALOG.codes)


def test_every_word_has_a_meaning_and_every_meaning_a_use() -> None:
    by_code = {*PLAIN_WORDS.values(), *REQUESTED_WORDS.values(), *START_FAILURE_WORDS.values()}
    assert set(CATALOG.reasons) == by_code | BY_EVIDENCE | BY_THE_ENGINES_WORDS


@pytest.mark.parametrize("word", CATALOG.reasons)
def test_a_meaning_is_one_sentence_with_likely_causes(word: str) -> None:
    meaning = CATALOG.reasons[word]
    assert meaning.meaning.endswith(".")
    assert "\n" not in meaning.meaning
    assert meaning.meaning[0].isupper()
    assert len(meaning.causes) >= 2
    assert len(set(meaning.causes)) == len(meaning.causes)
    assert all(cause == cause.strip() and not cause.endswith(".") for cause in meaning.causes)


def test_every_word_has_just_this_recovery() -> None:
    found = {
        recovery: {word for word, meaning in CATALOG.reasons.items() if meaning.recovery is recovery}
        for recovery in Recovery
    }
    assert found == {recovery: set(words.split()) for recovery, words in RECOVERIES.items()}


def test_no_two_words_differ_only_in_case() -> None:
    words = [word.lower() for word in CATALOG.reasons]
    assert sorted(words) == sorted(set(words))


def test_the_shipped_file_is_good_as_a_users_own_but_for_the_code_that_nobody_may_rename() -> None:
    with pytest.raises(DocumentError) as refused:
        load_catalog(BUILTIN)
    lines = BUILTIN.read_text(encoding="utf-8").splitlines()
    line = lines.index("  0: {reason: Completed}") + 1
    assert refused.value.problems == [
        f"{BUILTIN}:{line}: codes.0: code 0 is always Completed and cannot be renamed"
    ]


@given(
    st.none() | st.integers(0, 2**32 - 1) | st.sampled_from(sorted(PLAIN_WORDS)), st.sampled_from(ExitContext)
)
def test_every_code_has_a_described_word_in_every_reading(code: int | None, reading: ExitContext) -> None:
    known = -1 if code is None else code
    word = {
        ExitContext.CODE_ONLY: plain_word(known),
        ExitContext.WITHIN_A_SECOND: plain_word(known),
        ExitContext.AFTER_A_SECOND: ran_word(known),
        ExitContext.STOP_REQUESTED: requested_word(known),
        ExitContext.START_FAILED: start_failure_word(code),
        ExitContext.OOM_KILLED: "OOMKilled",
        ExitContext.UNHEALTHY: "Unhealthy",
        ExitContext.HOST_LOST: "HostLost",
        ExitContext.NOT_OBSERVED: "Unknown",
    }[reading]
    assert CATALOG.reason_for(code, reading, NOBODY) == word
    assert word in CATALOG.reasons


def test_a_word_that_was_known_once_still_has_an_answer() -> None:
    assert CATALOG.describe("CheckpointCorrupt") == Reason(
        meaning="A reason that is not in the current catalogue.", causes=(), recovery=Recovery.NONE
    )


# Causes and sentences


def failed(reason: str) -> Verdict:
    return Verdict(Status.FAILED, Termination.CONTAINER_EXITED_WITH_ERROR, reason, Recovery.NONE, "")


def stopped(reason: str) -> Verdict:
    return Verdict(Status.TERMINATED, Termination.TERMINATED_BY_USER, reason, Recovery.NONE, "")


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
        (None, "Lost", "of the evidence, of the code, of both, of the reason"),
        (AT_ONCE_NS, "Lost", "of the evidence, of the first second, of the code, of both, of the reason"),
        (
            AT_ONCE_NS + 1,
            "Later",
            "of the evidence, of a longer run, of the code, of both, of the later reason",
        ),
        (
            None,
            "OOMKilled",
            "of the evidence, " + ", ".join(CATALOG.reasons["OOMKilled"].all_causes),
        ),
    ],
)
def test_causes_are_the_evidences_then_the_codes_then_the_reasons_each_once(
    path: Path, ran_ns: int | None, reason: str, causes: str
) -> None:
    evidence = Evidence(ran_ns=ran_ns, causes=("of the evidence",))
    found = taken(path, CAUSES).causes(42, evidence, failed(reason), NOBODY)
    assert ", ".join(found) == causes


@pytest.mark.parametrize("limit", [MemoryLimit.PARENT, MemoryLimit.HOST])
def test_of_anothers_memory_limit_no_cause_that_blames_the_jobs_own_is_told(limit: MemoryLimit) -> None:
    evidence = Evidence(oom_killed=True, limit=limit, causes=("of the evidence",))
    assert CATALOG.causes(137, evidence, failed("OOMKilled")) == ("of the evidence",)


def test_of_a_failed_start_no_cause_of_a_code_is_told() -> None:
    not_started = Verdict(
        Status.FAILED, Termination.CREATING_CONTAINER_ERROR, "CommandNotFound", Recovery.FIX_COMMAND, ""
    )
    found = CATALOG.causes(127, Evidence(start_failed=True, ran_ns=AT_ONCE_NS + 1), not_started)
    assert found == CATALOG.reasons["CommandNotFound"].causes


@pytest.mark.parametrize("code", [1, 255])
def test_what_cannot_run_on_this_host_comes_first_in_the_first_second(code: int) -> None:
    verdict = failed(plain_word(code))
    at_once = CATALOG.causes(code, Evidence(ran_ns=9 * 10**6), verdict)
    later = CATALOG.causes(code, Evidence(ran_ns=9 * 10**9), verdict)
    assert at_once[2:] == later
    assert "exec format error" in at_once[0]
    assert "CR LF" in at_once[1]


STOPPED = "The engine was asked to stop the container, and it ended with"


@pytest.mark.parametrize(
    ("code", "verdict", "sentence"),
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
def test_an_end_that_was_asked_for_is_said_to_be_one(
    path: Path, code: int, verdict: Verdict, sentence: str
) -> None:
    catalogue = taken(
        path,
        "reasons: {Lost: {meaning: It is lost.}, Drained: {meaning: It wrote all down.}}\n"
        "codes: {42: {reason: Lost, requested: Drained}}\n",
    )
    assert catalogue.meaning(code, verdict, NOBODY) == sentence


@given(st.integers(0, 2**32 - 1) | st.sampled_from(sorted(PLAIN_WORDS)))
def test_no_end_that_was_asked_for_is_said_to_have_come_by_itself_or_by_a_wrong_call(code: int) -> None:
    verdict = stopped(requested_word(code))
    assert CATALOG.meaning(code, verdict).startswith("The engine was asked to stop the container, and it")


# A user's catalogue

FOUR = """
reasons:
  OfTheWorkload: {meaning: Said for a workload.}
  OfTheImage: {meaning: Said for an image.}
  Global: {meaning: Said for all.}
"""
LAYERS = {
    "workload": "workloads:\n  train: {42: OfTheWorkload, 1: OfTheWorkload}\n",
    "image": "images:\n  acme/train: {42: OfTheImage, 2: OfTheImage}\n",
    "global": "codes: {42: Global, 3: Global, 139: Global}\n",
}


@pytest.mark.parametrize(
    ("layers", "word"),
    [
        ("workload image global", "OfTheWorkload"),
        ("workload global", "OfTheWorkload"),
        ("workload image", "OfTheWorkload"),
        ("image global", "OfTheImage"),
        ("global", "Global"),
        ("", "Error"),
    ],
)
def test_the_workloads_word_comes_before_the_images_before_the_users_before_ours(
    path: Path, layers: str, word: str
) -> None:
    catalogue = taken(path, FOUR + "".join(LAYERS[layer] for layer in layers.split()))
    assert catalogue.reason_for(42, ExitContext.CODE_ONLY, Workload("train", "acme/train")) == word


def test_what_a_layer_does_not_name_the_next_one_does(path: Path) -> None:
    catalogue = taken(path, FOUR + "".join(LAYERS.values()))
    words = [
        catalogue.reason_for(code, ExitContext.CODE_ONLY, Workload("train", "acme/train"))
        for code in (1, 2, 3, 139, 134, 4)
    ]
    assert words == ["OfTheWorkload", "OfTheImage", "Global", "Global", "Aborted", "Error"]


def test_the_words_of_one_workload_or_image_are_nobody_elses(path: Path) -> None:
    catalogue = taken(path, FOUR + "".join(LAYERS.values()))
    assert [
        catalogue.reason_for(42, ExitContext.CODE_ONLY, workload)
        for workload in (
            Workload("eval", "acme/train"),
            Workload("train", "acme/eval"),
            Workload("eval", "x"),
        )
    ] == ["OfTheImage", "OfTheWorkload", "Global"]


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("train", "train", True),
        ("train", "train-2", False),
        ("train", "retrain", False),
        ("train-*", "train-", True),
        ("train-*", "train-2", True),
        ("train-?", "train-22", False),
        ("train-[0-9]", "train-2", True),
        ("train-[!0-9]", "train-2", False),
        ("Train", "train", False),
        ("shop/*", "shop/cart", True),
        ("ghcr.io/*", "ghcr.io/acme/train", True),
        ("*", "", True),
        ("*", "anything", True),
    ],
)
@pytest.mark.parametrize("section", ["workloads", "images"])
def test_workloads_and_images_are_named_by_globs(
    path: Path, section: str, pattern: str, name: str, *, fits: bool
) -> None:
    catalogue = taken(path, f'{FOUR}{section}:\n  "{pattern}": {{42: OfTheWorkload}}\n')
    workload = Workload(name, "") if section == "workloads" else Workload("", name)
    assert (catalogue.reason_for(42, ExitContext.CODE_ONLY, workload) == "OfTheWorkload") is fits


def test_of_several_globs_that_fit_the_first_in_the_file_that_names_the_code_wins(path: Path) -> None:
    catalogue = taken(
        path,
        f"{FOUR}workloads:\n  train-*: {{42: Global}}\n  train-2: {{42: OfTheImage, 43: OfTheImage}}\n"
        "  '*': {43: Global, 44: Global}\n",
    )
    words = [
        catalogue.reason_for(code, ExitContext.CODE_ONLY, Workload("train-2", "")) for code in (42, 43, 44)
    ]
    assert words == ["Global", "OfTheImage", "Global"]


def test_a_code_of_a_users_own_may_have_another_word_where_a_stop_was_requested(path: Path) -> None:
    catalogue = taken(path, FOUR + "codes:\n  42: {reason: Global, requested: OfTheImage}\n  43: Global\n")
    assert [
        catalogue.reason_for(code, reading, NOBODY)
        for code in (42, 43)
        for reading in (ExitContext.CODE_ONLY, ExitContext.STOP_REQUESTED)
    ] == ["Global", "OfTheImage", "Global", "Global"]


def test_a_users_word_for_127_holds_however_long_it_ran_unless_there_is_one_for_that(path: Path) -> None:
    catalogue = taken(path, FOUR + "codes:\n  127: Global\n  126: {reason: Global, ran: OfTheImage}\n")
    assert [catalogue.reason_for(code, ExitContext.AFTER_A_SECOND, NOBODY) for code in (127, 126)] == [
        "Global",
        "OfTheImage",
    ]


def test_what_evidence_shows_is_not_renamed_by_a_users_code(path: Path) -> None:
    catalogue = taken(path, FOUR + "codes: {127: Global, 137: Global, 255: Global}\n")
    assert [
        catalogue.reason_for(code, reading, NOBODY)
        for code, reading in [
            (127, ExitContext.START_FAILED),
            (137, ExitContext.OOM_KILLED),
            (255, ExitContext.HOST_LOST),
            (None, ExitContext.NOT_OBSERVED),
        ]
    ] == ["CommandNotFound", "OOMKilled", "HostLost", "Unknown"]


def test_a_users_word_has_the_users_meaning_and_ours_stay(path: Path) -> None:
    catalogue = taken(
        path,
        "reasons:\n  CheckpointCorrupt:\n    meaning: The checkpoint cannot be read.\n"
        "    causes: [A full disk, A killed writer]\n    recovery: retry-later\n",
    )
    assert catalogue.reasons == {
        **CATALOG.reasons,
        "CheckpointCorrupt": Reason(
            meaning="The checkpoint cannot be read.",
            causes=("A full disk", "A killed writer"),
            recovery=Recovery.RETRY_LATER,
        ),
    }


def test_a_user_may_describe_one_of_our_words_anew(path: Path) -> None:
    catalogue = taken(path, "reasons:\n  Error: {meaning: Ask the owner., recovery: none}\n")
    assert catalogue.describe("Error") == Reason(meaning="Ask the owner.", recovery=Recovery.NONE)


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "codes: {}\n", "reasons: {}\nworkloads: {}\nimages: {}\n"]
)
def test_an_empty_catalogue_changes_nothing(path: Path, text: str) -> None:
    assert taken(path, text) == CATALOG


def test_without_a_file_the_catalogue_is_ours() -> None:
    assert load_catalog(None) is CATALOG


def test_the_widest_codes_may_be_named(path: Path) -> None:
    catalogue = taken(path, "codes: {1: Misuse, 4294967295: Misuse}\n")
    assert [catalogue.reason_for(code, ExitContext.CODE_ONLY, NOBODY) for code in (1, 2**32 - 1)] == [
        "Misuse",
        "Misuse",
    ]


# What is refused


@pytest.mark.parametrize("bad", bad_files("catalogue"), ids=lambda bad: bad.path.stem)
def test_a_bad_catalogue_is_refused_whole_with_file_line_and_cause(
    bad: BadFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DIRECTORY)
    with pytest.raises(DocumentError) as refused:
        load_catalog(bad.path)
    assert refused.value.problems == bad.problems


def test_a_long_list_of_causes_or_a_long_meaning_is_refused(path: Path) -> None:
    path.write_text(
        f"reasons:\n  CheckpointCorrupt:\n    meaning: {'x' * 2001}\n    causes: [{', '.join('x' * 21)}]\n"
    )
    with pytest.raises(DocumentError) as refused:
        load_catalog(path)
    place = "reasons.CheckpointCorrupt"
    assert refused.value.problems == [
        f"{path}:3: {place}.meaning: String should have at most 2000 characters",
        f"{path}:4: {place}.causes: Tuple should have at most 20 items after validation, not 21",
    ]


def test_a_word_has_64_letters_at_most(path: Path) -> None:
    longest, too_long = "A" + "b" * 63, "A" + "b" * 64
    assert longest in taken(path, f"reasons:\n  {longest}: {{meaning: Long.}}\n").reasons
    with pytest.raises(DocumentError) as refused:
        taken(path, f"reasons:\n  {too_long}: {{meaning: Too long.}}\n")
    assert refused.value.problems == [
        f"{path}:2: reasons.{too_long}: String should match pattern '^[A-Z][A-Za-z0-9]{{1,63}}$'"
    ]
