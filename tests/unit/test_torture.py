"""The account of the torture finds what is lost, counted twice or counted as something else."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bench.torture.account import Truth, faults, is_said, silent
from bench.torture.plans import Plan, Way
from bench.torture.watching import Exits, Look, Seen

PLAN = Plan("torture-00001", Way.EXIT, code=3, removed=True, seconds=1, stay_seconds=1, asked_at=1.0)
ENDED = Truth(PLAN, began=True, ended_at=100.0)
CUT_SHORT = replace(ENDED, ended_at=None)
NEVER_BEGAN = replace(CUT_SHORT, began=False)
OOM = replace(ENDED, plan=replace(PLAN, way=Way.OOM, code=137))

CASES: dict[str, tuple[Truth, dict[tuple[str, str], int], list[str]]] = {
    "as it ended": (ENDED, {("3", "Error"): 1}, []),
    "not at all": (ENDED, {}, ["lost"]),
    "twice": (ENDED, {("3", "Error"): 2}, ["doubled"]),
    "once more as unknown": (ENDED, {("3", "Error"): 1, ("unknown", "Unknown"): 1}, ["doubled"]),
    "as unknown": (ENDED, {("unknown", "Unknown"): 1}, ["Unknown"]),
    "with another code": (ENDED, {("4", "Error"): 1}, ["another code"]),
    "ended with its engine": (CUT_SHORT, {("137", "Killed"): 1}, []),
    "ended with its engine, and not at all": (CUT_SHORT, {}, ["lost"]),
    "ended with its engine, and with another code": (CUT_SHORT, {("3", "Error"): 1}, ["another code"]),
    "never began": (NEVER_BEGAN, {}, []),
    "never began, as a failed start": (NEVER_BEGAN, {("127", "CommandNotFound"): 1}, []),
    "for memory": (OOM, {("137", "OOMKilled"): 1}, []),
    "for memory, which was not known": (OOM, {("137", "SIGKILL"): 1}, ["another reason"]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_counted_is_held_against_what_happened(case: str) -> None:
    truth, counted, expected = CASES[case]
    exits: Exits = {PLAN.name: Counter(counted)} if counted else {}
    assert [fault.kind for fault in faults([truth], exits, Seen())] == expected


def test_two_jobs_of_one_container_are_a_fault() -> None:
    seen = Seen(jobs={PLAN.name: {"a-1": 3, "a-2": 3}})
    exits: Exits = {PLAN.name: Counter({("3", "Error"): 1})}
    assert [fault.kind for fault in faults([ENDED], exits, seen)] == ["two jobs"]


def look(at: float, **changes: Any) -> Look:
    usual = Look(at, healthy=True, ready=True, counted=frozenset(), gaps=0)
    return replace(usual, **changes)


@pytest.mark.parametrize(("gap_at", "said"), [(20.0, False), (130.0, True), (900.0, False)])
def test_a_loss_is_said_by_a_gap_soon_after_it(gap_at: float, *, said: bool) -> None:
    looks = [look(at, gaps=float(at >= gap_at)) for at in range(0, 1_000, 10)]
    (fault,) = faults([ENDED], {}, Seen())
    assert is_said(fault, looks) == said


@pytest.mark.parametrize(
    ("changes", "late"),
    [({}, [(PLAN.name, 60.0)]), ({"ready": False}, []), ({"counted": frozenset({PLAN.name})}, [])],
)
def test_what_is_not_shown_while_all_looks_well_is_late(
    changes: dict[str, Any], late: list[tuple[str, float]]
) -> None:
    assert list(silent([ENDED], [look(at, **changes) for at in range(0, 161, 10)])) == late
