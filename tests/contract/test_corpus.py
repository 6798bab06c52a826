"""Each way to die that is on record gets the verdict that is true of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from exporter.model import Exit
from exporter.verdict.catalog_file import builtin_catalog
from exporter.verdict.classify import classify
from tests.contract.canned_kernel import CannedKernel
from tests.contract.replaying import replay
from tests.contract.tracker_driver import exits
from tests.corpus.cases import Case, End, load, names
from tests.scripted.times import SECOND

MILLISECOND = 3


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CannedKernel:
    """A kernel that says what a case has of it."""
    return CannedKernel(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", names())
def test_a_way_to_die_is_judged_as_it_truly_was(kernel: CannedKernel, name: str) -> None:
    case = load(name)
    found = exits(replay(case, kernel))
    assert facts(judged(case, found)) == facts(case.truth), "\n".join(map(str, found))


def facts(ends: Mapping[str, Sequence[End]]) -> dict[str, object]:
    """Each fact with a name of its own, so that those stand out which differ."""
    return {
        f"{name} {attempt} {fact}": value
        for name, own in ends.items()
        for attempt, end in enumerate(own, 1)
        for fact, value in vars(end).items()
    }


def judged(case: Case, exits: Iterable[Exit]) -> dict[str, list[End]]:
    """What was found of each container, as far as its truth states it."""
    found: dict[str, list[Exit]] = defaultdict(list)
    for each in sorted(exits, key=lambda each: each.job.attempt):
        found[case.names[each.job.container_id]].append(each)
    return {name: as_stated(case.truth.get(name, []), ended) for name, ended in found.items()}


def as_stated(truths: Sequence[End], exits: Sequence[Exit]) -> list[End]:
    """Exits in the form of their truths; those that are too many, whole."""
    missing = [None] * max(0, len(exits) - len(truths))
    return [end_of(each, truth) for each, truth in zip(exits, [*truths, *missing], strict=False)]


def end_of(ended: Exit, truth: End | None) -> End:
    """One exit as its truth would state it: of what has no truth, and of words, only what was asked for."""
    verdict, known = (
        classify(ended.code, ended.evidence, builtin_catalog(), ended.job.workload),
        ended.evidence,
    )
    end = End(
        status=verdict.status.value,
        termination=verdict.termination.value,
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
            "evidence": said(truth.evidence, known.notes),
            "evidence_without": unsaid(truth.evidence_without, known.notes),
            "causes": said(truth.causes, builtin_catalog().causes(ended.code, ended.evidence, verdict)),
        }
    )


def ran_seconds(ended: Exit) -> float | None:
    """How long it ran, to the millisecond; None for what never started."""
    started_ns = ended.job.started_ns
    return None if started_ns is None else round((ended.finished_ns - started_ns) / SECOND, MILLISECOND)


def said(words: Iterable[str], sentences: Iterable[str]) -> tuple[str, ...]:
    """Those words that stand in a sentence."""
    return tuple(word for word in words if any(word in sentence for sentence in sentences))


def unsaid(words: Iterable[str], sentences: Sequence[str]) -> tuple[str, ...]:
    """Those words that stand in none."""
    spoken = said(words, sentences)
    return tuple(word for word in words if word not in spoken)
