"""The reason catalog: which reason a code has in which context, and what each reason means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from exporter.exit_codes import NOT_EXECUTABLE, NOT_FOUND
from exporter.model import SECOND_NS, Evidence, LimitOwner, Recovery, Status, Termination, Verdict, Workload
from exporter.verdict import start_errors

NO_WORKLOAD = Workload(name="", image="")
# The reason of every code that is not listed.
DEFAULT_REASON = "Error"
# A shell that does not find its command, or a program that cannot run here, ends within this time.
AT_ONCE_NS = SECOND_NS

_REASON_NAME = re.compile(r"[A-Z][A-Za-z0-9]{1,63}")


def _check_reason_name(name: str) -> str:
    if not _REASON_NAME.fullmatch(name):
        raise ValueError("expected 2 to 64 letters and digits that begin with a capital, as in CorruptInput")
    return name


ReasonName = Annotated[str, AfterValidator(_check_reason_name)]
Causes = Annotated[tuple[str, ...], Field(max_length=20)]


class ExitContext(Enum):
    """What is known of an exit beside its code, as far as the reason depends on it.

    The verdict table of ``verdict.classify`` decides which one applies; the value says it to users.
    """

    CODE_ONLY = "nothing more is known"
    WITHIN_A_SECOND = "it ended within its first second"
    AFTER_A_SECOND = "it had run for more than a second"
    STOP_REQUESTED = "the engine was asked to stop it"
    OOM_KILLED = "the kernel had killed a process of it for memory"
    UNHEALTHY = "it was unhealthy, and something asked for its end because of that"
    START_FAILED = "the engine could not start it"
    HOST_LOST = "its host or engine went down"
    NOT_OBSERVED = "nobody saw it end"
    SUPERVISED = "its supervisor ended it, or reported an end without a code"


class Reason(BaseModel):
    """Meaning of one reason, its likely causes and what automation may do about it.

    ``causes_elsewhere`` are the causes of an OOM kill that are possible only if the limit that was reached
    is not the container's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    causes: Causes = ()
    causes_elsewhere: Causes = ()
    recovery: Recovery = Recovery.NONE

    @property
    def all_causes(self) -> tuple[str, ...]:
        """All likely causes, the likeliest first."""
        return (*self.causes, *self.causes_elsewhere)


class CodeReasons(BaseModel):
    """Reasons of one exit code by context, as names, and causes that are specific to the code.

    ``reason`` is the default, ``requested`` applies if a stop was requested, ``ran`` if the job ran for more
    than a second. ``causes`` come before those of the reason; ``causes_at_once`` before these if the job
    ended within its first second, ``causes_ran`` if it ran longer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: ReasonName
    requested: ReasonName | None = None
    ran: ReasonName | None = None
    causes: Causes = ()
    causes_at_once: Causes = ()
    causes_ran: Causes = ()

    def all_reasons(self) -> set[str]:
        """Return every reason that the code can have without further evidence."""
        return {reason for reason in (self.reason, self.requested, self.ran) if reason is not None}

    def specific_reasons(self) -> set[str]:
        """Return its reasons without an ``Error`` under ``requested`` or ``ran``, which any code can have."""
        return {reason for reason in self.all_reasons() if reason == self.reason or reason != DEFAULT_REASON}

    def causes_after(self, ran_ns: int | None) -> tuple[str, ...]:
        """Return the causes for a job that ran for ``ran_ns``, None if that is not known."""
        if ran_ns is None:
            return self.causes
        return (*(self.causes_at_once if ran_ns <= AT_ONCE_NS else self.causes_ran), *self.causes)


@dataclass(frozen=True, slots=True)
class ReasonCatalog:
    """All reasons by name, and the reasons of each exit code.

    Codes under a pattern of ``workloads`` come before those under a pattern of ``images``, and these before
    ``codes``. Every reason that a code names is one of ``reasons``.
    """

    reasons: Mapping[str, Reason]
    codes: Mapping[int, CodeReasons]
    workloads: Mapping[str, Mapping[int, CodeReasons]]
    images: Mapping[str, Mapping[int, CodeReasons]]

    def reason_for(self, code: int | None, context: ExitContext, workload: Workload) -> str:
        """Return the name of the reason of ``code`` in this context; the code is None if it is unknown."""
        match context:
            case ExitContext.OOM_KILLED:
                return "OOMKilled"
            case ExitContext.UNHEALTHY:
                return "Unhealthy"
            case ExitContext.HOST_LOST:
                return "HostLost"
            case ExitContext.NOT_OBSERVED:
                return "Unknown"
            case ExitContext.START_FAILED:
                return _START_FAILURES.get(code, _CANNOT_RUN)
        reasons = self._reasons_of(code, workload)
        special = None
        if context is ExitContext.STOP_REQUESTED:
            special = reasons.requested
        elif context is ExitContext.AFTER_A_SECOND:
            special = reasons.ran
        return special or reasons.reason

    def meaning(self, code: int | None, verdict: Verdict, workload: Workload = NO_WORKLOAD) -> str:
        """Return the meaning of an exit in one sentence, which mentions a requested stop."""
        if code is None and verdict.status is Status.TERMINATED and self._stands_for_codes(verdict.reason):
            return "It was stopped before it ended by itself, so it has no exit code."
        if self._hides_the_request(code, verdict, workload):
            success = ", which stands for success" if code == 0 else ""
            return f"The engine was asked to stop the container, and it ended with {code}{success}."
        return self.describe(verdict.reason).meaning

    def causes(
        self, code: int | None, evidence: Evidence, verdict: Verdict, workload: Workload = NO_WORKLOAD
    ) -> tuple[str, ...]:
        """Return the likely causes by the evidence, then those of the code, then those of the reason."""
        reason = self.describe(verdict.reason)
        of_reason = reason.causes if evidence.limit is LimitOwner.OWN else reason.all_causes
        if self._hides_the_request(code, verdict, workload) or evidence.limit in _OTHERS_LIMITS:
            of_reason = ()
        of_code = self._causes_of_code(code, evidence, verdict, workload)
        return tuple(dict.fromkeys((*evidence.causes, *of_code, *of_reason)))

    def canonical(self, name: str) -> str | None:
        """Return the reason of that name in the right case, None if there is none."""
        return self._by_lower_case().get(name.lower())

    def closest(self, name: str) -> str | None:
        """Return the reason that a misspelled ``name`` resembles most, None if it resembles none."""
        known = self._by_lower_case()
        return next((known[near] for near in get_close_matches(name.lower(), known, 1)), None)

    def has_code(self, code: int) -> bool:
        """Return whether the code is listed, be it for a single workload or image."""
        return any(code in codes for codes in (self.codes, *self.workloads.values(), *self.images.values()))

    def describe(self, name: str) -> Reason:
        """Return the reason of that name; for one that only an earlier catalog had, a substitute."""
        return self.reasons.get(name, _UNKNOWN_REASON)

    def _by_lower_case(self) -> dict[str, str]:
        return {name.lower(): name for name in self.reasons}

    def _causes_of_code(
        self, code: int | None, evidence: Evidence, verdict: Verdict, workload: Workload
    ) -> tuple[str, ...]:
        """Return the causes of the code, none if something else than the code gave the reason."""
        reasons = self._reasons_of(code, workload)
        by_code = verdict.termination == Termination.CONTAINER_EXITED_WITH_ERROR
        if by_code and verdict.reason in {reasons.reason, reasons.ran}:
            return reasons.causes_after(evidence.ran_ns)
        return ()

    def _hides_the_request(self, code: int | None, verdict: Verdict, workload: Workload) -> bool:
        """Return whether a stop was requested that the meaning of the reason does not mention."""
        requested = self._reasons_of(code, workload).requested
        mentions = verdict.reason == requested and requested != DEFAULT_REASON
        return code is not None and verdict.status is Status.TERMINATED and not mentions

    def _stands_for_codes(self, reason: str) -> bool:
        """Return whether the meaning of a reason is that of an exit code."""
        return any(reason in reasons.all_reasons() for reasons in self.codes.values())

    def _reasons_of(self, code: int | None, workload: Workload) -> CodeReasons:
        if code is not None:
            for codes in self._layers(workload):
                if code in codes:
                    return codes[code]
        return _ANY_CODE

    def _layers(self, workload: Workload) -> Iterator[Mapping[int, CodeReasons]]:
        for patterns, value in ((self.workloads, workload.name), (self.images, workload.image)):
            for pattern, codes in patterns.items():
                if fnmatchcase(value, pattern):
                    yield codes
        yield self.codes


# The evidence names the limit then, so causes that are about the job's own limit would mislead.
_OTHERS_LIMITS = frozenset({LimitOwner.PARENT, LimitOwner.HOST})
_START_FAILURES: Mapping[int | None, str] = {
    NOT_EXECUTABLE: "CommandNotExecutable",
    NOT_FOUND: "CommandNotFound",
}
_CANNOT_RUN = "ContainerCannotRun"
FAILED_STARTS = tuple(dict.fromkeys((*start_errors.REASONS, *_START_FAILURES.values(), _CANNOT_RUN)))
"""Every reason that a failed start can have."""
_ANY_CODE = CodeReasons(reason=DEFAULT_REASON)
_UNKNOWN_REASON = Reason(meaning="A reason that is not in the current catalogue.")
