"""Shares of unreported OOM kills that are attributed correctly; kernel-counter.md has the figures."""

from collections import Counter
from fractions import Fraction

import pytest

from tests.contract.lossy_hosts import EventFaults, Fate, LossyHost

SEEDS = range(10)
COMPLETE = EventFaults(lost=0, late=0, ahead=0.2)
LOSSY = EventFaults(lost=0.05, late=0.03, ahead=0.2)


def tally(faults: EventFaults) -> dict[Fate, Counter[tuple[int, bool]]]:
    """Return for each fate the numbers of exits by their OOM kills, and whether those are the cause."""
    counts: dict[Fate, Counter[tuple[int, bool]]] = {fate: Counter() for fate in Fate}
    for seed in SEEDS:
        host = LossyHost(seed, faults)
        exits = list(host.exits())
        assert Counter(exited.job.container_id for exited in exits) == Counter(host.fates.keys())
        for exited in exits:
            is_cause = exited.code != 0 and exited.evidence.oom_killed
            counts[host.fates[exited.job.container_id]][exited.oom_kills, is_cause] += 1
    return counts


def test_without_lost_events_every_kill_is_attributed_correctly() -> None:
    for fate, counts in tally(COMPLETE).items():
        assert {kills for kills, _ in counts} == {int(fate.value[2])}, fate


@pytest.fixture(scope="module")
def shares() -> dict[Fate, Fraction]:
    """Share of exits with a kill by fate, for an engine that loses one event in twenty."""
    return {
        fate: Fraction(sum(count for (kills, _), count in counts.items() if kills), counts.total())
        for fate, counts in tally(LOSSY).items()
    }


@pytest.mark.parametrize(
    ("fate", "least"), [(Fate.SURVIVES, 0.975), (Fate.FAILS_AFTER_IT, 0.98), (Fate.STARVES, 0.999)]
)
def test_most_unreported_kills_are_attributed(shares: dict[Fate, Fraction], fate: Fate, least: float) -> None:
    assert shares[fate] >= least


@pytest.mark.parametrize(
    ("fate", "most"),
    [
        (Fate.SUCCEEDS, 0),
        (Fate.SUCCEEDS_WITH_A_LIMIT, 0.002),
        (Fate.FAILS, 0.003),
        (Fate.FAILS_WITH_A_LIMIT, 0.009),
        (Fate.IS_KILLED, 0.011),
    ],
)
def test_few_jobs_without_a_kill_get_one(shares: dict[Fate, Fraction], fate: Fate, most: float) -> None:
    assert shares[fate] <= most
