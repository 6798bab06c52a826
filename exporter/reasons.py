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

from exporter import documents
from exporter.model import Recovery, Workload

BUILTIN = Path(__file__).with_name("reasons.yaml")
MAX_CODE = 2**32 - 1

ReasonWord = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{1,63}$")]
Code = Annotated[int, Field(strict=True, ge=0, le=MAX_CODE)]


class Reading(Enum):
    """In which circumstances a code is read; the verdict table decides which one fits."""

    PLAIN = "nothing more is known"
    REQUESTED = "the engine was asked to stop it"
    OUT_OF_MEMORY = "the kernel had killed a process of it for memory"
    START_FAILED = "the engine could not start it"
    INSTANCE_LOST = "its host or engine went down"
    UNOBSERVED = "nobody saw it end"


class Meaning(BaseModel):
    """What a reason's word stands for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    causes: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    recovery: Recovery = Recovery.NONE


class CodeWords(BaseModel):
    """The words of one code: read plainly, and where a stop was requested."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: ReasonWord
    requested: ReasonWord | None = None


def _spelled_out(value: object) -> object:
    """``42: Word`` is short for ``42: {reason: Word}``."""
    return {"reason": value} if isinstance(value, str) else value


Codes = dict[Code, Annotated[CodeWords, BeforeValidator(_spelled_out)]]


class CatalogueFile(BaseModel):
    """The shape of a catalogue file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasons: dict[ReasonWord, Meaning] = {}
    codes: Codes = {}
    workloads: dict[str, Codes] = {}
    images: dict[str, Codes] = {}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Codes and words, complete: every code has a word in every reading, every word a meaning."""

    meanings: Mapping[str, Meaning]
    codes: Mapping[int, CodeWords]
    workloads: Mapping[str, Codes]
    images: Mapping[str, Codes]

    def reason(self, code: int | None, reading: Reading, workload: Workload) -> str:
        """The word for ``code`` as read; the workload's own words come before the image's."""
        fixed = _FIXED.get(reading)
        if fixed is not None:
            return fixed
        if reading is Reading.START_FAILED:
            return _START_FAILURES.get(code, "ContainerCannotRun")
        words = self._words(code, workload)
        if reading is Reading.REQUESTED and words.requested is not None:
            return words.requested
        return words.reason

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

    def meaning(self, reason: str) -> Meaning:
        """What ``reason`` means; a word that an older catalogue knew has its own answer."""
        return self.meanings.get(reason, _FORGOTTEN)

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


_FIXED = {
    Reading.OUT_OF_MEMORY: "OOMKilled",
    Reading.INSTANCE_LOST: "HostLost",
    Reading.UNOBSERVED: "Unknown",
}
_START_FAILURES: Mapping[int | None, str] = {126: "CommandNotExecutable", 127: "CommandNotFound"}
_FALLBACK = CodeWords(reason="Error")
_FORGOTTEN = Meaning(meaning="A word that the catalogue of today does not contain.")


@cache
def builtin() -> Catalogue:
    """The project's own catalogue."""
    shipped = documents.validate(documents.read(BUILTIN), CatalogueFile)
    return Catalogue(shipped.reasons, shipped.codes, {}, {})


def load(path: Path | None) -> Catalogue:
    """The catalogue with the user's file on top. Raises DocumentError; nothing is half taken."""
    base = builtin()
    if path is None:
        return base
    document = documents.read(path)
    own = documents.validate(document, CatalogueFile)
    meanings = {**base.meanings, **own.reasons}
    problems = list(_problems(document, own, meanings))
    if problems:
        raise documents.DocumentError(problems)
    return Catalogue(meanings, {**base.codes, **own.codes}, own.workloads, own.images)


def _problems(
    document: documents.Document, own: CatalogueFile, meanings: Mapping[str, Meaning]
) -> Iterator[str]:
    spelling = {word.lower(): word for word in builtin().meanings}
    for word in own.reasons:
        known = spelling.get(word.lower(), word)
        if known != word:
            yield document.problem(("reasons", word), f"differs only in case from the known reason {known}")
    for location, codes in _code_tables(own):
        for code, words in codes.items():
            place: documents.Location = (*location, code)
            if code == 0:
                yield document.problem(place, "code 0 is always Completed and cannot be renamed")
            for word in (words.reason, words.requested):
                if word is not None and word not in meanings:
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
