"""How often a kill that no event tells of is given to the right job; figures stand in kernel-counter.md."""

from collections import Counter
from fractions import Fraction

import pytest

from tests.contract.lossy_hosts import EventFaults, Fate, LossyHost

SEEDS = range(10)
COMPLETE = EventFaults(lost=0, late=0, ahead=0.2)
LOSSY = EventFaults(lost=0.05, late=0.03, ahead=0.2)


def tally(faults: EventFaults) -> dict[Fate, Counter[tuple[int, bool]]]:
    """For each fate, how often how many OOM kills were told, and whether they were said to be the cause."""
    told: dict[Fate, Counter[tuple[int, bool]]] = {fate: Counter() for fate in Fate}
    for seed in SEEDS:
        host = LossyHost(seed, faults)
        exits = list(host.told())
        assert Counter(exited.job.container_id for exited in exits) == Counter(host.fates.keys())
        for exited in exits:
            said = exited.code != 0 and exited.evidence.oom_killed
            told[host.fates[exited.job.container_id]][exited.oom_kills, said] += 1
    return told


def test_where_no_event_is_lost_every_kill_is_told_of_its_own_job() -> None:
    for fate, told in tally(COMPLETE).items():
        assert {kills for kills, _ in told} == {int(fate.value[2])}, fate


@pytest.fixture(scope="module")
def shares() -> dict[Fate, Fraction]:
    """Of an engine that loses one event in twenty: the share of each fate that is told with a kill."""
    return {
        fate: Fraction(sum(count for (kills, _), count in told.items() if kills), told.total())
        for fate, told in tally(LOSSY).items()
    }


@pytest.mark.parametrize(
    ("fate", "least"), [(Fate.SURVIVES, 0.975), (Fate.FAILS_AFTER_IT, 0.98), (Fate.STARVES, 0.999)]
)
def test_most_kills_of_which_no_event_tells_are_told_all_the_same(
    shares: dict[Fate, Fraction], fate: Fate, least: float
) -> None:
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
def test_few_are_given_to_a_job_that_had_none(shares: dict[Fate, Fraction], fate: Fate, most: float) -> None:
    assert shares[fate] <= most
