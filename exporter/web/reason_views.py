"""Response models of codes and reasons, and how they are made of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from exporter.model import Recovery, Status, Termination
from exporter.verdict.catalog import Reason, ReasonCatalog
from exporter.verdict.classify import Explanation
from exporter.web.views import View


class ReasonView(View):
    """A reason of the catalogue."""

    reason: str
    meaning: str
    causes: list[str]
    recovery: Recovery
    codes: list[int] = Field(
        description="Codes that have this reason without further evidence, for all workloads."
    )


class OwnCodeView(View):
    """A code that has a reason of its own for some workloads or images."""

    code: int
    reason: str
    workload: str | None = Field(description="Pattern of the workloads; null if it is one of images.")
    image: str | None = Field(
        description="Pattern of the images, without tags; null if it is one of workloads."
    )


class ReasonList(View):
    """The whole catalogue."""

    reasons: list[ReasonView]
    own_codes: list[OwnCodeView] = Field(
        description="Codes that are read otherwise for some workloads or images."
    )


class ReadingView(View):
    """One way to read a code."""

    when: str = Field(description="Circumstances in which the code has this reason.")
    status: Status
    termination: Termination
    reason: str
    error: str | None
    recovery: Recovery
    meaning: str
    causes: list[str]


class CodeView(View):
    """All readings of a code; the first one needs no evidence."""

    code: int
    readings: list[ReadingView]


def reason_list(catalog: ReasonCatalog) -> ReasonList:
    """Return the catalogue as the API shows it."""
    codes: dict[str, list[int]] = {}
    for code, code_reasons in sorted(catalog.codes.items()):
        for name in code_reasons.specific_reasons():
            codes.setdefault(name, []).append(code)
    return ReasonList(
        reasons=[_reason_view(name, reason, codes.get(name, [])) for name, reason in catalog.reasons.items()],
        own_codes=list(_own_codes(catalog)),
    )


def _own_codes(catalog: ReasonCatalog) -> Iterator[OwnCodeView]:
    for pattern, codes in catalog.workloads.items():
        for code, reasons in sorted(codes.items()):
            yield OwnCodeView(code=code, reason=reasons.reason, workload=pattern, image=None)
    for pattern, codes in catalog.images.items():
        for code, reasons in sorted(codes.items()):
            yield OwnCodeView(code=code, reason=reasons.reason, workload=None, image=pattern)


def code_view(code: int, explanations: list[Explanation]) -> CodeView:
    """Return the readings of a code as the API shows them."""
    return CodeView(code=code, readings=[_reading_view(explanation) for explanation in explanations])


def _reason_view(name: str, reason: Reason, codes: list[int]) -> ReasonView:
    return ReasonView(
        reason=name,
        meaning=reason.meaning,
        causes=list(reason.all_causes),
        recovery=reason.recovery,
        codes=codes,
    )


def _reading_view(explanation: Explanation) -> ReadingView:
    verdict = explanation.verdict
    return ReadingView(
        when=explanation.context.value,
        status=verdict.status,
        termination=verdict.termination,
        reason=verdict.reason,
        error=verdict.error,
        recovery=verdict.recovery,
        meaning=explanation.meaning,
        causes=list(explanation.causes),
    )
