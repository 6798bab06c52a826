"""The catalogue: which word a code has in which circumstances, and what the word means.

The project's own catalogue is ``reasons.yaml``; a user's file of the same shape, which may also
speak of single workloads and images, is laid on top of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from exporter.config import yaml_document
from exporter.exit_codes import MAX_CODE, NOT_EXECUTABLE, NOT_FOUND
from exporter.model import SECOND_NS, Evidence, MemoryLimit, Recovery, Status, Termination, Verdict, Workload
from exporter.verdict import start_errors

BUILTIN = Path(__file__).with_name("reasons.yaml")
# A shell that does not find its command has ended by then, and so has a program that cannot run here.
AT_ONCE_NS = SECOND_NS
NO_WORKLOAD = Workload(name="", image="")
# The word of every code that has none of its own.
FALLBACK = "Error"

ReasonWord = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{1,63}$")]
Code = Annotated[int, Field(strict=True, ge=0, le=MAX_CODE)]


Causes = Annotated[tuple[str, ...], Field(max_length=20)]


class ExitContext(Enum):
    """In which circumstances a code is read; the verdict table decides which one fits."""

    PLAIN = "nothing more is known"
    AT_ONCE = "it ended within its first second"
    RAN = "it had run for more than a second"
    REQUESTED = "the engine was asked to stop it"
    OUT_OF_MEMORY = "the kernel had killed a process of it for memory"
    UNHEALTHY = "it was unhealthy, and something asked for its end because of that"
    START_FAILED = "the engine could not start it"
    INSTANCE_LOST = "its host or engine went down"
    UNOBSERVED = "nobody saw it end"


class Reason(BaseModel):
    """What a reason's word stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    causes: Causes = ()
    # Of an OOM kill: what can only be where it was not at the container's own limit.
    causes_elsewhere: Causes = ()
    recovery: Recovery = Recovery.NONE

    @property
    def all_causes(self) -> tuple[str, ...]:
        """Its likely causes, whatever else is known."""
        return (*self.causes, *self.causes_elsewhere)


class CodeWords(BaseModel):
    """The words of one code: read plainly, where a stop was requested, and where it ran for a while.

    Its ``causes`` come before those of its reason; the others only of a run that ended within its first
    second, or that lasted longer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: ReasonWord
    requested: ReasonWord | None = None
    ran: ReasonWord | None = None
    causes: Causes = ()
    causes_at_once: Causes = ()
    causes_ran: Causes = ()

    def words(self) -> set[str]:
        """All words that the code can have by itself."""
        return {word for word in (self.reason, self.requested, self.ran) if word is not None}

    def own_words(self) -> set[str]:
        """Those that say something of this very code."""
        return {word for word in self.words() if word == self.reason or word != FALLBACK}

    def causes_after(self, ran_ns: int | None) -> tuple[str, ...]:
        """The causes of an end after ``ran_ns``, None where that is not known."""
        if ran_ns is None:
            return self.causes
        return (*(self.causes_at_once if ran_ns <= AT_ONCE_NS else self.causes_ran), *self.causes)


def _spelled_out(value: object) -> object:
    """``42: Word`` is short for ``42: {reason: Word}``."""
    return {"reason": value} if isinstance(value, str) else value


Codes = dict[Code, Annotated[CodeWords, BeforeValidator(_spelled_out)]]


class CatalogueFile(BaseModel):
    """The shape of a catalogue file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasons: dict[ReasonWord, Reason] = {}
    codes: Codes = {}
    workloads: dict[str, Codes] = {}
    images: dict[str, Codes] = {}


@dataclass(frozen=True, slots=True)
class ReasonCatalog:
    """Codes and words, complete: every code has a word in every reading, every word a meaning."""

    meanings: Mapping[str, Reason]
    codes: Mapping[int, CodeWords]
    workloads: Mapping[str, Codes]
    images: Mapping[str, Codes]

    def reason(self, code: int | None, reading: ExitContext, workload: Workload) -> str:
        """The word for ``code`` as read; the workload's own words come before the image's."""
        fixed = _FIXED.get(reading)
        if fixed is not None:
            return fixed
        if reading is ExitContext.START_FAILED:
            return _START_FAILURES.get(code, _CANNOT_RUN)
        words = self._words(code, workload)
        other = {ExitContext.REQUESTED: words.requested, ExitContext.RAN: words.ran}.get(reading)
        return words.reason if other is None else other

    def sentence(self, code: int | None, verdict: Verdict, workload: Workload = NO_WORKLOAD) -> str:
        """What an end means, in one sentence; of one that was asked for, that it was."""
        if self._stopped_with_a_code(code, verdict, workload):
            success = ", which stands for success" if code == 0 else ""
            return f"The engine was asked to stop the container, and it ended with {code}{success}."
        return self.meaning(verdict.reason).meaning

    def causes(
        self, code: int | None, evidence: Evidence, verdict: Verdict, workload: Workload = NO_WORKLOAD
    ) -> tuple[str, ...]:
        """Likely causes of an end: those that its evidence names, then its code's, then its reason's."""
        meaning = self.meaning(verdict.reason)
        known = meaning.causes if evidence.limit is MemoryLimit.OWN else meaning.all_causes
        if self._stopped_with_a_code(code, verdict, workload) or evidence.limit in _OTHERS_LIMITS:
            known = ()
        of_code = self._causes_of_code(code, evidence, verdict, workload)
        return tuple(dict.fromkeys((*evidence.causes, *of_code, *known)))

    def spelled(self, word: str) -> str | None:
        """A reason, however its letters are written; None where there is no such word."""
        return {known.lower(): known for known in self.meanings}.get(word.lower())

    def nearest(self, word: str) -> str | None:
        """The reason that somebody who wrote ``word`` may have meant."""
        spelling = {known.lower(): known for known in self.meanings}
        return next((spelling[near] for near in get_close_matches(word.lower(), spelling, 1)), None)

    def knows(self, code: int) -> bool:
        """Whether anyone has a word for this very code."""
        return any(code in codes for codes in (self.codes, *self.workloads.values(), *self.images.values()))

    def meaning(self, reason: str) -> Reason:
        """What ``reason`` means; a word that an older catalogue knew has its own answer."""
        return self.meanings.get(reason, _FORGOTTEN)

    def _causes_of_code(
        self, code: int | None, evidence: Evidence, verdict: Verdict, workload: Workload
    ) -> tuple[str, ...]:
        """None where something else than the code has told the reason."""
        words = self._words(code, workload)
        by_itself = verdict.termination is Termination.CONTAINER_EXITED_WITH_ERROR
        if by_itself and verdict.reason in {words.reason, words.ran}:
            return words.causes_after(evidence.ran_ns)
        return ()

    def _stopped_with_a_code(self, code: int | None, verdict: Verdict, workload: Workload) -> bool:
        """Whether a stop was asked for, and the reason's own sentence knows nothing of that."""
        requested = self._words(code, workload).requested
        tells = verdict.reason == requested and requested != FALLBACK
        return verdict.status is Status.TERMINATED and not tells

    def _words(self, code: int | None, workload: Workload) -> CodeWords:
        for codes in self._layers(workload):
            if code in codes:
                return codes[code]
        return _FALLBACK

    def _layers(self, workload: Workload) -> Iterator[Mapping[int | None, CodeWords]]:
        for patterns, value in ((self.workloads, workload.name), (self.images, workload.image)):
            for pattern, codes in patterns.items():
                if fnmatchcase(value, pattern):
                    yield codes  # type: ignore[misc]  # a None code is simply not in it
        yield self.codes  # type: ignore[misc]


# The evidence says whose it was; what a reason's causes say of the job's own limit would mislead.
_OTHERS_LIMITS = frozenset({MemoryLimit.PARENT, MemoryLimit.HOST})
_FIXED = {
    ExitContext.OUT_OF_MEMORY: "OOMKilled",
    ExitContext.UNHEALTHY: "Unhealthy",
    ExitContext.INSTANCE_LOST: "HostLost",
    ExitContext.UNOBSERVED: "Unknown",
}
_START_FAILURES: Mapping[int | None, str] = {
    NOT_EXECUTABLE: "CommandNotExecutable",
    NOT_FOUND: "CommandNotFound",
}
_CANNOT_RUN = "ContainerCannotRun"
FAILED_STARTS = tuple(dict.fromkeys((*start_errors.REASONS, *_START_FAILURES.values(), _CANNOT_RUN)))
"""Every reason that a start that failed may have."""
_FALLBACK = CodeWords(reason=FALLBACK)
_FORGOTTEN = Reason(meaning="A word that the catalogue of today does not contain.")


@cache
def builtin() -> ReasonCatalog:
    """The project's own catalogue."""
    shipped = yaml_document.validate(yaml_document.read(BUILTIN), CatalogueFile)
    return ReasonCatalog(shipped.reasons, shipped.codes, {}, {})


def load(path: Path | None) -> ReasonCatalog:
    """The catalogue with the user's file on top. Raises DocumentError; nothing is half taken."""
    base = builtin()
    if path is None:
        return base
    document = yaml_document.read(path)
    own = yaml_document.validate(document, CatalogueFile)
    meanings = {**base.meanings, **own.reasons}
    problems = list(_problems(document, own, meanings))
    if problems:
        raise yaml_document.DocumentError(problems)
    return ReasonCatalog(meanings, {**base.codes, **own.codes}, own.workloads, own.images)


def _problems(
    document: yaml_document.Document, own: CatalogueFile, meanings: Mapping[str, Reason]
) -> Iterator[str]:
    spelling = {word.lower(): word for word in builtin().meanings}
    for word in own.reasons:
        known = spelling.get(word.lower(), word)
        if known != word:
            yield document.problem(("reasons", word), f"differs only in case from the known reason {known}")
    for location, codes in _code_tables(own):
        for code, words in codes.items():
            place: yaml_document.Location = (*location, code)
            if code == 0:
                yield document.problem(place, "code 0 is always Completed and cannot be renamed")
            for word in sorted(words.words()):
                if word not in meanings:
                    yield document.problem(place, _undescribed(word, spelling))


def _code_tables(own: CatalogueFile) -> Iterator[tuple[tuple[str, ...], Mapping[int, Any]]]:
    yield ("codes",), own.codes
    for section, tables in (("workloads", own.workloads), ("images", own.images)):
        for pattern, codes in tables.items():
            yield (section, pattern), codes


def _undescribed(word: str, spelling: Mapping[str, str]) -> str:
    known = spelling.get(word.lower())
    if known is not None:
        return f"reason {word} is not known; did you mean {known}?"
    return f"reason {word} is described nowhere; add it under 'reasons:' with a meaning"
