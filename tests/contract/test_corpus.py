"""Every case of the corpus gets the verdict that is true of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from exporter.model import Exit
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from tests.contract.canned_kernel import CannedKernel
from tests.contract.corpus_replay import replay
from tests.contract.tracker_driver import exits
from tests.corpus.cases import Case, End, load, names
from tests.scripted.times import SECOND

MILLISECOND = 3


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CannedKernel:
    """Return a kernel that reports what a case contains."""
    return CannedKernel(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", names())
def test_a_case_has_its_true_verdict(kernel: CannedKernel, name: str) -> None:
    case = load(name)
    found = exits(replay(case, kernel))
    assert facts(ends_of(case, found)) == facts(case.truth), "\n".join(map(str, found))


def facts(ends: Mapping[str, Sequence[End]]) -> dict[str, object]:
    """Return each fact by a name of its own, so that a difference names the fact."""
    return {
        f"{name} {attempt} {fact}": value
        for name, own in ends.items()
        for attempt, end in enumerate(own, 1)
        for fact, value in vars(end).items()
    }


def ends_of(case: Case, exits: Iterable[Exit]) -> dict[str, list[End]]:
    """Return the ends of each container, with the facts that its truth states."""
    found: dict[str, list[Exit]] = defaultdict(list)
    for each in sorted(exits, key=lambda each: each.job.attempt):
        found[case.names[each.job.container_id]].append(each)
    return {name: as_stated(case.truth.get(name, []), ended) for name, ended in found.items()}


def as_stated(truths: Sequence[End], exits: Sequence[Exit]) -> list[End]:
    """Return exits in the form of their truths; those without a truth have all facts."""
    missing = [None] * max(0, len(exits) - len(truths))
    return [end_of(each, truth) for each, truth in zip(exits, [*truths, *missing], strict=False)]


def end_of(ended: Exit, truth: End | None) -> End:
    """Return an exit in the form of its truth: of texts, only those that the truth names."""
    known = ended.evidence
    verdict = classify(ended.code, known, builtin_catalog(), ended.job.workload)
    end = End(
        status=verdict.status.value,
        termination=verdict.termination,
        code=ended.code,
        reason=verdict.reason,
        oom_kills=ended.oom_kills,
        recovery=verdict.recovery.value,
    )
    if truth is None:
        return end
    return End(
        **{
            **vars(end),
            "limit": known.limit and known.limit.value if truth.limit else None,
            "memory_limit_bytes": ended.job.memory_limit_bytes if truth.memory_limit_bytes else None,
            "ran_seconds": None if truth.ran_seconds is None else ran_seconds(ended),
            "start_error": truth.start_error if truth.start_error in known.start_error else "",
            "evidence": present(truth.evidence, known.notes),
            "evidence_without": absent(truth.evidence_without, known.notes),
            "causes": present(truth.causes, builtin_catalog().causes(ended.code, ended.evidence, verdict)),
        }
    )


def ran_seconds(ended: Exit) -> float | None:
    """Return how long a job ran, to the millisecond; None if it never started."""
    started_ns = ended.job.started_ns
    return None if started_ns is None else round((ended.finished_ns - started_ns) / SECOND, MILLISECOND)


def present(texts: Iterable[str], sentences: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that some sentence contains."""
    return tuple(text for text in texts if any(text in sentence for sentence in sentences))


def absent(texts: Iterable[str], sentences: Sequence[str]) -> tuple[str, ...]:
    """Return the texts that no sentence contains."""
    found = present(texts, sentences)
    return tuple(text for text in texts if text not in found)
